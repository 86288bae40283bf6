"""Targets that take code: the schedule's formula, written out, whatever it is."""

from collections.abc import Callable

from ..schedules.base import Schedule
from ..schedules.joint_schedule import parts
from .base import EXACT, Export, Rates, checked, deviation, heading, off, rows_text, word
from .formula import Formula, array_rates, array_text, constants_text, formula, imports_text, scalar_rates, scalar_text
from .plan_code import check_code, plan_code


def lambda_lr(about: str) -> str:
    """The end of a file whose function is `lr_at`: a LambdaLR of it, `about` being its docstring."""
    return f'''

def scheduler_for(optimizer, last_epoch=-1):
    """{about}"""
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimizer, lambda step: lr_at(step) / PEAK, last_epoch)
'''


def lambda_code(key: str, title: str, about: str) -> Callable[[Schedule, tuple[str, ...]], Export]:
    """The `code` of a trainer that takes a scheduler of PyTorch; `about` says how."""

    def code(schedule: Schedule, notes: tuple[str, ...]) -> Export:
        return scalar(schedule, key, title, "lr_at", "step", lambda_lr(about), notes)

    return code


def scalar(
    schedule: Schedule, target: str, title: str, name: str, argument: str, tail: str, notes: tuple[str, ...] = ()
) -> Export:
    """Code with a function of one step, called `name`, and what follows it in the file, `tail`.

    What a plan has beside its rate follows that.
    """
    found = formula(parts(schedule)[0])
    body = constants_text(found) + "\n\n" + scalar_text(found, name, argument)
    rates = scalar_rates(body, name)
    body = "\n\n".join([body + tail, *plan_code(schedule)])
    return _export(schedule, target, title, found, rates, name, imports_text(body), body, notes)


def array(schedule: Schedule, target: str, title: str, name: str, argument: str, notes: tuple[str, ...] = ()) -> Export:
    """Code with a function, called `name`, of a step or an array of them, which JAX computes in 32 bits."""
    found = formula(schedule)
    body = constants_text(found) + "\n\n" + array_text(found, name, argument)
    rates, head = array_rates(body, name), imports_text(body) + "\nimport jax.numpy as jnp\n"
    return _export(schedule, target, title, found, rates, name, head, body, notes, "1e-6")


def _export(
    schedule: Schedule,
    target: str,
    title: str,
    found: Formula,
    rates: Rates,
    name: str,
    head: str,
    body: str,
    notes: tuple[str, ...],
    within: str = "",
) -> Export:
    """The file: heading, code, check table. `within` is what its check admits over the peak; by default rounding."""
    far = deviation(schedule, rates)
    exact = far <= EXACT
    if not exact:
        why = f"The family {parts(schedule)[0].family} has no formula in exports." if not found.known else ""
        notes = (off(f"{title} code" if not found.known else title, far), *([why] if why else []), *notes)
    head = heading(schedule, title, notes) + "\n" + head.lstrip("\n")
    tail = _check(schedule, name, within or word(max(EXACT, 2 * far)))
    return Export(target, head + "\n" + body + tail, ".py", exact, far, notes)


def _check(schedule: Schedule, name: str, within: str) -> str:
    """The check table, and the comparison with it when the file is run; of what a plan has beside its rate others."""
    steps = checked(schedule)
    tables, assertions = check_code(schedule, steps)
    at = f"{name}(step)"
    return (
        f"\n\nCHECK = [  # step, lr\n{rows_text(steps, schedule(steps))}]\n{tables}"
        '\nif __name__ == "__main__":\n    for step, lr in CHECK:\n'
        f"        assert abs(float({at}) - lr) <= {within} * PEAK, (step, float({at}), lr)\n" + assertions
    )

"""Targets that take code: the schedule's formula, written out, whatever it is."""

from ..schedules.base import Schedule
from .base import EXACT, Export, Rates, checked, deviation, heading, off, word
from .formula import Formula, array_rates, array_text, constants_text, formula, imports_text, scalar_rates, scalar_text


def lambda_lr(about: str) -> str:
    """The end of a file whose function is `lr_at`: a LambdaLR of it, `about` being its docstring."""
    return f'''

def scheduler_for(optimizer, last_epoch=-1):
    """{about}"""
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimizer, lambda step: lr_at(step) / PEAK, last_epoch)
'''


def scalar(
    schedule: Schedule, target: str, title: str, name: str, argument: str, tail: str, notes: tuple[str, ...] = ()
) -> Export:
    """Code with a function of one step, called `name`, and what follows it in the file, `tail`."""
    found = formula(schedule)
    body = constants_text(found) + "\n\n" + scalar_text(found, name, argument)
    rates, head = scalar_rates(body, name), imports_text(body)
    return _export(schedule, target, title, found, rates, name, head, body + tail, notes)


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
        why = f"The family {schedule.family} has no formula in exports." if not found.known else ""
        notes = (off(f"{title} code" if not found.known else title, far), *([why] if why else []), *notes)
    head = heading(schedule, title, notes) + "\n" + head.lstrip("\n")
    tail = _check(schedule, name, within or word(max(EXACT, 2 * far)))
    return Export(target, head + "\n" + body + tail, ".py", exact, far, notes)


def _check(schedule: Schedule, name: str, within: str) -> str:
    """The check table, and the comparison with it when the file is run."""
    steps = checked(schedule)
    rows = "".join(f"    ({word(t)}, {word(float(y))}),\n" for t, y in zip(steps, schedule(steps), strict=True))
    return (
        f"\n\nCHECK = [  # step, lr\n{rows}]\n\n"
        'if __name__ == "__main__":\n    for step, lr in CHECK:\n'
        f"        assert abs(float({name}(step)) - lr) <= {within} * PEAK, (step, float({name}(step)), lr)\n"
    )

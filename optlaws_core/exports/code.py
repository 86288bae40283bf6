"""Targets that take code: the schedule's formula, written out, whatever it is."""

from ..schedules.base import Schedule
from .base import EXACT, Export, Rates, checked, deviation, heading, off, word
from .formula import Formula, array_rates, array_text, constants_text, formula, imports_text, scalar_rates, scalar_text


def pytorch(schedule: Schedule) -> Export:
    """A LambdaLR, which multiplies the rate that the optimizer was made with."""
    tail = '''

def scheduler_for(optimizer, last_epoch=-1):
    """The scheduler of an optimizer that was made with lr=PEAK; call its step() after each optimizer.step()."""
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimizer, lambda step: lr_at(step) / PEAK, last_epoch)
'''
    return scalar(schedule, "pytorch", "PyTorch", "lr_at", "step", tail)


def nanogpt(schedule: Schedule) -> Export:
    """The function `get_lr` of train.py."""
    last = word(schedule.total - 1)
    notes = (
        "Put in the place of get_lr in nanoGPT's train.py, and set decay_lr = True; its own warm-up starts at 1 / "
        f"(warmup_iters + 1), not at 0. It trains max_iters + 1 updates: max_iters = {last}.",
    )
    return scalar(schedule, "nanogpt", "nanoGPT", "get_lr", "it", "", notes)


def scalar(
    schedule: Schedule, target: str, title: str, name: str, argument: str, tail: str, notes: tuple[str, ...] = ()
) -> Export:
    """Code with a function of one step."""
    found = formula(schedule)
    body = constants_text(found) + "\n\n" + scalar_text(found, name, argument)
    rates, head = scalar_rates(body, name), imports_text(body)
    return _export(schedule, target, title, found, rates, name, head, body + tail, notes)


def optax(schedule: Schedule) -> Export:
    """A callable from the count of updates to the rate, as every optax optimizer takes it."""
    found = formula(schedule)
    body = constants_text(found) + "\n\n" + array_text(found, "learning_rate", "count")
    notes = (
        "Use as optax.adamw(learning_rate). JAX computes in 32 bits, so to about 3e-7 of the peak and exactly in steps "
        "up to 16,777,216 only, unless jax_enable_x64 is set.",
    )
    rates = array_rates(body, "learning_rate")
    head = imports_text(body) + "\nimport jax.numpy as jnp\n"
    return _export(schedule, "optax", "optax", found, rates, "learning_rate", head, body, notes)


def _export(
    schedule: Schedule, target: str, title: str, found: Formula, rates: Rates, name: str, head: str, body: str,
    notes: tuple[str, ...],
) -> Export:  # fmt: skip
    far = deviation(schedule, rates)
    exact = far <= EXACT
    if not exact:
        why = f"The family {schedule.family} has no formula in exports." if not found.known else ""
        notes = (off(f"{title} code" if not found.known else title, far), *([why] if why else []), *notes)
    head = heading(schedule, title, notes) + "\n" + head.lstrip("\n")
    tail = _check(schedule, name, "1e-6" if target == "optax" else word(max(EXACT, 2 * far)))
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

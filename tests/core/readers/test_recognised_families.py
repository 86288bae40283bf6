"""Rates that a tool printed are read back as the schedule that they came from, at the digits of each tool."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from optlaws_core.readers import Source, read_source
from optlaws_core.schedules import Schedule, parse

# How tools print a rate -> the function, and how far a rate may be from what was printed, relatively.
PRINTS = {
    "all digits (W&B, MLflow, trainer_state.json, CSV of Lightning)": (repr, 1e-12),
    "32 bits (TensorBoard, Keras)": (lambda rate: repr(float(np.float32(rate))), 6e-8),
    "six decimals of a power of ten (Megatron-LM)": ("{:.6E}".format, 5e-7),
    "four decimals of a power of ten (mmengine)": ("{:.4e}".format, 5e-5),
    "four digits (stdout of the Trainer)": ("{:.4g}".format, 5e-4),
}
FAMILIES = (
    "constant(peak={p}, warmup={w}, total={t})",
    "linear(peak={p}, warmup={w}, total={t}, final={f})",
    "cosine(peak={p}, warmup={w}, total={t}, final={f})",
    "wsd(peak={p}, warmup={w}, total={t}, decay={d}, final={f})",
    "wsd(peak={p}, warmup={w}, total={t}, decay={d}, final={f}, shape=1-sqrt)",
    "wsd(peak={p}, warmup={w}, total={t}, decay={d}, final={f}, shape=cosine)",
    "inverse_sqrt(peak={p}, warmup={v}, total={t})",
    "step(peak={p}, warmup={w}, total={t}, boundaries=[{a}, {b}], values=[{h}, {q}])",
    "polynomial(peak={p}, warmup={w}, total={t}, final={f}, exponent=2)",
)
DRAWS = 4


def drawn(form: str, seed: int) -> tuple[Schedule, int]:
    """A schedule with numbers as people choose them, and how many updates lie between two rows of its log."""
    rng = random.Random(f"{form} {seed}")
    every = rng.choice((1, 5, 10, 50, 100))
    total = every * rng.randrange(150, 400)
    peak = rng.choice((1, 1.2, 1.5, 2, 2.5, 3, 4.5, 6, 8)) * 10.0 ** -rng.choice((2, 3, 4, 5))
    return parse(
        form.format(
            p=f"{peak:.3g}",
            f=f"{peak * rng.choice((0, 0.01, 0.1)):.3g}",
            h=f"{peak / 2:.3g}",
            q=f"{peak / 10:.3g}",
            w=rng.choice((0, total // 50, every * 10, total // 20 + 3)),
            v=rng.choice((total // 50, every * 10, total // 20 + 3)),
            t=total,
            d=total // rng.choice((5, 10)),
            a=every * (total // every // 2),
            b=every * (total * 3 // every // 4),
        )
    ), every


def read_back(true: Schedule, steps: range, printed: Callable[[float], str]) -> tuple[Schedule, str]:
    """The schedule that is read of a log with its rates at some steps, and what is said of it."""
    lines = (f"{t},{2 + 1 / (1 + t)!r},{printed(float(true(t)))}\n" for t in steps)
    report = read_source(Source("a.csv", ("step,loss,lr\n" + "".join(lines)).encode()))
    assert report.error is None, report.error
    return report.runs[0].known_plan.schedule, " ".join(note.text for note in report.notes)


def misread(form: str, seed: int, how: str) -> str:
    """What is wrong with the schedule that is read of a log, "" where nothing is."""
    (true, every), (printed, near) = drawn(form, seed), PRINTS[how]
    steps = range(0, true.total, every)
    found, said = read_back(true, steps, printed)
    t = np.array(steps)
    if found.family == true.family and np.allclose(found(t), true(t), rtol=4 * near, atol=4 * near * true.peak):
        return ""
    return f"{true.text} every {every} was read as {found.text[:100]}. {said}"


@pytest.mark.parametrize("how", PRINTS)
def test_nearly_every_schedule_is_recognised(how):
    wrong = [fault for form in FAMILIES for seed in range(DRAWS) if (fault := misread(form, seed, how))]
    assert len(wrong) <= 0.05 * len(FAMILIES) * DRAWS, "\n".join(wrong)
    # Another family is claimed only with its difference; knots claim none.
    assert all("read as knots" in fault or "largest difference" in fault for fault in wrong), "\n".join(wrong)


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("final", ["0", "3e-5"])
@pytest.mark.parametrize("form", FAMILIES[1:4])
def test_a_log_may_end_with_the_rate_behind_its_last_update(form, final, every):
    """As that of the Trainer before version 5, which logged the rate of the update to come."""
    true = parse(form.format(p="3e-4", f=final, w=20, t=200, d=40))
    found, _ = read_back(true, range(0, 201, every), repr)
    assert found.family == true.family
    np.testing.assert_allclose(found(np.arange(200)), true(np.arange(200)), rtol=1e-9)

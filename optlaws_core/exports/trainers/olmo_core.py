"""OLMo-core: stages of its ComposableScheduler, lines and half-cosines, or its PowerLR where that is nearer.

PowerLR is the Power Scheduler in updates: a linear warm-up, (t/warmup)^b, a line at the end. It counts an update before
it takes it, and cannot be told to begin with a rate of 0, so it is one update early all along: never exact for a
schedule whose first update has the rate 0.
"""

import numpy as np

from ...arrays import FloatArray
from ...schedules import Power, PowerScheduler
from ...schedules.base import Schedule
from ...text import relative_error
from ..base import EXACT, Export, Target, check_comment, deviation, heading, word
from ..lines import followed, segments

KEY, TITLE = "olmo_core", "OLMo-core"
STAGES = 100  # for a stretch that is neither a line nor half a cosine
NEARLY = 1e-6  # of the peak, at which no more stages are added


def write(schedule: Schedule) -> Export:
    """A stage for each stretch of the schedule, many for one that is no line and no cosine; or PowerLR, if nearer."""
    found = segments(schedule, STAGES, NEARLY)

    def rates(t: FloatArray) -> FloatArray:
        return followed(found, t)

    far = deviation(schedule, rates)
    p = schedule.peak
    if power := _power_lr(schedule):
        early = deviation(schedule, lambda t: _early(schedule, t))
        if early < far:
            return _written(schedule, power, early)
    notes: tuple[str, ...] = (f"The optimizer's lr must be {word(p)}, and units steps.",)
    if far > EXACT:
        most = f"{len(found)} of them are off by up to {relative_error(far)} of the peak."
        notes = (f"OLMo-core has lines and cosines only: {most}", *notes)
    if power:
        least = relative_error(early)
        notes = (*notes, f"{power} is the same curve one update early, off by up to {least} of the peak.")
    # OLMo-core counts an update before it takes it: the first one is at 1, so a stage of one step stands for 0.
    first = found[0].first / p
    rows = [(1, "linear", first, first), *((s.end - s.start, s.shape, s.first / p, s.last / p) for s in found)]
    lines = "".join(
        f'        ComposableSchedulerStage(duration={d}, shape="{shape}", start_lr_fraction={word(a)}, '
        f"end_lr_fraction={word(b)}),\n"
        for d, shape, a, b in rows
    )
    text = heading(schedule, TITLE, notes) + (
        "\nfrom olmo_core.optim.scheduler import ComposableScheduler, ComposableSchedulerStage\n\n"
        "scheduler = ComposableScheduler(\n    stages=[  # OLMo-core counts from 1; the first stage stands for 0\n"
        f"{lines}    ]\n)\n\n"
    )
    text += check_comment(schedule, None if far <= EXACT else rates)
    return Export(KEY, text, ".py", far <= EXACT, far, notes)


def _power_lr(schedule: Schedule) -> str:
    """The PowerLR that has the schedule's form, as Python; empty where there is none."""
    if not isinstance(schedule, (Power, PowerScheduler)) or schedule.warmup_shape != "linear" or not schedule.warmup:
        return ""
    if schedule.breaks[1:2] != (schedule.warmup,) or schedule.knee_step > schedule.warmup * (1 + 1e-9):
        return ""  # the peak is held for a while
    if not schedule.decay or schedule.shape != "linear":
        return ""  # without a line at the end PowerLR divides by 0 in the last update
    return (
        f"PowerLR(b={word(-schedule.exponent)}, warmup={schedule.warmup}, decay={schedule.decay}, decay_fraction=None, "
        f"decay_min_lr={word(schedule.final)})"
    )


def _early(schedule: Schedule, t: FloatArray) -> FloatArray:
    """The rates of PowerLR in updates `t`; same shape."""
    now = np.asarray(t, dtype=float) + 1
    late = schedule(np.maximum(now, schedule.warmup))
    return np.where(now < schedule.warmup, schedule.peak * now / schedule.warmup, late)


def _written(schedule: Schedule, power: str, early: float) -> Export:
    """A PowerLR and what there is to say of it."""
    notes = (
        f"OLMo-core's PowerLR is one update early: off by up to {relative_error(early)} of the peak.",
        f"The optimizer's lr must be {word(schedule.peak)}, and units steps.",
    )
    text = heading(schedule, TITLE, notes)
    text += f"\nfrom olmo_core.optim.scheduler import PowerLR\n\nscheduler = {power}\n\n"
    text += check_comment(schedule, lambda t: _early(schedule, t))
    return Export(KEY, text, ".py", False, early, notes)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    native="whatever is made of lines and half-cosines",
    source="https://olmo-core.readthedocs.io/en/latest/optim.html",
    version="OLMo-core 3.0",
)

"""OLMo-core: stages of its ComposableScheduler, lines and half-cosines, one after the other."""

from ...arrays import FloatArray
from ...schedules.base import Schedule
from ..base import EXACT, Export, Target, check_comment, deviation, heading, percent, word
from ..lines import followed, segments

KEY, TITLE = "olmo_core", "OLMo-core"
STAGES = 100  # for a stretch that is neither a line nor half a cosine
NEARLY = 1e-6  # of the peak, at which no more stages are added


def write(schedule: Schedule) -> Export:
    """A stage for each stretch of the schedule; many for one that is no line and no cosine."""
    found = segments(schedule, STAGES, NEARLY)

    def rates(t: FloatArray) -> FloatArray:
        return followed(found, t)

    far = deviation(schedule, rates)
    p = schedule.peak
    notes: tuple[str, ...] = (f"The optimizer's lr must be {word(p)}, and units steps.",)
    if far > EXACT:
        most = f"{len(found)} of them are off by up to {percent(far)} of the peak."
        notes = (f"OLMo-core has lines and cosines only: {most}", *notes)
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


TRAINER = Target(
    KEY,
    TITLE,
    write,
    native="whatever is made of lines and half-cosines",
    source="https://olmo-core.readthedocs.io/en/latest/optim.html",
    version="OLMo-core 3.0",
)

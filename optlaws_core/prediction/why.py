"""Why one schedule is predicted to end below another: laws and their terms, when the lead is won, final rate, runs."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

import numpy as np

from ..errors import OptLawsError
from ..fitting.result import Model
from ..laws.effective import beside_rate, stretches
from ..runs import Run
from ..schedules import Schedule, parts
from ..schedules.joint_schedule import with_rate
from ..text import format_number
from .lead import made_of
from .losses import predict_each
from .observed import final_loss
from .verdict import difference

# Steps at which two curves are compared, and how often, again between the two around the crossing. Where weights are
# averaged, each step has a past of its own.
LOOKS, AVERAGED = (257, 2), (17, 4)
# Of a rate, between kinks and jumps; curves of more are not looked through for where they cross.
MOST_STRETCHES, MOST_AVERAGED = 50, 50
EARLY = 0.1  # of what follows the warm-up: of a lead that is won sooner it is not told when
LEAST = 5e-5  # of a loss: half of the last digit in which losses are shown
LEAST_SHARE = 0.05  # of the lead: less than that is almost nothing
FAR_OFF = 0.5  # of the lead: runs of the two that the law puts that much too far apart speak against it
NEAR = 0.01  # by which the peaks of two runs may differ for them to be compared


def why(model: Model, best: Schedule, other: Schedule, name: str, runs: Iterable[Run] = ()) -> list[str]:
    """Sentences on why `best` is predicted to end below `other`, called `name`; none where nothing can be said.

    runs: those at hand. Of those of the fit, held-out ones too, two of both families are held against each other that
    have one length, peak, size and batch.
    """
    gap = _above(model, other, best)
    if gap <= 0:
        return []
    train = [run for run in runs if run.name in model.train or run.name in model.test]
    said = (
        _disagreement(model, best, other, name),
        made_of(model, best, other),
        _won(model, best, other, name, gap),
        _final_rate(model, best, other, gap, train),
        _seen(model, best, other, gap, train),
    )
    return [sentence for sentence in said if sentence]


def _above(model: Model, one: Schedule, other: Schedule) -> float:
    """How far the final loss of one schedule is above that of another."""
    own, its = predict_each(model, [(one, None), (other, None)])
    return float(own[0] - its[0])


def _disagreement(model: Model, best: Schedule, other: Schedule, name: str) -> str:
    """What each law of an average says, where some of them have the two in the other order."""
    gaps = [(fit.title, _above(fit, other, best)) for fit, weight in model.parts if weight > 0]
    against = [f"{difference(-gap)} above {name} under {title}" for title, gap in gaps if gap <= -LEAST]
    if not against:
        return ""
    agreeing = [f"{difference(gap)} below under {title}" for title, gap in gaps if gap > -LEAST]
    return f"The laws disagree: it ends {' and '.join(against)}, but {' and '.join(agreeing)}."


def crossing(model: Model, best: Schedule, other: Schedule, by: float = 0.0) -> int | None:
    """The step from which on the loss of `best` is below that of `other` until both end; None where it always is.

    Both of one length. Within 1/65,536 of it. by: how far below.
    """
    low, high = max(best.warmup_end, other.warmup_end), best.total - 1
    looks, rounds = AVERAGED if _is_averaged(best, other) else LOOKS
    for _ in range(rounds):
        steps = np.unique(np.linspace(low, high, looks).round().astype(np.int64))
        own, its = predict_each(model, [(best, steps), (other, steps)])
        behind = np.flatnonzero(own >= its - by)
        if not len(behind):
            return None if low == max(best.warmup_end, other.warmup_end) else int(low)
        if behind[-1] + 1 == len(steps):
            return int(high)
        low, high = int(steps[behind[-1]]), int(steps[behind[-1] + 1])
    return high


def _is_averaged(*schedules: Schedule) -> bool:
    """Whether one of them is read at an average of its weights."""
    return any(beside_rate(schedule)[1] is not None for schedule in schedules)


def _won(model: Model, best: Schedule, other: Schedule, name: str, gap: float) -> str:
    """From which update on the best one is ahead; where it is early on, when half of its lead is won."""
    most = MOST_AVERAGED if _is_averaged(best, other) else MOST_STRETCHES
    if best.total != other.total or max(stretches(s) for s in (best, other)) > most:
        return ""
    warm = max(best.warmup_end, other.warmup_end)
    early = warm + min(warm, EARLY * (best.total - warm))
    step = crossing(model, best, other)
    if step is not None and step > early:
        return f"Its curve falls below that of {name} at update {_rounded(step)}."
    half = crossing(model, best, other, gap / 2)
    if half is None or half <= early:
        return ""
    return f"It is ahead from early on, and wins half of its lead after update {_rounded(half)}."


def _rounded(step: int) -> str:
    """An update in three digits."""
    return f"{float(f'{step:.3g}'):,.0f}"


def _final_rate(model: Model, best: Schedule, other: Schedule, gap: float, train: Sequence[Run]) -> str:
    """That the two end at different rates, and what of the lead is gone when the best one ends at that of the other.

    Nothing of a rate that never falls.
    """
    rate = parts(best)[0]
    ends = [float(schedule(schedule.total)) for schedule in (best, other)]
    alike = abs(ends[0] - ends[1]) < NEAR * best.peak
    if alike or ends[1] > (1 - NEAR) * other.peak or "final" not in {f.name for f in fields(rate)}:
        return ""
    try:
        part = _above(model, with_rate(best, replace(rate, **{"final": ends[1]})), best)
    except OptLawsError:  # a final rate above the peak, or 0 for a family that never gets there
        return ""
    mine, its = _told_end(best), _told_end(other)
    return f"Their final rates differ ({mine} and {its}): {_of_lead(part, gap, its)}{_never(model, best, train)}."


def _of_lead(part: float, gap: float, its: str) -> str:
    """How much of the lead of the best one comes from its final rate. its: the final rate of the other."""
    if part >= gap:
        return f"all of its lead of {difference(gap)} comes from that"
    if abs(part) < max(LEAST_SHARE * gap, LEAST):
        return f"that adds almost nothing to its lead of {difference(gap)}"
    if part < 0:
        return f"at {its} it would lead by {difference(-part)} more than {difference(gap)}"
    return f"{difference(part)} of its lead of {difference(gap)} comes from that"


def _never(model: Model, best: Schedule, train: Sequence[Run]) -> str:
    """That no run tells what a final rate as low as that of the best one does, where none does."""
    lowest = min(
        (
            float(run.plan.schedule(run.plan.schedule.total))
            for run in train
            if run.plan and final_loss(run, model.split)
        ),
        default=0.0,
    )
    if lowest <= float(best(best.total)) + NEAR * best.peak:
        return ""
    return f"; no run of the fit ended below {format_number(float(f'{lowest:.3g}'))}"


def _seen(model: Model, best: Schedule, other: Schedule, gap: float, train: Sequence[Run]) -> str:
    """The longest runs of both families that differ in nothing else, where they ended, and how the law sees that.

    gap: how far `best` is predicted to end below `other`. Runs whose final rates differ as those of the two do come
    first; of others their final rates are told.
    """
    ended = [(run, run.plan.schedule, loss) for run in train if run.plan and (loss := final_loss(run, model.split))]
    pairs = [
        (one, its, loss_a, loss_b)
        for one, a, loss_a in ended
        for its, b, loss_b in ended
        if (a.family, b.family) == (best.family, other.family)
        and a.total == b.total
        and abs(a.peak - b.peak) <= NEAR * a.peak
        and one.known_plan.params == its.known_plan.params
        and one.known_plan.batch_tokens == its.known_plan.batch_tokens
    ]
    if best.family == other.family or not pairs:
        return ""
    wanted = _end(best) - _end(other)

    def apart(one: Run, its: Run) -> bool:
        return abs(_end(one.known_plan.schedule) - _end(its.known_plan.schedule) - wanted) >= NEAR

    # The longest runs, and of those the best of each family.
    one, its, mine, theirs = min(
        pairs,
        key=lambda p: (apart(p[0], p[1]), -p[0].known_plan.schedule.total, *p[2:], p[0].name, p[1].name),
    )
    a, b = one.known_plan.schedule, its.known_plan.schedule
    rates = f", whose final rates were {_told_end(a)} and {_told_end(b)}" if apart(one, its) else ""
    where = f"f the runs over {a.total:,} updates{rates}, {one.name} ended at {mine:.4f}"
    predicted = _above_at_ends(model, its, one)
    off = predicted - (theirs - mine)
    far = off >= max(FAR_OFF * gap, LEAST)
    if mine <= theirs:
        how = f" The law puts them {difference(off)} further apart than they are." if far else ""
        return f"O{where} and {its.name} at {theirs:.4f}.{how}"
    how = f" The law has it {difference(abs(predicted))} {'below' if predicted > 0 else 'above'}." if far else ""
    # runs that went the other way because of their final rates, as the law has it, speak against nothing
    begin = "O" if rates and predicted <= 0 else "Yet o"
    return f"{begin}{where}, above {its.name} at {theirs:.4f}.{how}"


def _end(schedule: Schedule) -> float:
    """The final rate of a schedule, as a share of its peak."""
    return float(schedule(schedule.total)) / schedule.peak


def _told_end(schedule: Schedule) -> str:
    return format_number(float(f"{float(schedule(schedule.total)):.3g}"))


def _above_at_ends(model: Model, one: Run, other: Run) -> float:
    """How far the last loss of one run is predicted above that of another."""
    own, its = predict_each(model, [(run.known_plan, run.steps[-1:]) for run in (one, other)])
    return float(own[0] - its[0])


__all__ = ["crossing", "why"]

"""A plan with more than a learning rate: the batch, the average that the run is judged by, the weight decay, the rate
of the parameters beside the main ones, the stages of text and sequence length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import brief, shortened
from .averaging import Average
from .base import Schedule
from .batch import Batch
from .course import Course
from .data_stages import SequenceLength, Texts
from .entries import LARGEST
from .of_rate import OfRate
from .plan_parts import PARTS
from .weight_decay import WeightDecay

if TYPE_CHECKING:
    import pandas as pd

LOOKS = 1000  # updates, beside the breaks, at which two rates are compared
SAME = 1e-9  # of their peaks


@dataclass(frozen=True)
class Joint(OfRate):
    """A learning rate with one or several of `PARTS`: a batch schedule, an average of the weights, a weight decay, the
    rate of an auxiliary group of parameters, the text, the tokens in a sequence.

    As a schedule it is its rate; laws ask for batch and average. Not among `SCHEDULES`: its text form is several of
    theirs, `rate=wsd(…); batch=steps([0, 100k], [4M, 16M]); average=ema(100); weight_decay=0.1`.
    """

    family = "joint"
    formula = r"\eta(t), \quad B(t)"

    batch: Batch | None = None
    average: Average | None = None
    weight_decay: WeightDecay | None = None
    auxiliary: Schedule | None = None  # the rate of embeddings, norms and head, say, under AdamW beside Muon
    texts: Texts | None = None  # `text` in the text form
    sequence: SequenceLength | None = None

    def __post_init__(self) -> None:
        _check_rate("rate", self.rate)
        if not beside(self):
            *before, last = (part.words for part in PARTS.values())
            raise ScheduleError(
                f"A plan of several schedules has {', '.join(before)} or {last} beside its rate, got none."
            )
        self._check_auxiliary()
        for name, found in beside(self).items():
            if not isinstance(found, (part := PARTS[name]).kind):
                raise ScheduleError(f"{part.field}: {part.words} must be of type {part.types}, got {brief(found)}.")
        for course in self._courses.values():
            # a ramp may end with the run
            if course.breaks[-1] > self.rate.total - (course.shape == "steps"):
                raise ScheduleError(
                    f"{course.part}: the last {course.called} must begin before the end of the run, at update "
                    f"{self.rate.total:,}, got {course.breaks[-1]:,}."
                )

    def _check_auxiliary(self) -> None:
        """Raises `ScheduleError` for an auxiliary rate that is no schedule, or not as long as the rate."""
        if self.auxiliary is None:
            return
        _check_rate("auxiliary", self.auxiliary)
        if self.auxiliary.total != self.total:
            raise ScheduleError(
                f"auxiliary: the rate must have as many updates as the plan's, {self.total:,}, "
                f"got {self.auxiliary.total:,}."
            )

    @property
    def _courses(self) -> dict[str, Batch | Course]:
        """The parts that have a value for every update, by the names of their fields."""
        found = {f: getattr(self, f) for f in (part.field for part in PARTS.values())}
        return {f: part for f, part in found.items() if isinstance(part, (Batch, Course))}

    def __call__(self, t: ArrayLike) -> FloatArray:
        return self.rate(t)

    @property
    def breaks(self) -> tuple[int, ...]:
        """Those of the rate and of all that changes beside it."""
        changing = (*self._courses.values(), *([self.auxiliary] if self.auxiliary else []))
        return tuple(sorted({*self.rate.breaks}.union(*(part.breaks for part in changing))))

    @property
    def text(self) -> str:
        """The text form, which `parse` turns back into an equal plan."""
        return "; ".join(f"{name}={part.text}" for name, part in {"rate": self.rate, **beside(self)}.items())

    @property
    def first_batch(self) -> float | None:
        """Tokens in the first update; None where the plan does not tell."""
        return None if self.batch is None or self.batch.relative else self.batch.sizes[0]

    def tokens(self, usual_batch: float | None) -> float | None:
        """Tokens in total, with `usual_batch` in an update where the plan does not tell; None where nobody does."""
        seen = tokens_before(self, self.total, usual_batch)
        return None if seen is None else float(seen)

    def to_frame(self, at: ArrayLike | None = None) -> "pd.DataFrame":
        """As that of every schedule, with a column more for each part that changes by the update."""
        frame = super().to_frame(at)
        for name, part in unknown_to_laws(self).items():
            frame[PARTS[name].column] = part(frame["step"].to_numpy())
        return frame

    def rescaled(self, total: int) -> "Joint":
        """The same shape over another horizon: what changes after the warm-up stretches as the rate does."""
        factor = (total - self.warmup) / (self.total - self.warmup)
        return self._over(
            self.rate.rescaled(total),
            lambda part: part.stretched(factor, self.warmup),
            lambda auxiliary: auxiliary.rescaled(total),
        )

    def resized(self, *, total: int | None = None, peak: float | None = None, warmup: int | None = None) -> "Joint":
        """The plan for another run with every share kept, as `Schedule.resized` says."""
        rate = self.rate.resized(total=total, peak=peak, warmup=warmup)
        return self._over(
            rate,
            lambda part: part.stretched(rate.total / self.total),
            lambda auxiliary: auxiliary.resized(
                total=total,
                peak=None if peak in (None, self.peak) else float(f"{auxiliary.peak * (peak / self.peak):.12g}"),
                warmup=warmup if auxiliary.warmup == self.warmup else None,
            ),
        )

    def _over(self, rate: Schedule, course: Callable[[Any], Any], auxiliary: Callable[[Schedule], Schedule]) -> "Joint":
        """The plan with another rate, every part that changes by the update as `course` makes it, and the auxiliary."""
        changed: dict[str, Any] = {f: course(part) for f, part in self._courses.items()}
        if self.auxiliary is not None:
            changed["auxiliary"] = auxiliary(self.auxiliary)
        return replace(self, rate=rate, **changed)


def _check_rate(name: str, rate: object) -> None:
    """Raises `ScheduleError` for what is no schedule of a learning rate alone."""
    if not isinstance(rate, Schedule) or isinstance(rate, Joint):
        raise ScheduleError(f"{name} must be a schedule of the learning rate, got {rate!r:.60}.")


def parts(schedule: Schedule) -> tuple[Schedule, Batch | None, Average | None]:
    """Rate, batch schedule and average of any schedule."""
    if isinstance(schedule, Joint):
        return schedule.rate, schedule.batch, schedule.average
    return schedule, None, None


def beside(schedule: Schedule) -> dict[str, Any]:
    """What a schedule has beside its rate, by the names of the text form, in its order; empty for a rate alone."""
    if not isinstance(schedule, Joint):
        return {}
    found = {part.name: getattr(schedule, part.field) for part in PARTS.values()}
    return {name: part for name, part in found.items() if part is not None}


def unknown_to_laws(schedule: Schedule) -> dict[str, Any]:
    """Of these the parts from which no law tells what follows, such as a weight decay."""
    return {name: part for name, part in beside(schedule).items() if not PARTS[name].known}


def auxiliary_ratio(plan: Schedule, within: float = SAME) -> float | None:
    """What the auxiliary rate is over the rate, where that is so in every update; None where not, or where none is.

    within: by how much of their peaks the two may differ.
    """
    if not isinstance(plan, Joint) or plan.auxiliary is None:
        return None
    t = np.unique(np.concatenate([np.linspace(0, plan.total, LOOKS), plan.breaks]).astype(np.int64))
    main, auxiliary = plan.rate(t) / plan.peak, plan.auxiliary(t) / plan.auxiliary.peak
    return plan.auxiliary.peak / plan.peak if np.abs(main - auxiliary).max() <= within else None


def with_rate(plan: Schedule, rate: Schedule) -> Schedule:
    """What the plan has beside its rate with another rate: as far as that goes, where it changes, and its average.

    An auxiliary rate gets the length of the new one, with every share kept.
    """
    if not isinstance(plan, Joint):
        return rate
    return plan._over(
        rate,
        lambda part: part.until(rate.total),
        lambda auxiliary: auxiliary if rate.total == plan.total else auxiliary.resized(total=rate.total),
    )


def without(plan: Schedule, *names: str) -> Schedule:
    """The plan as if it did not tell these of its parts; its rate where it has nothing else."""
    if not isinstance(plan, Joint):
        return plan
    left_out: dict[str, Any] = {PARTS[name].field: None for name in names}
    return plan.rate if {*beside(plan)} <= {*names} else replace(plan, **left_out)


def batched(plan: Schedule, batch: Batch) -> Joint:
    """The plan with another batch. Raises `ScheduleError` for one that begins a size when the run is over."""
    return replace(plan, batch=batch) if isinstance(plan, Joint) else Joint(plan, batch)


def averaged(plan: Schedule, average: Average) -> Joint:
    """The plan, judged at another average of its weights."""
    return replace(plan, average=average) if isinstance(plan, Joint) else Joint(plan, average=average)


def batch_at(schedule: Schedule, t: ArrayLike, usual_batch: float | None = None) -> FloatArray | None:
    """Tokens in update `t`, shape of `t`, of any schedule; `usual_batch` and None as for `tokens_before`."""
    batch = parts(schedule)[1]
    size = np.ones_like(t, dtype=float) if batch is None else batch(t)
    if batch is not None and not batch.relative:
        return size
    return None if usual_batch is None else usual_batch * size


def batch_axis(schedules: Sequence[Schedule], usual_batch: float | None) -> tuple[str, float | None] | None:
    """What an axis of the batches of several schedules counts, in words, and the `usual_batch` of `batch_at` for it.

    Multiples where nobody tells tokens. None where no batch changes, so that there is nothing to draw.
    """
    batches = [parts(s)[1] for s in schedules]
    if all(b is None or b.constant for b in batches):
        return None
    if usual_batch is None and all(b is None or b.relative for b in batches):
        return "batch, multiples", 1.0
    return "batch, tokens", usual_batch


def tokens_before(schedule: Schedule, t: ArrayLike, usual_batch: float | None) -> FloatArray | None:
    """Tokens that all updates before update `t` read together, shape of `t`, of any schedule.

    `usual_batch`: tokens in an update where the schedule does not tell. None where nobody does.
    """
    batch = parts(schedule)[1]
    seen = np.asarray(t, float) if batch is None else batch.pieces.seen(t)
    if batch is not None and not batch.relative:
        return seen
    return None if usual_batch is None else usual_batch * seen


def token_ratio(one: Schedule, other: Schedule, usual_batch: float | None = None) -> float | None:
    """How many times the tokens of `other` `one` reads in all; None where the batch of just one of them is in tokens,
    and nobody tells the `usual_batch`.
    """
    usual = usual_batch
    if usual is None and not any((b := parts(s)[1]) is not None and not b.relative for s in (one, other)):
        usual = 1.0  # both count in it, whatever it is
    read = [tokens_before(s, s.total, usual) for s in (one, other)]
    return None if read[0] is None or read[1] is None else float(read[0] / read[1])


def at_tokens(schedule: Schedule, amount: float, usual_batch: float | None) -> Schedule:
    """The schedule over as many updates as read `amount` tokens in total, every share kept, as `resized` keeps it.

    To within an update: the nearest total. Raises `ScheduleError` where nobody tells the tokens in an update, or no
    schedule of the family is that long.
    """
    made, read = schedule, _read(schedule, usual_batch)
    off = {made.total: abs(read - amount)}
    while (total := _total_for(made, amount, read)) not in off:
        made = schedule.resized(total=total)
        read = _read(made, usual_batch)
        off[total] = abs(read - amount)
    best = min(off, key=lambda total: (off[total], total))
    if best == LARGEST and off[best] > 0:
        raise ScheduleError(f"{amount:.3g} tokens take more than {LARGEST:g} updates.")
    return schedule if best == schedule.total else schedule.resized(total=best)


def like_tokens(schedule: Schedule, other: Schedule, usual_batch: float | None = None) -> Schedule:
    """The schedule over as many updates as read what `other` reads. Raises like `at_tokens`."""
    if usual_batch is None and token_ratio(schedule, other) is not None:
        usual_batch = 1.0  # whatever it is: both are counted in it, or neither
    return at_tokens(schedule, _read(other, usual_batch), usual_batch)


def _read(schedule: Schedule, usual_batch: float | None) -> float:
    """Tokens in total. Raises `ScheduleError` where nobody tells them."""
    read = tokens_before(schedule, schedule.total, usual_batch)
    if read is None:
        raise ScheduleError(f"It is not known how many tokens an update of {shortened(schedule.text, 60)} reads.")
    return float(read)


def _total_for(schedule: Schedule, amount: float, read: float) -> int:
    """The updates that would read `amount` if tokens were in proportion to them, as they nearly are."""
    return max(1, round(min(schedule.total * amount / read, LARGEST)))


__all__ = [
    "Joint",
    "at_tokens",
    "auxiliary_ratio",
    "averaged",
    "batch_at",
    "batch_axis",
    "batched",
    "beside",
    "like_tokens",
    "parts",
    "token_ratio",
    "tokens_before",
    "unknown_to_laws",
    "with_rate",
    "without",
]

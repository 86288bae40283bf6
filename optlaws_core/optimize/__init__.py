"""The schedule with the lowest final loss under a fitted law, under constraints on its peak, floor, slope and shape.

limits.py         what a schedule must keep to, and the updates that a budget pays for
objective.py      the final loss as a function of the rate of every update, with exact derivatives
curve_search.py   the best free-form curve
family_search.py  the best schedule of a family
batch_search.py   the plan whose batch grows the earliest
joint_search.py   the best plan of rate and batch together
ranges.py         the fields of a family under limits
progress.py       how far a search is

The loss that is reported is the law's own on the finished schedule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..arrays import FloatArray
from ..fitting.result import Model
from ..laws.base import Law
from ..parallel import one_thread
from ..prediction.joint_losses import joint
from ..prediction.pairs import Pair, against
from ..runs import Plan
from ..schedules import WSD, Schedule
from . import curve_search, family_search
from .batch_search import Growth, growths
from .curve_search import Curve
from .joint_search import JointFinding, JointFound, find_joint
from .limits import KNOTS, Limits, updates_within
from .objective import Objective, flat
from .progress import Progress, ProgressMeter
from .ranges import FAMILIES, SIMPLE

TOLD_APART = 1e-6  # relative gain below which a jump is not worth having


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    schedule: Schedule
    loss: float  # the law's final loss on it
    finished: bool = True  # False: stopped before it had converged


@dataclass(frozen=True)
class Best(Found):
    """The best free-form curve.

    Where a jump is better under the law, that is the law's claim: look for a run with one before trusting it.
    """

    smooth: Found | None = None  # the best one without a jump; None where the best one has none
    evaluations: int = 0  # of the law


@dataclass(frozen=True)
class Finding:
    """The best schedule, and beside a free-form curve what simple families have already."""

    best: Found
    constant: float  # final loss of the peak to the end
    simple: Found | None = None  # the best of the simple families; None where a family was asked for
    wsd: Found | None = None  # WSD with the best decay; None where a family was asked for
    reasons: tuple[str, ...] = ()  # why the best schedule lies beyond the training runs

    @property
    def smooth(self) -> Found | None:
        """The best curve without a jump, where the best one has a jump."""
        return getattr(self.best, "smooth", None)

    @property
    def gain(self) -> float | None:
        """How far the curve ends below the best simple family."""
        return None if self.simple is None else self.simple.loss - self.best.loss

    @property
    def share(self) -> float | None:
        """How much of what the curve gains over the peak held to the end WSD with the best decay has already."""
        whole = self.constant - self.best.loss
        return None if self.wsd is None or whole <= 0 else (self.constant - self.wsd.loss) / whole

    @property
    def summary(self) -> str:
        """What the curve gains, in sentences; empty where a family was asked for."""
        if self.simple is None or self.gain is None:
            return ""
        name = self.simple.schedule.family
        if self.gain <= 0:
            return f"No curve was found that ends below {name}, the best simple family, at {self.simple.loss:.6f}."
        said = f"The best curve ends {self.gain:.2g} below {name}, the best simple family."
        if self.share is None or self.wsd is None or not isinstance(decay := self.wsd.schedule, WSD):
            return said
        return (
            f"{said} WSD with the best decay ({decay.decay:,} updates, {decay.shape}) has {100 * self.share:.1f} % of "
            "what the curve gains over the peak held to the end."
        )

    def beside_simple(self, model: Model) -> Pair | None:
        """The best schedule against the best simple family; None where there is none. Raises like `predict`."""
        if self.simple is None:
            return None
        return against(joint(model, [self.best.schedule, self.simple.schedule]), 1)[0]

    def doubts(self, pair: Pair | None) -> list[str]:
        """Why not to believe it, in sentences; `pair`: from `beside_simple`."""
        said = [f"This extrapolates: {'; '.join(self.reasons)}."] if self.reasons else []
        if self.simple is not None and pair is not None and pair.told_apart is False and (self.gain or 0) > 0:
            name, low, high = self.simple.schedule.family, -(pair.high or 0.0), -(pair.low or 0.0)
            said.append(
                f"The gain of {self.gain:.2g} over {name} may be none: its 90 % interval is {low:.2g} to {high:.2g}, "
                f"so the two are not told apart, and {name} is simpler."
            )
        if self.smooth is not None:
            said.append(
                f"The best curve has a jump, which this law rewards by {self.smooth.loss - self.best.loss:.2g}: "
                "check it with a run before trusting that."
            )
        if not all(found.finished for found in (self.best, self.simple, self.smooth, self.wsd) if found is not None):
            said.append("A search stopped before it had converged.")
        return said


@one_thread()
def find(
    model: Model,
    limits: Limits,
    family: str | None = None,
    plan: Plan | None = None,
    progress: Progress | None = None,
) -> Finding:
    """The best curve under `model` beside the best simple families, or the best schedule of a `family` in `FAMILIES`.

    `plan`: its model size and batch are those of the schedule, by default the training runs'. `progress` is told the
    share done and the lowest loss so far; False stops. Raises `DesignError` for another family, for limits that the
    family does not keep to, and for curves under laws that walk through every update (forward momentum, convex bound);
    `Cancelled`; and as `predict` does.
    """
    objective = Objective.of(model, limits, plan)
    constant = Found(flat(limits), objective.judge(flat(limits)))
    if family is not None:
        best = _family(objective, family, ProgressMeter(progress, 1))
        return Finding(best, constant.loss, reasons=_beyond(model, best, plan))
    objective.check_curves()
    told = ProgressMeter(progress, curve_search.PARTS + len(SIMPLE))
    simple = {name: _family(objective, name, told) for name in SIMPLE}
    lowest = min([constant, *simple.values()], key=lambda found: found.loss)
    peak = lowest.schedule.peak
    if peak < limits.peak and any(fit.by_peak or fit.peak_power != 1 for fit in model.members):
        # What predicts a curve hangs on its peak there, so the curve is looked for at the best peak.
        objective = Objective.of(model, replace(limits, peak=peak), plan)
    best = _curve(objective, told, [lowest.schedule])
    return Finding(best, constant.loss, lowest, simple["wsd"], _beyond(model, best, plan))


def _beyond(model: Model, found: Found, plan: Plan | None) -> tuple[str, ...]:
    return model.reasons(replace(plan, schedule=found.schedule) if plan else found.schedule)


@one_thread()
def best_schedule(model: Model, limits: Limits, plan: Plan | None = None, progress: Progress | None = None) -> Best:
    """The best free-form curve alone. Arguments and errors as of `find`."""
    return _curve(Objective.of(model, limits, plan), ProgressMeter(progress, curve_search.PARTS))


@one_thread()
def best_under(law: Law, theta: FloatArray, limits: Limits, family: str | None = None) -> Found:
    """The best curve, or schedule of a family, under a law with coefficients `theta` (params,): published ones, say."""
    objective = Objective.under(law, theta, limits)
    told = ProgressMeter(None, curve_search.PARTS)
    return _family(objective, family, told) if family else _curve(objective, told)


def _curve(objective: Objective, told: ProgressMeter, known: Sequence[Schedule] = ()) -> Best:
    objective.check_curves()
    without, with_jump = curve_search.search(objective, told, known)
    smooth = _judged(objective, without)
    best, other = smooth, None
    if with_jump is not None and (jump := _judged(objective, with_jump)).loss < smooth.loss * (1 - TOLD_APART):
        best, other = jump, smooth
    return Best(best.schedule, best.loss, best.finished, other, told.evaluations)


def _judged(objective: Objective, curve: Curve) -> Found:
    schedule = curve.schedule(objective.limits)
    return Found(schedule, objective.judge(schedule), curve.finished)


def _family(objective: Objective, family: str, told: ProgressMeter) -> Found:
    schedule, finished = family_search.search(objective, family, told)
    return Found(schedule, objective.judge(schedule), finished)


__all__ = [
    "FAMILIES",
    "KNOTS",
    "SIMPLE",
    "Best",
    "Finding",
    "Found",
    "Growth",
    "JointFinding",
    "JointFound",
    "Limits",
    "best_schedule",
    "best_under",
    "find",
    "find_joint",
    "growths",
    "updates_within",
]

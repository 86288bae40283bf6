"""Candidates ranked by what a fitted law predicts of them, and what a better schedule saves.

"Saved at equal loss" needs care. Reading the best candidate's own curve at the other's final loss would be wrong: half
way through, a schedule that decays late has not decayed, so its loss there is not what it would end at if it were
meant to stop there. The honest question is how short a run of the best candidate's *shape* could be and still end at
the other's final loss: `updates_for` shortens everything after the warm-up in proportion until it does. What is saved
is the other's horizon minus that one. It is negative when the best candidate ends lower only because it is longer.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from ..errors import ScheduleError
from ..fitting.result import Model
from ..schedules import Schedule
from .divergence import MOST_RISK, Risk, risk_of
from .losses import predict
from .ranking_shown import frame_of_ranking, html_of_ranking, line_of_ranked, table_of

if TYPE_CHECKING:
    import pandas as pd

Ends = Callable[[int], float | None]  # horizon -> final loss of a shape there; None where the shape cannot be so short


@dataclass(frozen=True)
class Ranked:
    """One candidate in a ranking, best first."""

    schedule: Schedule
    final_loss: float  # after the last update
    delta: float  # final loss above the best candidate's; may be negative for one that is set apart
    # Updates that the best candidate's shape needs fewer for this loss; negative where it needs more. None for the best
    # itself, and where its shape cannot be shortened so far that it ends this high.
    saved_updates: int | None
    reasons: tuple[str, ...]  # why the prediction is an extrapolation; empty when it is none
    risk: float | None = None  # probability of divergence; None where nothing tells
    apart: bool = False  # whether the risk is above what was chosen: it ranks behind all others

    @property
    def extrapolates(self) -> bool:
        """Whether the candidate lies outside what the training runs cover."""
        return bool(self.reasons)

    def __repr__(self) -> str:
        return line_of_ranked(self)


class Ranking(list[Ranked]):
    """Candidates, best first, and the model that ranks them. A list; a notebook shows it as a table."""

    def __init__(self, rows: Iterable[Ranked], model: Model) -> None:
        super().__init__(rows)
        self.model = model

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Ranked: ...

    @overload
    def __getitem__(self, place: slice, /) -> "Ranking": ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> "Ranked | Ranking":
        found = super().__getitem__(place)
        return Ranking(found, self.model) if isinstance(found, list) else found

    def _repr_html_(self) -> str:
        return html_of_ranking(self)

    def to_frame(self) -> "pd.DataFrame":
        """A row a candidate: its schedule as text, its final loss with the ends of its 90 % prediction band (low, high;
        nan where the model has none), and what else `Ranked` tells.
        """
        return frame_of_ranking(self)

    def to_latex(self, caption: str = "", label: str = "") -> str:
        """The ranking as a table for a paper (booktabs); `paper.ranking_table` has one with names and differences."""
        return table_of(self).latex(caption, label)

    def plot(self) -> Any:
        """Predicted losses of all candidates above, with the band of the best, and their rates beneath, as a plotly
        `Figure`. Needs the extra `figures`.
        """
        from ..figures.of_records import of_ranking

        return of_ranking(self)


def rank(
    fit: Model,
    schedules: Sequence[Schedule],
    risk: Risk | None = None,
    most_risk: float = MOST_RISK,
    *,
    savings: bool = True,
) -> Ranking:
    """Candidates by predicted final loss, best first; equal ones keep their order. Raises like `predict`.

    `risk`: of divergence, learned from labelled runs; candidates above `most_risk` rank behind all others. `savings`:
    whether the updates saved are worked out, which takes several times as long as all the rest; see `with_savings`.
    """
    finals = [float(predict(fit, s)[0]) for s in schedules]
    risks = [None] * len(schedules) if risk is None else risk_of(risk, [fit.coverage.plan(s) for s in schedules])
    apart = [r is not None and r > most_risk for r in risks]
    order = sorted(range(len(schedules)), key=lambda i: (apart[i], finals[i]))
    if not order:
        return Ranking((), fit)
    lowest = finals[order[0]]
    rows = [
        Ranked(
            schedule=schedules[i],
            final_loss=finals[i],
            delta=finals[i] - lowest,
            saved_updates=None,
            reasons=fit.reasons(schedules[i]),
            risk=risks[i],
            apart=apart[i],
        )
        for i in order
    ]
    return with_savings(fit, rows) if savings else Ranking(rows, fit)


def with_savings(fit: Model, ranked: Sequence[Ranked], places: Collection[int] | None = None) -> Ranking:
    """A ranking (n,) with the updates saved against the candidates at some places; None: against all."""
    if not ranked:
        return Ranking((), fit)
    best = ranked[0].schedule
    end = _ends(fit, best)
    rows = [
        replace(r, saved_updates=_saved(best, end, r.schedule, r.final_loss))
        if i and (places is None or i in places)
        else r
        for i, r in enumerate(ranked)
    ]
    return Ranking(rows, fit)


def updates_for(fit: Model, shape: Schedule, loss: float) -> int | None:
    """The horizon, at most its own, down to which `shape` can be shortened and still end at `loss` or below.

    None when it ends above `loss` even at its own horizon, and when it ends below `loss` at the shortest one that the
    shape allows (one update after the warm-up; more where boundaries or knots would fall together).
    """
    return _shortest(shape, _ends(fit, shape), loss)


def _ends(fit: Model, shape: Schedule) -> Ends:
    known: dict[int, float | None] = {}

    def end(total: int) -> float | None:
        if total not in known:
            try:
                known[total] = float(predict(fit, shape.rescaled(total))[0])
            except ScheduleError:
                known[total] = None
        return known[total]

    return end


def _saved(best: Schedule, end: Ends, other: Schedule, loss: float) -> int | None:
    needed = _shortest(best, end, loss)
    return None if needed is None else other.total - needed


def _shortest(shape: Schedule, end: Ends, loss: float) -> int | None:
    good = shape.total  # ends at `loss` or below
    if (at_good := end(good)) is None or at_good > loss:
        return None
    bad = good  # ends above, or is impossible
    while bad == good:
        trial = shape.warmup + (good - shape.warmup) // 2
        if trial <= shape.warmup or trial == good:
            return None
        if (at_trial := end(trial)) is not None and at_trial <= loss:
            good = bad = trial
            at_good = at_trial
        else:
            bad = trial
    return _crossing(end, loss, bad, good, at_good)


def _crossing(end: Ends, loss: float, bad: int, good: int, at_good: float) -> int | None:
    """The crossing between two horizons by regula falsi on integers (Illinois variant), a handful of evaluations.

    `at_good`: final loss at the horizon `good`.
    """
    exact = max(1, good // 1_000_000)
    over = None if (at := end(bad)) is None else at - loss  # above 0
    under = at_good - loss  # at most 0
    last = 0
    while good - bad > exact:
        if over is None or under == 0:  # no slope to follow
            trial = (bad + good) // 2
        else:
            trial = round(good + (bad - good) * under / (under - over))
        trial = min(max(trial, bad + 1), good - 1)
        off = None if (at := end(trial)) is None else at - loss
        if off is not None and off <= 0:
            good, under, over = trial, off, over / 2 if over is not None and last < 0 else over
            last = -1
        else:
            bad, over, under = trial, off, under / 2 if last > 0 else under
            last = 1
    # Next to horizons that are impossible there is no crossing: the shape ends below `loss` as short as it can be.
    return None if end(bad) is None else good

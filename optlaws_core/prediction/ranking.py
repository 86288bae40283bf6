"""Candidates ranked by what a fitted law predicts of them, and what a better schedule saves.

"Saved at equal loss" needs care. Reading the best candidate's own curve at the other's final loss would be wrong: half
way through, a schedule that decays late has not decayed, so its loss there is not what it would end at if it were
meant to stop there. The honest question is how short a run of the best candidate's *shape* could be and still end at
the other's final loss: `updates_for` shortens everything after the warm-up in proportion until it does. What is saved
is the other's horizon minus that one. It is negative when the best candidate ends lower only because it is longer.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np

from ..errors import ScheduleError
from ..fitting.result import Model
from ..schedules import Schedule
from .divergence import MOST_RISK, Risk, risk_of
from .losses import predict_each
from .ranking_shown import frame_of_ranking, html_of_ranking, line_of_ranked, table_of

if TYPE_CHECKING:
    import pandas as pd

# Horizons -> final losses of a shape there, worked out together; without those at which the shape cannot be so short.
Ends = Callable[[Sequence[int]], dict[int, float]]
POINTS = 5  # horizons through which the polynomial is laid that tells where a shape ends at a loss
NEAR = 3  # updates to either side of where it tells so that are looked at with it


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
    finals = [float(loss[0]) for loss in predict_each(fit, [(s, None) for s in schedules])] if schedules else []
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
    ends = _ends(fit, best)
    rows = [
        replace(r, saved_updates=_saved(best, ends, r.schedule, r.final_loss))
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
    known: dict[int, float] = {}

    def ends(totals: Sequence[int]) -> dict[int, float]:
        new = {total: made for total in totals if total not in known and (made := _rescaled(shape, total)) is not None}
        losses = predict_each(fit, [(made, None) for made in new.values()]) if new else []
        known.update(zip(new, (float(loss[0]) for loss in losses), strict=True))
        return {total: known[total] for total in totals if total in known}

    return ends


def _rescaled(shape: Schedule, total: int) -> Schedule | None:
    try:
        return shape.rescaled(total)
    except ScheduleError:
        return None


def _saved(best: Schedule, ends: Ends, other: Schedule, loss: float) -> int | None:
    needed = _shortest(best, ends, loss)
    return None if needed is None else other.total - needed


def _shortest(shape: Schedule, ends: Ends, loss: float) -> int | None:
    good, found = shape.total, ends([shape.total])  # `good` ends at `loss` or below
    if found.get(good, np.inf) > loss:
        return None
    bad = good  # ends above, or is impossible
    while bad == good:
        length = good - shape.warmup
        trials = sorted({shape.warmup + length * k // 8 for k in range(4, 8)} - {shape.warmup})
        if not trials:
            return None
        found |= ends(trials)
        bad, good = _around(trials, found, loss, trials[0], good)
    return _crossing(ends, found, loss, bad, good)


def _around(trials: Sequence[int], found: Mapping[int, float], loss: float, bad: int, good: int) -> tuple[int, int]:
    """The highest of the `trials`, ascending, that ends above `loss` or is impossible, and the one after it."""
    for trial in reversed(trials):
        if found.get(trial, np.inf) > loss:
            return trial, good
        good = trial
    return bad, good


def _crossing(ends: Ends, found: dict[int, float], loss: float, bad: int, good: int) -> int | None:
    """The crossing between two horizons, to a millionth: mostly in one round, around where a polynomial has it.

    found: final losses by horizon, at `good` at least; what is looked at is added. Each second round cuts what is left
    into quarters, wherever the polynomial leads.
    """
    exact = max(1, good // 1_000_000)
    near = True
    while good - bad > exact:
        guess = _guess(found, loss, bad, good)
        around = [guess + k * exact for k in range(-NEAR, NEAR + 1)]
        even = [bad + (good - bad) * k // 4 for k in (1, 2, 3)]
        trials = sorted({t for t in (around if near else even) if bad < t < good} or {(bad + good) // 2})
        found |= ends(trials)
        bad, good = _around(trials, found, loss, bad, good)
        near = not near
    # Next to horizons that are impossible there is no crossing: the shape ends below `loss` as short as it can be.
    return good if bad in found else None


def _guess(found: Mapping[int, float], loss: float, bad: int, good: int) -> int:
    """Where the horizon as a polynomial of the final loss meets `loss`, through the known ones nearest to it."""
    nearest = sorted(found, key=lambda total: (abs(found[total] - loss), total))[:POINTS]
    x, y = np.array([found[total] for total in nearest]), np.log(nearest)
    apart = x[:, None] - x + np.eye(len(x))
    if not apart.all():
        return (bad + good) // 2
    shares = (np.where(np.eye(len(x), dtype=bool), 1.0, loss - x) / apart).prod(axis=1)
    return round(min(max(float(np.exp(np.clip(shares @ y, 0, np.log(good)))), bad), good))


__all__ = ["Ranked", "Ranking", "rank", "updates_for", "with_savings"]

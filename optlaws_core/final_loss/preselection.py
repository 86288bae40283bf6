"""Pre-selection: which of hundreds of candidate schedules to train, how surely, and what the choice saves.

Chances come from draws of what is not known. Coefficients are drawn from their covariance. What the law itself is off
by is drawn alike for candidates that are alike: left-out runs of one configuration show that such errors hardly differ
between two runs of one shape and one peak, differ by their full size between peaks that are a factor of four apart, and
in between for shapes of different families (KINSHIP and CALM). With warm-ups and horizons, of which few tables tell,
they are taken to change more slowly. The benchmark prints how often the best candidate was where chances said. The seed
of a run is no part of it: the question is which schedule is better, not which run will be luckier.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..errors import DesignError, ScheduleError
from ..prediction.divergence import MOST_RISK, probability
from ..runs import Plan
from ..schedules import SCHEDULES, Schedule
from ..schedules.chain import Chain
from .final_fit import FinalFit
from .predictive import beyond, predictive
from .table import family

MOST = 5_000  # candidates
MOST_STRETCHES = 20_000  # between the kinks and jumps of the rates of all of them, each a part of every sum
DRAWS = 2_000
# Doublings of the peak, the warm-up, the horizon, the share of the cooldown and the final rate over the peak, after
# which errors have little to do with each other; the last two begin at `NONE`.
CALM = (2.0, 8.0, 8.0, 3.0, 8.0)
NONE = 0.02
KINSHIP = 0.7  # how much of them different shapes share
ROUNDING = 1e-9  # keeps a Cholesky factor from failing for places that are nearly one
HORIZONS = np.geomspace(0.1, 1.0, 24)  # of the best candidate's own, at which its shape is read to say what it saves

Maker = Callable[[float, int, int], Schedule]  # from peak, warm-up and horizon


def _maker(cls: Callable[..., Schedule], fields: Callable[[float, int], dict]) -> Maker:
    return lambda peak, warmup, total: cls(peak=peak, warmup=warmup, total=total, **fields(peak, total))


SHAPES: Mapping[str, Maker] = {
    title: _maker(cls, fields) for cls in SCHEDULES.values() for title, fields in getattr(cls, "shapes", {}).items()
}


@dataclass(frozen=True)
class FinalRanked:
    """One candidate in a ranking, best first."""

    plan: Plan
    loss: float
    low: float  # 90 % band
    high: float
    best: float  # probability that no other candidate ends lower
    top2: float  # probability that at most one other ends lower
    risk: float | None  # probability of divergence; None where nothing tells
    apart: bool  # whether the risk is above what was chosen
    # Tokens that the best candidate's shape needs fewer to end at this loss, with a 90 % interval; None for the best
    # itself, and where its shape would have to be shorter than a tenth.
    saved: float | None
    saved_low: float | None
    saved_high: float | None
    reasons: tuple[str, ...]  # how far it lies outside of the training runs; empty inside


@dataclass(frozen=True)
class FinalRanking:
    """Candidates by predicted final loss; those that are likely to diverge behind all others.

    `pair`: the two to train if two can be: the best, and the one that leaves least to lose beside it. `regret`: by how
    much the better of them is expected to end above the best of all, relative; `regret_one`: the same for the best
    alone. `hit`: the probability that the best of all is one of them.
    """

    rows: tuple[FinalRanked, ...]
    pair: tuple[Plan, ...]
    hit: float
    regret: float
    regret_one: float

    def answers(self, of: Callable[[Plan], object]) -> dict[object, float]:
        """Probability that the best candidate has each value of `of`: a peak, a warm-up, a family."""
        found: dict[object, float] = {}
        for row in self.rows:
            if row.best or not row.apart:  # where all are apart, one of them is the best
                found[of(row.plan)] = found.get(of(row.plan), 0.0) + row.best
        return found


def candidates(
    params: float,
    batch_tokens: float,
    tokens: Sequence[float],
    peaks: Sequence[float],
    shapes: Sequence[str] = tuple(SHAPES),
    warmups: Sequence[float] = (0.02,),
    parent: Schedule | None = None,
) -> list[Plan]:
    """Every combination of shapes, peaks, warm-ups and lengths for a model of `params` parameters.

    `tokens`: lengths. `warmups`: below 1 a share of the horizon, else updates. `parent`: what was trained before, for
    candidates that go on from there. Raises `DesignError` for an unknown shape, a length below one update, or more
    than 5,000 combinations; combinations that contradict themselves are passed over.
    """
    if unknown := next((s for s in shapes if s not in SHAPES), None):
        raise DesignError(f"A shape is one of {', '.join(SHAPES)}, got {unknown!r}.")
    count = len(shapes) * len(peaks) * len(warmups) * len(tokens)
    if not 1 <= count <= MOST:
        raise DesignError(f"A ranking takes 1 to {MOST:,} candidates, got {count:,}.")
    if (shortest := min(tokens)) < 2 * batch_tokens:
        raise DesignError(f"tokens must be enough for two updates of {batch_tokens:g}, got {shortest:g}.")
    found, fault = [], None
    for length in tokens:
        total = round(length / batch_tokens)
        for share in warmups:
            warmup = round(share * total) if share < 1 else round(share)
            for peak in peaks:
                for shape in shapes:
                    try:
                        schedule = SHAPES[shape](peak, warmup, total)
                    except ScheduleError as contradiction:
                        fault = contradiction
                        continue
                    whole = Chain(parent, schedule) if parent else schedule
                    found.append(Plan(whole, params, batch_tokens))
    if not found:
        raise DesignError(f"No candidate is possible: {fault}")
    return list(dict.fromkeys(found))


def rank_final(
    fit: FinalFit,
    plans: Sequence[Plan],
    text: str = "",
    most_risk: float = MOST_RISK,
    seed: int = 0,
    first: str = "",
) -> FinalRanking:
    """Candidates by predicted final loss, with bands, chances, savings and the risk of divergence.

    `text`: which of the table's texts candidates learn; `first`: what those that go on from a checkpoint learned
    before. Both default to the text of most runs. Candidates may have different lengths, batches and
    sizes; equal ones are taken once. Raises `DesignError` for none, for more than 5,000, and like `predict_final`.
    """
    plans = list(dict.fromkeys(plans))
    if not 1 <= len(plans) <= MOST:
        raise DesignError(f"A ranking takes 1 to {MOST:,} candidates, got {len(plans):,}.")
    if (stretches := sum(len(p.schedule.breaks) - 1 for p in plans)) > MOST_STRETCHES:
        raise DesignError(
            f"The rates of all candidates of a ranking, with what was trained before, may have {MOST_STRETCHES:,} "
            f"stretches between kinks and jumps, got {stretches:,}."
        )
    known = predictive(fit, plans, text, first)
    # what a checkpoint came through is behind it; only what follows can diverge
    risk = None if fit.risk is None else probability(fit.risk, [replace(p, schedule=p.schedule.last) for p in plans])
    apart = np.zeros(len(plans), bool) if risk is None else risk > most_risk
    order = np.lexsort((known.log_loss, apart))
    running = order[~apart[order]]
    if not len(running):
        running = order  # all are likely to diverge; their order is all that can be said
    drawn = _draws(known, plans, seed)  # (draws, plans)
    among = drawn[:, running]
    lowest = among.argmin(axis=1)
    chance = np.bincount(lowest, minlength=len(running)) / len(among)
    second = np.argpartition(among, 1, axis=1)[:, :2] if len(running) > 1 else np.zeros((len(among), 1), int)
    in_two = np.bincount(second.ravel(), minlength=len(running)) / len(among)
    best, top2 = np.zeros(len(plans)), np.zeros(len(plans))
    best[running], top2[running] = chance, in_two
    pair, regret, regret_one = _pair(among)
    saved = _saved(fit, plans, known, drawn, int(running[0]), (text, first))
    half = known.half
    rows = tuple(
        FinalRanked(
            plan=plans[i],
            loss=float(np.exp(known.log_loss[i])),
            low=float(np.exp(known.log_loss[i] - half[i])),
            high=float(np.exp(known.log_loss[i] + half[i])),
            best=float(best[i]),
            top2=float(top2[i]),
            risk=None if risk is None else float(risk[i]),
            apart=bool(apart[i]),
            saved=saved[i][0],
            saved_low=saved[i][1],
            saved_high=saved[i][2],
            reasons=tuple(beyond(fit, plans[i], text)),
        )
        for i in order
    )
    return FinalRanking(
        rows, tuple(plans[running[i]] for i in pair), float(chance[list(pair)].sum()), regret, regret_one
    )


def _draws(known, plans: Sequence[Plan], seed: int) -> FloatArray:
    """Log losses that the candidates may turn out to have, (draws, plans)."""
    random = np.random.default_rng(seed)
    n, free = known.directions.shape
    drawn = known.log_loss + random.standard_normal((DRAWS, free)) @ known.directions.T
    if not np.isfinite(known.misfit) or known.misfit == 0:
        return drawn
    # candidates that are the same in all of this share what the law is off by, so it is drawn once for each such place
    kinds = np.unique([family(p) for p in plans], return_inverse=True)[1]
    own = [p.schedule.last for p in plans]
    shapes = [(getattr(s, "decay", 0) / s.total + NONE, getattr(s, "final", 0.0) / s.peak + NONE) for s in own]
    at = np.log2([(s.peak, s.warmup + 1.0, s.total, *shape) for s, shape in zip(own, shapes, strict=True)])
    places, which = np.unique(np.column_stack((kinds, at)), axis=0, return_inverse=True)
    alike = np.where(places[:, :1] == places[:, 0], 1.0, KINSHIP)
    for x, calm in zip(places.T[1:], CALM, strict=True):
        alike *= np.exp(-np.abs(x[:, None] - x) / calm)
    alike[np.diag_indices_from(alike)] += ROUNDING
    off = random.standard_normal((DRAWS, len(places))) @ np.linalg.cholesky(alike).T
    return drawn + known.misfit * off[:, which.ravel()]


Saved = tuple[float | None, float | None, float | None]  # tokens, lower and upper end


def _pair(drawn: FloatArray) -> tuple[tuple[int, ...], float, float]:
    """The first candidate, and the one that leaves least to lose beside it; what both leave, and the first alone."""
    lowest = drawn.min(axis=1)
    one = float((drawn[:, 0] - lowest).mean())
    if drawn.shape[1] == 1:
        return (0,), 0.0, 0.0
    both = (np.minimum(drawn[:, :1], drawn[:, 1:]) - lowest[:, None]).mean(axis=0)
    other = int(both.argmin())
    return (0, other + 1), float(both[other]), one


def _saved(
    fit: FinalFit, plans: Sequence[Plan], known, drawn: FloatArray, best: int, texts: tuple[str, str]
) -> list[Saved]:
    """Tokens that the best candidate's shape saves at each candidate's loss, with a 90 % interval."""
    plan, shorter = plans[best], []
    for share in HORIZONS[:-1]:
        try:
            shorter.append(Plan(plan.schedule.rescaled(_horizon(plan, share)), plan.params, plan.batch_tokens))
        except ScheduleError:
            continue
    line = [*shorter, plan]
    ends = np.minimum.accumulate(predictive(fit, line, *texts).log_loss)  # falls with the horizon, as it must be read
    tokens = np.log([_own(p) for p in line])
    apart = drawn - drawn[:, [best]]
    low, high = np.quantile(apart, (0.05, 0.95), axis=0)

    def needed(log_loss: FloatArray) -> NDArray:
        return np.exp(np.interp(-log_loss, -ends, tokens, left=np.nan, right=tokens[-1]))

    have = np.array([_own(p) for p in plans])
    at = known.log_loss[best]
    columns = (needed(known.log_loss), needed(np.maximum(at + low, at)), needed(at + high))
    rows = np.rint(np.stack([have - c for c in columns], axis=1)) + 0.0  # whole tokens, and no −0
    rows[best] = np.nan  # it saves nothing over itself
    return [_interval(*row) for row in rows.tolist()]


def _interval(saved: float, low: float, high: float) -> Saved:
    """Tokens saved and their interval; ends that the shape cannot tell of, or all three, as None."""
    if not np.isfinite(saved):
        return None, None, None
    return saved, low if np.isfinite(low) else None, high if np.isfinite(high) else None


def _horizon(plan: Plan, share: float) -> int:
    """Updates of the plan with its last part, which is what can be chosen, shortened to a share."""
    before = plan.schedule.at if isinstance(plan.schedule, Chain) else 0
    return before + max(2, round(share * (plan.schedule.total - before)))


def _own(plan: Plan) -> float:
    """Tokens of the plan's last part."""
    before = plan.schedule.at if isinstance(plan.schedule, Chain) else 0
    return (plan.batch_tokens or np.nan) * (plan.schedule.total - before)  # every plan that is ranked has a batch


__all__ = ["SHAPES", "FinalRanked", "FinalRanking", "candidates", "rank_final"]

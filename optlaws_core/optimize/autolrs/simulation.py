"""A whole run in stages under a fitted law, which knows what losses any schedule would have given."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from ...errors import Cancelled, DesignError
from ...fitting.result import Model
from ...prediction.losses import predict
from ...schedules import Constant, Knots, Schedule
from .. import Limits, find
from ..progress import Progress
from .proposal import Proposal, Search, propose_rate
from .stage_forecast import FEWEST
from .stages import DOUBLINGS, Stage, probe_length

STAGES = 7  # first lengths, 1 + 2 + 4 of them: by default a run takes three stages, since more would decay sooner
LOGGED = 60  # losses that a simulated probe logs, at most


@dataclass(frozen=True, eq=False)
class Trained:
    """A stage of a simulated run: the search for its rate, and what the law says came of it."""

    start: int
    end: int
    proposal: Proposal
    forecast: float  # by the exponential of the probe whose rate was taken
    loss: float  # by the law, after its last update


@dataclass(frozen=True, eq=False)
class Simulated:
    """A run as AutoLRS would have trained it, had the law been the truth."""

    schedule: Knots
    loss: float  # by the law, after the last update
    stages: tuple[Trained, ...]
    probed: int  # updates spent on probes, besides those of the run


def lengths(updates: int, first: int | None = None) -> list[int]:
    """Updates of the stages of a run: each twice the one before until they are 8 times the first, the last as it fits.

    first: by default such that three stages fill the run. A remainder shorter than it goes to the last stage. Raises
    `DesignError` for a first stage of fewer updates than a probe needs, or more than there are.
    """
    first = max(updates // STAGES, FEWEST) if first is None else first
    if not FEWEST <= first <= updates:
        raise DesignError(
            f"The first stage takes {FEWEST} to {updates:,} updates, all after the warm-up, got {first:,}."
        )
    found: list[int] = []
    left = updates
    while left > 0:
        wanted = first * 2 ** min(len(found), DOUBLINGS)
        found.append(left if left - wanted < first else wanted)
        left -= found[-1]
    return found


def simulate_stages(
    model: Model,
    search: Search,
    total: int,
    warmup: int = 0,
    first: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Simulated:
    """AutoLRS on a run of `total` updates whose losses are those of `model`.

    first: updates of the first stage, see `lengths`; its probes begin with the warm-up. noise: standard deviation of
    the log losses that probes see, drawn by `seed`. progress: told the share done and the loss so far; False stops.
    Raises `DesignError` for lengths that do not fit and like `predict`, `Cancelled` from `progress`.
    """
    if not 0 <= warmup < total:
        raise DesignError(f"The warm-up must end before the run of {total:,} updates, got {warmup:,}.")
    if not 0 <= noise < 1:
        raise DesignError(f"The noise is a share of the loss, from 0 to below 1, got {noise:g}.")
    draw, found, probed = np.random.default_rng(seed), [], 0
    rates: list[float] = []
    ends: list[int] = []
    for length in lengths(total - warmup, first):
        start = ends[-1] if ends else warmup
        ends.append(start + length)
        updates = probe_length(length)
        x = np.unique(np.rint(np.linspace(1, updates, LOGGED)))
        probes: list[Stage] = []
        after: dict[float, float] = {}
        while not (told := propose_rate(probes, search, length, rates[-1] if rates else None)).train:
            schedule = _pieces([*rates, told.rate], ends, warmup)
            losses = predict(model, schedule, np.append(start + x - 1, ends[-1] - 1))
            after[told.rate] = float(losses[-1])
            seen = losses[:-1] * np.exp(noise * draw.standard_normal(len(x)))
            probes.append(Stage(told.rate, start, ends[-1], x, seen))
            probed += updates
        rates.append(told.rate)
        forecast = next(t.loss for t in told.tried if t.rate == told.rate)
        found.append(Trained(start, ends[-1], told, forecast, after[told.rate]))
        if progress and progress(ends[-1] / total, found[-1].loss) is False:
            raise Cancelled
    return Simulated(_pieces(rates, ends, warmup), found[-1].loss, tuple(found), probed)


def _pieces(rates: Sequence[float], ends: Sequence[int], warmup: int) -> Knots:
    """Constant pieces up to each end, after a warm-up to the first rate."""
    steps, values = [0], [rates[0]]
    for end, rate, after in zip(ends, rates, [*rates[1:], None], strict=True):
        if after is None:
            steps, values = [*steps, end], [*values, rate]
        elif after != rate:
            steps, values = [*steps, end, end], [*values, rate, after]
    return Knots(steps=tuple(steps), values=tuple(values), warmup=warmup)


@dataclass(frozen=True)
class Rival:
    """A schedule to hold a simulated run against, and its final loss under the same law."""

    name: str
    schedule: Schedule
    loss: float


def rivals(model: Model, search: Search, total: int, warmup: int = 0, progress: Progress | None = None) -> list[Rival]:
    """The best constant rate of the range; the best simple family and the best curve with its highest rate as the peak.

    The latter two, which may fall to 0, are missing for laws that free curves are not searched under. progress: as of
    `find`.
    """

    def constant(log_rate: float) -> Constant:
        return Constant(float(f"{np.exp(log_rate):.6g}"), warmup=warmup, total=total)

    def loss(log_rate: float) -> float:
        return float(predict(model, constant(log_rate))[0])

    ends = float(np.log(search.low)), float(np.log(search.high))
    inner = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-3})
    best = min((*ends, float(inner.x)), key=loss)
    held = Rival("best constant", constant(best), loss(best))
    try:
        found = find(model, Limits(search.high, total, warmup), progress=progress)
    except DesignError:
        return [held]
    curve = Rival("best curve", found.best.schedule, found.best.loss)
    if found.simple is None:
        return [held, curve]
    return [held, Rival(f"best {found.simple.schedule.family}", found.simple.schedule, found.simple.loss), curve]


def simulate_with_rivals(
    model: Model, search: Search, total: int, warmup: int = 0, progress: Progress | None = None
) -> tuple[Simulated, list[Rival]]:
    """`simulate_stages` without noise, and its `rivals`. Each is half of what `progress` is told."""

    def part(done: float) -> Progress | None:
        return None if progress is None else lambda share, best: progress(done + share / 2, best)

    return simulate_stages(model, search, total, warmup, progress=part(0.0)), rivals(
        model, search, total, warmup, part(0.5)
    )

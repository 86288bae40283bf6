"""AutoLRS (Jin et al. 2021, arXiv:2105.10762): training in stages of constant rate, each found by short probes.

Before a stage of τ updates, several rates are tried for τ/10 updates each from one checkpoint. An **exponential**
through the losses of a probe forecasts what its rate gives after τ updates; a **Gaussian process** over the logarithm
of the rate says where to probe next, by the lower confidence bound; then the stage is trained at the best rate tried.
`simulate_stages` plays this against a fitted law, which knows what losses any schedule would have given.

As in the authors' program: c + a·exp(−e^β·x); losses far from a smooth spline of degree 2 left out in ten rounds, the
worst 3 % in each, in the first half alone; ten probes; a bound that weighs the deviation so heavily that probes go
where least is known; stages that double until they are eight times the first. Otherwise: the spline has few knots and
only finds outliers; the losses themselves are fitted, by Huber's loss with the exact Jacobian; c is not below 0, and no
time constant is longer than the stage; the process knows how sure each forecast is; a probe that diverged counts as
the worst loss seen, not as a million, next to which all others would look alike; and nothing is drawn at random.

What to expect. A probe of a dozen losses says little; an interval counts their noise alone, not that a loss curve is
no exponential. And each stage is chosen for its own end, where a low rate looks better than it is for the run: decays
come too early, the run need not even beat the best constant rate, and a shape that decays once, at the end, does
better under the laws here.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_lsq_spline
from scipy.optimize import least_squares, minimize_scalar
from scipy.special import stdtrit

from .errors import Cancelled, DesignError
from .fits import Model
from .optimize import Limits, find
from .optimize.progress import Progress
from .parallel import one_thread
from .prediction import predict
from .runs import Run
from .schedules import Constant, Knots, Schedule, number
from .schedules.base import FloatArray
from .uncertainty import LEVEL, QUANTILE

SAME = 1e-6  # relative difference up to which two rates are one
FEWEST = 5  # losses that an exponential needs: three coefficients, and something to judge them by
ROUNDS, WORST = 10, 0.03  # of leaving outliers out, and the share that each may take
TUNED = 1.345  # standard deviations from which on Huber's loss is linear: 95 % efficient under Gaussian noise
SLOWEST = 1.0  # longest time constant in stages: beyond it, noise makes straight lines into the blue
REACH = 10.0  # by which the lowest rate lies below the highest, where nobody says
PROBES, SHARE = 10, 0.1  # probes of a stage, and the share of its updates that each takes
KAPPA = 1e6  # weight of the standard deviation in the bound; this large, the mean has no part in it
GRID = 161  # rates at which the process is looked at
APART = 0.01  # share of the loss that rates may make a difference of, before the probes say more
NARROW, WIDE = np.log(1.5), np.log(1e3)  # correlation lengths of the process, in log rate
DOUBLINGS = 3  # of a stage's length; after them it stays
STAGES = 7  # first lengths, 1 + 2 + 4 of them: by default a run takes three stages, since more would decay sooner
LOGGED = 60  # losses that a simulated probe logs, at most


@dataclass(frozen=True, eq=False)
class Stage:
    """Updates `start` to `end` − 1 at one rate, and the losses that were seen after them."""

    rate: float
    start: int
    end: int
    x: FloatArray  # (n,) updates of the stage that each loss has behind it, from 1
    loss: FloatArray  # (n,)

    @property
    def length(self) -> int:
        """In updates, seen or planned."""
        return self.end - self.start

    @property
    def reached(self) -> float | None:
        """The median of its last losses; None without any."""
        return float(np.median(self.loss[-FEWEST:])) if len(self.loss) else None

    def hindsight(self, share: float = SHARE) -> "Exponential | None":
        """What a probe of a share of its updates would have forecast; None where that has too few losses."""
        early = self.x <= share * self.length
        if early.sum() < FEWEST:
            return None
        return exponential(self.x[early], self.loss[early], self.length)


def stages_of(run: Run) -> list[Stage]:
    """The stretches of `run` after its warm-up on which the rate is constant and above 0, with their losses.

    Raises `DesignError` for a run without a learning rate or without such a stretch.
    """
    if run.plan is None:
        raise DesignError(f"Run {run.name!r} has no learning rate, logged or declared; declare its schedule first.")
    schedule, found = run.plan.schedule, []
    first = schedule.warmup_end
    edges = [first, *(b for b in schedule.breaks if b > first)]
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        rates = schedule(np.linspace(start, end - 1, 9).round())
        rate = float(rates[0])
        if end - start < 2 or rate <= 0 or np.ptp(rates) > SAME * rate:
            continue
        if found and found[-1][2] == start and abs(found[-1][0] / rate - 1) <= SAME:
            found[-1] = (found[-1][0], found[-1][1], end)
        else:
            found.append((rate, start, end))
    if not found:
        raise DesignError(
            f"Run {run.name!r} has no stage: after the warm-up its rate is nowhere constant for two updates."
        )
    return [_stage(run, *place) for place in found]


@dataclass(frozen=True, eq=False)
class Next:
    """The stage that a run has before it."""

    start: int
    length: int
    rate: float  # of the update before
    stages: tuple[Stage, ...]  # those before, up to `start`


def next_stage(run: Run, start: int | None = None) -> Next:
    """The stage of `run` from update `start` on, by default the one after its last loss: as long as AutoLRS has it.

    That is twice the stage before, at most 8 times the first. Raises `DesignError` like `stages_of`, and for a start
    that no stage comes before.
    """
    known = stages_of(run)
    start = int(run.steps[-1]) + 1 if start is None else start
    past = [_stage(run, s.rate, s.start, min(s.end, start)) for s in known if s.start < start]
    if not past:
        raise DesignError(
            f"Run {run.name!r} has no stage before update {start:,}; its first begins with update {known[0].start:,}."
        )
    length = min(2 * past[-1].length, 2**DOUBLINGS * past[0].length)
    return Next(start, length, float(run.plan.schedule(start - 1)), tuple(past))


def probe_of(run: Run, start: int, length: int, updates: int | None = None) -> Stage:
    """The losses of `run` as a probe of a stage of `length` updates from update `start` on.

    updates: how many of them count, by default all at that rate. Raises `DesignError` where the rate is not constant
    from there on, or for too few losses.
    """
    held = next((s for s in stages_of(run) if s.start <= start < s.end), None)
    if held is None:
        raise DesignError(f"Run {run.name!r} is no probe of a stage from update {start:,} on: its rate changes there.")
    most = min(held.end - start, length if updates is None else updates)
    found = replace(_stage(run, held.rate, start, start + most), end=start + length)
    if len(found.loss) < FEWEST:
        raise DesignError(
            f"Run {run.name!r} has {len(found.loss)} losses in the {most:,} updates from {start:,} on; a probe needs "
            f"{FEWEST}."
        )
    return found


def _stage(run: Run, rate: float, start: int, end: int) -> Stage:
    inside = (run.steps >= start) & (run.steps < end)
    return Stage(rate, start, end, run.steps[inside] - start + 1.0, run.loss[inside])


@dataclass(frozen=True, eq=False)
class Exponential:
    """c + a·exp(−b·x) through the losses of a stage, x updates after its start."""

    c: float
    a: float
    b: float  # per update
    spread: FloatArray  # (3, 3) covariance of c, a and log b
    freedom: float  # degrees of freedom behind it
    kept: NDArray[np.bool_]  # (n,) losses that are no outliers

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Losses after `x` updates of the stage, of any shape."""
        return self.c + self.a * np.exp(-self.b * np.asarray(x, dtype=float))

    def error(self, x: ArrayLike) -> FloatArray:
        """Standard error of that, of the shape of `x`."""
        J = _jacobian(self.a, self.b, np.asarray(x, dtype=float))
        return np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", J, self.spread, J), 0.0))

    def interval(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """90 % interval of the loss without its noise, each of the shape of `x`."""
        half = stdtrit(self.freedom, (1 + LEVEL) / 2) * self.error(x)
        return self(x) - half, self(x) + half


def exponential(x: ArrayLike, loss: ArrayLike, end: float) -> Exponential:
    """The exponential through losses (n,) after `x` (n,) updates of a stage, to be asked for its loss after `end`.

    By Huber's loss on the losses that `inliers` keeps. Raises `DesignError` for fewer than `FEWEST` losses, one that is
    not finite, updates that do not rise from above 0, or an end not above 0.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(loss, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise DesignError(f"The losses of a stage need one update each, got shapes {y.shape} and {x.shape}.")
    if len(y) < FEWEST:
        raise DesignError(f"The forecast of a stage needs at least {FEWEST} losses, got {len(y)}.")
    if not np.isfinite(y).all():
        bad = int(np.argmin(np.isfinite(y)))
        raise DesignError(f"The forecast of a stage needs finite losses, got {y[bad]} after {x[bad]:g} updates.")
    if not (x[0] > 0 and (np.diff(x) > 0).all() and np.isfinite(x[-1])):
        raise DesignError("The updates of a stage must rise strictly from above 0.")
    if not 0 < end < np.inf:
        raise DesignError(f"The end of a stage must be a finite number of updates above 0, got {end:g}.")
    kept = inliers(x, y)
    X, Y = x[kept], y[kept]
    low, high = -np.log(max(SLOWEST * end, x[-1])), np.log(4 / np.diff(x).min())
    floor = 0.0 if y.min() >= 0 else -np.inf

    def residual(p: FloatArray) -> FloatArray:
        return p[0] + p[1] * np.exp(-np.exp(p[2]) * X) - Y

    def slope(p: FloatArray) -> FloatArray:
        return _jacobian(p[1], np.exp(p[2]), X)

    grid = [_linear(X, Y, beta) for beta in np.linspace(low, high, 24)[1:-1]]
    start = min(grid, key=lambda p: float((residual(p) ** 2).sum()))
    ends = ([floor, -np.inf, low], [np.inf, np.inf, high])
    plain = least_squares(residual, np.maximum(start, ends[0]), slope, ends, x_scale="jac")
    delta = TUNED * max(_scale(plain.fun), 1e-12 * float(np.abs(y).max()))  # rounding is the least of noises
    c, a, beta = least_squares(residual, plain.x, slope, ends, x_scale="jac", loss="huber", f_scale=delta).x
    b = float(np.exp(beta))
    return Exponential(float(c), float(a), b, *_spread(x, y - c - a * np.exp(-b * x), kept, a, b, delta), kept)


def _spread(
    x: FloatArray, off: FloatArray, kept: NDArray[np.bool_], a: float, b: float, delta: float
) -> tuple[FloatArray, float]:
    """Covariance of c, a and log b, (3, 3), and degrees of freedom, from the residuals `off` (n,) of all losses.

    Neighbours' correlation, of the first order and freed from the bias that fitting leaves, makes losses count less.
    """
    n, power = len(off), float((off**2).sum())
    rho = float(np.clip((off[1:] * off[:-1]).sum() / power + 4 / n, 0, 0.95)) if power else 0.0
    each = (1 + rho) / (1 - rho)  # losses that count as one
    weight = np.minimum(1, delta / np.maximum(np.abs(off[kept]), 1e-300))
    J = _jacobian(a, b, x[kept])
    variance = _scale(off) ** 2 * n / (n - 3) / 0.95 * each
    return variance * np.linalg.pinv(J.T @ (weight[:, None] * J), hermitian=True), max(n / each - 3, 1.0)


def _scale(off: FloatArray) -> float:
    """Standard deviation of residuals, from their median."""
    return 1.4826 * float(np.median(np.abs(off)))


def _jacobian(a: float, b: float, x: FloatArray) -> FloatArray:
    """Derivatives by c, a and log b, (..., 3)."""
    e = np.exp(-b * x)
    return np.stack((np.ones_like(e), e, -a * b * x * e), axis=-1)


def _linear(x: FloatArray, y: FloatArray, beta: float) -> FloatArray:
    """The best c and a for a given log b: coefficients (3,)."""
    e = np.exp(-np.exp(beta) * x)
    return np.append(np.linalg.lstsq(np.stack((np.ones_like(e), e), axis=1), y, rcond=None)[0], beta)


def inliers(x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
    """Which losses (n,) to keep: in each round those go that lie farthest from a spline through the others.

    Only losses of the first half may go, since the second carries the forecast; of fewer than 17, none.
    """
    keep, half = np.ones(len(y), bool), len(y) // 2
    for _ in range(ROUNDS):
        at = np.flatnonzero(keep)
        if not (count := round(WORST * len(at))):
            break
        off = np.abs(y[at] - _spline(x[at], y[at]))
        worst = at[np.argsort(off, kind="stable")[-count:]]
        keep[worst[worst < half]] = False
    return keep


def _spline(x: FloatArray, y: FloatArray) -> FloatArray:
    """Values (n,) of the spline of degree 2 with three inner knots, closer at the start, where a stage bends."""
    n = len(x)
    knots = np.concatenate((3 * [x[0]], x[[n // 8, n // 4, n // 2]], 3 * [x[-1]]))
    return make_lsq_spline(x, y, knots, k=2)(x)


@dataclass(frozen=True)
class Search:
    """Rates among which a stage's is sought, and how."""

    low: float
    high: float
    probes: int = PROBES  # for each stage
    kappa: float = KAPPA

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < np.inf:
            raise DesignError(
                f"Rates are sought between two above 0, the lower one first, got {self.low:g} and {self.high:g}."
            )
        if not 2 <= self.probes <= 100:
            raise DesignError(f"A stage takes 2 to 100 probes, got {self.probes}.")
        if not 0 <= self.kappa < np.inf:
            raise DesignError(f"The weight of the standard deviation must be 0 or more, got {self.kappa:g}.")


@dataclass(frozen=True)
class Tried:
    """A probe, and the loss that its rate is forecast to have after the stage."""

    rate: float
    loss: float
    error: float  # standard error; 0 for one that diverged
    diverged: bool = False


@dataclass(frozen=True, eq=False)
class Proposal:
    """What to do next: probe `rate`, or train the stage with it. With what is known of all rates (grid,)."""

    rate: float
    train: bool
    tried: tuple[Tried, ...]
    rates: FloatArray  # ascending
    mean: FloatArray | None  # loss after the stage; None before the first probe
    deviation: FloatArray | None

    @property
    def band(self) -> tuple[FloatArray, FloatArray]:
        """90 % band of the loss after the stage, at the rates."""
        return self.mean - QUANTILE * self.deviation, self.mean + QUANTILE * self.deviation


def propose_rate(probes: Sequence[Stage], search: Search, length: int, usual: float | None = None) -> Proposal:
    """The next rate to probe for a stage of `length` updates; after `search.probes` of them, the one to train it with.

    probes: what was tried, each with its losses so far; one that is not finite tells a probe that diverged. usual: the
    rate of the stage before, which is probed first; by default the middle of the range. Raises `DesignError` for a
    probe of too few losses, and when all diverged.
    """
    rates = np.geomspace(search.low, search.high, GRID)
    if not probes:
        first = np.sqrt(search.low * search.high) if usual is None else usual
        return Proposal(_rounded(first, search), False, (), rates, None, None)
    tried = forecasts(probes, length)
    at, mean, deviation = _process(tried, rates)
    if len(tried) >= search.probes:  # the process smooths what is noise in the forecasts
        best = tried[int(np.argmin(np.where([t.diverged for t in tried], np.inf, at)))]
        return Proposal(best.rate, True, tried, rates, mean, deviation)
    bound = mean - search.kappa * deviation
    # A rate whose forecast is vague is not probed once more: half of what would part all probes lies between two.
    gap = np.log(search.high / search.low) / (2 * search.probes)
    near = np.abs(np.log(rates[:, None] / [t.rate for t in tried])).min(axis=1) < gap
    rate = rates[int(np.argmin(np.where(near, np.inf, bound)))]
    return Proposal(_rounded(rate, search), False, tried, rates, mean, deviation)


def _rounded(rate: float, search: Search) -> float:
    """Three digits of a rate, within the range."""
    return float(np.clip(float(f"{rate:.3g}"), search.low, search.high))


def forecasts(probes: Sequence[Stage], length: int) -> tuple[Tried, ...]:
    """The loss of each probe after `length` updates. Raises `DesignError` like `propose_rate`."""
    found: list[Tried | None] = []
    for probe in probes:
        found.append(_forecast(probe, length) if np.isfinite(probe.loss).all() else None)
    if not any(found):
        raise DesignError(f"All {len(found)} probes diverged; lower the highest rate.")
    worst = max(max(t.loss, *p.loss) for t, p in zip(found, probes, strict=True) if t)
    return tuple(t or Tried(p.rate, worst, 0.0, True) for t, p in zip(found, probes, strict=True))


@lru_cache(maxsize=256)  # a search asks for those of all its probes before each of them
def _forecast(probe: Stage, length: int) -> Tried:
    try:
        told = exponential(probe.x, probe.loss, length)
    except DesignError as fault:
        raise DesignError(f"The probe at {number(probe.rate)}: {fault}") from None
    return Tried(probe.rate, float(told(length)), float(told.error(length)))


def _process(tried: Sequence[Tried], rates: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A Gaussian process through forecasts over log rate: means at the tried rates, means and deviations at `rates`."""
    from sklearn.exceptions import ConvergenceWarning  # half a second, for this alone
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    x, y, error = np.log([t.rate for t in tried]), *np.array([(t.loss, t.error) for t in tried]).T
    weight = 1 / (error**2 + max(np.median(error), APART * np.abs(y).min()) ** 2)
    level = float(np.average(y, weights=weight))
    unit = max(float(np.sqrt(np.average((y - level) ** 2, weights=weight))), APART * abs(level), 1e-12)
    noise = np.minimum(error / unit, 1e3) ** 2 + 1e-8
    kernel = ConstantKernel(1.0, (1e-4, 1e2)) * Matern(1.0, (NARROW, WIDE), nu=2.5) + WhiteKernel(1e-4, (1e-8, 1.0))
    process = GaussianProcessRegressor(kernel, alpha=noise, optimizer="fmin_l_bfgs_b" if len(y) > 2 else None)
    # One thread: for matrices this small, several take up to a hundred times as long.
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length on its bound
        process.fit(x[:, None], (y - level) / unit)
    mean, deviation = process.predict(np.log(rates)[:, None], return_std=True)
    hidden = np.sqrt(np.maximum(deviation**2 - process.kernel_.k2.noise_level, 0.0))
    return level + unit * process.predict(x[:, None]), level + unit * mean, unit * hidden


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
    found, left = [], updates
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
    draw, found, rates, ends, probed = np.random.default_rng(seed), [], [], [], 0
    for length in lengths(total - warmup, first):
        start = ends[-1] if ends else warmup
        ends.append(start + length)
        updates = max(FEWEST, round(SHARE * length))
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
    simple = Rival(f"best {found.simple.schedule.family}", found.simple.schedule, found.simple.loss)
    return [held, simple, Rival("best curve", found.best.schedule, found.best.loss)]

"""What a whole schedule amounts to, in five numbers: the schedule functionals of Opt-Laws (reconstruction).

They come from the stochastic differential equation that Opt-Laws starts from (Xie et al. 2024, arXiv:2409.04777). Which
functionals that paper uses, and how, is reconstructed: it was not checked against its full text.
With updates k = 0..T−1, their rates η_k, and S_k = Σ_{i≤k} η_i, S_T the sum of all of them:

    I1 = Σ η_k                                convergence: how far training gets
    I2 = Σ η_k²                               noise let in, none of it forgotten
    V_μ = Σ η_k² e^{−2μ (S_T − S_k)}          noise that is left at the end, forgotten at one pace
    V_K = Σ η_k² (1 + c (S_T − S_k))^{−ρ}     noise that is left at the end, forgotten at many paces
    E_κ = Σ η_k e^{−κ/η_k}                    escape: how often the run could have been thrown out of its valley

The theory has integrals over time; here they are sums over updates, which is what an optimiser does. The two differ by
half the jump of the integrand between the ends of the schedule, a share of about 1/T; of V_μ also by a share μη, since
noise forgotten within one update is not resolved by an integral.

A schedule is cut into panels on which all of this is smooth, graded towards the end, where memories are short. On each
panel a Gauss rule for sums over integers stands for all its updates. So a schedule has some hundreds of nodes whether
it has a thousand updates or a billion, and functionals with any coefficients are sums over the same nodes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arrays import FloatArray, IntArray
from ...errors import OptLawsError, may_end_here
from ...schedules import Schedule
from ...text import counted
from .clocks import ETA_REF
from .panels import Panels, resolved

FIRST, RATIO = 24, 1.6  # first cuts of a schedule: this many updates before the end, and so much further each time
STEEPEST = 200.0  # κ over the peak up to which E_κ is exact; there it is e^{−200} of I1
BEND, SLOPE = 0.04, 0.25  # how far peak/η may change within an escape panel: this much, or this share of peak/η − 1
NEGLIGIBLE = 1e-12  # share of the summed rate below which a panel need not be cut further
STEADY = 8.0  # largest ratio of rates within a panel, for sources that contain powers of the rate
CACHED = 8192  # schedules whose nodes are kept
CACHED_NODES = 2**21  # of them all, beside those that were asked for last: 64 MiB
MOST_NODES = 8_000_000  # of all schedules that are asked for together; 5,000 over a million updates have fewer
AT_ONCE, STRETCHES_AT_ONCE = 250, 1000  # schedules whose panels are made together, and their stretches between turns
WATCHED = 64  # updates after which `highest_noise` looks at least
FADES = 6.0  # largest 2μ·summed rate of a panel, on which the nodes resolve what is forgotten to a relative 1e-8
FORGOTTEN = 45.0  # 2μ·summed rate after which e^{−45} of the noise is left, which counts for nothing


@dataclass(frozen=True, eq=False)
class Nodes:
    """Updates that stand for all updates of one schedule or, one after another, of several."""

    eta: FloatArray  # (nodes,) learning rate
    weight: FloatArray  # (nodes,) how many updates each node stands for
    S: FloatArray  # (nodes,) summed rate up to the node
    lag: FloatArray  # (nodes,) summed rate from the node to the end, never negative
    first: IntArray  # (schedules,) first node of each schedule

    def sums(self, values: FloatArray) -> FloatArray:
        """Σ over all updates of each schedule, from values at the nodes: (…, nodes) to (…, schedules)."""
        return np.add.reduceat(values * self.weight, self.first, axis=-1)


# Which panels are fine enough, (panels,), from them and the summed rates before and after each.
Fine = Callable[[Panels, FloatArray, FloatArray, Sequence[Schedule]], NDArray[np.bool_]]
_LAG_NODES: dict[Schedule, Nodes] = {}
_ESCAPE_NODES: dict[Schedule, Nodes] = {}
_HIGHEST_NOISE: dict[tuple[Schedule, float], float] = {}


class Functionals:
    """The functionals of one or more schedules. All answers have the shape (schedules, *shape of the coefficients)."""

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        if not schedules:
            raise OptLawsError("Functionals are those of at least 1 schedule, got none.")
        self.schedules = tuple(schedules)
        self.nodes = _known(self.schedules, _LAG_NODES, _lags_resolved)
        self._escape: Nodes | None = None

    @property
    def I1(self) -> FloatArray:
        """Σ η, (schedules,), in units of the rate: the distance that the optimiser could have gone.

        Convergence: what the run had left to learn falls with this number (as e^{−2μ·I1} for one curvature μ, as a
        power of it for a spectrum of curvatures). Twice the rate for half as long gets equally far. As an integral:
        pT(1 + r)/2 for a cosine or a line from p to rp.
        """
        return self.nodes.S[np.append(self.nodes.first[1:], len(self.nodes.S)) - 1] + 0.0

    @property
    def I2(self) -> FloatArray:
        """Σ η², (schedules,), in squared units of the rate: the noise that all updates let in together.

        Every update adds noise with variance η². I2 counts it as if none were ever averaged out again, so it bounds
        the two functionals with a memory from above. As an integral: p²T(3 + 2r + 3r²)/8 for a cosine from p to rp.
        """
        return self.nodes.sums(self.nodes.eta**2)

    def V_mu(self, mu: ArrayLike) -> FloatArray:
        """Σ η_k² e^{−2μ (S_T − S_k)}: noise that is left at the end of a bowl with curvature μ (1/rate, 0 or more).

        Noise: each later update halves what is left of it after a summed rate of ln 2/(2μ). A low rate at the end
        lets little in, and a long end forgets what the high rates let in: that is why decay pays. At a constant rate
        p it settles near p/2μ. Raises `OptLawsError` for a μ below 0.
        """
        mu = _coefficients("mu", mu)
        return self._sums(lambda n, m: n.eta**2 * np.exp(-2 * m * n.lag), mu)

    def V_K(self, c: ArrayLike, rho: ArrayLike, m: ArrayLike = 0.0, g: ArrayLike = 0.0) -> FloatArray:
        """Σ η_k² S_k^m (1 + c (η_k/1e-3)^g (S_T − S_k))^{−ρ}: noise that is left where the bowl has many curvatures.

        Noise: steep directions forget within a few updates, flat ones hardly ever; together that is a power law, which
        begins after a summed rate of 1/c and falls with the power ρ. c in 1/rate, ρ without unit, both 0 or more. The
        exponents m and g, 0 in the theory, let the noise depend on how far training had come by then, and its memory
        on the rate that let it in. Coefficients are broadcast. Raises `OptLawsError` for c or ρ below 0.
        """
        c, rho = _coefficients("c", c), _coefficients("rho", rho)
        m, g = (_coefficients(name, v, low=-np.inf) for name, v in (("m", m), ("g", g)))
        return self._sums(_remembered, *np.broadcast_arrays(c, rho, m, g))

    def E_kappa(self, kappa: ArrayLike) -> FloatArray:
        """Σ η e^{−κ/η}: exposure to escape over a barrier κ (in units of the rate, 0 or more), at most I1.

        Escape: noise kicks the weights over a ridge of height H with a rate of about η e^{−κ/η}, κ = 2H/σ². That
        hardly ever happens while η is far below κ and often once it is not: the highest rates decide. The probability
        of an escape is 1 − exp(−C·E_κ). Exact up to κ of 200 times the peak. As an integral over a line from p to rp:
        T/(p(1−r))·[F(p) − F(rp)] with F(x) = ½(x² − κx)e^{−κ/x} + ½κ²·E₁(κ/x). Raises `OptLawsError` for a κ below 0.
        """
        kappa = _coefficients("kappa", kappa)
        if self._escape is None:
            self._escape = _known(self.schedules, _ESCAPE_NODES, _escapes_resolved)
        return self._sums(_escaping, kappa, nodes=self._escape)

    def highest_noise(self, mu: float) -> FloatArray:
        """max_t V_μ(t), (schedules,): the most noise that was ever left, seen after 64 updates and at every turn.

        A run diverges when its noise is high once, however low it would have been at the end. V_μ(t) is V_μ of the
        schedule cut off after update t, here exact to a relative 1e-8. Raises `OptLawsError` for a μ below 0.
        """
        mu = float(_coefficients("mu", mu))
        each = dict.fromkeys(self.schedules)
        found = {s: most for s in each if (most := _HIGHEST_NOISE.get((s, mu))) is not None}
        new = [s for s in each if s not in found]
        for some in _some_at_a_time(new):
            found.update(zip(some, _highest(some, mu).tolist(), strict=True))
        if len(_HIGHEST_NOISE) + len(new) > CACHED:
            _HIGHEST_NOISE.clear()
        _HIGHEST_NOISE.update({(s, mu): found[s] for s in new})
        return np.array([found[s] for s in self.schedules])

    def _sums(self, source, *coefficients: FloatArray, nodes: Nodes | None = None) -> FloatArray:
        """Sums of source(nodes, *coefficients), one set of coefficients at a time, so that memory stays small."""
        nodes = nodes or self.nodes
        found = [nodes.sums(source(nodes, *each)) for each in zip(*map(np.ravel, coefficients), strict=True)]
        return np.stack(found, axis=-1).reshape(len(self.schedules), *coefficients[0].shape)


def functionals(*schedules: Schedule) -> Functionals:
    """Functionals of the given schedules; what was found out about a schedule is kept and used again."""
    return Functionals(schedules)


def _remembered(n: Nodes, c: float, rho: float, m: float, g: float) -> FloatArray:
    noise = n.eta**2 if m == 0 else n.eta**2 * np.where(n.eta > 0, n.S, 1.0) ** m
    pace = 1.0 if g == 0 else np.where(n.eta > 0, n.eta / ETA_REF, 1.0) ** g
    return noise * (1 + c * pace * n.lag) ** -rho


def _escaping(n: Nodes, kappa: float) -> FloatArray:
    return n.eta * np.exp(-kappa / np.where(n.eta > 0, n.eta, np.inf))


def _coefficients(name: str, value: ArrayLike, low: float = 0.0) -> FloatArray:
    value = np.asarray(value, dtype=float)
    wrong = ~((value >= low) & (value < np.inf))  # NaN fails every comparison
    if wrong.any():
        rule = "finite" if np.isinf(low) else f"at least {low:g}"
        raise OptLawsError(f"{name} must be {rule}, got {value[wrong].flat[0]:g}.")
    return value


def _joined(parts: Sequence[Nodes]) -> Nodes:
    sizes = [len(p.eta) for p in parts]
    eta, weight, S, lag = (np.concatenate([getattr(p, f) for p in parts]) for f in ("eta", "weight", "S", "lag"))
    return Nodes(eta, weight, S, lag, np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64))


def _known(schedules: Sequence[Schedule], kept: dict[Schedule, Nodes], fine: Fine) -> Nodes:
    """Nodes of the schedules, from those kept and, for all others at once, new ones."""
    each = dict.fromkeys(schedules)
    found = {s: nodes for s in each if (nodes := kept.get(s)) is not None}
    new = [s for s in each if s not in found]
    for some in _some_at_a_time(new):
        found.update(zip(some, _nodes(some, fine), strict=True))
        if sum(len(nodes.eta) for nodes in found.values()) > MOST_NODES:
            raise OptLawsError(
                f"The rates of these {counted(len(each), 'schedule')} have too many kinks and jumps to be summed over "
                "together; take fewer schedules, or simpler ones."
            )
    if len(kept) + len(new) > CACHED or sum(len(nodes.eta) for nodes in list(kept.values())) > CACHED_NODES:
        kept.clear()
    kept.update({s: found[s] for s in new})
    return _joined([found[s] for s in schedules])


def _some_at_a_time(schedules: Sequence[Schedule]) -> Iterator[list[Schedule]]:
    """The schedules in groups, so that panels in the making stay small; between two of them the work may be ended."""
    some: list[Schedule] = []
    stretches = 0
    for s in schedules:
        own = len(s.breaks)
        if some and (len(some) == AT_ONCE or stretches + own > STRETCHES_AT_ONCE):
            yield some
            some, stretches = [], 0
            may_end_here()
        some.append(s)
        stretches += own
    if some:
        yield some


def _nodes(schedules: Sequence[Schedule], fine: Fine) -> list[Nodes]:
    panels = Panels.of(schedules, *_first_cuts(schedules))
    panels = panels.refined(schedules, lambda p: fine(p, *p.before_and_after(), schedules))
    before, after = panels.before_and_after()
    lag = panels.past + after[:, None]
    S = np.maximum(before[:, None] + panels.size[:, None] - panels.past, 0.0)
    used = panels.weight > 0
    flat = [v[used] for v in (panels.eta, panels.weight, S, np.maximum(lag, 0.0))]
    ends = np.cumsum(np.bincount(np.repeat(panels.owner, used.sum(axis=1)), minlength=len(schedules)))[:-1]
    parts = zip(*(np.split(v, ends) for v in flat), strict=True)
    return [Nodes(eta, weight, S, lag, np.zeros(1, np.int64)) for eta, weight, S, lag in parts]


def _lags_resolved(p: Panels, before: FloatArray, after: FloatArray, schedules) -> NDArray[np.bool_]:
    """Panels on which functions of lag, of S and of powers of the rate change little enough."""
    most = p.eta.max(axis=1)
    steady = (p.ends.min(axis=1) * STEADY >= most) | (p.size <= NEGLIGIBLE * (before + p.size + after))
    return resolved(p.size, after, p.size, before) & steady


def _escapes_resolved(p: Panels, before: FloatArray, after: FloatArray, schedules) -> NDArray[np.bool_]:
    """Panels on which peak/rate changes little, or that count for nothing with any κ.

    With a = κ/peak and x = peak/rate, a panel's share of E_κ is at most e^{−a(x−1)}. Where it counts, a(x − 1) is below
    some 40, so that an interval of SLOPE·(x − 1) changes the exponent by 10 at most, which the nodes resolve.
    """
    peak = np.array([s.peak for s in schedules])[p.owner]
    # a smooth panel turns by little: it is halved until a polynomial of low degree fits
    low, high = np.minimum(p.ends.min(axis=1), p.eta.min(axis=1)), np.maximum(p.ends.max(axis=1), p.eta.max(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        x, spread = peak / high, peak / low - peak / high
        gentle = spread <= np.maximum(BEND, SLOPE * (x - 1))
    return gentle | (p.size <= NEGLIGIBLE * (before + p.size + after))


def _first_cuts(schedules: Sequence[Schedule]) -> tuple[IntArray, IntArray, IntArray]:
    """Owners, starts and lengths of the stretches of each schedule, cut at ever larger distances from its end."""
    owner: list[IntArray] = []
    start: list[IntArray] = []
    length: list[IntArray] = []
    for i, s in enumerate(schedules):
        lags = FIRST * RATIO ** np.arange(max(0.0, np.ceil(np.log(s.total / FIRST) / np.log(RATIO))))
        edges = np.unique(np.concatenate((np.array(s.breaks), s.total - lags.astype(np.int64), np.array([s.total]))))
        owner.append(np.full(len(edges) - 1, i))
        start.append(edges[:-1])
        length.append(np.diff(edges))
    return np.concatenate(owner), np.concatenate(start), np.concatenate(length)


def _highest(schedules: Sequence[Schedule], mu: float) -> FloatArray:
    """max_t V_μ(t), (schedules,), panel by panel: what was left is forgotten a little, and new noise comes in.

    Panels are resolved near the updates at which noise is looked at. What lies between two of them, so far from both
    that its noise is forgotten by then, may be coarse: cost grows with the logarithm of the number of updates.
    """
    cuts = [_watched_ends(s) for s in schedules]
    owner = np.repeat(np.arange(len(schedules)), [len(c) - 1 for c in cuts])
    start, length = (np.concatenate([f(c) for c in cuts]) for f in (lambda c: c[:-1], np.diff))
    panels = Panels.of(schedules, owner, start, length).refined(
        schedules, lambda p: _forgotten(p, cuts, mu) | (2 * mu * p.size <= FADES)
    )
    coarse = _forgotten(panels, cuts, mu)
    gain = (panels.weight * panels.eta**2 * np.exp(-2 * mu * panels.past)).sum(axis=1)
    kept = np.exp(-2 * mu * panels.size)
    first = np.searchsorted(panels.owner, np.arange(len(schedules) + 1))
    left, most = np.zeros(len(schedules)), np.zeros(len(schedules))
    for i in range(np.diff(first).max()):
        here = np.flatnonzero(first[:-1] + i < first[1:])
        at = first[here] + i
        left[here] = left[here] * kept[at] + gain[at]
        most[here] = np.where(coarse[at], most[here], np.maximum(most[here], left[here]))
    return most


def _forgotten(p: Panels, cuts: Sequence[IntArray], mu: float) -> NDArray[np.bool_]:
    """Panels far from both ends of their stretch, (panels,): `cuts` are the ends of the stretches of each schedule."""
    span = 1 + max(int(c[-1]) for c in cuts)
    ends = np.concatenate([i * span + c for i, c in enumerate(cuts)])
    stretch = np.searchsorted(ends, p.owner * span + p.start, side="right")
    summed = np.append(0.0, np.cumsum(p.size))
    before = summed[:-1] - summed[np.searchsorted(stretch, stretch)]
    after = summed[np.searchsorted(stretch, stretch, side="right")] - summed[1:]
    return 2 * mu * np.minimum(before, after) >= FORGOTTEN


def _watched_ends(schedule: Schedule) -> IntArray:
    """Ends, exclusive, of the stretches after which noise is looked at, from 0."""
    last = schedule.total - 1
    spread = np.concatenate((np.geomspace(1, last + 1, WATCHED // 2) - 1, np.linspace(0, last, WATCHED // 2)))
    steps = np.concatenate((spread, schedule.breaks)).astype(np.int64)
    return np.unique(np.concatenate(([0], np.clip(steps, 0, last) + 1, schedule.breaks)))


__all__ = ["Functionals", "Nodes", "functionals"]

"""Final-loss laws of Opt-Laws (reconstruction): the loss at the end of a run, across sizes, data and schedules.

They are fitted to a table with one row a run. That a final loss follows from features of convergence and escape is the
claim of Xie et al. 2024 (arXiv:2409.04777), as is a vector of 16 features; which ones, and the forms below, are ours:

    log_linear   log L is linear in the logarithms of the functionals, and in their products with log N
    structural   L = E + A n^{−α} + F I1^{−β} + (C V_K / b)^ω n^γ + P (p/1e-3)^h n^k
    sublinear    L = E + A n^{−α} + F (I1 √b)^{−β} + (C V / √b)^ω n^γ
                 with V = Σ η_k² S_k^m (1 + c √b (η_k/1e-3)^g (S_T − S_k))^{−ρ}

N is the model size, n = N/N0, B the tokens of an update, b = B/B0, p the peak rate; N0 and B0 are geometric means over
the training runs. Read `sublinear` from left to right: what no run gets below, what a larger model would gain, what
more training would gain, and the noise that the schedule leaves. Its memory depends on the rate at which noise came
in, as in the curve law of the same name. A larger batch gets further with every update and leaves less noise, both with
√B, as under Adam, where updates have one size whatever the batch (Malladi et al. 2022, arXiv:2205.10287).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from .errors import DesignError, FitError, OptLawsError
from .fits import Coverage, Status, stored
from .functionals import functionals
from .laws import Param
from .run_table import TableRun, fold
from .runs import Plan
from .schedules.base import FloatArray
from .trace import ETA_REF

HUBER = 3e-3  # log residuals beyond 0.3 % count linearly
# How much the priors count. The value was set where sizes of lr_scheduling that are left out are predicted best, so to
# that degree those scores are chosen; left-out runs and families hardly depend on it.
STRENGTH = 3.0
STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # those tried where left-out training runs are to choose
TRIAL, MOST = 12, 200  # evaluations of each starting point, and to the end
QUANTILE = 1.645  # of a 90 % band
NEAR_BOUND = 1e-3  # of the searched width
MU = np.geomspace(0.3, 3e3, 13)  # 1/rate, curvatures that `log_linear` tries
HEIGHTS = np.geomspace(0.01, 3.0, 7)  # κ over the median peak
RIDGES = np.geomspace(1e-6, 1.0, 13)  # share of the squared norm of a feature


# Coefficients. Priors hold a coefficient where runs do not tell; a standard deviation is that at a strength of 1.
# Centres of ω, ρ, m, g and γ were fitted to the sweep that ships with this project (142 finished runs of three sizes
# from a random start, final loss below 2.4, before the batch entered as √b); all others are wide.
_COMMON = (
    Param("E", "E", "loss that no run gets below", 0.05, 5.0, "log", prior=(1.5, 1.5)),
    Param("A", "A", "what a model of size N0 loses to an unlimited one", 2e-3, 7.0, "log", prior=(0.37, 3.0)),
    Param("alpha", r"\alpha", "how fast the loss falls with the model size", 0.01, 2.0, prior=(0.3, 0.6)),
    Param("F", "F", "size of the part that training removes", 2e-3, 20.0, "log", prior=(0.37, 3.0)),
    Param("beta", r"\beta", "how fast the loss falls with the summed learning rate", 0.02, 2.0, prior=(0.4, 0.6)),
    Param("C", "C", "strength of the noise", 1e-8, 1e17, "log", prior=(3e3, 15.0)),
    Param("c", "c", "how soon noise begins to be forgotten, per summed rate", 0.05, 1e7, "log", prior=(150, 6.0)),
    Param("rho", r"\rho", "how fast old noise is forgotten", 0.05, 5.0, "log", prior=(1.0, 0.3)),
    Param("omega", r"\omega", "power of the noise that the loss takes", 0.02, 1.6, "log", prior=(0.48, 0.3)),
    Param("gamma", r"\gamma", "how noise grows with the model size", -1.0, 1.0, prior=(0.22, 0.15)),
)
_MEMORY = (
    Param("m", "m", "how the noise changes with the summed rate so far", -2.0, 2.0, prior=(-0.45, 0.3)),
    Param("g", "g", "how much faster noise of a higher rate is forgotten", -2.0, 2.0, prior=(-0.3, 0.3)),
)
_PEAK = (
    Param("P", "P", "price of a peak of 1e-3", 6e-6, 2.7, "log", prior=(0.018, 3.0)),
    Param("h", "h", "how the price grows with the peak", -3.0, 6.0, prior=(1.0, 1.5)),
    Param("k", "k", "how the price grows with the model size", -2.0, 2.0, prior=(0.0, 0.9)),
)
# Starts differ in how the noise is remembered, on which the search is not convex.
_STARTS: tuple[Mapping[str, float], ...] = (
    {},
    {"c": 3000.0, "rho": 0.8, "C": 2e4},
    {"omega": 0.8, "C": 55.0},
    {"omega": 0.22, "C": 1e6},
)


@dataclass(frozen=True)
class FinalLaw:
    """A final-loss law: its formula in LaTeX, its coefficients, and those that are not fitted."""

    name: str
    summary: str
    latex: str
    params: tuple[Param, ...] = ()  # none for `log_linear`, whose coefficients are those of its features
    held: Mapping[str, float] = field(default_factory=dict)
    # Powers of b in the progress, in the pace of forgetting, and (to be divided by) in the noise.
    batch: tuple[float, float, float] = (0.0, 0.0, 1.0)

    @property
    def free(self) -> tuple[Param, ...]:
        return tuple(p for p in self.params if p.name not in self.held)


FINAL_LAWS = {
    law.name: law
    for law in (
        FinalLaw(
            "sublinear",
            "Size, progress and a power of the noise that the schedule leaves; best on runs that it has not seen.",
            r"L = E + A n^{-\alpha} + F (I_1 \sqrt b)^{-\beta} + \left(\tfrac{C}{\sqrt b} \sum_k \eta_k^2 S_k^m "
            r"\left(1 + c \sqrt b\, (\eta_k/10^{-3})^g (S_T - S_k)\right)^{-\rho}\right)^{\omega} n^\gamma",
            _COMMON + _MEMORY,
            {"m": -0.45},
            (0.5, 0.5, 0.5),
        ),
        FinalLaw(
            "structural",
            "Size, progress, noise and a price of the peak rate, as the stochastic differential equation has them.",
            r"L = E + A n^{-\alpha} + F I_1^{-\beta} + \left(C V_K / b\right)^{\omega} n^\gamma "
            r"+ P (p/10^{-3})^h n^k",
            _COMMON + _PEAK,
        ),
        FinalLaw(
            "log_linear",
            "A line through the logarithms of 8 features and their products with the size; a baseline.",
            r"\log L = \langle\theta, \psi \oplus \psi \log n\rangle, \quad \psi = \left(1, \log I_1, "
            r"\log(V_\mu/b), \log p, \log^2 p, \log D, \log E_\kappa, \log(a/T)\right)",
        ),
    )
}


@dataclass(frozen=True)
class FinalFit:
    """A final-loss law with coefficients, its runs, and how far to trust it. Plain values, stored as JSON."""

    law: str
    theta: Mapping[str, float]
    status: Status
    message: str
    predicted: Mapping[str, float]  # final loss by run, also of the next two
    observed: Mapping[str, float]
    rel_error: Mapping[str, float]  # predicted over observed, minus 1
    coverage: Coverage
    references: Mapping[str, float]  # N0 in parameters, B0 in tokens; for `log_linear` also what its features need
    strength: float  # of the priors, or the ridge of `log_linear`
    free: tuple[str, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()  # of the coefficients in `free`, in search coordinates
    left_out: float | None = None  # log error that 90 % of left-out training runs stay below; None: not tried

    def to_dict(self) -> dict:
        """Plain values; `from_dict` reads them back."""
        named = {f: dict(getattr(self, f)) for f in ("theta", "predicted", "observed", "rel_error", "references")}
        rest = {f: getattr(self, f) for f in ("law", "message", "strength", "free", "covariance", "left_out")}
        return rest | named | {"status": self.status.name, "coverage": asdict(self.coverage)}

    @classmethod
    def from_dict(cls, d: Mapping) -> "FinalFit":
        """A fit from `to_dict`'s values. Raises `OptLawsError` when they are not those of one."""
        try:
            law = final_law(d["law"])
            numbers = {
                f: {str(k): _finite(v, f"{f}.{k}") for k, v in d[f].items()}
                for f in ("theta", "predicted", "observed", "rel_error", "references")
            }
            free, covariance = tuple(map(str, d["free"])), tuple(tuple(map(float, row)) for row in d["covariance"])
            if {p.name for p in law.params} - set(numbers["theta"]) or np.shape(covariance) not in (
                (0,),
                (len(free),) * 2,
            ):
                raise KeyError("theta, free or covariance")
            ends = {k: None if v is None else (v[0], v[1]) for k, v in d["coverage"].items()}
            return cls(
                law=law.name, status=Status[d["status"]], message=str(d["message"]), coverage=Coverage(**ends),
                strength=_finite(d["strength"], "strength"), free=free, covariance=covariance,
                left_out=None if d["left_out"] is None else _finite(d["left_out"], "left_out"), **numbers,
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as fault:
            if isinstance(fault, OptLawsError):
                raise
            raise OptLawsError(f"This is not a final-loss fit: {type(fault).__name__} at {fault}.") from None

    def save(self, path: Path) -> None:
        """Write the fit as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load_final(path: Path) -> FinalFit:
    """A final-loss fit from a JSON file. Raises `OptLawsError` with the reason when there is none in it."""
    return stored(path, FinalFit.from_dict, "a final-loss fit is a JSON file")


def _finite(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise OptLawsError(f"This is not a final-loss fit: {name} must be a finite number, got {str(value)[:40]!r}.")
    return value


def final_law(name: str) -> FinalLaw:
    """The law of that name. Raises `OptLawsError` that lists those there are."""
    if name not in FINAL_LAWS:
        raise OptLawsError(f"Unknown final-loss law {name!r}. Known laws: {', '.join(FINAL_LAWS)}.")
    return FINAL_LAWS[name]


class _Plans:
    """What the laws need to know of plans, as arrays (runs,), and the nodes of their schedules."""

    def __init__(self, plans: Sequence[Plan], N0: float, B0: float) -> None:
        schedules = [p.schedule for p in plans]
        self.functionals = functionals(*schedules)
        self.n = np.log(np.array([p.params for p in plans], float) / N0)
        self.b = np.log(np.array([p.batch_tokens for p in plans], float) / B0)
        self.peak = np.log(np.array([s.peak for s in schedules]) / ETA_REF)
        self.I1 = np.log(self.functionals.I1)
        self.tokens = np.log(np.array([p.tokens for p in plans]))
        self.warmup = np.log(np.array([max(s.warmup_end, 1) / s.total for s in schedules]))
        nodes = self.functionals.nodes
        live = nodes.eta > 0  # an update without rate adds no noise
        run = np.repeat(np.arange(len(plans)), np.diff(np.append(nodes.first, len(nodes.eta))))[live]
        eta = nodes.eta[live]
        self.first = np.searchsorted(run, np.arange(len(plans)))
        self.run, self.rate, self.lag, self.S = run, np.log(eta / ETA_REF), nodes.lag[live], np.log(nodes.S[live])
        self.injected = np.log(nodes.weight[live]) + 2 * np.log(eta)

    def noise(self, log_c: float, rho: float, m: float, g: float, pace: float) -> tuple[FloatArray, FloatArray]:
        """log V, (runs,), and its derivatives in log c, log ρ, m and g, (runs, 4)."""
        u = np.exp(log_c + g * self.rate + pace * self.b[self.run]) * self.lag
        grown = np.log1p(u)
        term = np.exp(self.injected + m * self.S - rho * grown)
        V = np.add.reduceat(term, self.first)
        by_c = -rho * u / (1 + u)
        parts = [np.add.reduceat(term * d, self.first) / V for d in (by_c, -rho * grown, self.S, by_c * self.rate)]
        return np.log(V), np.stack(parts, axis=1)


def _losses(law: FinalLaw, plans: _Plans, theta: Mapping[str, float]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Final losses, (runs,), and their derivatives by coefficient, in search coordinates, (runs,) each."""
    t = {"m": 0.0, "g": 0.0} | dict(theta)
    progress, pace, noise = law.batch
    V, dV = plans.noise(np.log(t["c"]), t["rho"], t["m"], t["g"], pace)
    floor = np.full_like(V, t["E"])
    size = t["A"] * np.exp(-t["alpha"] * plans.n)
    reach = plans.I1 + progress * plans.b
    signal = t["F"] * np.exp(-t["beta"] * reach)
    left = np.log(t["C"]) + V - noise * plans.b
    noisy = np.exp(t["omega"] * left + t["gamma"] * plans.n)
    slopes = {
        "E": floor, "A": size, "alpha": -plans.n * size, "F": signal, "beta": -reach * signal,
        "C": t["omega"] * noisy, "omega": t["omega"] * left * noisy, "gamma": plans.n * noisy,
        **{name: t["omega"] * noisy * dV[:, i] for i, name in enumerate(("c", "rho", "m", "g"))},
    }  # fmt: skip
    loss = floor + size + signal + noisy
    if "P" in t:
        price = t["P"] * np.exp(t["h"] * plans.peak + t["k"] * plans.n)
        slopes |= {"P": price, "h": plans.peak * price, "k": plans.n * price}
        loss = loss + price
    return loss, slopes


class _Search:
    """One law, its training runs, and the search for its coefficients with priors of any strength."""

    def __init__(self, law: FinalLaw, plans: _Plans, log_loss: FloatArray) -> None:
        self.law, self.plans, self.y, self.free = law, plans, log_loss, law.free
        bounds = np.array([(p.to_scale(p.low), p.to_scale(p.high)) for p in self.free])
        self.low, self.high = bounds.T
        self.centre = np.array([p.to_scale(p.prior[0]) for p in self.free])
        self.width = np.array([p.prior[1] for p in self.free])

    def natural(self, x: FloatArray) -> dict[str, float]:
        return {p.name: float(p.from_scale(v)) for p, v in zip(self.free, x, strict=True)} | dict(self.law.held)

    def rows(self, x: FloatArray, among: NDArray[np.intp], strength: float) -> tuple[FloatArray, FloatArray]:
        """Residuals of the runs `among` and of the priors, and their Jacobian."""
        with np.errstate(all="ignore"):
            loss, slopes = _losses(self.law, self.plans, self.natural(x))
            r = (np.log(loss) - self.y)[among]
            J = np.stack([slopes[p.name] / loss for p in self.free], axis=1)[among]
        bad = ~(np.isfinite(r) & np.isfinite(J).all(axis=1))
        r[bad], J[bad] = 10.0, 0.0  # far beyond any loss ratio, so that the search turns back
        grip = HUBER * strength / self.width
        return np.append(r, grip * (x - self.centre)), np.vstack((J, np.diag(grip)))

    def best(
        self, among: NDArray[np.intp], strength: float, start: FloatArray | None = None
    ) -> tuple[FloatArray, bool]:
        """Best coordinates for the runs `among`, and whether the search had converged: cold starts, the same each time.

        `start`: the only one to use. Raises `FitError` when no start gives finite losses.
        """
        if start is None:
            start = self.promising(among, strength)
        end = self._descend(start, among, strength, MOST)
        if not np.isfinite(end.cost) or np.abs(end.fun[: len(among)]).max() >= 10:
            raise FitError(f"The law {self.law.name} gives no finite losses on these runs.", end.x)
        return end.x, end.status > 0

    def promising(self, among: NDArray[np.intp], strength: float) -> FloatArray:
        """The start, in search coordinates, from which a few evaluations get furthest."""
        starts = []
        for given in _STARTS:
            moved = {p.name: p.to_scale(given[p.name]) for p in self.free if p.name in given}
            starts.append(np.array([moved.get(p.name, c) for p, c in zip(self.free, self.centre, strict=True)]))
        return min(starts, key=lambda x: self._descend(x, among, strength, TRIAL).cost)

    def _descend(self, x0: FloatArray, among: NDArray[np.intp], strength: float, most: int):
        known: dict[bytes, tuple[FloatArray, FloatArray]] = {}

        def both(x: FloatArray) -> tuple[FloatArray, FloatArray]:
            if x.tobytes() not in known:
                known.clear()
                known[x.tobytes()] = self.rows(x, among, strength)
            return known[x.tobytes()]

        inside = np.clip(x0, self.low + 1e-6, self.high - 1e-6)
        return least_squares(
            lambda x: both(x)[0], inside, jac=lambda x: both(x)[1], bounds=(self.low, self.high), loss="huber",
            f_scale=HUBER, x_scale=self.width, ftol=1e-9, xtol=1e-9, max_nfev=most,
        )  # fmt: skip

    def left_out(self, strength: float, parts: Sequence[NDArray[np.intp]]) -> FloatArray:
        """Log errors of all runs, (runs,), each from a fit without the part that it is in."""
        errors, every = np.full(len(self.y), np.nan), np.arange(len(self.y))
        start = self.promising(every, strength)  # cold, and the same for all parts
        for part in parts:
            x, _ = self.best(np.setdiff1d(every, part), strength, start)
            with np.errstate(all="ignore"):
                loss, _ = _losses(self.law, self.plans, self.natural(x))
            errors[part] = (np.log(loss) - self.y)[part]
        return errors


def fit_final(
    runs: Sequence[TableRun], law: str = "sublinear", strength: float | None = STRENGTH, bands: bool = True
) -> FinalFit:
    """Coefficients of `law` from the final losses of `runs`; those with a loss of NaN are left out.

    Huber loss of log residuals with δ = 0.003, exact Jacobians, four starts; the outcome depends on nothing else.
    `strength`: of the priors; None for the strongest that is not worse than the best by more than one standard error
    when one model size of `runs` after the other is left out (random tenths where there are fewer than three sizes).
    `log_linear` has no priors; its ridge is chosen on left-out single runs. `bands`: also fit without each tenth, as
    prediction bands need.
    Raises `DesignError` for runs that cannot tell the coefficients, `FitError` when no start gives finite losses.
    """
    form, used = final_law(law), [r for r in runs if np.isfinite(r.final_loss)]
    _check_design(form, used)
    y = np.log([r.final_loss for r in used])
    N0, B0 = (float(np.exp(np.mean(np.log([getattr(r.plan, f) for r in used])))) for f in ("params", "batch_tokens"))
    fit = _fit_line if form.name == "log_linear" else partial(_fit_form, form)
    return fit(used, _Plans([r.plan for r in used], N0, B0), y, {"N0": N0, "B0": B0}, strength, bands)


def _check_design(law: FinalLaw, runs: Sequence[TableRun]) -> None:
    names = [r.name for r in runs]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise DesignError(f"Runs must have different names, got {twice!r} more than once.")
    needed = 1 + (len(law.free) or 8)
    if len(runs) < needed:
        raise DesignError(f"The law {law.name} needs at least {needed} runs with a final loss, got {len(runs)}.")
    incomplete = next((r.name for r in runs if r.plan.params is None or r.plan.batch_tokens is None), None)
    if incomplete is not None:
        raise DesignError(f"Run {incomplete!r}: a final-loss law needs the model size and the tokens of an update.")
    if len({r.plan.schedule for r in runs}) < 3:
        count = len({r.plan.schedule for r in runs})
        raise DesignError(f"A final-loss law needs runs with at least 3 different schedules, got {count}.")


def _fit_form(law, runs, plans, y, references, strength, bands) -> FinalFit:
    search, every = _Search(law, plans, y), np.arange(len(y))
    if strength is None:
        parts = fold(runs, "params") if len({r.plan.params for r in runs}) >= 3 else fold(runs, "random")
        strength = _strongest([np.abs(search.left_out(s, parts)) for s in STRENGTHS])
    x, finished = search.best(every, strength)
    theta = search.natural(x)
    residual, J = search.rows(x, every, strength)
    weight = np.minimum(1.0, HUBER / np.maximum(np.abs(residual[: len(y)]), 1e-300))
    spread = float((weight * residual[: len(y)] ** 2).sum() / max(len(y) - len(x), 1))
    curvature = (J[: len(y)] * weight[:, None]).T @ J[: len(y)] + J[len(y) :].T @ J[len(y) :]
    covariance = spread * np.linalg.pinv(curvature)
    names = tuple(p.name for p in law.free)
    edge = NEAR_BOUND * (search.high - search.low)
    ended = [
        n for n, v, lo, hi, e in zip(names, x, search.low, search.high, edge, strict=True) if not lo + e < v < hi - e
    ]
    status = Status.out_of_steps if not finished else Status.at_bound if ended else Status.converged
    message = status.value + (f" On its bound: {', '.join(ended)}." if ended and finished else "")
    predicted = np.exp(residual[: len(y)] + y)
    left_out = _reach(search.left_out(strength, fold(runs, "random"))) if bands else None
    return FinalFit(
        law.name, theta, status, message, *_by_run(runs, predicted), _coverage(runs), references, strength, names,
        tuple(map(tuple, covariance.tolist())), left_out,
    )  # fmt: skip


def _strongest(errors: Sequence[FloatArray]) -> float:
    """The strongest priors whose mean error is within one standard error of the lowest (Breiman et al. 1984)."""
    means = np.array([e.mean() for e in errors])
    lowest = int(np.argmin(means))
    most = means[lowest] + errors[lowest].std(ddof=1) / np.sqrt(len(errors[lowest]))
    return max(s for s, mean in zip(STRENGTHS, means, strict=True) if mean <= most)


def _huber(r: FloatArray) -> FloatArray:
    size = np.abs(r)
    return np.where(size <= HUBER, 0.5 * r**2, HUBER * (size - HUBER / 2))


def _reach(errors: FloatArray) -> float:
    return float(np.quantile(np.abs(errors), 0.9))


def _by_run(runs: Sequence[TableRun], predicted: FloatArray) -> tuple[dict[str, float], ...]:
    observed = np.array([r.final_loss for r in runs])
    return tuple(
        dict(zip([r.name for r in runs], values.tolist(), strict=True))
        for values in (predicted, observed, predicted / observed - 1)
    )


def _coverage(runs: Sequence[TableRun]) -> Coverage:
    plans = [r.plan for r in runs]
    of = ([p.schedule.peak for p in plans], [p.schedule.total for p in plans], [p.params for p in plans])
    batches = [p.batch_tokens for p in plans]
    return Coverage(*((min(v), max(v)) for v in (*of, batches)))


FEATURES = ("1", "log I1", "log V_mu/b", "log p", "log^2 p", "log D", "log E_kappa", "log a/T")


def _features(plans: _Plans, mu: float, kappa: float) -> FloatArray:
    """ψ ⊕ ψ·log n, (runs, 16)."""
    f = plans.functionals
    with np.errstate(divide="ignore"):
        escape = np.maximum(np.log(f.E_kappa(kappa)), -700.0)
    noise = np.log(f.V_mu(mu)) - plans.b
    columns = (np.ones_like(plans.n), plans.I1, noise, plans.peak, plans.peak**2, plans.tokens, escape, plans.warmup)
    psi = np.stack(columns, axis=1)
    return np.concatenate((psi, psi * plans.n[:, None]), axis=1)


def _fit_line(runs, plans, y, references, _, bands) -> FinalFit:
    """`log_linear`: z-scored features, ridge; μ, κ and the ridge have the lowest error on left-out single runs."""
    median = ETA_REF * float(np.exp(np.median(plans.peak)))
    best = (np.inf,)
    varied = np.ptp(plans.warmup) > 0 and len({r.plan.schedule.warmup_end for r in runs}) > 1
    for mu in MU:
        for kappa in HEIGHTS * median:
            phi = _features(plans, mu, kappa)
            if not varied:
                phi[:, [7, 15]] = 0.0  # with one warm-up, log(a/T) is the horizon over again
            mean, scale = phi.mean(axis=0), phi.std(axis=0)
            scale[scale < 1e-9 * np.maximum(np.abs(mean), 1e-9)] = np.inf
            Z = (phi - mean) / scale
            U, s, Vt = np.linalg.svd(Z, full_matrices=False)
            centred = U.T @ (y - y.mean())
            for ridge in RIDGES:
                kept = s**2 / (s**2 + ridge * len(y))
                leverage = 1 / len(y) + (U**2) @ kept
                errors = (y - y.mean() - U @ (kept * centred)) / (1 - np.minimum(leverage, 0.999))
                if (score := float(_huber(errors).mean())) < best[0]:
                    coefficients = Vt.T @ (centred * kept / np.where(s > 0, s, 1.0)) / scale
                    best = (score, mu, kappa, ridge, coefficients, y.mean() - mean @ coefficients, errors)
    _score, mu, kappa, ridge, coefficients, offset, errors = best
    names = (*FEATURES, *(f"{n} * log n" for n in FEATURES))
    theta = dict(zip(names, coefficients.tolist(), strict=True))
    theta["1"] = float(offset)
    predicted = np.exp(_features(plans, mu, kappa) @ np.array(list(theta.values())))
    references = references | {"mu": float(mu), "kappa": float(kappa)}
    status = Status.converged
    return FinalFit(
        "log_linear", theta, status, status.value, *_by_run(runs, predicted), _coverage(runs), references,
        float(ridge), left_out=_reach(errors) if bands else None,
    )  # fmt: skip


def predict_final(fit: FinalFit, plans: Sequence[Plan]) -> tuple[FloatArray, FloatArray]:
    """Final losses of the plans, (plans,), and half-widths of their 90 % bands, relative to the loss, (plans,).

    A band holds what left-out training runs were off by and, where coefficients are uncertain, what that adds. It knows
    nothing of what lies outside of the training runs: see `beyond`. NaN where the fit was made without `bands`.
    Raises `DesignError` for a plan without a model size or batch.
    """
    for plan in plans:
        if plan.params is None or plan.batch_tokens is None:
            raise DesignError(f"{plan.schedule.text}: a final loss needs the model size and the tokens of an update.")
    if not plans:
        return np.empty(0), np.empty(0)
    known, law = _Plans(plans, fit.references["N0"], fit.references["B0"]), final_law(fit.law)
    seen = np.full(len(plans), np.nan if fit.left_out is None else fit.left_out)
    if fit.law == "log_linear":
        phi = _features(known, fit.references["mu"], fit.references["kappa"])
        return np.exp(phi @ np.array([fit.theta[n] for n in (*FEATURES, *(f"{n} * log n" for n in FEATURES))])), seen
    loss, slopes = _losses(law, known, fit.theta)
    J = np.stack([slopes[n] / loss for n in fit.free], axis=1)
    unsure = np.einsum("ij,jk,ik->i", J, np.array(fit.covariance), J)
    return loss, np.sqrt(seen**2 + QUANTILE**2 * np.maximum(unsure, 0.0))


def shares(fit: FinalFit, plan: Plan) -> dict[str, float]:
    """Where the predicted loss comes from, by term: floor, model size, progress, noise and, if any, the peak's price.

    Raises `OptLawsError` for `log_linear`, which has no terms.
    """
    law = final_law(fit.law)
    if not law.params:
        raise OptLawsError("The law log_linear is no sum of terms; choose structural or sublinear.")
    _, slopes = _losses(law, _Plans([plan], fit.references["N0"], fit.references["B0"]), fit.theta)
    parts = {"floor": slopes["E"], "size": slopes["A"], "progress": slopes["F"]}
    parts["noise"] = slopes["C"] / fit.theta["omega"]
    if "P" in slopes:
        parts["peak"] = slopes["P"]
    return {name: float(v[0]) for name, v in parts.items()}


def beyond(fit: FinalFit, plan: Plan) -> list[str]:
    """How far a plan lies outside of the training runs, a sentence for each of size, peak, horizon and batch."""
    found = []
    for what, value, ends in (
        ("The peak learning rate", plan.schedule.peak, fit.coverage.peak),
        ("The horizon in updates", plan.schedule.total, fit.coverage.total),
        ("The model size", plan.params, fit.coverage.params),
        ("The number of tokens in an update", plan.batch_tokens, fit.coverage.batch_tokens),
    ):
        if value is None or ends is None or ends[0] * (1 - 1e-9) <= value <= ends[1] * (1 + 1e-9):
            continue
        side, end = ("below the smallest", ends[0]) if value < ends[0] else ("above the largest", ends[1])
        factor = max(value / end, end / value)
        found.append(f"{what}, {value:g}, is {factor:.3g} times {side} of the training runs, {end:g}.")
    return found


def cross_validated(
    runs: Sequence[TableRun],
    law: str,
    parts: Sequence[NDArray[np.intp]],
    strength: float | None = STRENGTH,
    bands: bool = False,
    progress: Callable[[float], object] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Predicted over observed loss, minus 1, of each run from a cold fit to all runs outside of its part, (runs,).

    Also the half-widths of the bands, (runs,), NaN without `bands`. All that is chosen is chosen on the other parts.
    """
    errors, halves = np.full(len(runs), np.nan), np.full(len(runs), np.nan)
    for i, part in enumerate(parts):
        inside = set(part.tolist())
        fit = fit_final([r for j, r in enumerate(runs) if j not in inside], law, strength, bands)
        loss, halves[part] = predict_final(fit, [runs[j].plan for j in part])
        errors[part] = loss / np.array([runs[j].final_loss for j in part]) - 1
        if progress:
            progress((i + 1) / len(parts))
    return errors, halves


__all__ = [
    "FINAL_LAWS", "FinalFit", "FinalLaw", "beyond", "cross_validated", "final_law", "fit_final", "load_final",
    "predict_final", "shares",
]  # fmt: skip

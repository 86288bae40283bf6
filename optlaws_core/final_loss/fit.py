"""Fits of final-loss laws: from the final losses of a table of runs to coefficients, predictions and bands."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ..divergence import FEWEST, Risk, learn_risk
from ..errors import DesignError, FitError, OptLawsError
from ..fits import Coverage, Status, stored
from ..runs import Plan
from ..schedules import number
from ..schedules.base import FloatArray
from ..trace import ETA_REF
from .forms import LINE, LOG_LINEAR, FinalLaw, Seen, features, final_law, losses, terms
from .table import TableRun, fold
from .transfer import Transfer, learn_transfer

HUBER = 3e-3  # log residuals beyond 0.3 % count linearly
STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # of the priors, from which the evidence chooses
NOISES = np.geomspace(3e-4, 0.05, 40)  # standard deviations of log residuals among which the evidence looks
TRIAL, MOST = 12, 200  # evaluations of each starting point, and to the end
QUANTILE = 1.645  # of a 90 % band
LOSING = 1.25  # final loss over the lowest of the configuration, above which a run is no contender
NEAR_BOUND = 1e-3  # of the searched width
MU = np.geomspace(0.3, 3e3, 13)  # 1/rate, curvatures that the log-linear law tries
HEIGHTS = np.geomspace(0.01, 3.0, 7)  # κ over the median peak
RIDGES = np.geomspace(1e-6, 1.0, 13)  # share of the squared norm of a feature
# Starts differ in how the noise is remembered, on which the search is not convex.
_STARTS: tuple[Mapping[str, float], ...] = (
    {},
    {"c": 3000.0, "rho": 0.8, "C": 2e4},
    {"omega": 0.8, "C": 55.0},
    {"omega": 0.22, "C": 1e6},
)


@dataclass(frozen=True)
class End:
    """A run's final loss, predicted and observed, and the one over the other, minus 1."""

    predicted: float
    observed: float
    rel_error: float

    @classmethod
    def of(cls, runs: Sequence[TableRun], predicted: FloatArray) -> "dict[str, End]":
        """Ends by name of run, from predictions (runs,)."""
        rows = ((r.name, float(p), r.final_loss) for r, p in zip(runs, predicted, strict=True))
        return {name: cls(p, observed, p / observed - 1) for name, p, observed in rows}


@dataclass(frozen=True)
class FinalFit:
    """A final-loss law with coefficients, how far to trust it, and what its table says of divergence and of children.

    Plain values, stored as JSON; the keys that a curve fit has, too, mean the same.
    """

    law: str
    theta: Mapping[str, float]
    interval: Mapping[str, tuple[float, float] | None]  # 90 %; None where held or on a bound
    status: Status
    message: str
    objective: float  # Σ Huber(log residual) over the training runs
    train: Mapping[str, End]
    coverage: Coverage
    references: Mapping[str, float]  # N0 in parameters, B0 in tokens; of the log-linear law also μ and κ
    strength: float  # of the priors, or the ridge of the log-linear law
    test: Mapping[str, End] = field(default_factory=dict)  # runs that the fit, or the fit of their fold, did not see
    folds: int = 0  # parts of the cross-validation that gave `test`; 0: runs that were held out
    free: tuple[str, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()  # of the coefficients in `free`, in search coordinates
    left_out: float | None = None  # log error that 90 % of left-out training runs stay below; None: not tried
    seconds: float = 0.0
    risk: Risk | None = None  # None where too few runs diverged to learn from
    transfers: Mapping[str, Transfer] = field(default_factory=dict)  # by the text that children of runs learn

    @property
    def held_out_error(self) -> float | None:
        """Mean size of the relative error over `test`, or None without any."""
        return float(np.mean([abs(end.rel_error) for end in self.test.values()])) if self.test else None

    def to_dict(self) -> dict:
        """Plain values, in the order of a curve fit; `from_dict` reads them back."""
        plain = replace(self, risk=None, transfers={}, **{n: dict(getattr(self, n)) for n in _MAPPINGS})
        d = asdict(plain) | {
            "status": self.status.name,
            "risk": self.risk and self.risk.to_dict(),
            "transfers": {text: asdict(transfer) for text, transfer in self.transfers.items()},
        }
        first = ("law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds")
        return {k: d[k] for k in first} | {k: v for k, v in d.items() if k not in first}

    @classmethod
    def from_dict(cls, d: Mapping) -> "FinalFit":
        """A fit from `to_dict`'s values. Raises `OptLawsError` when they are not those of one."""
        try:
            law = final_law(d["law"])
            theta, references = (_numbers(d[name], name) for name in ("theta", "references"))
            free = tuple(map(str, d["free"]))
            covariance = tuple(tuple(_finite(v, "covariance") for v in row) for row in d["covariance"])
            needed = {p.name for p in law.params} if law.params else set(LINE)
            if needed - set(theta) or {"N0", "B0"} - set(references) or not set(free) <= needed:
                raise KeyError("theta, references or free")
            if np.shape(covariance) not in ((0,), (len(free),) * 2):
                raise KeyError("covariance")
            if law.name == LOG_LINEAR and {"mu", "kappa"} - set(references):
                raise KeyError("references")
            train, test = ({str(n): End(**_numbers(e, f"{k}.{n}")) for n, e in d[k].items()} for k in ("train", "test"))
            ends = {k: None if v is None else (_finite(v[0], k), _finite(v[1], k)) for k, v in d["coverage"].items()}
            return cls(
                law.name, theta, {k: None if v is None else (v[0], v[1]) for k, v in d["interval"].items()},
                Status[d["status"]], str(d["message"]), _finite(d["objective"], "objective"), train, Coverage(**ends),
                references, _finite(d["strength"], "strength"), test, int(d["folds"]), free, covariance,
                None if d["left_out"] is None else _finite(d["left_out"], "left_out"),
                _finite(d["seconds"], "seconds"), d["risk"] and Risk.from_dict(d["risk"]),
                {str(text): _transfer(t, f"transfers.{text}") for text, t in d["transfers"].items()},
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as fault:
            if isinstance(fault, OptLawsError):
                raise
            raise OptLawsError(f"This is not a final-loss fit: {type(fault).__name__} at {fault}.") from None

    def save(self, path: Path) -> None:
        """Write the fit as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


_MAPPINGS = ("theta", "interval", "train", "test", "references")


def load_final(path: Path) -> FinalFit:
    """A final-loss fit from a JSON file. Raises `OptLawsError` with the reason when there is none in it."""
    return stored(path, FinalFit.from_dict, "a final-loss fit is a JSON file")


def _numbers(d: Mapping, name: str) -> dict[str, float]:
    return {str(k): _finite(v, f"{name}.{k}") for k, v in d.items()}


def _transfer(d: Mapping, name: str) -> Transfer:
    rows = tuple(tuple(_finite(v, f"{name}.covariance") for v in row) for row in d["covariance"])
    if np.shape(rows) != (3, 3):
        raise KeyError(f"{name}.covariance")
    return Transfer(**_numbers({k: v for k, v in d.items() if k != "covariance"}, name), covariance=rows)


def _finite(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise OptLawsError(f"This is not a final-loss fit: {name} must be a finite number, got {str(value)[:40]!r}.")
    return value


class _Search:
    """One law, its training runs, and the search for its coefficients with priors of any strength."""

    def __init__(self, law: FinalLaw, seen: Seen, log_loss: FloatArray) -> None:
        self.law, self.seen, self.y, self.free = law, seen, log_loss, law.free
        bounds = np.array([(p.to_scale(p.low), p.to_scale(p.high)) for p in self.free])
        self.low, self.high = bounds.T
        self.centre = np.array([p.to_scale(p.prior[0]) for p in self.free])
        self.width = np.array([p.prior[1] for p in self.free])

    def natural(self, x: FloatArray) -> dict[str, float]:
        return {p.name: float(p.from_scale(v)) for p, v in zip(self.free, x, strict=True)} | dict(self.law.held)

    def rows(self, x: FloatArray, among: NDArray[np.intp], strength: float) -> tuple[FloatArray, FloatArray]:
        """Residuals of the runs `among` and of the priors, and their Jacobian."""
        with np.errstate(all="ignore"):
            loss, slopes = losses(self.law, self.seen, self.natural(x))
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

    def evidence(self, x: FloatArray, strength: float) -> float:
        """How likely all runs are under priors of this strength, coefficients integrated out, up to a constant.

        The logarithm of a marginal likelihood (MacKay 1992), by Laplace's method around the best coordinates `x`, at
        the standard deviation of the log residuals that makes it largest. It rewards a fit and punishes coefficients
        that only the runs' accidents would determine, without leaving any run out. Residuals beyond δ count linearly,
        yet the normaliser is that of a normal distribution: with the one of Huber's density the choice falls on weaker
        priors (docs/final-loss-notes.md).
        """
        n = len(self.y)
        residual, J = self.rows(x, np.arange(n), strength)
        misfit = _huber(residual[:n]).sum() + 0.5 * (residual[n:] ** 2).sum()
        volume = 0.5 * np.linalg.slogdet(_curvature(residual, J, n))[1]
        prior = np.log(HUBER * strength / self.width).sum()
        # the volume and the prior scale with the noise alike, so both powers of it cancel
        return float(max(-misfit / NOISES**2 - n * np.log(NOISES)) - volume + prior)

    def left_out(self, strength: float, parts: Sequence[NDArray[np.intp]]) -> FloatArray:
        """Log errors of all runs, (runs,), each from a fit without the part that it is in."""
        errors, every = np.full(len(self.y), np.nan), np.arange(len(self.y))
        start = self.promising(every, strength)  # cold, and the same for all parts
        for part in parts:
            x, _ = self.best(np.setdiff1d(every, part), strength, start)
            with np.errstate(all="ignore"):
                loss, _ = losses(self.law, self.seen, self.natural(x))
            errors[part] = (np.log(loss) - self.y)[part]
        return errors


def fit_final(
    runs: Sequence[TableRun], law: str = "opt_laws", strength: float | None = None, bands: bool = True
) -> FinalFit:
    """Coefficients of `law` from the final losses of `runs`.

    Left out: runs without a final loss, those that diverged or spiked, and those that start from another run's end.
    Huber loss of log residuals with δ = 0.003, exact Jacobians, four starts; the outcome depends on nothing else.
    `strength`: of the priors; None for the one among `STRENGTHS` with the highest evidence. The log-linear law has no
    priors; its ridge is chosen on left-out single runs. `bands`: also fit without each tenth, as bands need.
    Raises `DesignError` for runs that cannot tell the coefficients, `FitError` when no start gives finite losses.
    """
    began = time.perf_counter()
    form, used = final_law(law), fittable(runs)
    _check_design(form, used)
    y = np.log([r.final_loss for r in used])
    N0, B0 = (float(np.exp(np.mean(np.log([getattr(r.plan, f) for r in used])))) for f in ("params", "batch_tokens"))
    fit = _fit_line if form.name == LOG_LINEAR else partial(_fit_form, form)
    found = fit(used, Seen([r.plan for r in used], N0, B0), y, {"N0": N0, "B0": B0}, strength, bands)
    return replace(found, seconds=time.perf_counter() - began)


def fittable(runs: Sequence[TableRun]) -> list[TableRun]:
    """Runs from a random start that ended with a loss and neither diverged nor spiked."""
    return [r for r in runs if np.isfinite(r.final_loss) and r.stable and r.parent is None]


def contenders(runs: Sequence[TableRun]) -> list[TableRun]:
    """Those of the `fittable` runs that end at most a quarter above the best run of their configuration."""
    used = fittable(runs)
    lowest: dict[tuple, float] = {}
    for r in used:
        lowest[r.configuration] = min(lowest.get(r.configuration, np.inf), r.final_loss)
    return [r for r in used if r.final_loss <= LOSING * lowest[r.configuration]]


def fit_table(
    runs: Sequence[TableRun],
    law: str = "opt_laws",
    test: Sequence[TableRun] = (),
    strength: float | None = None,
    bands: bool = True,
) -> FinalFit:
    """A fit to `runs` with all that its table tells: the risk of divergence, children of runs, errors on `test`.

    Everything is learned from `runs` alone. Runs that end more than a quarter above the best of their configuration
    (size, batch and horizon) are no candidates for anything, and the law need not be bent to them. Risk and transfers
    are left out where too few runs tell. Raises like `fit_final`.
    """
    began = time.perf_counter()
    fit = fit_final(contenders(runs), law, strength, bands)
    scratch = [r for r in runs if r.parent is None and (r.diverged or np.isfinite(r.final_loss))]
    bad = [not r.stable for r in scratch]
    enough = min(sum(bad), len(bad) - sum(bad)) >= FEWEST
    fit = replace(fit, risk=learn_risk([r.plan for r in scratch], bad) if enough else None)
    fit = replace(fit, transfers=_transfers(fit, runs))
    judged = [r for r in test if np.isfinite(r.final_loss) and r.stable and r.text in ("", *fit.transfers)]
    ends = End.of(judged, predict_runs(fit, judged))
    return replace(fit, test=ends, seconds=time.perf_counter() - began)


def _transfers(fit: FinalFit, runs: Sequence[TableRun]) -> dict[str, Transfer]:
    children: dict[str, list[TableRun]] = {}
    for r in runs:
        if r.text and r.parent is not None and np.isfinite(r.final_loss) and r.stable:
            children.setdefault(r.text, []).append(r)
    return {
        text: learn_transfer([r.plan for r in some], predict_final(fit, [r.plan for r in some])[0],
                             np.array([r.final_loss for r in some]))
        for text, some in children.items()
    }  # fmt: skip


def predict_runs(fit: FinalFit, runs: Sequence[TableRun]) -> FloatArray:
    """Final losses of runs, (runs,), each on the text that it learns. Raises like `predict_final`."""
    found = np.empty(len(runs))
    for text in {r.text for r in runs}:
        here = [i for i, r in enumerate(runs) if r.text == text]
        found[here] = predict_final(fit, [runs[i].plan for i in here], text)[0]
    return found


def _check_design(law: FinalLaw, runs: Sequence[TableRun]) -> None:
    names = [r.name for r in runs]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise DesignError(f"Runs must have different names, got {twice!r} more than once.")
    needed = 1 + (len(law.free) or 8)
    if len(runs) < needed:
        raise DesignError(
            f"The law {law.name} needs at least {needed} runs that ended with a loss and did not diverge, "
            f"got {len(runs)}."
        )
    incomplete = next((r.name for r in runs if r.plan.params is None or r.plan.batch_tokens is None), None)
    if incomplete is not None:
        raise DesignError(f"Run {incomplete!r}: a final-loss law needs the model size and the tokens of an update.")
    if (count := len({r.plan.schedule for r in runs})) < 3:
        raise DesignError(f"A final-loss law needs runs with at least 3 different schedules, got {count}.")


def _fit_form(law, runs, seen, y, references, strength, bands) -> FinalFit:
    search, every, n = _Search(law, seen, y), np.arange(len(y)), len(y)
    if strength is None:
        tried = {s: search.best(every, s) for s in STRENGTHS}
        strength = max(tried, key=lambda s: search.evidence(tried[s][0], s))
        x, finished = tried[strength]
    else:
        x, finished = search.best(every, strength)
    residual, J = search.rows(x, every, strength)
    # of M-estimates: residuals beyond δ have no curvature, and pull no harder than δ
    near = max(float(np.mean(np.abs(residual[:n]) <= HUBER)), 1 / n)
    spread = float((np.clip(residual[:n], -HUBER, HUBER) ** 2).sum() / max(n - len(x), 1)) / near
    covariance = spread * np.linalg.pinv(near * J[:n].T @ J[:n] + J[n:].T @ J[n:])
    names = tuple(p.name for p in law.free)
    edge = NEAR_BOUND * (search.high - search.low)
    bounded = (x <= search.low + edge) | (x >= search.high - edge)
    ended = [name for name, on in zip(names, bounded, strict=True) if on]
    status = Status.out_of_steps if not finished else Status.at_bound if ended else Status.converged
    message = status.value + (f" On its bound: {', '.join(ended)}." if ended and finished else "")
    half = QUANTILE * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    interval: dict[str, tuple[float, float] | None] = dict.fromkeys(law.held)
    for p, v, h, low, high, on in zip(law.free, x, half, search.low, search.high, bounded, strict=True):
        interval[p.name] = None if on else tuple(float(p.from_scale(np.clip(e, low, high))) for e in (v - h, v + h))
    left_out = _reach(search.left_out(strength, fold(runs, "random"))) if bands else None
    return FinalFit(
        law.name, search.natural(x), interval, status, message, float(_huber(residual[:n]).sum()),
        End.of(runs, np.exp(residual[:n] + y)), _coverage(runs), references, strength, free=names,
        covariance=tuple(map(tuple, covariance.tolist())), left_out=left_out,
    )  # fmt: skip


def _weight(r: FloatArray) -> FloatArray:
    """What the Huber loss makes a squared residual count."""
    return np.minimum(1.0, HUBER / np.maximum(np.abs(r), 1e-300))


def _curvature(residual: FloatArray, J: FloatArray, n: int) -> FloatArray:
    """Second derivatives of the objective, (free, free): of `n` runs, and of the priors behind them."""
    return (J[:n] * _weight(residual[:n])[:, None]).T @ J[:n] + J[n:].T @ J[n:]


def _huber(r: FloatArray) -> FloatArray:
    size = np.abs(r)
    return np.where(size <= HUBER, 0.5 * r**2, HUBER * (size - HUBER / 2))


def _reach(errors: FloatArray) -> float:
    return float(np.quantile(np.abs(errors), 0.9))


def _coverage(runs: Sequence[TableRun]) -> Coverage:
    plans = [r.plan for r in runs]
    of = ([p.schedule.peak for p in plans], [p.schedule.total for p in plans], [p.params for p in plans])
    batches = [p.batch_tokens for p in plans]
    return Coverage(*((min(v), max(v)) for v in (*of, batches)))


def _fit_line(runs, seen, y, references, _, bands) -> FinalFit:
    """Log-linear: z-scored features, ridge; μ, κ and the ridge have the lowest error on left-out single runs."""
    median = ETA_REF * float(np.exp(np.median(seen.peak)))
    best = (np.inf,)
    varied = np.ptp(seen.warmup) > 0 and len({r.plan.schedule.warmup_end for r in runs}) > 1
    for mu in MU:
        for kappa in HEIGHTS * median:
            phi = features(seen, mu, kappa)
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
    theta = dict(zip(LINE, coefficients.tolist(), strict=True)) | {"1": float(offset)}
    fitted = features(seen, mu, kappa) @ np.array(list(theta.values()))
    return FinalFit(
        LOG_LINEAR, theta, dict.fromkeys(LINE), Status.converged, Status.converged.value,
        float(_huber(fitted - y).sum()), End.of(runs, np.exp(fitted)), _coverage(runs),
        references | {"mu": float(mu), "kappa": float(kappa)}, float(ridge), left_out=_reach(errors) if bands else None,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Spread:
    """Predicted log losses of plans, and what makes them uncertain."""

    log_loss: FloatArray  # (plans,)
    directions: FloatArray  # (plans, free): what one standard deviation of each direction of the coefficients does
    misfit: float  # standard deviation of what is off beyond that, relative; NaN where it was not tried

    @property
    def half(self) -> FloatArray:
        """Half-widths of 90 % bands, relative to the loss, (plans,)."""
        return QUANTILE * np.sqrt(self.misfit**2 + (self.directions**2).sum(axis=1))


def spread(fit: FinalFit, plans: Sequence[Plan], text: str = "") -> Spread:
    """Predicted losses of plans with their uncertainty. `text`: what children of runs learn, where it is another text.

    Raises `DesignError` for a plan without a model size or batch, and for a text that no run of the table learned.
    """
    for plan in plans:
        if plan.params is None or plan.batch_tokens is None:
            raise DesignError(f"{plan.schedule.text}: a final loss needs the model size and the tokens of an update.")
    misfit = np.nan if fit.left_out is None else fit.left_out / QUANTILE
    if not plans:
        return Spread(np.empty(0), np.empty((0, 0)), misfit)
    seen = Seen(plans, fit.references["N0"], fit.references["B0"])
    if fit.law == LOG_LINEAR:
        phi = features(seen, fit.references["mu"], fit.references["kappa"])
        found = Spread(phi @ np.array([fit.theta[n] for n in LINE]), np.zeros((len(plans), 0)), misfit)
    else:
        loss, slopes = losses(final_law(fit.law), seen, fit.theta)
        J = np.stack([slopes[n] / loss for n in fit.free], axis=1)
        w, V = np.linalg.eigh(np.array(fit.covariance))
        found = Spread(np.log(loss), J @ (V * np.sqrt(np.maximum(w, 0.0))), misfit)
    if not text:
        return found
    if text not in fit.transfers:
        known = ", ".join(fit.transfers) or "none"
        raise DesignError(f"No run of the table went on to learn the text {text!r}; texts that were: {known}.")
    transfer = fit.transfers[text]
    # What the law is off by on this text was seen there, and is in the transfer's noise.
    own = transfer.directions(plans, found.log_loss)
    directions = np.concatenate((transfer.power * found.directions, own), axis=1)
    return Spread(transfer.log_loss(plans, found.log_loss), directions, transfer.noise)


def predict_final(fit: FinalFit, plans: Sequence[Plan], text: str = "") -> tuple[FloatArray, FloatArray]:
    """Final losses of the plans, (plans,), and half-widths of their 90 % bands, relative to the loss, (plans,).

    A band holds what left-out training runs were off by and, where coefficients are uncertain, what that adds. It knows
    nothing of what lies outside of the training runs: see `beyond`. NaN where the fit was made without `bands`.
    Raises like `spread`.
    """
    found = spread(fit, plans, text)
    return np.exp(found.log_loss), found.half


def shares(fit: FinalFit, plan: Plan) -> dict[str, float]:
    """Where the predicted loss comes from, by the names in `TERMS`: addends of the loss.

    Raises `OptLawsError` for the log-linear law, which has no terms.
    """
    law = final_law(fit.law)
    if not law.params:
        raise OptLawsError(f"The law {law.name} is no sum of terms; choose opt_laws or opt_laws_structural.")
    found = terms(law, Seen([plan], fit.references["N0"], fit.references["B0"]), fit.theta)
    return {name: float(v[0]) for name, v in found.items()}


def beyond(fit: FinalFit, plan: Plan) -> list[str]:
    """How far a plan lies outside of the training runs, a sentence for each of peak, horizon, size and batch."""
    found = []
    for what, value, ends in (
        ("peak", plan.schedule.peak, fit.coverage.peak),
        ("horizon", plan.schedule.total, fit.coverage.total),
        ("model size", plan.params, fit.coverage.params),
        ("batch", plan.batch_tokens, fit.coverage.batch_tokens),
    ):
        if value is None or ends is None or ends[0] * (1 - 1e-9) <= value <= ends[1] * (1 + 1e-9):
            continue
        side, end = ("below the smallest", ends[0]) if value < ends[0] else ("above the largest", ends[1])
        factor = max(value / end, end / value)
        found.append(f"{what} {number(value)} is {factor:.3g} times {side} of the training runs, {number(end)}")
    return found


def cross_validated(
    runs: Sequence[TableRun],
    law: str,
    parts: Sequence[NDArray[np.intp]],
    strength: float | None = None,
    bands: bool = False,
    progress: Callable[[float], object] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Predicted over observed loss, minus 1, of each run from a cold fit to all runs outside of its part, (runs,).

    Also the half-widths of the bands, (runs,), NaN without `bands`. All that is chosen is chosen on the other parts.
    """
    errors, halves = np.full(len(runs), np.nan), np.full(len(runs), np.nan)
    for i, part in enumerate(parts):
        inside = set(part.tolist())
        fit = fit_table([r for j, r in enumerate(runs) if j not in inside], law, strength=strength, bands=bands)
        loss, halves[part] = predict_final(fit, [runs[j].plan for j in part])
        errors[part] = loss / np.array([runs[j].final_loss for j in part]) - 1
        if progress:
            progress((i + 1) / len(parts))
    return errors, halves


def check_folds(runs: Sequence[TableRun], k: int) -> None:
    """Raises `DesignError` unless the runs can be cut into `k` folds."""
    if not 2 <= k <= len(runs):
        raise DesignError(f"A cross-validation needs 2 to {len(runs)} folds, as many as runs, got {k}.")


def with_folds(
    fit: FinalFit, runs: Sequence[TableRun], k: int, progress: Callable[[float], object] | None = None
) -> FinalFit:
    """`fit` with the errors of its runs as `test`, each from a fit without its fold of `k`. Raises like `fit_final`."""
    usual = [r for r in runs if r.name in fit.train]
    check_folds(usual, k)
    try:
        errors, _ = cross_validated(usual, fit.law, fold(usual, "random", k), progress=progress)
    except DesignError as fault:
        raise DesignError(f"Without one of the {k} folds too few runs are left: {fault}") from None
    observed = np.array([r.final_loss for r in usual])
    return replace(fit, test=End.of(usual, observed * (1 + errors)), folds=k)


__all__ = [
    "End", "FinalFit", "Spread", "beyond", "check_folds", "contenders", "cross_validated", "fit_final", "fit_table",
    "fittable", "load_final", "predict_final", "predict_runs", "shares", "spread", "with_folds",
]  # fmt: skip

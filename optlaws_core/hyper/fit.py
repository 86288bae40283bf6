"""One's own hyper-parameter law: a loss surface for each (N, D) of a sweep, its optimum, power laws through the optima.

Near its minimum the logarithm of the loss is taken for a quadratic in (log learning rate, log batch) plus a cube of the
former, since losses rise faster towards high rates than towards low ones. "Near" is decided by the surface itself, not
by the noisy losses; outliers weigh less. Optima then follow

    log lr = ln c + a ln N + b ln D      log batch = ln c' + b' ln D

fitted to both at once with the covariance of each optimum, plus a scatter between cells that no surface explains. From
there, the coefficients are refined on the runs of all cells together: one shape of surface, each cell with a height of
its own, minima on the laws. Intervals are those of the first fit, which knows less of the shape.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.linalg import block_diag
from scipy.optimize import least_squares, minimize
from scipy.spatial import QhullError
from scipy.stats import t as student

from ..errors import DesignError, LogError

COLUMNS = ("params", "tokens", "lr", "batch", "loss")
# What others call these columns; letters' case does not matter.
ALIASES = {
    "params": ("n", "n_params", "parameters", "model_size"),
    "tokens": ("d", "train_tokens", "total_tokens", "n_tokens"),
    "lr": ("learning_rate", "peak_lr", "peak", "max_lr"),
    "batch": ("bs", "batch_size", "batch_tokens", "global_batch_size"),
    "loss": ("final_loss", "val_loss", "final_val_loss", "smooth loss"),
}
NEAR = 0.007  # of the loss above the minimum: how much of a surface is looked at; chosen by benchmarks/hyper.py
FEWEST_POINTS, FEWEST_CELLS = 9, 3
ENOUGH_POINTS = 15  # near the minimum, where there are as many: the surface has seven coefficients
WHAT = ("lr", "batch")
DRAWS = 400
LEVEL = 0.9  # of all intervals


@dataclass(frozen=True)
class SweepCell:
    """The runs of one model size and one length."""

    params: float
    tokens: float
    lr: NDArray
    batch: NDArray  # tokens in one update
    loss: NDArray  # not finite where a run diverged

    @property
    def compute(self) -> float:
        """6ND."""
        return 6 * self.params * self.tokens

    @property
    def best(self) -> int:
        """Index of the run with the lowest loss."""
        return int(np.nanargmin(np.where(np.isfinite(self.loss), self.loss, np.nan)))

    @cached_property
    def _surface(self) -> LinearNDInterpolator:
        """Losses between the measured ones, over (log lr, log batch)."""
        return LinearNDInterpolator(np.log(np.column_stack((self.lr, self.batch))), self.loss, rescale=True)


@dataclass(frozen=True)
class Optimum:
    """The minimum of one cell's surface. Pairs are (log lr, log batch)."""

    params: float
    tokens: float
    center: NDArray  # (2,)
    covariance: NDArray  # (2, 2)
    curvature: NDArray  # (2, 2) of log loss
    loss: float  # of the surface at its minimum
    noise: float  # rms of log loss around the surface, where it was fitted
    used: int  # runs near the minimum
    low: NDArray  # (2,) interval's ends
    high: NDArray
    trouble: str = ""  # why the optimum is not to be relied on

    @property
    def lr(self) -> float:
        """The best learning rate."""
        return float(np.exp(self.center[0]))

    @property
    def batch(self) -> float:
        """The best batch, in tokens."""
        return float(np.exp(self.center[1]))


@dataclass(frozen=True)
class Predicted:
    """What a fitted law says of one (N, D), with intervals of 90 %."""

    lr: float
    lr_low: float
    lr_high: float
    batch: float
    batch_low: float
    batch_high: float
    cost: float  # expected relative loss above the optimum's, for the uncertainty of the prediction
    beyond: str  # what lies outside the fitted cells; empty where nothing does


@dataclass(frozen=True)
class SweepFit:
    """Optima of a sweep's cells and the power laws through them."""

    optima: tuple[Optimum, ...]
    terms: Mapping[str, tuple[str, ...]]  # of "lr" and "batch": what each depends on, of "params" and "tokens"
    coefficients: Mapping[str, NDArray]  # of "lr" and "batch": ln c, then one exponent a term
    covariance: NDArray  # of all coefficients, those of "lr" first
    scatter: NDArray  # (2,) standard deviation between cells, of log lr and log batch

    @property
    def used(self) -> tuple[Optimum, ...]:
        """Those that the laws go through."""
        return tuple(o for o in self.optima if not o.trouble)

    def predict(self, params: float, tokens: float) -> Predicted:
        """The best learning rate and batch of another model size and length."""
        design = _design(self.terms, params, tokens)
        center = design @ np.concatenate([self.coefficients[what] for what in WHAT])
        spread = design @ self.covariance @ design.T + np.diag(self.scatter**2)
        half = [self._quantile(what) for what in WHAT] * np.sqrt(np.diag(spread))
        low, high = np.exp(center - half), np.exp(center + half)
        curvature = np.median([o.curvature for o in self.used], axis=0)
        return Predicted(
            float(np.exp(center[0])), float(low[0]), float(high[0]),
            float(np.exp(center[1])), float(low[1]), float(high[1]),
            float(0.5 * np.trace(curvature @ spread)), self._beyond(params, tokens),
        )  # fmt: skip

    def exponent(self, what: str, term: str) -> tuple[float, float]:
        """An exponent of the law of "lr" or "batch", and half its interval."""
        j = 1 + self.terms[what].index(term)
        place = j + (len(self.coefficients["lr"]) if what == "batch" else 0)
        half = self._quantile(what) * np.sqrt(self.covariance[place, place])
        return float(self.coefficients[what][j]), float(half)

    def _quantile(self, what: str) -> float:
        return float(student.ppf(0.5 + LEVEL / 2, max(len(self.used) - len(self.coefficients[what]), 1)))

    def _beyond(self, params: float, tokens: float) -> str:
        said = []
        for name, value, known in (
            ("N", params, [o.params for o in self.used]),
            ("D", tokens, [o.tokens for o in self.used]),
        ):
            if not min(known) / 1.001 <= value <= max(known) * 1.001:
                far = max(min(known) / value, value / max(known))
                said.append(f"{name} is {far:.2g} times {'below' if value < min(known) else 'above'} the fitted cells")
        return ", ".join(said)


def columns_of(names: Iterable[str]) -> dict[str, str]:
    """Which of a table's columns are taken for ours: those of our names, else those of usual others."""
    known = {str(name).strip().lower(): str(name) for name in names}
    wanted = {ours: (ours, *ALIASES[ours]) for ours in COLUMNS}
    return {ours: known[n] for ours, some in wanted.items() if (n := next((a for a in some if a in known), None))}


def read_sweep(
    table: Path | str | pd.DataFrame, columns: Mapping[str, str] | None = None, unit: float = 1.0
) -> list[SweepCell]:
    """Cells of a CSV file or a frame with N, D, lr, batch and loss, by compute, least first.

    `columns`: the table's names by ours (params, tokens, lr, batch, loss), where they differ. `unit`: tokens in one
    unit of the batch column, such as 2048 where it counts sequences of that length. A loss that is empty or not finite
    is a run that diverged. Raises `LogError` that names the column, the rule and what was found.
    """
    what = "The sweep" if isinstance(table, pd.DataFrame) else Path(table).name
    if isinstance(table, pd.DataFrame):
        frame = table
    else:
        try:
            frame = pd.read_csv(table)
        except FileNotFoundError:
            raise LogError(f"{what}: there is no such file.", what) from None
        except (OSError, ValueError) as fault:
            raise LogError(f"{what} must be a CSV table, got {str(fault)[:80]!r}.", what) from None
    named = columns_of(frame.columns) | dict(columns or {})
    for ours in COLUMNS:
        if named.get(ours) not in frame.columns:
            got = ", ".join(map(str, frame.columns))
            raise LogError(f"{what} must have the column {named.get(ours, ours)!r}, got {got[:200]}.", what)
    if not 0 < unit < 1e12:
        raise LogError(f"{what}: tokens in one unit of the batch must be above 0, got {unit:g}.", what)
    if not len(frame):
        raise LogError(f"{what} must have at least 1 run, got none.", what)
    values = {}
    for ours in COLUMNS:
        numbers = pd.to_numeric(frame[named[ours]], errors="coerce").to_numpy(float)
        bad = ~(np.isfinite(numbers) & (numbers > 0)) if ours != "loss" else numbers <= 0
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            got = str(frame[named[ours]].iloc[row])[:40]
            raise LogError(f"{what}, row {row + 1}: {named[ours]} must be a number above 0, got {got!r}.", what)
        values[ours] = numbers
    cells = pd.DataFrame(values).groupby(["params", "tokens"], sort=True)
    found = [
        SweepCell(n, d, c["lr"].to_numpy(), unit * c["batch"].to_numpy(), c["loss"].to_numpy())
        for (n, d), c in cells
        if np.isfinite(c["loss"]).any()
    ]
    if not found:
        raise LogError(f"{what} must have at least 1 run that ended with a loss, got none.", what)
    return sorted(found, key=lambda cell: cell.compute)


def optimum(cell: SweepCell, near: float = NEAR) -> Optimum:
    """The minimum of the cell's loss surface. Raises `DesignError` where the runs cannot tell one."""
    alive = np.isfinite(cell.loss)
    x, y = np.log(np.column_stack((cell.lr, cell.batch)))[alive], np.log(cell.loss[alive])
    what = f"The cell of {cell.params:.3g} parameters and {cell.tokens:.3g} tokens"
    for name, values in (("learning rates", cell.lr[alive]), ("batch sizes", cell.batch[alive])):
        if (count := len(np.unique(values))) < 3:
            raise DesignError(f"{what} needs runs at 3 or more {name}, got {count}.")
    if len(y) < FEWEST_POINTS:
        raise DesignError(f"{what} needs {FEWEST_POINTS} or more runs that ended with a loss, got {len(y)}.")
    middle, scale = x[y.argmin()], np.log(2)
    skewed = len(np.unique(cell.lr[alive])) > 3 and len(y) >= ENOUGH_POINTS
    basis = _basis((x - middle) / scale, skewed)
    height, weight = y - y.min(), np.ones(len(y))
    for _ in range(12):
        cut = max(near, np.sort(height)[min(ENOUGH_POINTS, len(y)) - 1])
        chosen = (height <= cut) * weight
        theta = np.linalg.lstsq(basis * np.sqrt(chosen)[:, None], y * np.sqrt(chosen), rcond=None)[0]
        residual = y - basis @ theta
        sigma = max(1.4826 * np.median(np.abs(residual[height <= cut])), 1e-7)
        weight = 1 / np.maximum(1, np.abs(residual) / (1.5 * sigma))
        bowl, lowest = _minimum(theta)
        if not np.isfinite(lowest):
            break
        # far from the runs near the minimum the surface is no guide: there, the losses themselves
        height = np.maximum(basis @ theta - lowest, 0.5 * (y - y.min()))
    used = chosen > 0
    free = max(used.sum() - len(theta), 1)
    noise = float(np.sqrt(np.sum(residual[used] ** 2) / free))
    trouble = ""
    if not np.isfinite(lowest):
        trouble, bowl, lowest = "its losses have no minimum", np.zeros(2), y.min()
    center = middle + scale * bowl
    low, high = x.min(0), x.max(0)
    for i, name in enumerate(("learning rate", "batch")):
        if not trouble and not low[i] <= center[i] <= high[i]:
            trouble = f"its best {name} lies outside the sweep"
    covariance, ends = np.diag((high - low) ** 2), (low, high)
    if not trouble:
        draws = middle + scale * _draws(basis[used], y[used], chosen[used])
        if len(draws) < 0.8 * DRAWS:
            trouble = "its losses hardly have a minimum"
        else:
            draws = np.clip(draws, low - scale, high + scale)
            covariance = np.cov(draws.T) + 1e-8 * np.eye(2)
            tail = (1 - LEVEL) / 2
            ends = tuple(np.quantile(draws, (tail, 1 - tail), axis=0))
    return Optimum(
        cell.params, cell.tokens, center, covariance, _curvature(theta, bowl) / scale**2, float(np.exp(lowest)),
        noise, int(used.sum()), *ends, trouble,
    )  # fmt: skip


def fit_sweep(cells: Sequence[SweepCell], near: float = NEAR) -> SweepFit:
    """Surfaces of all cells and power laws through their optima.

    The batch depends on D, the learning rate on N and D where five or more cells tell them apart, else on D alone;
    where all lengths are the same, both depend on N. Raises `DesignError` for fewer than three cells with a minimum.
    """
    optima = tuple(optimum(cell, near) for cell in cells)
    good = [o for o in optima if not o.trouble]
    if len(good) < FEWEST_CELLS:
        why = next((f"; of one, {o.trouble}" for o in optima if o.trouble), "")
        raise DesignError(
            f"Power laws need the optima of {FEWEST_CELLS} or more pairs of model size and length, "
            f"got {len(good)}{why}."
        )
    terms = _terms(good)
    design = np.concatenate([_design(terms, o.params, o.tokens) for o in good])
    seen = np.concatenate([o.center for o in good])
    known = [o.covariance for o in good]

    def solve(scatter: NDArray) -> tuple[NDArray, NDArray, float]:
        blocks = [np.linalg.inv(s + np.diag(scatter**2)) for s in known]
        weigh = np.zeros((len(seen), len(seen)))
        for i, block in enumerate(blocks):
            weigh[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = block
        normal = design.T @ weigh @ design
        beta = np.linalg.solve(normal, design.T @ weigh @ seen)
        rest = seen - design @ beta
        score = rest @ weigh @ rest + np.linalg.slogdet(normal)[1] - sum(np.linalg.slogdet(b)[1] for b in blocks)
        return beta, np.linalg.inv(normal), score

    found = minimize(
        lambda v: solve(np.exp(np.clip(v, -7, 1)))[2], np.log([0.1, 0.1]), method="Nelder-Mead",
        options={"xatol": 1e-3, "fatol": 1e-6, "maxiter": 400},
    )  # fmt: skip
    scatter = np.exp(np.clip(found.x, -7, 1))
    beta, covariance, _ = solve(scatter)
    beta = _pooled([c for c, o in zip(cells, optima, strict=True) if not o.trouble], good, design, beta, near)
    cut = 1 + len(terms["lr"])
    return SweepFit(optima, terms, {"lr": beta[:cut], "batch": beta[cut:]}, covariance, scatter)


def _pooled(
    cells: Sequence[SweepCell], optima: Sequence[Optimum], design: NDArray, beta: NDArray, near: float
) -> NDArray:
    """The laws' coefficients from all runs near the minima at once; as they were where that gives no bowl."""
    alive = [np.isfinite(c.loss) for c in cells]
    x = [np.log(np.column_stack((c.lr, c.batch)))[a] for c, a in zip(cells, alive, strict=True)]
    y = [np.log(c.loss[a]) for c, a in zip(cells, alive, strict=True)]
    size = len(beta)
    middle = np.median([o.curvature for o in optima], axis=0)
    # Centred and scaled: exponents and ln c would otherwise be all but one coefficient to the solver.
    frame, turn = np.linalg.qr(design)
    shape = np.array([middle[0, 0] / 2, middle[0, 1], middle[1, 1] / 2, 0.0])
    start = np.concatenate((turn @ beta, shape, np.log([o.loss for o in optima])))
    noise = max(float(np.median([o.noise for o in optima])), 1e-6)

    def above(v: NDArray, i: int) -> NDArray:
        a, b = (x[i] - frame[2 * i : 2 * i + 2] @ v[:size]).T
        t = v[size : size + 4]
        return t[0] * a * a + t[1] * a * b + t[2] * b * b + t[3] * a**3

    height = [values - values.min() for values in y]
    for _ in range(6):
        chosen = [h <= max(near, np.sort(h)[min(ENOUGH_POINTS, len(h)) - 1]) for h in height]

        def residuals(v: NDArray, chosen: Sequence[NDArray] = chosen) -> NDArray:
            rest = [(above(v, i) + v[size + 4 + i] - y[i])[chosen[i]] for i in range(len(y))]
            return np.concatenate(rest) / noise

        start = least_squares(residuals, start, loss="soft_l1", x_scale="jac").x
        height = [np.maximum(above(start, i), 0.5 * (y[i] - y[i].min())) for i in range(len(y))]
    t = start[size : size + 4]
    bowl = np.isfinite(start).all() and t[0] > 0 and 4 * t[0] * t[2] > t[1] ** 2
    return np.linalg.solve(turn, start[:size]) if bowl else beta


def excess(cell: SweepCell, lr: float, batch: float) -> float:
    """Relative loss above the cell's best measured run, between runs by triangles over (log lr, log batch).

    NaN outside what was measured, or beside a run that diverged. Raises `DesignError` where all runs lie on one line.
    """
    try:
        value = float(cell._surface(np.log(lr), np.log(batch)))
    except QhullError:
        raise DesignError("Losses between runs need runs at several learning rates and several batch sizes.") from None
    return value / float(cell.loss[cell.best]) - 1 if np.isfinite(value) else float("nan")


def _basis(x: NDArray, skewed: bool) -> NDArray:
    a, b = x.T
    return np.column_stack((np.ones(len(a)), a, b, a * a, a * b, b * b, *([a**3] if skewed else [])))


def _curvature(theta: NDArray, at: NDArray) -> NDArray:
    cube = theta[6] if len(theta) > 6 else 0.0
    return np.array([[2 * theta[3] + 6 * cube * at[0], theta[4]], [theta[4], 2 * theta[5]]])


def _minimum(thetas: NDArray) -> tuple[NDArray, NDArray]:
    """Where surfaces (…, 6 or 7) are lowest (…, 2), and how low; NaN where one has no minimum.

    At each a the best b is −(t2 + t4 a)/(2 t5), which leaves a polynomial of degree three in a.
    """
    t0, t1, t2, t3, t4, t5 = np.moveaxis(thetas[..., :6], -1, 0)
    cube = thetas[..., 6] if thetas.shape[-1] > 6 else np.zeros_like(t0)
    with np.errstate(invalid="ignore", divide="ignore"):
        p0, p1, p2 = t0 - t2**2 / (4 * t5), t1 - t2 * t4 / (2 * t5), t3 - t4**2 / (4 * t5)
        root = np.sqrt(p2**2 - 3 * cube * p1)
        a = np.where((t5 > 1e-9) & (root > 1e-9) & (p2 + root > 1e-9), -p1 / (p2 + root), np.nan)
        b = -(t2 + t4 * a) / (2 * t5)
    return np.stack((a, b), -1), p0 + a * (p1 + a * (p2 + a * cube))


def _draws(basis: NDArray, y: NDArray, weight: NDArray) -> NDArray:
    """Minima of refits to runs drawn with replacement; those without a minimum are left out."""
    counts = np.random.default_rng(0).multinomial(len(y), np.full(len(y), 1 / len(y)), DRAWS) * weight
    normal = np.einsum("dn,ni,nj->dij", counts, basis, basis) + 1e-10 * np.eye(basis.shape[1])
    thetas = np.linalg.solve(normal, np.einsum("dn,ni,n->di", counts, basis, y)[..., None])[..., 0]
    found, _ = _minimum(thetas)
    return found[np.isfinite(found).all(1)]


def _terms(optima: Sequence[Optimum]) -> dict[str, tuple[str, ...]]:
    both = np.log([[o.params, o.tokens] for o in optima])
    varies = np.ptp(both, axis=0) > 0.05
    one = ("tokens",) if varies[1] else ("params",)
    apart = len(optima) > 4 and np.linalg.svd(both - both.mean(0), compute_uv=False)[-1] > 0.2
    return {"lr": ("params", "tokens") if varies.all() and apart else one, "batch": one}


def _design(terms: Mapping[str, tuple[str, ...]], params: float, tokens: float) -> NDArray:
    values = {"params": np.log(params), "tokens": np.log(tokens)}
    rows = [np.array([1.0, *(values[t] for t in terms[what])]) for what in WHAT]
    return block_diag(*rows)

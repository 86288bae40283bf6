"""One's own hyper-parameter law: power laws through the optima of a sweep's cells.

    log lr = ln c + a ln N + b ln D      log batch = ln c' + a' ln N + b' ln D

are first fitted to the optima of all cells, with the covariance of each and a scatter between cells that no surface
explains. From there the coefficients are refined on the runs of all cells at once: one shape of surface, each cell with
a height of its own, minima on the laws. In the logarithms x of learning rate and y of batch, from the minimum on,

    log loss = height + s f(x; k) + u x y + w f(y; m)      f(x; k) = 2 (e^(kx) − 1 − kx) / k²

which is a parabola near 0 and steeper on one side. Intervals are those of the first fit, which knows less of the shape.
Published batches hang on D, and a sweep tells little of N beside it, so a' is held near 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import least_squares, minimize
from scipy.stats import t as student

from ..errors import DesignError
from ..fitting.coverage import times_outside
from .surface import LEVEL, Optimum, capped, optimum, reach
from .sweep_cells import SweepCell

FEWEST_CELLS = 3
WHAT = ("lr", "batch")
# Chosen by benchmarks/hyper.py, on training cells alone.
NEAR_ALL = 0.015  # of the loss above the minimum: how much of the surfaces is looked at where all are fitted at once
HELD = 0.3  # standard deviation of what is taken for a', the batch's exponent of N, before any run is seen


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
            float(np.exp(center[0])),
            float(low[0]),
            float(high[0]),
            float(np.exp(center[1])),
            float(low[1]),
            float(high[1]),
            float(0.5 * np.trace(curvature @ spread)),
            self._beyond(params, tokens),
        )

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
            if far := times_outside((min(known), max(known)), value):
                said.append(f"{name} is {far} the fitted cells")
        return ", ".join(said)


def fit_sweep(cells: Sequence[SweepCell], near: float = NEAR_ALL, held: float = HELD) -> SweepFit:
    """Surfaces of all cells and power laws through their optima. Raises like `laws_through`."""
    return laws_through(cells, [optimum(cell) for cell in cells], near, held)


def laws_through(
    cells: Sequence[SweepCell], optima: Sequence[Optimum], near: float = NEAR_ALL, held: float = HELD
) -> SweepFit:
    """Power laws through the optima of cells.

    Learning rate and batch depend on N and D where five or more cells tell them apart, else on D alone; where all
    lengths are the same, on N. Raises `DesignError` for fewer than three cells with a minimum.
    """
    good = [(c, o) for c, o in zip(cells, optima, strict=True) if not o.trouble]
    if len(good) < FEWEST_CELLS:
        why = next((f"; of one, {o.trouble}" for o in optima if o.trouble), "")
        raise DesignError(
            f"Power laws need the optima of {FEWEST_CELLS} or more pairs of model size and length, "
            f"got {len(good)}{why}."
        )
    used = [o for _, o in good]
    terms = _terms(used)
    design = np.stack([_design(terms, o.params, o.tokens) for o in used])
    weak = np.zeros(design.shape[2])  # 1/standard deviation of what is known of each coefficient beforehand
    if "params" in terms["batch"] and "tokens" in terms["batch"]:
        weak[1 + len(terms["lr"]) + 1 + terms["batch"].index("params")] = 1 / held
    beta, covariance, scatter = _through(used, design, weak)
    beta = _refined([c for c, _ in good], used, design, beta, weak, near)
    cut = 1 + len(terms["lr"])
    return SweepFit(tuple(optima), terms, {"lr": beta[:cut], "batch": beta[cut:]}, covariance, scatter)


def _through(optima: Sequence[Optimum], design: NDArray, weak: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Coefficients by generalised least squares, their covariance, and the scatter (2,) of highest likelihood."""
    seen = np.stack([o.center for o in optima])
    known = np.stack([o.covariance for o in optima])

    def solve(scatter: NDArray) -> tuple[NDArray, NDArray, float]:
        weight = np.linalg.inv(known + np.diag(scatter**2))
        normal = np.einsum("cip,cij,cjq->pq", design, weight, design) + np.diag(weak**2)
        beta = np.linalg.solve(normal, np.einsum("cip,cij,cj->p", design, weight, seen))
        rest = seen - design @ beta
        score = np.einsum("ci,cij,cj", rest, weight, rest) + np.sum((weak * beta) ** 2)
        return beta, normal, score + np.linalg.slogdet(normal)[1] - np.linalg.slogdet(weight)[1].sum()

    found = minimize(
        lambda v: solve(np.exp(np.clip(v, -7, 1)))[2],
        np.log([0.1, 0.1]),
        method="Nelder-Mead",
        options={"xatol": 1e-3, "fatol": 1e-6, "maxiter": 400},
    )
    scatter = np.exp(np.clip(found.x, -7, 1))
    beta, normal, _ = solve(scatter)
    return beta, np.linalg.inv(normal), scatter


def _refined(
    cells: Sequence[SweepCell], optima: Sequence[Optimum], design: NDArray, beta: NDArray, weak: NDArray, near: float
) -> NDArray:
    """The laws' coefficients from all runs near the minima at once; as they were where that gives no bowl."""
    alive = [np.isfinite(c.loss) for c in cells]
    of = np.repeat(np.arange(len(cells)), [a.sum() for a in alive])  # the cell of each run
    runs = [[getattr(c, name)[a] for c, a in zip(cells, alive, strict=True)] for name in (*WHAT, "loss")]
    *x, logs = np.log([np.concatenate(values) for values in runs])
    # Centred and scaled: exponents and ln c would otherwise be all but one coefficient to the solver.
    frame, turn = np.linalg.qr(design.reshape(-1, len(beta)))
    frame, held = frame.reshape(design.shape), np.linalg.solve(turn.T, np.diag(weak)).T
    size, noise = len(beta), max(float(np.median([o.noise for o in optima])), 1e-6)
    bend = np.median([o.curvature for o in optima], axis=0)
    shape = [bend[0, 0] / 2, bend[0, 1], bend[1, 1] / 2, 0.3, 0.3]  # s, u, w, k, m
    start = np.concatenate((turn @ beta, shape, np.log([o.loss for o in optima])))

    def above(v: NDArray) -> tuple[NDArray, NDArray]:
        """Heights of all runs above their cell's minimum, and their derivatives by laws and shape."""
        s, u, w, k, m = v[size : size + 5]
        a, b = (x[i] - frame[of, i] @ v[:size] for i in (0, 1))
        (f, f_a, f_k), (g, g_b, g_m) = _bowl(a, k), _bowl(b, m)
        by_laws = -(s * f_a + u * b)[:, None] * frame[of, 0] - (w * g_b + u * a)[:, None] * frame[of, 1]
        return s * f + u * a * b + w * g, np.column_stack((by_laws, f, a * b, g, s * f_k, w * g_m))

    def near_minimum(height: NDArray) -> NDArray:
        limits = np.array([reach(height[of == i], near) for i in range(len(cells))])
        return height <= limits[of]

    measured = logs - np.array([logs[of == i].min() for i in range(len(cells))])[of]
    height = measured
    for _ in range(6):
        chosen = near_minimum(height)
        own = np.eye(len(cells))[of[chosen]]

        def residuals(v: NDArray, chosen: NDArray = chosen) -> NDArray:
            rest = above(v)[0] + v[size + 5 :][of] - logs
            return np.concatenate((rest[chosen] / noise, held @ v[:size]))

        def jacobian(v: NDArray, chosen: NDArray = chosen, own: NDArray = own) -> NDArray:
            rest = np.hstack((above(v)[1][chosen], own)) / noise
            return np.vstack((rest, np.pad(held, ((0, 0), (0, len(v) - size)))))

        start = least_squares(residuals, start, jacobian, loss="soft_l1", x_scale="jac", max_nfev=200).x
        height = capped(above(start)[0], measured)
    s, u, w, *_ = start[size:]
    bowl = np.isfinite(start).all() and s > 0 and 4 * s * w > u**2
    return np.linalg.solve(turn, start[:size]) if bowl else beta


def _bowl(x: NDArray, k: float) -> tuple[NDArray, NDArray, NDArray]:
    """f = 2 (e^(kx) − 1 − kx)/k², which is x² for k = 0, and its derivatives by x and k."""
    k = k if abs(k) > 1e-4 else 1e-4  # nearer to 0 the difference would drown in rounding
    rise = np.expm1(np.minimum(k * x, 30.0))
    f, slope = 2 * (rise - k * x) / k**2, 2 * rise / k
    return f, slope, (x * slope - 2 * f) / k


def _terms(optima: Sequence[Optimum]) -> dict[str, tuple[str, ...]]:
    both = np.log([[o.params, o.tokens] for o in optima])
    varies = np.ptp(both, axis=0) > 0.05
    apart = len(optima) > 4 and np.linalg.svd(both - both.mean(0), compute_uv=False)[-1] > 0.2
    found = ("params", "tokens") if varies.all() and apart else ("tokens",) if varies[1] else ("params",)
    return dict.fromkeys(WHAT, found)


def _design(terms: Mapping[str, tuple[str, ...]], params: float, tokens: float) -> NDArray:
    values = {"params": np.log(params), "tokens": np.log(tokens)}
    rows = [np.array([1.0, *(values[t] for t in terms[what])]) for what in WHAT]
    return block_diag(*rows)

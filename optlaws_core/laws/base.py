"""What a law is: one SymPy expression. Values, exact Jacobians, LaTeX and the browser's JavaScript all come from it.

A law's formula may use its parameters, the observation's features (below), and history sums
`H(t) = Σ_{k≤t} source(θ; η_k, S_k, d_k) · kernel(θ; u)`, where u is the time from step k to step t on a clock: the
learning rate to the power r, summed (r = 1: the cumulative learning rate; r = 0: steps), times a pace that may depend
on η_k.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import sympy as sp

from ..arrays import FloatArray

# Features of an observation at step t.
t, S, eta, eta0, peak = sp.symbols("t S eta eta0 peak", nonnegative=True)
params, tokens = sp.symbols("params tokens", positive=True)
bound_noise, momentum_area = sp.symbols("bound_noise momentum_area", real=True)
FEATURES = {
    t: (r"\left(t+1\right)", "updates done, t + 1 at step t"),
    S: (r"S_t", "cumulative learning rate S(t) = Σ η_i, update t included"),
    eta: (r"\eta_t", "learning rate of update t"),
    eta0: (r"\eta_0", "learning rate of the first update (0 under a warm-up)"),
    peak: (r"\eta_{\max}", "peak learning rate"),
    params: ("N", "trainable parameters of the model"),
    tokens: ("D_t", "tokens seen, update t included"),
    bound_noise: (r"R_t", "noise terms of the convex last-iterate bound, gradient norms of 1"),
    momentum_area: (r"M_t", "drops of the rate, each over their running root mean square, summed"),
}
# What a history sum sees of step k ≤ t; d_k = η_{k−1} − η_k is the drop into step k, 0 at step 0.
eta_k, S_k, u = sp.symbols("eta_k S_k u", nonnegative=True)
d_k = sp.Symbol("d_k", real=True)
pace_k = sp.Symbol("pace_k", positive=True)
_PAST = {eta_k: r"\eta_k", S_k: r"S_k", d_k: r"\left(\eta_{k-1}-\eta_k\right)"}

Scale = Literal["linear", "log", "log1m"]


@dataclass(frozen=True)
class Param:
    """A coefficient: symbol, meaning, bounds, and the scale on which it is searched, tuned and given an interval."""

    name: str
    latex: str
    meaning: str
    low: float
    high: float
    scale: Scale = "linear"  # "log1m": the logarithm of 1 − value
    needs: str | None = None  # name of a feature that must differ between training runs, or the value is `neutral`
    neutral: float | None = None
    # What is believed before any run: centre in natural units, standard deviation in search coordinates (that of the
    # logarithm for a log scale). A search pays for the distance; a locked coefficient does not.
    prior: tuple[float, float] | None = None
    weight: bool = False  # one weight of a spectrum: 0 is as good as any other value, and the law's ridge holds it down

    @property
    def symbol(self) -> sp.Symbol:
        return sp.Symbol(self.name, real=True)

    def to_scale(self, value):
        """Natural value to search coordinate; rises or falls monotonically."""
        return {"linear": lambda v: v, "log": np.log, "log1m": lambda v: np.log(1 - v)}[self.scale](value)

    def from_scale(self, x):
        """Search coordinate to natural value."""
        return {"linear": lambda v: v, "log": np.exp, "log1m": lambda v: 1 - np.exp(v)}[self.scale](x)

    def slope(self, value: float) -> float:
        """d value / d search coordinate at `value`."""
        return {"linear": 1.0, "log": value, "log1m": value - 1.0}[self.scale]


@dataclass(frozen=True)
class HistorySum:
    """Σ_{k≤t} source·kernel on the clock with power `clock`; `symbol` stands for it in the law's formula."""

    symbol: sp.Symbol
    source: sp.Expr  # in parameters, eta_k, S_k, d_k
    kernel: sp.Expr  # in parameters, u
    clock: float
    lag_latex: str  # how u is written
    pace: sp.Expr | None = None  # in parameters, eta_k: what the time from step k to step t is multiplied with
    inclusive: bool = False  # whether that time counts update k itself; on the clock with power 1

    @property
    def drops_only(self) -> bool:
        """Whether steps at which the rate does not change add nothing."""
        return bool(self.source.subs(d_k, 0) == 0)


@dataclass(frozen=True)
class Law:
    """A loss-curve law: L at every step of a plan, from coefficients. Compare and store laws by `name`."""

    name: str
    title: str
    summary: str  # one sentence for someone choosing a law
    reference: str
    formula: sp.Expr
    params: tuple[Param, ...]
    # Where the search begins; linear coefficients are left out and solved for. Empty for a law with a ridge.
    starts: tuple[Mapping[str, float], ...]
    sums: tuple[HistorySum, ...] = ()
    where: tuple[str, ...] = ()  # LaTeX of definitions that the formula needs
    latex_override: str = ""  # LaTeX of the formula, where the expression is too long to be read
    # Above 0 for laws that are linear in all coefficients: mean squared relative error that a weight is charged for
    # each square of the largest share of the loss that it makes up anywhere in the training runs.
    ridge: float = 0.0
    # Coefficients that model sizes fitted jointly have in common; the others are each size's own.
    shared: tuple[str, ...] = ()
    # Coefficients that were published, by what they were fitted to.
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.params)

    def vector(self, theta: Mapping[str, float]) -> FloatArray:
        """Coefficients as an array in the order of `params`. Those that may be neutral may be left out."""
        return np.array(list(self.complete(theta).values()), dtype=float)

    def complete(self, theta: Mapping[str, float]) -> dict[str, float]:
        """Coefficients by name in the order of `params`; neutral where they may be and `theta` has none."""
        return {p.name: theta[p.name] if p.neutral is None else theta.get(p.name, p.neutral) for p in self.params}

    @cached_property
    def linear(self) -> tuple[str, ...]:
        """Names of the coefficients in which the law is jointly linear, found from the formula."""
        whole, found = self._unfolded, []
        for p in self.params:
            trial = [*found, p.symbol]
            if not sp.diff(whole, p.symbol).free_symbols & set(trial):
                found.append(p.symbol)
        return tuple(str(s) for s in found)

    @cached_property
    def features(self) -> tuple[sp.Symbol, ...]:
        """The features that the formula uses, in the order of `FEATURES`."""
        return tuple(f for f in FEATURES if f in self.formula.free_symbols)

    @property
    def _unfolded(self) -> sp.Expr:
        """The formula with each history sum replaced by one of its terms: enough to read off its structure in θ."""
        return self.formula.subs({h.symbol: h.source * _paced(h, h.pace) for h in self.sums})

    @cached_property
    def latex(self) -> str:
        """The formula for a reader."""
        if self.latex_override:
            return self.latex_override
        names = {p.symbol: p.latex for p in self.params} | {f: text for f, (text, _) in FEATURES.items()} | _PAST
        for h in self.sums:
            inner = sp.latex(h.source * h.kernel, symbol_names=names | {u: h.lag_latex})
            names[h.symbol] = rf"\sum_{{k=0}}^{{t}} {inner}"
        rank = {p.symbol: i for i, p in enumerate(self.params)}
        terms = sorted(
            sp.Add.make_args(self.formula), key=lambda e: min(rank.get(s, len(rank)) for s in e.free_symbols)
        )
        shown = [sp.latex(e, symbol_names=names, order="none") for e in terms]
        return "L(t) = " + " + ".join(shown).replace("+ -", "-")

    @cached_property
    def compiled(self) -> "Compiled":
        """NumPy functions of the formula and its exact derivatives."""
        return Compiled(self)

    @cached_property
    def javascript(self) -> dict:
        """The same formula for the browser; see `Compiled.javascript`."""
        return self.compiled.javascript()


class _Expression:
    """A SymPy expression and its non-zero derivatives, as one NumPy function that shares common subexpressions."""

    def __init__(self, expr: sp.Expr, args: list[sp.Symbol], wrt: list[sp.Symbol]) -> None:
        self.args = args
        gradient = {s: d for s in wrt if (d := sp.diff(expr, s)) != 0}
        self.wrt = tuple(gradient)
        self.plain = _fast_powers(expr)
        modules = ["numpy"]
        self.value = sp.lambdify(args, self.plain, modules, cse=True)
        self.both = sp.lambdify(args, [self.plain, *map(_fast_powers, gradient.values())], modules, cse=True)


def _fast_powers(expr: sp.Expr) -> sp.Expr:
    """Powers with a symbolic exponent as exp(y·log x): the logarithm is then shared between value and derivatives."""

    class Log(sp.log):  # keeps SymPy from folding exp(y·log x) back into a power
        @classmethod
        def eval(cls, arg):
            return None

    return expr.replace(
        lambda e: e.is_Pow and e.exp.free_symbols and e.base != sp.E,
        lambda e: sp.exp(e.exp * Log(e.base), evaluate=False),
    ).replace(Log, lambda a: sp.log(a, evaluate=False))


class Compiled:
    """A law's formula, sources and kernels as functions of arrays; `evaluation` puts them together."""

    def __init__(self, law: Law) -> None:
        self.law = law
        theta = [p.symbol for p in law.params]
        self.sources = [_Expression(h.source, [*theta, eta_k, S_k, d_k], theta) for h in law.sums]
        self.paces = [_Expression(h.pace, [*theta, eta_k], theta) if h.pace is not None else None for h in law.sums]
        self.kernels = [
            _Expression(_paced(h, pace_k), [*theta, u, pace_k], [*theta, pace_k] if h.pace is not None else theta)
            for h in law.sums
        ]
        held = [h.symbol for h in law.sums]
        self.formula = _Expression(law.formula, [*theta, *law.features, *held], [*theta, *held])
        self.column = {s: i for i, s in enumerate(theta)}

    def javascript(self) -> dict:
        """Bodies of JavaScript functions: `formula(theta, f, H)`, and per history sum `source`, `kernel` and `pace`.

        `theta`, `f` (features), `H` (sums) are arrays; a source also sees `eta_k`, `S_k`, `d_k`, a pace `eta_k`, a
        kernel `u` and `pace_k`. A pace may be null.
        """
        code = {p.symbol: f"theta[{i}]" for i, p in enumerate(self.law.params)}
        features = {f: f"f[{i}]" for i, f in enumerate(self.law.features)}
        held = {h.symbol: f"H[{i}]" for i, h in enumerate(self.law.sums)}
        return {
            "formula": _js(self.formula.plain, code | features | held),
            "sums": [
                {"source": _js(s.plain, code), "kernel": _js(k.plain, code), "pace": g and _js(g.plain, code)}
                for s, k, g in zip(self.sources, self.kernels, self.paces, strict=True)
            ],
        }


def _paced(h: HistorySum, pace: sp.Expr | None) -> sp.Expr:
    """The kernel with its time multiplied by `pace`, where the sum has one."""
    return h.kernel if h.pace is None else h.kernel.subs(u, pace * u)


def _js(expr: sp.Expr, names: Mapping[sp.Symbol, str]) -> str:
    """JavaScript source of `expr`, symbols replaced by the given names."""
    return sp.jscode(expr.xreplace({s: sp.Symbol(n) for s, n in names.items()}))


__all__ = [
    "FEATURES",
    "HistorySum",
    "Law",
    "Param",
    "S",
    "S_k",
    "bound_noise",
    "d_k",
    "eta",
    "eta0",
    "eta_k",
    "momentum_area",
    "pace_k",
    "params",
    "peak",
    "t",
    "tokens",
    "u",
]

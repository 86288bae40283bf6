"""What a law is: one SymPy expression. Values, exact Jacobians, LaTeX and the browser's JavaScript all come from it.

A law's formula may use its parameters, the observation's features (below), and history sums
`H(t) = Σ_{k≤t} source(θ; η_k, S_k, d_k) · kernel(θ; u)`, where u is the time from step k to step t on a clock: the
learning rate to the power r, summed (r = 1: the cumulative learning rate; r = 0: steps), times a pace that may depend
on η_k.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import sympy as sp

from ..arrays import FloatArray
from ..markup import formula as formula_of
from .compiled import Compiled, Expression
from .scale_free import Coordinates
from .symbols import (
    FEATURES,
    PAST,
    HistorySum,
    S,
    S_k,
    bound_noise,
    d_k,
    eta,
    eta_k,
    momentum_area,
    pace_k,
    params,
    peak,
    t,
    tokens,
    u,
)
from .terms import Kind, by_kind

Scale = Literal["linear", "log", "log1m"]
Ways = Mapping[Scale, Callable[[Any], Any]]  # of numbers and of arrays, complex ones among them


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

    def to_scale(self, value: Any) -> Any:
        """Natural value to search coordinate; rises or falls monotonically."""
        ways: Ways = {"linear": lambda v: v, "log": np.log, "log1m": lambda v: np.log(1 - v)}
        return ways[self.scale](value)

    def from_scale(self, x: Any) -> Any:
        """Search coordinate to natural value."""
        ways: Ways = {"linear": lambda v: v, "log": np.exp, "log1m": lambda v: 1 - np.exp(v)}
        return ways[self.scale](x)

    def slope(self, value: float) -> float:
        """d value / d search coordinate at `value`."""
        return {"linear": 1.0, "log": value, "log1m": value - 1.0}[self.scale]


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
    # Coordinates in which the coefficients are alike everywhere, for laws with a learned prior.
    coordinates: Coordinates | None = None
    # Whether rises of the rate count as drops below 0. In fits that were stored before their coverage told of warm-ups,
    # the rise of a run that begins at its peak did not.
    counts_rises: bool = False
    hangs_on_warmup: bool = False  # whether what it says of the end hangs on how long the warm-up took
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
        whole = self._unfolded
        found: list[sp.Symbol] = []
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
    def knows_noise(self) -> bool:
        """Whether all that it sums over the past is noise, so that it can tell what a batch schedule does."""
        return bool(self.sums) and all(h.noise for h in self.sums)

    @property
    def _unfolded(self) -> sp.Expr:
        """The formula with each history sum replaced by one of its terms: enough to read off its structure in θ."""
        return self.formula.subs({h.symbol: h.source * h.paced(h.pace) for h in self.sums})

    def __repr__(self) -> str:
        return f"Law({self.name}: {self.title})"

    def _repr_latex_(self) -> str:
        return formula_of(self.latex)

    @cached_property
    def latex(self) -> str:
        """The formula for a reader."""
        if self.latex_override:
            return self.latex_override
        names = {p.symbol: p.latex for p in self.params} | {f: text for f, (text, _) in FEATURES.items()} | PAST
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
    def compiled(self) -> Compiled:
        """NumPy functions of the formula and its exact derivatives."""
        return Compiled([p.symbol for p in self.params], self.features, self.sums, self.formula)

    @cached_property
    def terms(self) -> dict[Kind, Expression]:
        """The same function term by term, by what they count: those of a kind together, without derivatives."""
        seen = [*(p.symbol for p in self.params), *self.features, *(h.symbol for h in self.sums)]
        return {kind: Expression(part, seen, ()) for kind, part in by_kind(self.formula, self.sums).items()}

    @cached_property
    def javascript(self) -> dict:
        """The same formula for the browser; see `Compiled.javascript`."""
        return self.compiled.javascript()


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
    "eta_k",
    "momentum_area",
    "pace_k",
    "params",
    "peak",
    "t",
    "tokens",
    "u",
]

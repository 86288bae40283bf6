"""A law's formula as fast code: NumPy functions with exact derivatives, and the browser's JavaScript."""

from collections.abc import Mapping, Sequence

import sympy as sp

from .symbols import HistorySum, S_k, d_k, eta_k, pace_k, u


class Expression:
    """A SymPy expression and its non-zero derivatives, as one NumPy function that shares common subexpressions."""

    def __init__(self, expr: sp.Expr, args: Sequence[sp.Symbol], wrt: Sequence[sp.Symbol]) -> None:
        gradient = {s: d for s in wrt if (d := sp.diff(expr, s)) != 0}
        self.wrt = tuple(gradient)
        self.plain = _fast_powers(expr)
        modules = ["numpy"]
        self.value = sp.lambdify(list(args), self.plain, modules, cse=True)
        self.both = sp.lambdify(list(args), [self.plain, *map(_fast_powers, gradient.values())], modules, cse=True)


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

    def __init__(
        self, theta: Sequence[sp.Symbol], features: Sequence[sp.Symbol], sums: Sequence[HistorySum], formula: sp.Expr
    ) -> None:
        """`theta`: symbols of the coefficients; `features`, `sums` and `formula` are those of the law."""
        theta, self.features = list(theta), list(features)
        self.sources = [Expression(h.source, [*theta, eta_k, S_k, d_k], theta) for h in sums]
        self.paces = [None if h.pace is None else Expression(h.pace, [*theta, eta_k], theta) for h in sums]
        self.kernels = [
            Expression(h.paced(pace_k), [*theta, u, pace_k], theta if h.pace is None else [*theta, pace_k])
            for h in sums
        ]
        self.held = [h.symbol for h in sums]
        self.formula = Expression(formula, [*theta, *features, *self.held], [*theta, *self.held])
        self.column = {s: i for i, s in enumerate(theta)}

    def javascript(self) -> dict:
        """Bodies of JavaScript functions: `formula(theta, f, H)`, and per history sum `source`, `kernel` and `pace`.

        `theta`, `f` (features), `H` (sums) are arrays; a source also sees `eta_k`, `S_k`, `d_k`, a pace `eta_k`, a
        kernel `u` and `pace_k`. A pace may be null.
        """
        code = {s: f"theta[{i}]" for s, i in self.column.items()}
        features = {f: f"f[{i}]" for i, f in enumerate(self.features)}
        held = {s: f"H[{i}]" for i, s in enumerate(self.held)}
        return {
            "formula": _js(self.formula.plain, code | features | held),
            "sums": [
                {
                    "source": _js(s.plain, code),
                    "kernel": _js(k.plain, code),
                    "pace": None if g is None else _js(g.plain, code),
                }
                for s, k, g in zip(self.sources, self.kernels, self.paces, strict=True)
            ],
        }


def _js(expr: sp.Expr, names: Mapping[sp.Symbol, str]) -> str:
    """JavaScript source of `expr`, symbols replaced by the given names."""
    return sp.jscode(expr.xreplace({s: sp.Symbol(n) for s, n in names.items()}))


__all__ = ["Compiled", "Expression"]

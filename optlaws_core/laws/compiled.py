"""A law's formula as fast code: NumPy functions with exact derivatives, and the browser's JavaScript."""

from collections.abc import Mapping, Sequence

import sympy as sp

from .symbols import HistorySum, S_k, d_k, eta_k, pace_k, u


class Expression:
    """A SymPy expression and its non-zero derivatives, as one NumPy function that shares common subexpressions.

    What depends on nothing but `data` can be found out before anything else is known: `known(*data)` has its values,
    which `value` and `both` take after the arguments `args`. Without `data` there are none.
    """

    def __init__(
        self, expr: sp.Expr, args: Sequence[sp.Symbol], wrt: Sequence[sp.Symbol], data: Sequence[sp.Symbol] = ()
    ) -> None:
        gradient = {s: d for s in wrt if (d := sp.diff(expr, s)) != 0}
        self.wrt = tuple(gradient)
        self.plain = _fast_powers(expr)
        found: dict[sp.Expr, sp.Symbol] = {}
        value, *slopes = (
            _without_known(e, set(data), found) for e in (self.plain, *map(_fast_powers, gradient.values()))
        )
        seen = set(data) | set(found.values())
        self.fixed = [e.free_symbols <= seen for e in (value, *slopes)]  # which answers depend on data alone
        arguments, modules = [*args, *found.values()], ["numpy"]
        self.value = sp.lambdify(arguments, value, modules, cse=True)
        self.both = sp.lambdify(arguments, [value, *slopes], modules, cse=True)
        self.known = sp.lambdify(list(data), list(found), modules, cse=True)


def _without_known(expr: sp.Expr, data: set[sp.Symbol], found: dict[sp.Expr, sp.Symbol]) -> sp.Expr:
    """`expr` with symbols in place of the largest parts that depend on `data` alone; `found` collects those parts."""
    if not expr.free_symbols & data or expr.is_Symbol:
        return expr
    if expr.free_symbols <= data:
        return found.setdefault(expr, sp.Dummy(real=True))
    if not (expr.is_Add or expr.is_Mul):
        return expr.func(*(_without_known(e, data, found) for e in expr.args))
    known = [e for e in expr.args if e.free_symbols and e.free_symbols <= data]
    rest = [_without_known(e, data, found) for e in expr.args if e not in known]
    return expr.func(*rest, *([_without_known(expr.func(*known), data, found)] if known else []))


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


def _is_linear(expr: sp.Expr, theta: Sequence[sp.Symbol]) -> bool:
    """Whether `expr` is linear in all of `theta` together, and 0 where they are."""
    slopes = [sp.diff(expr, s) for s in theta]
    return expr.subs(dict.fromkeys(theta, 0)) == 0 and not any(d.free_symbols & set(theta) for d in slopes)


class Compiled:
    """A law's formula, sources and kernels as functions of arrays; `evaluation` puts them together."""

    def __init__(
        self, theta: Sequence[sp.Symbol], features: Sequence[sp.Symbol], sums: Sequence[HistorySum], formula: sp.Expr
    ) -> None:
        """`theta`: symbols of the coefficients; `features`, `sums` and `formula` are those of the law."""
        theta, self.features = list(theta), list(features)
        past = [eta_k, S_k, d_k]
        self.sources = [Expression(h.source, [*theta, *past], theta, past) for h in sums]
        self.paces = [None if h.pace is None else Expression(h.pace, [*theta, eta_k], theta, [eta_k]) for h in sums]
        self.kernels = [
            Expression(h.paced(pace_k), [*theta, u, pace_k], theta if h.pace is None else [*theta, pace_k])
            for h in sums
        ]
        # Sums that are the same combination of coefficients for all of them: their derivatives are known beforehand.
        self.straight = [_is_linear(h.source * h.paced(h.pace), theta) for h in sums]
        self.held = [h.symbol for h in sums]
        self.formula = Expression(formula, [*theta, *features, *self.held], [*theta, *self.held], features)
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

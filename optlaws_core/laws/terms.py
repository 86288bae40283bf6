"""What the terms of a law's formula count: progress of training, noise that is left, what drops of the rate gain."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import sympy as sp

from .symbols import HistorySum, S, bound_noise, eta, eta_k, momentum_area, peak, t, tokens

# "noise" and "drops" are two views of what the course of the rate adds to its sum, and "course" is both together, which
# no term is; "rest" is alike for one model.
Kind = Literal["progress", "noise", "drops", "course", "peak", "rest"]


def by_kind(formula: sp.Expr, sums: Sequence[HistorySum]) -> dict[Kind, sp.Expr]:
    """The terms of a formula, those of a kind together; their sum is the formula."""
    found: defaultdict[Kind, list[sp.Expr]] = defaultdict(list)
    for term in sp.Add.make_args(formula):
        found[_kind(term, sums)].append(term)
    return {kind: sp.Add(*terms) for kind, terms in found.items()}


def _kind(term: sp.Expr, sums: Sequence[HistorySum]) -> Kind:
    seen = term.free_symbols
    past = [h for h in sums if h.symbol in seen]
    if {eta, bound_noise} & seen or any(_squares(h) for h in past):
        return "noise"
    if past or momentum_area in seen:
        return "drops"
    if {t, S, tokens} & seen:
        return "progress"
    return "peak" if peak in seen else "rest"


def _squares(h: HistorySum) -> bool:
    """Whether the square of the rate is summed, as of the noise of gradients."""
    return eta_k not in sp.expand(h.source / eta_k**2).free_symbols


__all__ = ["Kind", "by_kind"]

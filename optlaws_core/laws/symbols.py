"""What a law's formula is made of: the features of an observation, and sums over all steps up to it."""

from dataclasses import dataclass
from functools import cached_property

import sympy as sp

# Features of an observation at step t.
t, S, eta, peak = sp.symbols("t S eta peak", nonnegative=True)
params, tokens = sp.symbols("params tokens", positive=True)
bound_noise, momentum_area = sp.symbols("bound_noise momentum_area", real=True)
FEATURES = {
    t: (r"\left(t+1\right)", "updates done"),
    S: (r"S_t", "cumulative learning rate, the rates of all updates up to this one summed"),
    eta: (r"\eta_t", "learning rate of update t"),
    peak: (r"\eta_{\max}", "peak learning rate"),
    params: ("N", "trainable parameters of the model"),
    tokens: ("D_t", "tokens seen, update t included"),
    bound_noise: (r"R_t", "noise terms of the convex last-iterate bound, gradient norms of 1"),
    momentum_area: (r"M_t", "drops of the rate, each over their running root mean square, summed"),
}
# What a history sum sees of step k ≤ t; d_k = η_{k−1} − η_k is the drop into step k, with η_{−1} = 0: without a warm-up
# a schedule rises to its peak within one update, as it does with a warm-up of one update.
eta_k, S_k, u = sp.symbols("eta_k S_k u", nonnegative=True)
d_k = sp.Symbol("d_k", real=True)
pace_k = sp.Symbol("pace_k", positive=True)
PAST = {eta_k: r"\eta_k", S_k: r"S_k", d_k: r"\left(\eta_{k-1}-\eta_k\right)"}


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
    noise: bool = False  # whether it is known to be the noise of gradients alone, of which larger batches have less

    @cached_property
    def sees(self) -> frozenset[sp.Symbol]:
        """What the source asks of step k."""
        return frozenset(self.source.free_symbols & PAST.keys())

    @cached_property
    def drops_only(self) -> bool:
        """Whether steps at which the rate does not change add nothing."""
        return bool(self.source.subs(d_k, 0) == 0)

    def paced(self, pace: sp.Expr | None) -> sp.Expr:
        """The kernel with its time multiplied by `pace`, where the sum has one."""
        return self.kernel if self.pace is None else self.kernel.subs(u, pace * u)


__all__ = [
    "FEATURES",
    "HistorySum",
    "PAST",
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

"""The forms of the final-loss laws of Opt-Laws (reconstruction), their coefficients, and what they see of a plan.

The abstracts of Xie et al. 2024 (arXiv:2409.04777) say that the final training loss follows from features of
convergence and escape; that these are 16 is second-hand. Which features, and the forms below, are this project's, for
whichever final loss a table holds; they were not checked against the paper's full text:

    opt_laws             L = E + A n^{−α} + F n^φ (I1 √b)^{−β} + (C V / √b)^ω n^γ + P (p/1e-3)^h n^k
                         with V = Σ η_k² S_k^m (1 + c √b (η_k/1e-3)^g (S_T − S_k))^{−ρ}
    opt_laws_structural  L = E + A n^{−α} + F I1^{−β} + (C V_K / b)^ω n^γ + P (p/1e-3)^h n^k
    opt_laws_log_linear  log L is linear in the logarithms of the functionals, and in their products with log N

N is the model size, n = N/N0, B the tokens per update, b = B/B0, p the peak rate; N0 and B0 are geometric means over
the training runs. Only the log-linear law has a feature of escape, E_κ; the other two have no such term. Read
`opt_laws` from left to right: what no run gets below, what a larger model would gain, what more training would gain,
the noise that the schedule leaves, and what a peak costs that is not forgotten. Larger models need less training for
the same gain (φ below 0). The memory depends on the rate at which noise came in, as in the curve law
`opt_laws_sublinear`. A larger batch gets further with every update and leaves less noise, both with √B, as under Adam,
where updates have one size whatever the batch (Malladi et al. 2022, arXiv:2205.10287).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, OptLawsError
from ..laws import Param
from ..laws.provenance import OWN_FORM
from ..laws.sums.clocks import ETA_REF
from ..laws.sums.functionals import functionals
from ..runs import MOST_UPDATES, Plan
from ..schedules import Joint
from ..text import shortened

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
_PACE = (Param("phi", r"\varphi", "how what training removes changes with the size", -1.0, 1.0, prior=(0.0, 0.3)),)
_SMALL_PRICE = (
    Param("P", "P", "price of a peak of 1e-3", 1e-7, 2.7, "log", prior=(1e-3, 3.0)),
    Param("h", "h", "how the price grows with the peak", 0.0, 6.0, prior=(1.5, 0.7)),
    Param("k", "k", "how the price grows with the model size", -2.0, 2.0, prior=(0.3, 0.3)),
)
_PRICE = (
    Param("P", "P", "price of a peak of 1e-3", 6e-6, 2.7, "log", prior=(0.018, 3.0)),
    Param("h", "h", "how the price grows with the peak", -3.0, 6.0, prior=(1.0, 1.5)),
    Param("k", "k", "how the price grows with the model size", -2.0, 2.0, prior=(0.0, 0.9)),
)


@dataclass(frozen=True)
class FinalLaw:
    """A final-loss law: its formula in LaTeX, its coefficients, and those that are not fitted."""

    name: str
    title: str
    summary: str
    latex: str
    params: tuple[Param, ...] = ()  # none for the log-linear one, whose coefficients are those of its features
    held: Mapping[str, float] = field(default_factory=dict)
    # Powers of b in the progress, in the pace of forgetting, and (to be divided by) in the noise.
    batch: tuple[float, float, float] = (0.0, 0.0, 1.0)

    reference = OWN_FORM

    @property
    def free(self) -> tuple[Param, ...]:
        """Coefficients that a fit searches for."""
        return tuple(p for p in self.params if p.name not in self.held)


LOG_LINEAR = "opt_laws_log_linear"
FINAL_LAWS = {
    law.name: law
    for law in (
        FinalLaw(
            "opt_laws",
            "Opt-Laws (reconstruction)",
            "Size, progress, a power of the noise that the schedule leaves, and a price of the peak rate; best on runs "
            "that it has not seen.",
            r"L = E + A n^{-\alpha} + F n^\varphi (I_1 \sqrt b)^{-\beta} + \left(\tfrac{C}{\sqrt b} \sum_k \eta_k^2 "
            r"S_k^m \left(1 + c \sqrt b\, (\eta_k/10^{-3})^g (S_T - S_k)\right)^{-\rho}\right)^{\omega} n^\gamma "
            r"+ P (p/10^{-3})^h n^k",
            _COMMON + _MEMORY + _PACE + _SMALL_PRICE,
            {"m": -0.45},
            (0.5, 0.5, 0.5),
        ),
        FinalLaw(
            "opt_laws_structural",
            "Opt-Laws (reconstruction), structural",
            "Size, progress, noise and a price of the peak rate, as the stochastic differential equation has them.",
            r"L = E + A n^{-\alpha} + F I_1^{-\beta} + \left(C V_K / b\right)^{\omega} n^\gamma "
            r"+ P (p/10^{-3})^h n^k",
            _COMMON + _PRICE,
        ),
        FinalLaw(
            LOG_LINEAR,
            "Opt-Laws (reconstruction), log-linear",
            "A line through the logarithms of 8 features and their products with the size; a baseline.",
            r"\log L = \langle\theta, \psi \oplus \psi \log n\rangle, \quad \psi = \left(1, \log I_1, "
            r"\log(V_\mu/b), \log p, \log^2 p, \log D, \log E_\kappa, \log(a/T)\right)",
        ),
    )
}


def final_law(name: str) -> FinalLaw:
    """The law of that name. Raises `OptLawsError` that lists those there are."""
    if name not in FINAL_LAWS:
        raise OptLawsError(f"Unknown final-loss law {name!r:.60}. Known laws: {', '.join(FINAL_LAWS)}.")
    return FINAL_LAWS[name]


class PlanFeatures:
    """What the laws see of plans, as arrays (runs,), and the nodes of their different schedules.

    Raises `DesignError` for a plan of more than `MOST_UPDATES`, and for one with more than a learning rate.
    """

    def __init__(self, plans: Sequence[Plan], N0: float, B0: float) -> None:
        schedules = [p.schedule for p in plans]
        if (longest := max((s.total for s in schedules), default=0)) > MOST_UPDATES:
            raise DesignError(f"These laws take at most {MOST_UPDATES:,} updates of a run, got {longest:,}.")
        if more := next((s for s in schedules if isinstance(s, Joint)), None):
            raise DesignError(
                "These laws see learning rates alone, so they cannot predict the batch schedule, average or weight "
                f"decay in {shortened(more.text, 100)}."
            )
        # Runs that differ in size or seed alone have one noise, which is summed once: its schedule and its batch.
        noisy = {pair: i for i, pair in enumerate(dict.fromkeys((p.schedule, p.batch_tokens) for p in plans))}
        self.which = np.array([noisy[p.schedule, p.batch_tokens] for p in plans], np.intp)
        self.functionals = functionals(*(schedule for schedule, _ in noisy))
        self.n = np.log(np.array([p.params for p in plans], float) / N0)
        self.b = np.log(np.array([p.batch_tokens for p in plans], float) / B0)
        self.peak = np.log(np.array([s.peak for s in schedules]) / ETA_REF)
        self.I1 = np.log(self.functionals.I1[self.which])
        self.tokens = np.log(np.array([p.tokens for p in plans]))
        self.warmup = np.log(np.array([max(s.warmup_end, 1) / s.total for s in schedules]))
        nodes = self.functionals.nodes
        live = nodes.eta > 0  # an update without rate adds no noise
        owner = np.repeat(np.arange(len(noisy)), np.diff(np.append(nodes.first, len(nodes.eta))))[live]
        eta = nodes.eta[live]
        self.first = np.searchsorted(owner, np.arange(len(noisy)))
        self.rate, self.lag, self.S = np.log(eta / ETA_REF), nodes.lag[live], np.log(nodes.S[live])
        self.batch = np.log(np.array([tokens for _, tokens in noisy], float) / B0)[owner]
        self.injected = np.log(nodes.weight[live]) + 2 * np.log(eta)

    def noise(self, log_c: float, rho: float, m: float, g: float, pace: float) -> tuple[FloatArray, FloatArray]:
        """log V, (runs,), and its derivatives in log c, log ρ, m and g, (runs, 4)."""
        u = np.exp(log_c + g * self.rate + pace * self.batch) * self.lag
        grown = np.log1p(u)
        term = np.exp(self.injected + m * self.S - rho * grown)
        V = np.add.reduceat(term, self.first)
        by_c = -rho * u / (1 + u)
        parts = [np.add.reduceat(term * d, self.first) / V for d in (by_c, -rho * grown, self.S, by_c * self.rate)]
        return np.log(V)[self.which], np.stack(parts, axis=1)[self.which]


def losses(law: FinalLaw, seen: PlanFeatures, theta: Mapping[str, float]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Final losses, (runs,), and their derivatives by coefficient, in search coordinates, (runs,) each."""
    t = {"m": 0.0, "g": 0.0, "phi": 0.0} | dict(theta)
    progress, pace, noise = law.batch
    V, dV = seen.noise(np.log(t["c"]), t["rho"], t["m"], t["g"], pace)
    floor = np.full_like(V, t["E"])
    size = t["A"] * np.exp(-t["alpha"] * seen.n)
    reach = seen.I1 + progress * seen.b
    signal = t["F"] * np.exp(t["phi"] * seen.n - t["beta"] * reach)
    left = np.log(t["C"]) + V - noise * seen.b
    noisy = np.exp(t["omega"] * left + t["gamma"] * seen.n)
    price = t["P"] * np.exp(t["h"] * seen.peak + t["k"] * seen.n)
    slopes = {
        "E": floor,
        "A": size,
        "alpha": -seen.n * size,
        "F": signal,
        "beta": -reach * signal,
        "phi": seen.n * signal,
        "C": t["omega"] * noisy,
        "omega": t["omega"] * left * noisy,
        "gamma": seen.n * noisy,
        **{name: t["omega"] * noisy * dV[:, i] for i, name in enumerate(("c", "rho", "m", "g"))},
        "P": price,
        "h": seen.peak * price,
        "k": seen.n * price,
    }
    return floor + size + signal + noisy + price, slopes


TERMS = {
    "floor": "loss that no run gets below",
    "size": "model size: what a larger model would gain",
    "progress": "convergence: what more training would gain",
    "noise": "noise that the schedule leaves at the end",
    "peak": "price of the peak rate",
}


def terms(law: FinalLaw, seen: PlanFeatures, theta: Mapping[str, float]) -> dict[str, FloatArray]:
    """The addends of the loss, (runs,) each, by the names in `TERMS`."""
    _, slopes = losses(law, seen, theta)
    noise = slopes["C"] / theta["omega"]
    return dict(zip(TERMS, (slopes["E"], slopes["A"], slopes["F"], noise, slopes["P"]), strict=True))


FEATURES = ("1", "log I1", "log V_mu/b", "log p", "log^2 p", "log D", "log E_kappa", "log a/T")
LINE = (*FEATURES, *(f"{name} * log n" for name in FEATURES))  # coefficients of the log-linear law


def features(seen: PlanFeatures, mu: float, kappa: float) -> FloatArray:
    """ψ ⊕ ψ·log n, (runs, 16)."""
    f = seen.functionals
    with np.errstate(divide="ignore"):
        escape = np.maximum(np.log(f.E_kappa(kappa)[seen.which]), -700.0)
    noise = np.log(f.V_mu(mu)[seen.which]) - seen.b
    columns = (np.ones_like(seen.n), seen.I1, noise, seen.peak, seen.peak**2, seen.tokens, escape, seen.warmup)
    psi = np.stack(columns, axis=1)
    return np.concatenate((psi, psi * seen.n[:, None]), axis=1)


__all__ = [
    "FINAL_LAWS",
    "LINE",
    "LOG_LINEAR",
    "TERMS",
    "FinalLaw",
    "PlanFeatures",
    "features",
    "final_law",
    "losses",
    "terms",
]

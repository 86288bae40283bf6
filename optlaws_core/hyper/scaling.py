"""Rules for another batch, the split of a compute budget, quantisation-aware training, sparse and mixed models.

Losses are in nats per token, batches in tokens, compute C = 6ND. How sure each constant is stands beside it: `READ` in
the source's text, code or data, or `SECOND_HAND` in works that quote it. docs/sources.md tells where, one by one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import OptLawsError
from ..fitting.coverage import times_outside

READ, SECOND_HAND = "read in the source", "second-hand"


@dataclass(frozen=True)
class LossLaw:
    """L(N, D) = E + A/N^alpha + B/D^beta."""

    title: str
    reference: str
    sure: str
    floor: float  # E
    a: float
    alpha: float
    b: float
    beta: float

    def loss(self, params: float, tokens: float) -> float:
        """The final loss of a well-tuned run."""
        return self.floor + self.a / params**self.alpha + self.b / tokens**self.beta

    def allocate(self, compute: float) -> tuple[float, float]:
        """Parameters and tokens of the lowest loss that 6ND = `compute` buys."""
        both = self.alpha + self.beta
        g = (self.alpha * self.a / (self.beta * self.b)) ** (1 / both)
        return g * (compute / 6) ** (self.beta / both), (compute / 6) ** (self.alpha / both) / g


# The exponents that the paper rounds to 0.34 and 0.28 stand in its own source files. The rounding matters: at 1e21
# FLOP it makes 50 tokens a parameter of 34.
HOFFMANN = LossLaw(
    "Chinchilla, approach 3",
    "Hoffmann et al. 2022, arXiv 2203.15556",
    SECOND_HAND,
    1.6934,
    406.4,
    0.3392,
    410.7,
    0.2849,
)
BESIROGLU = LossLaw(
    "Chinchilla, refitted",
    "Besiroglu et al. 2024, arXiv 2404.10102",
    SECOND_HAND,
    1.8172,
    482.01,
    0.3478,
    2085.43,
    0.3658,
)


@dataclass(frozen=True)
class Allocation:
    """A way to split a compute budget."""

    title: str
    reference: str
    sure: str
    split: Callable[[float], tuple[float, float]]  # compute -> parameters, tokens


def tokens_per_parameter(ratio: float) -> Callable[[float], tuple[float, float]]:
    """The split with D = ratio · N."""
    return lambda compute: ((compute / 6 / ratio) ** 0.5, (compute / 6 * ratio) ** 0.5)


def _deepseek(compute: float) -> tuple[float, float]:
    # M is floating-point operations per token, 6N where attention is small beside the rest
    return 0.1715 * compute**0.5243 / 6, 5.8316 * compute**0.4757


ALLOCATIONS = {
    "hoffmann": Allocation(HOFFMANN.title, HOFFMANN.reference, HOFFMANN.sure, HOFFMANN.allocate),
    "besiroglu": Allocation(BESIROGLU.title, BESIROGLU.reference, BESIROGLU.sure, BESIROGLU.allocate),
    "deepseek": Allocation("DeepSeek LLM", "DeepSeek-AI 2024, arXiv 2401.02954", SECOND_HAND, _deepseek),
    "twenty": Allocation(
        "20 tokens per parameter", "rule of thumb after Hoffmann et al. 2022", SECOND_HAND, tokens_per_parameter(20)
    ),
    "minicpm": Allocation(
        "MiniCPM, 192 tokens per parameter", "Hu et al. 2024, arXiv 2404.06395", SECOND_HAND, tokens_per_parameter(192)
    ),
}


REPEATS = "Muennighoff et al. 2023, arXiv 2305.16264"


def effective_tokens(unique: float, tokens: float) -> float:
    """What `tokens` of training are worth in fresh ones, when only `unique` are.

    Muennighoff et al. 2023, arXiv 2305.16264, equation 5, with the decay constant that the paper fits.
    """
    repeats = max(tokens / unique - 1, 0.0)
    half = 15.387756
    return min(tokens, unique) * (1 + half * -np.expm1(-repeats / half))


# Another batch. A rule gives the factor on the learning rate; `noise` is the batch where gradient noise equals signal.


@dataclass(frozen=True)
class BatchRule:
    """How the learning rate goes with the batch."""

    title: str
    meaning: str
    reference: str
    sure: str
    factor: Callable[[float, float, float], float]  # batch, other batch, noise scale -> lr' / lr
    needs_noise: bool = False


def _mccandlish(batch: float, other: float, noise: float) -> float:
    return (1 + noise / batch) / (1 + noise / other)


def _surge(batch: float, other: float, noise: float) -> float:
    def rate(b: float) -> float:
        return 2 / ((noise / b) ** 0.5 + (b / noise) ** 0.5)

    return rate(other) / rate(batch)


GRANZIOL = "Granziol et al. 2020, arXiv 2006.09092"
BATCH_RULES = {
    "sqrt": BatchRule(
        "Square root (Adam)",
        "Grows with the root of the batch.",
        f"{GRANZIOL}; Malladi et al. 2022, arXiv 2205.10287",
        READ,
        lambda b, other, _: (other / b) ** 0.5,
    ),
    "linear": BatchRule("Linear (SGD)", "Grows with the batch.", GRANZIOL, READ, lambda b, other, _: other / b),
    "mccandlish": BatchRule(
        "Saturating (SGD)",
        "Grows with the batch below the noise scale, then levels off.",
        "McCandlish et al. 2018, arXiv 1812.06162",
        SECOND_HAND,
        _mccandlish,
        True,
    ),
    "surge": BatchRule(
        "Rise and fall (Adam)",
        "Grows with the root of the batch, is highest at the noise scale, then falls.",
        "Li et al. 2024, arXiv 2405.14578",
        READ,
        _surge,
        True,
    ),
}


def rescale(rule: str, lr: float, batch: float, other: float, noise: float | None = None) -> float:
    """The learning rate at batch `other`, from a good one at `batch`.

    Raises `OptLawsError` for a rule that is not known, and for one that lacks its noise scale.
    """
    if rule not in BATCH_RULES:
        raise OptLawsError(f"Unknown batch rule {rule!r}; known rules: {', '.join(BATCH_RULES)}.")
    if BATCH_RULES[rule].needs_noise and noise is None:
        raise OptLawsError(f"The rule {rule!r} needs the noise scale, the batch where noise equals signal, got none.")
    return lr * BATCH_RULES[rule].factor(batch, other, noise or 0.0)


def adam_at(batch: float, other: float, beta1: float, beta2: float, eps: float) -> tuple[float, float, float]:
    """Adam's other settings for the square-root rule (Malladi et al. 2022; second-hand): betas and epsilon at `other`.

    Raises `OptLawsError` where a beta would fall below 0.
    """
    k = other / batch
    betas = 1 - k * (1 - beta1), 1 - k * (1 - beta2)
    if min(betas) < 0:
        raise OptLawsError(
            f"A batch {k:.3g} times as large needs betas of at least {1 - 1 / k:.3g}, got {beta1}, {beta2}."
        )
    return *betas, eps / k**0.5


MUP = "Yang et al. 2022, arXiv 2203.03466, as in Shen et al. 2024, arXiv 2408.13359, table 1"


def at_width(lr: float, width: float, other: float) -> float:
    """The rate of hidden matrices in a model `other` wide, where `lr` is good at `width`: µP for Adam.

    Under µP hidden matrices take the base model's rate divided by the width multiplier, other/width, while embeddings,
    gains and biases keep it. Raises `OptLawsError` for what is not above 0.
    """
    for what, value in (("The learning rate", lr), ("The width", width), ("The other width", other)):
        if not 0 < value < float("inf"):
            raise OptLawsError(f"{what} must be a number above 0, got {value:g}.")
    return lr * width / other


def width_said(lr: float, width: float, other: float) -> str:
    """What µP makes of a rate at another width, as a sentence. Raises like `at_width`."""
    rate = at_width(lr, width, other)
    return (
        f"Under µP hidden matrices of a model {other / width:.3g} times as wide take {rate:.3g}; embeddings, gains and "
        f"biases keep {lr:.3g} ({MUP}). Without µP no rule of the width alone is known."
    )


def tradeoff(batch: float, critical: float) -> tuple[float, float]:
    """Steps over their minimum and tokens over their minimum, at a batch: (S/Smin − 1)(E/Emin − 1) = 1."""
    return 1 + critical / batch, 1 + batch / critical


def critical_batch_of_loss(loss: float) -> float:
    """Tokens of the critical batch at a loss (Kaplan et al. 2020, arXiv 2001.08361, equation 1.4; second-hand)."""
    return 2e8 / loss ** (1 / 0.21)


def timescale(params: float, tokens: float) -> float:
    """Best memory of AdamW as a share of the training, B/(lr · decay · D).

    Power Lines (Bergsma et al. 2025, arXiv 2505.13738), second-hand: 0.21 at 20 tokens per parameter, from there on
    with the power −0.527 of their number.
    """
    return 0.21 * (tokens / params / 20) ** -0.527


def weight_decay(params: float, tokens: float, lr: float, batch: float) -> float:
    """The weight decay at which AdamW has that memory."""
    return batch / (lr * tokens * timescale(params, tokens))


# Compute-optimal quantisation-aware training: what its 757 runs had.
QAT = "Dremov et al. 2025, arXiv 2509.22935"
QAT_BITS = (1, 2, 4, 6)
QAT_PARAMS, QAT_TOKENS = (86e6, 2.2e9), (2.3e9, 1.4e12)


def qat_fraction(params: float, tokens: float, bits: float) -> float:
    """Share of the tokens that go to quantisation-aware training (arXiv 2509.22935; second-hand, mean error 0.091).

    0 where there is at most one token for each byte of weights: the law knows no such runs.
    """
    per_byte = tokens / (params * bits / 8)
    return float(np.exp(-6.7297 / np.log(per_byte))) if per_byte > 1 else 0.0


def qat_outside(params: float, tokens: float, bits: float) -> tuple[str, ...]:
    """What lies outside the runs that `qat_fraction` was fitted on, in words; empty where nothing does."""
    found = [
        f"{letter} {far} the fitted range"
        for letter, value, known in (("N", params, QAT_PARAMS), ("D", tokens, QAT_TOKENS))
        if (far := times_outside(known, value))
    ]
    if bits not in QAT_BITS:
        found.append(f"{bits:g} bits, where the runs had {', '.join(map(str, QAT_BITS[:-1]))} or {QAT_BITS[-1]}")
    return tuple(found)


@dataclass(frozen=True)
class WeightSparsity:
    """L = (aS (1 − S)^bS + cS) (1/N)^bN + (aD/D)^bD + c with N the weights that are not zero (arXiv 2309.08520)."""

    title: str
    a_s: float
    b_s: float
    c_s: float
    b_n: float
    a_d: float
    b_d: float
    floor: float
    sure: str = SECOND_HAND

    def loss(self, nonzero: float, tokens: float, sparsity: float) -> float:
        """The final loss with a share `sparsity` of the weights at zero."""
        if not 0 <= sparsity < 1:
            raise OptLawsError(f"A sparsity is at least 0 and below 1, got {sparsity:g}.")
        size = (self.a_s * (1 - sparsity) ** self.b_s + self.c_s) * nonzero**-self.b_n
        return size + (self.a_d / tokens) ** self.b_d + self.floor

    def worth(self, sparsity: float) -> float:
        """The dense model of the same loss, over the sparse model's weights that are not zero."""
        ratio = (self.a_s + self.c_s) / (self.a_s * (1 - sparsity) ** self.b_s + self.c_s)
        return ratio ** (1 / self.b_n)

    def best_sparsity(self, nonzero: float, compute: float) -> float:
        """The sparsity of the lowest loss for so many weights that are not zero and a compute of training; 0 for none.

        It follows from the law where an update costs what it costs in the dense model of nonzero/(1 − S) weights, so
        that D = C (1 − S)/(6 nonzero): hardware that saves nothing by zeros in training.
        """
        data = self.b_d * (6 * nonzero * self.a_d / compute) ** self.b_d
        kept = (data * nonzero**self.b_n / (self.a_s * self.b_s)) ** (1 / (self.b_s + self.b_d))
        return max(0.0, 1 - kept)


WEIGHT_SPARSITY = "Frantar et al. 2023, arXiv 2309.08520"
SPARSITY = {
    "t5": WeightSparsity("T5 on C4", 16.8, 0.722, 45.0, 0.245, 6.90e8, 0.203, 0.651),
}


# Mixtures of experts, by what they vary: how sure the constants are, and their source.
MIXTURES = {
    "share": (SECOND_HAND, "Abnar et al. 2025, arXiv 2501.12370"),
    "granularity": (SECOND_HAND, "Krajewski et al. 2024, arXiv 2402.07871"),
    "reasoning": (SECOND_HAND, "Nakamura et al. 2025, arXiv 2508.18672"),
}
# What the fits of the two loss laws had seen: granularity, parameters and tokens of Krajewski et al., and tokens for
# each parameter at which reasoning was best in Nakamura et al., whose models all saw 125 billion tokens.
GRANULARITY, GRANULAR_PARAMS, GRANULAR_TOKENS = (1, 16), (129e6, 3.7e9), (16e9, 130e9)
REASONING_TOKENS, REASONING_LENGTH = 20.0, 125e9


def moe_loss(params: float, tokens: float, sparsity: float) -> float:
    """Loss of a mixture of experts of `params` in all, a share `sparsity` of them idle at a token (Abnar et al.)."""
    if not 0 <= sparsity < 1:
        raise OptLawsError(f"A sparsity is at least 0 and below 1, got {sparsity:g}.")
    active = 1 - sparsity
    return (
        16612.5 / params**0.5962
        + 5455.67 / tokens**0.3954
        + 0.4598 * active**0.1666
        + 17.26 / (active**0.1603 * params**0.1595)
        + 0.94
    )


def moe_sparsity(params: float) -> float:
    """The share of idle parameters at which `moe_loss` is lowest for so many in all; 0 where dense is best."""
    active = (0.1603 * 17.26 / params**0.1595 / (0.1666 * 0.4598)) ** (1 / (0.1666 + 0.1603))
    return max(0.0, 1 - active)


def moe_params_for_reasoning(tokens: float) -> float:
    """Parameters in all of a mixture of experts that is best at reasoning after `tokens` (Nakamura et al. 2025).

    Their models were best at about 20 tokens for each parameter, idle ones counted; at recalling facts the more
    parameters the better, so with fewer tokens for each. At one loss, more active operations reason better.
    """
    return tokens / REASONING_TOKENS


def granular_loss(params: float, tokens: float, granularity: float = 1.0) -> float:
    """Loss of a mixture of fine-grained experts (Krajewski et al.)."""
    return 0.47 + (2.1 / granularity**0.58 + 18.1) / params**0.115 + 30.8 / tokens**0.147

"""Published laws for the peak learning rate and the batch, side by side.

N are parameters (without embeddings, unless a note says otherwise), D tokens, C = 6ND. Batches are in tokens. A law is
one record in `HYPER_LAWS`; pages and tables follow by themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..amounts import written
from ..errors import OptLawsError
from .scaling import BESIROGLU, FROM_MEMORY, READ, SECOND_HAND, critical_batch_of_loss

Range = tuple[float, float] | None


@dataclass(frozen=True)
class Setting:
    """What a law may look at."""

    params: float
    tokens: float
    batch: float  # that the run will use
    loss: float  # that it will end with

    @property
    def compute(self) -> float:
        """6ND."""
        return 6 * self.params * self.tokens


@dataclass(frozen=True)
class HyperLaw:
    """A law for the peak learning rate, the batch, or both. Ranges are those it was fitted in; None where unknown."""

    name: str
    title: str
    reference: str
    formula: str  # LaTeX
    sure: str  # of the constants
    lr: Callable[[Setting], float] | None = None
    batch: Callable[[Setting], float] | None = None
    params: Range = None
    tokens: Range = None
    compute: Range = None
    note: str = ""
    needs: tuple[str, ...] = ()  # of "batch", "loss"

    def outside(self, params: float, tokens: float) -> tuple[str, ...]:
        """What lies outside the fitted ranges, in words; empty where nothing does."""
        found = []
        for what, value, known in (
            ("N", params, self.params), ("D", tokens, self.tokens), ("C", 6 * params * tokens, self.compute),
        ):  # fmt: skip
            if known and not known[0] / 1.001 <= value <= known[1] * 1.001:
                far = max(known[0] / value, value / known[1])
                said = f"{far:.2g}" if far < 100 else f"{far:,.0f}"
                found.append(f"{what} {said} times {'below' if value < known[0] else 'above'} the fitted range")
        return tuple(found)

    @property
    def range(self) -> str:
        """The fitted ranges in words."""
        known = (("N", self.params), ("D", self.tokens), ("C", self.compute))
        said = [f"{n} {_short(r[0])} to {_short(r[1])}" for n, r in known if r]
        return ", ".join(said) or "not known"


@dataclass(frozen=True)
class Recommended:
    """One law's answer. None where it gives none; the interval where its spread is known."""

    law: HyperLaw
    lr: float | None
    batch: float | None
    outside: tuple[str, ...]
    lr_interval: Range = None
    batch_interval: Range = None


def _short(value: float) -> str:
    return written(value, 3) if value < 1e15 else f"{value:.1e}".replace("e+", "e")


_LAWS = (
    HyperLaw(
        "step_law", "Step Law", "Li et al. 2025, arXiv 2503.04715",
        r"\eta = 1.79\,N^{-0.713} D^{0.307},\quad B = 0.58\,D^{0.571}", READ,
        lambda s: 1.79 * s.params**-0.713 * s.tokens**0.307, lambda s: 0.58 * s.tokens**0.571,
        params=(214_663_680, 1_073_741_824), tokens=(4e9, 1e11),
        note="Cosine to a fixed 1e-5. Ranges are those of the published dense runs.",
    ),
    HyperLaw(
        "power_scheduler", "Power Scheduler", "Shen et al. 2024, arXiv 2408.13359",
        r"\eta = 4.6\,\tfrac{B}{4096}\,D^{-0.51}", READ,
        lambda s: 4.6 * s.batch / 4096 * s.tokens**-0.51,
        params=(12e6, 121e6), note="For µP and WSD; takes the batch as given.", needs=("batch",),
    ),
    HyperLaw(
        "deepseek", "DeepSeek LLM", "DeepSeek-AI 2024, arXiv 2401.02954",
        r"\eta = 0.3118\,C^{-0.125},\quad B = 0.292\,C^{0.3271}", SECOND_HAND,
        lambda s: 0.3118 * s.compute**-0.125, lambda s: 0.292 * s.compute**0.3271,
        compute=(1e17, 2e19), note="Constants second-hand, the range from memory. Its C counts attention; 6ND here.",
    ),
    HyperLaw(
        "bjorck", "Björck et al.", "Bjorck et al. 2024, arXiv 2409.19913",
        r"\eta = 1.3192\,e^{-5}\,(N/10^6)^{-0.23} (D/10^9)^{-0.32}", SECOND_HAND,
        lambda s: 1.3192 * np.exp(-5) * (s.params / 1e6) ** -0.23 * (s.tokens / 1e9) ** -0.32,
        params=(760e6, 2.7e9), note="Exponents second-hand; the constant's units are our reading, unconfirmed.",
    ),
    HyperLaw(
        "porian", "Porian et al.", "Porian et al. 2024, arXiv 2406.19146",
        r"\eta = 3.7\,N^{-0.36},\quad B = 0.7576\,N^{0.703}", SECOND_HAND,
        lambda s: 3.7 * s.params**-0.36, lambda s: 0.7576 * s.params**0.703,
        params=(5e6, 901e6), note="For lengths of about 20 tokens a parameter. As the Step Law quotes it.",
    ),
    HyperLaw(
        "minicpm", "MiniCPM", "Hu et al. 2024, arXiv 2404.06395",
        r"\eta = 0.01,\quad B = 1.21\cdot 10^9 / L^{6.24}", FROM_MEMORY,
        lambda s: 0.01, lambda s: 1.21e9 / s.loss**6.24,
        note="The rate is second-hand and for µP; the batch is from memory, for the final loss L.", needs=("loss",),
    ),
    HyperLaw(
        "power_lines", "Power Lines", "Bergsma et al. 2025, arXiv 2505.13738",
        r"B = 2048\cdot 0.0306\,D^{0.383}", FROM_MEMORY,
        batch=lambda s: 2048 * 0.0306 * s.tokens**0.383,
        note="The exponent near 0.4 is second-hand, both numbers are from memory.",
    ),
    HyperLaw(
        "kaplan", "Kaplan et al.", "Kaplan et al. 2020, arXiv 2001.08361",
        r"\eta = 0.003239 - 0.0001395\,\ln N,\quad B = 2\cdot 10^8 / L^{4.76}", FROM_MEMORY,
        lambda s: 3.239e-3 - 1.395e-4 * np.log(s.params), lambda s: critical_batch_of_loss(s.loss),
        note="The batch is the critical one, where noise equals signal. No rate above 12B.", needs=("loss",),
    ),
)  # fmt: skip
HYPER_LAWS = {law.name: law for law in _LAWS}

# Step Law: means and covariance of the coefficients over its 1,000 published bootstrap fits, in
# github.com/step-law/steplaw. Intervals from them are within 1 % of the fits' own quantiles.
_LR_MEAN = np.array([0.58630779, -0.71292229, 0.30749095])  # 1, ln N, ln D
_LR_COV = np.array(
    [
        [0.38906211148774494, -0.013558938970776157, -0.005132493532093748],
        [-0.013558938970776157, 0.0008914857372464491, -0.0001743317885256672],
        [-0.005132493532093748, -0.0001743317885256672, 0.00036631184290429863],
    ]
)
_BATCH_MEAN = np.array([-0.54354217, 0.57094436])  # 1, ln D
_BATCH_COV = np.array([[0.19117963587406547, -0.008151572248019927], [-0.008151572248019927, 0.0003485179394956627]])
_NORMAL = 1.6448536269514722


def spread(params: float, tokens: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where nine of ten of the Step Law's bootstrap fits put the learning rate, and the batch."""
    found = []
    for mean, cov, row in (
        (_LR_MEAN, _LR_COV, np.array([1, np.log(params), np.log(tokens)])),
        (_BATCH_MEAN, _BATCH_COV, np.array([1, np.log(tokens)])),
    ):
        half = _NORMAL * np.sqrt(row @ cov @ row)
        found.append((float(np.exp(mean @ row - half)), float(np.exp(mean @ row + half))))
    return found[0], found[1]


def recommend(
    params: float, tokens: float, batch: float | None = None, loss: float | None = None
) -> tuple[Recommended, ...]:
    """Every law's peak learning rate and batch for N and D, with what lies outside the range that it was fitted in.

    `batch`: for laws that take it as given; by default the Step Law's. `loss`: the final loss, for laws that need it;
    by default that of the refitted Chinchilla law. Raises `OptLawsError` for what is not above 0.
    """
    for what, value in (("N", params), ("D", tokens), ("The batch", batch), ("The loss", loss)):
        if value is not None and not 0 < value < float("inf"):
            raise OptLawsError(f"{what} must be a number above 0, got {value:g}.")
    step = HYPER_LAWS["step_law"]
    setting = Setting(params, tokens, batch or 0.0, loss or BESIROGLU.loss(params, tokens))
    if batch is None:
        setting = Setting(params, tokens, step.batch(setting), setting.loss)
    rows = []
    for law in HYPER_LAWS.values():
        lr = law.lr(setting) if law.lr else None
        size = law.batch(setting) if law.batch else None
        intervals = spread(params, tokens) if law is step else (None, None)
        lr = float(lr) if lr is not None and lr > 0 else None
        rows.append(Recommended(law, lr, size and float(size), law.outside(params, tokens), *intervals))
    return tuple(rows)


def power_rate(tokens_seen: float, batch: float, a: float = 4.0, b: float = -0.51, most: float = 0.02) -> float:
    """The Power Scheduler's rate after so many tokens, before its decay; `batch` in tokens (sequences of 4096)."""
    return min(most, batch / 4096 * a * tokens_seen**b)

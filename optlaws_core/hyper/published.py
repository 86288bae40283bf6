"""Published laws for the peak learning rate and the batch, side by side.

N are parameters (without embeddings, unless a note says otherwise), D tokens, C = 6ND. Batches are in tokens. A law is
one record in `HYPER_LAWS`; pages and tables follow by themselves. Where each constant was read: docs/sources.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import OptLawsError
from ..fitting.coverage import times_outside
from ..text import format_amount
from .scaling import BESIROGLU, READ, SECOND_HAND, critical_batch_of_loss

Range = tuple[float, float] | None


@dataclass(frozen=True)
class Setting:
    """What a law may look at."""

    params: float
    tokens: float
    batch: float = float("nan")  # that the run will use
    loss: float = float("nan")  # that it will end with

    @property
    def compute(self) -> float:
        """6ND."""
        return 6 * self.params * self.tokens


@dataclass(frozen=True)
class Formula:
    """A quantity by a setting, and how that is written."""

    latex: str
    value: Callable[[Setting], float]

    def __call__(self, setting: Setting) -> float:
        """Its value."""
        return float(self.value(setting))


SEQUENCE = 4096  # tokens in a sequence of the Power Scheduler's experiments
LETTERS = {"N": "params", "D": "tokens", "C": "compute", "B": "batch", "L": "loss"}


def power(constant: float, units: Mapping[str, float] | None = None, **exponents: float) -> Formula:
    """constant · ∏ (letter/unit)^exponent, over letters of `LETTERS`; units are 1 where none is given."""
    units = units or {}
    factors = [_number(constant)]
    for letter, exponent in exponents.items():
        base = rf"({letter}/{_number(units[letter])})" if letter in units else letter
        factors.append(base if exponent == 1 else f"{base}^{{{exponent:.4g}}}")

    def value(setting: Setting) -> float:
        of = [(getattr(setting, LETTERS[n]) / units.get(n, 1.0)) ** e for n, e in exponents.items()]
        return constant * float(np.prod(of))

    return Formula(r"\,".join(factors), value)


@dataclass(frozen=True)
class HyperLaw:
    """A law for the peak learning rate, the batch, or both. Ranges are those it was fitted in; None where unknown."""

    name: str
    title: str
    reference: str
    sure: str  # of the constants
    lr: Formula | None = None
    batch: Formula | None = None  # in tokens
    params: Range = None
    tokens: Range = None
    compute: Range = None
    batches: Range = None  # in tokens, for a law that takes the batch as given
    note: str = ""
    final: float | None = None  # where the cosines of its runs ended, whatever their peak; None: not known
    mup: bool = False  # whether the rate is µP's, to be divided by the width multiplier in hidden matrices

    @property
    def parametrisation(self) -> str:
        """What the rate is for, in a word: "µP" or "standard"."""
        return "µP" if self.mup else "standard"

    @property
    def formula(self) -> str:
        """LaTeX."""
        said = ((r"\eta", self.lr), ("B", self.batch))
        return r",\quad ".join(f"{name} = {formula.latex}" for name, formula in said if formula)

    @property
    def known(self) -> tuple[tuple[str, tuple[float, float]], ...]:
        """The fitted ranges that are known, by letter."""
        ranges = (("N", self.params), ("D", self.tokens), ("C", self.compute), ("B", self.batches))
        return tuple((letter, known) for letter, known in ranges if known)

    @property
    def unknown(self) -> str:
        """Which of N and D has no known range, though the other has: "N", "D" or ""."""
        letters = {letter for letter, _ in self.known}
        return "" if not letters or "C" in letters else "".join({"N", "D"} - letters)

    def outside(self, params: float, tokens: float, batch: float = float("nan")) -> tuple[str, ...]:
        """What lies outside the fitted ranges by over 1 %, in words; empty where nothing does. `batch` where known."""
        values, found = {"N": params, "D": tokens, "C": 6 * params * tokens, "B": batch}, []
        for letter, (low, high) in self.known:
            if values[letter] == values[letter] and (far := times_outside((low, high), values[letter])):
                found.append(f"{letter} {far} the fitted range")
        return tuple(found)

    @property
    def range(self) -> str:
        """The fitted ranges in words."""
        return ", ".join(f"{n} {_short(low)} to {_short(high)}" for n, (low, high) in self.known) or "not known"


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
    return format_amount(value, 3) if value < 1e15 else f"{value:.1e}".replace("e+", "e")


def _number(value: float) -> str:
    """A number in LaTeX, with as many digits as it has."""
    mantissa, _, exponent = f"{value:g}".partition("e")
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    head = "" if mantissa == "1" else rf"{mantissa}\cdot "
    return f"{head}10^{{{int(exponent)}}}"


# Step Law: means and covariance of the coefficients over its 1,000 published bootstrap fits, in
# github.com/step-law/steplaw, whose own tool predicts with the means; the paper prints them rounded (1.79, −0.713,
# 0.307; 0.58, 0.571), which is up to 2.1 % lower. Intervals from them are within 1 % of the fits' own quantiles.
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

_LAWS = (
    HyperLaw(
        "step_law",
        "Step Law",
        "Li et al. 2025, arXiv 2503.04715",
        READ,
        lr=power(float(np.exp(_LR_MEAN[0])), N=_LR_MEAN[1], D=_LR_MEAN[2]),
        batch=power(float(np.exp(_BATCH_MEAN[0])), D=_BATCH_MEAN[1]),
        params=(214_663_680, 1_073_741_824),
        tokens=(4e9, 1e11),
        final=1e-5,
        note="Cosine to a fixed 1e-5. Ranges are those of the published dense runs. For a mixture of experts N are all "
        "parameters, whether a token uses them or not.",
    ),
    HyperLaw(
        "power_scheduler",
        "Power Scheduler",
        "Shen et al. 2024, arXiv 2408.13359",
        READ,
        lr=power(4.6, {"B": SEQUENCE}, B=1, D=-0.51),
        params=(12e6, 121e6),
        tokens=(2e9, 256e9),
        batches=(16 * SEQUENCE, 512 * SEQUENCE),
        note="For WSD; takes the batch as given, in sequences of 4096 tokens. The rate is µP's: hidden matrices take "
        "it divided by the width multiplier, the model's width over that of the base model, 256.",
        mup=True,
    ),
    HyperLaw(
        "deepseek",
        "DeepSeek LLM",
        "DeepSeek-AI 2024, arXiv 2401.02954",
        SECOND_HAND,
        lr=power(0.3118, C=-0.125),
        batch=power(0.292, C=0.3271),
        compute=(1e17, 2e19),
        note="Its C counts attention; 6ND here. The Step Law's table has 0.3188 in place of 0.3118.",
    ),
    HyperLaw(
        "bjorck",
        "Björck et al.",
        "Bjorck et al. 2024, arXiv 2409.19913",
        SECOND_HAND,
        lr=power(1.3192 * np.exp(-5), {"N": 1e6, "D": 1e9}, N=-0.23, D=-0.32),
        params=(760e6, 2.7e9),
        note="The Step Law's table prints the constant as 1.3192e-5. It is read here as 1.3192 times e to the −5, with "
        "N in millions and D in billions: only then it lies a quarter as high as the Step Law, as that paper draws it.",
    ),
    HyperLaw(
        "porian",
        "Porian et al.",
        "Porian et al. 2024, arXiv 2406.19146",
        SECOND_HAND,
        lr=power(3.7, N=-0.36),
        batch=power(0.7576, N=0.703),
        params=(5e6, 901e6),
        note="For lengths of about 20 tokens per parameter. As the Step Law quotes it.",
    ),
    HyperLaw(
        "minicpm",
        "MiniCPM",
        "Hu et al. 2024, arXiv 2404.06395",
        READ,
        lr=power(0.01),
        batch=power(1.21e9, L=-6.24),
        params=(40e6, 2.1e9),
        note="The rate is µP's: hidden matrices take it divided by the width multiplier. The range is that of the "
        "rate; the batch, for the final loss L on C4, was fitted on 9M to 170M. The Step Law quotes 2e18 for 1.21e9.",
        mup=True,
    ),
    HyperLaw(
        "kaplan",
        "Kaplan et al.",
        "Kaplan et al. 2020, arXiv 2001.08361",
        SECOND_HAND,
        lr=Formula(r"0.003239 - 0.0001395\,\ln N", lambda s: 3.239e-3 - 1.395e-4 * np.log(s.params)),
        batch=Formula(r"2\cdot 10^{8}\,L^{-1/0.21}", lambda s: critical_batch_of_loss(s.loss)),
        note="The batch is the critical one, where noise equals signal. No rate above 12B. The Step Law quotes 2e18.",
    ),
)
HYPER_LAWS = {law.name: law for law in _LAWS}

_NORMAL = 1.6448536269514722


def agreement(params: float, tokens: float) -> tuple[tuple[float, float], tuple[float, float]]:
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
    step, bare = HYPER_LAWS["step_law"], Setting(params, tokens)
    usual = step.batch(bare) if step.batch else bare.batch
    setting = replace(bare, batch=batch or usual, loss=loss or BESIROGLU.loss(params, tokens))
    rows = []
    for law in HYPER_LAWS.values():
        lr = law.lr(setting) if law.lr else None
        size = law.batch(setting) if law.batch else None
        intervals = agreement(params, tokens) if law is step else (None, None)
        lr = lr if lr is not None and lr > 0 else None
        rows.append(Recommended(law, lr, size, law.outside(params, tokens, setting.batch), *intervals))
    return tuple(rows)

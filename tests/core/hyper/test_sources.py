"""Each published constant against numbers that its source gives, and docs/sources.md against what was measured.

A check is a value of ours, the source's number for it, and the digits that the source prints: half of the last one is
what may be between the two. Where a source gives no number to check, the formula as it stands there is one.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from optlaws_core import LAWS
from optlaws_core.hyper import HYPER_LAWS, scaling
from optlaws_core.hyper.published import Setting
from tests.places import PUBLIC, ROOT

BOOTSTRAP = PUBLIC / "step_law" / "bootstrap_coefficients.csv"
PAGE = ROOT / "docs" / "sources.md"


@dataclass(frozen=True)
class Check:
    """Values of ours and of the source, (n,) each; `most` of relative difference that the printed digits leave."""

    ours: list[float]
    source: list[float]
    most: float

    @property
    def deviation(self) -> float:
        return float(np.max(np.abs(np.array(self.ours) / np.array(self.source) - 1)))


def said(name: str, what: str = "lr", **of: float) -> float:
    setting = Setting(**({"params": 1.0, "tokens": 1.0} | of))
    return getattr(HYPER_LAWS[name], what)(setting)


def _step_law() -> Check:
    """The authors' tool: means of their bootstrap fits, over four decades of N and of D."""
    mean = pd.read_csv(BOOTSTRAP).mean()
    pairs = [(n, d) for n in np.geomspace(1e8, 1e11, 13) for d in np.geomspace(1e9, 1e13, 17)]
    rates = [np.exp(mean.lr_intercept + mean.lr_coefN * np.log(n) + mean.lr_coefD * np.log(d)) for n, d in pairs]
    batches = [np.exp(mean.bs_intercept + mean.bs_coefD * np.log(d)) for _, d in pairs]
    ours = [said("step_law", what, params=n, tokens=d) for what in ("lr", "batch") for n, d in pairs]
    return Check(ours, rates + batches, 1e-3)


def _chinchilla(law: scaling.LossLaw, *constants: float) -> Check:
    return Check([law.floor, law.a, law.alpha, law.b, law.beta], list(constants), 1e-12)


def _abnar(n: float, d: float, s: float) -> float:
    """Equation 6 and table 3 as they stand there, λ below 0."""
    size, idle = 16612.50 / n**0.5962 + 5455.67 / d**0.3954, 17.26 / ((1 - s) ** 0.1603 * n**0.1595)
    return size + 0.4598 / (1 - s) ** -0.1666 + idle + 0.94


T5 = scaling.SPARSITY["t5"]
CHECKS = {
    "Step Law": _step_law,
    # §3.2: "given a 10 trillion token corpus and a batch size 1024, the predicted optimal learning rate is 0.0011"
    "Power Scheduler": lambda: Check(
        [said("power_scheduler", tokens=1e13, batch=1024 * 4096)], [0.0011], 0.00005 / 0.0011
    ),
    "DeepSeek LLM": lambda: Check(
        [said("deepseek", params=1e20 / 6), said("deepseek", "batch", params=1e20 / 6)],
        [0.3118 * 1e20**-0.125, 0.292 * 1e20**0.3271],
        1e-9,
    ),
    # The Step Law's figure for N = 1B and D = 100B draws this law at "about a factor of four" below its own.
    "Björck et al.": lambda: Check(
        [said("step_law", params=1e9, tokens=1e11) / said("bjorck", params=1e9, tokens=1e11)], [4.0], 0.125
    ),
    "Porian et al.": lambda: Check(
        [said("porian", params=1e9), said("porian", "batch", params=1e9)], [3.7 * 1e9**-0.36, 0.7576 * 1e9**0.703], 1e-9
    ),
    "MiniCPM": lambda: Check(
        [
            said("minicpm"),
            said("minicpm", "batch", loss=2.5),
            np.divide(*scaling.ALLOCATIONS["minicpm"].split(1e21)[::-1]),
        ],
        [0.01, 1.21e9 / 2.5**6.24, 192],
        1e-9,
    ),
    "Kaplan et al.": lambda: Check(
        [said("kaplan", params=1e9), said("kaplan", "batch", loss=2.5)],
        [0.003239 - 0.0001395 * np.log(1e9), 2e8 / 2.5 ** (1 / 0.21)],
        1e-9,
    ),
    "Power Lines": lambda: Check([scaling.timescale(1e9, 2e10)], [0.21], 0.005 / 0.21),
    "Chinchilla, approach 3": lambda: _chinchilla(scaling.HOFFMANN, 1.6934, 406.4, 0.3392, 410.7, 0.2849),
    "Chinchilla, refitted": lambda: _chinchilla(scaling.BESIROGLU, 1.8172, 482.01, 0.3478, 2085.43, 0.3658),
    # Equation 4: M_opt = 0.1715 C^0.5243 and D_opt = 5.8316 C^0.4757, whose product is C.
    "DeepSeek LLM, split": lambda: Check(
        [6 * np.prod(scaling.ALLOCATIONS["deepseek"].split(c)) / c for c in (1e18, 1e20, 3e20)], [1.0] * 3, 2e-4
    ),
    "Repeated data": lambda: Check(
        [scaling.effective_tokens(1e9, 5e9)], [1e9 + 1e9 * 15.387756 * (1 - np.exp(-4 / 15.387756))], 1e-9
    ),
    "Square root (Adam)": lambda: Check([scaling.rescale("sqrt", 1e-3, 8, 32)], [2e-3], 1e-9),
    "Linear (SGD)": lambda: Check([scaling.rescale("linear", 1e-3, 8, 32)], [4e-3], 1e-9),
    "Saturating (SGD)": lambda: Check(
        [scaling.rescale("mccandlish", 1 / (1 + 7 / 3), 3, 11, noise=7)], [1 / (1 + 7 / 11)], 1e-9
    ),
    # ε_max / (½ (√(B_noise/B) + √(B/B_noise))), ε_max at the noise scale
    "Rise and fall (Adam)": lambda: Check(
        [scaling.rescale("surge", 1.0, 7, b, noise=7) for b in (2, 28)],
        [2 / ((7 / b) ** 0.5 + (b / 7) ** 0.5) for b in (2, 28)],
        1e-9,
    ),
    "Adam's settings": lambda: Check(
        list(scaling.adam_at(1, 4, 0.9, 0.95, 1e-8)), [1 - 4 * (1 - 0.9), 1 - 4 * (1 - 0.95), 1e-8 / 4**0.5], 1e-9
    ),
    # Tables 1 and 2: internal matrices take η/m_width, which is 0.5, 1 and 2 for the widths 128, 256 and 512.
    "µP, another width": lambda: Check([scaling.at_width(1.0, 256, w) for w in (128, 256, 512)], [2, 1, 0.5], 1e-9),
    "Quantisation-aware training": lambda: Check(
        [scaling.qat_fraction(1e9, 1e11, 8)], [np.exp(np.log(100) - 6.7297 / np.log(100)) / 100], 1e-9
    ),
    "Weight sparsity, T5 on C4": lambda: Check(
        [T5.loss(1e7, 1e10, 0.5)],
        [(16.8 * 0.5**0.722 + 45) * (1 / 1e7) ** 0.245 + (690_000_000 / 1e10) ** 0.203 + 0.651],
        1e-9,
    ),
    "Mixture of experts": lambda: Check(
        [scaling.moe_loss(1e10, 1e11, s) for s in (0, 0.5, 0.9)], [_abnar(1e10, 1e11, s) for s in (0, 0.5, 0.9)], 1e-9
    ),
    "Fine-grained experts": lambda: Check(
        [scaling.granular_loss(1e9, 1e11, 8)], [0.47 + (2.1 / 8**0.58 + 18.1) / 1e9**0.115 + 30.8 / 1e11**0.147], 1e-9
    ),
    "Mixture of experts, reasoning": lambda: Check([125e9 / scaling.moe_params_for_reasoning(125e9)], [20.0], 1e-9),
}
NEEDS = {"Step Law": BOOTSTRAP}
SURE = {  # what the tables of the Plan page say of the same constants
    **{law.title: law.sure for law in HYPER_LAWS.values()},
    **{law.title: law.sure for law in (scaling.HOFFMANN, scaling.BESIROGLU)},
    **{rule.title: rule.sure for rule in scaling.BATCH_RULES.values()},
    **{f"Weight sparsity, {law.title}": law.sure for law in scaling.SPARSITY.values()},
    "Mixture of experts": scaling.MIXTURES["share"][0],
    "Fine-grained experts": scaling.MIXTURES["granularity"][0],
    "Mixture of experts, reasoning": scaling.MIXTURES["reasoning"][0],
}


def rows() -> dict[str, list[str]]:
    """The table of the page, by system."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells if row[0] != "system" and not set(row[0]) <= set("-")}


@pytest.mark.parametrize("system", CHECKS)
def test_each_constant_gives_the_numbers_of_its_source(system):
    if system in NEEDS and not NEEDS[system].exists():
        pytest.skip("The published bootstrap fits are not beside the checkout.")
    check = CHECKS[system]()
    assert check.deviation <= check.most
    cell = rows()[system][3]
    written = 0.0 if cell == "none" else float(cell.removesuffix(" %")) / 100
    assert check.deviation <= max(written * 1.05, 1e-9), "docs/sources.md names a smaller deviation than was measured."
    assert written <= max(check.deviation * 1.05, 1e-9), "docs/sources.md names a larger deviation than was measured."


def test_a_constant_that_stands_twice_is_one():
    """The law of curves that is called chinchilla, and the planning rules."""
    for name, law in (("Hoffmann", scaling.HOFFMANN), ("Besiroglu", scaling.BESIROGLU)):
        known = LAWS["chinchilla"].published[name]
        assert known == {"E": law.floor, "A": law.a, "a": law.alpha, "B": law.b, "b": law.beta}


def test_the_page_lists_what_is_checked_and_says_how_it_was_read():
    listed = rows()
    assert set(CHECKS) <= set(listed)
    assert set(SURE) <= set(CHECKS), "A law without a check against its source."
    for system, sure in SURE.items():
        assert listed[system][1].startswith(sure), f"docs/sources.md: {system} is {sure}"
    for system in CHECKS:
        assert re.search(r"\d{4}\.\d{5}", listed[system][0]), f"docs/sources.md names no arXiv number of {system}"

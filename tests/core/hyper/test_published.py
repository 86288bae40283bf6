"""Published hyper-parameter laws and scaling rules, against the numbers that their sources give."""

import numpy as np
import pandas as pd
import pytest

from optlaws_core.errors import OptLawsError
from optlaws_core.hyper import HYPER_LAWS, agreement, recommend, scaling
from optlaws_core.hyper.published import Setting, power
from tests.places import PUBLIC

BOOTSTRAP = PUBLIC / "step_law" / "bootstrap_coefficients.csv"


def said(name: str, params: float, tokens: float, batch: float = 1.0, loss: float = 2.5) -> tuple[float, float]:
    law, setting = HYPER_LAWS[name], Setting(params, tokens, batch, loss)
    return law.lr and law.lr(setting), law.batch and law.batch(setting)


def test_step_law():
    """Within what the paper's rounding of the constants does to its formula, 1.79 N^−0.713 D^0.307 and 0.58 D^0.571."""
    for params, tokens in ((1e9, 1e11), (7e9, 1.4e12)):
        rounded = 1.79 * params**-0.713 * tokens**0.307, 0.58 * tokens**0.571
        lr, batch = said("step_law", params, tokens)
        assert 0.015 < lr / rounded[0] - 1 < 0.021 and abs(batch / rounded[1] - 1) < 5e-4


def test_power_scheduler():
    assert said("power_scheduler", 1e8, 1e13, batch=1024 * 4096)[0] == pytest.approx(0.0011042, rel=1e-4)


def test_a_power_is_what_it_says():
    law = power(4.6e9, {"B": 4096}, B=1, D=-0.51, N=0.25)
    assert law.latex == r"4.6\cdot 10^{9}\,(B/4096)\,D^{-0.51}\,N^{0.25}"
    assert law(Setting(16, 1e10, 8192)) == pytest.approx(4.6e9 * 2 * 1e10**-0.51 * 2)


def test_deepseek_and_its_split():
    assert said("deepseek", 1e20 / 6, 1.0) == pytest.approx((9.860e-4, 1.0171e6), rel=1e-4)
    params, tokens = scaling.ALLOCATIONS["deepseek"].split(1e20)
    assert 6 * params * tokens == pytest.approx(1e20, rel=1e-3)


def test_bjorck_kaplan_and_the_others():
    assert said("bjorck", 1e9, 1e11)[0] == pytest.approx(4.1e-4, rel=0.02)
    assert said("porian", 1e9, 2e10) == pytest.approx((3.7 * 1e9**-0.36, 0.7576 * 1e9**0.703))
    assert said("kaplan", 1e9, 1e11)[0] == pytest.approx(3.239e-3 - 1.395e-4 * np.log(1e9))
    assert said("minicpm", 1e9, 1e11, loss=2.5) == pytest.approx((0.01, 1.21e9 / 2.5**6.24))


def test_recommendations_flag_what_lies_outside():
    rows = {r.law.name: r for r in recommend(7e9, 1.4e12)}
    assert set(rows) == set(HYPER_LAWS)
    assert rows["step_law"].outside == ("N 6.5 times above the fitted range", "D 14 times above the fitted range")
    assert rows["deepseek"].outside == ("C 2,940 times above the fitted range",)
    assert not {r.law.name: r for r in recommend(1e9, 2e10)}["step_law"].outside
    assert "below" in {r.law.name: r for r in recommend(1e6, 2e10)}["power_scheduler"].outside[0]
    low, high = rows["step_law"].lr_interval
    assert low < rows["step_law"].lr < high and rows["deepseek"].lr_interval is None
    assert rows["bjorck"].batch is None
    assert rows["power_scheduler"].outside[1:] == (
        "D 5.5 times above the fitted range",
        "B 2.4 times above the fitted range",
    )
    law = HYPER_LAWS["power_scheduler"]
    assert law.outside(36e6, 2e9, 32 * 4096) == () == law.outside(36e6, 256e9)
    assert law.outside(36e6, 2e9, 8 * 4096) == ("B 2 times below the fitted range",)


def test_laws_say_nothing_where_they_make_no_sense():
    rows = {r.law.name: r for r in recommend(1e12, 1e13)}
    assert rows["kaplan"].lr is None  # its line falls below 0 above 12B
    with pytest.raises(OptLawsError, match="N must be a number above 0, got -1"):
        recommend(-1, 1e9)
    with pytest.raises(OptLawsError, match="The batch must be a number above 0, got 0"):
        recommend(1e9, 1e9, batch=0)


def test_a_fixed_batch_reaches_the_law_that_takes_it():
    one, two = ({r.law.name: r.lr for r in recommend(1e9, 1e11, batch=b)} for b in (1e6, 2e6))
    assert two["power_scheduler"] == pytest.approx(2 * one["power_scheduler"])
    assert two["step_law"] == one["step_law"]


def test_every_law_names_its_source_and_how_sure_it_is():
    assert {n: law.unknown for n, law in HYPER_LAWS.items() if law.known} == {
        "step_law": "",
        "power_scheduler": "",
        "deepseek": "",
        "bjorck": "D",
        "porian": "D",
        "minicpm": "D",
    }
    for law in HYPER_LAWS.values():
        assert "arXiv" in law.reference and law.formula and (law.lr or law.batch)
        assert law.sure in (scaling.READ, scaling.SECOND_HAND)
    assert {name for name, law in HYPER_LAWS.items() if law.mup} == {"power_scheduler", "minicpm"}


@pytest.mark.skipif(not BOOTSTRAP.exists(), reason="The published bootstrap fits are not beside the checkout.")
@pytest.mark.parametrize("params, tokens", [(1e9, 1e11), (7e9, 1.4e12), (2e8, 4e9)])
def test_the_spread_is_that_of_the_published_bootstrap_fits(params, tokens):
    fits = pd.read_csv(BOOTSTRAP)
    assert len(fits) == 1000
    lr = fits["lr_intercept"] + fits["lr_coefN"] * np.log(params) + fits["lr_coefD"] * np.log(tokens)
    batch = fits["bs_intercept"] + fits["bs_coefD"] * np.log(tokens)
    for found, values in zip(agreement(params, tokens), (lr, batch), strict=True):
        assert found == pytest.approx(np.exp(np.quantile(values, (0.05, 0.95))), rel=0.01)


@pytest.mark.parametrize("law", [scaling.HOFFMANN, scaling.BESIROGLU])
@pytest.mark.parametrize("compute", [1e18, 1e21, 1e25])
def test_the_split_of_a_budget_is_the_best_one(law, compute):
    params, tokens = law.allocate(compute)
    assert 6 * params * tokens == pytest.approx(compute)
    others = np.geomspace(params / 3, params * 3, 2001)
    losses = [law.loss(n, compute / 6 / n) for n in others]
    assert others[np.argmin(losses)] == pytest.approx(params, rel=2e-3)


def test_repeated_tokens_are_worth_less():
    assert scaling.effective_tokens(1e9, 5e8) == 5e8
    assert 1e9 < scaling.effective_tokens(1e9, 2e9) < 2e9
    assert scaling.effective_tokens(1e9, 1e15) == pytest.approx(1e9 * (1 + 15.387756))


def test_batch_rules():
    assert scaling.rescale("linear", 1e-3, 1e5, 4e5) == pytest.approx(4e-3)
    assert scaling.rescale("sqrt", 1e-3, 1e5, 4e5) == pytest.approx(2e-3)
    assert scaling.rescale("mccandlish", 1e-3, 1e3, 4e3, noise=1e9) == pytest.approx(4e-3, rel=1e-4)  # noise alone
    assert scaling.rescale("mccandlish", 1e-3, 1e6, 1e12, noise=1e6) == pytest.approx(2e-3, rel=1e-4)  # levels off
    rates = [scaling.rescale("surge", 1e-3, 1e6, b, noise=1e6) for b in (5e5, 1e6, 2e6)]
    assert rates[1] == 1e-3 > rates[0] == pytest.approx(rates[2])
    with pytest.raises(OptLawsError, match="'surge' needs the noise scale"):
        scaling.rescale("surge", 1e-3, 1, 2)
    with pytest.raises(OptLawsError, match="Unknown batch rule 'cube'; known rules: sqrt, linear"):
        scaling.rescale("cube", 1e-3, 1, 2)


def test_adam_at_another_batch():
    assert scaling.adam_at(1, 2, 0.9, 0.95, 1e-8) == pytest.approx((0.8, 0.9, 1e-8 / 2**0.5))
    with pytest.raises(OptLawsError, match="needs betas of at least 0.95, got 0.9, 0.99"):
        scaling.adam_at(1, 20, 0.9, 0.99, 1e-8)


def test_critical_batch():
    steps, tokens = scaling.tradeoff(3e5, 1e6)
    assert (steps - 1) * (tokens - 1) == pytest.approx(1)
    assert scaling.tradeoff(1e6, 1e6) == (2, 2)
    assert scaling.critical_batch_of_loss(1) == 2e8


def test_weight_decay_keeps_the_timescale():
    assert scaling.timescale(1e9, 2e10) == pytest.approx(0.21)
    assert scaling.timescale(1e9, 2e11) == pytest.approx(0.21 * 10**-0.527)
    decay = scaling.weight_decay(1e9, 2e10, 1e-3, 5e5)
    assert 5e5 / (1e-3 * decay * 2e10) == pytest.approx(scaling.timescale(1e9, 2e10))


def test_quantisation_aware_training():
    assert scaling.qat_fraction(1e9, 1e11, 8) == pytest.approx(0.2319, abs=1e-4)
    assert scaling.qat_fraction(1e9, 1e12, 8) > scaling.qat_fraction(1e9, 1e11, 8)
    assert scaling.qat_fraction(1e9, 5e8, 8) == 0
    assert scaling.qat_outside(1e9, 1e11, 4) == ()
    assert scaling.qat_outside(4.4e9, 1e9, 3) == (
        "N 2 times above the fitted range",
        "D 2.3 times below the fitted range",
        "3 bits, where the runs had 1, 2, 4 or 6",
    )


def test_sparsity():
    law = scaling.SPARSITY["t5"]
    assert law.worth(0) == 1
    assert law.loss(1e9, 1e11, 0.75) == pytest.approx(law.loss(1e9 * law.worth(0.75), 1e11, 0))
    with pytest.raises(OptLawsError, match="at least 0 and below 1, got 1"):
        law.loss(1e9, 1e11, 1)


@pytest.mark.parametrize("nonzero, compute", [(1e7, 1e19), (1e7, 1e20), (1e8, 1e21)])
def test_the_best_sparsity_has_the_lowest_loss_of_its_compute(nonzero, compute):
    law = scaling.SPARSITY["t5"]
    shares = np.linspace(0, 0.999, 20_000)
    losses = [law.loss(nonzero, compute * (1 - s) / (6 * nonzero), s) for s in shares]
    assert shares[np.argmin(losses)] == pytest.approx(law.best_sparsity(nonzero, compute), abs=1e-3)
    assert law.best_sparsity(nonzero, 1e4 * compute) > law.best_sparsity(nonzero, compute)
    assert law.best_sparsity(1e12, 1e18) == 0


def test_another_width():
    assert scaling.at_width(0.02, 256, 2304) == pytest.approx(0.02 / 9)
    with pytest.raises(OptLawsError, match="The other width must be a number above 0, got 0"):
        scaling.at_width(0.02, 256, 0)


def test_mixtures_of_experts():
    best = scaling.moe_sparsity(1e11)
    shares = np.linspace(0, 0.99, 2000)
    assert shares[np.argmin([scaling.moe_loss(1e11, 1e12, s) for s in shares])] == pytest.approx(best, abs=1e-3)
    assert scaling.moe_sparsity(1e9) == 0 < best < scaling.moe_sparsity(1e12)
    assert scaling.moe_params_for_reasoning(125e9) == 6.25e9
    assert scaling.granular_loss(1e9, 1e11, 8) < scaling.granular_loss(1e9, 1e11, 1)
    with pytest.raises(OptLawsError, match="got -0.5"):
        scaling.moe_loss(1e9, 1e11, -0.5)

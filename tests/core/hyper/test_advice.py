"""What the laws say of one setting: flags, curves over sizes, what goes with them, and answers as schedules."""

import numpy as np
import pytest

from optlaws_core import parse
from optlaws_core.errors import OptLawsError, ScheduleError
from optlaws_core.hyper import (
    HYPER_LAWS,
    companions,
    in_common,
    law_map,
    laws_over,
    recommend,
    recommended_schedule,
    scaling,
    standing,
)
from optlaws_core.hyper.advice import FAMILIES, WIDE, fitted_there
from tests.places import ROOT


def answers(params: float, tokens: float, **more):
    return {r.law.name: r for r in recommend(params, tokens, **more)}


def test_an_answer_says_where_it_stands_to_its_range():
    rows = answers(1e9, 2e10)
    assert standing(rows["step_law"]) == "inside" and fitted_there(rows["step_law"])
    assert standing(rows["bjorck"]) == "inside, but D not known" and fitted_there(rows["bjorck"])
    assert standing(rows["kaplan"]) == "range not known" and not fitted_there(rows["kaplan"])
    assert fitted_there(rows["minicpm"]) and "MiniCPM" not in in_common(tuple(rows.values()))
    far = answers(7e9, 1.4e12)["step_law"]
    assert standing(far) == ", ".join(far.outside) and not fitted_there(far)


def test_what_laws_have_in_common_is_that_of_those_fitted_there():
    rows = recommend(1e9, 2e10)
    inside = [r for r in rows if r.lr and fitted_there(r) and not r.law.mup]
    low, high = min(r.lr for r in inside), max(r.lr for r in inside)
    assert in_common(rows).endswith(f"peak learning rate {low:.2g} to {high:.2g}.")
    assert all(r.law.title in in_common(rows) for r in inside) and "Kaplan" not in in_common(rows)
    assert in_common(recommend(1e13, 1e15)) == ""


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_cooldown_and_quantised_training_are_one_stretch(bits):
    found = companions(1e9, 2e10, batch=1e6, bits=bits)
    made = parse(found.fused)
    assert (made.family, made.total, made.warmup) == ("wsd", 20_000, 400)
    assert made.decay == round(found.quantised * 20_000) and made.peak == pytest.approx(found.lr, rel=1e-3)
    assert found.quantised == scaling.qat_fraction(1e9, 2e10, bits) and found.quantised_outside == ()
    assert companions(1e9, 1e8, batch=1e6, bits=8).fused == ""  # less than a token for each byte of weights
    assert companions(1e9, 2e10, bits=3).quantised_outside == ("3 bits, where the runs had 1, 2, 4 or 6",)


def test_companions_go_with_the_batch_that_is_used():
    own, fixed = companions(1e9, 2e10), companions(1e9, 2e10, batch=1e6)
    step = answers(1e9, 2e10)["step_law"]
    assert (own.lr, own.batch, fixed.batch) == (step.lr, step.batch, 1e6)
    assert fixed.weight_decay == pytest.approx(own.weight_decay * 1e6 / own.batch)
    assert 1e6 / (fixed.lr * fixed.weight_decay * 2e10) == pytest.approx(fixed.memory)
    assert fixed.quantised == scaling.qat_fraction(1e9, 2e10, 4)
    with pytest.raises(OptLawsError, match="bits of a quantised weight must be a number above 0, got 0"):
        companions(1e9, 2e10, bits=0)


@pytest.mark.parametrize("along", ["params", "tokens"])
def test_laws_over_one_axis_are_the_laws_at_each_value(along):
    found = laws_over(1e9, 2e10, along, batch=1e6)
    asked = {"params": 1e9, "tokens": 2e10}
    assert found.values[[0, -1]] == pytest.approx([asked[along] / WIDE, asked[along] * WIDE])
    i = 17
    for name, r in answers(**(asked | {along: float(found.values[i])}), batch=1e6).items():
        for what in ("lr", "batch"):
            value = found.of(name, what)[i]
            assert value == getattr(r, what) or np.isnan(value) and getattr(r, what) is None
        assert found.inside(name)[i] == fitted_there(r)
    assert found.inside("step_law").any() and not found.inside("step_law").all()
    with pytest.raises(OptLawsError, match="along one of tokens, params, got 'depth'"):
        laws_over(1e9, 2e10, "depth")
    with pytest.raises(OptLawsError, match="N must be a number above 0, got -1"):
        laws_over(-1, 2e10, "params")


def test_a_map_has_a_row_for_each_length():
    found = law_map("step_law", 1e9, 2e10, points=5)
    assert found.lr.shape == found.batch.shape == found.inside.shape == (5, 5)
    r = answers(float(found.params[3]), float(found.tokens[1]))["step_law"]
    assert (found.lr[1, 3], found.batch[1, 3], found.inside[1, 3]) == (r.lr, r.batch, fitted_there(r))
    assert np.isnan(law_map("bjorck", 1e9, 2e10, points=3).batch).all()
    with pytest.raises(OptLawsError, match="Unknown law 'mine'; known laws: step_law"):
        law_map("mine", 1e9, 2e10)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_as_a_schedule_has_its_rate_and_its_length(family):
    step = answers(1e9, 2e10)["step_law"]
    made = recommended_schedule(step, 2e10, 1e6, family)
    assert made.family == family and made.total == round(2e10 / step.batch) and made.warmup == round(0.02 * made.total)
    assert made.peak == pytest.approx(step.lr, rel=1e-3)
    bare = answers(1e9, 2e10)["bjorck"]
    assert recommended_schedule(bare, 2e10, 1e6, family).total == 20_000  # it gives no batch


def test_the_step_laws_cosine_ends_where_those_of_its_runs_did():
    """Li et al. 2025, arXiv 2503.04715: cosine to a fixed 1e-5, whatever the peak."""
    step = answers(1e9, 2e10)["step_law"]
    assert recommended_schedule(step, 2e10, 1e6).final == 1e-5
    assert recommended_schedule(answers(1e9, 2e10)["bjorck"], 2e10, 1e6).final > 1e-5  # its own are not known
    low = answers(5e12, 1e9)["step_law"]
    assert low.lr < 1e-5 and recommended_schedule(low, 1e9, 1e4).final == recommended_schedule(low, 1e9, 1e4).peak


def test_a_law_with_half_a_range_is_named_with_what_is_not_known():
    said = in_common(tuple(answers(1e9, 2e10).values()))
    assert "Step Law" in said and "Step Law (" not in said and "Björck et al. (D not known)" in said


def test_what_makes_no_schedule_says_why():
    rows = answers(1e9, 2e10)
    with pytest.raises(OptLawsError, match="Kaplan et al. gives no learning rate here"):
        recommended_schedule(answers(1e12, 2e13)["kaplan"], 2e13, 1e6)
    with pytest.raises(ScheduleError, match="A family is one of .*cosine.*, got 'bumps'"):
        recommended_schedule(rows["step_law"], 2e10, 1e6, "bumps")
    with pytest.raises(ScheduleError, match="must fill two batches of 1e[+]06 tokens, got 1e[+]06"):
        recommended_schedule(rows["bjorck"], 1e6, 1e6)


def test_every_law_with_a_rate_makes_a_schedule():
    made = [recommended_schedule(r, 2e10, 5e5) for r in recommend(1e9, 2e10) if r.lr]
    assert len(made) == sum(bool(law.lr) for law in HYPER_LAWS.values())


def test_the_example_on_the_python_page_runs(capsys):
    blocks = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").split("```python\n")[1:]
    (example,) = [block.split("```")[0] for block in blocks if "recommended_schedule" in block]
    exec(example, {})
    first, *_, schedule, decay, peak = capsys.readouterr().out.splitlines()
    assert first.startswith("Step Law") and schedule.startswith("cosine(peak=")
    assert float(decay) == companions(1e9, 2e10).weight_decay and 1e-4 < float(peak) < 1e-3

"""Plans with a weight decay: their text form, its value at every update, what they are to laws and to trainers."""

import csv
import io
import json
import runpy

import numpy as np
import pytest
import torch

from optlaws_core import DesignError, ScheduleError, parse, predict, rank
from optlaws_core.exports import TARGETS, export
from optlaws_core.exports.file_names import file_name
from optlaws_core.optimize import growths
from optlaws_core.prediction.joint_losses import joint
from optlaws_core.prediction.observed import rates_of
from optlaws_core.prediction.pairs import against
from optlaws_core.saved.plain import Candidate
from optlaws_core.schedules import Joint, WeightDecay, parts, with_rate
from tests.core.optimize.test_batch_search import LAW
from tests.knowledge.trainers.megatron import arrays
from tests.support.schedulers import executed

TOTAL = 400
RATE = "wsd(peak=1e-3, warmup=20, total=400, decay=80, final=1e-4, shape=linear)"
DECAYS = ("0.1", "0", "steps([0, 100], [0.1, 0.3])", "ramp([0, 400], [0, 0.1])", "ramp([0, 100, 300], [0.2, 0.1, 0])")


def plan(decay: str, more: str = "") -> Joint:
    return parse(f"rate={RATE}{more}; weight_decay={decay}")


@pytest.mark.parametrize("more", ["", "; batch=steps([0, 100], [6400, 12800])", "; average=ema(25)"])
@pytest.mark.parametrize("decay", DECAYS)
def test_a_plan_reads_back_from_its_text_and_from_a_snapshot(decay, more):
    made = plan(decay, more)
    assert made.text == f"rate={RATE}{more}; weight_decay={decay}"
    assert parse(made.text) == made and hash(parse(made.text)) == hash(made)
    assert Candidate.from_dict(json.loads(json.dumps(Candidate(made).to_dict()))).schedule == made
    assert np.array_equal(made(np.arange(TOTAL)), parse(RATE)(np.arange(TOTAL)))


@pytest.mark.parametrize("decay", DECAYS)
def test_every_update_has_its_value(decay):
    made, t = plan(decay).weight_decay, np.arange(TOTAL)
    if made.shape == "ramp":
        wanted = np.interp(t, made.starts, made.values)
    else:
        wanted = np.array(made.values)[np.searchsorted(made.starts, t, side="right") - 1]
    np.testing.assert_allclose(made(t), wanted, rtol=1e-12, atol=1e-15)


def test_starts_may_be_shares_and_stretch_with_the_run():
    made = plan("ramp([0, 50%, 100%], [0.1, 0.1, 0])")
    assert made.weight_decay == WeightDecay((0, 200, 400), (0.1, 0.1, 0), "ramp")
    assert made.resized(total=800).weight_decay.starts == (0, 400, 800)
    assert made.rescaled(780).weight_decay.starts == (0, 380, 780)  # behind the warm-up, which stays
    short = with_rate(made, parse("linear(peak=1e-3, total=300)"))
    assert short.weight_decay == WeightDecay((0, 200, 300), (0.1, 0.1, 0.05), "ramp") and parts(short)[0].total == 300


@pytest.mark.parametrize(
    ("decay", "said"),
    [
        ("-0.1", "a weight decay must be"),
        ("1e3", "values must lie between 0 and 100, got 1e3"),
        ("much", "a weight decay must be"),
        ("ema(3)", "weight_decay reads like 0.1, steps"),
        ("steps([0, 1], [0.1])", "each start needs its value"),
        ("steps([5, 9], [0.1, 0.2])", "whole updates that rise from 0, got 5, 9"),
        ("steps([0, 400], [0.1, 0.2])", "the last value must begin before the end of the run, at update 400, got 400"),
        ("steps([0, 0.1%], [0.1, 0.2])", "0.1% of 400 updates is update 0, at which the value before begins"),
        ("0.1; weight_decay=0.2", "weight_decay is given twice"),
    ],
)
def test_what_is_no_weight_decay_is_refused_in_a_sentence(decay, said):
    with pytest.raises(ScheduleError, match=said.replace("(", r"\(")):
        plan(decay)


# ------------------------------------------------------------------------------------------------------- laws


def test_predictions_are_those_of_the_rate_and_say_that_no_law_knows_the_weight_decay():
    one, other, bare = plan("0.1"), plan("ramp([0, 400], [0, 0.1])"), parse(RATE)
    assert predict(LAW, one)[0] == predict(LAW, other)[0] == pytest.approx(predict(LAW, bare)[0], rel=1e-12)
    said = "a weight decay, 0.1, which no law covers: plans that differ only in it get the same prediction"
    assert said in LAW.reasons(one) and not any("weight decay" in reason for reason in LAW.reasons(bare))
    found = rank(LAW, [one, other])
    assert [any("weight decay" in reason for reason in row.reasons) for row in found] == [True, True]
    assert against(joint(LAW, [one, other]), 1)[0].difference == 0
    assert rates_of(one) == rates_of(plan("steps([0, 200], [0.1, 0.1])"))
    assert len({rates_of(one), rates_of(other), rates_of(bare)}) == 3  # no run of one is taken for one of another


def test_searches_for_a_batch_refuse_it():
    with pytest.raises(DesignError, match="The batch of a learning-rate schedule is looked for, got the plan"):
        growths(LAW, plan("0.1"))


# --------------------------------------------------------------------------------------------------- trainers


@pytest.mark.parametrize("decay", DECAYS)
def test_code_and_tables_have_the_value_of_every_update(decay, tmp_path):
    made, t = plan(decay), np.arange(TOTAL)
    found = export(made, "pytorch")
    (file := tmp_path / "plan.py").write_text(found.text)
    runpy.run_path(str(file), run_name="__main__")
    space = executed(found.text)
    np.testing.assert_allclose([space["weight_decay_at"](int(k)) for k in t], made.weight_decay(t), atol=1e-15)
    rows = list(csv.DictReader(io.StringIO(export(made, "csv", steps=2 * TOTAL).text)))
    assert [float(row["weight_decay"]) for row in rows][:TOTAL] == made.weight_decay(t).tolist()
    assert found.exact and "wd-" in file_name(made, found)


def test_the_code_decays_what_was_made_to_decay_and_nothing_else():
    matrix, gain = (torch.nn.Parameter(torch.ones(1, dtype=torch.float64)) for _ in range(2))
    groups = [{"params": [matrix], "weight_decay": 0.1}, {"params": [gain], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    made = plan("steps([0, 2, 3], [0.1, 0, 0.3])")
    space, wanted = executed(export(made, "pytorch").text), 1.0
    for step in range(4):
        for p in (matrix, gain):
            p.grad = torch.zeros_like(p)
        space["set_weight_decay"](optimizer, step)
        optimizer.step()
        wanted *= 1 - 1e-2 * float(made.weight_decay(step))
    assert matrix.item() == pytest.approx(wanted, rel=1e-12) and gain.item() == 1


def test_a_weight_decay_that_starts_at_0_is_set_in_groups_made_with_the_highest():
    space = executed(export(plan("ramp([0, 400], [0, 0.1])"), "pytorch").text)

    def made(decay):
        return torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], lr=1e-2, weight_decay=decay)

    optimizer = made(space["WEIGHT_DECAY"])
    for step in range(100):
        space["set_weight_decay"](optimizer, step)
    assert optimizer.param_groups[0]["weight_decay"] == pytest.approx(0.1 * 99 / 400)
    with pytest.raises(ValueError, match="make those that decay with WEIGHT_DECAY"):
        space["set_weight_decay"](made(space["weight_decay_at"](0)), 0)


def increased(flags: dict[str, str], step: int) -> float:
    """What Megatron-LM's scheduler gives update `step`, as its `get_wd` counts."""
    if "weight-decay" in flags:
        return float(flags["weight-decay"])
    start, end = float(flags["start-weight-decay"]), float(flags["end-weight-decay"])
    assert 0 <= start <= end and flags["weight-decay-incr-style"] == "linear"
    return start + step / TOTAL * (end - start)


@pytest.mark.parametrize("more", ["", "; batch=steps([0], [6400])"])
@pytest.mark.parametrize("decay", DECAYS)
def test_megatron_has_one_value_or_a_line_that_rises(decay, more):
    made = plan(decay, more)
    given = {"sequence": 64} if more else {}
    if decay in DECAYS[2:3] + DECAYS[4:]:
        with pytest.raises(ScheduleError, match="cannot hold this weight decay, only one value, or a line that rises"):
            export(made, "megatron", **given)
        return
    found = export(made, "megatron", **given)
    flags = arrays(found.text)["DECAY_ARGS"]
    t = np.arange(TOTAL)
    np.testing.assert_allclose([increased(flags, int(k)) for k in t], made.weight_decay(t), rtol=1e-12, atol=1e-15)


def test_a_line_beside_a_batch_that_changes_is_no_line_in_samples():
    more = "; batch=steps([0, 100], [6400, 12800])"
    with pytest.raises(ScheduleError, match="a weight decay that changes beside a batch that does"):
        export(plan("ramp([0, 400], [0, 0.1])", more), "megatron", sequence=64)
    assert "--weight-decay 0.1" in export(plan("0.1", more), "megatron", sequence=64).text


def test_a_constant_weight_decay_goes_with_a_rate_that_comes_as_code():
    rate = "rex(peak=1e-3, warmup=20, total=400)"
    found, bare = export(parse(f"rate={rate}; weight_decay=0.1"), "megatron"), export(parse(rate), "megatron")
    assert found.instead and bare.instead and executed(found.text)["weight_decay_at"](0) == 0.1
    np.testing.assert_array_equal(*([executed(e.text)["lr_at"](t) for t in range(TOTAL)] for e in (found, bare)))


@pytest.mark.parametrize("target", [key for key, known in TARGETS.items() if "weight_decay" not in known.holds])
def test_a_trainer_whose_weight_decay_stands_elsewhere_says_so_and_has_the_rest(target):
    said = "The plan's weight decay, 0.1, is a setting of the optimizer, which this export does not write."
    found, rest = export(plan("0.1"), target), export(parse(RATE), target)
    assert found.text.endswith(rest.text) and found.notes == (said, *rest.notes) and found.remarks == found.notes
    assert json.loads(found.text) if found.suffix == ".json" else found.text.startswith("# The plan's weight decay")
    with pytest.raises(ScheduleError, match="cannot hold a weight decay that changes: export the plan to PyTorch, CSV"):
        export(plan(DECAYS[2]), target)


def test_the_rest_of_a_plan_may_be_refused_as_before():
    found = export(plan("0.1", "; batch=steps([0, 100], [6400, 12800])"), "levanter", sequence=64)
    assert "train_batch_size" in found.text and "weight decay, 0.1, is a setting" in found.notes[0]
    with pytest.raises(ScheduleError, match="An export to DeepSpeed cannot hold an average of weights"):
        export(plan("0.1", "; average=ema(9)"), "deepspeed")

"""Plans with more than a rate: what a trainer can hold it makes of the export step by step, the rest is refused."""

import csv
import io
import json
import re
import runpy
from contextlib import suppress

import numpy as np
import pytest
import torch

from optlaws_core import parse
from optlaws_core.cli import main
from optlaws_core.errors import ScheduleError
from optlaws_core.exports import TARGETS, export, needs_sequence
from optlaws_core.exports.file_names import file_name
from optlaws_core.exports.plans import ramp_up, staircase
from tests.knowledge.trainers import levanter, megatron, olmo_core
from tests.support.schedulers import executed

RATE = "rate=wsd(peak=1e-3, warmup=20, total=400, decay=80, final=1e-4)"
TOTAL, LENGTH = 400, 64
STEPS = f"{RATE}; batch=steps([0, 100, 220], [6400, 12800, 25600])"
BATCHES = (
    "steps([0, 100, 220], [6400, 12800, 25600])",
    "steps([0, 50%], [1x, 2.5x])",
    "ramp([0, 100, 220], [6400, 12800, 25600])",
    "ramp([0, 640k], [6400, 25600], by=tokens)",
    "steps([0, 640k, 1.5M], [6400, 12800, 25600], by=tokens)",
    "steps([0], [6400])",
)


def sent(text: str, target: str, **given):
    plan = parse(text)
    if needs_sequence(plan, target):
        given.setdefault("sequence", LENGTH)
    return plan, export(plan, target, **given)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("more", ["batch=steps([0, 100], [6400, 12800])", "average=ema(25)", "average=merge(8, 1)"])
def test_a_plan_is_held_whole_or_refused(target, more):
    name = more.partition("=")[0]
    try:
        _, found = sent(f"{RATE}; {more}", target)
    except ScheduleError as refusal:
        said = str(refusal)
        assert said.startswith(f"An export to {TARGETS[target].title} cannot hold a")
        assert said.endswith(": export the plan to PyTorch, CSV or JSON, or its learning rate alone.")
        assert "batch schedule" in said if name == "batch" else "average" in said or "mean" in said
        return
    if name == "batch":
        assert re.search(r"batch", found.text, re.IGNORECASE) and found.exact
        assert any(n in found.text for n in ("6400", "6.4e+3", ":100 ", "value: 100"))
    elif target == "csv":
        assert not found.exact and "does not hold the average" in found.notes[0]
    else:
        assert re.search(r"average|merge", found.text)


@pytest.mark.parametrize("batch", BATCHES)
def test_code_has_the_batch_of_every_update(batch, tmp_path):
    plan, found = sent(f"{RATE}; batch={batch}", "pytorch")
    space = executed(found.text)
    t = np.arange(TOTAL)
    np.testing.assert_allclose([space["batch_at"](int(k)) for k in t], plan.batch(t), rtol=1e-12)
    np.testing.assert_allclose([space["lr_at"](int(k)) for k in t], plan(t), rtol=0, atol=1e-12)
    assert found.exact
    file = tmp_path / "plan.py"
    file.write_text(found.text)
    runpy.run_path(str(file), run_name="__main__")
    file.write_text(re.sub(r"BATCH_SIZE = \[\n    \S+?(?=[,\n])", "BATCH_SIZE = [\n    7.0", found.text))
    with pytest.raises(AssertionError):
        runpy.run_path(str(file), run_name="__main__")


@pytest.mark.parametrize("batch", BATCHES)
def test_tables_have_the_batch_of_every_update(batch):
    plan, found = sent(f"{RATE}; batch={batch}", "csv", steps=2 * TOTAL)
    rows = list(csv.DictReader(io.StringIO(found.text)))
    name = "batch_multiple" if plan.batch.relative else "batch_tokens"
    t = np.array([int(row["step"]) for row in rows])
    assert list(rows[0]) == ["step", "lr", name] and t.tolist() == list(range(TOTAL + 1)) and found.exact
    assert [float(row[name]) for row in rows] == plan.batch(t).tolist()
    held = json.loads(sent(f"{RATE}; batch={batch}", "json", steps=2 * TOTAL)[1].text)
    assert parse(held["schedule"]) == plan
    assert [p[name] for p in held["points"]] == plan.batch(t).tolist()


def test_a_table_says_how_far_lines_between_its_rows_are_from_a_bent_batch():
    plan, found = sent(f"{RATE}; batch=ramp([0, 640k], [6400, 25600], by=tokens)", "csv", steps=8)
    rows = list(csv.DictReader(io.StringIO(found.text)))
    at, sizes = ([float(row[name]) for row in rows] for name in ("step", "batch_tokens"))
    t = np.arange(TOTAL)
    off = np.abs(np.interp(t, at, sizes) - plan.batch(t)).max() / 25600
    assert off > 1e-3 and not found.exact and f"{100 * off:.2g} % of the largest batch" in found.notes[0]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("batch", BATCHES)
def test_every_kind_of_batch_is_held_or_refused_in_a_sentence(target, batch):
    with suppress(ScheduleError):
        assert sent(f"{RATE}; batch={batch}", target)[1].text


def model_with(weights: list[float]):
    """A model of one weight, and what sets it to each of `weights` in turn."""
    model = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)

    def values():
        for weight in weights:
            torch.nn.init.constant_(model.weight, weight)
            yield

    return model, values()


@pytest.mark.parametrize("half_life", [5, 40, 400])
def test_pytorch_averages_with_the_decay_of_the_half_life(half_life):
    plan, found = sent(f"{RATE}; average=ema({half_life})", "pytorch")
    weights = np.sin(np.arange(TOTAL)).tolist()
    model, values = model_with(weights)
    averaged = executed(found.text)["averaged_model"](model)
    for _ in values:
        averaged.update_parameters(model)
    kept = 2 ** (-np.arange(TOTAL)[::-1] / half_life)
    late = kept[0]  # the share of the first weights, with which PyTorch begins
    wanted = late * weights[0] + (1 - 2 ** (-1 / half_life)) * (kept[1:] @ weights[1:])
    assert averaged.module.weight.item() == pytest.approx(wanted, rel=1e-9)
    assert found.exact == (late <= 1e-9)
    assert found.exact or "begins at the weights after the first update" in found.notes[0]


def test_an_average_over_one_update_is_these_weights():
    _, found = sent("rate=constant(peak=1, total=1); average=ema(25)", "pytorch")
    assert found.exact and not found.notes


@pytest.mark.parametrize("count, every", [(8, 10), (3, 1), (100, 40), (1, 7)])
def test_pytorch_merges_the_last_checkpoints(count, every):
    plan, found = sent(f"{RATE}; average=merge({count}, {every})", "pytorch")
    weights = np.sin(np.arange(TOTAL)).tolist()
    model, values = model_with(weights)
    space = executed(found.text)
    averaged = space["averaged_model"](model)
    for step, _ in enumerate(values):
        if step in space["MERGED"]:
            averaged.update_parameters(model)
    assert averaged.module.weight.item() == pytest.approx(np.mean(weights[::-1][: count * every : every]), rel=1e-5)
    assert found.exact


GROWING = (
    "steps([0, 100], [6400, 25600])",
    "steps([0, 100, 150, 184], [6400, 12800, 19200, 25600])",
    "steps([0, 100, 220], [6400, 12800, 25600])",
    "steps([0, 640k, 1.28M, 1.92M], [6400, 12800, 19200, 25600], by=tokens)",
    "steps([0, 7], [6400, 6464])",
)


@pytest.mark.parametrize("batch", GROWING)
def test_megatron_takes_the_batch_update_for_update(batch):
    plan, found = sent(f"{RATE}; batch={batch}", "megatron")
    wanted = plan.batch(np.arange(TOTAL)) / LENGTH
    assert megatron.batches(found.text, TOTAL, LENGTH) == wanted.tolist()
    rates = np.array(megatron.planned(found.text, TOTAL, LENGTH))
    off = np.abs(rates - plan(np.arange(TOTAL))).max() / 1e-3
    assert off == pytest.approx(found.deviation, abs=1e-9)
    in_the_warmup = plan.batch.breaks[1] < 20  # where the batch is constant, a line in updates is one in samples
    assert found.exact != in_the_warmup


def test_megatron_bends_a_line_where_the_batch_changes_and_says_so():
    plan, found = sent("rate=linear(peak=1e-3, warmup=20, total=400); batch=steps([0, 200], [6400, 9600])", "megatron")
    rates = np.array(megatron.planned(found.text, TOTAL, LENGTH))
    off = np.abs(rates - plan(np.arange(TOTAL))).max() / 1e-3
    assert 0.01 < off == pytest.approx(found.deviation, abs=1e-9) and not found.exact
    assert "is bent while the batch changes" in found.notes[1]


@pytest.mark.parametrize("rule", ["ramped", "really_ramped"])
@pytest.mark.parametrize("batch", GROWING)
def test_a_ramp_up_is_the_batch_update_for_update(batch, rule):
    plan, found = sent(f"{RATE}; batch={batch}", "megatron")
    said = re.search(r"--rampup-batch-size (\d+) (\d+) (\d+) --global-batch-size (\d+)", " ".join(found.notes))
    expected = batch not in GROWING[2:3]  # increments that differ
    assert (said is not None) == expected and ("which this batch is not" in " ".join(found.notes)) != expected
    if said:
        made = getattr(megatron, rule)(*map(int, said.groups()), TOTAL)
        assert made == (plan.batch(np.arange(TOTAL)) / LENGTH).tolist()


def test_every_equal_staircase_in_samples_is_found_as_a_ramp_up():
    random = np.random.default_rng(0)
    for _ in range(60):
        n, first, step = random.integers(1, 9), random.integers(1, 50), random.integers(1, 50)
        each = int(random.integers(1, 40) * (first + n * step))
        made = megatron.ramped(first, step, each * n, first + n * step, TOTAL)
        starts = [0, *(t for t in range(1, TOTAL) if made[t] != made[t - 1])]
        if made[-1] != first + n * step:
            continue  # not over before the run ends
        text = f"{RATE}; batch=steps({starts}, {[int(made[t]) for t in starts]})"
        found = ramp_up(staircase(parse(text), "Megatron-LM"))
        assert found and megatron.ramped(*found, made[-1], TOTAL) == made


def test_a_constant_batch_is_one_flag():
    _, found = sent(f"{RATE}; batch=steps([0], [6400])", "megatron")
    assert "--global-batch-size 100\n" in found.text and "--train-iters 400" in found.text and found.exact


@pytest.mark.parametrize("batch", [*GROWING, "steps([0, 100, 200], [6400, 12800, 640])", "steps([0], [6400])"])
def test_levanter_takes_the_batch_update_for_update(batch):
    plan, found = sent(f"{RATE}; batch={batch}", "levanter")
    assert levanter.batches(found.text, TOTAL, LENGTH) == (plan.batch(np.arange(TOTAL)) / LENGTH).tolist()
    np.testing.assert_allclose(levanter.twin(found.text, 1e-3, TOTAL), plan(np.arange(TOTAL)), atol=1e-12)
    assert found.exact


@pytest.mark.parametrize("half_life", [5, 100])
def test_levanter_averages_from_the_initial_weights(half_life):
    plan, found = sent(f"{RATE}; average=ema({half_life})", "levanter")
    at_first = levanter.averaged(found.text, [1.0, *[0.0] * TOTAL])
    assert at_first == pytest.approx(2 ** (-TOTAL / half_life)) and found.exact == (at_first <= 1e-9)
    kept = 2 ** (-np.arange(TOTAL)[::-1] / half_life)
    weights = np.sin(np.arange(TOTAL))
    found_average = levanter.averaged(found.text, [0.0, *weights])
    assert found_average == pytest.approx(kept @ weights / kept.sum() * (1 - at_first), rel=1e-9)


@pytest.mark.parametrize(
    "batch, said",
    [
        ("steps([0, 100, 220], [6400, 12800, 25600])", ""),
        ("steps([0, 101, 220], [6400, 12800, 6400])", "takes the size of update 101 at update 102 only:"),
        ("steps([0, 100, 199, 300], [6400, 25600, 12800, 51200])", "takes the size of update 300 at update 303 only:"),
        ("steps([0, 101, 103], [6400, 25600, 51200])", "never takes the size of update 101:"),
    ],
)
def test_olmo_core_takes_the_batch_and_says_what_it_takes_late(batch, said):
    plan, found = sent(f"{RATE}; batch={batch}", "olmo_core")
    made = np.array(olmo_core.batches(found.text, TOTAL, 1))
    wanted = plan.batch(np.arange(TOTAL))
    assert found.exact == (not said) == (made == wanted).all() and said in found.notes[0]
    if said:
        begin, *at = re.findall(r"update (\d+)", said)
        off = np.flatnonzero(made != wanted)
        assert off[0] == int(begin) and (not at or off.tolist() == list(range(int(begin), int(at[0]))))
    np.testing.assert_allclose(olmo_core.planned(found.text, 1e-3, TOTAL), plan(np.arange(TOTAL)), atol=1e-12)


def test_olmo_core_takes_one_size_from_its_data_loader():
    plan, found = sent(f"{RATE}; batch=steps([0], [6400])", "olmo_core")
    assert found.exact and "The data loader's global_batch_size must be 6400, in tokens." in found.notes
    assert "Callback" not in found.text


@pytest.mark.parametrize("count", [1, 30, 4000])
def test_olmo_core_merges_the_last_updates(count):
    _, found = sent(f"{RATE}; average=merge({count}, 1)", "olmo_core")
    weights = np.sin(np.arange(TOTAL)).tolist()
    assert olmo_core.merged(found.text, weights) == pytest.approx(np.mean(weights[-count:])) and found.exact


@pytest.mark.parametrize(
    "text, target, said",
    [
        (
            f"{RATE}; batch=ramp([0, 100], [6400, 12800])",
            "megatron",
            "a batch that grows with every update, only steps",
        ),
        (
            f"{RATE}; batch=ramp([0, 100], [6400, 12800])",
            "levanter",
            "a batch that grows with every update, only steps",
        ),
        (f"{RATE}; batch=ramp([0, 100], [6400, 12800])", "olmo_core", "a batch that grows with every update, only"),
        (f"{RATE}; batch=steps([0, 100], [12800, 6400])", "megatron", "a batch that shrinks"),
        (f"{RATE}; batch=steps([0, 100], [6400, 9600])", "olmo_core", "a step of the batch from 6,400 to 9,600 tokens"),
        (f"{RATE}; batch=steps([0, 100], [1x, 2x])", "megatron", "Megatron-LM needs the batch in tokens, such as 4M"),
        (f"{RATE}; batch=steps([0, 100], [1x, 2x])", "levanter", "levanter needs the batch in tokens, such as 4M"),
        (
            f"{RATE}; batch=steps([0, 100], [63, 128])",
            "levanter",
            "a batch of at least one sequence, here 64 tokens, got",
        ),
        (f"{RATE}; average=merge(8, 10)", "olmo_core", "a mean of weights some updates apart"),
        (f"{RATE}; average=merge(8, 10)", "levanter", "a mean of checkpoints, only an exponential average"),
        (
            "rate=linear(peak=1e-3, warmup=20, total=400); batch=steps([0, 200], [6400, 25600])",
            "megatron",
            "this learning rate, of which its options are off by up to",
        ),
        (f"{STEPS}; average=ema(25)", "nanogpt", "a batch schedule and an average of weights: export the plan to"),
    ],
)
def test_what_a_trainer_cannot_hold_is_named(text, target, said):
    with pytest.raises(ScheduleError, match=re.escape(said)):
        sent(text, target)


def test_batches_are_whole_sequences_and_what_is_rounded_is_said():
    _, found = sent(f"{RATE}; batch=steps([0, 100], [4M, 16M])", "levanter", sequence=4096)
    assert levanter.batches(found.text, 101, 4096)[99:] == [977, 3906] and not found.exact
    assert found.notes[0] == (
        "The batch is rounded to whole sequences of 4,096 tokens, by up to 0.045 %: 4,001,792 tokens for 4M."
    )


def test_the_length_of_a_sequence_is_asked_for_where_it_counts(capsys):
    with pytest.raises(ScheduleError, match="Megatron-LM counts the batch in sequences: say how many tokens one has"):
        export(parse(STEPS), "megatron")
    with pytest.raises(ScheduleError, match="A sequence has 1 to"):
        export(parse(STEPS), "megatron", sequence=0)
    assert main(["export", "--to", "levanter", "--schedule", STEPS, "--sequence-length", "64"]) == 0
    assert "- start: 220\n      value: 400\n" in capsys.readouterr().out


def test_files_of_plans_that_differ_have_names_that_differ():
    texts = (STEPS, STEPS.replace("220", "221"), f"{STEPS}; average=ema(25)", RATE.removeprefix("rate="))
    names = [file_name(*sent(text, "pytorch")) for text in texts]
    assert len(set(names)) == 4 and all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for name in names)
    assert names[2].startswith("batch-") and "_ema-25_wsd_" in names[2]

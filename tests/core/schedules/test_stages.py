"""Plans with stages, of text and of sequence length: text form, value at every update, laws, tables and trainers."""

import csv
import io
import json
import runpy

import numpy as np
import pytest

from optlaws_core import ScheduleError, parse, predict
from optlaws_core.exports import TARGETS, export, needs_sequence
from optlaws_core.exports.plan_code import coded
from optlaws_core.prediction.observed import rates_of
from optlaws_core.saved.plain import Candidate
from optlaws_core.schedules import EMA, Batch, Joint, Merge, SequenceLength, Texts, with_rate
from optlaws_core.schedules.course import Course
from tests.core.optimize.test_batch_search import LAW
from tests.knowledge.trainers import deepspeed, olmo_core
from tests.support.schedulers import executed

TOTAL = 400
RATE = "wsd(peak=1e-3, warmup=20, total=400, decay=80, final=1e-4, shape=linear)"
LINE = "linear(peak=1e-3, total=400)"
STAGES = (
    "text=steps([0, 320], [web, 70% web & 30% code])",
    "sequence=steps([0, 320], [4096, 32768])",
    "text=web; sequence=4096",
    "text=steps([0, 100, 200], [हिन्दी, 𝕏 web, Français])",
)
T = np.arange(TOTAL)


def plan(more: str, rate: str = RATE) -> Joint:
    return parse(f"rate={rate}; {more}")


@pytest.mark.parametrize("more", [*STAGES, f"batch=steps([0, 100], [6400, 12800]); weight_decay=0.1; {STAGES[0]}"])
def test_a_plan_reads_back_from_its_text_and_from_a_snapshot(more):
    made = plan(more)
    assert made.text == f"rate={RATE}; {more}"
    assert parse(made.text) == made and hash(parse(made.text)) == hash(made)
    assert Candidate.from_dict(json.loads(json.dumps(Candidate(made).to_dict()))).schedule == made
    assert np.array_equal(made(T), parse(RATE)(T))


def test_every_update_has_its_stage_and_stages_stretch_with_the_run():
    made = plan("text=steps([0, 80%], [web, code]); sequence=steps([0, 25%, 80%], [4096, 8192, 32768])")
    assert made.texts(T).tolist() == ["web"] * 320 + ["code"] * 80
    assert made.sequence(T).tolist() == [4096] * 100 + [8192] * 220 + [32768] * 80
    assert {100, 320} < set(made.breaks)
    long = made.resized(total=800)
    assert long.sequence.starts == (0, 200, 640) and long.texts.starts == (0, 640)
    short = with_rate(made, parse("linear(peak=1e-3, total=300)"))
    assert short.sequence == SequenceLength((0, 100), (4096, 8192)) and short.texts.values == ("web",)
    assert made.to_frame(T)["text"].tolist() == made.texts(T).tolist()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("sequence=0", "a length of sequences must be"),
        ("sequence=40.5", "lengths must be whole numbers of tokens from 1 to"),
        ("sequence=ramp([0, 100], [1024, 2048])", r"sequence reads like 4096 or steps\(\[0, 80%\], \[4096, 32768\]\)"),
        ("sequence=steps([0, 400], [4096, 8192])", "sequence: the last length must begin before the end of the run"),
        ("text=steps([0, 100], [web])", "text: each start needs its name, and there may be 250 of both, got 2 and 1"),
        ("text=<b>", "text: a name begins with a letter or digit and has at most 60 letters, digits, spaces and signs"),
        ("text=-2+3", "text: a name begins with a letter or digit"),
        ("text=web (v2)", r"text: a name begins with a letter or digit.*got 'web \(v2\)'"),
        ("sequence=4K", "sequence: a length is written out, 4096 for 4K, got '4K'"),
        ("sequence=4.K", "a length is written out"),
        ("sequence=steps([0, 100], [4096, 32k tokens])", "a length is written out, 4096 for 4K, got '32k tokens'"),
        ("text=web; text=code", "text is given twice"),
    ],
)
def test_what_is_no_stage_is_refused_in_a_sentence(more, said):
    with pytest.raises(ScheduleError, match=said):
        plan(more)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Joint(parse(RATE), sequence=4096),
            "sequence: a sequence length must be of type SequenceLength, got 4096",
        ),
        (lambda: Joint(parse(RATE), texts="web"), "texts: a text must be of type Texts, got web"),
        (lambda: Joint(parse(RATE), 4e6), "batch: a batch schedule must be of type Batch, got 4000000.0"),
        (
            lambda: Joint(parse(RATE), average="ema(9)"),
            "average: an average of weights must be of type EMA or Merge, got",
        ),
        (
            lambda: Joint(parse(RATE), weight_decay=0.1),
            "weight_decay: a weight decay must be of type WeightDecay, got 0",
        ),
        (lambda: SequenceLength((0,), ("abc",)), "sequence: each length must be a number, got abc"),
        (lambda: SequenceLength((0,), (None,)), "sequence: each length must be a number, got None"),
        (
            lambda: SequenceLength((0,), (float("inf"),)),
            "lengths must be whole numbers of tokens from 1 to .*, got inf",
        ),
        (lambda: SequenceLength(None, (64,)), "sequence: starts must be a list, got None"),
        (lambda: SequenceLength((0, float("inf")), (64, 128)), "starts must be whole updates that rise from 0"),
        (lambda: Texts((0,), (None,)), "text: each name must be a text, got None"),
        (lambda: Texts((0,), "web"), "text: values must be a list, got web"),
        (lambda: Batch((0,), ("4M",)), "batch: each of the sizes must be a number, got 4M"),
        (lambda: EMA("9 updates"), "average: the half-life of an EMA must be a number, got 9 updates"),
        (lambda: Merge(8, None), "average: every of merge must be a number, got None"),
    ],
)
def test_records_of_other_types_are_refused_in_a_sentence(make, said):
    with pytest.raises(ScheduleError, match=said):
        make()


def test_predictions_are_those_of_the_rate_and_say_that_no_law_knows_of_a_change():
    made = plan(f"{STAGES[0]}; {STAGES[1]}")
    assert predict(LAW, made)[0] == pytest.approx(predict(LAW, parse(RATE))[0], rel=1e-12)
    said = [reason for reason in LAW.reasons(made) if "no law covers" in reason]
    assert [reason.partition(",")[0] for reason in said] == ["a text", "a sequence length"]
    assert len({rates_of(p) for p in (made, plan(STAGES[0]), plan(STAGES[1]), parse(RATE))}) == 4
    assert rates_of(plan("text=web")) == rates_of(plan("text=steps([0, 200], [web, web])"))


# --------------------------------------------------------------------------------------------------- trainers


def test_a_course_that_code_does_not_know_is_not_taken_for_a_weight_decay():
    class Dropout(Course):
        part = "dropout"

    with pytest.raises(TypeError, match="No code is written for a Dropout"):
        coded(Dropout((0,), (0.1,)))


@pytest.mark.parametrize("more", STAGES)
def test_code_and_tables_have_the_stage_of_every_update(more, tmp_path):
    made = plan(more)
    found = export(made, "pytorch")
    (file := tmp_path / "plan.py").write_text(found.text, encoding="utf-8")
    runpy.run_path(str(file), run_name="__main__")
    space = executed(found.text)
    rows = list(csv.DictReader(io.StringIO(export(made, "csv", steps=2 * TOTAL).text)))[:TOTAL]
    held = json.loads(export(made, "json", steps=2 * TOTAL).text)["points"][:TOTAL]
    for course, name, column in ((made.texts, "text", "text"), (made.sequence, "sequence", "sequence_tokens")):
        if course is not None:
            wanted = course(T).tolist()
            assert [space[f"{name}_at"](int(t)) for t in T] == wanted == [point[column] for point in held]
            assert [row[column] for row in rows] == [*map(str, wanted)]
    assert found.exact


@pytest.mark.parametrize(
    "sequence",
    ["steps([0, 320], [4096, 8192])", "steps([0, 100, 300], [1024, 2048, 4096])", "steps([0, 1], [512, 1024])", "4096"]
    + ["steps([0, 100, 200], [1024, 2048, 2048])"],
)
def test_olmo_core_doubles_the_length_where_the_plan_does(sequence):
    made = plan(f"sequence={sequence}")
    found = export(made, "olmo_core")
    wanted = made.sequence(T).tolist()
    assert olmo_core.lengths(found.text, wanted[-1], TOTAL) == wanted and found.exact
    assert f"sequence_length must be {wanted[-1]}" in " ".join(found.notes)


@pytest.mark.parametrize("lengths", ["[4096, 32768]", "[8192, 4096]", "[4096, 6144]"])
def test_olmo_core_refuses_other_lengths(lengths):
    with pytest.raises(ScheduleError, match="cannot hold these sequence lengths, only such as double while a line"):
        export(plan(f"sequence=steps([0, 320], {lengths})"), "olmo_core")


@pytest.mark.parametrize("lengths", ["steps([0, 320], [4096, 32768])", "steps([0, 9, 50], [64, 32, 512])", "4096"])
def test_deepspeed_has_the_length_of_every_update(lengths):
    made = plan(f"sequence={lengths}", LINE)
    found = export(made, "deepspeed")
    wanted = made.sequence(T).tolist()
    assert deepspeed.lengths(found.text, wanted[-1], TOTAL) == wanted
    np.testing.assert_allclose(deepspeed.twin(found.text, 1e-3, TOTAL), made(T), atol=1e-12)


def test_deepspeed_refuses_what_its_curriculum_cannot():
    with pytest.raises(ScheduleError, match="sequence lengths of which the last is not the longest"):
        export(plan("sequence=steps([0, 10, 20], [64, 512, 128])", LINE), "deepspeed")
    with pytest.raises(ScheduleError, match="An export to DeepSpeed cannot hold an average of weights: export"):
        export(plan(f"average=ema(9); {STAGES[1]}", LINE), "deepspeed")


@pytest.mark.parametrize("target", [key for key, known in TARGETS.items() if "text" not in known.holds])
def test_other_trainers_name_one_text_and_refuse_a_change(target):
    found = export(plan("text=web", LINE), target)
    said = "The plan's text, web, is a setting of the data loader, which this export does not write."
    assert found.notes[0] == said and not found.exact
    with pytest.raises(ScheduleError, match="cannot hold a text that changes: export"):
        export(plan(STAGES[0], LINE), target)


def test_a_sequence_that_the_plan_tells_need_not_be_said_again():
    made = plan("batch=steps([0, 100], [6400, 12800]); sequence=64", "constant(peak=1e-3, total=400)")
    bare = plan("batch=steps([0, 100], [6400, 12800])", "constant(peak=1e-3, total=400)")
    assert needs_sequence(bare, "megatron") and not needs_sequence(made, "megatron")
    assert export(made, "megatron").text.endswith(export(bare, "megatron", sequence=64).text)
    with pytest.raises(ScheduleError, match="The plan has sequences of 64 tokens, got 128 for the export"):
        export(made, "megatron", sequence=128)


@pytest.mark.parametrize("target", ["megatron", "levanter"])
def test_no_tokens_in_a_sequence_are_asked_for_where_the_plan_changes_them(target):
    made = plan(f"batch=steps([0, 100], [6400, 12800]); {STAGES[1]}", "constant(peak=1e-3, total=400)")
    assert not needs_sequence(made, target)


def test_deepspeed_keeps_the_curriculum_of_a_plan_whose_rate_is_code():
    made = plan("sequence=steps([0, 320], [4096, 32768])", "wsd(peak=1e-3, warmup=20, total=400, decay=80)")
    found = export(made, "deepspeed")
    assert found.instead and not found.exact
    block = executed(found.text)["CURRICULUM_LEARNING"]
    assert any("CURRICULUM_LEARNING" in note for note in found.remarks)
    assert deepspeed.lengths(json.dumps({"curriculum_learning": block}), 32768, TOTAL) == made.sequence(T).tolist()


def test_olmo_core_says_where_a_batch_is_no_whole_number_of_sequences():
    found = export(plan("batch=steps([0], [65536]); sequence=48"), "olmo_core")
    assert "65,536 tokens of a batch are no whole number of sequences of 48." in " ".join(found.remarks)
    assert export(plan("batch=steps([0], [65536]); sequence=64"), "olmo_core").exact

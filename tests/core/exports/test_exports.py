"""Exports as a whole: generated code runs and is the schedule, tables hold it, and what cannot be told is refused."""

import csv
import io
import json
import runpy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings

from optlaws_core import SCHEDULES, parse
from optlaws_core.cli import main
from optlaws_core.errors import ScheduleError
from optlaws_core.exports import EXACT, TARGETS, export
from optlaws_core.exports.base import plain, word
from optlaws_core.exports.lines import MOST, knotted, segments
from optlaws_core.schedules.base import Schedule
from optlaws_core.schedules.chain import Chain
from optlaws_core.schedules.entries import entry
from tests.knowledge.families import schedules, texts
from tests.support.schedulers import executed

TOTAL = 240
TEXTS = [text for warmup in (0, 1, 12) for text in texts(warmup, TOTAL)]
COSINE = "cosine(peak=3e-4, warmup=100, total=2000)"


def test_every_family_has_a_formula():
    assert {parse(text).family for text in TEXTS} == set(SCHEDULES)
    assert all(parse(text).as_code() for text in TEXTS)


@pytest.mark.parametrize("text", TEXTS)
def test_code_is_the_schedule(text):
    schedule = parse(text)
    wanted = schedule(np.arange(TOTAL))
    for target, name in (("pytorch", "lr_at"), ("nanogpt", "get_lr"), ("transformers", "lr_at")):
        found = export(schedule, target)
        assert found.exact and found.deviation <= EXACT and found.suffix == ".py"
        space = executed(found.text)
        if name in space:
            rates = [space[name](t) for t in range(TOTAL)]
            np.testing.assert_allclose(rates, wanted, rtol=0, atol=EXACT * schedule.peak)
            assert 8 <= len(space["CHECK"]) <= 16 and space["CHECK"][-1][0] == TOTAL - 1
            assert all(lr == pytest.approx(float(schedule(step)), rel=1e-12) for step, lr in space["CHECK"])


def test_the_check_in_the_code_runs(tmp_path):
    for target in ("pytorch", "nanogpt"):
        file = tmp_path / f"{target}.py"
        found = export(parse("sgdr(peak=3e-4, warmup=10, total=1000)"), target).text
        file.write_text(found)
        runpy.run_path(str(file), run_name="__main__")
        file.write_text(found.replace("PEAK = 3.0e-4", "PEAK = 3.1e-4"))
        with pytest.raises(AssertionError):
            runpy.run_path(str(file), run_name="__main__")


@given(schedules(TOTAL))
@settings(max_examples=150, deadline=None)
def test_any_schedule_as_code_and_as_a_table(schedule):
    wanted, t = schedule(np.arange(TOTAL)), np.arange(TOTAL)
    for target, name in (("pytorch", "lr_at"), ("nanogpt", "get_lr")):
        space = executed(export(schedule, target).text)
        np.testing.assert_allclose([space[name](k) for k in t], wanted, rtol=0, atol=EXACT * schedule.peak)
    body = export(schedule, "optax").text.replace("import jax.numpy as jnp", "import numpy as jnp")
    np.testing.assert_allclose(executed(body)["learning_rate"](t), wanted, rtol=0, atol=EXACT * schedule.peak)
    found = export(schedule, "csv", steps=20)
    steps, rates = np.array([line.split(",") for line in found.text.splitlines()[1:]], float).T
    off = np.abs(np.interp(t, steps, rates) - wanted).max() / schedule.peak
    assert off == pytest.approx(found.deviation, abs=1e-12)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("target", ["csv", "json"])
def test_tables_hold_the_schedule(text, target):
    schedule = parse(text)
    found = export(schedule, target)
    if target == "csv":
        read = csv.DictReader(io.StringIO(found.text))
        points = [(int(row["step"]), float(row["lr"])) for row in read]
    else:
        points = [(p["step"], p["lr"]) for p in json.loads(found.text)["points"]]
        assert parse(json.loads(found.text)["schedule"]) == schedule
    steps, rates = map(np.array, zip(*points, strict=True))
    assert (rates == schedule(steps)).all() and (np.diff(steps) > 0).all() and len(steps) <= 200 + 4 * 12
    assert set(schedule.breaks) <= set(steps.tolist())
    off = np.abs(np.interp(np.arange(TOTAL), steps, rates) - schedule(np.arange(TOTAL))).max() / schedule.peak
    assert off == pytest.approx(found.deviation, abs=1e-15) and found.exact == (off <= EXACT)
    whole = export(schedule, target, steps=3 * TOTAL)
    assert whole.exact and whole.text.count("\n") > TOTAL


@pytest.mark.parametrize(
    "text",
    [
        f"constant(peak=1, total={10**15})",
        f"wsd(peak=3e-4, warmup=2000, total={10**9}, decay={10**8}, final=1e-5)",
        f"cosine(peak=1e-30, warmup=5, total={3 * 10**5})",
        "linear(peak=2, total=1)",
        "cosine(peak=5e9, total=2, warmup=1)",
        "knots(steps=[0, 10], values=[1, 1])",
        f"cyclic(peak=1, total={4 * 10**9}, cycles=4)",
    ],
)
def test_long_short_and_odd_schedules(text):
    schedule = parse(text)
    for target in TARGETS:
        found = export(schedule, target)
        assert 0 <= found.deviation and np.isfinite(found.deviation) and found.text.endswith("\n")
        if target in ("pytorch", "nanogpt", "transformers", "optax"):
            assert found.exact


@dataclass(frozen=True)
class Odd(Schedule):
    """A family that exports knows nothing of, with a name and a word that are not kept from anything."""

    family: ClassVar[str] = 'odd"""\n)\nraise SystemExit  # \u2028 */ ]]'
    formula: ClassVar[str] = ""
    peak: float = entry("")
    total: int = entry("", kw_only=True)
    word: str = entry("", kw_only=True, default="\"\"\"\n)\nraise SystemExit\n'''\r$(false) `false` é")
    warmup: int = entry("", kw_only=True, default=0)
    warmup_shape: ClassVar[str] = "linear"

    def _after_warmup(self, t):
        return self.peak * (0.5 + 0.5 * np.cos(np.sqrt(t)))


@pytest.mark.parametrize("target", TARGETS)
def test_texts_and_names_stay_data(target):
    schedule = Odd(peak=1e-3, total=500)
    found = export(schedule, target)
    for text in (found.text, TARGETS[target].write(schedule).text):
        lines = [line for line in text.splitlines() if "SystemExit" in line or "$(false)" in line]
        assert all(line.startswith(("# ", ' "schedule": "', '  "')) for line in lines)
        assert not any(line.startswith("raise") for line in text.splitlines())
    if target in ("pytorch", "nanogpt", "transformers"):
        space = executed(found.text)
        name = "get_lr" if target == "nanogpt" else "lr_at"
        off = max(abs(space[name](t) - float(schedule(t))) for t in range(500)) / 1e-3
        assert off == pytest.approx(found.deviation, abs=1e-12) and off < 1e-6 and not found.exact
        assert any("has no formula" in note for note in found.notes)
    if target in ("json", "deepspeed"):  # the latter's options are not offered for this one
        json.loads(TARGETS[target].write(schedule).text)


def test_words_and_lines():
    assert [word(x) for x in (3, 2**31, 3e-4, 0.0, 1.0, 1e9, 123456789012.0)] == [
        "3",
        "2147483648.0",
        "3.0e-4",
        "0.0",
        "1.0",
        "1.0e+9",
        "123456789012.0",
    ]
    assert all(float(word(x)) == x for x in (1 / 3, 5e-324, 1e300, 7e22))
    assert plain("a\nb\u2028c\x00é") == "a b c??" and len(plain("x" * 1000)) == 400


def test_lines_are_bounded_where_a_schedule_has_many_stretches():
    few, many = (parse(f"sgdr(peak=1e-3, total={n}000000, period=1000000)") for n in (3, 500))
    assert len(segments(few, 100, 1e-9)) == 3 * 100 - 99  # the last of the cycles is half a cosine
    assert len(knotted(few, 100, 1e-9)[0]) == 3 * 100 + 1
    assert len(segments(many, 100, 1e-9)) <= MOST and len(knotted(many, 100, 1e-9)[0]) <= MOST + 1


def test_jax_counts_in_32_bits():
    text = export(parse(f"wsd(peak=1, total={2**33}, decay={2**32})"), "optax").text
    assert "TOTAL = 8589934592.0\n" in text and "START = 4294967296.0\n" in text


@pytest.mark.parametrize(
    "schedule, target, steps, why",
    [
        (parse(COSINE), "keras", None, "Unknown target 'keras'. Known targets: pytorch,"),
        (Chain(parse(COSINE), parse(COSINE)), "pytorch", None, "A chain of schedules cannot be exported"),
        (parse(COSINE), "pytorch", 10, "A number of rows is for csv and json, got the target 'pytorch'"),
        (parse(COSINE), "csv", 0, "A table needs at least 1 row, got 0"),
    ],
)
def test_what_cannot_be_exported_is_refused(schedule, target, steps, why):
    with pytest.raises(ScheduleError, match="^" + why.replace("(", r"\(")):
        export(schedule, target, steps)


def told(capsys, *argv):
    code = main(["export", *argv])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("target", TARGETS)
def test_the_command_prints_what_python_says(capsys, target):
    found = export(parse(COSINE), target)
    code, out, err = told(capsys, "--schedule", COSINE, "--to", target)
    assert code == 0 and out == found.text
    assert err.splitlines() == list(found.remarks)


def test_the_command_writes_a_file_and_tells_what_is_not_exact(capsys, tmp_path):
    file = tmp_path / "lr.yaml"
    code, out, err = told(capsys, "--schedule", COSINE, "--to", "llm_foundry", "--out", str(file))
    assert (code, out) == (0, "") and file.read_text() == export(parse(COSINE), "llm_foundry").text
    assert "off by up to 1 % of the peak" in err and "lags one update" in err
    code, out, err = told(capsys, "--schedule", COSINE, "--to", "megatron")
    assert code == 0 and err == "" and "--lr-decay-style cosine" in out
    code, out, _ = told(capsys, "--schedule", COSINE, "--to", "csv", "--steps", "11")
    assert code == 0 and 9 <= out.count("\n") <= 16


@pytest.mark.parametrize(
    "argv, why",
    [
        (["--schedule", COSINE, "--to", "keras"], "Unknown target 'keras'"),
        (["--schedule", "cosine(peak=1", "--to", "csv"], "reads like"),
        (["--schedule", COSINE, "--to", "csv", "--steps", "x"], "a step is a whole number"),
        (["--schedule", COSINE, "--to", "csv", "--steps", "-5"], "at least 1 row, got -5"),
        (["--schedule", COSINE, "--to", "csv", "--out", "/no/such/folder/x"], "there is no folder"),
        (["--schedule", COSINE], "arguments are required: --to"),
    ],
)
def test_bad_input_is_one_sentence(capsys, argv, why):
    code, out, err = told(capsys, *argv)
    assert code == 1 and out == "" and why in err and err.count("\n") == 1

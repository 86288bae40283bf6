"""The best schedule from the command line and on the Compare page, and candidates in a trainer's words there."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import fit, load_fit, parse, predict, read
from optlaws_core.cli import main
from optlaws_core.exports import TARGETS, export

ROOT = Path(__file__).resolve().parents[1]
TRAIN = ("constant_4000", "cosine10_4000", "drop30_4000")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    runs = {r.name: r.on("val") for r in read(ROOT / "data" / "examples.csv").runs}
    out = tmp_path_factory.mktemp("best") / "fit.json"
    fit("opt_laws_curve", [runs[n] for n in TRAIN]).save(out)
    return out


def told(capsys, *argv: str) -> tuple[int, str, str]:
    code = main(list(argv))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_finds_what_python_finds(stored, capsys):
    argv = ("optimize", "--fit", str(stored), "--peak", "8e-3", "--total", "4000", "--warmup", "200")
    code, out, _ = told(capsys, *argv, "--json")
    row = json.loads(out)
    law = load_fit(stored)
    assert code == 0 and row["finished"]
    assert row["final_loss"] == predict(law, parse(row["schedule"]))[0] <= row["smooth"]["final_loss"]
    assert row["simple"]["final_loss"] == predict(law, parse(row["simple"]["schedule"]))[0]
    assert row["final_loss"] < row["simple"]["final_loss"] and 0.5 < row["simple"]["share"] < 1
    code, out, err = told(capsys, *argv, "--floor", "8e-4", "--slope", "1e-5")
    text = out.splitlines()[0].partition("  ")[2]
    assert code == 0 and parse(text)(3999) >= 8e-4 * (1 - 1e-5)


def test_a_length_in_tokens_needs_a_batch(stored, capsys):
    argv = ("optimize", "--fit", str(stored), "--peak", "8e-3")
    code, out, _ = told(capsys, *argv, "--tokens", "1.024M", "--json")  # the example runs had one batch, 1,024
    assert code == 0 and parse(json.loads(out)["schedule"]).total == 1000
    code, out, _ = told(capsys, *argv, "--tokens", "1.024M", "--batch-tokens", "2048", "--json")
    assert code == 0 and parse(json.loads(out)["schedule"]).total == 500


@pytest.mark.parametrize(
    "extra, message",
    [
        (("--total", "100", "--warmup", "100"), "warm-up must end before the run of 100 updates, got 100"),
        (("--total", "100", "--floor", "1"), "floor must lie between 0 and the peak"),
        (("--total", "100", "--knots", "1"), "takes 3 to 400 knots, got 1"),
        (("--total", "100", "--tokens", "5"), "not allowed with"),
        ((), "one of the arguments --total --tokens is required"),
    ],
)
def test_limits_that_cannot_be_are_one_sentence(extra, message, stored, capsys):
    code, out, err = told(capsys, "optimize", "--fit", str(stored), "--peak", "8e-3", *extra)
    assert (code, out) == (1, "") and message in err and err.count("\n") == 1


def test_the_compare_page_adds_the_best_schedule():
    app = AppTest.from_file(str(ROOT / "pages" / "compare.py"), default_timeout=240).run()
    workspace = app.session_state.workspace
    workspace.keep("law", fit("opt_laws_curve", [workspace.runs[n] for n in TRAIN]))
    app.session_state["best_box"] = True
    app.run()
    before = len(workspace.candidates)
    next(b for b in app.button if b.label == "Find").click().run()
    assert not app.exception and not app.error
    best = next(c for c in workspace.candidates if c.label == "best under the law")
    assert len(workspace.candidates) > before and best.schedule.family == "knots"
    losses = [predict(workspace.fit, c.schedule)[0] for c in workspace.candidates]
    assert min(losses) == predict(workspace.fit, best.schedule)[0]
    assert any("the best simple shape" in text.value for text in app.text)
    app.text_input(key="best_warmup").set_value("9000").run()
    next(b for b in app.button if b.label == "Find").click().run()
    assert "warm-up must end before the run" in app.error[0].value
    app.text_input(key="best_warmup").set_value("1.5").run()
    next(b for b in app.button if b.label == "Find").click().run()
    assert "must be a whole number of at least 0" in app.error[0].value.replace("\\", "")


def test_the_compare_page_writes_a_candidate_for_a_trainer():
    app = AppTest.from_file(str(ROOT / "pages" / "compare.py"), default_timeout=240).run()
    workspace = app.session_state.workspace
    workspace.keep("law", fit("opt_laws_curve", [workspace.runs[n] for n in TRAIN]))
    app.run()
    schedule = workspace.candidates[0].schedule
    app.session_state["export_box"] = True
    app.run()
    for target in TARGETS:
        app.selectbox(key="export_target").set_value(target).run()
        assert not app.exception and not app.error
        made = export(schedule, target)
        assert app.code[-1].value.strip() == made.text.strip()
        assert any("off by up to" in w.value for w in app.warning) == (not made.exact)

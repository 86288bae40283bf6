"""The best schedule from the command line and on the Compare page, and candidates in a trainer's words there."""

import json
import threading
import time

import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import fit, load_fit, parse, predict, read
from optlaws_core.cli import main
from optlaws_core.errors import Cancelled
from optlaws_core.exports import TARGETS, export
from pages.parts.compare import best as optimizing
from pages.parts.compare.best import FOUND, SEARCH
from tests.places import ROOT

pytestmark = pytest.mark.slow
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
    assert row["final_loss"] == predict(law, parse(row["schedule"]))[0]
    for name in ("simple", "wsd"):
        assert row[name]["final_loss"] == predict(law, parse(row[name]["schedule"]))[0] > row["final_loss"]
    flat = predict(law, parse("constant(peak=8e-3, warmup=200, total=4000)"))[0]
    assert row["constant"] == flat
    assert row["share"] == (flat - row["wsd"]["final_loss"]) / (flat - row["final_loss"]) > 0.5
    code, out, err = told(capsys, *argv)
    assert code == 0 and [float(line[:8]) for line in out.splitlines()] == pytest.approx(
        [row["final_loss"], row["simple"]["final_loss"]], abs=1e-6
    )
    assert f"{100 * row['share']:.1f} % of what the curve gains over the peak held to the end" in err.splitlines()[0]
    code, out, err = told(capsys, *argv, "--floor", "8e-4", "--slope", "1e-5")
    text = out.splitlines()[0].partition("  ")[2]
    assert code == 0 and parse(text)(3999) >= 8e-4 * (1 - 1e-5)


def test_the_best_of_a_family_has_its_text_form(stored, capsys):
    argv = ("optimize", "--fit", str(stored), "--peak", "8e-3", "--total", "4000", "--warmup", "200", "--family")
    code, out, err = told(capsys, *argv, "wsd", "--json")
    row = json.loads(out)
    schedule = parse(row["schedule"])
    assert (code, err) == (0, "") and (schedule.family, schedule.total, schedule.warmup) == ("wsd", 4000, 200)
    assert row["final_loss"] == predict(load_fit(stored), schedule)[0] < row["constant"] and row["simple"] is None
    code, out, err = told(capsys, *argv, "cyclic")
    assert (code, out) == (1, "") and "A family to search in is one of linear, cosine" in err and "'cyclic'" in err


def test_a_length_in_tokens_or_compute_follows_from_batch_and_size(stored, capsys):
    argv = ("optimize", "--fit", str(stored), "--peak", "8e-3", "--family", "linear")
    code, out, _ = told(capsys, *argv, "--tokens", "1.024M", "--json")  # the example runs had one batch, 1,024
    assert code == 0 and parse(json.loads(out)["schedule"]).total == 1000
    code, out, _ = told(capsys, *argv, "--tokens", "1.024M", "--batch-tokens", "2048", "--json")
    assert code == 0 and parse(json.loads(out)["schedule"]).total == 500
    sizes = ("--params", "1M", "--batch-tokens", "1000")
    code, out, _ = told(capsys, *argv, "--flops", "6e12", *sizes, "--json")  # 6 · 1e6 · 1000 an update
    assert code == 0 and parse(json.loads(out)["schedule"]).total == 1000
    code, out, err = told(capsys, *argv, "--tokens", "100")
    assert (code, out) == (1, "") and "must pay for one update of 1024 tokens, got 100 tokens" in err


@pytest.mark.parametrize(
    "extra, message",
    [
        (("--total", "100", "--warmup", "100"), "warm-up must end before the run of 100 updates, got 100"),
        (("--total", "100", "--floor", "1"), "floor must lie between 0 and the peak"),
        (("--total", "100", "--knots", "1"), "takes 3 to 200 knots, got 1"),
        (("--total", "100", "--tokens", "5"), "not allowed with"),
        (("--flops", "1e12", "--tokens", "5"), "not allowed with"),
        ((), "one of the arguments --total --tokens --flops is required"),
    ],
)
def test_limits_that_cannot_be_are_one_sentence(extra, message, stored, capsys):
    code, out, err = told(capsys, "optimize", "--fit", str(stored), "--peak", "8e-3", *extra)
    assert (code, out) == (1, "") and message in err and err.count("\n") == 1


@pytest.fixture
def compare():
    """The Compare page with a law in use and the search open."""
    app = AppTest.from_file(str(ROOT / "pages" / "compare.py"), default_timeout=240).run()
    workspace = app.session_state.workspace
    workspace.keep("law", fit("opt_laws_curve", [workspace.runs[n] for n in TRAIN]))
    app.session_state["best_box"] = True
    return app.run()


def searched(app) -> list[str]:
    """Press Find, wait for the search and return what the page says of it."""
    next(b for b in app.button if b.label == "Find").click().run()
    if SEARCH in app.session_state:
        app.session_state[SEARCH][0].job.future.result(timeout=120)
        app.run()
    assert not app.exception and SEARCH not in app.session_state
    return [text for _, text in app.session_state[FOUND]]


def test_the_compare_page_adds_the_best_schedule(compare):
    workspace = compare.session_state.workspace
    before = len(workspace.candidates)
    said = searched(compare)
    best = next(c for c in workspace.candidates if c.label == "best curve")
    assert len(workspace.candidates) > before and best.schedule.family == "knots" and not compare.error
    losses = [predict(workspace.fit, c.schedule)[0] for c in workspace.candidates]
    assert min(losses) == predict(workspace.fit, best.schedule)[0]
    about = f"Under law, the best curve of {best.schedule.total:,} updates, peak 8e-3, ends at {min(losses):.4f}"
    assert about in said[0] and "the best simple family" in said[0]
    assert about in " ".join(m.value for m in compare.markdown).replace("\\", "")
    compare.text_input(key="best_Updates").set_value("2000")
    (*_, said) = searched(compare), searched(compare)
    assert said[1] == "This extrapolates: 2,000 updates, the shortest training run had 4,000."
    labels = [c.label for c in workspace.candidates]
    assert "best curve 2" in labels and len(set(labels)) == len(labels) - labels.count("") + ("" in labels)
    workspace.candidates = [c for c in workspace.candidates if not c.label.startswith("best")]
    compare.run()
    assert not any(
        text in m.value for text in ("best curve", "extrapolates") for m in (*compare.markdown, *compare.warning)
    )


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"warmup": "9000"}, "warm-up must end before the run"),
        (
            {"warmup": "1.5"},
            "The warm-up must be a whole number from 0",
        ),
        ({"floor": "1"}, "floor must lie between 0 and the peak"),
        ({"knots": "two"}, "The number of knots must be a whole number from 0"),
    ],
)
def test_limits_that_cannot_be_are_named_before_the_search(fields, message, compare):
    for name, text in fields.items():
        compare.text_input(key=f"best_{name}").set_value(text)
    before = list(compare.session_state.workspace.candidates)
    (said,) = searched(compare)
    assert message in said and len(compare.error) == 1
    assert compare.session_state.workspace.candidates == before


def test_the_best_of_a_family_within_a_budget(compare):
    compare.selectbox(key="best_form").set_value("wsd")
    compare.selectbox(key="best_unit").set_value("FLOPs").run()
    compare.text_input(key="best_FLOPs").set_value("6e12")
    compare.text_input(key="best_params").set_value("1M")
    compare.text_input(key="best_batch").set_value("1000")
    searched(compare)
    best = next(c for c in compare.session_state.workspace.candidates if c.label == "best wsd").schedule
    assert (best.family, best.total) == ("wsd", 1000)
    compare.selectbox(key="best_unit").set_value("Tokens").run()
    compare.text_input(key="best_batch").set_value("")
    (said,) = searched(compare)
    assert "The budget reads like 7B or 3e-4 and is above 0, got ''" in said


def test_a_search_can_be_cancelled(compare, monkeypatch):
    going = threading.Event()

    def endless(*_, progress):
        while progress(0.5, 3.0):
            going.set()
            time.sleep(0.01)
        raise Cancelled

    monkeypatch.setattr(optimizing, "find", endless)
    before = list(compare.session_state.workspace.candidates)
    next(b for b in compare.button if b.label == "Find").click().run()
    job = compare.session_state[SEARCH][0].job
    assert going.wait(20) and next(b for b in compare.button if b.label == "Find").disabled
    next(b for b in compare.button if b.label == "Cancel").click().run()
    assert isinstance(job.future.exception(20), Cancelled) and SEARCH not in compare.session_state
    assert compare.session_state.workspace.candidates == before and not compare.exception


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

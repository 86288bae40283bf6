"""The Decide page's search for the best schedule, and its candidates in a trainer's words."""

import threading
import time
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import OptLawsError, fit, parse, predict
from optlaws_core.errors import Cancelled
from optlaws_core.exports import TARGETS, export
from optlaws_core.optimize import JointFinding, JointFound
from pages.parts.compare import best as optimizing
from pages.parts.compare.best import FOUND, SEARCH
from pages.parts.compare.table import WANTED
from tests.core.optimize.test_batch_search import LAW
from tests.places import ROOT

pytestmark = pytest.mark.slow
TRAIN = ("constant_4000", "cosine10_4000", "drop30_4000")


@pytest.fixture
def compare():
    """The Decide page with a law in use and the search open."""
    app = AppTest.from_file(str(ROOT / "pages" / "decide.py"), default_timeout=240).run()
    workspace = app.session_state.workspace
    workspace.keep("law", fit("opt_laws_curve", [workspace.runs[n] for n in TRAIN]))
    app.session_state["best_box"] = True
    return app.run()


def searched(app) -> list[str]:
    """Press Find, wait for the search and return what the page says of it."""
    next(b for b in app.button if b.label == "Find").click().run()
    if SEARCH in app.session_state:
        app.session_state[SEARCH][0].future.result(timeout=120)
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
            "The warm-up must be a whole number of 0 or more",
        ),
        ({"floor": "1"}, "floor must lie between 0 and the peak"),
        ({"knots": "two"}, "The number of knots must be a whole number of 0 or more"),
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
    assert "The budget must be above 0, such as 300B, got ''" in said


def test_rate_and_batch_are_looked_for_together(compare, monkeypatch):
    asked = []

    def searched_for(model, limits, family, sizes, most, progress):
        asked.append((limits.total, family, sizes, most))
        one, plan = (parse(f"{family}(peak=8e-3, warmup=200, total=4000)") for family in ("linear", "cosine"))
        return JointFinding(JointFound(plan, 3.0, True), JointFound(one, 3.25, True))

    monkeypatch.setattr(optimizing, "find_joint", searched_for)
    assert not [t for t in compare.text_input if t.key == "best_batches"]  # of a family alone
    compare.selectbox(key="best_form").set_value("linear").run()
    compare.text_input(key="best_batches").set_value("1x, 2x,4x")
    compare.text_input(key="best_most").set_value("3k")
    said = searched(compare)
    assert asked == [(8000, "linear", (1, 2, 4), 3000)]
    labels = [c.label for c in compare.session_state.workspace.candidates]
    assert {"best plan", "best with one batch"} <= set(labels) and "ends 0.25 below the best one with one" in said[0]
    compare.text_input(key="best_batches").set_value("2x, 1x")
    assert "rising multiples of the usual one" in searched(compare)[0]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            {"unit": "Tokens", "batch": "8M"},
            "the training runs' 1M tokens per update, and the budget is counted in these",
        ),
        ({"most": "many"}, "Maximum updates must be a whole number of 0 or more"),
        (
            {"most": "300", "batches": ""},
            "Maximum updates is for plans whose batch grows, got 300: give their sizes in",
        ),
    ],
)
def test_fields_that_do_not_go_together_are_refused(typed, said):
    usual = optimizing._usual(LAW, parse("linear(peak=8e-3, total=300)"))
    texts = usual | {"form": "linear", "unit": "Updates", "batches": "1x, 2x", "Tokens": "2.4B"} | typed
    optimizing._work(LAW, texts | {"batch": "1M", "most": "300", "batches": "1x, 2x"}, usual)
    with pytest.raises(OptLawsError, match=said):
        optimizing._work(LAW, {name: text or usual[name] for name, text in texts.items()}, usual)


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
    job = compare.session_state[SEARCH][0]
    assert going.wait(20) and next(b for b in compare.button if b.label == "Find").disabled
    next(b for b in compare.button if b.label == "Cancel").click().run()
    assert isinstance(job.future.exception(20), Cancelled) and SEARCH not in compare.session_state
    assert compare.session_state.workspace.candidates == before and not compare.exception


def test_the_first_page_writes_a_candidate_for_a_trainer():
    app = AppTest.from_file(str(ROOT / "pages" / "decide.py"), default_timeout=240).run()
    workspace = app.session_state.workspace
    workspace.keep("law", fit("opt_laws_curve", [workspace.runs[n] for n in TRAIN]))
    app.run()
    assert not [d for d in app.get("download_button") if " for " in d.label]  # no trainer is chosen yet
    app.session_state["export_box"] = app.session_state["full_box"] = True
    app.run()
    schedule = parse(app.dataframe[-1].value.schedule[0])  # the winner comes first
    for target in TARGETS:
        next(s for s in app.selectbox if s.label == "Trainer").set_value(target).run()
        assert not app.exception and not app.error
        assert [s.value for s in app.selectbox if s.label == "Trainer"] == [
            target,
            target,
        ]  # in the card, in the export
        made = export(schedule, target)
        assert app.code[-1].value.strip() == made.text.strip()
        assert any("off by up to" in w.value for w in app.warning) == (made.instead or not made.exact)
        winner = next(d for d in app.get("download_button") if d.label.endswith(f" for {TARGETS[target].title}"))
        assert winner.label.startswith(app.selectbox(key=_of(app, "export_candidate")).value)


def test_the_menu_of_a_row_opens_its_export_also_where_it_is_switched_off():
    app = AppTest.from_file(str(ROOT / "pages" / "decide.py"), default_timeout=240).run()
    workspace = app.session_state.workspace
    workspace.keep("law", fit("opt_laws_curve", [workspace.runs[n] for n in TRAIN]))
    app.run()
    assert not app.code
    for place, on in ((2, True), (0, False)):
        workspace.candidates[place] = replace(workspace.candidates[place], on=on)
        app.session_state[WANTED] = place
        app.run()
        schedule = workspace.candidates[place].schedule
        assert app.code[-1].value.strip() == export(schedule, next(iter(TARGETS))).text.strip()
        assert WANTED not in app.session_state
        assert "export_box" not in app.query_params  # it stands before the page, which stays as it is


def _of(app, beginning: str) -> str:
    return next(s.key for s in app.selectbox if s.key and s.key.startswith(beginning))

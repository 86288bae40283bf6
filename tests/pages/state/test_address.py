"""Links: each page opened by an address as the first request shows what it says, and says what it cannot show."""

import functools
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from data.judge import DESIGNS
from optlaws_core import LAWS, Plan, Run, Series, parse, rank
from optlaws_core.exports import TARGETS
from optlaws_core.figures import candidate_chart as charts
from optlaws_core.final_loss import FINAL_LAWS
from optlaws_core.hyper import HYPER_LAWS
from pages.parts.fit import job
from pages.parts.preselect import candidates
from pages.parts.state import address
from pages.parts.state.candidates import MOST
from pages.parts.state.workspace import Workspace
from tests.pages.fit.fit_page import AVERAGE, FAST, examples, select_once, selected, until
from tests.places import ROOT

PAGES = ROOT / "pages"
TWO = ["cosine(peak=8e-3,warmup=200,total=8000)", "wsd(peak=8e-3,warmup=200,total=8000,decay=1600,shape=linear)"]
HOSTILE = "<img src=x onerror=alert(1)> **b** [x](javascript:0) :red[y]"
# Of every page: names in its address, a value that is not the usual one, and another that is none.
BOUND = {
    "runs": {
        "run": (["cosine10_4000", "wsd20_4000"], "nobody"),
        "split": ("train", "dev"),
        "x": ("Tokens", "lr"),
        "smooth": ("9", "8"),
        "scale": (["Log x", "Full range"], "log"),
    },
    "evidence": {
        "law": (list(FAST[::-1]), "no_law"),
        "train": (["constant_4000", "cosine10_4000"], "nobody"),
        "test": (["wsd20_4000"], "nobody"),
        "split": ("train", "dev"),
        "from": ("500", "-1"),
    },
    "decide": {
        "s": (TWO, "rubbish"),
        "law": (list(FAST[::-1]), "no_law"),
        "test": (["wsd20_4000"], "nobody"),
        "train": (["constant_4000", "cosine10_4000"], "nobody"),
        "split": ("train", "dev"),
        "from": ("500", "1e3"),
        "fit": (FAST[0], "no_law"),
        "also": ([FAST[0]], "no_law"),
        "bands": (["cosine", "wsd"], "nobody"),
        "compare_x": (charts.AXES["lr"], "lr"),
        "compare_part": ("last tenth", "half"),
        "compare_log_x": ("true", "yes"),
        "compare_log_y": ("true", "7"),
        "compare_observed": (["wsd20_4000"], "nobody"),
        "risk": ("Bundled sweep", "tea leaves"),
        "compare_most_risk": ("70 %", "7"),
    },
    "live": {"run": ("wsd20_4000", "nobody"), "losses": ("train", "dev"), "step": ("2000", "1e99")},
    "preselect": {
        "final_source": ("Loaded runs", "rumours"),
        "final_law": (list(FINAL_LAWS.values())[-1].title, "no_law"),
        "final_params": ("1M", ""),
        "final_tokens": ("2M 4M", ""),
        "final_peaks": ("1e-3 2e-3", ""),
        "final_shapes": (list(candidates.SHAPES)[:2], "square"),
        "final_risk": ("70 %", "nan"),
    },
    "plan": {
        "plan_params": ("7B", ""),
        "plan_tokens": ("2T", ""),
        "plan_chart": ("One law over both", "pie"),
        "plan_law": (list(HYPER_LAWS.values())[1].title, "no_law"),
        "plan_bits": ("8", "5"),
        "plan_compute": ("1e24", ""),
        "plan_sparse": ("0.75", "inf"),
        "plan_fine": ("8", "7"),
        "plan_batch_to": ("1M", ""),
    },
    "schedules": {
        "schedule_family": ("wsd", "square"),
        "s": ("wsd(peak=2e-3, warmup=100, total=5000, decay=900, shape=linear)", "rubbish"),
        "schedule_target": (list(TARGETS.values())[-1].title, "abacus"),
    },
    "share": {"share_search": ("lr", "")},
    "sweep": {
        "sweep_groups": (["seeds", "peaks"], "none"),
        "sweep_sizes": (["tiny"], "vast"),
        "sweep_ended": (["diverged"], "well"),
        "sweep_x": ("Updates", "tea"),
        "sweep_law": (LAWS["power_law"].title, "no_law"),
        "sweep_design": (list(DESIGNS)[-1].capitalize(), "none"),
    },
}
EACH = [(page, name) for page, names in BOUND.items() for name in names]
WIDGETS = "selectbox multiselect radio text_input number_input toggle slider select_slider button_group".split()


@pytest.fixture(autouse=True)
def _fits_are_made_once(monkeypatch):
    monkeypatch.setattr(job, "select", select_once)


def opened(page: str, space: Workspace | None = None, **query) -> AppTest:
    """A page as the first request of a new session; with a fit only where `fit` asks for one."""
    app = AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=120)
    if space is not None:
        app.session_state.workspace = space
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    if query.get("fit"):
        until(app, lambda: app.session_state.workspace.job is None)
        assert not app.exception, app.exception[0].message
    return app


def said(app: AppTest) -> str:
    """What stands above the page of its address."""
    return "\n".join(w.value for w in app.warning if w.icon == ":material/link_off:").replace("\\", "").replace("⁠", "")


def context(page: str, name: str) -> dict:
    """What else an address must say for a name to count."""
    about = {"s": TWO, "law": list(FAST), "fit": "average"} if page == "decide" else {}
    if name == "plan_law":
        about = {"plan_chart": "One law over both"}
    return {key: value for key, value in about.items() if key != name}


def one_or_several(value: str | list[str]) -> str | list[str]:
    """A value as an address holds it: a single one stands for itself."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def shown(app: AppTest) -> list:
    """What a page shows of its state: values of its widgets, captions, tables."""
    held = [(w.key, w.label, w.value) for kind in WIDGETS for w in getattr(app, kind)]
    texts = [text.value for kind in (app.caption, app.markdown) for text in kind]
    return [*held, *texts, *(table.value.to_csv() for table in app.dataframe)]


@functools.cache
def usual(page: str, about: str) -> list:
    """What it shows at an address that says so much alone, as JSON."""
    return shown(opened(page, **json.loads(about)))


# ---------------------------------------------------------------------------------------------------- one at a time


# The source of the risk that is not the usual one takes labelled runs of one's own.
@pytest.mark.parametrize("page, name", [case for case in EACH if case != ("decide", "risk")])
def test_an_address_holds_and_shows_what_it_opened_with(page, name):
    value, about = BOUND[page][name][0], context(page, name)
    app = opened(page, **about, **{name: value})
    assert shown(app) != usual(page, json.dumps(about))  # AppTest keeps in the address what no page reads, too
    asked = {key: one_or_several(told) for key, told in (about | {name: value}).items()}
    again = app if app.query_params == asked else opened(page, **app.query_params)  # the same address shows the same
    for at in (app, again):
        assert at.query_params.get(name) == asked[name]
        assert not said(at)


def test_older_links_hold_a_share_as_a_fraction():
    app = opened("preselect", final_risk="0.7")
    assert next(s for s in app.select_slider if s.key == "final_risk").value == 0.7 and not said(app)


@pytest.mark.parametrize("page, name", [case for case in EACH if BOUND[case[0]][case[1]][1]])
def test_what_an_address_cannot_have_is_one_sentence(page, name):
    wrong = BOUND[page][name][1]
    app = opened(page, **context(page, name), **{name: wrong})
    if (page, name) == ("decide", "s"):
        assert any("A schedule reads like" in t.value for t in app.text)
    elif (page, name) == ("schedules", "s"):
        assert said(app).startswith("The address holds no schedule. A schedule reads like")
    elif wrong == "nobody" and name not in ("bands",):
        assert said(app).startswith("This link names a run not loaded here, 'nobody'.")
    else:
        assert said(app).startswith(f"The address says {name}={wrong!r}, but ") and said(app).count("\n") == 0


@pytest.mark.parametrize("page", BOUND)
def test_hostile_and_endless_values_are_shown_as_text(page):
    for name in BOUND[page]:
        app = opened(page, **{name: [HOSTILE, "x" * 5_000]})
        assert not any("<img" in m.value and m.allow_html for m in app.markdown)
        assert not any(re.search(r"(?<!\\)<img", w.value) for w in app.warning)
        assert len(said(app)) < 1_000


# ---------------------------------------------------------------------------------------------------- fits


def test_a_link_to_a_comparison_fits_by_itself_and_ranks_the_same():
    app = opened("decide", s=TWO, law=list(FAST), fit="average")
    space = app.session_state.workspace
    assert space.current == AVERAGE
    expected = rank(selected(*FAST).average, [parse(text) for text in TWO])
    assert app.query_params == {"s": TWO, "law": sorted(FAST, key=list(LAWS).index), "fit": "average"}
    app.session_state["full_box"] = True
    table = app.run().dataframe[-1].value
    assert table.final_loss.tolist() == pytest.approx([row.final_loss for row in expected], rel=1e-9)


def test_the_fit_in_use_is_the_one_that_the_link_names():
    app = opened("decide", s=TWO, law=list(FAST), fit=FAST[1], also=["average"])
    assert app.session_state.workspace.current == LAWS[FAST[1]].title
    assert next(m for m in app.multiselect if m.label == "Also draw").value == [AVERAGE]
    report = opened("evidence", law=FAST[0], fit=FAST[0])
    assert report.metric and report.session_state.workspace.current == LAWS[FAST[0]].title


def test_without_a_fit_in_the_link_one_press_makes_what_it_chose():
    app = opened("decide", law=FAST[0], train=["constant_4000", "cosine10_4000"])
    space = app.session_state.workspace
    assert not space.job and [b.label for b in app.button] == ["Fit the loaded runs"]
    app.button[0].click().run()
    until(app, lambda: space.fits)
    assert list(space.fit.train) == ["constant_4000", "cosine10_4000"] and space.fit.law == FAST[0]


def test_many_fits_wait_for_a_press():
    names = [name for name in examples()]
    app = opened("decide", s=TWO, law=list(LAWS), train=names, fit="average")
    assert not app.session_state.workspace.job and app.button[0].label == "Fit the loaded runs"


def test_runs_of_the_sweep_come_with_the_link():
    names = ["tiny_constant_4000_8e-3", "tiny_cosine10_4000_8e-3"]
    app = opened("evidence", law=FAST[0], train=names, fit=FAST[0])
    assert list(app.session_state.workspace.fit.train) == names and not said(app)
    assert app.query_params["train"] == names


def test_a_missing_run_is_named_kept_in_the_address_and_taken_once_it_is_loaded():
    app = opened("evidence", law=FAST[0], train=["constant_4000", "mine"], test=["wsd20_4000"])
    space = app.session_state.workspace
    assert said(app).startswith("This link names a run not loaded here, 'mine'.")
    assert app.multiselect(key="train").value == ["constant_4000"]
    assert app.query_params["train"] == ["constant_4000", "mine"] and space.example
    steps = [0, 500, 999]
    plan = Plan(parse("cosine(peak=1e-3, warmup=10, total=1000)"))
    space.runs["mine"] = Run("mine", plan, {"val": Series(steps, [9.0, 3.0, 2.0])}, "val", "declared")
    back = AppTest.from_file(str(PAGES / "evidence.py"), default_timeout=120)  # the page, come back to by the menu
    back.session_state.workspace, back.session_state.wanted = space, app.session_state.wanted
    assert not back.run().exception and not said(back)
    assert back.multiselect(key="train").value == ["constant_4000", "mine"]


def test_a_choice_of_ones_own_ends_what_the_link_asked_for():
    app = opened("evidence", law=FAST[0], train=["constant_4000", "mine"])
    app.multiselect(key="train").set_value(["cosine10_4000"]).run()
    assert not said(app) and app.query_params["train"] == "cosine10_4000"


def test_what_is_usual_is_left_out():
    app = opened("evidence")
    assert app.query_params == {}
    app.multiselect(key="laws").set_value(["power_law"]).run()
    assert app.query_params == {"law": "power_law"}


def test_more_candidates_than_a_page_takes_are_cut():
    app = opened("decide", s=[TWO[0]] * 900)
    assert len(app.session_state.workspace.candidates) == MOST
    assert said(app) == f"The address holds 900 values of s; the first {MOST} are taken."
    many = opened("decide", s=[TWO[0]] * 10_000).session_state.workspace.candidates  # Streamlit reads 1,000 at most
    assert TWO[0] not in [candidate.text.replace(", ", ",") for candidate in many]
    long = opened("decide", s="cosine(" + "x" * 10_000)
    assert "a value has at most" in said(long)
    assert not any("xxx" in candidate.text for candidate in long.session_state.workspace.candidates)


def test_more_bands_than_can_be_told_apart_are_cut():
    names = [f"cosine {i}" for i in range(8)]
    texts = [f"cosine(peak={i}e-3, warmup=100, total=4000)|{name}" for i, name in enumerate(names, 1)]
    app = opened("decide", s=texts, law=FAST[0], fit=FAST[0], bands=names)
    assert [m.value for m in app.multiselect if m.label == "Bands of"] == [names[:6]]
    assert said(app) == "The address holds 8 values of bands; the first 6 are taken."


@pytest.mark.parametrize(
    "total, sentence",
    [
        (10**9 + 1, "A schedule in an address has at most 1,000,000,000 updates; it was left out."),
        (10**30, "The address holds no schedule. constant: total must be a finite number below 1e+15, got 1e+30."),
    ],
)
def test_a_schedule_too_long_for_a_form_is_left_out(total, sentence):
    assert said(opened("schedules", s=f"constant(peak=1e-3, total={total})")) == sentence


def test_a_link_to_a_schedule_fills_its_fields():
    app = opened("schedules", s="wsd(peak=2e-3,warmup=100,total=5000,decay=900,shape=1-sqrt)")
    assert app.code[0].value == "wsd(peak=2e-3, warmup=100, total=5000, decay=900, shape=1-sqrt)"
    app.text_input(key="schedule_wsd_peak").set_value("3e-3").run()
    again = opened("schedules", **app.query_params)
    assert again.code[0].value == "wsd(peak=3e-3, warmup=100, total=5000, decay=900, shape=1-sqrt)"


# ---------------------------------------------------------------------------------------------------- anything at all


@pytest.mark.parametrize("page", BOUND)
def test_no_address_breaks_a_page(page):
    known = [word for pair in BOUND[page].values() for word in pair if isinstance(word, str)]
    words = st.one_of(
        st.sampled_from(["", "nan", "inf", "-1", "1e400", "0", "true", "ä\u202e", "9" * 400, HOSTILE, "wsd20_4000"]),
        st.sampled_from(known),
        st.text(max_size=30),
        st.integers().map(str),
        st.floats().map(str),
    )
    names = st.sampled_from([name for name in BOUND[page] if name != "fit"])

    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(names, st.one_of(words, st.lists(words, max_size=4)), max_size=4))
    def any_address(query):
        opened(page, **query)

    any_address()


@pytest.mark.parametrize("words, found", [(["3"], 3), (["x"], 5), (["-1"], 5), (["11"], 5), ([], 5), (["1", "2"], 1)])
def test_numbers_are_whole_and_within_their_ends(words, found, monkeypatch):
    stay = address._Stay("", {"n": words}, {}, None)
    monkeypatch.setattr(address, "_stay", lambda: stay)
    assert address.read_number("n", 5, 0, 10) == found
    assert bool(stay.said) == (found == 5 and bool(words))


def test_what_was_put_is_what_the_page_begins_with_when_it_is_come_back_to(monkeypatch):
    memory: dict = {}
    monkeypatch.setattr(address.session, "state", lambda: memory)
    monkeypatch.setattr(address.st, "query_params", AddressBar())
    for value, begins in ((["b"], ["b"]), ([], []), (["a"], ["a"])):  # the last is the usual one, and left out
        memory["stay"] = address._Stay("Here", {}, {}, None)
        address.write("k", value, ["a"])
        memory["stay"] = address._Stay("Here", {}, dict(address._kept("Here")), None)
        assert address.read_several("k", ["a", "b"], ["a"]) == begins
    assert not address.st.query_params


class AddressBar(dict):
    """Enough of `st.query_params`."""

    def get_all(self, key: str) -> list[str]:
        return self.get(key, [])

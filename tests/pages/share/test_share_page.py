"""Sharing: a comparison saved on Compare opens on Share as it was to whoever has its link, and comes back as a copy."""

import json
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import LAWS, Average, Fit, OptLawsError, Selection, Series, Status, parse, predict, rank
from optlaws_core.figures.candidate_chart import View
from optlaws_core.prediction import verdict
from optlaws_core.prediction.divergence import Risk
from optlaws_core.prediction.observed import final_loss, final_steps
from optlaws_core.prediction.verdict import Yardstick
from optlaws_core.saved import checks, comments, from_bundle, to_bundle
from optlaws_core.saved.rights import Viewer, Visibility
from pages.parts.compare import columns, curves
from pages.parts.share import common, comparisons, html_report, kept, preview, take_away
from pages.parts.share import shown as shown_page
from pages.parts.state.candidates import Candidate
from pages.parts.state.kept_fits import Choice
from pages.parts.state.workspace import Workspace
from tests.pages.compare.compare_page import THREE, a_fit, a_run, opened, space_with, texts
from tests.pages.share.share_page import PAGES, labels, rows, saved, share, warned
from tests.support.stores import without


def tables(app: AppTest) -> list[pd.DataFrame]:
    return [element.value for element in app.dataframe]


def ranking_of(app: AppTest) -> pd.DataFrame:
    return next(table for table in tables(app) if "final_loss" in table)


def walked(block):
    """The elements of a page as they stand, from top to bottom."""
    for child in block.children.values():
        yield from walked(child) if hasattr(child, "children") else (child,)


def test_what_is_saved_is_what_is_compared(compared, store):
    space = compared.session_state.workspace
    found, _ = saved(compared, store, Title="Which decay?", Note="*not* markup", Tags="a, b,a", Author="me")
    assert (found.title, found.note, found.tags, found.author) == ("Which decay?", "*not* markup", ("a", "b"), "me")
    assert [c.schedule.text for c in found.candidates] == [c.schedule.text for c in space.candidates]
    assert [c.label for c in found.candidates] == ["c0", "c1", "c2"]
    assert found.fit == space.fit and set(found.runs[0].series) == {"train"}


def test_the_same_numbers_stand_there_for_somebody_else(compared, store):
    table = ranking_of(compared)
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    shown = share(Viewer("another browser"), id=entry.id)
    assert ranking_of(shown).equals(table)
    assert not any(b.label == "Delete it" for b in shown.button)
    assert [t.value for t in shown.title] == [comparisons.literal(entry.title)]


def test_what_is_opened_later_stands_in_boxes_that_the_browser_does_not_draw_before(compared, store):
    """An expander's widgets are drawn while it is closed, a popover's are not; a code block loads a megabyte."""

    def within(app: AppTest, label: str):
        return next(p for p in app.get("popover") if p.proto.popover.label == label)

    assert "Fit in use" in {s.label for s in within(compared, "Fit, chart and risk of divergence").selectbox}
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    shown = share(viewer, id=entry.id)
    assert "Horizontal axis" in {s.label for s in within(shown, "Axes, runs and bands").selectbox}
    assert len(within(shown, "Copy the link").code) == 1
    assert len(shown.code) == sum(len(p.code) for p in shown.get("popover"))


def test_candidates_have_the_author_s_colours(compared, store):
    def colours(app: AppTest) -> dict[str, str]:
        curves = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
        return {c["name"]: c["line"]["color"] for c in curves if c["name"] in ("c1", "c2")}

    space = compared.session_state.workspace
    before, space.candidates = colours(compared), space.candidates[1:]
    _, viewer = saved(compared.run(), store)
    (entry,) = store.listed(viewer)
    assert before == colours(compared) == colours(share(Viewer("another browser"), id=entry.id))


@pytest.fixture
def doubtful() -> Workspace:
    """A comparison against which all is said that Compare and Fit can say of a fit."""
    question = "Do the steps of long.csv count updates or micro-batches?"
    run = replace(a_run(), open_questions=(question,), about={"outcome": "spiked"})
    steps = np.arange(50, 1000)
    dense = replace(
        run,
        plan=replace(run.plan, params=25e6),
        series={"train": Series(steps, predict(a_fit(), run.plan, steps) * (1 + 1e-3 * np.sin(steps)))},
    )
    weak = replace(a_fit(), status=Status.weak, message=Status.weak.value, misfit=2e-3, left_out=4e-3)
    old = replace(
        weak,
        law="multi_power",
        theta={"L0": 2.0, "A": 0.5, "alpha": 0.5, "B": 100.0, "C": 1.0, "beta": 0.5, "gamma": 0.5},
        interval=dict.fromkeys(LAWS["multi_power"].names),
        status=Status.at_bound,
        message=Status.at_bound.value,
    )
    both = Average((weak, old), (0.5, 0.5), weak.train, weak.test, 0.01, 0.02)
    failed = {"chinchilla": "The batch size of every run must be known."}
    chosen = Selection((weak, old), both, failed, both, "Trust the average.")
    space = Workspace(runs={"long": dense}, candidates=[Candidate(t, f"c{i}") for i, t in enumerate(THREE)])
    for name, model in (("average", both), ("own", weak), ("theirs", old)):
        space.keep(name, model, chosen)
    space.current = "average"
    space.choice = Choice((*(f.law for f in chosen.fits), *failed), ("long",), (), "train", None, "none")
    return space


def test_whoever_opens_the_link_is_told_all_that_the_author_was_told(doubtful, store, monkeypatch):
    monkeypatch.setattr(checks, "POINTS", 100)
    monkeypatch.setattr("optlaws_core.saved.changes.POINTS", 100)  # so that the run is thinned
    author = opened(doubtful)
    author.session_state["share_box"] = True
    _, viewer = saved(author.run(), store)
    fitted = AppTest.from_file(str(PAGES / "evidence.py"), default_timeout=60)
    fitted.session_state.workspace = doubtful
    fitted.run()
    assert not fitted.exception
    (entry,) = store.listed(viewer)
    assert len(store.open(entry.id, viewer).runs[0].loss) <= 100 < len(doubtful.runs["long"].loss)
    shown = share(Viewer("another browser"), id=entry.id)
    expected = dict.fromkeys([*warned(author), *warned(fitted)])
    for part in ("one training run", "open question", "could not be fitted", "on its bound", "hardly determine"):
        assert any(part in sentence.lower().replace("\\", "") for sentence in expected), part
    assert set(expected) <= set(warned(shown))
    assert any("c2: peak" in s.replace("\\", "") for s in warned(shown) if s.startswith("Beyond the training runs"))
    (verdict_box,) = (t for t in texts(shown) if "predicted to end at" in t or "too far from the training runs" in t)
    assert any(t.startswith(verdict_box) for t in texts(author))
    assert author.subheader[0].value in [h.value for h in shown.subheader]
    assert [t for t in texts(author) if "Why:" in t] == [t for t in texts(shown) if "Why:" in t]
    assert ranking_of(shown).equals(ranking_of(author)) and ranking_of(shown)["observed"].notna().any()
    on_fit = [t for t in tables(fitted) if "expected" in t or "RMSE" in t]
    assert len(on_fit) == 2 and all(any(t.equals(mine) for mine in tables(shown)) for t in on_fit)
    told = {c.value for c in fitted.caption if "RMSE" in c.value or "Prior" in c.value} | {
        Yardstick.of(doubtful.fit).sentence
    }
    for app in (author, shown):
        assert all(any(sentence in text for text in texts(app)) for sentence in told)


def elements_before(app: AppTest, caption: str) -> int:
    """How many elements stand above a caption."""
    return next(i for i, e in enumerate(walked(app.main)) if getattr(e, "value", None) == caption)


def test_a_link_is_headed_by_its_title_and_verdict_and_ends_with_its_evidence(compared, store):
    _, viewer = saved(compared, store, Title="Which decay?")
    (entry,) = store.listed(viewer)
    shown = share(Viewer("another browser"), id=entry.id)
    assert [t.value for t in shown.title] == ["Which decay?"]  # and not that of the page
    contents = next(c.value for c in shown.caption if c.value.startswith("[Predicted curves]"))
    assert contents.endswith("[Comments](#comments)") and elements_before(shown, contents) < 5
    elements = list(walked(shown.main))
    parts = (
        shown.title[0],
        next(t for t in shown.subheader if " below c0" in t.value),
        next(t for t in shown.dataframe if "final_loss" in t.value),
        next(h for h in shown.subheader if h.value == "Evidence"),
    )
    places = [next(i for i, e in enumerate(elements) if e is part) for part in parts]
    assert places == sorted(places)
    runs = next(t for t in tables(shown) if "last_loss" in t)
    run = compared.session_state.workspace.runs["long"]
    assert runs.loc[0, ["run", "steps", "last_step", "batch_tokens"]].tolist() == ["long", 1000, 990, 512]
    assert runs.last_loss[0] == run.loss[-1]
    ends = next(t for t in tables(shown) if "predicted" in t)
    assert ends.observed[0] == final_loss(run, "train")
    late = final_steps(run, "train")  # what is compared is of the same updates
    assert (late[0], late[-1]) == (990, 990) and ends.predicted[0] == predict(a_fit(), run.plan, late).mean()
    charts = [json.loads(c.proto.spec) for c in shown.get("plotly_chart")]
    (points,) = [d for c in charts for d in c["data"] if d["mode"] == "markers" and d.get("name") == "training"]
    assert points["text"] == ["long"]


def baseline_of(app: AppTest):
    return next(s for s in app.selectbox if s.label == "Compared with")


def test_what_all_are_compared_with_is_saved(store):
    rows = [Candidate("not a schedule"), *(Candidate(t, f"c{i}") for i, t in enumerate(THREE))]
    compared = opened(space_with(a_fit(), candidates=rows))
    compared.session_state["share_box"] = True
    baseline_of(compared.run()).set_value("c2").run()
    said = next(t for t in texts(compared) if " below c2" in t)
    found, viewer = saved(compared, store)
    assert found.view["baseline"] == 2
    (entry,) = store.listed(viewer)
    shown = share(Viewer("another browser"), id=entry.id)
    assert baseline_of(shown).value == "c2" and said in texts(shown)
    assert ranking_of(shown).equals(ranking_of(compared))
    baseline_of(shown).set_value("c1").run()
    assert not shown.exception and shown.query_params["baseline"] == "c1"


def test_a_copy_opens_with_the_baseline_that_was_saved(compared, store, monkeypatch):
    baseline_of(compared).set_value("c1").run()
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    asked = []
    monkeypatch.setattr(kept.st, "switch_page", lambda page, query_params: asked.append(query_params))
    monkeypatch.setattr(kept.page, "called", lambda name: name)
    shown = share(viewer, id=entry.id)
    next(b for b in shown.button if b.label == "Open a copy").click().run()
    assert not shown.exception and asked[0]["baseline"] == "c1"


@pytest.mark.parametrize("kept", [{}, {"baseline": 7}, {"baseline": "c2"}, {"baseline": True}, {"baseline": -1}])
def test_a_comparison_without_a_baseline_that_is_there_opens_with_the_usual_one(compared, store, kept):
    found, viewer = saved(compared, store)
    without_it = {k: v for k, v in found.view.items() if k != "baseline"}
    id = store.save(replace(found, view=without_it | kept, title="Old"), viewer)
    assert baseline_of(share(viewer, id=id)).value == "c0"  # the cosine


def test_a_link_tells_of_laws_runs_doubts_and_coefficients(store):
    weak = replace(a_fit(), status=Status.at_bound, message="A1 lies on its bound.", law="opt_laws_curve", begin=90)
    plain = Fit(
        "power_law",
        {"L_inf": 2.0, "A": 1.0, "alpha": 0.5},
        dict.fromkeys(LAWS["power_law"].names),
        Status.converged,
        Status.converged.value,
        0.0,
        weak.train,
        weak.coverage,
        weak.test,
    )
    both = Average((weak, plain), (0.75, 0.25), weak.train, weak.test, 0.01, 0.02)
    compared = opened(space_with(both, candidates=[Candidate(t, f"c{i}") for i, t in enumerate(THREE)]))
    doubt = "Convergence and noise: A1 lies on its bound."
    assert any(doubt in said for said in texts(compared))
    compared.session_state["share_box"] = True
    found, viewer = saved(compared.run(), store)
    (entry,) = store.listed(viewer)
    shown = share(viewer, id=entry.id)
    said = "\n".join(x.value for x in (*shown.caption, *shown.warning)).replace("\\", "").replace("\u00a0", " ")
    laws = "Convergence and noise (75 %) and Power law in steps (25 %), fitted to long; judged on other."
    assert laws in said and doubt in said
    assert "Convergence and noise. The fit uses losses from step 90" in said
    assert " · 1 run, 2 laws · " in said and "The ranking does not consider the risk of divergence." in said
    shown.session_state["shared_law 0"] = True
    shown.run()
    assert not shown.exception
    assert any("coefficient" in t.value and "A1" in t.value.coefficient.tolist() for t in shown.dataframe)
    page = html_report.html(found, None, pd.DataFrame({"rank": [1]}), "", verdict.doubts(found.fit))
    assert laws in page and doubt in page


def test_a_link_that_leads_nowhere_is_one_sentence(compared, store):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    store.set_visibility(entry.id, viewer, Visibility.private)
    for id in (entry.id, "x" * 22, "../../etc", "%00"):
        shown = share(Viewer("another browser"), id=id)
        assert len(shown.error) == 1 and not shown.dataframe
    assert share(viewer, id=entry.id).dataframe


def test_the_list_has_ones_own_and_is_searched(compared, store):
    _, viewer = saved(compared, store, Title="Cosine or not", Tags="nightly")
    assert not rows(share(Viewer("another browser")))
    assert len(rows(share(viewer))) == len(rows(share(viewer, share_search="nightl"))) == 1
    nothing = share(viewer, share_search="100%")
    assert not rows(nothing) and any("Nothing that you saved matches." in t for t in texts(nothing))


def test_the_list_says_which_comparisons_have_comments(compared, store):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    assert not any("comment" in c.value for c in share(viewer).caption)
    comments.comment(store, entry.id, Viewer("elsewhere"), "Which seed?")
    assert any("**1 comment**, 20" in c.value for c in share(viewer).caption)
    comments.comment(store, entry.id, Viewer("elsewhere"), "And which batch?")
    assert any("**2 comments**, the latest 20" in c.value for c in share(viewer).caption)


def test_a_row_leads_to_its_own_address(compared, store):
    found, viewer = saved(compared, store, Title="First")
    second = store.save(replace(found, title="Second", view=found.view | {"x": "lr"}), viewer)
    app = share(viewer)
    rows(app)[1].click().run()
    assert app.query_params["id"] != second and app.selectbox(key="shared_x").value == "step"
    next(b for b in app.button if b.label == "All of mine").click().run()
    assert "id" not in app.query_params
    rows(app)[0].click().run()
    assert app.query_params["id"] == second and app.selectbox(key="shared_x").value == "lr"  # not the first one's


def test_a_chat_is_told_the_verdict_of_the_page_and_of_nothing_that_is_private(compared, store, monkeypatch):
    baseline_of(compared).set_value("c2").run()
    _, viewer = saved(compared, store, Title="Which?")
    (entry,) = store.listed(viewer)
    found = preview.of(entry.id)
    assert (found.title, found.description) == ("Which?", next(t for t in texts(compared) if " below c2" in t))
    if find_spec("matplotlib"):
        assert found.picture().startswith(b"\x89PNG")
    monkeypatch.setenv("OPTLAWS_LOGIN", "required")
    assert preview.of(entry.id) is None
    monkeypatch.delenv("OPTLAWS_LOGIN")
    for kind in (Visibility.private, Visibility.members):
        store.set_visibility(entry.id, viewer, kind)
        assert preview.of(entry.id) is None
    assert preview.of("0" * 32) is None


def test_in_a_frame_there_is_title_verdict_chart_and_ranking_and_nothing_to_change(compared, store, monkeypatch):
    _, viewer = saved(compared, store, Title="Framed")
    (entry,) = store.listed(viewer)
    monkeypatch.setattr(shown_page, "embedded", lambda: True)
    framed = share(viewer, id=entry.id)  # its owner's
    assert [t.value for t in framed.title] == ["Framed"] and any(" below c0" in t.value for t in framed.subheader)
    assert ranking_of(framed).equals(ranking_of(compared)) and framed.get("plotly_chart")
    assert labels(framed) == [] and not framed.text_area and "Evidence" not in [h.value for h in framed.subheader]


def test_an_anonymised_one_names_nothing(compared, store):
    next(c for c in compared.checkbox if c.label == "Anonymise").set_value(True)
    found, _ = saved(compared, store, Title="Public", Author="somebody", Note="in /home/somebody")
    assert found.title == "Public" and b"somebody" not in found.to_bytes()
    assert [r.name for r in found.runs] == ["run-1"]


def test_a_copy_is_the_same_comparison_and_names_its_parent(compared, store):
    found, viewer = saved(compared, store)
    space = Workspace()
    space.become(kept.workspace(found), found.digest)
    assert (space.fit, space.parent) == (found.fit, found.digest)
    again = opened(space)
    assert again.dataframe[-1].value.equals(compared.dataframe[-1].value)
    again.session_state["share_box"] = True
    again.session_state.browser = "another browser"
    child, _ = saved(again.run(), store)
    assert child.parent == found.digest


def test_a_copy_brings_the_risk_and_its_child_says_of_whom_it_is_one(compared, store):
    found, viewer = saved(compared, store)
    risk = Risk((0.0,) * 6, 0.0, (0.0,) * 6, (1.0,) * 6, 1.0, 1.0, 0.1, 0.5, 40, 9, (1e4, 1e6))
    risky = replace(found, risk=risk, most_risk=0.3)
    space = Workspace()
    space.become(kept.workspace(risky), risky.digest)
    assert space.risk == risk and "9 of 40 runs diverged or spiked" in " ".join(texts(opened(space)))
    child = store.save(replace(risky, parent=found.digest, title="Child"), Viewer("somebody else"))
    assert any("Began as a copy of another comparison" in t for t in texts(share(Viewer("somebody else"), id=child)))
    mine = share(viewer, id=store.save(replace(risky, parent=found.digest, title="Child"), viewer))
    assert any(b.label.startswith("Began as a copy of") for b in mine.button)
    assert "Candidates above 30 % rank behind all others." in " ".join(texts(mine))


def test_the_bands_that_were_chosen_are_shown_again(store):
    fit = replace(a_fit(), free=("L_inf",), covariance=((1e-4,),), misfit=2e-3, left_out=4e-3)
    compared = opened(space_with(fit, candidates=[Candidate(t, f"c{i}") for i, t in enumerate(THREE)]))
    compared.session_state["share_box"] = True
    compared.run()
    bands = next(m for m in compared.multiselect if m.label == "Bands of")
    bands.set_value(list(bands.options[:2])).run()
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    shown = share(Viewer("another browser"), id=entry.id)
    assert next(m for m in shown.multiselect if m.label == "Bands of").value == list(bands.options[:2])


def test_a_store_that_fails_is_a_sentence_on_every_view_of_the_page(compared, store, monkeypatch):
    def fail(*args):
        raise OptLawsError("The store failed.")

    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    monkeypatch.setattr(store, "listed", fail)
    assert [e.value for e in share(viewer).error] == ["The store failed."]
    shown = share(viewer, id=entry.id)
    monkeypatch.setattr(store, "delete", fail)
    next(b for b in shown.button if b.label == "Delete it").click().run()
    assert [e.value for e in shown.error] == ["The store failed."] and not shown.exception


def test_no_link_is_given_out_where_the_file_of_the_store_is_gone(compared, store):
    without(Path(store.name))
    next(b for b in compared.button if b.label == "Save and get a link").click().run()
    (told,) = compared.error
    assert told.value == "The server cannot reach its store; its log says why."
    assert not compared.exception and not compared.success
    assert not any("share?id=" in code.value for code in compared.code)


def test_a_comparison_without_a_title_is_not_saved(compared, store):
    _, viewer = saved(compared, store)
    next(t for t in compared.text_input if t.label == "Title").set_value("  ")
    next(b for b in compared.button if b.label == "Save and get a link").click().run()
    assert "needs a title" in compared.error[0].value and len(store.listed(viewer)) == 1


def test_as_many_fits_are_drawn_beside_one_as_can_be_saved(store):
    names = [f"fit {i}" for i in range(curves.ALSO + 2)]
    fits = (a_fit(L_inf=2.6 + i / 100) for i in range(len(names)))
    app = opened(space_with(*fits, candidates=[Candidate(THREE[0], "c0")]))
    app.session_state["share_box"] = True
    others = next(m for m in app.multiselect if m.label == "Also draw")
    assert others.options == names[:-1] and others.max_selections == curves.ALSO  # the browser refuses one more
    others.set_value(names[: curves.ALSO]).run()
    lines = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    assert {f"c0 · {name}" for name in (names[-1], *names[: curves.ALSO])} <= {line.get("name") for line in lines}
    found, _ = saved(app, store)
    assert found.also == tuple(names[: curves.ALSO])
    with pytest.raises(OptLawsError, match="also must be a list of at most 20 entries, got 21"):
        store.save(replace(found, also=tuple(names[:-1])), Viewer("me"))


def test_a_renamed_run_leaves_its_old_name_nowhere(compared, store):
    space = compared.session_state.workspace
    assert space.fits
    (old,) = [name for name in space.fit.train]
    space.rename(old, "new name")
    compared.run()
    found, _ = saved(compared, store)
    assert old.encode() not in found.to_bytes() and b"new name" in found.to_bytes()


def test_a_file_brings_it_elsewhere(compared, store):
    found, _ = saved(compared, store)
    assert from_bundle(to_bundle(found)).digest == found.digest
    app = share(Viewer("elsewhere"))
    app.file_uploader[0].upload("comparison.json", to_bundle(found), "application/json").run()
    next(b for b in app.button if b.label == "Save it here").click().run()
    assert not app.exception and not app.error
    assert store.open(app.query_params["id"], Viewer("elsewhere")).digest == found.digest
    bad = share(Viewer("elsewhere"))
    bad.file_uploader[0].upload("comparison.json", b'{"kind": 3}', "application/json").run()
    next(b for b in bad.button if b.label == "Save it here").click().run()
    assert len(bad.error) == 1 and not bad.exception


def test_a_report_is_one_file_with_the_same_numbers_and_no_markup_of_users(compared, store):
    pytest.importorskip("matplotlib")
    found, _ = saved(compared, store, Title="<script>alert(1)</script>", Note="a & <b>")
    table = columns.rows(rank(found.fit, [c.schedule for c in found.candidates]), ["c0", "c1", "c2"], None)
    taken = take_away.Taken(kept.workspace(found), [found.current], View(), [], None, 0.2, 0)
    page = html_report.html(found, taken.drawn(), table, "Verdict.", ["Yard."], ["<i>Doubt</i>."])
    assert (
        "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "a &amp; &lt;b&gt;" in page
    )
    assert "<i>Doubt" not in page and "Yard." in page
    assert all(f"{loss:.5f}" in page for loss in table.final_loss)
    assert all(p.name in page for p in LAWS["opt_laws_curve"].params) and "<math" in page
    assert not re.search(r"(src|href)=.?https?:", page) and len(page.encode()) < 2**20
    points = json.loads(re.search(r'type="application/json">(.*?)</script>', page).group(1))
    assert {*points["curves"]} == {"c0", "c1", "c2"} and all(len(curve) > 100 for curve in points["curves"].values())
    ends = {name: curve[-1] for name, curve in points["curves"].items()}
    for name, text in zip(("c0", "c1", "c2"), THREE, strict=True):
        schedule = parse(text)
        assert ends[name][2] == schedule.total - 1
        assert ends[name][3] == pytest.approx(predict(found.fit, schedule)[0], rel=1e-5)


def test_a_comparison_is_taken_away_for_a_paper(compared, store):
    pytest.importorskip("matplotlib")
    found, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    shown = share(Viewer("elsewhere"), id=entry.id)
    for app, key in ((shown, "shared"), (compared, "compare")):
        app.session_state[f"{key}_paper"] = True
        app.run()
        assert not app.exception
        buttons = [b.proto.label for b in app.get("download_button")]
        assert {"PDF", "SVG", "LaTeX table", "Markdown table", "BibTeX"} <= set(buttons)
    taken = take_away.Taken(kept.workspace(found), [found.current], View(), ["long"], None, 0.2, 0)
    assert taken.figure("pdf", "single").startswith(b"%PDF") and "2409.04777" in taken.bibtex()
    names = [row[0] for row in taken.table().rows]
    assert names == [
        n + ("*" if e else "") for n, e in zip(*ranking_of(shown)[["name", "extrapolates"]].T.values, strict=True)
    ]


@pytest.mark.parametrize("here", ["https://h", "https://h/", "https://h/share?id=x", "https://h/evidence"])
@pytest.mark.parametrize("base", ["", "/team/laws"])
def test_a_link_leads_to_the_shared_page_from_wherever_it_is_made(monkeypatch, here, base):
    url = here.replace("https://h", f"https://h{base}")
    monkeypatch.setattr(common.st, "context", SimpleNamespace(url=url))
    assert common.link("abc", content="d") == f"https://h{base}/share?id=abc&content=d"

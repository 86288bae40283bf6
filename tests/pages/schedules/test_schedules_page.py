"""The Schedules page: every family opens, fields move the picture, a broken rule is one sentence; and its charts."""

from dataclasses import fields

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import SCHEDULES, parse
from optlaws_core.exports import TARGETS, export
from optlaws_core.figures import schedule_charts as charts
from optlaws_core.schedules import refined
from optlaws_core.schedules.schedule_shown import drawing_steps
from pages.parts.schedules import export as exporting
from pages.parts.schedules import gallery
from pages.parts.state.candidates import MOST, Candidate
from tests.places import ROOT

PAGE = ROOT / "pages" / "schedules.py"
JUMPS = "step(peak=1e-3, warmup=10, total=5000, boundaries=[2001, 4003], values=[3e-4, 0])"


WSD = "wsd(peak=1e-3, warmup=50, total=1000, decay=200, shape=linear)"


def opened(family: str = "cosine") -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=120)
    app.query_params["schedule_family"] = family
    return ran(app)


def ran(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def text_of(app: AppTest) -> str:
    return app.code[0].value


def plain(text: str) -> str:
    return text.replace("\\", "").replace("\u00a0", " ")


def facts(app: AppTest) -> dict[str, str]:
    return {box.label: box.value for box in app.metric}


@pytest.mark.parametrize("family", SCHEDULES)
def test_every_family_opens_with_a_valid_schedule(family):
    app = opened(family)
    cls, wanted = SCHEDULES[family], gallery.examples()[family]
    assert text_of(app) == wanted.text and parse(wanted.text) == wanted and not app.error
    assert app.latex[0].value.strip("$\n ") == cls.formula
    assert app.subheader[0].value == family
    widgets = {w.key for kind in (app.text_input, app.selectbox) for w in kind}
    assert {f"schedule_{family}_{f.name}" for f in fields(cls)} <= widgets
    assert len(app.get("plotly_chart")) == 2 and app.code[1].value == export(wanted, "pytorch").text.strip()


@pytest.mark.parametrize("family, cls", SCHEDULES.items())
def test_sources_are_linked(family, cls):
    first, rest = gallery.said(cls)
    assert first.endswith(".") and "\n" not in first + rest
    assert (first + rest).count("](https://arxiv.org/abs/") == cls.__doc__.count("arXiv:")
    assert gallery.letters(cls).startswith("$")


def test_letters_are_those_of_the_formula():
    assert gallery.letters(SCHEDULES["constant"]) == "$p$ peak, $t$ step, counted from 0."
    assert gallery.letters(SCHEDULES["knots"]) == "$k_i$ steps, $v_i$ values, $t$ step, counted from 0."


def test_fields_move_the_text_and_the_facts():
    app = opened("wsd")
    app.text_input(key="schedule_wsd_peak").set_value("4e-4")
    app.text_input(key="schedule_wsd_total").set_value("1000")
    app.text_input(key="schedule_wsd_warmup").set_value("0")
    app.text_input(key="schedule_wsd_decay").set_value("100")
    app.text_input(key="schedule_wsd_final").set_value("0.0")
    app.selectbox(key="schedule_wsd_shape").set_value("1-sqrt")
    schedule = parse(text_of(ran(app)))
    assert schedule == parse("wsd(peak=4e-4, warmup=0, total=1000, decay=100, final=0, shape=1-sqrt)")
    rates = schedule(np.arange(1000))
    found = facts(app)
    assert found["Peak"] == "4e-4"  # as in the text form
    assert float(found["Summed rate"]) == pytest.approx(rates.sum(), rel=1e-3)
    assert float(found["Last update"]) == pytest.approx(rates[-1], rel=1e-2)
    assert found["In the last tenth"] == f"{100 * rates[900:].sum() / rates.sum():.2g} %"


@pytest.mark.parametrize(
    "name, typed, written",
    [
        ("warmup", "2e3", "warmup=2000"),
        ("warmup", "3k", "warmup=3000"),
        ("total", "12,000", "total=12000"),
        ("total", "0.1M", "total=100000"),
        ("peak", "3e-4", "peak=3e-4"),
        ("peak", ".25", "peak=0.25"),
        ("final", "0.0", "cosine(peak=1e-3, warmup=500, total=10000)"),
    ],
)
def test_numbers_are_read_as_they_are_written_elsewhere(name, typed, written):
    app = opened()
    app.text_input(key=f"schedule_cosine_{name}").set_value(typed)
    assert written in text_of(ran(app)) and not app.error
    assert app.text_input(key=f"schedule_cosine_{name}").value == typed


@pytest.mark.parametrize(
    "name, typed, told",
    [
        ("warmup", "1e300", "cosine: warmup must be a finite number below 1e+15, got 1e+300."),
        ("warmup", "1e", "cosine: warmup must be a number such as 3e-4 or 24000, got '1e'."),
        ("total", "2.5", "cosine: total counts updates and must be a whole number, got 2.5."),
        ("peak", "1e-300", "cosine: the peak learning rate must be at least 1e-30, got 1e-300."),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_stays_typed(name, typed, told):
    app = opened()
    before = text_of(app)
    app.text_input(key=f"schedule_cosine_{name}").set_value(typed)
    assert [plain(e.value) for e in ran(app).error] == [told] and text_of(app) == before
    assert app.text_input(key=f"schedule_cosine_{name}").value == typed


def test_a_broken_rule_is_one_sentence_and_keeps_everything_else():
    app = opened()
    app.text_input(key="schedule_cosine_total").set_value("8000")
    before = text_of(ran(app))
    app.text_input(key="schedule_cosine_final").set_value("2.0")
    ran(app)
    assert [plain(e.value) for e in app.error] == ["cosine: final must not exceed the peak 1e-3, got 2."]
    assert text_of(app) == before and len(app.get("plotly_chart")) == 2
    assert app.text_input(key="schedule_cosine_total").value == "8000"
    app.text_input(key="schedule_cosine_final").set_value("0.0")
    assert text_of(ran(app)) == "cosine(peak=1e-3, warmup=500, total=8000)" and not app.error


@pytest.mark.parametrize(
    "typed, message",
    [
        ("", "step needs boundaries"),
        ("9000, 6000", "step: boundaries must rise strictly between warmup = 500 and total = 10000, got [9000, 6000]."),
        ("100, many", "step: boundaries must be a number such as 3e-4 or 24000, got 'many'."),
        ("6000], warmup=[3", "step: warmup is given twice."),
    ],
)
def test_lists_that_cannot_be_read(typed, message):
    app = opened("step")
    app.text_input(key="schedule_step_boundaries").set_value(typed)
    assert plain(ran(app).error[0].value).startswith(message) and len(app.error) == 1
    assert text_of(app) == gallery.examples()["step"].text


def test_lists_take_the_same_numbers():
    app = opened("step")
    app.text_input(key="schedule_step_boundaries").set_value("2e3, 8.5k")
    assert "boundaries=[2000, 8500]" in text_of(ran(app)) and not app.error


def test_fields_that_may_be_left_out():
    app = opened("wsd_s")
    assert app.text_input(key="schedule_wsd_s_ends").value == ""
    app.text_input(key="schedule_wsd_s_ends").set_value("[3000, 7000]")
    assert "ends=[3000, 7000]" in text_of(ran(app))
    app = opened("one_cycle")
    app.text_input(key="schedule_one_cycle_warmup").set_value("")
    assert "warmup=3000" in text_of(ran(app))


def test_an_unknown_family_in_the_address_is_the_usual_one():
    assert opened("nonsense").subheader[0].value == "cosine"


def test_a_plan_in_the_address_shows_its_rate_and_says_where_the_rest_is_used():
    app = AppTest.from_file(str(ROOT / "pages" / "schedules.py"), default_timeout=60)
    app.query_params["s"] = f"rate={WSD}; batch=steps([0, 50%], [1x, 4x]); average=ema(20)"
    ran(app)
    assert app.subheader[0].value == "wsd" and WSD in text_of(app)
    assert any(gallery.RATE_ALONE in plain(w.value) for w in app.warning)


def test_schedules_go_to_compare_as_far_as_there_is_room():
    app = opened("rex")
    before = list(app.session_state.workspace.candidates)
    app.button(key="schedule_add").click()
    ran(app)
    space = app.session_state.workspace
    assert space.candidates == [*before, Candidate(gallery.examples()["rex"].text)]
    assert str(len(space.candidates)) in app.success[0].value
    space.candidates = [Candidate("constant(peak=1e-3, total=9)")] * MOST
    assert ran(app).button(key="schedule_add").disabled and not app.success
    assert any(str(MOST) in c.value for c in app.caption)


@pytest.mark.parametrize("target", TARGETS)
def test_exports_are_shown_and_warn_where_they_are_not_exact(target):
    app = opened("rex")
    app.selectbox(key="schedule_target").set_value(target)
    ran(app)
    made = export(gallery.examples()["rex"], target)
    assert app.code[1].value == made.text[: exporting.MOST_SHOWN].strip()
    assert len(app.warning) == bool(made.remarks) and not app.error
    if made.remarks:
        assert all(word in plain(app.warning[0].value) for word in (" % of the peak", made.notes[-1][:20]))
    else:  # a note that stands in the text is not said once more
        said, text = plain(" ".join(c.value for c in app.caption)), " ".join(made.text.replace("#", " ").split())
        assert all((note in said) != (note in text) for note in made.notes)
    assert len(app.get("download_button")) == 1


@pytest.mark.parametrize("schedule", [*gallery.examples().values(), parse(JUMPS)], ids=lambda s: s.family)
def test_the_picture_is_the_schedule(schedule):
    figure = charts.rate(schedule)
    line, x = figure.data[0], np.array(figure.data[0].x)
    assert len(x) <= 1500 and x[0] == 0 and x[-1] == schedule.total - 1 and (np.diff(x) > 0).all()
    assert np.array_equal(line.y, schedule(x))
    inner = [b for b in schedule.breaks if 0 < b < schedule.total]
    assert {*inner, *(b - 1 for b in inner)} <= set(x.tolist())
    assert [list(t.x) for t in figure.data[1:]] == ([inner] if inner else [])
    assert {t.type for t in figure.data} == {"scatter"}


@pytest.mark.parametrize(
    "text",
    [
        "constant(peak=1, total=1)",
        "linear(peak=1, total=2)",
        "cosine(peak=1, warmup=3, total=1000000000000)",
        "cyclic(peak=1, total=4000, cycles=1000)",
        "cyclic(peak=1, total=1999, cycles=1000)",
    ],
)
def test_short_long_and_broken_schedules_are_drawn(text):
    schedule = parse(text)
    for most in (1500, charts.SMALL):
        steps = drawing_steps(schedule, most)
        assert 1 <= len(steps) <= most and steps[0] == 0 and steps[-1] == schedule.total - 1
    assert all(len(t.x) <= 1500 for t in charts.rate(schedule).data)
    assert len(gallery.facts(schedule)) == 4


def test_thumbnails_show_all_families_and_mark_one():
    figure = charts.thumbnails(gallery.examples(), "rex")
    assert [t.name for t in figure.data] == list(SCHEDULES)
    assert [t.name for t in figure.data if t.line.color == charts.color(0)] == ["rex"]
    assert all(len(t.x) <= charts.SMALL and max(t.y) <= 1 + 1e-12 for t in figure.data)
    assert figure.layout.annotations[list(SCHEDULES).index("rex")].text == "<b>rex</b>"


# ------------------------------------------------------------------------------------------- from gradient norms


def norms_csv(norms: dict[int, object]) -> bytes:
    return ("step,loss,grad_norm\n" + "".join(f"{t},3.0,{g}\n" for t, g in norms.items())).encode()


def test_norms_of_a_run_become_a_schedule_and_every_repair_is_told():
    app = opened()
    assert any("Upload the log" in box.value for box in app.info)
    norms = {t: 1 + 1000 / (t + 100) for t in range(10, 2001, 10)} | {500: 0, 700: "NaN"}
    app.file_uploader(key="refine_file").set_value(("run.csv", norms_csv(norms), "text/csv"))
    app.text_input(key="refine_peak").set_value("2e-3")
    ran(app)
    told = [plain(w.value) for w in app.warning]
    assert len(told) == 2 and "2 of 200 are not: the first is 0, at step 500" in told[0] and "filled" in told[1]
    assert len(app.get("plotly_chart")) == 3 and not app.error
    app.button(key="refine_add").click()
    kept = ran(app).session_state.workspace.candidates[-1]
    good = {t: g for t, g in norms.items() if t not in (500, 700)}
    whole = refined(list(good), list(good.values()), 2e-3).schedule
    assert kept.label == "refined run.csv" and kept.schedule.total == 2000
    np.testing.assert_allclose(kept.schedule(range(2001)), whole(range(2001)), rtol=0, atol=2e-3 * 2e-3)


@pytest.mark.parametrize("peak, top", [("", 1e-3), ("0.5k", 500)])
def test_the_peak_of_a_refined_schedule_is_typed(peak, top):
    app = opened()
    app.file_uploader(key="refine_file").set_value(("run.csv", norms_csv({t: 1 for t in range(100)}), "text/csv"))
    app.text_input(key="refine_peak").set_value(peak)
    ran(app).button(key="refine_add").click()
    assert ran(app).session_state.workspace.candidates[-1].schedule.peak == top
    app.text_input(key="refine_peak").set_value("high")
    assert plain(ran(app).error[0].value) == "The peak must be above 0, such as 1e-3, got 'high'."


@pytest.mark.parametrize(
    "content, told",
    [
        (b"step,loss\n0,3\n1,3\n", "no column is known as a gradient norm; columns found: step, loss"),
        (norms_csv({0: 0, 1: 0, 2: 1}), "2 of 3 are not: the first is 0, at step 0; at least 2 must be left"),
        (b"PK\x03\x04", "this is a ZIP archive"),
    ],
)
def test_norms_that_cannot_be_used_are_one_sentence(content, told):
    app = opened()
    app.file_uploader(key="refine_file").set_value(("run.csv", content, "text/csv"))
    assert len(ran(app).error) == 1 and told in plain(app.error[0].value)


def a_plan():
    from optlaws_core import parse
    from pages.parts.schedules.export import panel

    panel(parse("rate=constant(peak=1e-3, warmup=10, total=400); batch=steps([0, 100], [4194304, 8388608])"))


def test_a_plan_asks_for_the_tokens_in_a_sequence_where_a_trainer_counts_these():
    app = ran(AppTest.from_function(a_plan, default_timeout=60))
    assert "batch_at" in app.code[0].value and not app.number_input
    app.selectbox(key="schedule_target").set_value("megatron")
    assert '"0:1024 419430400:2048"' in ran(app).code[0].value
    app.number_input(key="schedule_sequence").set_value(2048)
    assert '"0:2048 419430400:4096"' in ran(app).code[0].value
    app.selectbox(key="schedule_target").set_value("nanogpt")
    assert "cannot hold a batch schedule" in ran(app).error[0].value and not app.code


def the_best_plan():
    from types import SimpleNamespace

    from optlaws_core import parse
    from pages.parts.schedules.export import winner

    plan = parse("rate=constant(peak=1e-3, warmup=10, total=400); batch=steps([0, 100], [4194304, 8388608])")
    winner(SimpleNamespace(trainer="megatron"), SimpleNamespace(name="a", schedule=plan))


def test_the_best_plan_points_to_the_export_that_asks_for_them():
    app = ran(AppTest.from_function(the_best_plan, default_timeout=60))
    assert "the export below asks how many tokens one has" in app.caption[0].value and not app.get("download_button")

"""The button that leads from the Plan page on: a row's rate, batch and length among the candidates."""

from types import SimpleNamespace

import pytest

from optlaws_core import HYPER_LAWS, parse, recommend
from optlaws_core.fitting.result import Coverage
from pages.parts.plan.onward import elsewhere
from pages.parts.state.candidates import MOST, Candidate
from tests.pages.plan.test_plan_page import opened, plain


def held(app) -> list[Candidate]:
    return app.session_state["workspace"].candidates


def test_a_row_becomes_a_candidate():
    app = opened(plan_params="700M", plan_tokens="30B")
    before = held(app)
    app.button(key="plan_add").click().run()
    step = recommend(7e8, 3e10)[0]
    *rest, new = held(app)
    schedule = new.schedule
    assert not app.exception and rest == before and schedule.family == "cosine"
    assert schedule.peak == pytest.approx(step.lr, rel=1e-3) and schedule.total == round(3e10 / step.batch)
    assert new.label.startswith("Step Law, batch ") and new.on
    assert schedule.text in plain(app.success[0].value) and f"page: {len(before) + 1}." in plain(app.success[0].value)


def test_what_is_there_already_is_not_added_again():
    app = opened(plan_params="700M", plan_tokens="30B")
    app.button(key="plan_add").click().run()
    once = held(app)
    app.button(key="plan_add").click().run()
    assert held(app) == once and not app.success and any("on Decide already" in plain(i.value) for i in app.info)


def test_a_rate_for_mup_says_so_where_it_goes():
    app = opened(plan_params="1B", plan_tokens="20B")
    app.selectbox(key="plan_row").set_value("minicpm").run()
    app.button(key="plan_add").click().run()
    assert held(app)[-1].label.startswith("MiniCPM (µP), batch ")
    assert any("divided by the width multiplier" in plain(w.value) for w in app.warning)


def test_a_run_unlike_the_fitted_ones_is_told_where_it_is_added():
    coverage = Coverage((1e-3, 1e-3), (1000, 1000), (123_000.0, 123_000.0), (2e5, 2e5))
    model = SimpleNamespace(coverage=coverage)
    said = elsewhere(model, 1e9, 1e6)
    assert said.startswith(
        "Its model size is 8,130 times above and its batch is 5 times above that of the fitted runs."
    )
    assert elsewhere(model, 1e9, 2e5).startswith("Its model size is 8,130 times above that of")
    assert elsewhere(model, 123_000, 2e5) == elsewhere(None, 1e9, 1e6) == ""
    unknown = SimpleNamespace(coverage=Coverage((1e-3, 1e-3), (1000, 1000)))
    assert elsewhere(unknown, 1e9, 1e6) == ""


def test_a_law_without_a_batch_takes_the_one_that_is_fixed():
    app = opened(plan_params="1B", plan_tokens="20B", plan_batch="1M")
    box = app.selectbox(key="plan_row")
    assert box.options == [law.title for law in HYPER_LAWS.values() if law.lr]
    box.set_value("bjorck").run()
    app.selectbox(key="plan_family").set_value("wsd").run()
    app.button(key="plan_add").click().run()
    new = held(app)[-1]
    bjorck = next(r for r in recommend(1e9, 2e10, 1e6) if r.law.name == "bjorck")
    assert (new.schedule.family, new.schedule.total) == ("wsd", 20_000) and new.label == "Björck et al., batch 1M"
    assert new.schedule.peak == pytest.approx(bjorck.lr, rel=1e-3)


def test_the_candidate_is_what_the_command_prints(capsys):
    import json

    from tests.support.commands import told

    app = opened(plan_params="1B", plan_tokens="20B")
    app.button(key="plan_add").click().run()
    code, out, _ = told(capsys, "plan", "rates", "--params", "1B", "--tokens", "20B", "--family", "cosine", "--json")
    assert code == 0 and held(app)[-1].text == json.loads(out)["laws"][0]["schedule"]


def test_no_more_than_the_compare_page_holds():
    app = opened()
    app.session_state["workspace"].candidates = [Candidate(parse("constant(peak=1, total=9)").text)] * MOST
    app.run()
    assert app.button(key="plan_add").disabled
    assert any(f"holds {MOST} schedules" in plain(c.value) for c in app.caption)


def test_a_length_of_one_batch_makes_no_candidate():
    app = opened(plan_params="1M", plan_tokens="30M")
    app.selectbox(key="plan_row").set_value("minicpm").run()
    assert any(c.value.startswith("This rate is for µP") for c in app.caption)
    app.text_input(key="plan_loss").set_value("1.3").run()
    assert any("must fill two batches" in plain(c.value) for c in app.caption)
    assert not [b for b in app.button if b.key == "plan_add"] and not app.exception

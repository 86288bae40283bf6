"""Published plans on the Schedules page: chosen by hand or by address, drawn over tokens, added to the candidates."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core.figures import schedule_charts as charts
from optlaws_core.schedules.public_plans import PUBLIC_PLANS
from tests.places import ROOT

PAGE = ROOT / "pages" / "schedules.py"


def opened(plan: str = "") -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=120)
    if plan:
        app.query_params["public_plan"] = plan
    return ran(app)


def ran(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def texts(app: AppTest) -> list[str]:
    return [code.value for code in app.code]


def test_nothing_is_shown_until_a_plan_is_chosen():
    app = opened()
    assert app.selectbox(key="public_plan").value is None and len(app.get("plotly_chart")) == 2
    assert not [text for text in texts(app) if text.startswith("rate=")] and not app.dataframe
    app.selectbox(key="public_plan").set_value("kimi_k2")
    assert PUBLIC_PLANS["kimi_k2"].plan.text in texts(ran(app)) and len(app.get("plotly_chart")) == 3


@pytest.mark.parametrize("public", PUBLIC_PLANS.values(), ids=list(PUBLIC_PLANS))
def test_an_address_shows_a_plan_with_what_its_source_states_and_leaves_open(public):
    app = opened(public.title)
    assert app.selectbox(key="public_plan").value == public.name and public.plan.text in texts(app)
    told = " ".join(m.value.replace("\\", "").replace("\u00a0", " ") for m in app.markdown)
    assert f"]({public.url})" in told and public.who in told
    assert all(sentence in told for sentence in public.left_out)
    frame = app.dataframe[0].value
    assert frame["what the source states"].tolist() == [s.told for s in public.stated]
    assert frame["source"].tolist() == [s.written(s.value) for s in public.stated]
    assert frame["plan"].tolist() == [s.written(public.found(s)) for s in public.stated]


def test_an_address_of_no_plan_says_so():
    app = opened("GPT-9")
    assert app.selectbox(key="public_plan").value is None
    assert "GPT-9" in app.warning[0].value


def test_a_plan_goes_to_the_candidates_under_its_name():
    app = opened("DeepSeek-V3")
    space = app.session_state["workspace"]
    before = len(space.candidates)
    app.button(key="public_add").click()
    ran(app)
    added = space.candidates[-1]
    assert len(space.candidates) == before + 1 and str(before + 1) in app.success[0].value
    assert added.schedule == PUBLIC_PLANS["deepseek_v3"].plan and added.label == "DeepSeek-V3"


@pytest.mark.parametrize("public", PUBLIC_PLANS.values(), ids=list(PUBLIC_PLANS))
def test_the_picture_is_the_plan(public):
    rate, batch = charts.over_tokens(public.plan).data
    steps = np.array([int(step.replace(",", "")) for step, _ in rate.customdata])
    assert np.array_equal(rate.y, public.plan(steps)) and np.array_equal(batch.y, public.plan.batch(steps))
    assert np.array_equal(rate.x, public.plan.batch.pieces.seen(steps)) and np.array_equal(rate.x, batch.x)
    assert rate.customdata[0][1] == "0" and steps[0] == 0 and steps[-1] == public.plan.total - 1
    assert set(public.plan.breaks[:-1]) <= set(steps.tolist())

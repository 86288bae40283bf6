"""Published training plans on the Schedules page: rate and batch over the tokens read, the source, and the text."""

import pandas as pd
import streamlit as st

from optlaws_core.figures import schedule_charts as charts
from optlaws_core.schedules.public_plans import PUBLIC_PLANS, PublicPlan

from ..state import address
from ..state.candidates import Candidate, with_label
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from . import adding

CHOSEN = "public_plan"  # the widget, and its name in the address


def section(space: Workspace) -> None:
    """Choose a plan; nothing more until one is chosen."""
    st.markdown(
        "Published plans of large models, transcribed from their reports and scripts, as starting points. "
        "Each is compared with the words of its source, update by update."
    )
    left, right = st.columns([2, 5], gap="large")
    with left:
        name = address.bound_widget(
            st.selectbox,
            "Plan",
            list(PUBLIC_PLANS),
            None,
            format_func=lambda key: PUBLIC_PLANS[key].title,
            key=CHOSEN,
            placeholder="Choose one",
        )
        if name is not None:
            _source(PUBLIC_PLANS[name])
    if name is not None:
        with right:
            _plan(space, PUBLIC_PLANS[name])


def _source(public: PublicPlan) -> None:
    """Where the plan is from, and what it leaves out."""
    st.markdown(f"{literal(public.who)}, {public.when}. [{literal(public.source)}]({public.url})")
    st.caption(f"Read: {literal(public.read)}.")
    st.markdown("**Left out, or left open by the source**")
    st.markdown("\n".join(f"- {literal(sentence)}" for sentence in public.left_out))


def _plan(space: Workspace, public: PublicPlan) -> None:
    """Rate and batch, the numbers that the source states beside those of the plan, and the text form."""
    showing.chart(charts.over_tokens(public.plan), f"schedules-public-{public.name}")
    stated = pd.DataFrame(
        [(s.told, s.written(s.value), s.written(public.found(s))) for s in public.stated],
        columns=["what the source states", "source", "plan"],
    )
    showing.table(stated, f"schedules-stated-{public.name}", hide_index=True)
    st.code(public.plan.text, language=None, wrap_lines=True, height=150 if len(public.plan.text) > 600 else "content")
    said = (
        "As it was published. Another length, peak or warm-up in the card of the big run changes it, too: shares stay."
    )
    adding.button(space, with_label(Candidate(public.plan.text), public.title), "public_add", said)

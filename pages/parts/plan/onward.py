"""From the Plan page to the Decide page: a law's rate, batch and length as a candidate schedule."""

import streamlit as st

from optlaws_core.errors import OptLawsError
from optlaws_core.fitting.coverage import times_outside
from optlaws_core.fitting.result import Model
from optlaws_core.hyper import recommend, recommended_schedule
from optlaws_core.hyper.advice import FAMILIES
from optlaws_core.text import format_amount

from ..state.candidates import MOST, Candidate, with_label
from ..state.workspace import Workspace
from ..widgets.markdown import literal
from .recommended import Asked

MUP_RATE = (
    "This rate is for µP: hidden matrices take it divided by the width multiplier. Decide takes it as the "
    "rate of the whole model, as in the training runs."
)


def elsewhere(model: Model | None, params: float, batch: float) -> str:
    """How this size and batch (tokens) leave what the fitted runs cover, in sentences; empty where they do not.

    A candidate is a schedule alone: Decide predicts it for the size and the batch of the fitted runs.
    """
    if model is None:
        return ""
    known = (("model size", model.coverage.params, params), ("batch", model.coverage.batch_tokens, batch))
    far = [f"{what} is {said}" for what, ends, value in known if ends and (said := times_outside(ends, value))]
    if not far:
        return ""
    return (
        f"Its {' and its '.join(far)} that of the fitted runs. Decide predicts this schedule for their size and batch."
    )


def to_compare(space: Workspace, asked: Asked) -> None:
    """One button that adds a row of the table above to the candidates, in a family that is chosen beside it."""
    found = recommend(asked.params, asked.tokens, asked.batch, asked.loss)
    rows = {r.law.name: r for r in found if r.lr is not None}
    usual = next(r.batch for r in found if r.law.name == "step_law")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Row to continue with",
            list(rows),
            format_func=lambda n: rows[n].law.title,
            key="plan_row",
            width=260,
            help="A law without a batch of its own is taken with the batch above, or else the Step Law's.",
        )
        family = st.selectbox("Schedule", FAMILIES, FAMILIES.index("cosine"), key="plan_family", width=180)
        answer = rows[name]
        batch = answer.batch or asked.batch or usual
        try:
            schedule = recommended_schedule(answer, asked.tokens, batch, family)
        except OptLawsError as fault:
            st.caption(literal(str(fault)))
            return
        full = len(space.candidates) >= MOST
        added = st.button(
            "Add to the candidates",
            icon=":material/add:",
            disabled=full,
            key="plan_add",
            help=f"{schedule.text}, with {format_amount(batch, 3)} tokens per update.",
        )
    if answer.law.mup:
        st.caption("This rate is for µP, where hidden matrices take it divided by the width multiplier.")
    if added and any(candidate.text == schedule.text for candidate in space.candidates):
        st.info(literal(f"{schedule.text} is among the schedules on Decide already."), icon=":material/info:")
    elif added:
        label = f"{answer.law.title}{' (µP)' if answer.law.mup else ''}, batch {format_amount(batch, 3)}"
        space.candidates = [*space.candidates, with_label(Candidate(schedule.text), label)]
        st.success(
            literal(f"Added {schedule.text}. Schedules on the Decide page: {len(space.candidates)}."),
            icon=":material/check:",
        )
        for said in filter(
            None, (MUP_RATE if answer.law.mup else "", elsewhere(space.fits.get(space.current), asked.params, batch))
        ):
            st.warning(literal(said), icon=":material/warning:")
    elif full:
        st.caption(f"The Decide page holds {MOST} schedules, the most it can.")

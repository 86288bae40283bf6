"""What was read of the logs, as a line of chips, with whatever they leave open."""

from collections.abc import Mapping

import streamlit as st

from optlaws_core import Run
from optlaws_core.schedules import parts
from optlaws_core.text import counted, format_amount, format_number

from .. import page
from ..runs import files, questions
from ..state import beside
from ..state.candidates import IN_WORDS
from ..state.workspace import Workspace
from ..widgets.markdown import literal

CHIPS = 3  # more would push the answer off the screen
OPEN = 2  # questions at most that are shown at once, each one click away
LOGS, AT_HAND = "Add logs", ":material/check_circle:"


def show(space: Workspace, used: tuple[str, ...], aside: Mapping[str, str]) -> None:
    """Runs as chips, those that the answer does not rest on with the reason, and the way to add or change them."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="decide_seen"):
        if space.example:
            st.badge("Example runs", icon=":material/science:", color="orange")
        for name in used[:CHIPS]:
            _chip(space, space.runs[name])
        if len(used) > CHIPS:
            st.badge(f"{len(used) - CHIPS} more", color="gray")
        if aside:
            said = "; ".join(f"{name}: {why}" for name, why in list(aside.items())[:12])
            st.badge(f"{len(aside)} not used", icon=":material/block:", color="orange", help=literal(said))
        with st.popover(LOGS, icon=":material/upload_file:", key=f"decide_logs {space.revision}"):
            files.upload(space, told=False)
        st.page_link(page.called("runs"), label="All about these runs", icon=":material/show_chart:")
        for note in space.news:
            if note.level == "info":
                st.caption(literal(note.text), width="content")
    for note in space.news:
        if note.level == "repaired":
            st.markdown(f":material/build: {literal(note.text)}")
    files.refusals(space)
    asked = questions.grouped(space.reports.values())
    if asked:
        what = counted(len(asked), "open question")
        said = f"{what}: the answer rests on the likely reading until you choose"
        with st.expander(said, icon=":material/help:", expanded=len(asked) <= OPEN):
            questions.ask(space)
    questions.offer_tables(space)


def _chip(space: Workspace, run: Run) -> None:
    """One run: its schedule in short; how it was found is its tooltip."""
    schedule = run.known_plan.schedule
    found = space.recognised(run)
    peak, end = (format_number(float(f"{rate:.2g}")) for rate in (schedule.peak, _end(schedule)))
    rates = peak if peak == end else f"{peak} → {end}"
    family, more = parts(schedule)[0].family, beside.told(schedule)
    words = f"{IN_WORDS.get(family, family)} {rates}, {schedule.total:,}{f', {more}' if more else ''}"
    if found is not None:
        how = f"Recognised from the logged rates, largest difference {found.difference:.2g}: {schedule.text}"
    else:
        how = f"{run.lr_source}: {schedule.text if len(schedule.text) < 200 else words}"
    size = f" {format_amount(run.known_plan.params, 3)} parameters." if run.known_plan.params else ""
    about = f"**{literal(run.name)}** ({run.split} loss, {len(run.loss):,} points).{size} {literal(how)}"
    st.badge(literal(words), icon=AT_HAND if found is None else ":material/auto_awesome:", color="blue", help=about)


def _end(schedule) -> float:
    return float(schedule(schedule.total))

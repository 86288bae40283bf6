"""A schedule in the words of a trainer: on the Decide page a candidate, on the Schedules page the one at hand."""

from collections.abc import Sequence

import streamlit as st

from optlaws_core import OptLawsError, Schedule
from optlaws_core.exports import TARGETS, Export, export

from ..compare.predicted import Entry
from ..state import address
from ..widgets.markdown import literal

MOST_SHOWN = 20_000  # characters; the download has all of them
SHOWN = {".py": "python", ".json": "json", ".yaml": "yaml", ".sh": "bash", ".toml": "toml"}


def section(found: Sequence[Entry]) -> None:
    """Choose a candidate and a trainer."""
    box = st.expander(
        "Export to a trainer", icon=":material/output:", on_change="rerun", key="export_box", bind="query-params"
    )
    if not box.open:
        return
    with box:
        names = [e.name for e in found]
        first = names.index(address.read_one("export", names, names[0], "candidate"))
        name = st.selectbox("Candidate", names, first, key=f"export_candidate {len(names)} {names[0]}")
        address.write("export", name, names[0])
        panel(next(e.schedule for e in found if e.name == name), "export")


def panel(schedule: Schedule, key: str) -> None:
    """Choose a trainer: its text, how far that is off, a download. `key` begins the keys of the widgets."""
    left, right = st.columns([2, 5], gap="large")
    with left:
        target = address.bound_widget(
            st.selectbox, "Trainer", list(TARGETS), format_func=lambda t: TARGETS[t].title, key=f"{key}_target"
        )
        known = TARGETS[target]
        st.caption(f"Expresses {literal(known.native)}. [How it is read]({known.source})")
    with right:
        try:
            made = _made(schedule, target)
        except OptLawsError as fault:
            st.error(literal(str(fault)), icon=":material/error:")
            return
        notes = "  \n".join(map(literal, made.notes))
        if not made.exact:
            st.warning(notes, icon=":material/difference:")  # the first of them says how far it is off
        elif made.notes:
            st.caption(notes)
        st.code(made.text[:MOST_SHOWN], language=SHOWN.get(made.suffix), height=320)
        if len(made.text) > MOST_SHOWN:
            st.caption(f"The first {MOST_SHOWN:,} of {len(made.text):,} characters; the download has all of them.")
    left.download_button(
        "Download",
        made.text,
        f"{schedule.family}_{target}{made.suffix}",
        "text/plain",
        icon=":material/download:",
        on_click="ignore",
        key=f"{key}_download",
    )


@st.cache_data(show_spinner="Writing the schedule", max_entries=64)
def _made(schedule: Schedule, target: str) -> Export:
    return export(schedule, target)

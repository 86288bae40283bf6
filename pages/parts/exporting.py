"""A candidate in the words of a trainer, on the Compare page."""

from collections.abc import Sequence

import streamlit as st

from optlaws_core import OptLawsError, Schedule
from optlaws_core.exports import TARGETS, Export, export

from .comparing import Entry
from .session import literal

MOST_SHOWN = 20_000  # characters; the download has all of them


def section(found: Sequence[Entry]) -> None:
    """Choose a candidate and a trainer; its text, how far it is off, a download."""
    box = st.expander("Export to a trainer", icon=":material/output:", on_change="rerun", key="export_box")
    if not box.open:
        return
    with box:
        left, right = st.columns(2)
        names = [e.name for e in found]
        name = left.selectbox("Candidate", names, key=f"export_candidate {len(names)} {names[0]}")
        target = right.selectbox(
            "Trainer", list(TARGETS), format_func=lambda t: TARGETS[t].title, key="export_target",
            help="  \n".join(f"**{t.title}** says itself: {t.native}." for t in TARGETS.values()),
        )  # fmt: skip
        schedule = next(e.schedule for e in found if e.name == name)
        try:
            made = _made(schedule, target)
        except OptLawsError as fault:
            st.error(literal(str(fault)))
            return
        if not made.exact:
            st.warning(
                f"{TARGETS[target].title} cannot say this exactly: its rates are off by up to "
                f"{100 * made.deviation:.2g} % of the peak.", icon=":material/difference:",
            )  # fmt: skip
        for note in made.notes:
            st.caption(literal(note))
        st.download_button(
            "Download", made.text, f"schedule_{target}{made.suffix}", "text/plain", icon=":material/download:",
            on_click="ignore", key="export_download",
        )  # fmt: skip
        st.code(made.text[:MOST_SHOWN], language=_language(made), height=360)
        st.caption(f"[How {TARGETS[target].title} reads it]({TARGETS[target].source})")


@st.cache_data(show_spinner="Writing the schedule", max_entries=64)
def _made(schedule: Schedule, target: str) -> Export:
    return export(schedule, target)


def _language(made: Export) -> str | None:
    return {".py": "python", ".json": "json", ".yaml": "yaml", ".sh": "bash", ".toml": "toml"}.get(made.suffix)

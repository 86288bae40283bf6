"""A schedule in the words of a trainer: on the Decide page a candidate, on the Schedules page the one at hand."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import OptLawsError, Schedule
from optlaws_core.exports import TARGETS, Export, export
from optlaws_core.exports.file_names import file_name

from ..compare.predicted import Entry
from ..compare.table import WANTED
from ..state import address
from ..state.session import state
from ..widgets.markdown import literal

MOST_SHOWN = 20_000  # characters; the download has all of them
TRAINER, OPENED = "trainer", "export_opened"  # in the session
BOX, IN_ADDRESS = "export_box", "export_target"  # names in the address
SHOWN = {".py": "python", ".json": "json", ".yaml": "yaml", ".sh": "bash", ".toml": "toml"}


def section(found: Sequence[Entry]) -> None:
    """Choose a candidate, the first of them to begin with, and a trainer."""
    memory = state()
    wanted = memory.pop(WANTED, None)
    if wanted is not None:
        memory[BOX] = True
        st.toast("The export is open, beneath the candidates.", icon=":material/output:")
    box = st.expander("Export to a trainer", icon=":material/output:", on_change="rerun", key=BOX, bind="query-params")
    if not box.open:
        return
    with box:
        names = [e.name for e in found]
        asked = next((e.name for e in found if e.place == wanted), None)
        usual = asked or address.read_one("export", names, names[0], "candidate")
        version = memory[OPENED] = memory.get(OPENED, 0) + (wanted is not None)
        key = f"export_candidate {len(names)} {names[0]} {version}"
        left, right = st.columns([2, 5], gap="large")
        name = left.selectbox("Candidate", names, names.index(usual), key=key)
        address.write("export", name, names[0])
        target = trainer(left, "export_trainer") or next(iter(TARGETS))
        _shown(next(e.schedule for e in found if e.name == name), target, "export", left, right)


def panel(schedule: Schedule) -> None:
    """One schedule: choose a trainer; its text, how far that is off, a download."""
    left, right = st.columns([2, 5], gap="large")
    with left:
        target = address.bound_widget(
            st.selectbox, "Trainer", list(TARGETS), format_func=lambda t: TARGETS[t].title, key="schedule_target"
        )
    _shown(schedule, target, "schedule", left, right)


def trainer(place: DeltaGenerator, key: str) -> str | None:
    """The trainer of the big run, a key of `TARGETS`, which every field on the Decide page shows; None: not chosen."""
    memory, titles = state(), {target.title: name for name, target in TARGETS.items()}
    if TRAINER not in memory:
        memory[TRAINER] = titles.get(address.read_one(IN_ADDRESS, titles, "", "trainer"))
    now = memory[TRAINER]
    place.selectbox(
        "Trainer",
        list(TARGETS),
        None if now is None else list(TARGETS).index(now),
        format_func=lambda target: TARGETS[target].title,
        key=f"{key} {now}",  # a fresh field once another one has changed it
        placeholder="not chosen",
        help="What the big run is trained with: the best schedule is offered in its words.",
        on_change=_train_with,
        args=(f"{key} {now}",),
    )
    address.write(IN_ADDRESS, None if now is None else TARGETS[now].title)
    return now


def _train_with(key: str) -> None:
    memory = state()
    memory[TRAINER] = memory.get(key)


def winner(best: Entry) -> None:
    """The best candidate in the words of the chosen trainer, one click away; nothing until one is chosen."""
    target = state().get(TRAINER)
    if target is None:
        return
    try:
        made = _made(best.schedule, target)
    except OptLawsError as fault:
        st.caption(literal(str(fault)))
        return
    _download(st, made, best.schedule, target, f"{best.name} for {TARGETS[target].title}", "export_winner")
    if not made.exact:
        st.caption(literal(made.notes[0]))


def _shown(schedule: Schedule, target: str, key: str, left: DeltaGenerator, right: DeltaGenerator) -> None:
    """The schedule for one trainer, `right`; what the trainer can express and the download, `left`."""
    known = TARGETS[target]
    left.caption(f"Expresses {literal(known.native)}. [How it is read]({known.source})")
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
    _download(left, made, schedule, target, "Download", f"{key}_download")


def _download(place, made: Export, schedule: Schedule, target: str, label: str, key: str) -> None:
    place.download_button(
        label,
        made.text,
        file_name(schedule, made),
        "text/plain",
        icon=":material/download:",
        on_click="ignore",
        key=key,
    )


@st.cache_data(show_spinner="Writing the schedule", max_entries=64)
def _made(schedule: Schedule, target: str) -> Export:
    return export(schedule, target)

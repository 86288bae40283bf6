"""A schedule in the words of a trainer: on the Decide page a candidate, on the Schedules page the one at hand."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import OptLawsError, Schedule
from optlaws_core.exports import LONGEST_SEQUENCE, TARGETS, Export, export, needs_sequence
from optlaws_core.exports.file_names import file_name

from ..compare.predicted import Entry
from ..compare.table import WANTED
from ..state import address
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets.markdown import literal

MOST_SHOWN = 20_000  # characters; the download has all of them
BOX, IN_ADDRESS = "export_box", "export_target"  # names in the address
FIRST = next(iter(TARGETS))  # what is shown until a trainer is chosen
SHOWN = {".py": "python", ".json": "json", ".yaml": "yaml", ".sh": "bash", ".toml": "toml"}


def section(space: Workspace, found: Sequence[Entry]) -> None:
    """Choose a candidate, the first of them to begin with, and a trainer; one that was asked for opens by itself."""
    wanted = state().pop(WANTED, None)
    if asked := next((e for e in found if e.place == wanted), None):
        opened(space, asked.name, asked.schedule)
    box = st.expander("Export to a trainer", icon=":material/output:", on_change="rerun", key=BOX, bind="query-params")
    if not box.open:
        return
    with box:
        names = [e.name for e in found]
        first = address.read_one("export", names, names[0], "candidate")
        left, right = st.columns([2, 5], gap="large")
        key = f"export_candidate {len(names)} {names[0]}"
        name = left.selectbox("Candidate", names, names.index(first), key=key)
        address.write("export", name, names[0])
        target = trainer(space, left, "export_trainer", TARGETS[FIRST].title) or FIRST
        _shown(next(e.schedule for e in found if e.name == name), target, "export", left, right)


def opened(space: Workspace, name: str, schedule: Schedule) -> None:
    """The export of one schedule before everything else, as the menu of a candidate's row asks for it."""

    @st.dialog(f"Export {literal(name)}", width="large", on_dismiss="rerun")
    def show() -> None:
        left, right = st.columns([2, 5], gap="large")
        target = trainer(space, left, "dialog_trainer", TARGETS[FIRST].title) or FIRST
        _shown(schedule, target, "dialog", left, right)

    show()


def panel(schedule: Schedule) -> None:
    """One schedule: choose a trainer; its text, how far that is off, a download."""
    left, right = st.columns([2, 5], gap="large")
    with left:
        target = address.bound_widget(
            st.selectbox, "Trainer", list(TARGETS), format_func=lambda t: TARGETS[t].title, key="schedule_target"
        )
    _shown(schedule, target, "schedule", left, right)


def trainer(space: Workspace, place: DeltaGenerator, key: str, unchosen: str = "not chosen") -> str | None:
    """The trainer of the big run, a key of `TARGETS`, which every field on the Decide page shows; None: not chosen.

    unchosen: what the field says then.
    """
    titles = {target.title: name for name, target in TARGETS.items()}
    if asked := address.read_one(IN_ADDRESS, titles, "", "trainer"):
        space.trainer = titles[asked]
    now = space.trainer if space.trainer in TARGETS else None
    place.selectbox(
        "Trainer",
        list(TARGETS),
        None if now is None else list(TARGETS).index(now),
        format_func=lambda target: TARGETS[target].title,
        key=f"{key} {now}",  # a fresh field once another one has changed it
        placeholder=unchosen,
        help="The trainer of the big run: the best schedule is offered in its format.",
        on_change=_train_with,
        args=(space, f"{key} {now}"),
    )
    address.write(IN_ADDRESS, None if now is None else TARGETS[now].title)
    return now


def _train_with(space: Workspace, key: str) -> None:
    space.trainer = state().get(key)


def winner(space: Workspace, best: Entry) -> None:
    """The best candidate in the words of the chosen trainer, one click away; nothing until one is chosen."""
    target = space.trainer
    if target not in TARGETS:
        return
    if needs_sequence(best.schedule, target):
        title = literal(TARGETS[target].title)
        st.caption(f"{title} counts the batch in sequences: the export below asks how many tokens one has.")
        return
    try:
        made = _made(best.schedule, target)
    except OptLawsError as fault:
        st.caption(literal(str(fault)))
        return
    _download(st, made, best.schedule, target, f"{best.name} for {TARGETS[target].title}", "export_winner")
    if made.remarks:
        st.caption(literal(made.remarks[0]))


def _shown(schedule: Schedule, target: str, key: str, left: DeltaGenerator, right: DeltaGenerator) -> None:
    """The schedule for one trainer, `right`; what the trainer can express and the download, `left`."""
    known = TARGETS[target]
    left.caption(f"Expresses {literal(known.native)}. [How it is read]({known.source})")
    sequence = None
    if needs_sequence(schedule, target):
        sequence = left.number_input(
            "Tokens in a sequence",
            1,
            LONGEST_SEQUENCE,
            4096,
            key=f"{key}_sequence",
            help=f"{literal(known.title)} counts the batch of this plan in sequences.",
        )
    with right:
        try:
            made = _made(schedule, target, sequence)
        except OptLawsError as fault:
            st.error(literal(str(fault)), icon=":material/error:")
            return
        if made.remarks:  # the first of them says how far it is off
            st.warning("  \n".join(map(literal, made.notes)), icon=":material/difference:")
        elif unsaid := [note for note in made.notes if not _says(made.text, note)]:
            st.caption("  \n".join(map(literal, unsaid)))
        st.code(made.text[:MOST_SHOWN], language=SHOWN.get(made.suffix), height=320)
        if len(made.text) > MOST_SHOWN:
            st.caption(f"The first {MOST_SHOWN:,} of {len(made.text):,} characters; the download has all of them.")
    _download(left, made, schedule, target, "Download", f"{key}_download")


def _says(text: str, note: str) -> bool:
    """Whether an export has a note among its comments, which are broken into lines."""
    return note in " ".join(text.replace("#", " ").split())


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
def _made(schedule: Schedule, target: str, sequence: int | None = None) -> Export:
    return export(schedule, target, sequence=sequence)

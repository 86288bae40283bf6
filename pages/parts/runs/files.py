"""Widgets of the Runs page for files: upload, what was read of each, corrections of columns and units."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from optlaws_core import OptLawsError
from optlaws_core.readers import (
    FORMATS,
    LOSS_UNITS,
    MOST_BYTES,
    MOST_FILES,
    X_UNITS,
    FileReport,
    Format,
    Layout,
    Note,
    Reading,
    Source,
)
from optlaws_core.readers.files import logs_among, unpacked
from optlaws_core.readers.rates import asks
from optlaws_core.text import counted, format_amount, listed, parse_amount

from ..server import limits
from ..state import keeping
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from . import elsewhere

MOST_SHOWN = 5  # errors shown one by one; the table has them all
MOST_MB = min(500, MOST_BYTES // 2**20)  # the uploader would show 512 MB as "1GB"
_BY_NAME = sorted(FORMATS, key=lambda format: format.name.casefold())
KINDS = ", ".join(format.name for format in _BY_NAME)
ROW_NUMBER, NO_COLUMN = "(the row number)", "(none)"


def upload(space: Workspace, told: bool = True) -> None:
    """The ways to hand over logs and, where it is to be `told` here, what came of the last ones."""
    files, folder, *address = st.tabs(["Files", "Folder", *(["Address"] if elsewhere.allowed() else [])], key="upload")
    with files:
        _uploader(
            "Training logs",
            f"files-{space.revision}",
            space,
            True,
            f"{KINDS}. Up to {MOST_FILES} files of {MOST_MB} MB. A manifest is a table with the columns run, file "
            "and what logs lack: schedule, params, batch_tokens, warmup_steps, total_steps.",
        )
    with folder:
        _uploader(
            "A folder of logs",
            f"folder-{space.revision}",
            space,
            "directory",
            f"Every log in the folder and its folders: {KINDS}. Other files are ignored once they are here: choose a "
            "folder without checkpoints.",
        )
    for tab in address:
        with tab:
            elsewhere.field(space, _read)
    if said := keeping.limits():
        st.caption(f"{said} Delete them on the Shared page.")
    if not space.uploaded:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption("Console output of trainers, files of trackers, tables, and archives of these.")
            with st.popover("Formats", icon=":material/list:"):
                st.markdown("\n".join(f"- {literal(_known_by(format))}" for format in _BY_NAME))
    if told:
        for note in space.news:
            if note.level != "refused":
                _tell(note)


def refusals(space: Workspace) -> None:
    """Why files of the last reading gave nothing, until they are hidden."""
    refused = [note for note in space.news if note.level == "refused"]
    for note in refused:
        _tell(note)
    if refused:
        st.button("Hide", type="tertiary", icon=":material/close:", key="hide_refused", on_click=_hide, args=(space,))


def _hide(space: Workspace) -> None:
    space.news = [note for note in space.news if note.level != "refused"]


def _known_by(format: Format) -> str:
    """A format's name, and the ends of file names by which a folder's logs are known."""
    return f"{format.name} ({', '.join(format.suffixes)})" if format.suffixes else format.name


def _uploader(label: str, key: str, space: Workspace, multiple: bool | str, meaning: str) -> None:
    st.file_uploader(
        label,
        accept_multiple_files=multiple,
        max_upload_size=MOST_MB,
        key=key,
        help=meaning,
        on_change=_take,
        args=(space, key, multiple == "directory"),
    )


def _take(space: Workspace, key: str, folder: bool) -> None:
    """Read uploads once; the uploaders start afresh, so nothing is read again with the next click.

    As a callback, and from the widget's state: what a widget returns is a deep copy, which doubles the upload. No
    Streamlit call in here, since a click during the reading would stop the script at it. A click just after the
    reading may name the same files once more; they are gone by then and have no content.
    """
    files = [file for file in state()[key] if hasattr(file, "getvalue")]
    if not files:
        return
    given, unpacking = unpacked([Source(file.name, file.getvalue()) for file in files])
    logs, others = logs_among(given) if folder else (given, [])
    _read(space, logs, len(others), unpacking)
    context = st.runtime.scriptrunner.get_script_run_ctx()
    if refused := limits.refusals(context.session_id):
        space.news = (*space.news, Note("refused", refused))
    for file in files:  # Streamlit would keep them until the visitor leaves; what is needed is in the workspace
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def _read(space: Workspace, logs: Sequence[Source], ignored: int = 0, unpacking: Iterable[Note] = ()) -> None:
    """Read logs into the workspace, and say what came of it; `ignored` files beside them are no logs."""
    known = {name for name, report in space.reports.items() if report.runs}
    revision = space.revision + 1
    try:
        if not logs:
            raise OptLawsError(f"The folder holds no logs, only {counted(ignored, 'file')} of other kinds.")
        reading = space.upload(logs)
        replaced = known & {report.file for report in reading.files if report.runs}
        space.news = (*summary(reading, len(replaced), ignored), *unpacking, *reading.notes)
    except OptLawsError as error:
        space.news = (Note("refused", str(error)),)
    space.revision = revision


def summary(reading: Reading, replaced: int = 0, ignored: int = 0) -> list[Note]:
    """Sentences about a reading: what came of it, and why files gave nothing."""
    read = sum(1 for report in reading.files if not report.error)
    notes = []
    alone = [report for report in reading.files if report.absent and not reading.runs]
    if read > len(alone):
        text = f"Read {counted(len(reading.runs), 'run')} from {counted(read, 'file')}."
        text += f" They replace {counted(replaced, 'file')} of the same name." if replaced else ""
        text += f" {counted(ignored, 'file')} of other kinds ignored." if ignored else ""
        notes.append(Note("info", text))
    notes += [Note("refused", _alone(report)) for report in alone]
    refused = [report for report in reading.files if report.error and not (report.is_table or report.questions)]
    notes += [Note("refused", _refusal(report)) for report in refused[:MOST_SHOWN]]
    if len(refused) > MOST_SHOWN:
        notes.append(Note("refused", f"{len(refused) - MOST_SHOWN:,} more files were refused; see the table of files."))
    return notes


def _alone(report: FileReport) -> str:
    """Why a manifest gave no run: its logs were not given with it."""
    return (
        f"{report.file} is a manifest, which holds no losses: add the {counted(len(report.absent), 'log')} that it "
        f"names ({listed(report.absent, 3)}) together with it."
    )


def _refusal(report: FileReport) -> str:
    """Why a file gave nothing, and the way out where there is one."""
    return (
        f"{report.error} Say which column is which on the Runs page, under Files."
        if _correctable(report)
        else report.error
    )


def _correctable(report: FileReport) -> bool:
    """Whether a refused file was a table, so that other columns or units may make it readable."""
    return bool(report.error and report.columns)


def _tell(note: Note) -> None:
    if note.level == "refused":
        st.error(literal(note.text), icon=":material/error:")
    elif note.level == "repaired":
        st.warning(literal(note.text))
    else:
        st.success(literal(note.text))


def files(space: Workspace) -> None:
    """What was read of each file, and a form to correct it."""
    st.subheader("Files", anchor=False)
    reports = list(space.reports.values())
    showing.table(
        pd.DataFrame([_file_row(report) for report in reports]),
        "runs-files",
        hide_index=True,
        placeholder="",
        rows=8,
        column_config={
            "File": st.column_config.TextColumn(width="medium"),
            "Format": st.column_config.TextColumn(width="small"),
            "Runs": st.column_config.NumberColumn(width=50),
            "Points": st.column_config.NumberColumn(width=70, format="localized", help="Losses, all splits together"),
            "LR from": st.column_config.TextColumn(width=80, help="logged, declared or missing"),
            "Notes": st.column_config.TextColumn(width=900, help="What was repaired or refused. Double-click to read"),
        },
    )
    order = sorted(reports, key=lambda report: -_trouble(report))
    unread = any(_correctable(report) for report in reports)
    with st.expander("Notes on one file, and its columns and units", unread, icon=":material/table_edit:"):
        name = st.selectbox("File", [r.file for r in order], key=f"file-{space.revision}")
        if name is not None:
            _details(space, space.reports[name])


def _file_row(report: FileReport) -> dict:
    sources = dict.fromkeys(run.lr_source for run in report.runs)
    notes = [_note_text(note, report) for note in _ordered(report)]
    return {
        "File": report.file.replace("\\", "/").rsplit("/", 1)[-1] if report.file.startswith("/") else report.file,
        "Format": report.format,
        "Runs": len(report.runs) or None,
        "Points": sum(len(series) for run in report.runs for series in run.series.values()) or None,
        "LR from": ", ".join(sources),
        "Notes": f"Refused: {report.error.removeprefix(f'{report.file}: ')}" if report.error else "  ".join(notes),
    }


def _details(space: Workspace, report: FileReport) -> None:
    """All notes on one file; the form, where the file is still at hand."""
    if report.error:
        st.error(literal(report.error), icon=":material/error:")
    for note in _ordered(report):
        st.text(_note_text(note, report))
    if report.layout is None:
        return
    if report.file not in space.sources:
        what = "The columns of the example runs are known." if space.example else "Upload it again to correct it."
        st.caption(what)
        return
    layout = _layout_form(space, report)
    if layout is None:
        return
    with st.spinner("Reading…"):
        reading = space.correct({report.file: layout})
    space.news = tuple(summary(reading))
    space.revision += 1
    st.rerun()


def _layout_form(space: Workspace, report: FileReport) -> Layout | None:
    """Which column is what, filled with what was found; a layout when it is sent and makes sense."""
    found = report.layout
    columns = list(dict.fromkeys((*report.columns, *found.columns)))
    with st.form(f"layout-{space.revision}-{report.file}"):
        one, two, three = st.columns(3)
        with one:
            x = _column("X axis", columns, found.x, ROW_NUMBER, "The column that counts the progress of training")
            unit = st.selectbox("It counts", X_UNITS, X_UNITS.index(found.x_unit), help="step: one for each update")
            batch = st.text_input(
                "Per update",
                "" if found.batch is None else format_amount(found.batch),
                placeholder="not needed for steps",
                help="What one update adds to the x axis: the batch size for tokens and samples, the number of "
                "micro-batches, 0.02 where a log call stands for 50 updates. Not needed for steps",
            ).strip()
        with two:
            losses = st.multiselect("Losses", columns, [column for _, column in found.losses])
            names = st.text_input(
                "Name of each loss (train, val, …)",
                ", ".join(split for split, _ in found.losses),
                help="One name for each loss column, with commas between: train, or the name of an evaluation set",
            )
            loss_unit = st.selectbox(
                "Loss unit",
                LOSS_UNITS,
                LOSS_UNITS.index(found.loss_unit),
                help="nats: natural logarithm, as PyTorch's cross entropy gives; bits: base 2; perplexity: exp of nats",
            )
        with three:
            rate = _column("Learning rate", columns, found.lr, NO_COLUMN, "The column with the logged learning rate")
            run = _column("Run", columns, found.run, NO_COLUMN, "Names each run, where one file has several")
            tokens = _column("Tokens", columns, found.tokens, NO_COLUMN, "Tokens seen beside steps: for the batch size")
        sent = st.form_submit_button(
            "Read again",
            on_click=forget_news,
            args=(space,),
            help="Replaces this file's runs and what was declared for them.",
        )
    if not sent:
        return None
    try:
        size = parse_amount(batch, "The batch size", examples="512 or 0.5M") if batch else None
        settled = replace(found, x=x, x_unit=unit, losses=_pairs(names, losses), lr=rate, run=run, tokens=tokens)
        return replace(settled, loss_unit=loss_unit, batch=size, answered=(*found.answered, "x"))
    except OptLawsError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None


def _column(label: str, columns: list[str], found: str | None, nothing: str, meaning: str) -> str | None:
    options = [nothing, *columns]
    chosen = st.selectbox(label, options, options.index(found) if found in columns else 0, help=meaning)
    return None if chosen == nothing else chosen


def _pairs(names: str, columns: list[str]) -> tuple[tuple[str, str], ...]:
    """(split, column), …"""
    said = [name.strip() for name in names.split(",") if name.strip()]
    if not said:
        said = ["train"] if len(columns) == 1 else columns
    if not columns:
        raise OptLawsError("Choose at least one loss column.")
    if len(said) != len(columns) or len(set(said)) != len(said):
        raise OptLawsError(
            f"Every loss column needs a name of its own, got {counted(len(columns), 'column')} and "
            f"{counted(len(set(said)), 'name')}."
        )
    return tuple(zip(said, columns, strict=True))


def forget_news(space: Workspace) -> None:
    """At the press of a form: what the last one came to does not stand beside what is wrong with this one."""
    space.news = ()


def _trouble(report: FileReport) -> int:
    """The worse, the higher."""
    if report.error:
        return 4 if _correctable(report) else 3
    return max((("info", "repaired", "refused").index(note.level) for note in _ordered(report)), default=0)


def _ordered(report: FileReport) -> list[Note]:
    """What is still to be said, the worst first: a schedule that was declared since is not asked for any more."""
    declared = {run.name for run in report.runs if run.lr_source == "declared"}
    notes = [note for note in report.notes if note.run not in declared or not asks(note)]
    return sorted(notes, key=lambda note: ("refused", "repaired", "info").index(note.level))


def _note_text(note: Note, report: FileReport) -> str:
    """A note as a sentence; the run is named where the file has several, the level where something was changed."""
    level = "" if note.level == "info" else f"{note.level.capitalize()}: "
    return f"{level}{note.run + ': ' if note.run and len(report.runs) > 1 else ''}{note.text}"

"""The candidates on the Decide page: a table to edit, a form drawn from a family's fields, a curve to paste, the link.

The list in the workspace is the truth, the editor shows it. Each edit is applied to the list as it comes in; the editor
has a fixed number of rows, so that its identity, and with it the cursor, survives new values. The browser drops an edit
once the data say the same. While they do not, the edit covers the data, so an editor with an edit that was not taken
over letter by letter (a text that was tidied, say) gives way to a fresh one under a new key.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from types import MappingProxyType

import pandas as pd
import streamlit as st

from optlaws_core import SCHEDULES, OptLawsError, Schedule
from optlaws_core.figures import chart_style
from optlaws_core.fitting.result import Model
from optlaws_core.readers.pasted import MOST_BYTES, read_curve
from optlaws_core.schedules import COOLDOWNS, like_tokens, parts
from optlaws_core.text import format_number

from ..state import address, session, undo
from ..state import candidates as c
from ..state.workspace import Workspace
from ..widgets import fields as entering
from ..widgets import showing
from ..widgets.markdown import literal
from . import beside

EDIT, DUPLICATE, EXPORT, REMOVE = "Edit as a form", "Duplicate", "Export to a trainer", "Remove"
TOKENS = "Same tokens as the baseline"  # in the menu where a candidate schedules its batch
BASELINE = "compare_baseline"  # in the session: what is compared with, and the tokens in an update of the training runs
LINK = "s"  # query parameter
DOT = "dot"  # column of the candidates' colours
WANTED = "export_wanted"  # in the session: the place of the candidate whose export is to be opened
NAME, TEXT = "Name", "Text form"
NARROWEST, WIDEST = 420, 1200  # pixels of the column of texts
MEANINGS = {f.name: f.metadata["meaning"] for family in SCHEDULES.values() for f in fields(family)}


def prepare(space: Workspace, fit: Model | None) -> None:
    """Bring the list up to date: the link when the page is opened, edits, defaults while there is nothing else."""
    _take_edits(space)
    asked = address.read(LINK, c.MOST, c.MOST_LINK) or ()
    if asked and list(asked) != c.to_link(space.candidates):  # what this list says of itself may lack its end
        space.candidates = c.from_link(asked)
    undo.look(space)
    untouched = space.candidates == space.proposed if space.candidates else not emptied(space)
    if untouched and fit is not None:
        space.candidates = _defaults(space, fit)
        space.history.settle(space.candidates)
        if space.candidates != space.proposed:
            space.proposed = list(space.candidates)
            _renew()
    space.candidates = c.named(c.coloured(space.candidates))


def emptied(space: Workspace) -> bool:
    """Whether there were candidates, and the last of them was removed."""
    return not space.candidates and bool(space.history.past)


def replace_all(space: Workspace, rows: list[c.Candidate]) -> None:
    """Put other candidates in the place of those there are; defaults that nobody has changed stay defaults."""
    _take_edits(space)
    if space.candidates and space.candidates == space.proposed:
        space.proposed = list(rows)
    space.candidates = list(rows)
    _renew()


def _defaults(space: Workspace, fit: Model) -> list[c.Candidate]:
    run = space.big_run
    if run is not None:
        usual = c.defaults(run.peak, run.warmup, run.total)
        return usual if run.final is None else [c.ending_at(candidate, run.final) or candidate for candidate in usual]
    plans = [space.runs[n].plan for n in fit.train if n in space.fittable]
    return c.defaults(*c.base_plan(plans, fit.coverage))


def share(space: Workspace) -> None:
    """Put the list into the address of the page."""
    values = c.to_link(space.candidates)
    address.write(LINK, values, [])
    left_out = len(space.candidates) - len(values)
    if left_out:
        last = "one is" if left_out == 1 else f"{left_out} are"
        st.caption(f"An address holds {c.MOST_LINK:,} characters of candidates, so the last {last} not in it.")


# ---------------------------------------------------------------------------------------------------- table


def table(space: Workspace, losses: Mapping[int, float] = MappingProxyType({})) -> None:
    """The editable table, and beneath it a sentence for each row that is no schedule; nothing for an empty list.

    losses: what is predicted after the last update, by the place of a candidate.
    """
    if not space.candidates:
        return
    key = _key()
    shown = frame(space.candidates, losses)
    st.data_editor(
        showing.dotted(shown, DOT, [chart_style.color(x.color or 0) for x in space.candidates]),
        key=key,
        num_rows="fixed",
        hide_index=True,
        width="stretch",
        placeholder="",
        column_config=_columns(key, showing.name_width(shown["label"]), _text_width(shown["text"])),
    )
    wrong = [(name, x.problem) for name, x in zip(shown["label"], space.candidates, strict=True) if x.problem]
    if wrong:
        with st.container(border=True):
            st.markdown(":material/error: These rows are no schedules yet, and are left out of the comparison.")
            for name, problem in wrong:
                st.text(f"“{name}”: {problem}")


def _text_width(texts: Sequence[str]) -> int:
    return showing.width(texts, NARROWEST, WIDEST)


def frame(rows: list[c.Candidate], losses: Mapping[int, float] = MappingProxyType({})) -> pd.DataFrame:
    """Candidates as the editor shows them; columns keep their types whatever the rows hold."""
    data = {
        "label": pd.Series(c.names(rows), dtype="object"),
        DOT: pd.Series(["●"] * len(rows), dtype="object"),
        "action": pd.Series([_menu(rows)] * len(rows), dtype="object"),
        "on": pd.Series([x.on for x in rows], dtype="bool"),
        "loss": pd.Series([losses.get(place) for place in range(len(rows))], dtype="Float64"),
        "state": pd.Series(["see below" if x.problem else "ok" for x in rows], dtype="object"),
        "family": pd.Series([x.family for x in rows], dtype="object"),
    }
    for name in c.SCALARS:
        data[name] = pd.Series([_cell(x, name) for x in rows], dtype="object")
    data["text"] = pd.Series([x.text for x in rows], dtype="object")
    return pd.DataFrame(data)


def _menu(rows: Sequence[c.Candidate]) -> list[str]:
    """What the menu of a row offers."""
    batched = any(x.schedule is not None and parts(x.schedule)[1] is not None for x in rows)
    return [EDIT, DUPLICATE, *([TOKENS] if batched else []), EXPORT, REMOVE]


def against(baseline: Schedule, batch_tokens: float | None) -> None:
    """Remember what candidates are compared with, for the menu of a row."""
    session.state()[BASELINE] = baseline, batch_tokens


def _with_its_tokens(candidate: c.Candidate) -> c.Candidate:
    """The candidate over as many updates as read what the baseline reads; unchanged, with a sentence, if that fails."""
    known = session.state().get(BASELINE)
    if candidate.schedule is None or known is None:
        return candidate
    try:
        return c.with_text(candidate, like_tokens(candidate.schedule, *known).text)
    except OptLawsError as fault:
        st.toast(literal(str(fault)), icon=":material/error:")
        return candidate


def _cell(candidate: c.Candidate, name: str) -> str | None:
    """What the cell of a field shows: text, since a cell for numbers reads 2e3 as 23; a word that is no number, too."""
    value = c.value_of(candidate, name)
    if isinstance(value, float):
        return format_number(value) if name in ("peak", "final") else f"{value:.16g}"
    return c.loose(candidate.text)[1].get(name) if value is None else value


def _columns(key: str, names: int, texts: int) -> dict:
    """How the columns are shown; `names`, `texts`: pixels of theirs."""
    text, choose = st.column_config.TextColumn, st.column_config.SelectboxColumn
    rate, count = ({"alignment": "right", "width": width} for width in (95, 100))
    menu = f"{key}_action"
    return {
        "label": text(
            NAME,
            help="In charts and tables. If it is empty, the family and what tells it from others is shown.",
            max_chars=c.LONGEST_LABEL,
            width=names,
        ),  # not pinned: Streamlit fades what is pinned to 4.2:1
        DOT: text("Key", disabled=True, width=40, help="The colour of the curve in the chart."),
        "action": st.column_config.ButtonColumn(
            "",
            type="tertiary",
            width=45,
            help="Edit as a form, duplicate, export, remove; the tokens of the baseline, where a batch is scheduled.",
            on_click=_act,
            args=(menu,),
            key=menu,
        ),
        "on": st.column_config.CheckboxColumn("Use", help="Whether it is compared.", width=65),
        "loss": st.column_config.NumberColumn(
            "Loss", format="%.4f", disabled=True, width=72, help="Predicted, after the last update, of those in use."
        ),
        "family": choose("Family", options=list(SCHEDULES), required=True, help=_families(), width=105),
        "peak": text("Peak LR", help=MEANINGS["peak"], **rate),
        "warmup": text("Warm-up", help=f"{MEANINGS['warmup']}.", **count),
        "total": text("Total", help=f"{MEANINGS['total']}.", **count),
        "decay": text("Decay", help=_of("decay"), **count),
        "final": text("Final LR", help=_of("final"), **rate),
        "shape": choose("Shape", options=list(COOLDOWNS), help=_of("shape"), width=95),
        "text": text(
            TEXT, help="Also what the command line and links use. Editing it changes the fields.", width=texts
        ),
        "state": text(
            "Check", disabled=True, width=80, help="Whether the row is a schedule; if not, the reason is given below."
        ),
    }


def _families() -> str:
    return "; ".join(f"{name}: {cls.summary.rstrip('.')}" for name, cls in SCHEDULES.items())


def _of(field: str) -> str:
    """Which families have a field, for its column's help: those it is for, or, if fewer, those it is not for."""
    having = [name for name, cls in SCHEDULES.items() if field in {f.name for f in fields(cls)}]
    others = [name for name in SCHEDULES if name not in having]
    said = f"Not for {', '.join(others)}" if len(others) < len(having) else ", ".join(having)
    return f"{said}: {MEANINGS[field]}."


def apply(candidate: c.Candidate, column: str, value) -> c.Candidate:
    """The candidate after one cell was edited."""
    match column:
        case "on":
            return replace(candidate, on=bool(value))
        case "label":
            return c.with_label(candidate, value or "")
        case "family":
            return c.with_family(candidate, value) if value in SCHEDULES else candidate
        case "text":
            return c.with_text(candidate, value or "")
    return c.with_field(candidate, column, entering.plain(str(value)) if value else None)


def _key() -> str:
    return f"candidates_{session.state().setdefault('compare_version', 0)}"


def _take_edits(space: Workspace) -> None:
    """Apply what is new among the editor's edits, which accumulate until the browser drops them."""
    memory, key = session.state(), _key()
    if key not in memory:
        return
    edits = {(int(row), col): v for row, cells in memory[key]["edited_rows"].items() for col, v in cells.items()}
    seen = memory.get("compare_seen", {}).get(key, {})
    for (row, column), value in edits.items():
        if seen.get((row, column), MISSING) != value and row < len(space.candidates):
            space.candidates[row] = apply(space.candidates[row], column, value)
    memory["compare_seen"] = {key: edits}
    shown = frame(space.candidates)
    if any(not _same(shown.at[row, column], v) for (row, column), v in edits.items() if row < len(shown)):
        _renew()


def _same(shown, edited) -> bool:
    """Whether a cell shows what was edited into it."""
    empty = [x is None or x == "" or (isinstance(x, float) and x != x) for x in (shown, edited)]
    return all(empty) or (not any(empty) and shown == edited)


def _renew() -> None:
    """Have the next run draw a fresh editor."""
    memory = session.state()
    memory["compare_version"] = memory.get("compare_version", 0) + 1


def _act(key: str) -> None:
    """A row's menu."""
    space = session.workspace()
    _take_edits(space)  # a cell that was left by this very click; rows still have their places
    click, rows = session.state().get(key), space.candidates
    if not click or click["row"] >= len(rows):
        return
    row = click["row"]
    label = click["label"]
    if label == EDIT:
        return _open("form", row)
    if label == EXPORT:
        session.state()[WANTED] = row
        return None
    if label == DUPLICATE and len(rows) < c.MOST:
        rows.insert(row + 1, c.copied(rows[row]))
    elif label == TOKENS:
        rows[row] = _with_its_tokens(rows[row])
    elif label == REMOVE:
        del rows[row]
    _renew()


# ---------------------------------------------------------------------------------------------------- adding


def buttons(space: Workspace, fit: Model) -> None:
    """Add by form or by curve, start over."""
    full = len(space.candidates) >= c.MOST
    with st.container(horizontal=True):
        st.button("Add a schedule", icon=":material/add:", on_click=_open, args=("form",), disabled=full)
        st.button("Paste or upload a curve", icon=":material/timeline:", on_click=_open, args=("curve",), disabled=full)
        for label, icon, steps, turn in (
            ("Undo", ":material/undo:", space.history.past, space.history.undo),
            ("Redo", ":material/redo:", space.history.future, space.history.redo),
        ):
            st.button(
                label,
                icon=icon,
                on_click=_turn,
                args=(space, turn),
                disabled=not steps,
                type="tertiary",
                key=f"candidates_{label.lower()}",
                help=f"{label} the last change of the candidates.",
            )
        usual(space, fit, "Start over", "candidates_usual")
    if full:
        st.caption(f"A comparison holds at most {c.MOST} candidates.")
    panel = session.state().get("compare_panel")
    if panel:
        with st.container(border=True):
            (_form if panel["kind"] == "form" else _curve)(space, panel)


def usual(space: Workspace, fit: Model, label: str, key: str) -> None:
    """A button that brings the usual candidates, in place of those there are."""
    st.button(
        label,
        icon=":material/restart_alt:",
        on_click=_start_over,
        args=(space, fit),
        type="tertiary",
        key=key,
        help="Six common schedules with the length, peak, warm-up and final rate of your big run.",
    )


def add(space: Workspace, new: list[c.Candidate]) -> None:
    """Put further candidates behind those there are, as far as there is room."""
    _take_edits(space)
    space.candidates = [*space.candidates, *new][: c.MOST]
    _renew()


def _turn(space: Workspace, turn: Callable[[], list[c.Candidate]]) -> None:
    """Undo or redo; an edit that came with the click is a step of its own."""
    _take_edits(space)
    undo.look(space)
    space.candidates = turn()
    _close()  # a form speaks of a row that may be another one now
    _renew()


def _start_over(space: Workspace, fit: Model) -> None:
    _take_edits(space)
    space.candidates = _defaults(space, fit)
    space.proposed = list(space.candidates)
    _renew()


def _open(kind: str, row: int | None = None) -> None:
    memory = session.state()
    # Widgets of each opening have keys of their own, so that a new one does not start with what was typed before.
    opening = memory["compare_opening"] = memory.get("compare_opening", 0) + 1
    memory["compare_panel"] = {"kind": kind, "row": row, "key": f"panel_{opening}", "fault": ""}


def _close() -> None:
    session.state().pop("compare_panel", None)


def _form(space: Workspace, panel: dict) -> None:
    """A schedule field by field, as its family declares them."""
    row = panel["row"] if panel["row"] is not None and panel["row"] < len(space.candidates) else None
    template = space.candidates[row] if row is not None else _template(space)
    known = list(SCHEDULES)
    left, right = st.columns([1, 2], gap="medium")
    with left:
        family = st.selectbox(
            f"Family of row {row + 1}" if row is not None else "Family of the new schedule",
            known,
            index=known.index(template.family or "cosine"),
            key=f"{panel['key']}_family",
        )
        st.caption(SCHEDULES[family].summary)
    with right:
        st.latex(SCHEDULES[family].formula)
    if family != template.family:
        template = c.with_family(template, family)
    beside.ask(template.text, panel["key"])
    with st.form(f"{panel['key']}_{family}", border=False):
        columns = st.columns(3)
        keys = {}
        for i, f in enumerate(fields(SCHEDULES[family])):
            keys[f.name] = f"{panel['key']}_{family}_{f.name}"
            with columns[i % 3]:
                entering.field(f, getattr(template.rate, f.name, None), keys[f.name])
        label = f"{panel['key']}_label"
        with columns[len(keys) % 3]:
            st.text_input("Label", template.label if row is not None else "", max_chars=c.LONGEST_LABEL, key=label)
        if panel["fault"]:
            st.text(panel["fault"])
        with st.container(horizontal=True):
            st.form_submit_button(
                "Change the row" if row is not None else "Add it",
                type="primary",
                on_click=_save_form,
                args=(family, keys, label),
            )
            st.form_submit_button("Cancel", on_click=_close)


def _template(space: Workspace) -> c.Candidate:
    first = next((x.rate.text for x in space.candidates if x.rate is not None), "cosine(peak=1e-3, total=1000)")
    return c.with_family(c.Candidate(first), "cosine")


def _save_form(family: str, keys: dict[str, str], label: str) -> None:
    memory, space = session.state(), session.workspace()
    _take_edits(space)
    rows = space.candidates
    panel = memory["compare_panel"]
    values = {f.name: entering.word(f, memory.get(keys[f.name])) for f in fields(SCHEDULES[family])}
    text = c.from_fields(family, values, beside.typed(panel["key"]))
    made = c.with_label(c.Candidate(text), memory.get(label) or "")
    if made.problem:
        panel["fault"] = made.problem
        return
    row = panel["row"]
    if row is not None and row < len(rows):
        rows[row] = c.with_label(c.with_text(rows[row], made.text), made.label)
    else:
        rows.append(made)
    _close()
    _renew()


def _curve(space: Workspace, panel: dict) -> None:
    """Two columns, step and learning rate, pasted or from a file."""
    key = panel["key"]
    st.markdown("Two columns, step and learning rate: comma, tab or space between. A step that occurs twice is a jump.")
    left, right = st.columns(2, gap="medium")
    text = left.text_area("Pasted", height=160, key=f"{key}_text", placeholder="0 0\n500 3e-4\n8000 3e-4\n10000 0")
    file = right.file_uploader(
        "or a file", type=["csv", "tsv", "txt"], key=f"{key}_file", max_upload_size=MOST_BYTES // 2**20
    )
    label = right.text_input("Label", max_chars=c.LONGEST_LABEL, key=f"{key}_label")
    found = None
    if file is not None or text.strip():
        try:
            found = read_curve(file.getvalue() if file is not None else text)
            st.text(found.sentence)
        except OptLawsError as fault:
            st.text(f"{file.name}: {fault}" if file is not None else str(fault))
    with st.container(horizontal=True):
        st.button(
            "Add it",
            type="primary",
            disabled=found is None,
            key=f"{key}_add",
            on_click=_save_curve,
            args=(space, found.schedule.text if found else "", label),
        )
        st.button("Cancel", key=f"{key}_cancel", on_click=_close)


def _save_curve(space: Workspace, text: str, label: str) -> None:
    _take_edits(space)
    space.candidates.append(c.with_label(c.Candidate(text), label))
    _close()
    _renew()

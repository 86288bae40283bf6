"""A table that a visitor uploads: the file, which of its columns is which, and whether unlikely units are right."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pandas as pd
import streamlit as st

from optlaws_core.errors import LogError, UnlikelyUnit

from ..widgets.markdown import literal
from .session import state
from .table_file import TableFile

MOST_MB = 20
NOTHING = "–"  # offered as a column, for what the table lacks

T = TypeVar("T")


def upload(holder: object, name: str, label: str, key: str, meaning: str) -> bool:
    """The uploader of the table that `holder` has as its attribute `name`; whether the widget names it.

    A table that another one took the place of can be had back. Raises `LogError` for more than `MOST_MB` MB, which a
    browser may send in spite of the widget.
    """
    version = state().get(f"{key}_version", 0)  # a fresh widget names no file
    file = st.file_uploader(label, type=["csv"], max_upload_size=MOST_MB, key=f"{key} {version}", help=meaning)
    held: TableFile | None = getattr(holder, name)
    if file is not None and (held is None or held.content != file.getvalue()):
        if file.size > MOST_MB * 2**20:
            size = file.size / 2**20
            raise LogError(f"{file.name}: a table may have {MOST_MB} MB, this one has {size:.0f}.", file.name)
        held = TableFile(file.name, file.getvalue()).over(held)
        setattr(holder, name, held)
    if held is not None and held.before is not None:
        st.button(
            f"Back to {literal(held.before.name)}",
            icon=":material/undo:",
            type="tertiary",
            key=f"{key}_back",
            on_click=_back,
            args=(holder, name, f"{key}_version"),
        )
    return file is not None


def _back(holder: object, name: str, key: str) -> None:
    """The table before in the place of the one that is held, which can be had back in turn."""
    held: TableFile = getattr(holder, name)
    state()[key] = state().get(key, 0) + 1
    if held.before is not None:
        setattr(holder, name, held.before.over(held))


def example(content: str | Callable[[], str], name: str, meaning: str) -> None:
    """A button that downloads an example of such a table."""
    st.download_button(
        "Example", data=content, file_name=name, mime="text/csv", icon=":material/download:", help=meaning
    )


def choose_columns(
    table: TableFile,
    frame: pd.DataFrame,
    known: Mapping[str, str],
    meanings: Mapping[str, str],
    lacking: Callable[[Mapping[str, str]], Sequence[str]],
    key: str,
    in_a_row: int,
) -> dict[str, str]:
    """Which column is which, theirs by ours: `known` names, what was chosen before, and a choice for each.

    `meanings` says what can be chosen, `lacking` what a table still needs; `key` begins the keys of the widgets.
    Raises `LogError` while something is needed.
    """
    found = {**known, **table.columns}
    names, chosen = [NOTHING, *map(str, frame.columns)], {}
    with st.expander("Columns", expanded=bool(lacking(found)), icon=":material/view_column:"):
        for start in range(0, len(meanings), in_a_row):
            for place, ours in zip(st.columns(in_a_row), list(meanings)[start : start + in_a_row], strict=False):
                chosen[ours] = place.selectbox(
                    ours,
                    names,
                    index=names.index(found[ours]) if ours in found else 0,
                    help=meanings[ours],
                    key=f"{key} {ours} {hash(tuple(names))}",
                )
    table.columns = {ours: theirs for ours, theirs in chosen.items() if theirs != NOTHING}
    if needed := lacking(table.columns):
        raise LogError(f"Say which column holds {', '.join(needed)}: the table calls it something else, or lacks it.")
    return table.columns


def unless_unlikely(table: TableFile, read: Callable[[], T], key: str) -> T | None:
    """What `read()` makes of the table; unlikely units ask back first, and None comes until they are said to be right.

    Raises any other `LogError` of `read`.
    """
    try:
        return read()
    except UnlikelyUnit as fault:
        st.warning(literal(str(fault)), icon=":material/help:")
        if st.button("The units are right", icon=":material/check:", key=key):
            table.sure = True
            st.rerun()
        return None

"""A table that a visitor uploads: the file, which of its columns is which, and whether unlikely units are right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pandas as pd
import streamlit as st

from optlaws_core.errors import LogError, UnlikelyUnit
from optlaws_core.readers.frames import read_frame

from .markdown import literal

MOST_MB = 20
NOTHING = "–"  # offered as a column, for what the table lacks

T = TypeVar("T")


@dataclass
class TableFile:
    """An uploaded table of runs."""

    name: str
    content: bytes
    sure: bool = False  # whether the visitor said that unlikely units are right
    columns: dict[str, str] = field(default_factory=dict)  # its names by ours, as they were chosen
    unit: str = ""  # tokens in one unit of its batch column, as typed; empty for 1

    @property
    def frame(self) -> pd.DataFrame:
        """The table as it is. Raises `LogError` for one that cannot be read."""
        return read_frame(self.content, self.name)


def upload(held: TableFile | None, label: str, key: str, meaning: str) -> tuple[TableFile | None, bool]:
    """The uploader: the table that was chosen, or the one that is `held` from before; and whether the widget names it.

    Raises `LogError` for more than `MOST_MB` MB, which a browser may send in spite of the widget.
    """
    file = st.file_uploader(label, type=["csv"], max_upload_size=MOST_MB, key=key, help=meaning)
    if file is None or (held is not None and held.content == file.getvalue()):
        return held, file is not None
    if file.size > MOST_MB * 2**20:
        size = file.size / 2**20
        raise LogError(f"{file.name}: a table may have {MOST_MB} MB, this one has {size:.0f}.", file.name)
    return TableFile(file.name, file.getvalue()), True


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

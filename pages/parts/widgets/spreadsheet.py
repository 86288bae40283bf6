"""Tables as CSV that a spreadsheet opens without evaluating anything. Plain functions; no Streamlit."""

import re

import pandas as pd

CSV = "utf-8-sig"  # without the mark at the start, spreadsheets read another encoding
# What starts a formula, the full-width forms included, or moves to the next cell (OWASP, "CSV Injection"); | is DDE's.
FORMULA = tuple("=+-@|＝＋－＠")
CONTROL = ("\t", "\r", "\n")
# Where semicolons separate cells, as in half of Europe, the quotes around a cell with commas count for nothing.
WITHIN = re.compile(rf"[;\t\r\n][\s\"]*(?=[{re.escape(''.join(FORMULA))}])")


def csv_text(table: pd.DataFrame, index: bool = False) -> str:
    """The table as CSV (RFC 4180): numbers in full; text, also in heads, `inert`; an `index` first."""
    safe = table.reset_index() if index else table.copy()
    safe.columns = [inert(name) for name in safe.columns]
    for i, kind in enumerate(safe.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            safe.isetitem(i, pd.Series([inert(v) for v in safe.iloc[:, i]], safe.index, object))
    return safe.to_csv(index=False, lineterminator="\r\n")


def inert(cell: object) -> object:
    """A cell that no spreadsheet evaluates, however it splits it: an apostrophe before what would start a formula."""
    if not isinstance(cell, str):
        return cell
    starts = cell.startswith(CONTROL) or cell.lstrip().startswith(FORMULA)
    return ("'" if starts else "") + WITHIN.sub(r"\g<0>'", cell)

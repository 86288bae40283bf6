"""The leaderboard: all laws on several sets of public runs, as `python -m benchmarks leaderboard` wrote it down."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from optlaws_core import LAWS

from ..state import address
from ..state.bundled import ROOT
from ..widgets import showing

FILE = ROOT / "data" / "leaderboard.csv"
AVERAGE, FLOOR = "Average of the default laws", "Noise floor"
COLUMNS = ("data_set", "law", "held_out_runs", "noise_floor")  # besides the measures


@dataclass(frozen=True)
class Measure:
    """What laws are compared by."""

    title: str
    meaning: str
    factor: float  # from the file's unit to the one that is shown
    form: str
    ideal: float = 0.0
    floor: bool = False  # whether the noise floor bounds it


MEASURES = {
    "final_error": Measure(
        "final error", "Mean relative error of the last held-out loss, over held-out runs.", 100, "%.2f %%", floor=True
    ),
    "curve_error": Measure(
        "curve error", "Mean relative error at all held-out losses, over held-out runs.", 100, "%.2f %%"
    ),
    "rmse": Measure("RMSE", "Root mean square error of the loss in its own unit, mean over held-out runs.", 1, "%.4f"),
    "coverage": Measure(
        "band coverage", "Share of held-out losses inside the 90 % prediction band: best near 90 %.", 100, "%.0f %%", 90
    ),
    "final_coverage": Measure(
        "coverage at the end", "The same of the last losses alone, where errors are largest.", 100, "%.0f %%", 90
    ),
    "width": Measure(
        "band width",
        "Width of the prediction band over the width that would hold exactly 90 %: best near 1.",
        1,
        "%.2f",
        1,
    ),
    "left_out": Measure(
        "left-out error",
        "Error on training runs that were left out in turn: known without any held-out run.",
        100,
        "%.2f %%",
    ),
    "misfit": Measure("misfit", "Error on the training runs themselves.", 100, "%.2f %%"),
}


def read(path: Path) -> pd.DataFrame | None:
    """The file's rows, one for each data set and law; None where there is no such file, or it is not one of these."""
    try:
        rows = pd.read_csv(path)
    except (OSError, ValueError):
        return None
    if not {*COLUMNS, *MEASURES} <= set(rows.columns) or rows.empty:
        return None
    for name in MEASURES:
        rows[name] = pd.to_numeric(rows[name], errors="coerce")
    return rows


def wide(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Laws down, data sets across, in the unit that is shown; the most accurate on the whole first, the floor last."""
    m = MEASURES[measure]
    table = m.factor * rows.pivot_table(index="law", columns="data_set", values=measure, dropna=False)
    table = table[list(dict.fromkeys(rows["data_set"]))]
    table = table.loc[(table - m.ideal).abs().rank().mean(axis=1).sort_values(kind="stable").index]
    table.index = [_title(law) for law in table.index]
    floors = 100 * rows.groupby("data_set")["noise_floor"].first().reindex(table.columns)
    if m.floor and floors.notna().any():
        table.loc[FLOOR] = floors
    return table.rename_axis("Law").rename_axis(None, axis=1)


def _title(law: str) -> str:
    return LAWS[law].title if law in LAWS else AVERAGE if law == "average" else str(law)


def marked(table: pd.DataFrame, measure: str):
    """The table as text, the best law of each data set in bold with a star."""
    m = MEASURES[measure]
    laws = table.drop(index=FLOOR, errors="ignore")
    best = (laws - m.ideal).abs().min()
    shown = table.copy().astype(object)
    for column in table:
        for law, value in table[column].items():
            star = "★ " if law != FLOOR and abs(value - m.ideal) == best[column] else ""
            shown.at[law, column] = "–" if pd.isna(value) else star + m.form % value
    return shown


def unmeasured(rows: pd.DataFrame) -> str:
    """A sentence on the laws that are newer than the file; empty where there is none."""
    new = [law.title for name, law in LAWS.items() if name not in set(rows["law"])]
    return f"Not yet measured: {', '.join(new)}." if new else ""


def section() -> None:
    """The leaderboard, shut until it is asked for; nothing where there is no file."""
    if not FILE.exists():
        return
    box = st.expander(
        "Leaderboard: these laws on other runs",
        icon=":material/leaderboard:",
        on_change="rerun",
        key="leaderboard",
        bind="query-params",
    )
    if not box.open:
        return
    with box:
        rows = read(FILE)
        if rows is None:
            st.caption("The leaderboard's file cannot be read; `python -m benchmarks leaderboard` writes it anew.")
            return
        measure = address.bound_widget(
            st.segmented_control,
            "Measure",
            list(MEASURES),
            format_func=lambda name: MEASURES[name].title,
            default="final_error",
            required=True,
            key="leaderboard_measure",
            label_visibility="collapsed",
        )
        table = wide(rows, measure)
        runs = rows.groupby("data_set")["held_out_runs"].first()
        showing.table(
            table,
            "fit-leaderboard",
            shown=marked(table, measure),
            width="stretch",
            height="content",
            column_config={
                "Law": st.column_config.TextColumn(width=270, pinned=True),
                **{
                    name: st.column_config.TextColumn(name, help=f"{runs[name]:.0f} held-out runs.", alignment="right")
                    for name in table.columns
                },
            },
        )
        st.caption(
            f"{MEASURES[measure].meaning} ★ marks the best law of each set of runs; laws are ordered by their mean "
            "rank over the sets. Coefficients and weights come from each set's training runs alone, without priors, "
            "which were learned from the same sets. The forms of this project's two laws, the rule for the average "
            "and the width of the bands were chosen with scores on some of these runs in view (docs/lab-notes.md). "
            "Public runs are named by where they come from. Made by `python -m benchmarks leaderboard`. "
            f"{unmeasured(rows)}"
        )

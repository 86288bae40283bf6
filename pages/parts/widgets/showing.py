"""Every chart and every table of the pages, each with a way to take it away: PNG and SVG of a chart, CSV of a table.

Pictures are made in the browser, of what is on the screen; a CSV is written when it is asked for.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from pandas.io.formats.style import Styler

from .spreadsheet import CSV, csv_text

ASSETS = Path(__file__).with_suffix("")
ROW, EDGE = 35, 3  # pixels of a row of a table, its head being one, and of its edges together
LETTER = 7.2  # pixels of one in a table, about
NAMES = 90, 360  # pixels of a column of candidates' names; the longest is read whole
SCALE = 2  # pixels of a PNG for each on the screen


def chart(figure: go.Figure, name: str, *, key: str | None = None, still: bool = False) -> None:
    """Show a figure. `name` says page and content in the names of files, and is the key unless there is another.

    A `still` one is an ornament: it neither moves nor is it taken away.
    """
    key = key or name
    if still:
        config = {"displayModeBar": False, "staticPlot": True}
        st.plotly_chart(figure, width="stretch", key=key, config=config)
        return
    options = {"filename": _file(name), "format": "png", "scale": SCALE}
    with st.container(gap=None):
        st.plotly_chart(
            figure, width="stretch", key=key, config={"displaylogo": False, "toImageButtonOptions": options}
        )
        _pictures()(key=f"{key}_pictures", data={"chart": key})


def table(
    frame: pd.DataFrame, name: str, *, shown: object = None, key: str | None = None, rows: int | None = None, **options
):
    """Show a frame, or what is `shown` in its place, and its CSV in full precision; returns what `st.dataframe` does.

    `name` is as in `chart`; of more than `rows` rows, the rest is scrolled to; `options` are those of `st.dataframe`.
    """
    if rows is not None:
        options["height"] = ROW * min(len(frame) + 1, rows + 1) + EDGE
    index = not options.get("hide_index", False)
    with st.container(gap=None):
        heard = st.dataframe(frame if shown is None else shown, key=key, **options)
        with st.container(horizontal=True, horizontal_alignment="right", width=options.get("width", "stretch")):
            st.download_button(
                ":gray[:small[CSV]]",
                lambda: csv_text(frame, index).encode(CSV),
                f"{_file(name)}.csv",
                "text/csv",
                type="tertiary",
                key=f"{key or name}_csv",
                on_click="ignore",
            )
    return heard


def dotted(frame: pd.DataFrame, column: str, colors: Sequence[str]) -> Styler:
    """The frame with the dots of a column in their colours, one for each row.

    Other cells have no id of their own: Streamlit writes every cell that has one anew, at each run of a page.
    """
    styles = [f"color: {color}" for color in colors]
    return Styler(frame, cell_ids=False).apply(lambda dots: styles, subset=[column])


def width(texts: Sequence[str], least: int, most: int) -> int:
    """Pixels of a column in which the longest of the texts is read whole, within reason."""
    return min(max(least, 16 + round(LETTER * max(map(len, texts), default=0))), most)


def name_width(names: Sequence[str]) -> int:
    """The same of names of candidates."""
    return width(names, *NAMES)


def _file(name: str) -> str:
    return f"optlaws-{name}"


@cache
def _pictures() -> Callable:
    """Registered once a process; Streamlit hands the definition to every later runtime by itself."""
    return st.components.v2.component(
        "optlaws_pictures",
        html=(ASSETS / "pictures.html").read_text(encoding="utf-8"),
        js=(ASSETS / "pictures.js").read_text(encoding="utf-8"),
        css=(ASSETS / "pictures.css").read_text(encoding="utf-8"),
    )

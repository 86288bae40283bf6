"""Charts and tables that can be taken away: names of files, CSV in full precision that no spreadsheet evaluates."""

import csv
import io
import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core.figures.chart_style import safe
from pages.parts.widgets.spreadsheet import CSV, csv_text, inert


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "|", " =", "\t", "\r", "\n", "\u00a0@", "＝", "－"])
def test_text_that_begins_a_formula_gets_an_apostrophe(start):
    assert inert(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("cell", [-1.5, -3, None, "a=1", "x -1", "", "'=1", "5e-4", "–", "a; b", "a;b=1", "a, -1"])
def test_other_cells_stay_as_they_are(cell):
    assert inert(cell) == cell and type(inert(cell)) is type(cell)


@pytest.mark.parametrize("cell", ["x;=1+1", "x; =1+1", 'x, y;"=1";-1', "a\n=1+1", "a\t@b", ";;＝1", "=1;=1"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_spreadsheet_finds_a_formula_wherever_it_splits(cell, separator):
    written = csv_text(pd.DataFrame({"run": [cell], "of": ["b, c"]}))
    for quotes in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        rows = csv.reader(io.StringIO(written, newline=""), delimiter=separator, quoting=quotes)
        assert not [c for row in rows for c in row if c.strip().strip('"').strip().startswith(tuple("=+-@|＝"))]


def test_a_csv_keeps_every_digit_and_defuses_text_heads_and_index():
    frame = pd.DataFrame(
        {"=run": ["-a", 'b, "c"\nd', "±"], "loss": [0.1 + 0.2, -1e-300, np.nan], "mixed": [-2.5, "-2.5", None]},
        index=["+i", "j", "k"],
    )
    frame["few"] = pd.array([1, None, -3], "Int64")
    rows = list(csv.reader(io.StringIO(csv_text(frame, index=True), newline="")))
    assert rows == [
        ["index", "'=run", "loss", "mixed", "few"],
        ["'+i", "'-a", repr(0.1 + 0.2), "-2.5", "1"],
        ["j", 'b, "c"\nd', "-1e-300", "'-2.5", ""],
        ["k", "±", "", "", "-3"],
    ]
    again = pd.read_csv(io.BytesIO(csv_text(frame).encode(CSV)))
    assert list(again.columns) == ["'=run", "loss", "mixed", "few"] and again.loss[0] == 0.1 + 0.2


def test_a_csv_may_have_a_column_twice_or_no_rows():
    assert csv_text(pd.DataFrame([["=a", -1]], columns=["x", "x"])) == "x,x\r\n'=a,-1\r\n"
    assert csv_text(pd.DataFrame({"x": []})) == "x\r\n"


def shown() -> None:
    import pandas as pd
    import plotly.graph_objects as go
    import streamlit as st

    from pages.parts.widgets import showing

    showing.chart(go.Figure(go.Scatter(y=[1, 2])), "page-curves")
    showing.chart(go.Figure(), "page-ornament", still=True)
    showing.table(pd.DataFrame({"run": ["=1"], "loss": [1 / 3]}), "page-ends", hide_index=True)
    heard = showing.table(pd.DataFrame({"x": [1]}), "page-rows", key="rows", on_select="rerun")
    st.text(str(heard.selection.rows))


def test_a_page_shows_them_with_their_buttons():
    app = AppTest.from_function(shown, default_timeout=30).run()
    assert not app.exception, app.exception[0].message
    config = [json.loads(chart.proto.config) for chart in app.get("plotly_chart")]
    assert config[0]["toImageButtonOptions"] == {"filename": "optlaws-page-curves", "format": "png", "scale": 2}
    assert config[0]["displaylogo"] is False and config[1]["staticPlot"] is True
    assert len(app.get("bidi_component")) == 1  # the ornament has no buttons
    assert len(app.get("download_button")) == len(app.dataframe) == 2
    assert app.text[0].value == "[]"


def test_a_table_in_place_of_another_is_drawn_and_the_full_one_is_handed_out(monkeypatch):
    import streamlit as st

    from pages.parts.widgets import showing

    drawn, written = [], []
    monkeypatch.setattr(st, "dataframe", lambda frame, **options: drawn.append(frame))
    monkeypatch.setattr(st, "download_button", lambda label, data, *args, **options: written.append((data(), *args)))
    showing.table(pd.DataFrame({"loss": [1 / 3]}), "page-ends", shown="rounded", hide_index=True)
    text = f"\ufeffloss\r\n{1 / 3!r}\r\n"
    assert drawn == ["rounded"] and written == [(text.encode(), "optlaws-page-ends.csv", "text/csv")]


def test_a_name_in_a_chart_is_neither_markup_nor_a_template():
    assert safe("<b>%{y}</b> & 5 %") == "&lt;b&gt;&#37;{y}&lt;/b&gt; &amp; 5 %"
    figure = go.Figure(go.Scatter(y=[1], name=safe("<a href='x'>")))
    assert "<" not in figure.data[0].name

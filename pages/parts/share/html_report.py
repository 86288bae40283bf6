"""A saved comparison as one HTML file that needs nothing else: charts, ranking, laws with formulas and coefficients.

Its chart is an SVG with a few lines of script that answer to a pointer, so that the file stays small. It is taken away
as PNG or SVG, the tables as CSV, all from the file itself. Plain functions; no Streamlit.
Everything that comes from users is escaped, and the file forbids its reader's browser to load anything.
"""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd
from latex2mathml.converter import convert

from optlaws_core import LAWS, Fit, Run
from optlaws_core.paper.figure import Drawn
from optlaws_core.prediction.evidence import endings
from optlaws_core.prediction.verdict import basis
from optlaws_core.saved import Snapshot
from optlaws_core.text import percent, relative_error

from ..compare.columns import COLUMNS
from ..widgets.spreadsheet import CSV, csv_text

STYLE = """
:root { color-scheme: light; --line: #d5dae4; --faint: #5b6474 }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2433; max-width: 1180px; margin: 2.5rem auto; padding: 0 1.5rem;
  overflow-wrap: anywhere }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2rem }
p.facts, figcaption { color: var(--faint); font-size: .9rem } p.note { white-space: pre-wrap }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: normal }
td.words { max-width: 24rem; overflow-wrap: anywhere; min-width: 7rem } td.number { white-space: nowrap }
figure { margin: 0; position: relative } figure svg { width: 100%; height: auto; max-height: 720px }
#told { position: absolute; pointer-events: none; background: #1d2433; color: #fff; font-size: .8rem;
  padding: .3rem .5rem; border-radius: 4px; white-space: pre; z-index: 1 } #told[hidden] { display: none }
.take { text-align: right; font-size: .8rem; margin: .3rem 0 }
.take :is(a, button) { font: inherit; color: var(--faint); background: none; border: 0; cursor: pointer }
.take a { text-decoration: none }
.take :is(a, button):hover { color: #3553c5 }
math { font-size: 1.05rem } .formula { overflow-x: auto; padding: .4rem 0 }
@media print {
  @page { size: A4 landscape; margin: 12mm }
  body { max-width: none; margin: 0; padding: 0; font-size: 10pt } .take, #told { display: none }
  .wide, .formula { overflow: visible } table { width: 100%; font-size: 7pt } tr { break-inside: avoid }
  th, td { padding: .1rem .25rem .1rem 0 } td.words { min-width: 0; max-width: none } figure svg { max-height: 150mm }
  th { hyphens: auto; overflow-wrap: anywhere }
}
"""
NUMBER = re.compile(r"[-+−–<>\d.,%e ]{0,16}")
ONLY_ITSELF = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
SCRIPT = (Path(__file__).with_name("report_chart.js")).read_text(encoding="utf-8")


def html(
    found: Snapshot,
    chart: Drawn | None,
    table: pd.DataFrame,
    verdict: str,
    remarks: Sequence[str],
    warnings: Sequence[str] = (),
) -> str:
    """The report of a comparison, from its chart, its ranking as rows, its verdict, and what is to be known of both."""
    facts = [
        f"created {found.created}",
        *([f"by {found.author}"] if found.author else []),
        *found.tags,
        f"{len(found.runs)} runs",
        f"content {found.digest}",
    ]
    filled = [c for c in table.columns if not table[c].isna().all() and (table[c].astype(str) != "").any()]
    shown = [column for column in COLUMNS if column.key in filled]
    rows = [[column.text(row[column.key]) for column in shown] for row in table.to_dict("records")]
    laws = "".join(_model(found, name) for name in dict.fromkeys((found.current, *found.also)) if name)
    doubts = f"<ul>{''.join(f'<li>{escape(w)}</li>' for w in warnings)}</ul>" if warnings else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer"><meta http-equiv="Content-Security-Policy" content="{ONLY_ITSELF}">
<title>{escape(found.title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(found.title)}</h1><p class="facts">{escape(" · ".join(facts))}</p>
<p class="note">{escape(found.note)}</p>
<h2>Verdict</h2><p>{escape(verdict)}</p><p class="facts">{escape(" ".join(remarks))}</p>{doubts}
<h2>Predicted curves</h2>{_chart(chart)}
<h2>Ranking</h2>{_table("ranking", [column.in_report or column.title for column in shown], rows, table)}
{laws}
<h2>Runs</h2>{_runs(found)}
<p class="facts">{escape(", ".join(f"{k} {v}" for k, v in found.versions.items()))}</p>
</body></html>
"""


def _chart(chart: Drawn | None) -> str:
    """The figure, the points that answer to a pointer, and the script that reads them. No text of a user is run."""
    if chart is None:
        return ""
    told = json.dumps({"width": chart.width, "height": chart.height, "curves": dict(chart.points)}, allow_nan=False)
    safe = told.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return (
        f'<figure id="curves">{chart.svg}<div id="told" hidden></div></figure>'
        '<p class="take"><button data-format="png">PNG</button> <button data-format="svg">SVG</button></p>'
        f'<script id="points" type="application/json">{safe}</script><script>{SCRIPT}</script>'
    )


def _runs(found: Snapshot) -> str:
    """All runs, and where there is a fit how their ends agree with it."""
    if found.fit is None:
        heads = ("Run", "Learning rate", "Last loss")
        rows = [(r.name, _plan(r), float(r.loss[-1]) if len(r.loss) else None) for r in found.runs]
        return _table("runs", heads, [_told(*row) for row in rows], pd.DataFrame(rows, columns=heads))
    heads = ("Run", "Learning rate", "Last loss", "In the fit", "Observed final loss", "Predicted")
    rows = [(e.run.name, _plan(e.run), e.last, e.role, e.observed, e.predicted) for e in endings(found.fit, found.runs)]
    told = [(*_told(*row[:3]), row[3], *map(_loss, row[4:])) for row in rows]
    return _table("runs", heads, told, pd.DataFrame(rows, columns=heads))


def _model(found: Snapshot, name: str) -> str:
    """A model that was drawn: its laws."""
    drawn = "" if name == found.current else ", drawn beside it"
    model = found.fits[name]
    runs = f"<p class='facts'>{escape(basis(model))}</p>"
    return f"<h2>Under {escape(name)}{drawn}</h2>{runs}" + "".join(map(_law, model.parts))


def _law(weighed: tuple[Fit, float]) -> str:
    fit, weight = weighed
    law = LAWS[fit.law]
    share = f", weight {percent(weight)}" if weight < 1 else ""
    lines = (convert(line, display="block") for line in (law.latex, *law.where))
    formulas = "".join(f"<div class='formula'>{line}</div>" for line in lines)
    rows = [(p.name, f"{fit.theta[p.name]:.6g}", _interval(fit.interval.get(p.name)), p.meaning) for p in law.params]
    ends = [fit.interval.get(p.name) or (None, None) for p in law.params]
    full = [(p.name, fit.theta[p.name], *e, p.meaning) for p, e in zip(law.params, ends, strict=True)]
    full = pd.DataFrame(full, columns=["coefficient", "value", "low", "high", "meaning"])
    return (
        f"<h3>{escape(law.title)}{share}</h3>{formulas}"
        f"<p class='facts'>{escape(law.reference)}. {escape(fit.message)}</p>"
        + f"<p class='facts'>{escape(_errors(fit))}</p>"
        + _table(fit.law, ("Coefficient", "Value", "90 % interval", "Meaning"), rows, full)
    )


def _errors(fit: Fit) -> str:
    """A law's errors in a sentence, as far as they are known."""
    known = [("fit error", fit.misfit, relative_error), ("left-out error", fit.left_out, relative_error)]
    known.append(("held-out RMSE", fit.held_out_rmse, "{:.5f}".format))
    said = ", ".join(f"{name} {form(value)}" for name, value, form in known if value is not None)
    return f"Errors: {said}." if said else "Its errors are not known."


def _interval(ends: tuple[float, float] | None) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}" if ends else "–"


def _plan(run: Run) -> str:
    return run.plan.schedule.text if run.plan else "not known"


def _told(name: str, plan: str, loss: float | None) -> tuple[str, str, str]:
    return name, plan if len(plan) <= 160 else f"{plan[:159]}…", _loss(loss)


def _loss(loss: float | None) -> str:
    return "–" if loss is None else f"{loss:.5f}"


def _kind(cell: str, tag: str) -> str:
    """Numbers stay in one line, words are broken wherever they must be, so that no table is cut off at the side."""
    return "" if tag == "th" else ' class="number"' if NUMBER.fullmatch(cell) else ' class="words"'


def _table(name: str, head: Sequence[str], rows: Sequence[Sequence[str]], full: pd.DataFrame) -> str:
    """A table of text, and beneath it a link to the same in `full` precision."""

    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}{_kind(str(c), tag)}>{escape(str(c))}</{tag}>' for c in cells)}</tr>"

    body = f"<thead>{line(head, 'th')}</thead><tbody>{''.join(line(r, 'td') for r in rows)}</tbody>"
    csv = b64encode(csv_text(full).encode(CSV)).decode()
    link = f'<a download="optlaws-report-{name}.csv" href="data:text/csv;charset=utf-8;base64,{csv}">CSV</a>'
    return f'<div class="wide"><table>{body}</table></div><p class="take">{link}</p>'

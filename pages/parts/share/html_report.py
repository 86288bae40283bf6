"""A saved comparison as one HTML file that needs nothing else: charts, ranking, laws with formulas and coefficients.

Its chart is taken away as PNG or SVG, its tables as CSV, all from the file itself. Plain functions; no Streamlit.
Everything that comes from users is escaped, and the file forbids its reader's browser to load anything.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go
from latex2mathml.converter import convert

from optlaws_core import LAWS, Fit, Run
from optlaws_core.prediction.verdict import basis
from optlaws_core.saved import Snapshot

from ..compare.columns import COLUMNS
from ..widgets.spreadsheet import CSV, csv_text

STYLE = """
:root { color-scheme: light; --line: #d5dae4; --faint: #5b6474 }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2433; max-width: 1180px; margin: 2.5rem auto; padding: 0 1.5rem;
  overflow-wrap: anywhere }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2rem }
p.facts, figcaption { color: var(--faint); font-size: .9rem } p.note { white-space: pre-wrap }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
.take { text-align: right; font-size: .8rem; margin: .3rem 0 }
.take :is(a, button) { font: inherit; color: var(--faint); background: none; border: 0; cursor: pointer }
.take a { text-decoration: none }
.take :is(a, button):hover { color: #3553c5 }
math { font-size: 1.05rem } .formula { overflow-x: auto; padding: .4rem 0 }
"""
ONLY_ITSELF = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
PICTURES = """<p class="take"><button data-format="png">PNG</button> <button data-format="svg">SVG</button></p><script>
for (const button of document.querySelectorAll("[data-format]")) button.onclick = () => {
  const plot = document.getElementById("curves");
  Plotly.downloadImage(plot, {...plot._context.toImageButtonOptions, format: button.dataset.format});
};
</script>"""


def html(found: Snapshot, figure: go.Figure, table: pd.DataFrame, verdict: str, remarks: Sequence[str]) -> str:
    """The report of a comparison, from its chart, its ranking as rows, its verdict, and what is to be known of both."""
    chart = go.Figure(figure).update_layout(template="plotly_white", width=None, autosize=True)
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
    runs = [(r.name, _plan(r), float(r.loss[-1]) if len(r.loss) else None) for r in found.runs]
    heads = ("Run", "Learning rate", "Last loss")
    laws = "".join(_model(found, name) for name in dict.fromkeys((found.current, *found.also)) if name)
    options = {"filename": "optlaws-report-curves", "format": "png", "scale": 2}
    drawn = chart.to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id="curves",
        config={"displaylogo": False, "toImageButtonOptions": options},
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer"><meta http-equiv="Content-Security-Policy" content="{ONLY_ITSELF}">
<title>{escape(found.title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(found.title)}</h1><p class="facts">{escape(" · ".join(facts))}</p>
<p class="note">{escape(found.note)}</p>
<h2>Verdict</h2><p>{escape(verdict)}</p><p class="facts">{escape(" ".join(remarks))}</p>
<h2>Predicted curves</h2>{drawn}{PICTURES}
<h2>Ranking</h2>{_table("ranking", [column.in_report or column.title for column in shown], rows, table)}
{laws}
<h2>Runs</h2>{_table("runs", heads, [_told(*run) for run in runs], pd.DataFrame(runs, columns=heads))}
<p class="facts">{escape(", ".join(f"{k} {v}" for k, v in found.versions.items()))}</p>
</body></html>
"""


def _model(found: Snapshot, name: str) -> str:
    """A model that was drawn: its laws."""
    drawn = "" if name == found.current else ", drawn beside it"
    model = found.fits[name]
    runs = f"<p class='facts'>{escape(basis(model))}</p>"
    return f"<h2>Under {escape(name)}{drawn}</h2>{runs}" + "".join(map(_law, model.parts))


def _law(weighed: tuple[Fit, float]) -> str:
    fit, weight = weighed
    law = LAWS[fit.law]
    share = f", weight {weight:.0%}" if weight < 1 else ""
    lines = (convert(line, display="block") for line in (law.latex, *law.where))
    formulas = "".join(f"<div class='formula'>{line}</div>" for line in lines)
    rows = [(p.name, f"{fit.theta[p.name]:.6g}", _interval(fit.interval.get(p.name)), p.meaning) for p in law.params]
    ends = [fit.interval.get(p.name) or (None, None) for p in law.params]
    full = [(p.name, fit.theta[p.name], *e, p.meaning) for p, e in zip(law.params, ends, strict=True)]
    full = pd.DataFrame(full, columns=["coefficient", "value", "low", "high", "meaning"])
    return (
        f"<h3>{escape(law.title)}{share}</h3>{formulas}"
        f"<p class='facts'>{escape(law.reference)}. {escape(fit.message)}</p>"
        + _table(fit.law, ("Coefficient", "Value", "90 % interval", "Meaning"), rows, full)
    )


def _interval(ends: tuple[float, float] | None) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}" if ends else "–"


def _plan(run: Run) -> str:
    return run.plan.schedule.text if run.plan else "not known"


def _told(name: str, plan: str, loss: float | None) -> tuple[str, str, str]:
    return name, plan if len(plan) <= 160 else f"{plan[:159]}…", "–" if loss is None else f"{loss:.5f}"


def _table(name: str, head: Sequence[str], rows: Sequence[Sequence[str]], full: pd.DataFrame) -> str:
    """A table of text, and beneath it a link to the same in `full` precision."""

    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(str(c))}</{tag}>' for c in cells)}</tr>"

    body = f"<thead>{line(head, 'th')}</thead><tbody>{''.join(line(r, 'td') for r in rows)}</tbody>"
    csv = b64encode(csv_text(full).encode(CSV)).decode()
    link = f'<a download="optlaws-report-{name}.csv" href="data:text/csv;charset=utf-8;base64,{csv}">CSV</a>'
    return f'<div class="wide"><table>{body}</table></div><p class="take">{link}</p>'

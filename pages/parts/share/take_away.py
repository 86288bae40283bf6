"""A comparison for a paper: the figure in a column's width, the ranking as LaTeX and Markdown, BibTeX of its laws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from optlaws_core import Ranked, Run
from optlaws_core.figures.candidate_chart import PARTS, View
from optlaws_core.markup import Table
from optlaws_core.paper.citations import bibtex_of
from optlaws_core.paper.figure import FORMATS, MOST_POINTS, WIDTHS, Drawn, Line, Look, drawn, written
from optlaws_core.paper.ranking_table import paper_table
from optlaws_core.prediction.divergence import Risk
from optlaws_core.prediction.observed import observed as seen
from optlaws_core.prediction.pairs import Compared
from optlaws_core.prediction.verdict import Yardstick, verdict

from ..compare import predicted, ranking
from ..compare.predicted import Entry, Known
from ..server import libraries
from ..state.workspace import Workspace

TITLES = {"single": "One column, 3.25 in", "double": "Two columns, 6.75 in"}


@dataclass(frozen=True)
class Taken:
    """What is taken away: a comparison as it stands on a page."""

    space: Workspace
    fits: Sequence[str]  # names of the fit in use, which is drawn, and of those beside it
    view: View
    observed: Sequence[str]  # names of runs that are drawn behind
    risk: Risk | None
    most_risk: float
    baseline: int  # place of a candidate in the list of candidates

    @property
    def entries(self) -> list[Entry]:
        """The candidates that can be predicted; the page says why others are left out."""
        return predicted.entries(self.space, self.fits)[0]

    def lines(self) -> list[Line]:
        """The candidates in their order, with bands as on the page."""
        found, model = self.entries, self.space.fit
        ends = [predicted.curve(Known.of(model), e.schedule, e.steps)[1][-1] for e in found]
        best = int(np.argmin(ends))
        banded = {best} if self.view.bands is None else set(self.view.bands)
        steps = predicted.printed_steps(found, len(model.parts), MOST_POINTS)
        return [
            Line(e.name, e.schedule, i in banded, most) for i, (e, most) in enumerate(zip(found, steps, strict=True))
        ]

    def figure(self, kind: str, width: str = "double", title: str = "") -> bytes:
        """The figure as a file of a kind of `FORMATS`."""
        return written(self.space.fit, self.lines(), kind, *self._drawn_as(width, title))

    def drawn(self) -> Drawn:
        """The figure for a page of HTML."""
        return drawn(self.space.fit, self.lines(), *self._drawn_as("double"))

    def _drawn_as(self, width: str, title: str = "") -> tuple[Look, dict[str, Run]]:
        """How the figure looks, and the runs behind its curves."""
        libraries.load(libraries.FIGURES)
        v = self.view
        runs = {name: self.space.runs[name] for name in self.observed if name in self.space.runs}
        return Look(width, v.x, v.log_x, v.log_y, PARTS[v.part], v.batch_tokens, title), runs

    def table(self) -> Table:
        """The ranking, best first."""
        order, ranked, beside, halves = self._ranked()
        observed = seen(self.space.fit, [r.schedule for r in ranked], list(self.space.runs.values()))
        return paper_table(ranked, [e.name for e in order], halves, beside, observed)

    def verdict(self) -> str:
        """The comparison in a few sentences, as the page says it."""
        order, ranked, beside, halves = self._ranked()
        place = next((i for i, e in enumerate(order) if e.place == self.baseline), None)
        names, yard = [e.spoken for e in order], Yardstick.of(self.space.fit)
        return verdict(ranked, names, yard, halves, beside, place, self.view.batch_tokens)

    def _ranked(self) -> tuple[list[Entry], Sequence[Ranked], Sequence[Compared], list[float | None]]:
        """The candidates in the order of the ranking, and what is known of each."""
        found, known = self.entries, Known.of(self.space.fit)
        schedules = tuple(e.schedule for e in found)
        ranked = predicted.ranked(known, schedules, self.risk, self.most_risk)
        order = ranking.in_order(ranked, found)
        place = next((i for i, e in enumerate(order) if e.place == self.baseline), 0)
        ranked = predicted.saved(known, ranked, ranking.saving(known.model, ranked, place, in_full=True))
        against = next((e.schedule for e in found if e.place == self.baseline), schedules[0])
        beside = predicted.beside(known, schedules, self.risk, self.most_risk, against)
        halves = predicted.half_widths(known, tuple(r.schedule for r in ranked))
        return order, ranked, beside, halves

    def bibtex(self) -> str:
        """The laws of the fits that are drawn."""
        return bibtex_of(self.space.fits[name] for name in self.fits)


def section(taken: Taken, key: str, caption: str = "") -> None:
    """Downloads, each made when it is asked for; `caption`: that of the LaTeX table. `key` begins the widgets' keys."""
    box = st.expander("For a paper", icon=":material/article:", on_change="rerun", key=f"{key}_paper")
    if not box.open or not taken.entries:
        return
    with box, st.container(horizontal=True, vertical_alignment="bottom"):
        width = st.selectbox("Figure", list(WIDTHS), 1, format_func=TITLES.get, key=f"{key}_paper_width", width=200)
        for kind in ("pdf", "svg"):
            _download(
                kind.upper(),
                lambda kind=kind: taken.figure(kind, width),
                f"{width}.{kind}",
                FORMATS[kind],
                f"{key}_{kind}",
            )
        _download(
            "LaTeX table",
            lambda: taken.table().latex(caption, "tab:schedules"),
            "ranking.tex",
            "text/x-tex",
            f"{key}_tex",
        )
        _download("Markdown table", lambda: taken.table().markdown(), "ranking.md", "text/markdown", f"{key}_md")
        _download("BibTeX", taken.bibtex, "laws.bib", "text/plain", f"{key}_bib")
    box.caption(
        "Curves at every update or 2,000 of them, not thinned as on the screen; line styles that stay distinct in "
        "grey; fonts embedded (PDF) or as outlines (SVG). The figure shows the fit in use. An asterisk in the table "
        "marks a schedule beyond the training runs."
    )


def _download(label: str, made: Callable[[], str | bytes], file: str, kind: str, key: str) -> None:
    st.download_button(label, made, f"optlaws-{file}", kind, icon=":material/download:", on_click="ignore", key=key)

"""Tables as HTML, LaTeX and Markdown, from the same cells; whatever they hold is escaped.

A notebook shows records as such tables. Their HTML has neither scripts nor handlers, and classes that keep MathJax from
setting what stands between dollar signs: names come from logs.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .text import one_line, shortened

LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "…": r"\ldots{}",
}


NO_MATH = "tex2jax_ignore mathjax_ignore"  # classes of what MathJax 2 and 3 leave alone
MOST_ROWS, LONGEST_CELL, LONGEST_NOTE = 50, 200, 1_000  # of HTML, which is to be small
WIDE, HIGH, POINTS = 220, 44, 110  # of a curve in a line of text: pixels, and points at most


@dataclass(frozen=True)
class Math:
    """A cell that LaTeX sets as mathematics, and what it is as plain text."""

    plain: str
    latex: str  # without dollar signs; ours, never a log's


Cell = str | Math


def number(x: float, digits: int = 4) -> Math:
    """A number with so many digits that count: 5.294e-5 as text, 5.294 × 10⁻⁵ in LaTeX."""
    plain = f"{x:.{digits}g}"
    head, _, exponent = plain.partition("e")
    if not exponent:
        return Math(plain, plain)
    return Math(f"{head}e{int(exponent)}", rf"{head} \times 10^{{{int(exponent)}}}")


def between(low: float, high: float, digits: int = 4) -> Math:
    """An interval: `0.51 to 0.64`."""
    ends = number(low, digits), number(high, digits)
    return Math(" to ".join(end.plain for end in ends), r" \text{ to } ".join(end.latex for end in ends))


@dataclass(frozen=True)
class Table:
    """Heads and rows, the same number of cells in each; the first column is words, the others are numbers or words."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def latex(self, caption: str = "", label: str = "") -> str:
        """A `table` for the packages booktabs and, under pdfLaTeX, textcomp; names are escaped."""
        needs = "amsmath, booktabs" if any(isinstance(c, Math) for row in self.rows for c in row) else "booktabs"
        lines = [rf"% \usepackage{{{needs}}}", r"\begin{table}", r"\centering"]
        lines += [rf"\caption{{{_latex(caption)}}}"] if caption else []
        lines += [rf"\label{{{re.sub(r'[^A-Za-z0-9:._-]', '-', label)}}}"] if label else []
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(self.heads) - 1)}}}", r"\toprule"]
        lines += [" & ".join(map(_latex, self.heads)) + r" \\", r"\midrule"]
        lines += [" & ".join(map(_latex, row)) + r" \\" for row in self.rows]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"

    def markdown(self) -> str:
        """A table of GitHub's Markdown; names are escaped."""
        rule = ["---", *["---:"] * (len(self.heads) - 1)]
        lines = [map(_markdown, self.heads), rule, *(map(_markdown, row) for row in self.rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def html(self, title: str = "", notes: Iterable[str] = (), picture: str = "") -> str:
        """The table for a notebook: `title` above it, a `picture` of `sparkline` and `notes`, a line each, beneath.

        Of many rows the first `MOST_ROWS` are shown, and the rest is counted.
        """
        more = len(self.rows) - MOST_ROWS
        top = "".join(_html(head, "th") for head in self.heads) if any(self.heads) else ""
        rows = "".join(f"<tr>{''.join(map(_html, row))}</tr>" for row in self.rows[:MOST_ROWS])
        heads = f"<thead><tr>{top}</tr></thead>" if top else ""
        table = f"<table>{heads}<tbody>{rows}</tbody></table>" if self.rows else ""
        said = [*([f"… and {more:,} more rows"] if more > 0 else []), *notes]
        lines = "".join(f"<div>{_escaped(note, LONGEST_NOTE)}</div>" for note in said)
        head = f"<div><b>{_escaped(title)}</b></div>" if title else ""
        return f'<div class="{NO_MATH}" style="max-width:60em">{head}{table}{picture}{lines}</div>'


def sparkline(values: np.ndarray) -> str:
    """A small SVG of values (n,), evenly spaced, from 0 or their lowest to their highest; empty for fewer than two."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return ""
    known = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), POINTS)).astype(int))]
    low, high = float(known.min()), float(known.max())
    x = np.linspace(2, WIDE - 2, len(known))
    y = HIGH - 3 - (HIGH - 6) * (known - low) / ((high - low) or 1.0)
    points = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, y, strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="#4c6fe0" stroke-width="1.5"/>'
    return f'<svg width="{WIDE}" height="{HIGH}" viewBox="0 0 {WIDE} {HIGH}" aria-hidden="true">{line}</svg>'


def facts(known: Sequence[tuple[str, str]]) -> Table:
    """A table without heads of what is known, a line a fact; empty ones are left out."""
    return Table(("", ""), tuple((name, value) for name, value in known if value))


def formula(latex: str) -> str:
    """LaTeX of mathematics as notebooks take it from `_repr_latex_`."""
    return rf"$\displaystyle {latex}$"


def _latex(cell: Cell) -> str:
    return f"${cell.latex}$" if isinstance(cell, Math) else "".join(LATEX.get(c, c) for c in " ".join(cell.split()))


def _markdown(cell: Cell) -> str:
    if isinstance(cell, Math):
        return f"${cell.latex}$"
    return re.sub(r"([\\`*_\[\]<>$~#|])", r"\\\1", " ".join(cell.split()))


def _html(cell: Cell, tag: str = "td") -> str:
    text = _escaped(cell.plain if isinstance(cell, Math) else cell)
    return f'<{tag} style="text-align:left">{text}</{tag}>'


def _escaped(text: str, most: int = LONGEST_CELL) -> str:
    return html.escape(one_line(shortened(text, most)))


__all__ = ["Cell", "Math", "Table", "between", "facts", "formula", "number", "sparkline"]

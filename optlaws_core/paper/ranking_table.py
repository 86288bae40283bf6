"""A ranking as a table for a paper: LaTeX (booktabs) and Markdown, from the same cells."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..prediction.observed import Observed
from ..prediction.pairs import Compared, Pair
from ..prediction.ranking import Ranked
from ..text import chance, percent

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


@dataclass(frozen=True)
class PaperTable:
    """Heads and rows of text, the same number of cells in each; the first column is words, the others are numbers."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def latex(self, caption: str = "", label: str = "") -> str:
        """A `table` for the packages booktabs and, under pdfLaTeX, textcomp; names are escaped."""
        lines = [r"% \usepackage{booktabs}", r"\begin{table}", r"\centering"]
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


def _latex(text: str) -> str:
    return "".join(LATEX.get(c, c) for c in " ".join(text.split()))


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>$~#|])", r"\\\1", " ".join(text.split()))


def paper_table(
    ranked: Sequence[Ranked],
    names: Sequence[str],
    halves: Sequence[float | None],
    beside: Sequence[Compared],
    seen: Sequence[Observed | None],
) -> PaperTable:
    """The ranking, best first; columns of which nothing is known are left out.

    names, halves of prediction bands, what each is beside the baseline, and what was seen of it: (n,), as `ranked`.
    """
    rows = []
    for r, name, half, c, told in zip(ranked, names, halves, beside, seen, strict=True):
        p = c.pair
        rows.append(
            (
                f"{name}*" if r.reasons else name,
                f"{r.final_loss:.4f}" + ("" if half is None else f" ± {half:.4f}"),
                "" if told is None else f"{told.loss:.4f}",
                "" if p is None else "baseline" if _itself(p) else _signed(p.difference),
                "" if p is None or p.itself or p.low is None or p.high is None else _between(p.low, p.high),
                "" if p is None or p.itself or p.p_below is None else chance(p.p_below),
                "" if c.p_best is None else chance(c.p_best),
                "" if r.risk is None else percent(r.risk, 1),
            )
        )
    heads = ("Schedule", "Final loss", "Observed", "Difference", "90 % interval", "P(below)", "P(best)", "P(diverges)")
    filled = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    return PaperTable(tuple(heads[i] for i in filled), tuple(tuple(row[i] or "–" for i in filled) for row in rows))


def _itself(p: Pair) -> bool:
    """Whether it is the baseline, or the same run; also where the model does not know its error."""
    return p.itself or (p.low is None and p.difference == 0)


def _between(low: float, high: float) -> str:
    return f"{_signed(low)} to {_signed(high)}"


def _signed(x: float) -> str:
    return f"{x:+.5f}".replace("-", "−")


__all__ = ["PaperTable", "paper_table"]

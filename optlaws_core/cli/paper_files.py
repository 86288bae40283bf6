"""What a ranking leaves for a paper: options that `rank` and `share paper` have in common, and the files."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import OptLawsError
from ..fitting.result import Model
from ..paper.citations import bibtex_of
from ..paper.figure import FORMATS, WIDTHS, Line, Look, written
from ..paper.ranking_table import paper_table
from ..prediction.bands import with_bands
from ..prediction.observed import Observed
from ..prediction.pairs import Compared
from ..prediction.ranking import Ranked
from ..runs import Run
from .options import check_outs, output

OPTIONS = ("--figure", "--width", "--table", "--bibtex")
TABLES = (".tex", ".md")


def add_paper(command: argparse.ArgumentParser) -> None:
    """Options for the files."""
    more = command.add_argument_group("for a paper")
    more.add_argument(
        "--figure",
        type=output,
        metavar="FILE",
        help=f"draw the candidates: a file that ends in .{', .'.join(FORMATS)}",
    )
    more.add_argument(
        "--width",
        choices=[*WIDTHS],
        help="of the figure: one column (3.25 in) or two (6.75 in), the default",
    )
    more.add_argument(
        "--table", type=output, metavar="FILE", help="the ranking as LaTeX (.tex, booktabs) or Markdown (.md)"
    )
    more.add_argument("--bibtex", type=output, metavar="FILE", help="BibTeX entries of the laws that predict")


def paper_outs(args: argparse.Namespace) -> dict[str, Path | None]:
    """The files that were asked for, by option."""
    return {"--figure": args.figure, "--table": args.table, "--bibtex": args.bibtex}


def check_paper(args: argparse.Namespace, *inputs: Path | str | None) -> None:
    """Raises `OptLawsError` for files that cannot be written, before anything is computed; `inputs` are read."""
    if args.width and not args.figure:
        raise OptLawsError("--width needs --figure, the file of the figure.")
    for option, out, endings in (
        ("--figure", args.figure, tuple(f".{kind}" for kind in FORMATS)),
        ("--table", args.table, TABLES),
    ):
        if out is not None and out.suffix.lower() not in endings:
            raise OptLawsError(f"{option} {out}: the file must end in {' or '.join(endings)}.")
    check_outs(paper_outs(args), *inputs)


def write_paper(
    args: argparse.Namespace,
    model: Model,
    ranked: Sequence[Ranked],
    names: Sequence[str],
    beside: Sequence[Compared],
    seen: Sequence[Observed | None],
    runs: Mapping[str, Run] | None = None,
    look: Look | None = None,
) -> None:
    """Write the files that were asked for.

    names, beside, seen: (n,), in the order of `ranked`. runs: drawn in grey behind the candidates, by name.
    """
    if args.figure:
        lines = [Line(name, r.schedule, i == 0) for i, (r, name) in enumerate(zip(ranked, names, strict=True))]
        shown = look or Look(args.width or "double")
        _write(args.figure, written(model, lines, args.figure.suffix.lower()[1:], shown, runs))
    if args.table:
        ends = [with_bands(model, r.schedule) for r in ranked]
        halves = [None if e.prediction is None else float(e.loss[0] * np.sinh(e.prediction[0])) for e in ends]
        table = paper_table(ranked, names, halves, beside, seen)
        text = table.markdown() if args.table.suffix.lower() == ".md" else table.latex("", "tab:schedules")
        _write(args.table, text.encode("utf-8"))
    if args.bibtex:
        _write(args.bibtex, bibtex_of([model]).encode("utf-8"))


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(data)

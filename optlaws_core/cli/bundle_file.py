"""A ranking as a saved comparison's file, which the app opens: for whoever has no page at hand to save it."""

import argparse
from collections.abc import Sequence

from ..errors import OptLawsError
from ..fitting.result import Model
from ..prediction.divergence import Risk
from ..runs import Run
from ..saved import Candidate, Snapshot, from_bundle, thinned, to_bundle, usual_title, without_places
from ..saved.checks import MOST, printable_line
from ..schedules import Schedule, parse
from .options import check_outs, output
from .paper_files import paper_outs

OPTIONS = ("--bundle", "--title")


def add_bundle(command: argparse.ArgumentParser) -> None:
    """Options for the file."""
    more = command.add_argument_group("to share")
    more.add_argument(
        "--bundle",
        type=output,
        metavar="FILE",
        help="write the ranking as a saved comparison, which the app and `share import` take; runs of --observed stand "
        "in it",
    )
    more.add_argument("--title", metavar="TEXT", help="of that comparison")


def check_bundle(args: argparse.Namespace) -> None:
    """Raises `OptLawsError` for a file that cannot be written or filled, before anything is computed."""
    if args.bundle is None:
        if args.title is not None:
            raise OptLawsError("--title needs --bundle, the file of the comparison.")
        return
    check_outs({**paper_outs(args), "--bundle": args.bundle}, args.fit, args.observed, args.risk_from)
    if (n := _candidates(args)) > MOST["candidates"]:
        raise OptLawsError(f"--bundle holds at most {MOST['candidates']} candidates, got {n:,}.")
    if args.title is not None:
        printable_line(args.title, "--title", "title")


def _candidates(args: argparse.Namespace) -> int:
    """How many will be ranked: a baseline that is none of them is one more."""
    named = [parse(text) for text in args.schedule or ()]
    return len(named) + (args.baseline is not None and parse(args.baseline) not in named)


def write_bundle(
    args: argparse.Namespace,
    model: Model,
    schedules: Sequence[Schedule],
    baseline: Schedule | None,
    risk: Risk | None,
    runs: Sequence[Run],
) -> None:
    """Write the comparison of `schedules` under the fit in --fit, where a file for it was named.

    Size and batch of the candidates go along, and which of them the others were compared with, where that was said.
    Raises `OptLawsError` for what no saved comparison may be.
    """
    if args.bundle is None:
        return
    name = model.title
    place = None if baseline is None else schedules.index(baseline)
    said = {"params": args.params, "batch": args.batch_tokens, "baseline": place}
    shown = [run.on(model.split) if model.split in run.series else run for run in runs]
    made = Snapshot(
        args.title or usual_title(schedules),
        without_places(thinned(shown)),
        {name: model},
        name,
        tuple(map(Candidate, schedules)),
        risk=risk,
        most_risk=args.risk,
        observed=tuple(run.name for run in shown),
        view={key: value for key, value in said.items() if value is not None},
    )
    data = to_bundle(made)
    from_bundle(data)  # whatever is written can be opened
    args.bundle.write_bytes(data)


__all__ = ["OPTIONS", "add_bundle", "check_bundle", "write_bundle"]

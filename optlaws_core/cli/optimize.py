"""The command `optimize`: the best schedule under a fitted law, beside the best simple family."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..fitting.result import Model
from ..optimize import FAMILIES, KNOTS, Found, Limits, find, updates_within
from ..optimize.progress import Progress
from ..parallel import Report
from ..prediction.bands import with_bands
from ..text import percent
from .model import add_model, add_warmup, curve_model, on_progress, warmup_of
from .options import amount, refuse, step

PATIENCE = 2.0  # s after which a search tells how far it is


def add(command: argparse.ArgumentParser) -> None:
    """Options of `optimize`."""
    command.set_defaults(run=run)
    add_model(command)
    command.add_argument("--peak", required=True, type=amount, metavar="LR", help="highest rate")
    length = command.add_mutually_exclusive_group(required=True)
    length.add_argument("--total", type=step, metavar="T", help="updates in all")
    length.add_argument(
        "--tokens",
        type=amount,
        metavar="D",
        help="tokens in all, such as 300B; the updates that they "
        "pay for follow from --batch-tokens, by default as in the training runs",
    )
    length.add_argument(
        "--flops",
        type=amount,
        metavar="C",
        help="training compute in all, such as 1e21: 6·N·D, with "
        "--params and --batch-tokens, by default as in the training runs",
    )
    command.add_argument(
        "--family", metavar="FAMILY", help=f"the best of a family instead of a free curve: {', '.join(FAMILIES)}"
    )
    add_warmup(command, "the schedule")
    command.add_argument("--floor", type=float, default=0.0, metavar="LR", help="lowest rate after the warm-up")
    command.add_argument(
        "--slope", type=amount, metavar="S", help="largest change of the rate between two updates after the warm-up"
    )
    command.add_argument("--knots", type=int, default=KNOTS, metavar="K", help=f"knots of a free curve; {KNOTS}")
    command.add_argument("--may-rise", action="store_true", help="let a free curve rise after the warm-up, too")
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> list[str]:
    """Print the best schedule; what speaks against it comes back as remarks."""
    if args.family is not None:
        refuse(args, ["--knots", "--may-rise"], "is for free curves; a search in a family has no use for it")
    model = curve_model(args)
    total = args.total
    if total is None:
        total = updates_within(model.coverage, tokens=args.tokens, flops=args.flops)
    warmup, said = warmup_of(model, args, total)
    limits = Limits(args.peak, total, warmup, args.floor, args.slope, args.knots, not args.may_rise)
    with _watched(args.watch) as progress:
        finding = find(model, limits, args.family, progress=progress)
    half = _half_width(model, finding.best)
    if args.json:
        args.show(
            {
                **_found(finding.best),
                "smooth": _row(finding.smooth),
                "simple": _row(finding.simple),
                "wsd": _row(finding.wsd),
                "constant": finding.constant,
                "share": finding.share,
                "band": half,
                "finished": finding.best.finished,
                "reasons": list(finding.reasons),
            }
        )
    else:
        for found in filter(None, (finding.best, finding.smooth, finding.simple)):
            print(f"{found.loss:.6f}  {found.schedule.text}")
    return [*said, *filter(None, [finding.summary]), *model.doubts, *finding.doubts(finding.beside_simple(model))]


def _found(found: Found) -> dict:
    return {"schedule": found.schedule.text, "final_loss": found.loss}


def _row(found: Found | None) -> dict | None:
    return None if found is None else _found(found)


def _half_width(model: Model, found: Found) -> float | None:
    """Half the width of the prediction band at the end, where there is one."""
    known = with_bands(model, found.schedule)
    if known.prediction is None:
        return None
    low, high = known.band(known.prediction)
    return float(high[-1] - low[-1]) / 2


@contextmanager
def _watched(watch: Report | None) -> Iterator[Progress | None]:
    """What a long search tells: whoever watches, or else the terminal where stderr is one, or nobody."""
    if watch is not None or not sys.stderr.isatty():
        yield on_progress(watch)
        return
    began, line = time.monotonic(), ""

    def report(share: float, loss: float) -> bool:
        nonlocal line
        if time.monotonic() - began > PATIENCE:
            line = f"{percent(share):>5}, lowest final loss {loss:.6f}"
            print(line, end="\r", file=sys.stderr, flush=True)
        return True

    try:
        yield report
    finally:
        print(" " * len(line), end="\r", file=sys.stderr, flush=True)

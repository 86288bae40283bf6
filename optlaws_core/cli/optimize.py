"""The command `optimize`: the best schedule under a fitted law, beside the best simple family.

With sizes of the batch it is the best plan of rate and batch together, beside the best one with one batch.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import OptLawsError
from ..fitting.result import Model
from ..optimize import (
    FAMILIES,
    KNOTS,
    Finding,
    Found,
    JointFinding,
    JointFound,
    Limits,
    find,
    find_joint,
    updates_within,
)
from ..optimize.joint_search import multiples_of
from ..optimize.progress import Progress
from ..parallel import Report
from ..prediction.bands import with_bands
from ..schedules import Schedule
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
    length.add_argument("--total", type=step, metavar="T", help="updates in total")
    length.add_argument(
        "--tokens",
        type=amount,
        metavar="D",
        help="tokens in total, such as 300B; the updates that they "
        "pay for follow from --batch-tokens, by default as in the training runs",
    )
    length.add_argument(
        "--flops",
        type=amount,
        metavar="C",
        help="training compute in total, such as 1e21: 6·N·D, with "
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
    command.add_argument(
        "--batches",
        type=_sizes,
        metavar="1x,2x,4x",
        help="look for rate and batch together: sizes that the batch may grow through, multiples of the usual one, the "
        "last what the hardware takes; every plan reads as many tokens as the updates in total do at 1x. With --family",
    )
    command.add_argument(
        "--most-updates", type=step, metavar="U", help="updates that a plan with --batches may take, by default any"
    )
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> list[str]:
    """Print the best schedule; what speaks against it comes back as remarks."""
    if args.family is not None:
        refuse(args, ["--knots", "--may-rise"], "is for free curves; a search in a family has no use for it")
    if args.batches is None:
        refuse(args, ["--most-updates"], "is for plans whose batch grows; give their sizes with --batches")
    elif args.family is None:
        raise OptLawsError("--batches looks for plans whose rate is of a family; name it with --family, such as wsd.")
    model = curve_model(args)
    total = args.total
    if total is None:
        total = updates_within(model.coverage, tokens=args.tokens, flops=args.flops)
    warmup, said = warmup_of(model, args, total)
    limits = Limits(args.peak, total, warmup, args.floor, args.slope, args.knots, not args.may_rise)
    with _watched(args.watch) as progress:
        if args.batches is not None:
            together = find_joint(model, limits, args.family, args.batches, args.most_updates, progress=progress)
        else:
            finding = find(model, limits, args.family, progress=progress)
    if args.batches is not None:
        return [*said, *_show_joint(args, model, together), *model.doubts, *together.doubts]
    _show(args, model, finding)
    return [*said, *filter(None, [finding.summary]), *model.doubts, *finding.doubts(finding.beside_simple(model))]


def _show(args: argparse.Namespace, model: Model, finding: Finding) -> None:
    if args.json:
        args.show(
            {
                **_found(finding.best),
                "smooth": _row(finding.smooth),
                "simple": _row(finding.simple),
                "wsd": _row(finding.wsd),
                "constant": finding.constant,
                "share": finding.share,
                "band": _half_width(model, finding.best.schedule),
                "finished": finding.best.finished,
                "reasons": list(finding.reasons),
            }
        )
    else:
        for found in filter(None, (finding.best, finding.smooth, finding.simple)):
            print(f"{found.loss:.6f}  {found.schedule.text}")


def _show_joint(args: argparse.Namespace, model: Model, finding: JointFinding) -> list[str]:
    """Print the best plan and the best one with one batch; returns what there is to gain."""
    if args.json:
        args.show(
            {
                **_plan(finding.best),
                "one_batch": _plan(finding.one),
                "band": _half_width(model, finding.best.plan),
                "finished": finding.best.finished,
                "reasons": list(finding.reasons),
            }
        )
    else:
        for found in dict.fromkeys((finding.best, finding.one)):
            print(f"{found.loss:.6f}  {found.plan.text}")
    return [finding.summary]


def _plan(found: JointFound) -> dict:
    return {"schedule": found.plan.text, "final_loss": found.loss, "updates": found.plan.total}


def _sizes(text: str) -> tuple[float, ...]:
    """Sizes of a batch, as an option takes them."""
    try:
        return multiples_of(text)
    except OptLawsError as error:
        raise argparse.ArgumentTypeError(f"{str(error)[0].lower()}{str(error)[1:].rstrip('.')}") from None


def _found(found: Found) -> dict:
    return {"schedule": found.schedule.text, "final_loss": found.loss}


def _row(found: Found | None) -> dict | None:
    return None if found is None else _found(found)


def _half_width(model: Model, schedule: Schedule) -> float | None:
    """Half the width of the prediction band at the end, where there is one."""
    known = with_bands(model, schedule)
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

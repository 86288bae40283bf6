"""The command `bound`: the last-iterate bound of convex optimisation, and base rates carried to other schedules."""

import argparse
from collections.abc import Sequence

from ..hyper import bound, transfers
from ..schedules import Schedule, parse
from .options import amount, print_columns, refuse


def add(command: argparse.ArgumentParser) -> None:
    """Options of `bound`."""
    command.set_defaults(run=run)
    command.add_argument(
        "--schedule",
        action="append",
        required=True,
        help='such as "cosine(peak=3e-4, warmup=100, total=2000)"; give it several times',
    )
    command.add_argument(
        "--tuned",
        metavar="SCHEDULE",
        help="a schedule whose peak was found to be the best for its shape and length; the peaks that do the same for "
        "the others follow, whatever distance and gradient norms are",
    )
    command.add_argument(
        "--distance", type=amount, default=1.0, metavar="D", help="from the start to the minimum; 1 by default"
    )
    command.add_argument("--gradient", type=amount, default=1.0, metavar="G", help="largest norm of a gradient; 1")
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> None:
    """Print the bound of each schedule, or the peaks that a tuned one gives them."""
    schedules = [parse(text) for text in args.schedule]
    if args.tuned is None:
        return _bounds(schedules, args)
    refuse(args, ["--distance", "--gradient"], "drops out where peaks are carried over (--tuned); leave it out")
    found = transfers(parse(args.tuned), schedules)
    if args.json:
        return args.show(
            [
                {"schedule": t.schedule.text, "peak": t.peak, "factor": t.factor, "bound_over_tuned": t.bound}
                for t in found
            ]
        )
    rows = [(f"{t.peak:.4g}", f"{t.factor:.4g}", f"{t.bound:.4f}", t.schedule.text) for t in found]
    print_columns(("peak", "factor", "bound", "schedule"), rows)
    print("peak: the best by the bound; factor: on all rates of the schedule; bound: over that of the tuned schedule.")
    return None


def _bounds(schedules: Sequence[Schedule], args: argparse.Namespace) -> None:
    found = [(s, bound(s, args.distance, args.gradient)) for s in schedules]
    if args.json:
        return args.show(
            [
                {
                    "schedule": s.text,
                    "bound": b.value,
                    "distance_term": b.distance,
                    "noise_term": b.noise,
                    "best_factor": b.best_factor,
                    "best_peak": b.best_factor * s.peak,
                    "lowest_bound": b.lowest,
                }
                for s, b in found
            ]
        )
    rows = [
        (
            f"{b.value:.6g}",
            f"{b.distance:.6g}",
            f"{b.noise:.6g}",
            f"{b.best_factor:.6g}",
            f"{b.best_factor * s.peak:.4g}",
            f"{b.lowest:.6g}",
            s.text,
        )
        for s, b in found
    ]
    print_columns(("bound", "distance", "noise", "factor", "peak", "lowest", "schedule"), rows)
    print("factor: of all rates, for the lowest bound; peak: the highest rate then; lowest: that bound.")

"""The command `refine`: a schedule from the gradient norms that a run logged."""

import argparse

from ..readers import Source
from ..readers.norms import gradient_norms
from ..schedules import refined
from ..schedules.refinement import POWERS
from .options import amount, file


def add(command: argparse.ArgumentParser) -> None:
    """Options of `refine`."""
    command.set_defaults(run=run)
    command.add_argument("path", type=file, metavar="PATH", help="log of one run with steps and gradient norms")
    command.add_argument("--peak", required=True, type=amount, metavar="LR", help="highest rate")
    command.add_argument(
        "--norm",
        default="l2",
        help=f"the norm that was logged, of {', '.join(POWERS)}: l2 for SGD, l1 for Adam; l2 by default. The l2 norms "
        "that trainers log under AdamW fit neither: as l1 they give Adam's schedule where both norms go alike",
    )
    command.add_argument(
        "--smoothing",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="width of the running median as a share of the norms; 0.1, or 0 for none",
    )
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> tuple[str, ...]:
    """Print it; what was not taken from the log as it stood comes back as remarks."""
    steps, norms = gradient_norms(Source(str(args.path), args.path))
    found = refined(steps.tolist(), norms.tolist(), args.peak, norm=args.norm, smoothing=args.smoothing)
    if args.json:
        args.show({"schedule": found.schedule.text, "norms": len(norms), "notes": list(found.notes)})
    else:
        print(found.schedule.text)
    return found.notes

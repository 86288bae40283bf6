"""The command `optimize`: the best schedule under a fitted law, beside the best simple shape."""

import argparse

from ..bands import with_bands
from ..errors import OptLawsError
from ..optimize import Limits, best_schedule, best_simple
from ..prediction import sized
from .shared import amount, print_json, step


def add(command: argparse.ArgumentParser) -> None:
    """Options of `optimize`, besides those of the fit."""
    command.add_argument("--peak", required=True, type=amount, metavar="LR", help="highest rate")
    length = command.add_mutually_exclusive_group(required=True)
    length.add_argument("--total", type=step, metavar="T", help="updates in all")
    length.add_argument("--tokens", type=amount, metavar="D", help="tokens in all; needs the tokens of an update")
    command.add_argument("--warmup", type=step, default=0, metavar="W", help="updates of linear warm-up")
    command.add_argument("--floor", type=float, default=0.0, metavar="LR", help="lowest rate after the warm-up")
    command.add_argument("--slope", type=amount, metavar="S", help="largest change of the rate between two updates")
    command.add_argument("--knots", type=int, default=40, metavar="K", help="knots of the curve; 40")
    command.add_argument("--may-rise", action="store_true", help="let the rate rise after the warm-up, too")
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args, load) -> list[str]:
    """Find it; `load` reads the fit."""
    model = sized(load(args.fit), args.params, args.batch_tokens)
    total = args.total if args.tokens is None else _updates(args.tokens, model.coverage.batch_tokens, args.batch_tokens)
    limits = Limits(args.peak, total, args.warmup, args.floor, args.slope, args.knots, not args.may_rise)
    best = best_schedule(model, limits)
    simple = best_simple(model, limits, best)
    known = with_bands(model, best.schedule)
    half = None
    if known.prediction is not None:
        low, high = known.band(known.prediction)
        half = float(high[-1] - low[-1]) / 2
    if args.json:
        print_json({
            "schedule": best.schedule.text, "final_loss": best.loss,
            "smooth": {"schedule": best.smooth.text, "final_loss": best.smooth_loss},
            "simple": {"name": simple.name, "schedule": simple.schedule.text, "final_loss": simple.loss,
                       "share": simple.share},
            "band": half, "finished": best.finished,
        })  # fmt: skip
    else:
        print(f"{best.loss:.6f}  {best.schedule.text}")
        if best.smooth != best.schedule:
            print(f"{best.smooth_loss:.6f}  {best.smooth.text}")
        print(f"{simple.loss:.6f}  {simple.schedule.text}")
    said = [] if best.finished else ["The search stopped before it had converged."]
    if half is not None and simple.loss - best.loss < half:
        said.append(
            f"The best curve gains {simple.loss - best.loss:.2g} over {simple.name}, less than the prediction band's "
            f"half-width of {half:.2g}."
        )
    if best.smooth != best.schedule:
        said.append("The first schedule has a jump: under this law it gains, but look for a run with one first.")
    return said


def _updates(tokens: float, trained: tuple[float, float] | None, given: float | None) -> int:
    batch = given or (trained[0] if trained and trained[0] == trained[1] else None)
    if batch is None:
        raise OptLawsError("--tokens needs --batch-tokens: the training runs had no one number of tokens in an update.")
    return round(tokens / batch)

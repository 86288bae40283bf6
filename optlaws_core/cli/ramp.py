"""The command `ramp`: how early the batch may grow under a fit, and what that saves."""

import argparse

from ..fitting.result import Model
from ..optimize.batch_search import LARGEST, WITHIN, Growth, growths
from ..prediction.losses import predict
from ..schedules import Schedule, parse
from ..text import format_number, percent
from .model import add_model, curve_model
from .options import print_columns, share

BESIDE = (
    "All read as many tokens as {}, to within 1 %; that ends at {:.6f}. Differences to it are those of final losses, "
    "in brackets their 90 % intervals."
)
NOWHERE = (
    "Wherever the batch grows, the final loss is predicted more than {} % higher, or whole updates do not come to as "
    "many tokens."
)


def add(command: argparse.ArgumentParser) -> None:
    """Options of `ramp`."""
    command.set_defaults(run=run)
    add_model(command)
    command.add_argument("--schedule", required=True, help="the learning-rate schedule, with a constant batch so far")
    command.add_argument(
        "--largest", type=_times, default=8.0, metavar="8x", help="largest batch, in multiples of the usual one; 8x"
    )
    command.add_argument(
        "--within",
        type=share,
        default=WITHIN,
        metavar="0.1%",
        help=f"how far above one batch the final loss may be predicted, a share of it; {_short(WITHIN)}%%",
    )
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> list[str]:
    """Print the plans; what speaks against them comes back as remarks."""
    model, schedule = curve_model(args), parse(args.schedule)
    found = growths(model, schedule, args.largest, args.within)
    if args.json:
        args.show([_plain(one) for one in found])
    elif found:
        _print(model, schedule, found)
    return [*model.doubts, *(_doubts(found) if found else [NOWHERE.format(_short(args.within))])]


def _print(model: Model, schedule: Schedule, found: list[Growth]) -> None:
    print_columns(
        ("batch", "grows after", "updates", "saved", "final loss", "difference"),
        [
            (
                f"{format_number(g.times)}x",
                f"{percent(g.share)} of the tokens" if g.share else "from the start",
                f"{g.plan.total:,}",
                percent(g.saved),
                f"{g.loss:.6f}",
                _difference(g),
            )
            for g in found
        ],
    )
    for one in found:
        print(one.plan.text)
    print(BESIDE.format(schedule.text, float(predict(model, schedule)[0])))


def _short(share: float) -> str:
    """In per cent, without what rounds to nothing."""
    return f"{100 * share:.3g}"


def _difference(one: Growth) -> str:
    low, high = one.pair.low, one.pair.high
    return f"{one.pair.difference:+.6f}" + ("" if low is None or high is None else f" ({low:+.6f} to {high:+.6f})")


def _doubts(found: list[Growth]) -> list[str]:
    """What speaks against the plans, each once."""
    said = dict.fromkeys(reason for one in found for reason in one.reasons if not reason.startswith("a batch schedule"))
    beyond = [f"This extrapolates: {'; '.join(said)}."] if said else []
    return [
        "The training runs had one batch each: docs/measured.md has the errors of laws on batch schedules.",
        *beyond,
    ]


def _plain(one: Growth) -> dict:
    """A plan in JSON."""
    return {
        "plan": one.plan.text,
        "times": one.times,
        "grows_after": one.share,
        "updates": one.plan.total,
        "saved": one.saved,
        "final_loss": one.loss,
        "difference": one.pair.difference,
        "low": one.pair.low,
        "high": one.pair.high,
        "p_below": one.pair.p_below,
        "reasons": list(one.reasons),
    }


def _times(text: str) -> float:
    """A multiple of the batch, `8x` or `8`."""
    try:
        found = float(text.lower().removesuffix("x"))
    except ValueError:
        found = 0.0
    if not 2 <= found <= LARGEST:
        raise argparse.ArgumentTypeError(f"a multiple of the batch is 2x to {LARGEST:.0f}x, got {text[:40]!r}")
    return found

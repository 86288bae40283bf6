"""The command `plan`: what published laws recommend before a run, and the laws of one's own sweep.

Each of its parts is a table of the Plan page, from the same function of `optlaws_core.hyper`. The parts on compute, on
another batch and on sparse models are here, the larger ones in `plan_rates.py`, `plan_sweep.py` and `plan_public.py`;
the last one shows what the Schedules page does.
"""

import argparse
from dataclasses import asdict

from ..hyper import HYPER_LAWS, compute_splits, other_batch, sparse_models
from ..hyper.advice import AXES, BITS, FAMILIES, MAP_POINTS, POINTS
from ..hyper.scaling import MUP, REPEATS, at_width, width_said
from ..hyper.sweep_cells import COLUMNS
from ..schedules.public_plans import PUBLIC_PLANS
from ..text import format_amount
from .options import amount, file, print_columns, share
from .plan_public import public
from .plan_rates import check_units, rates
from .plan_sweep import sweep


def add(command: argparse.ArgumentParser) -> None:
    """The parts and their options."""
    parts = command.add_subparsers(required=True, metavar="rates|compute|batch|width|sparse|sweep|public")

    def add_one(name: str, run, help: str) -> argparse.ArgumentParser:
        sub = parts.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    laws = add_one("rates", rates, "the peak learning rate and the batch by every published law, and what goes with it")
    _add_setting(laws)
    laws.add_argument(
        "--batch",
        type=amount,
        metavar="B",
        help="tokens per update where that is fixed, which only the Power Scheduler's rate uses; by default the "
        "Step Law's",
    )
    laws.add_argument(
        "--loss",
        type=amount,
        metavar="L",
        help="final loss in nats per token, which MiniCPM's and Kaplan's batches go with; by default that of the "
        "refitted Chinchilla law",
    )
    laws.add_argument("--bits", type=amount, default=BITS, metavar="b", help=f"bits of a quantised weight; {BITS:g}")
    laws.add_argument(
        "--family",
        choices=FAMILIES,
        metavar="FAMILY",
        help=f"also print each law's answer as a schedule of this family: {', '.join(FAMILIES)}",
    )
    laws.add_argument(
        "--over",
        choices=(*AXES, "both"),
        help=f"instead, follow the laws over D ({POINTS} values of tokens), over N (params), or one law over both "
        f"({MAP_POINTS} values each), from 1/30 to 30 times what is given",
    )
    laws.add_argument(
        "--law", choices=tuple(HYPER_LAWS), metavar="LAW", help=f"with --over both: {', '.join(HYPER_LAWS)}"
    )

    compute = add_one("compute", _compute, "the model size and the tokens that a compute budget buys")
    compute.add_argument("flop", type=amount, metavar="FLOP", help="floating-point operations in total, 6·N·D: 1e21")
    compute.add_argument(
        "--unique", type=amount, metavar="D", help="tokens that there are; beyond them text is repeated"
    )

    batch = add_one("batch", _batch, "the learning rate at another batch, by several rules")
    batch.add_argument("--lr", required=True, type=amount, metavar="LR", help="a learning rate known to be good")
    batch.add_argument(
        "--from", dest="at", required=True, type=amount, metavar="B", help="tokens (or samples) per update, at it"
    )
    batch.add_argument("--to", required=True, type=amount, metavar="B", help="the other batch, in the same unit")
    batch.add_argument(
        "--noise",
        type=amount,
        metavar="B",
        help="the noise scale: the batch at which gradient noise is as large as the gradient, often called the "
        "critical batch; two of the rules need it",
    )

    width = add_one("width", _width, "the learning rate of hidden matrices at another width, by µP")
    width.add_argument("--lr", required=True, type=amount, metavar="LR", help="a learning rate known to be good")
    width.add_argument("--from", dest="at", required=True, type=amount, metavar="W", help="width of the model at it")
    width.add_argument("--to", required=True, type=amount, metavar="W", help="the other width")

    sparse = add_one("sparse", _sparse, "models whose weights are zero, or whose experts are idle")
    _add_setting(sparse)
    sparse.add_argument(
        "--share", type=share, default=0.5, metavar="S", help="of weights that are zero, or idle at a token; 0.5"
    )
    sparse.add_argument(
        "--granularity",
        type=amount,
        default=1.0,
        metavar="G",
        help="into how many parts an expert of the usual size is split; 1",
    )

    own = add_one("sweep", sweep, "the best learning rate and batch of your own sweep, and power laws through them")
    own.add_argument(
        "table", type=file, metavar="TABLE.csv", help=f"one row per run: {', '.join(COLUMNS)}, or usual short names"
    )
    own.add_argument("--columns", nargs="+", default=[], metavar="OURS=THEIRS", help="other names for these columns")
    own.add_argument(
        "--unit",
        type=amount,
        default=1.0,
        metavar="T",
        help="tokens in one unit of the batch column, such as the length of a sequence; 1",
    )
    own.add_argument("--sure", action="store_true", help="take unlikely units as they are")
    own.add_argument("--params", type=amount, metavar="N", help="model size to predict for, together with --tokens")
    own.add_argument("--tokens", type=amount, metavar="D", help="length to predict for, together with --params")

    published = add_one("public", public, "training plans that were published with large models, to start from")
    published.add_argument("name", nargs="?", metavar="NAME", help=f"one of them: {', '.join(PUBLIC_PLANS)}")
    published.add_argument("--text", action="store_true", help="the text form alone, as --schedule takes it")

    for sub in (laws, compute, batch, width, sparse, own, published):
        sub.add_argument("--json", action="store_true", help="as JSON")


def _add_setting(command: argparse.ArgumentParser) -> None:
    """What is to be trained."""
    command.add_argument("--params", required=True, type=amount, metavar="N", help="model size without embeddings: 7B")
    command.add_argument("--tokens", required=True, type=amount, metavar="D", help="tokens of the whole training: 300B")
    command.add_argument("--sure", action="store_true", help="take unlikely units as they are")


def _compute(args: argparse.Namespace) -> None:
    found = compute_splits(args.flop, args.unique)
    if args.json:
        return args.show(
            [
                {
                    "law": s.name,
                    "title": s.way.title,
                    "params": s.params,
                    "tokens": s.tokens,
                    "fresh_tokens": s.fresh,
                    "tokens_per_parameter": s.ratio,
                    "loss": s.loss,
                    "sure": s.way.sure,
                    "reference": s.way.reference,
                }
                for s in found
            ]
        )
    fresh = ("fresh",) if args.unique else ()
    rows = [
        (
            s.way.title,
            format_amount(s.params, 3),
            format_amount(s.tokens, 3),
            *((format_amount(s.fresh, 3),) if s.fresh is not None else ()),
            f"{s.ratio:.1f}",
            f"{s.loss:.4f}",
            s.way.sure,
            s.way.reference,
        )
        for s in found
    ]
    print_columns(("law", "params", "tokens", *fresh, "a param", "loss", "constants", "source"), rows)
    print("Losses are those of the refitted Chinchilla law, which ignores repeats.")
    if args.unique:
        print(f"fresh: the number of tokens seen once that are worth as much; repeats count less ({REPEATS}).")


def _batch(args: argparse.Namespace) -> list[str]:
    found = other_batch(args.lr, args.at, args.to, args.noise)
    if args.json:
        args.show(
            {
                "rules": [
                    {
                        "rule": r.name,
                        "title": r.rule.title,
                        "lr": r.lr,
                        "meaning": r.rule.meaning,
                        "sure": r.rule.sure,
                        "reference": r.rule.reference,
                    }
                    for r in found.rates
                ],
                "beta1": found.adam and found.adam[0],
                "beta2": found.adam and found.adam[1],
                "epsilon": found.adam and found.adam[2],
                "steps_over_fewest": found.steps,
                "tokens_over_fewest": found.tokens,
            }
        )
    else:
        rows = [
            (r.rule.title, "needs --noise" if r.lr is None else f"{r.lr:.3g}", r.rule.sure, r.rule.meaning)
            for r in found.rates
        ]
        print_columns(("rule", "LR", "constants", "meaning"), rows)
        for said in filter(None, (found.adam_said, found.cost_said)):
            print(said)
    return [found.doubt] if found.doubt else []


def _width(args: argparse.Namespace) -> None:
    rate = at_width(args.lr, args.at, args.to)
    if args.json:
        return args.show({"lr": rate, "multiplier": args.to / args.at, "reference": MUP})
    print(width_said(args.lr, args.at, args.to))


def _sparse(args: argparse.Namespace) -> None:
    check_units(args)
    found = sparse_models(args.params, args.tokens, args.share, args.granularity)
    if args.json:
        return args.show([asdict(row) | {"says": row.says, "standing": row.standing} for row in found])
    print_columns(
        ("law", "says", "constants", "its fitted range", "for"),
        [(r.title, r.says, r.sure, r.standing, r.given) for r in found],
    )

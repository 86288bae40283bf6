"""The command `propose`: the few cheap runs that make the decision between candidates surest within a budget."""

import argparse

from ..errors import OptLawsError
from ..fitting.result import Model
from ..optimize.limits import FLOPS_PER_TOKEN, updates_within
from ..prediction.cheap_runs import CheapRun
from ..prediction.outlook import Outlook
from ..prediction.proposals import MOST, Proposal, nothing, propose_runs
from ..schedules import parse
from ..text import chance, counted, format_amount
from .model import add_model, curve_model
from .options import amount, logs, refuse, step
from .read import everything

NOT_TOLD = "Without --runs it is not known which schedules were run, so one of them may be proposed again."


def add(command: argparse.ArgumentParser) -> None:
    """Options of `propose`."""
    command.set_defaults(run=run)
    add_model(command)
    command.add_argument("--schedule", action="append", required=True, help="a candidate; give it several times")
    budget = command.add_mutually_exclusive_group(required=True)
    budget.add_argument("--updates", type=step, metavar="T", help="the total cost of the runs, in updates")
    budget.add_argument("--tokens", type=amount, metavar="D", help="the same in tokens, such as 100M")
    budget.add_argument("--flops", type=amount, metavar="C", help="the same in compute, such as 2e15: 6·N·D")
    budget.add_argument("--hours", type=amount, metavar="H", help="the same in hours, with --tokens-per-second")
    command.add_argument("--tokens-per-second", type=amount, metavar="R", help="the measured speed of training")
    command.add_argument(
        "--runs",
        type=logs,
        metavar="PATH",
        help="logs of the runs at hand: cooldowns may start from their checkpoints, which costs only the cooldown",
    )
    command.add_argument("--most", type=step, default=MOST, metavar="N", help=f"runs at most; {MOST}")
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> list[str]:
    """Print what to train next; what speaks against the fit comes back as remarks."""
    model = curve_model(args)
    updates = _updates(model, args)
    at_hand = () if args.runs is None else everything(str(args.runs)).runs
    found = propose_runs(model, [parse(s) for s in args.schedule], updates, runs=at_hand, most=args.most)
    if args.json:
        args.show(_as_json(model, found))
    else:
        _print(model, found)
    return [*model.doubts, *([] if at_hand else [NOT_TOLD])]


def _updates(model: Model, args: argparse.Namespace) -> int:
    """Updates that the budget pays for. Raises `OptLawsError` for hours without a speed, and like `updates_within`."""
    if args.hours is None:
        refuse(args, ["--tokens-per-second"], "is for a budget in --hours")
    elif args.tokens_per_second is None:
        raise OptLawsError("A budget in --hours needs --tokens-per-second, the measured speed of training.")
    if args.updates is not None:
        return args.updates
    tokens = args.tokens if args.hours is None else 3600 * args.hours * args.tokens_per_second
    return updates_within(model.coverage, tokens=tokens, flops=args.flops)


def _as_json(model: Model, found: Proposal) -> dict:
    return {
        "now": _outlook(found.now),
        "runs": [
            {
                "schedule": p.run.schedule.text,
                "from_run": p.run.parent,
                "from_update": p.run.at,
                **_costs(model, p.run.updates),
                "then": _outlook(p.then),
                "reasons": list(p.reasons),
            }
            for p in found.runs
        ],
        "cost": _costs(model, found.updates),
    }


def _outlook(found: Outlook) -> dict:
    return {"p_wrong": found.wrong, "regret": found.regret}


def _costs(model: Model, updates: int) -> dict[str, float | None]:
    """Updates, tokens and FLOPs of training; None where the model size or the batch is not known."""
    params, batch_tokens = model.coverage.usual
    tokens = None if batch_tokens is None else updates * batch_tokens
    flops = None if tokens is None or params is None else FLOPS_PER_TOKEN * params * tokens
    return {"updates": updates, "tokens": tokens, "flops": flops}


def _print(model: Model, found: Proposal) -> None:
    print(f"Now:  {_said(found.now)}")
    for i, proposed in enumerate(found.runs, 1):
        print(f"{i}.    {proposed.run.schedule.text}")
        print(f"      {_told(model, proposed.run)}; then {_said(proposed.then)}")
        if proposed.reasons:
            print(f"      extrapolates: {'; '.join(proposed.reasons)}")
    if not found.runs:
        print(nothing(model))


def _said(found: Outlook) -> str:
    return f"{chance(found.wrong)} to choose wrong, expected regret {found.regret:.6f}"


def _told(model: Model, run: CheapRun) -> str:
    """What a run costs and where it begins."""
    costs = _costs(model, run.updates)
    said = counted(run.updates, "update")
    if costs["tokens"] is not None:
        said += f", {format_amount(costs['tokens'], 3)} tokens"
    if costs["flops"] is not None:
        said += f", {costs['flops']:.2g} FLOPs"
    return said + (f", from the checkpoint of {run.parent} at update {run.at:,}" if run.parent is not None else "")

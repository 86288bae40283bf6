"""The part `plan public`: training plans that were published with large models, as text and with their sources."""

import argparse
from dataclasses import asdict
from textwrap import wrap

from ..errors import OptLawsError
from ..schedules.public_plans import PUBLIC_PLANS, PublicPlan
from ..text import format_amount
from .options import print_columns, quoted, refuse

WIDTH = 100  # characters of a line of prose


def public(args: argparse.Namespace) -> None:
    """All plans in a table, or one with what its source states and leaves open."""
    if args.name is None:
        refuse(args, ["--text"], "is for one plan: name it")
        return _all(args)
    if args.name not in PUBLIC_PLANS:
        raise OptLawsError(f"Unknown public plan {quoted(args.name)}. Known plans: {', '.join(PUBLIC_PLANS)}.")
    if args.text and args.json:
        raise OptLawsError("--text prints the plan alone, so --json has no place beside it.")
    found = PUBLIC_PLANS[args.name]
    if args.text:
        print(found.plan.text)
    elif args.json:
        args.show(_plain(found))
    else:
        _one(found)


def _all(args: argparse.Namespace) -> None:
    if args.json:
        return args.show([_plain(found) for found in PUBLIC_PLANS.values()])
    rows = [
        (f.name, f.title, f"{f.plan.total:,}", format_amount(f.tokens, 3), f.when, f.source)
        for f in PUBLIC_PLANS.values()
    ]
    print_columns(("name", "plan", "updates", "tokens", "when", "source"), rows)
    print("A name after the command prints that plan, what its source states and what it leaves open.")


def _one(found: PublicPlan) -> None:
    print(f"{found.title}. {found.who}, {found.when}.")
    print(f"{found.source}\n{found.url}\nRead: {found.read}.\n\n{found.plan.text}\n")
    rows = [(s.told, s.written(s.value), s.written(found.found(s))) for s in found.stated]
    print_columns(("what the source states", "value", "here"), rows)
    print("\nLeft out, or left open by the source:")
    for sentence in found.left_out:
        print("\n".join(wrap(sentence, WIDTH, initial_indent="- ", subsequent_indent="  ")))


def _plain(found: PublicPlan) -> dict:
    """A plan as plain values."""
    said = {k: getattr(found, k) for k in ("name", "title", "who", "when", "source", "url", "read", "left_out")}
    stated = [asdict(s) | {"found": found.found(s)} for s in found.stated]
    return said | {"plan": found.plan.text, "updates": found.plan.total, "tokens": found.tokens, "stated": stated}

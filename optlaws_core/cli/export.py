"""The command `export`: a schedule as a trainer's configuration or code, or as a table of rates."""

import argparse

from ..exports import TABLES, TARGETS, export
from ..exports.tables import ROWS
from ..schedules import parse
from .options import check_out, output, step


def add(command: argparse.ArgumentParser) -> None:
    """Options of `export`."""
    command.set_defaults(run=run)
    command.add_argument("--schedule", required=True, help='such as "cosine(peak=3e-4, warmup=100, total=2000)"')
    command.add_argument("--to", required=True, metavar="TARGET", help=", ".join(TARGETS))
    command.add_argument(
        "--steps",
        type=step,
        metavar="N",
        help=f"about how many rows a table ({', '.join(TABLES)}) has; {ROWS}. Steps at which the "
        "schedule bends are always among them; from the number of updates on, every update is, "
        "and the end as the last row",
    )
    command.add_argument(
        "--sequence-length",
        type=step,
        metavar="N",
        help="tokens in a sequence: Megatron-LM and levanter need it for the batch of a plan",
    )
    out = command.add_mutually_exclusive_group()
    out.add_argument("--out", type=output, metavar="FILE", help="file to write to; by default stdout")
    out.add_argument("--json", action="store_true", help="as JSON: the text, whether it is exact, and the reasons")


def run(args: argparse.Namespace) -> tuple[str, ...]:
    """Write or print it; where it is not exact, or not what the trainer takes, the reasons come back as remarks."""
    if args.out:
        check_out("--out", args.out)
    found = export(parse(args.schedule), args.to, args.steps, args.sequence_length)
    if args.out:
        args.out.write_text(found.text, encoding="utf-8")
    elif args.json:
        args.show({"to": args.to, "text": found.text, "exact": found.exact, "notes": list(found.notes)})
    else:
        print(found.text, end="")
    return found.remarks

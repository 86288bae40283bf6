"""The command line: `python -m optlaws_core COMMAND`.

Exit code 0 on success, 1 on bad input with one line on stderr, 130 when stopped with Ctrl-C. Where a command succeeds
without some of its files or runs, or with a fit that is in doubt, stderr names each with the reason.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields

from ..errors import FitError, OptLawsError, unread
from ..exports import TABLES, TARGETS, export
from ..exports.tables import ROWS
from ..final_loss import FINAL_LAWS
from ..laws import LAWS
from ..schedules import SCHEDULES, parse
from ..text import one_line
from . import best, curves, refine, share, stages
from .logs import everything, unread_files
from .shared import Parser, check_out, path, print_json, step

STOPPED = 130  # what a shell expects of a command that Ctrl-C ended: 128 and the signal's number


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    _open_streams()
    try:
        args = _parser().parse_args(argv)
        remarks = args.run(args) or ()
        sys.stdout.flush()
        _tell(remarks)
    except (OptLawsError, FitError) as fault:
        return _failed(fault)
    except KeyboardInterrupt:
        _tell(["Stopped."])
        return STOPPED
    except OverflowError as fault:
        return _failed(f"A number is too large to be worked with ({fault}).")
    except BrokenPipeError:  # `… | head` closed the pipe: not an error
        _drop_stdout()
    except OSError as fault:
        if fault.filename is None:
            _drop_stdout()
        return _failed(f"{fault.filename or 'The output'}: {unread(fault)}.")
    return 0


def _open_streams() -> None:
    """Streams that take any text: a closed one swallows it, and what an encoding lacks is written as an escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _drop_stdout() -> None:
    """Send what is still to be written nowhere, so that Python does not fail on it once more when it ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(fault: object) -> int:
    _tell([str(fault)])
    return 1


def _tell(remarks: Iterable[str]) -> None:
    """Each remark as one line on stderr."""
    for remark in remarks:
        print(one_line(remark), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m optlaws_core", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    laws = command("laws", _laws, "list the laws that can be fitted")
    laws.add_argument("--of", choices=("curves", "final"), default="curves", help="laws of whole loss curves, or of "
                      "final losses")  # fmt: skip
    laws.add_argument("--json", action="store_true", help="as JSON")
    schedules = command("schedules", _schedules, "list the schedule families and their fields")
    schedules.add_argument("--json", action="store_true", help="as JSON")

    reading = command("read", _read, "say what is in log files")
    reading.add_argument("paths", nargs="+", metavar="PATH", help="log file, manifest CSV, or a folder of them")
    reading.add_argument("--json", action="store_true", help="as JSON")

    curves.add_fit(command("fit", curves.run_fit, "fit a law to runs and score it on held-out runs"))
    curves.add_select(command("select", curves.run_select, "fit several laws, say which to trust, and average them"))
    curves.add_predict(command("predict", curves.run_predict, "predict the losses of one schedule"))
    curves.add_rank(command("rank", curves.run_rank, "rank schedules by predicted final loss"))

    optimizing = command("optimize", best.run, "find the best schedule under a fit")
    curves.add_model(optimizing)
    best.add(optimizing)

    stages.add(command("autolrs", stages.run, "propose the next stage's rate as AutoLRS does, or simulate a run"))

    refining = command("refine", refine.run, "make a schedule of logged gradient norms")
    refine.add(refining)

    exporting = command("export", _export, "write a schedule in the words of a trainer")
    exporting.add_argument("--schedule", required=True, help='such as "cosine(peak=3e-4, warmup=100, total=2000)"')
    exporting.add_argument("--to", required=True, metavar="TARGET", help=", ".join(TARGETS))
    exporting.add_argument("--steps", type=step, metavar="N",
                           help=f"about how many rows a table ({', '.join(TABLES)}) has; {ROWS}. Steps at which the "
                                "schedule bends are always among them; from the number of updates on, every update is, "
                                "and the end as the last row")  # fmt: skip
    exporting.add_argument("--out", type=path, metavar="FILE", help="file to write to; by default stdout")

    sharing = commands.add_parser("share", help="saved comparisons: list, export, import")
    share.add(sharing)
    return parser


def _laws(args) -> None:
    rows = [
        {
            "law": law.name,
            "title": law.title,
            "summary": law.summary,
            "reference": law.reference,
            "formula": law.latex,
            "params": [
                {"name": p.name, "meaning": p.meaning, "low": p.low, "high": p.high, "scale": p.scale}
                for p in law.params
            ],
        }
        for law in (LAWS if args.of == "curves" else FINAL_LAWS).values()
    ]
    if args.json:
        return print_json(rows)
    for row in rows:
        print(f"{row['law']:16} {row['title']}. {row['summary']}\n{'':16} {row['reference']}")


def _schedules(args) -> None:
    rows = [
        {
            "schedule": name,
            "summary": cls.summary,
            "formula": cls.formula,
            "fields": [
                {
                    "name": f.name,
                    "required": f.default is MISSING,
                    "default": None if f.default is MISSING else f.default,
                    "unit": f.metadata["unit"],
                    "meaning": f.metadata["meaning"],
                }
                for f in fields(cls)
            ],
        }
        for name, cls in SCHEDULES.items()
    ]
    if args.json:
        return print_json(rows)
    for row in rows:
        given = ", ".join(f["name"] if f["required"] else f"{f['name']}={f['default']}" for f in row["fields"])
        print(f"{row['schedule']}({given})\n    {row['summary']}")


def _read(args) -> list[str]:
    reading = everything(*args.paths)
    rows = reading.rows()
    if args.json:
        print_json(rows)
    for row in () if args.json else rows:
        print(
            f"{row['run']}: {row['points']:,} points, steps {row['first_step']:,} to {row['last_step']:,}, "
            f"{row['format']}, learning rate {row['lr_source']}"
        )
        for note in row["notes"]:
            print(f"    {note}")
    return unread_files(f for f in reading.files if not f.runs)  # what other files lack stands in their runs' notes


def _export(args) -> tuple[str, ...]:
    if args.out:
        check_out("--out", args.out)
    found = export(parse(args.schedule), args.to, args.steps)
    if args.out:
        args.out.write_text(found.text, encoding="utf-8")
    else:
        print(found.text, end="")
    return () if found.exact else found.notes

"""The command line: `optlaws COMMAND`, or `python -m optlaws_core COMMAND`.

Exit code 0 on success, 1 on bad input with one line on stderr, 130 when stopped with Ctrl-C. Where a command succeeds
without some of its files or runs, or with a fit that is in doubt, stderr names each with the reason.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields

from optlaws_core import __version__

from ..errors import FitError, OptLawsError, unread
from ..final_loss import FINAL_LAWS
from ..laws import LAWS
from ..schedules import SCHEDULES
from ..text import one_line
from . import autolrs, export, fit, optimize, predict, rank, read, refine, select, share
from .options import Parser, print_json

STOPPED = 130  # what a shell expects of a command that Ctrl-C ended: 128 and the signal's number


def main(argv: Sequence[str] | None = None, name: str = "python -m optlaws_core") -> int:
    """Run one command; returns the exit code. `name` is what the program is called by in its own texts."""
    _open_streams()
    try:
        args = _parser(name).parse_args(argv)
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


def _parser(name: str) -> argparse.ArgumentParser:
    parser = Parser(prog=name, description="Fit laws to training logs, and rank learning-rate schedules by them.")
    parser.add_argument("--version", action="version", version=f"optlaws {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    laws = command("laws", _laws, "list the laws that can be fitted")
    laws.add_argument(
        "--of", choices=("curves", "final"), default="curves", help="laws of whole loss curves, or of final losses"
    )
    laws.add_argument("--json", action="store_true", help="as JSON")
    schedules = command("schedules", _schedules, "list the schedule families and their fields")
    schedules.add_argument("--json", action="store_true", help="as JSON")

    read.add(command("read", read.run, "say what is in log files"))
    fit.add(command("fit", fit.run, "fit a law to runs and score it on held-out runs"))
    select.add(command("select", select.run, "fit several laws, say which to trust, and average them"))
    predict.add(command("predict", predict.run, "predict the losses of one schedule"))
    rank.add(command("rank", rank.run, "rank schedules by predicted final loss"))
    optimize.add(command("optimize", optimize.run, "find the best schedule under a fit"))
    autolrs.add(command("autolrs", autolrs.run, "propose the next stage's rate as AutoLRS does, or simulate a run"))
    refine.add(command("refine", refine.run, "make a schedule of logged gradient norms"))
    export.add(command("export", export.run, "write a schedule in the words of a trainer"))
    sharing = commands.add_parser("share", help="saved comparisons: list, export, import")
    share.add(sharing)
    return parser


def _laws(args: argparse.Namespace) -> None:
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


def _schedules(args: argparse.Namespace) -> None:
    rows: list[dict] = [
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

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
from importlib import import_module
from typing import TYPE_CHECKING

from optlaws_core import __version__

from ..errors import FitError, OptLawsError, unread
from ..schedules import SCHEDULES, Schedule, parse
from ..text import format_number, one_line
from .options import Parser

if TYPE_CHECKING:
    from ..final_loss import FinalLaw
    from ..laws import Law

COMMANDS = {
    "laws": "list the laws that can be fitted",
    "schedules": "list the schedule families and their fields",
    "read": "show what log files contain",
    "fit": "fit a law to runs and score it on held-out runs",
    "select": "fit several laws, say which to trust, and average them",
    "predict": "predict the losses of one schedule",
    "rank": "rank schedules by predicted final loss",
    "forecast": "forecast where runs in progress will end",
    "propose": "propose the cheap runs that make a ranking most certain",
    "optimize": "find the best schedule under a fit",
    "ramp": "how early the batch may grow under a fit, and the updates that this saves",
    "autolrs": "propose the next stage's rate as AutoLRS does, or simulate a run",
    "plan": "learning rate, batch, size and length before a run: published laws, and your own sweep",
    "bound": "the convex last-iterate bound of schedules, and peaks carried over from a tuned one",
    "refine": "make a schedule from logged gradient norms",
    "watch": "report what changes in runs in progress: a rising loss, a new forecast",
    "export": "write a schedule as a trainer's configuration or code",
    "share": "saved comparisons: list, export, write for a paper, import, send; the schema of their files",
    "mcp": "serve the other commands to agents as tools, by the Model Context Protocol",
}
# What a word of the command line takes to load, which is seconds for most: only those that stand there are loaded.
_MODULES = {name: f".{name}" for name in COMMANDS} | {
    "laws": "..laws",
    "final": "..final_loss",
    "schedules": "..schedules",
}

FAULTS = (OptLawsError, FitError, OverflowError, OSError)  # what a command ends with where the input is at fault
MOST_RATES = 20  # of one schedule that is described
STOPPED = 130  # what a shell expects of a command that Ctrl-C ended: 128 and the signal's number


def main(argv: Sequence[str] | None = None, name: str = "python -m optlaws_core") -> int:
    """Run one command; returns the exit code. `name` is what the program is called by in its own texts."""
    _open_streams()
    try:
        words = sys.argv[1:] if argv is None else argv
        load(words)
        args = _parser(name, words).parse_args(words)
        remarks = args.run(args) or ()
        sys.stdout.flush()
        _tell(remarks)
    except KeyboardInterrupt:
        _tell(["Stopped."])
        return STOPPED
    except BrokenPipeError:  # `… | head` closed the pipe: not an error
        _drop_stdout()
    except FAULTS as fault:
        if isinstance(fault, OSError) and fault.filename is None:
            _drop_stdout()
        _tell([sentence(fault)])
        return 1
    return 0


def sentence(fault: Exception) -> str:
    """One of `FAULTS` as whoever gave the command reads it."""
    if isinstance(fault, OverflowError):
        return f"A number is too large to be worked with ({fault})."
    if isinstance(fault, OSError):
        return f"{fault.filename or 'The output'}: {unread(fault)}."
    return str(fault)


def load(words: Sequence[str]) -> None:
    """Import what a command line of these words takes to run."""
    for word in words:
        if word in _MODULES:
            import_module(_MODULES[word], __package__)


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


def _tell(remarks: Iterable[str]) -> None:
    """Each remark as one line on stderr."""
    for remark in remarks:
        print(one_line(remark), file=sys.stderr)


def _parser(name: str, words: Sequence[str]) -> argparse.ArgumentParser:
    """Every command with its help; options have those alone that are among the `words`."""
    parser = Parser(prog=name, description="Fit laws to training logs, and rank learning-rate schedules by them.")
    parser.add_argument("--version", action="version", version=f"optlaws {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command, help in COMMANDS.items():
        sub = commands.add_parser(command, help=help, description=help)
        if command in words:
            add_options(command, sub)
    return parser


def add_options(command: str, parser: Parser) -> None:
    """Everything that a command takes, for a parser of its own."""
    add = _ADD.get(command) or import_module(_MODULES[command], __package__).add
    add(parser)


def _add_laws(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_laws)
    command.add_argument(
        "--of", choices=("curves", "final"), default="curves", help="laws of whole loss curves, or of final losses"
    )
    shown = command.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="as JSON")
    shown.add_argument("--bibtex", action="store_true", help="the sources of the laws as BibTeX instead")


def _add_schedules(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_schedules)
    command.add_argument("--schedule", action="append", metavar="SCHEDULE", help="show the details of this one instead")
    command.add_argument("--json", action="store_true", help="as JSON")


_ADD = {"laws": _add_laws, "schedules": _add_schedules}


def _laws(args: argparse.Namespace) -> None:
    laws: Iterable[Law | FinalLaw]
    if args.of == "curves":
        from ..laws import LAWS

        laws = LAWS.values()
    else:
        from ..final_loss import FINAL_LAWS

        laws = FINAL_LAWS.values()
    if args.bibtex:
        from ..paper.citations import bibtex

        return print(bibtex(law.name for law in laws), end="")
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
        for law in laws
    ]
    if args.json:
        return args.show(rows)
    for row in rows:
        print(f"{row['law']:16} {row['title']}. {row['summary']}\n{'':16} {row['reference']}")


def _schedules(args: argparse.Namespace) -> None:
    if args.schedule:
        return _described([parse(text) for text in args.schedule], args)
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
        return args.show(rows)
    for row in rows:
        given = ", ".join(f["name"] if f["required"] else f"{f['name']}={f['default']}" for f in row["fields"])
        print(f"{row['schedule']}({given})\n    {row['summary']}")
    return None


def _described(schedules: Sequence[Schedule], args: argparse.Namespace) -> None:
    """Schedules as they were understood: the text form, lengths, and the rates where one formula ends."""
    rows: list[dict] = [
        {
            "schedule": s.text,
            "family": s.family,
            "summary": s.summary,
            "formula": s.formula,
            "peak": s.peak,
            "updates": s.total,
            "warmup_end": s.warmup_end,
            "rates": [[t, float(s(t))] for t in s.breaks[:MOST_RATES]],
        }
        for s in schedules
    ]
    if args.json:
        return args.show(rows)
    for row in rows:
        rates = ", ".join(f"{format_number(rate)} at {t:,}" for t, rate in row["rates"])
        print(f"{row['schedule']}\n    {row['updates']:,} updates; rates: {rates}\n    {row['summary']}")
    return None

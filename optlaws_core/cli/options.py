"""Options of the commands: their types, checks of what was typed before work begins, and JSON on stdout.

`logs`, `file`, `path` and `place` are what a command reads, `output` what it writes; the server for agents asks.
"""

import argparse
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from ..errors import OptLawsError, UnlikelyUnit
from ..runs import MOST_UPDATES
from ..schedules.entries import LARGEST
from ..text import LARGEST as MOST
from ..text import SMALLEST, format_number, parse_amount

T = TypeVar("T")
PRIORS = ("learned", "none")  # what is no path of a fit


class Once(argparse.Action):
    """Stores an option's value and notes the option in `args.given`. A second list goes on from the first; a second
    value would hide it.
    """

    def __call__(self, parser, namespace, values, option_string=None):
        name = option_string or self.dest
        if name in namespace.given and not isinstance(values, list):
            parser.error(f"argument {name}: it takes one value, and was given more than once")
        if name in namespace.given:
            values = [*getattr(namespace, self.dest), *values]
        namespace.given = {*namespace.given, name}
        setattr(namespace, self.dest, values)


class Flag(argparse.Action):
    """Notes an option without a value in `args.given`; its value is whether it stands there."""

    def __init__(self, **how) -> None:
        super().__init__(nargs=0, default=False, **how)

    def __call__(self, parser, namespace, values, option_string=None):
        namespace.given = {*namespace.given, option_string}
        setattr(namespace, self.dest, True)


class Parser(argparse.ArgumentParser):
    """Bad options are bad input like any other: one sentence. `args.given` has the options that were typed.

    `args.show` takes what a command found, as plain values; `args.watch`, where there is one, takes the share of long
    work that is done and answers whether to go on. Whoever runs a command for others sets them.
    """

    def __init__(self, *args, **how) -> None:
        super().__init__(*args, **how)
        self.set_defaults(given=frozenset(), show=print_json, watch=None)
        # What begins like a negative amount, -7B, is a value and no option: its type says what is wrong with it.
        self._negative_number_matcher = re.compile(r"-[.\d]")
        self.register("action", None, Once)
        self.register("action", "store_true", Flag)

    def error(self, message: str) -> NoReturn:
        raise OptLawsError(f"{self.prog}: {message}")


def refuse(args: argparse.Namespace, options: Iterable[str], why: str) -> None:
    """Raises `OptLawsError` for an option that was typed where it would do nothing; `why` ends the sentence."""
    if found := next((option for option in options if option in args.given), None):
        raise OptLawsError(f"{found} {why}.")


def logs(text: str) -> str:
    """A path of logs; their readers say what it must not be."""
    return text


def place(text: str) -> str:
    """A path or a URL that is given."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a path must not be empty")
    return text


def prior(text: str) -> str:
    """One of `PRIORS`, or a path of a fit."""
    return place(text)


def path(text: str) -> Path:
    """A path that is given."""
    return Path(place(text))


def output(text: str) -> Path:
    """A path to write to."""
    return path(text)


def file(text: str) -> Path:
    """A path that is no folder."""
    if (found := path(text)).is_dir():
        raise argparse.ArgumentTypeError(f"a file is needed, got the folder {quoted(text)}")
    return found


def step(text: str) -> int:
    """A step that a schedule can have."""
    try:
        found = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a step is a whole number, got {quoted(text)}") from None
    if abs(found) > LARGEST:
        raise argparse.ArgumentTypeError(f"a step may be at most {LARGEST:g}, got {quoted(text)}")
    return found


def updates(text: str) -> int:
    """A number of updates that laws can be asked about."""
    with suppress(ValueError):
        if 1 <= (found := int(text)) <= MOST_UPDATES:
            return found
    raise argparse.ArgumentTypeError(f"a number of updates from 1 to {MOST_UPDATES:,} is needed, got {quoted(text)}")


def amount(text: str) -> float:
    """A number above 0, with or without a suffix: 3e-4, 7B."""
    with suppress(OptLawsError):
        return parse_amount(text)
    ends = f"{format_number(SMALLEST)} to {format_number(MOST)}"
    raise argparse.ArgumentTypeError(f"a number above 0 is needed, got {quoted(text)} (7B, 3e-4; from {ends})")


def seconds(text: str) -> float:
    """A time of a second or more."""
    with suppress(ValueError):
        if 1 <= (found := float(text)) < 1e6:
            return found
    raise argparse.ArgumentTypeError(f"a number of seconds of 1 or more is needed, got {quoted(text)}")


def share(text: str) -> float:
    """A share of 1, which may be 0: 0.5, or 50%."""
    found = -1.0
    with suppress(ValueError):
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if 0 <= found < 1:
        return found
    raise argparse.ArgumentTypeError(f"a share is a number from 0 to below 1, got {quoted(text)}")


def quoted(text: str) -> str:
    """What was typed, in quotes and no longer than a line takes."""
    return repr(text if len(text) <= 40 else text[:39] + "…")


def check_names(train: list[str], test: list[str]) -> None:
    """Raises `OptLawsError` for a run that is named twice."""
    for option, names in (("--train", train), ("--test", test)):
        name, times = Counter(names).most_common(1)[0] if names else ("", 1)
        if times > 1:
            raise OptLawsError(f"{option}: a run counts once, got {name!r} {times} times.")
    both = sorted(set(train) & set(test))
    if both:
        raise OptLawsError(f"A run is either trained on or held out, got {both[0]!r} as both.")


def named_once(option: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Values by name. Raises `OptLawsError` for a name that `option` has twice."""
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise OptLawsError(f"{option} takes each name once, got {name!r} more than once.")
        found[name] = value
    return found


def renaming(text: str, known: Collection[str] = ()) -> tuple[str, str]:
    """`OURS=THEIRS`: a column's name here, one of `known` where they are given, and in a table."""
    ours, equals, theirs = text.partition("=")
    if not equals or not theirs:
        raise OptLawsError(f"--columns takes OURS=THEIRS, got {text!r}.")
    if known and ours not in known:
        raise OptLawsError(f"--columns takes OURS=THEIRS, OURS one of {', '.join(known)}, got {quoted(text)}.")
    return ours, theirs


@contextmanager
def sure_of_units() -> Iterator[None]:
    """Around the reading of a table: of a unit that is unlikely, the option is named that takes it as it is."""
    try:
        yield
    except UnlikelyUnit as fault:
        raise UnlikelyUnit(f"{fault} If it is, add --sure, which takes the table as it is.", fault.source) from None


def check_out(option: str, out: Path, *inputs: Path | str | None) -> None:
    """Raises `OptLawsError` for a file that cannot be written, before minutes go into what should stand in it.

    `inputs`: what is read, which must not be written over; in a folder among them it would be read the next time.
    """
    if any(given is not None and Path(given).resolve() == out.resolve() for given in inputs):
        raise OptLawsError(f"{option} {out}: this file is read, so the result needs another one.")
    if out.is_dir():
        raise OptLawsError(f"{option} {out}: the result is written to a file, but this is a folder.")
    folders = [Path(given).resolve() for given in inputs if given is not None and Path(given).is_dir()]
    if any(out.resolve().is_relative_to(folder) for folder in folders):
        raise OptLawsError(f"{option} {out}: the folder around it is read, so the result needs another one.")
    if not out.parent.is_dir():
        raise OptLawsError(f"{option} {out}: there is no folder {str(out.parent)!r}.")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise OptLawsError(f"{option} {out}: the file cannot be written (no permission).")


def check_outs(outs: Mapping[str, Path | None], *inputs: Path | str | None) -> None:
    """`check_out` for the files of one command, by option, none of which may be another one's."""
    owners: dict[Path, str] = {}
    for option, out in outs.items():
        if out is None:
            continue
        check_out(option, out, *inputs)
        if (owner := owners.setdefault(out.resolve(), option)) != option:
            raise OptLawsError(f"{option} {out}: {owner} writes this file, so the result needs another one.")


def print_columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout, columns as wide as what stands in them and two spaces apart."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def print_wide(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of many columns: on a terminal in parts that fit it, each with the first column; elsewhere in one."""
    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for some in parts([max(map(len, column)) for column in zip(head, *rows, strict=True)], wide):
        print_columns([head[i] for i in some], [[row[i] for i in some] for row in rows])


def parts(widths: Sequence[int], wide: int | None) -> list[list[int]]:
    """Which columns of a table stand in each of its parts of at most `wide` characters; the first one in all."""
    found, used = [[0]], widths[0]
    for i, width in enumerate(widths[1:], 1):
        if wide is not None and used + 2 + width > wide and len(found[-1]) > 1:
            found.append([0])
            used = widths[0]
        found[-1].append(i)
        used += 2 + width
    return found


def print_json(value: object) -> None:
    """`value` on stdout."""
    print(json.dumps(value, indent=1, allow_nan=False))

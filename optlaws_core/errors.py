"""Everything this package raises on purpose. Each message is one sentence for the user: thing, rule, what was found.

OptLawsError (a ValueError: the input is at fault)
├── ScheduleError   a schedule that cannot exist, or a text that is none
├── LogError        a log or a manifest that cannot be read      -> .source
│   └── UnlikelyUnit  a table whose numbers suggest another unit
├── DesignError     runs that cannot identify a law
├── Missing         a comparison that is not there, or not open to whoever asks
├── StoreError      a store that cannot be used; the message names its place, which is its operator's to know
└── MissingExtra    what was asked for needs packages that are not installed
FitError (a RuntimeError: the input was fine)  no usable coefficients at all -> .best
Cancelled (an Exception: nothing is wrong)      the progress callback asked to stop
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import TypeVar

T = TypeVar("T")


def by_name(kind: str, name: Callable[[T], str], entries: Iterable[T]) -> dict[str, T]:
    """A registry of one `kind` of thing, by name. Raises `ValueError` for a name that is taken, to whoever takes it."""
    found: dict[str, T] = {}
    for entry in entries:
        if name(entry) in found:
            raise ValueError(f"Two {kind} are called {name(entry)!r}: each needs a name of its own.")
        found[name(entry)] = entry
    return found


def amiss(fault: Exception) -> str:
    """What Python said of plain values that could not be read, as the end of a sentence for the user."""
    if isinstance(fault, KeyError):
        return f"{str(fault)[:60]} is missing or not known"
    return "a value in it has the wrong type"


def unread(fault: Exception) -> str:
    """Why a file, or the JSON in it, could not be read or written, as the end of a sentence for the user."""
    if isinstance(fault, IsADirectoryError):
        return "it is a folder, and a file is needed"
    if isinstance(fault, FileNotFoundError):
        return "there is no such file"
    if isinstance(fault, OSError):
        return fault.strerror or str(fault)
    if isinstance(fault, JSONDecodeError):
        return f"line {fault.lineno:,} is not JSON" if fault.doc.strip() else "there is nothing in it"
    if isinstance(fault, UnicodeDecodeError):
        return "it is not text"
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    return "a value in it cannot be read"


class OptLawsError(ValueError):
    """The input is at fault; the message says what, by which rule, and what was found."""


class ScheduleError(OptLawsError):
    """A schedule that cannot exist, or a text that does not describe one."""


class LogError(OptLawsError):
    """A log, a manifest or a folder that cannot be read. `source` names it."""

    def __init__(self, message: str, source: str = "") -> None:
        super().__init__(message)
        self.source = source


class NoLoss(LogError):
    """Columns none of which is known as a loss."""


class NoNumbers(LogError):
    """Columns that hold text for the most part."""


class MissingColumn(LogError):
    """A table without a column that is needed; it may have it under another name. `ours` is what we call it."""

    def __init__(self, message: str, ours: str = "", source: str = "") -> None:
        super().__init__(message, source)
        self.ours = ours  # has a default, as an error that comes from another process is made of its message alone


class UnlikelyUnit(LogError):
    """A table with a number that suggests another unit than the expected one. Readers take it once they are told so."""


class DesignError(OptLawsError):
    """The chosen runs cannot identify the chosen law."""


class StoreError(OptLawsError):
    """A store that is not there, cannot be opened, or failed. The message names its place: it is for the operator."""


class Missing(OptLawsError):
    """What is not there, or is not for whoever asks, who is not told which."""


class MissingExtra(OptLawsError):
    """Packages that are not installed; the message names the extra of the distribution that brings them."""


@contextmanager
def extra(name: str, subject: str) -> Iterator[None]:
    """Around imports: one that is not installed raises `MissingExtra`, which says that the extra `name` brings it.

    subject: what needs the package, as the beginning of the sentence. A module that is there and cannot be loaded
    raises what it raises.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise MissingExtra(
            f'{subject} needs the package {missing.name}, which is not installed: pip install "optlaws[{name}]".'
        ) from None


class FitError(RuntimeError):
    """No usable coefficients at all.

    Does not cover doubtful results (a bound hit, too few steps): those come back with a `Status`.
    Does not cover mistakes in the call: those are `OptLawsError`. `best` holds what was reached, or None.
    """

    def __init__(self, message: str, best: object = None) -> None:
        super().__init__(message)
        self.best = best


class Cancelled(Exception):
    """The progress callback asked to stop."""


_asked: list[Callable[[], object]] = []


def ask_whether_to_go_on(whom: Callable[[], object]) -> None:
    """Have `whom()` called between the parts of long work from now on, in place of anyone before; it may end it.

    Fits and searches tell a `progress` how far they are, and end where it answers False. What a page computes while it
    is drawn tells nobody, and nobody may wait for it any more. Called in the thread that works, whichever it is.
    """
    _asked[:] = [whom]


def may_end_here() -> None:
    """Between two parts of long work: raises what whoever was asked raises, where the work is to end."""
    for whom in _asked:
        whom()

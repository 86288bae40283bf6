"""Everything this package raises on purpose. Each message is one sentence for the user: thing, rule, what was found.

OptLawsError (a ValueError: the input is at fault)
├── ScheduleError   a schedule that cannot exist, or a text that is none
├── LogError        a log or a manifest that cannot be read      -> .source
└── DesignError     runs that cannot identify a law
FitError (a RuntimeError: the input was fine)  no usable coefficients at all -> .best
Cancelled (an Exception: nothing is wrong)      the progress callback asked to stop
"""


def amiss(fault: Exception) -> str:
    """What Python said of plain values that could not be read, as the end of a sentence for the user."""
    if isinstance(fault, KeyError):
        return f"{str(fault)[:60]} is missing or not known"
    return "a value in it is of another kind than it must be"


class OptLawsError(ValueError):
    """The input is at fault; the message says what, by which rule, and what was found."""


class ScheduleError(OptLawsError):
    """A schedule that cannot exist, or a text that does not describe one."""


class LogError(OptLawsError):
    """A log, a manifest or a folder that cannot be read. `source` names it."""

    def __init__(self, message: str, source: str = "") -> None:
        super().__init__(message)
        self.source = source


class DesignError(OptLawsError):
    """The chosen runs cannot identify the chosen law."""


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

"""`python -m optlaws_core`, and the script `optlaws`."""

import os
import signal
import sys
from contextlib import suppress


class Interrupt(KeyboardInterrupt):
    """Ctrl-C. Python notes where a plain KeyboardInterrupt leaves an `exec`, and later dies of it though caught."""


def leave(*_: object) -> None:
    """Ctrl-C while modules are imported: nothing is to be tidied up, and an import may swallow an exception."""
    with suppress(OSError):
        os.write(2, b"Stopped.\n")
    os._exit(130)


def interrupt(*_: object) -> None:
    """Ctrl-C while a command runs."""
    raise Interrupt


def run(name: str = "optlaws") -> int:
    """The command that the process was started with; `name` is what it is called by. Returns the exit code."""
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a job in the background ignores Ctrl-C
    if heeded:
        signal.signal(signal.SIGINT, leave)

    from .cli import load, main

    load(sys.argv[1:])  # a second or two: SymPy, SciPy, pandas

    if heeded:
        signal.signal(signal.SIGINT, interrupt)
    return main(name=name)


if __name__ == "__main__":
    sys.exit(run("python -m optlaws_core"))

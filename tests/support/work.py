"""Work for processes of the server, which find it under its name."""

import os
import time
from pathlib import Path

from optlaws_core.errors import Cancelled, DesignError

PATIENCE = 60  # seconds on a busy machine


def halves(progress) -> int:
    """Says that half is done and, as the best, which process does it; returns that, too."""
    progress(0.5, float(os.getpid()))
    return os.getpid()


def never_ends(progress) -> None:
    """Says which process it is, and asks nobody whether to go on."""
    progress(0.5, float(os.getpid()))
    time.sleep(PATIENCE)


def dies(progress) -> None:
    """As if the system had ended the process."""
    os.kill(os.getpid(), 9)


def refuses(progress) -> None:
    """Finds fault with what it was given."""
    raise DesignError("One run is too few.")


def breaks(progress) -> None:
    """Has a fault of its own."""
    raise KeyError("kestrel")


def gives_a_function(progress):
    """Returns what cannot be pickled."""
    return lambda: None


def gives_up(progress) -> None:
    """Ends by itself, as if it had been asked to."""
    raise Cancelled


def notes_and_sleeps(path: str) -> None:
    """Tells nobody but a file which process it is."""
    Path(path).write_text(f"{os.getpid()}\n", encoding="utf-8")
    time.sleep(PATIENCE)

"""One batch of fuzzing: always the same for the same target, number and size, so that a long run can be resumed.

What was answered with a sentence that nobody heard before in the batch, numbers and quotations aside, is mutated
further: the sentences are what tells one way through a reader from another.
"""

import contextlib
import io
import re
import signal
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from optlaws_core.errors import OptLawsError

from .targets import Target, check_sentence

LARGEST_KEPT = 20_000  # bytes of an input that is mutated further
MOST_KEPT = 500  # of them
_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d,.e+-]*")


@dataclass
class Tally:
    """What became of the inputs of a batch; of failures that are alike, the first one and its input."""

    accepted: int = 0
    refused: int = 0
    failed: int = 0
    failures: dict[str, tuple[str, bytes]] = field(default_factory=dict)


class TooSlow(BaseException):
    """An input that took more of the processor's time than it may."""


def batch(
    target: Target, number: int, inputs: int, seconds: float | None = None, current: io.FileIO | None = None
) -> Tally:
    """Mutate and read. `seconds`: of the processor's time that an input may take, where the system can tell.

    `current`: a file that always holds the input at hand, should the process die of it.
    """
    rng, corpus, heard, tally = Random(f"{target.name} {number}"), list(target.seeds), set(), Tally()
    for _ in range(inputs):
        data = target.changed(rng.choice(target.seeds if rng.random() < 0.6 else corpus), rng, corpus)
        if current is not None:
            current.seek(0)
            current.truncate()
            current.write(data)
        said, fault = outcome(target, data, seconds)
        if fault is not None:
            tally.failed += 1
            tally.failures.setdefault(template(fault), (fault, data))
            continue
        accepted, *sentences = said
        tally.accepted += accepted
        tally.refused += not accepted
        new = frozenset(map(template, sentences)) - heard
        if new and len(data) <= LARGEST_KEPT and len(corpus) < MOST_KEPT:
            heard |= new
            corpus.append(data)
    return tally


def template(sentence: str) -> str:
    """A sentence without what varies in it."""
    return _VARIES.sub("#", sentence)[:80]


def outcome(target: Target, data: bytes, seconds: float | None = None) -> tuple[tuple, str | None]:
    """(accepted, sentences …) and None; or nothing, and what failed."""
    out = io.StringIO()
    try:
        with _quiet(out), _at_most(seconds):
            try:
                said = (True, *target.door(data))
            except OptLawsError as error:
                said = (False, str(error))
            for sentence in said[1:]:
                check_sentence(sentence)
        return (said, None) if not out.getvalue() else ((), f"printed {out.getvalue()[:200]!r}")
    except (Exception, TooSlow) as fault:
        return (), _named(fault)


@contextlib.contextmanager
def _quiet(out: io.StringIO) -> Iterator[None]:
    """Warnings are failures, and what is printed is kept."""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="tensorboard")
        yield


@contextlib.contextmanager
def _at_most(seconds: float | None) -> Iterator[None]:
    if seconds is None or not hasattr(signal, "SIGPROF"):
        yield
        return

    def stop(number, frame):
        raise TooSlow(f"more than {seconds:g} s of the processor's time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _named(fault: BaseException) -> str:
    """What failed, and the last place in our own code."""
    frames = traceback.extract_tb(fault.__traceback__)
    ours = [f for f in frames if {"optlaws_core", "parts"} & set(Path(f.filename).parts)]
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(fault).__name__}{place}: {str(fault)[:300]}"

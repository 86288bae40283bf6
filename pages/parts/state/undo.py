"""Nothing that a visitor made is gone with one click: candidates can be undone and redone, runs and fits be had back.

Nobody has to announce a change. What was there at the last look is compared with what is there now, at the beginning
and at the end of each run of a page (`look`): another list of candidates is a step of their history, and runs or fits
that went are put aside with whatever else was loaded. All of it is references to what never changes, so a look costs
less than 0.1 ms for nine runs.

`ACTIONS` lists whatever takes something away; a test walks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from optlaws_core import Run
from optlaws_core.saved.work import Stock
from optlaws_core.text import counted

from .candidates import Candidate
from .library import MOST_LOSSES

STEPS = 50  # changes of the candidates that can be undone
ASIDE = 5  # replaced works that can be had back, while their losses together are no more than may be loaded at once
UNDONE, ASKS, BESIDE = "can be undone", "asks first", "opens beside it"
BACK = "a button leads back to what was there"
# What takes work away: where it is, what it is called there, and why nothing is lost by it.
ACTIONS = {
    ("Decide", "Start over"): UNDONE,
    ("Decide", "Remove"): UNDONE,
    ("Decide", "an address with candidates"): UNDONE,
    ("Pre-select", "Compare curves"): UNDONE,
    ("Runs", "Remove runs"): UNDONE,
    ("Runs", "Clear"): UNDONE,
    ("Runs", "Load the example runs"): UNDONE,
    ("Runs", "an upload in place of the example runs"): UNDONE,
    ("Runs", "Read again"): UNDONE,
    ("Sweep", "Work with runs"): UNDONE,
    ("Plan", "a table in place of another"): BACK,
    ("Pre-select", "a table in place of another"): BACK,
    ("Share", "Open a copy"): UNDONE,
    ("Evidence", "Delete a fit"): UNDONE,
    ("Share", "Open another state"): BESIDE,
    ("Share", "Delete another state"): ASKS,
    ("Share", "Forget everything on this server"): ASKS,
}

Listed = tuple[Candidate, ...]


@dataclass
class History:
    """Lists of candidates before and after the present one; the nearest last."""

    present: Listed = ()
    past: list[Listed] = field(default_factory=list)
    future: list[Listed] = field(default_factory=list)

    def follow(self, candidates: Sequence[Candidate]) -> None:
        """Make a step of what changed since the last look. From an empty list there is no way back: it says nothing."""
        now = tuple(candidates)
        if now == self.present:
            return
        if self.present:
            self.past = [*self.past, self.present][-STEPS:]
            self.future = []
        self.present = now

    def settle(self, candidates: Sequence[Candidate]) -> None:
        """Take what the app proposed as the present, which is no step."""
        self.present = tuple(candidates)

    def undo(self) -> list[Candidate]:
        """The list before the present one."""
        return self._turn(self.past, self.future)

    def redo(self) -> list[Candidate]:
        """The list that was undone last."""
        return self._turn(self.future, self.past)

    def _turn(self, out: list[Listed], into: list[Listed]) -> list[Candidate]:
        if out:
            into.append(self.present)
            self.present = out.pop()
        return list(self.present)


@dataclass(frozen=True, eq=False)
class Aside:
    """Runs and fits that others took the place of."""

    stock: Stock
    candidates: Listed  # then
    after: Listed  # and just after
    said: str  # what went, one sentence


class Undoable(Protocol):
    """A workspace, as far as this module knows it."""

    candidates: list[Candidate]
    history: History
    aside: list[Aside]
    known: Stock | None

    @property
    def stock(self) -> Stock:
        """Runs, files and fits as they are now."""

    def load(self, stock: Stock) -> None:
        """Put runs, files and fits in the place of those that are loaded."""

    def stop(self) -> None:
        """Ask a running fit to end."""


def look(space: Undoable) -> None:
    """Take note of what changed since the last look."""
    before, space.known = space.known, space.stock
    candidates = space.history.present
    space.history.follow(space.candidates)
    if before is None or not (said := _gone(before, space.known)):
        return
    if before.draft == space.known.draft:  # it did not go, so what is typed and saved from now on stays
        before = replace(before, draft={})
    space.aside = [*space.aside, Aside(before, candidates, space.history.present, said)][-ASIDE:]
    while len(space.aside) > 1 and sum(_losses(aside.stock) for aside in space.aside) > MOST_LOSSES:
        del space.aside[0]


def _gone(before: Stock, now: Stock) -> str:
    """Which runs and fits are not there any more, as a sentence; empty for none.

    A run that was renamed or declared has its losses still, one that was read again has what it had before, a fit that
    was renamed is the same. The project's own runs can be loaded again, so that they alone are no loss.
    """
    kept = {id(fit) for fit in now.fits.values()}
    runs = _lost(list(before.runs.values()), list(now.runs.values()))
    fits = sum(name not in now.fits and id(fit) not in kept for name, fit in before.fits.items())
    if not fits and (before.example or not runs):
        return ""
    what = " and ".join(counted(n, thing) for n, thing in ((runs, "run"), (fits, "fit")) if n)
    return f"{what} {'is' if runs + fits == 1 else 'are'} no longer loaded."


def _lost(before: Sequence[Run], now: Sequence[Run]) -> int:
    """How many runs have losses that none has now."""
    same = {id(run.series) for run in now}
    absent = [run for run in before if id(run.series) not in same]
    known = {_content(run) for run in now} if absent else set()
    return sum(_content(run) not in known for run in absent)


def _content(run: Run) -> tuple[object, ...]:
    return run.plan, frozenset((split, s.steps.tobytes(), s.loss.tobytes()) for split, s in run.series.items())


def _losses(stock: Stock) -> int:
    return sum(len(series) for run in stock.runs.values() for series in run.series.values())


def bring_back(space: Undoable) -> None:
    """Put what was set aside last in the place of what is loaded, which is set aside by that if it is something."""
    look(space)
    if not space.aside:
        return
    aside = space.aside.pop()
    space.stop()
    space.load(aside.stock)
    if tuple(space.candidates) == aside.after:
        space.candidates = list(aside.candidates)
    look(space)

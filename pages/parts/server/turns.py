"""Whose work begins next: one queue for whatever takes seconds, fair to visitors rather than to who asks most.

A visitor has at most `OWN` pieces of work running, the others of theirs wait for these. Among visitors with equally
many running, the one whose last piece began the longest ago is next. What has run for `LONG` seconds gives up its
place, and goes on: nobody waits behind the long work of others, unless there is so much that memory might become short.
Work whose tab was closed ends `AWAY` seconds later, in case the tab comes back; Streamlit itself keeps what a tab held
for two minutes, and until somebody else leaves.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from optlaws_core.parallel import cores

PLACES, FEWEST = 2, 4  # for short work: for each core, since all of it goes on together; and on the smallest machine
MOST = 4  # times as much in all
OWN = 2
LONG = 20.0  # s
AWAY = 10.0  # s; a connection that broke is back within a few
EVERY = 0.25  # s between two looks at who is gone and what has become long


@dataclass(eq=False)
class Turn:
    """A piece of work that waits or runs."""

    visitor: str
    run: Callable[[], object]  # in a thread of its own
    here: Callable[[], bool]  # whether the tab that it is for is connected
    gone: Callable[[], object]  # called when that was not so for `AWAY` seconds, and then again
    joined: float = 0.0
    seen: float = 0.0  # when the tab was connected last
    began: float | None = None


@dataclass(frozen=True)
class Wait:
    """What has to end before a piece of work begins."""

    others: int  # pieces of other visitors' work, or of anybody's
    own: int  # pieces of the visitor's own, whatever others do; 0 where others are what it waits for


@dataclass(eq=False)
class Turns:
    """The queue. `clock` counts seconds."""

    places: int | None = None  # for work that began within the last `LONG` seconds; None: by the cores there are
    most: int | None = None  # for all work; None: by the places
    own: int = OWN
    clock: Callable[[], float] = time.monotonic
    _waiting: list[Turn] = field(default_factory=list)
    _running: list[Turn] = field(default_factory=list)
    _last: dict[str, float] = field(default_factory=dict)  # when a visitor's latest piece began
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _looking: bool = False  # whether a thread looks after the queue

    def join(self, turn: Turn) -> None:
        """Begin the work as soon as it is its turn."""
        with self._lock:
            turn.joined = turn.seen = self.clock()
            self._waiting.append(turn)
            self.look()
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look_after, name="turns", daemon=True).start()

    def leave(self, turn: Turn) -> bool:
        """Wait no longer; False for work that does not wait any more."""
        with self._lock:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True

    def wait(self, turn: Turn) -> Wait | None:
        """What a piece of work waits for; None once it has begun."""
        with self._lock:
            if turn not in self._waiting:
                return None
            order, free = self._order()
            if turn in free:
                return Wait(free.index(turn) + 1, 0)
            mine = [t for t in order if t.visitor == turn.visitor]
            return Wait(0, mine.index(turn) + self._counts()[turn.visitor] - self.own + 1)

    def __len__(self) -> int:
        """How many pieces of work wait or run."""
        return len(self._waiting) + len(self._running)

    def look(self) -> None:
        """Tell work of closed tabs, and begin what has its turn."""
        with self._lock:
            now = self.clock()
            for turn in (*self._waiting, *self._running):
                if turn.here():
                    turn.seen = now
                elif now - turn.seen > AWAY:
                    turn.gone()
                    self.leave(turn)
            while (turn := self._next(now)) is not None:
                self._waiting.remove(turn)
                self._running.append(turn)
                self._last[turn.visitor] = turn.began = now
                threading.Thread(target=self._run, args=(turn,), name="job", daemon=True).start()
            if not len(self):
                self._last.clear()

    def _next(self, now: float) -> Turn | None:
        if not self._waiting:
            return None
        if self.places is None:
            self.places = max(FEWEST, PLACES * cores())
        short = sum(now - (turn.began or 0.0) < LONG for turn in self._running)
        most = MOST * self.places if self.most is None else self.most
        if short >= self.places or len(self._running) >= most:
            return None
        return next((turn for turn in self._order()[1] if turn.here()), None)

    def _order(self) -> tuple[list[Turn], list[Turn]]:
        """Waiting work in the order of its turns, and the part of it that its visitor's own work does not hold up."""
        ranks, seen = {}, self._counts()
        for turn in self._waiting:
            ranks[turn] = seen[turn.visitor], self._last.get(turn.visitor, -math.inf), turn.joined
            seen[turn.visitor] += 1
        order = sorted(self._waiting, key=lambda turn: ranks[turn])
        return order, [turn for turn in order if ranks[turn][0] < self.own]

    def _counts(self) -> Counter[str]:
        return Counter(turn.visitor for turn in self._running)

    def _run(self, turn: Turn) -> None:
        try:
            turn.run()
        finally:
            with self._lock:
                self._running.remove(turn)
                self.look()

    def _look_after(self) -> None:
        while True:
            time.sleep(EVERY)
            with self._lock:
                self.look()
                if not len(self):
                    self._looking = False
                    return

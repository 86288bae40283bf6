"""Runs in progress that are looked at again and again: what is worth telling somebody who does not look.

Told are a rise of the loss beyond its noise, and its end; a loss that has left the band which was forecast for it; and
where the run will end, first and whenever that leaves the band that was told last.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from ..errors import FitError, OptLawsError
from ..fitting.result import Model
from ..runs import Run
from ..text import percent
from .alarm import ALARM, RISE, diverging, risen
from .alone import from_itself
from .forecasting import Forecast, forecast

CALM = 0.5  # `risen` below which an alarm is over, so that one at its edge is told once
LATEST, LEAST = 10, 5  # losses whose median is held against the band: at most, and at least
GROWN = 0.02  # share of the steps so far by which a run grows before its end is estimated anew: that takes seconds
CHANGED = 0.01  # share by which an end changes before that is told, where it has no band


@dataclass
class _Seen:
    """What was seen and told of a run."""

    now: int = -1  # the last step
    alarmed: bool = False
    estimated: int = -1  # the step at which its end was estimated last
    told: Forecast | None = None  # that was told last
    left: bool = False  # whether the run has left the band of that
    faults: dict[str, str] = field(default_factory=dict)  # the last that was told, by what it kept from being known


class Watch:
    """Looks at runs by their names, each time as they are by then.

    model: a law fitted to finished runs, which forecasts the rest; by default each run does by itself.
    """

    def __init__(self, model: Model | None = None) -> None:
        self._model = model
        self._runs: dict[str, _Seen] = {}

    def look(self, run: Run) -> list[str]:
        """Sentences on what is new since the last look. A run that went back to an earlier step begins anew."""
        now = int(run.steps[-1])
        seen = self._runs.get(run.name)
        if seen is None or now < seen.now:
            seen = self._runs[run.name] = _Seen()
        if now == seen.now:
            return []
        seen.now = now
        said: list[str] = []
        for unknown, news in (
            ("it is not known whether the loss has risen", _alarm),
            ("it is not known whether the loss keeps to its band", _band),
            ("no forecast", self._end),
        ):
            try:
                said += news(run, seen)
            except (OptLawsError, FitError) as fault:
                if _differs(str(fault), seen.faults.get(unknown)):
                    said.append(f"{run.name}: {unknown} at step {now:,}. {fault}")
                seen.faults[unknown] = str(fault)
        return said

    def _end(self, run: Run, seen: _Seen) -> list[str]:
        """Where the run will end, where that is new."""
        if run.plan is None or seen.now >= run.plan.schedule.total - 1:
            return []
        if seen.estimated >= 0 and seen.now < seen.estimated * (1 + GROWN):
            return []
        seen.estimated = seen.now
        found = forecast(from_itself(run) if self._model is None else self._model, run)
        if seen.told is not None and not _changed(seen.told, found):
            return []
        before, seen.told, seen.left = seen.told, found, False
        was = "" if before is None else f"; it was {before.loss[-1]:.4g} at step {before.now:,}"
        total = run.plan.schedule.total
        return [f"{run.name}: at step {seen.now:,} of {total:,} the estimated final loss is {_told(found)}{was}."]


def _differs(fault: str, before: str | None) -> bool:
    """Whether a fault differs from the one before in more than its numbers, such as the losses so far."""
    return before is None or re.sub(r"\d+", "0", fault) != re.sub(r"\d+", "0", before)


def _alarm(run: Run, seen: _Seen) -> list[str]:
    sure = risen(run)
    if not seen.alarmed and sure >= ALARM:
        seen.alarmed = True
        chance = diverging(run)
        odds = "" if chance is None else f"; the run ends diverged with a probability of {percent(chance)}"
        return [f"{run.name}: the loss has risen by more than {percent(RISE)} at step {seen.now:,}{odds}."]
    if seen.alarmed and sure < CALM:
        seen.alarmed = False
        return [f"{run.name}: the rise of the loss is over at step {seen.now:,}."]
    return []


def _band(run: Run, seen: _Seen) -> list[str]:
    """Whether the latest losses have left the band that was told last."""
    told = seen.told
    if told is None or told.low is None or told.high is None or seen.left:
        return []
    steps, losses = run.steps[run.steps > told.now][-LATEST:], run.loss[run.steps > told.now][-LATEST:]
    if len(losses) < LEAST:
        return []
    middle, loss = float(np.median(steps)), float(np.median(losses))
    low, high = (float(np.interp(middle, told.steps, edge)) for edge in (told.low, told.high))
    if low <= loss <= high:
        return []
    seen.left = True
    return [
        f"{run.name}: the loss has left the band that was forecast at step {told.now:,}: {loss:.4g} at step "
        f"{seen.now:,}, the median of {len(losses)} losses, where {low:.4g} to {high:.4g} was expected."
    ]


def _changed(told: Forecast, found: Forecast) -> bool:
    end = float(found.loss[-1])
    if told.low is None or told.high is None:
        return abs(end / float(told.loss[-1]) - 1) > CHANGED
    return not told.low[-1] <= end <= told.high[-1]


def _told(found: Forecast) -> str:
    """The end of a forecast, with its band."""
    band = "" if found.low is None or found.high is None else f" (90 %: {found.low[-1]:.4g} to {found.high[-1]:.4g})"
    return f"{found.loss[-1]:.4g}{band}"


__all__ = ["CALM", "CHANGED", "GROWN", "LATEST", "LEAST", "Watch"]

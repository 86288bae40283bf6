"""Estimates of a run's end, made beside it while it trains."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from ..errors import FitError, OptLawsError
from ..live import Outcome, planned_end
from ..parallel import Background
from ..text import shortened

Found = tuple[int, Outcome]  # the step that was the last, and the end


class Estimates:
    """Every so many updates an estimate is asked for; `say` gets it, or what kept it from being made, as one line.

    Nothing that goes wrong on the way is raised by `ask` and `tell`, and neither waits.
    """

    def __init__(self, every: int, say: Callable[[str], object]) -> None:
        self._every, self._say = every, say
        self._rounds: int | None = None  # that had been due when the last row came
        self._asked: Future[Found] | None = None
        self._background = Background()

    def due(self, step: int) -> bool:
        """Whether an estimate is to be asked for, now that update `step` is recorded."""
        if self._every < 1:
            return False
        before, self._rounds = self._rounds, (step + 1) // self._every
        return self._asked is None and self._rounds > (step // self._every if before is None else before)

    def ask(self, manifest: Path) -> None:
        """Start an estimate from the log that a manifest declares."""
        try:
            self._asked = self._background.start(planned_end, manifest)
        except Exception as fault:  # whatever it is, training goes on
            self._say(_in_words(fault))

    def tell(self) -> None:
        """Say the estimate that was asked for, once it is there."""
        if self._asked is not None and self._asked.done():
            done, self._asked = self._asked, None
            fault = done.exception()
            self._say(_in_words(done.result() if fault is None else fault))

    def now(self, manifest: Path) -> Outcome:
        """An estimate that is waited for. Raises what kept it from being made."""
        return self._background.start(planned_end, manifest).result()[1]

    def refuse(self, why: str) -> None:
        """Say once why there are no estimates, and be asked for none."""
        self._every = 0
        self._say(why)

    def close(self) -> None:
        """Forget what was asked for, and end its process."""
        self._asked = None
        self._background.end()


def _in_words(found: Found | BaseException) -> str:
    """What is said of an estimate, or of what kept it from being made."""
    if isinstance(found, (OptLawsError, FitError)):
        return f"No forecast: {found}"
    if isinstance(found, BaseException):
        return f"No forecast ({shortened(f'{type(found).__name__}: {found}', 200).rstrip(': ')})."
    step, end = found
    band = "" if end.low is None or end.high is None else f" (90 %: {end.low:.4g} to {end.high:.4g})"
    return f"update {step + 1:,} of {end.updates:,}: estimated final loss {end.loss:.4g}{band}"


__all__ = ["Estimates"]

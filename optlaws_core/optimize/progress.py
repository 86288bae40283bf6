"""How far a search is: told to whoever watches, who may stop it."""

from collections.abc import Callable

import numpy as np

from ..errors import Cancelled

HALF = 100  # evaluations after which a part of a search is told to be half done; how many it takes is not known

Progress = Callable[[float, float], bool]  # (share done, 0 to 1; lowest final loss so far) -> False to stop


class ProgressMeter:
    """Counts evaluations, and asks whether to go on."""

    def __init__(self, progress: Progress | None, parts: int) -> None:
        """`parts`: of about equal length, that the search consists of."""
        self.progress, self.parts, self.done = progress, parts, 0
        self.evaluations, self.here, self.lowest = 0, 0, np.inf

    def part(self) -> None:
        """A part has ended; what comes after the last but one is all told as the last."""
        if self.done < self.parts - 1:
            self.done, self.here = self.done + 1, 0

    def __call__(self, log_loss: float) -> None:
        """An evaluation has ended. Raises `Cancelled`."""
        self.evaluations, self.here = self.evaluations + 1, self.here + 1
        self.lowest = min(self.lowest, log_loss)
        share = (self.done + 1 - 0.5 ** (self.here / HALF)) / self.parts
        if self.progress and self.progress(share, float(np.exp(self.lowest))) is False:
            raise Cancelled

"""Runs from a random start on several texts: one law for all of them, and one step of the loss for each text.

    log L = log L_law + s_text        s is 0 for the text of most runs

One run tells the step of its text. That it is a factor of the loss and no addend was chosen on runs that no figure is
reported of (docs/final-loss-notes.md). Runs that go on to another text have more behind them: see `transfer`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from .table import TableRun


@dataclass(frozen=True)
class TextStep:
    """By how much log losses on a text are above those on the text of most runs."""

    step: float
    low: float  # 90 % interval
    high: float
    runs: int  # training runs that learned it


@dataclass(frozen=True, eq=False)
class Texts:
    """Which of several texts runs learn from a random start."""

    main: str  # of most runs; empty where the table does not name it
    others: tuple[str, ...]  # as they come in the table
    which: NDArray[np.intp]  # (runs,): 0 for the main text, 1 for the first of the others, …

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, the main text first."""
        return (self.main, *self.others)

    @property
    def columns(self) -> FloatArray:
        """1 where a run learns a text, (runs, others)."""
        return (self.which[:, None] == np.arange(1, len(self.others) + 1)).astype(float)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Runs of each text, the main text's first, (1 + others,)."""
        return np.bincount(self.which, minlength=len(self.names))


def texts_of(runs: Sequence[TableRun]) -> Texts:
    """The texts of runs. Of equally frequent ones the first is the main text.

    Runs whose text is not told are taken for runs on the main text; where most are, the main text has no name.
    """
    learned = [r.first_text for r in runs]
    main = next((text for text, _ in Counter(learned).most_common(1)), "")
    others = tuple(text for text in dict.fromkeys(learned) if text not in ("", main))
    place = {text: i for i, text in enumerate((main, *others))}
    return Texts(main, others, np.array([place.get(text, 0) for text in learned], int))


__all__ = ["TextStep", "Texts", "texts_of"]

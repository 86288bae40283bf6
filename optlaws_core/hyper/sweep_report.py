"""What a whole sweep tells: the optimum of each cell, the power laws through them, and the losses around them.

These are the numbers of the last part of the Plan page and of `optlaws plan sweep`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import DesignError
from .published import recommend
from .surface import Optimum, optimum
from .sweep_cells import Sweep, SweepCell
from .sweep_fit import WHAT, SweepFit, laws_through

NAMES = {"lr": "learning rate", "batch": "batch"}
LETTERS = {"params": "N", "tokens": "D"}
OWN, STEP = "law of this sweep", "Step Law"


@dataclass(frozen=True)
class Exponent:
    """How a fitted law of `what` ("lr" or "batch") goes with `term` ("params" or "tokens"): a power, ± half of 90 %."""

    what: str
    term: str
    value: float
    half: float


@dataclass(frozen=True)
class SweepReport:
    """What a sweep tells."""

    cells: tuple[SweepCell, ...]
    optima: tuple[Optimum, ...]  # one a cell
    fit: SweepFit | None  # the laws through them
    lacking: str  # why there are none, as a sentence
    notes: tuple[str, ...]  # what its table holds, in sentences

    @property
    def exponents(self) -> tuple[Exponent, ...]:
        """Those of the fitted laws; none where there are no laws."""
        fit = self.fit
        if fit is None:
            return ()
        return tuple(Exponent(what, term, *fit.exponent(what, term)) for what in WHAT for term in fit.terms[what])

    @property
    def said(self) -> str:
        """The fitted laws as a sentence, or else why there are none."""
        if self.fit is None:
            return self.lacking
        parts = []
        for what, name in NAMES.items():
            powers = [
                f"{LETTERS[e.term]} to the power {e.value:.2f} ± {e.half:.2f}" for e in self.exponents if e.what == what
            ]
            parts.append(f"the best {name} goes with {' times '.join(powers)}")
        return f"In this sweep {', and '.join(parts)} (90 % intervals)."

    def marks(self, cell: SweepCell) -> tuple[tuple[str, float, float], ...]:
        """Name, learning rate and batch of what the laws say of a cell: this sweep's, where there is one, and the Step
        Law.
        """
        found = []
        if self.fit is not None:
            own = self.fit.predict(cell.params, cell.tokens)
            found.append((OWN, own.lr, own.batch))
        step = recommend(cell.params, cell.tokens)[0]
        assert step.lr is not None and step.batch is not None  # the Step Law has both for every setting
        return (*found, (STEP, step.lr, step.batch))


def use_of(found: Optimum) -> str:
    """Whether the law goes through a cell's optimum, in a few words."""
    return f"left out: {found.trouble}" if found.trouble else "in the law"


def sweep_report(cells: Sweep | Sequence[SweepCell]) -> SweepReport:
    """The optimum of each cell of `read_sweep`, and the power laws through them where there are enough."""
    optima, notes = tuple(map(optimum, cells)), tuple(getattr(cells, "notes", ()))
    try:
        return SweepReport(tuple(cells), optima, laws_through(cells, optima), "", notes)
    except DesignError as fault:
        return SweepReport(tuple(cells), optima, None, str(fault), notes)


__all__ = ["Exponent", "SweepReport", "sweep_report", "use_of"]

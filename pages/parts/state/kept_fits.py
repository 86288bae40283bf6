"""A visitor's fits: what was chosen to be fitted, and what came out, by name."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optlaws_core import Run

if TYPE_CHECKING:
    from optlaws_core import Fit, Prediction, Selection
    from optlaws_core.fitting.result import Model


@dataclass
class Choice:
    """What was chosen on the Evidence page, so that other pages speak of the same."""

    laws: tuple[str, ...] = ()  # nothing chosen yet
    train: tuple[str, ...] | None = None  # None: nothing chosen yet
    test: tuple[str, ...] | None = None
    split: str | None = None  # None: each run on its own
    from_step: int | None = None
    prior: str = "learned"  # what is known beforehand: learned, own, none


@dataclass
class KeptFits:
    """Fits and averages by name, one of which is in use. They are immutable; these containers change."""

    fits: dict[str, Model] = field(default_factory=dict)  # by the name they were kept under
    selections: dict[str, Selection] = field(default_factory=dict)  # what a fit was judged beside, by the same name
    current: str | None = None  # name of the fit in use
    choice: Choice = field(default_factory=Choice)
    packed: tuple[Fit, dict] | None = None  # the fit in the tuner, and what the tuner was given; costly to make
    banded: tuple[Model, tuple[Run, ...], dict[str, Prediction]] | None = None  # the same for bands of held-out runs

    @property
    def fit(self) -> Model | None:
        """The fit in use."""
        return self.fits.get(self.current) if self.current else None

    def keep(self, name: str, fit: Model, selection: Selection | None = None) -> None:
        """Store a fit under a name, with what it was judged beside, and use it."""
        self.fits[name], self.current = fit, name
        self.selections.pop(name, None)
        if selection is not None:
            self.selections[name] = selection

    def free_name(self, wanted: str) -> str:
        """`wanted`, or with a number behind it when a fit has that name already."""
        numbered = (f"{wanted} ({i})" for i in itertools.count(2))
        return next(name for name in itertools.chain((wanted,), numbered) if name not in self.fits)

    def rename_run(self, old: str, new: str) -> None:
        """Call a run otherwise: in the fits, in what they were judged beside, and in the choice."""
        from optlaws_core.saved import mapped_model, mapped_selection  # they bring SciPy

        def renamed(name: str) -> str:
            return new if name == old else name

        self.fits = {name: mapped_model(model, renamed) for name, model in self.fits.items()}
        self.selections = {name: mapped_selection(s, renamed) for name, s in self.selections.items()}
        for kind in ("train", "test"):
            names = getattr(self.choice, kind)
            setattr(self.choice, kind, names and tuple(map(renamed, names)))

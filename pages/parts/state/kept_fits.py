"""A visitor's fits: what was chosen to be fitted, and what came out, by name; and whether it is still up to date.

A fit is out of date where a training run is not what it was when the fit began: its losses, its schedule, model size or
batch size differ (it was removed, corrected, declared or read anew). A run's name is not part of it. `stale` says so in
a sentence; every page that shows a fit may ask.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from optlaws_core import OptLawsError, Run, Series
from optlaws_core.text import counted, listed

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
    # What the training runs of each were when it began: fit -> run -> `content`.
    bases: dict[str, Mapping[str, str]] = field(default_factory=dict)
    current: str | None = None  # name of the fit in use
    choice: Choice = field(default_factory=Choice)
    packed: tuple[Fit, dict] | None = None  # the fit in the tuner, and what the tuner was given; costly to make
    banded: tuple[Model, tuple[Run, ...], dict[str, Prediction]] | None = None  # the same for bands of held-out runs

    @property
    def fit(self) -> Model | None:
        """The fit in use."""
        return self.fits.get(self.current) if self.current else None

    def keep(
        self, name: str, fit: Model, selection: Selection | None = None, basis: Mapping[str, str] | None = None
    ) -> None:
        """Store a fit under a name, with what it was judged beside and what its training runs were, and use it."""
        self.fits[name], self.bases[name], self.current = fit, dict(basis or {}), name
        self.selections.pop(name, None)
        if selection is not None:
            self.selections[name] = selection

    def free_name(self, wanted: str) -> str:
        """`wanted`, or with a number behind it when a fit has that name already."""
        numbered = (f"{wanted} ({i})" for i in itertools.count(2))
        return next(name for name in itertools.chain((wanted,), numbered) if name not in self.fits)

    def rename_fit(self, old: str, new: str) -> None:
        """Keep a fit under another name, in its place. Raises `OptLawsError` for a name that is taken or empty."""
        if not new or new in self.fits:
            raise OptLawsError("A fit needs a name." if not new else "Another fit has this name.")
        for kind in ("fits", "selections", "bases"):
            setattr(self, kind, {new if name == old else name: kept for name, kept in getattr(self, kind).items()})
        self.current = new if self.current == old else self.current

    def delete_fit(self, name: str) -> None:
        """Forget a fit; of those that are left the latest is used in its place."""
        for kept in (self.fits, self.selections, self.bases):
            kept.pop(name, None)
        if self.current == name:
            self.current = next(reversed(self.fits), None)

    def rename_run(self, old: str, new: str) -> None:
        """Call a run otherwise: in the fits, in what they were judged beside, and in the choice."""
        from optlaws_core.saved import mapped_model, mapped_selection  # they bring SciPy

        def renamed(name: str) -> str:
            return new if name == old else name

        self.fits = {name: mapped_model(model, renamed) for name, model in self.fits.items()}
        self.selections = {name: mapped_selection(s, renamed) for name, s in self.selections.items()}
        self.bases = {
            name: {renamed(run): digest for run, digest in basis.items()} for name, basis in self.bases.items()
        }
        for kind in ("train", "test"):
            names = getattr(self.choice, kind)
            setattr(self.choice, kind, names and tuple(map(renamed, names)))


_digests: WeakKeyDictionary[Series, str] = WeakKeyDictionary()  # of losses, which never change


def content(run: Run, split: str) -> str:
    """SHA-256 of what a fit on `split` sees of a run, the losses in use where it has no such split; in hex."""
    series = run.series.get(split) or run.series[run.split]
    if series not in _digests:
        _digests[series] = hashlib.sha256(series.steps.tobytes() + series.loss.tobytes()).hexdigest()
    said = [_digests[series], run.plan and (run.plan.schedule, run.plan.params, run.plan.batch_tokens)]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def changed(kept: KeptFits, runs: Mapping[str, Run], name: str) -> tuple[list[str], list[str]]:
    """Training runs of a kept fit that are not loaded any more, and those that are not what they were."""
    model = kept.fits[name]
    gone = [run for run in model.train if run not in runs]
    basis = kept.bases.get(name, {})
    return gone, [
        run for run in model.train if run in runs and run in basis and content(runs[run], model.split) != basis[run]
    ]


def stale(kept: KeptFits, runs: Mapping[str, Run], name: str) -> str:
    """Why a kept fit is out of date, one sentence; empty while it is not."""
    gone, other = changed(kept, runs, name)
    said = []
    if gone:
        said.append(f"{_runs(gone)} {'is' if len(gone) == 1 else 'are'} no longer loaded")
    if other:
        said.append(f"{_runs(other)} {'has' if len(other) == 1 else 'have'} changed")
    return f"This fit is out of date: since it was made, {' and '.join(said)}." if said else ""


def _runs(names: list[str]) -> str:
    what = "training run" if len(names) == 1 else counted(len(names), "training run")
    return f"the {what} {listed(names, 3)}" if len(names) == 1 else f"{what} ({listed(names, 3)})"

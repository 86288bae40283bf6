"""What one visitor works on: a library of logs, fits, a running fit, and what is compared and planned with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from optlaws_core.saved.work import Stock

from .big_run import Aim, BigRun
from .candidates import Candidate
from .jobs import FitJob
from .kept_fits import Choice, KeptFits, content
from .library import Library
from .records import reset
from .table_file import TableFile
from .undo import Aside, History

if TYPE_CHECKING:
    from optlaws_core import Selection
    from optlaws_core.fitting.result import Model
    from optlaws_core.prediction.divergence import Risk


@dataclass
class Copied:
    """The saved comparison that a visitor's work began as a copy of, and what it is to be saved as."""

    parent: str | None = None  # its digest
    risk: Risk | None = None  # of divergence, that came with it
    draft: dict[str, str] = field(default_factory=dict)  # words that were typed, and what this was saved as last


@dataclass
class Workspace(Library, KeptFits, FitJob, Copied, Aim):
    """Everything one visitor works on. Each of its parts can be forgotten by itself."""

    candidates: list[Candidate] = field(default_factory=list)  # what the Decide page compares
    proposed: list[Candidate] = field(default_factory=list)  # by the app; unless edited, they give way to other ones
    trainer: str | None = None  # of the big run, a key of `exports.TARGETS`; stays when other logs come
    table: TableFile | None = None  # final losses
    sweep: TableFile | None = None  # final losses over learning rate and batch
    history: History = field(default_factory=History)  # of the candidates
    aside: list[Aside] = field(default_factory=list)  # what can be had back, the latest last
    known: Stock | None = None  # at the last look of `undo`

    @property
    def stock(self) -> Stock:
        """Runs, files and fits as they are now."""
        return Stock(
            dict(self.runs),
            dict(self.reports),
            dict(self.sources),
            dict(self.layouts),
            self.example,
            dict(self.fits),
            dict(self.selections),
            dict(self.bases),
            self.current,
            asdict(self.choice),
            self.parent,
            self.risk,
            asdict(self.big_run) if self.big_run else {},
            dict(self.draft),
        )

    def load(self, stock: Stock) -> None:
        """Put runs, files and fits in the place of those that are loaded.

        A draft stays where these have none and began as a copy of the same, or of nothing.
        """
        own = self.draft if stock.parent == self.parent else {}
        self.runs, self.reports = dict(stock.runs), dict(stock.reports)
        self.sources, self.layouts = dict(stock.sources), dict(stock.layouts)
        self.example, self.news = stock.example, ()
        self.fits, self.selections, self.bases = dict(stock.fits), dict(stock.selections), dict(stock.bases)
        self.current, self.choice = stock.current, Choice(**stock.choice)
        self.parent, self.risk, self.draft = stock.parent, stock.risk, dict(stock.draft or own)
        self.big_run, self.tried = BigRun.kept(stock.aim), True
        self.packed = self.banded = None
        self.revision += 1

    def clear(self) -> None:
        """Forget all runs, files and fits. Candidates stay: a link may have brought them. So do tables."""
        self.stop()
        for part in (Library, KeptFits, FitJob, Copied, Aim):
            reset(self, part)

    def keep(
        self, name: str, fit: Model, selection: Selection | None = None, basis: Mapping[str, str] | None = None
    ) -> None:
        """Store a fit under a name, and use it. `basis`: of its training runs when it began; None: as they are now."""
        if basis is None:
            basis = {run: content(self.runs[run], fit.split) for run in fit.train if run in self.runs}
        KeptFits.keep(self, name, fit, selection, basis)

    def rename(self, old: str, new: str) -> None:
        """Give a run another name, also in fits, in what they were judged beside, and in runs that began from it."""
        Library.rename(self, old, new)
        self.rename_run(old, new)

    def become(self, other: Workspace, parent: str) -> None:
        """Take over another workspace's runs, fits and candidates, which were saved as `parent`."""
        revision = self.revision
        self.clear()
        self.runs, self.candidates = dict(other.runs), list(other.candidates)
        for name, fit in other.fits.items():
            self.keep(name, fit, other.selections.get(name))
        self.current = other.current
        self.parent, self.risk, self.big_run = parent, other.risk, other.big_run
        self.revision = revision + 1

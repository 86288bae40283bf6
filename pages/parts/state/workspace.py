"""What one visitor works on: a library of logs, fits, a running fit, and what is compared and planned with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..widgets.table_upload import TableFile
from .big_run import Aim
from .candidates import Candidate
from .jobs import FitJob
from .kept_fits import KeptFits
from .library import Library
from .records import reset

if TYPE_CHECKING:
    from optlaws_core.prediction.divergence import Risk


@dataclass
class Copied:
    """The saved comparison that a visitor's work began as a copy of."""

    parent: str | None = None  # its digest
    risk: Risk | None = None  # of divergence, that came with it


@dataclass
class Workspace(Library, KeptFits, FitJob, Copied, Aim):
    """Everything one visitor works on. Each of its parts can be forgotten by itself."""

    candidates: list[Candidate] = field(default_factory=list)  # what the Decide page compares
    table: TableFile | None = None  # final losses
    sweep: TableFile | None = None  # final losses over learning rate and batch

    def clear(self) -> None:
        """Forget all runs, files and fits. Candidates stay: a link may have brought them. So do tables."""
        self.stop()
        for part in (Library, KeptFits, FitJob, Copied, Aim):
            reset(self, part)

    def rename(self, old: str, new: str) -> None:
        """Give a run another name, also in fits, in what they were judged beside, and in runs that began from it."""
        Library.rename(self, old, new)
        self.rename_run(old, new)

    def become(self, other: Workspace, parent: str) -> None:
        """Take over another workspace's runs, fits and candidates, which were saved as `parent`."""
        self.clear()
        self.runs, self.fits, self.current = dict(other.runs), dict(other.fits), other.current
        self.selections, self.candidates = dict(other.selections), list(other.candidates)
        self.parent, self.risk = parent, other.risk
        self.revision += 1

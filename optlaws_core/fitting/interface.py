"""What every fit answers to, so that whoever asks it need not know which kind it is."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from ..runs import Plan
from ..schedules import Schedule
from .coverage import Coverage
from .scores import Scores

if TYPE_CHECKING:
    from .result import Fit

Rename = Callable[[str], str]  # present name -> another one


class Fitted(Protocol):
    """What a fit of either kind, of whole curves or of final losses, tells of itself."""

    @property
    def title(self) -> str:
        """What it is called."""

    @property
    def coverage(self) -> Coverage:
        """What the training runs cover."""

    def reasons(self, schedule: Schedule | Plan) -> tuple[str, ...]:
        """Sentences on how a schedule or plan leaves what the training runs cover; empty when it stays inside."""

    @property
    def left_out(self) -> float | None:
        """Log error on training runs that were left out of the fit; None: not tried."""

    @property
    def doubts(self) -> list[str]:
        """Sentences on how the search ended, as far as that speaks against predictions."""

    @property
    def seconds(self) -> float:
        """How long the search took."""

    def to_dict(self) -> dict:
        """Plain values."""

    def save(self, path: Path) -> None:
        """Write them as JSON."""


class Model(Fitted, Protocol):
    """What predicts whole loss curves: a fit, or an average of fits."""

    @property
    def parts(self) -> "tuple[tuple[Fit, float], ...]":
        """The fits that predict, and their weights: above 0, of sum 1."""

    @property
    def members(self) -> "tuple[Fit, ...]":
        """Every fit that predicts schedules of some peak rate."""

    def parts_at(self, peak: float) -> "tuple[tuple[Fit, float], ...]":
        """The fits that predict schedules of this peak rate, and their weights: above 0, of sum 1."""

    @property
    def single(self) -> "Fit | None":
        """The fit, or None for an average."""

    @property
    def train(self) -> Mapping[str, Scores]:
        """Scores on the training runs, by name."""

    @property
    def test(self) -> Mapping[str, Scores]:
        """Scores on held-out runs, by name."""

    @property
    def split(self) -> str:
        """Which losses of the runs were fitted."""

    @property
    def from_step(self) -> int | None:
        """First step whose loss was to be fitted, as it was asked for; None: the usual one."""

    @property
    def first_step(self) -> int | None:
        """First step whose loss was fitted, asked for or found; None: the end of each warm-up."""

    @property
    def misfit(self) -> float | None:
        """Root mean square log error on the training runs, each counting the same."""

    @property
    def expected_error(self) -> float:
        """Relative error to expect on an unseen run; infinite where nothing tells."""

    @property
    def held_out_rmse(self) -> float | None:
        """Mean over held-out runs of their RMSE, or None without any."""

    @property
    def has_bands(self) -> bool:
        """Whether a coefficient has a known error, which parameter bands are made from."""

    def map_fits(self, change: "Callable[[Fit], Fit]") -> Self:
        """The model with every fit in it changed."""

    def renamed(self, run: Rename, split: Rename) -> Self:
        """The model with other names of runs and of splits."""

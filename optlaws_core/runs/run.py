"""What is run and what was seen: a `Plan` is a schedule with its model and batch, a `Run` is a plan with its losses.

A law sees plans only, so it cannot see the answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DesignError, LogError
from ..schedules import Joint, Schedule
from ..text import listed
from .run_shown import frame_of, html_of, line_of

if TYPE_CHECKING:
    import pandas as pd

LrSource = Literal["logged", "declared", "missing"]
# Of losses that are fitted: squares of squares of lower and of higher ones leave the range of numbers.
LOWEST_LOSS, HIGHEST_LOSS = 1e-30, 1e30
MOST_UPDATES = 10**9  # of a schedule that laws are asked about; the longest published runs have about 10^7


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run starts."""

    schedule: Schedule
    params: float | None = None  # N, trainable parameters
    # B, tokens per update; of a batch schedule those that its multiples count, by default its first size
    batch_tokens: float | None = None

    def __post_init__(self) -> None:
        for name in ("params", "batch_tokens"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise LogError(f"{name} must be above 0, got {value}.")
        if isinstance(self.schedule, Joint) and self.batch_tokens is None:
            object.__setattr__(self, "batch_tokens", self.schedule.first_batch)

    @property
    def tokens(self) -> float | None:
        """D, tokens seen by the whole plan, or None when the batch size is not known."""
        if isinstance(self.schedule, Joint):
            return self.schedule.tokens(self.batch_tokens)
        return None if self.batch_tokens is None else self.batch_tokens * self.schedule.total


@dataclass(frozen=True, eq=False)
class Series:
    """Losses of one split. Steps rise strictly; losses are finite, in nats per token (or per byte: the log's unit)."""

    steps: NDArray[np.int64]  # (n,)
    loss: NDArray[np.float64]  # (n,)

    def __post_init__(self) -> None:
        steps, loss = np.asarray(self.steps, np.int64), np.asarray(self.loss, float)
        if steps.shape != loss.shape or steps.ndim != 1:
            raise LogError(f"steps and loss must be flat and of one length, got {steps.shape} and {loss.shape}.")
        if len(steps) and (steps[0] < 0 or (np.diff(steps) <= 0).any()):
            raise LogError("steps must rise strictly from 0 or later.")
        if not np.isfinite(loss).all():
            raise LogError("losses must be finite.")
        for name, array in (("steps", steps), ("loss", loss)):
            array = array.copy()
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished or running training run. `plan` is None when nothing tells its learning rate."""

    name: str
    plan: Plan | None
    series: Mapping[str, Series]  # split -> losses; "train", or the eval set's name in the log
    split: str = "train"  # the split in use
    lr_source: LrSource = "missing"
    last_step: int | None = None  # last step in the log, of any split
    about: Mapping[str, str] = field(default_factory=dict)  # what else a manifest says, by column: seed, outcome, …
    open_questions: tuple[str, ...] = ()  # what its log does not say and its reading hangs on
    # Of splits whose losses were thinned since: the mean loss over the last 1 % of the updates, from all of them.
    ends: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.split not in self.series:
            raise LogError(f"Run {self.name!r} has no split {self.split!r}; it has {', '.join(self.series) or 'none'}.")
        if (self.plan is None) != (self.lr_source == "missing"):
            raise LogError(f"Run {self.name!r}: a plan and the source of its learning rate go together.")

    def __repr__(self) -> str:
        return line_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_frame(self) -> "pd.DataFrame":
        """A row for each loss of each split: step, split, loss, lr, tokens; nan where nobody tells the last two.

        `lr` is the rate of that update, `tokens` what was seen with that update included.
        """
        return frame_of(self)

    def plot(self) -> Any:
        """The losses in use above, the learning rate beneath, as a plotly `Figure`. Needs the extra `figures`."""
        from ..figures.of_records import of_runs

        return of_runs([self])

    @property
    def known_plan(self) -> Plan:
        """The plan. Raises `DesignError` for a run whose learning rate nobody tells."""
        if self.plan is None:
            raise DesignError(
                f"Run {self.name!r} has no learning rate, logged or declared; declare its schedule first."
            )
        return self.plan

    @property
    def steps(self) -> NDArray[np.int64]:
        """Steps of the losses in use, (n,)."""
        return self.series[self.split].steps

    @property
    def loss(self) -> NDArray[np.float64]:
        """Losses in use, (n,)."""
        return self.series[self.split].loss

    def on(self, split: str) -> "Run":
        """The same run, judged on another split."""
        return replace(self, split=split)

    def renamed(self, name: str) -> "Run":
        """The same run under another name."""
        return replace(self, name=name)

    def declared(self, plan: Plan) -> "Run":
        """The same run under a plan that the user declares."""
        return replace(self, plan=plan, lr_source="declared")

    def after(self, step: int) -> "Run":
        """The same run without the observations before `step`; its schedule still starts at 0."""
        kept = {k: Series(s.steps[s.steps >= step], s.loss[s.steps >= step]) for k, s in self.series.items()}
        return replace(self, series=kept)


def unsettled(runs: Iterable[Run]) -> list[str]:
    """Sentences on open questions that these runs hang on, one for each question."""
    asked: dict[str, list[str]] = {}
    for run in runs:
        for question in run.open_questions:
            asked.setdefault(question, []).append(run.name)
    return [f"An open question on {listed(names, 6)}: {question}" for question, names in asked.items()]

"""What a training loop logs, as our readers take it without a question, and where the loss is going."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.nn import Module
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from ..errors import OptLawsError, unread
from ..live import Outcome
from ..readers.layout import eval_name
from ..schedules import Schedule, batch_at, parse, parts, tokens_before
from .estimates import Estimates
from .group_rates import current_rate, innermost
from .log_file import LogFile, Number
from .run_manifest import as_table, continued

NO_SCHEDULE = "A forecast needs the schedule of the whole run; give the recorder its schedule."
NO_BATCH = "A forecast needs updates of one batch: the laws with learned priors cannot predict a batch schedule."
logger = logging.getLogger(__name__)


class Recorder:
    """Writes a run to `path`, a file of JSON lines, while it trains.

    Each row has the step (the update, counted from 0), the loss, the rate that the update used, and the tokens so far
    and in the update, as far as they are known. Beside it stands a manifest, `NAME.manifest.csv`, with what the rows do
    not say: parameters, batch, schedule. An existing file is continued, as `LogFile` says: a resumed run gives the same
    path, and no step stands there twice. Give other runs other paths, and record in one process alone.

    schedule: of the run, as text or `Schedule`, such as that of a `ScheduleLR`. params: trainable parameters.
    batch_tokens: tokens in an update, where the schedule's batch does not tell them, or what its multiples count.
    optimizer: whose rate is recorded, as each update uses it; without it give `lr`. It is that of the first group, over
    its ratio where a `ScheduleLR` with `ratios` drives it, so that the rates are those of the schedule.
    forecast_every: updates after which `say` gets a line with the estimated final loss; 0 for none. It comes from the
    losses so far and the laws with learned priors, is computed in a process of its own, and is told with the next row
    once it is there. A forecast that fails is one such line. Of a plan with an average it is that of the weights.

    Raises `OptLawsError` for a path that holds something else, and for a text that is no schedule.
    """

    def __init__(
        self,
        path: str | Path,
        schedule: str | Schedule | None = None,
        *,
        params: float | None = None,
        batch_tokens: float | None = None,
        optimizer: Optimizer | None = None,
        forecast_every: int = 0,
        say: Callable[[str], object] = print,
    ) -> None:
        self.path = Path(path)
        self.schedule = parse(schedule) if isinstance(schedule, str) else schedule
        self.params, self.batch_tokens = params, batch_tokens
        self.total = None if self.schedule is None else self.schedule.total
        self._log = LogFile(self.path)
        self._continues = self.path.exists()
        self._declared = False  # whether the manifest says all that is known
        self._estimates = Estimates(forecast_every, say)
        self._rate: Number | None = None
        if optimizer is not None:
            innermost(optimizer).register_step_post_hook(self._see)

    def record(
        self,
        step: int,
        loss: Number,
        *,
        lr: Number | None = None,
        tokens: float | None = None,
        batch_tokens: float | None = None,
    ) -> None:
        """A row for update `step`, counted from 0, and its training loss.

        lr: the rate that it used, by default that of the recorder's optimizer. tokens: seen so far, this update
        included; batch_tokens: those of this update; by default both as planned. Tensors are looked at when the row is
        written, a few seconds later, so that nothing waits for the accelerator. Raises `OptLawsError` for a step below
        0 and for a tensor of several numbers.
        """
        cells: dict[str, Number | None] = {"loss": loss, "lr": self._rate if lr is None else lr}
        cells |= {"tokens": tokens, "batch_tokens": batch_tokens}
        if tokens is None and batch_tokens is None:
            cells |= self._planned(step)
        self._add(step, cells)
        self._estimates.tell()
        if self._estimates.due(step) and (self.total is None or step + 1 < self.total):
            self._ask()

    def record_evaluation(self, step: int, losses: Mapping[str, Any]) -> None:
        """A row with the losses of an evaluation after update `step`.

        losses: by names such as `val_loss`, `eval_loss` and `val_loss_c4`; what is called otherwise, such as an
        accuracy, is left out. Raises `OptLawsError` for a step below 0.
        """
        known = {name: loss for name, loss in losses.items() if eval_name(name) is not None}
        if known:
            self._add(step, known)

    def declare(self, schedule: Schedule | None = None, params: float | None = None, total: int | None = None) -> None:
        """What is known of the run only once it begins, where the recorder was not told; and its manifest, written."""
        self.schedule = schedule if self.schedule is None else self.schedule
        self.params = params if self.params is None else self.params
        self.total = self.schedule.total if self.schedule else total if self.total is None else self.total
        self._declared = True
        if not (declared := self._declaration()):
            return
        if self._continues:
            declared = continued(self.manifest, self.path.name, declared)
        try:
            self.manifest.parent.mkdir(parents=True, exist_ok=True)
            self.manifest.write_text(
                as_table({"run": self.path.stem, "file": self.path.name} | declared), encoding="utf-8", newline=""
            )
        except OSError as fault:
            logger.warning("%s cannot be written: %s.", self.manifest, unread(fault))

    def estimate(self) -> Outcome:
        """The run's end as planned, from the losses so far: computed now in a process of its own, which takes seconds.

        Raises `OptLawsError` for a run without a schedule or with one of its batch, and what `planned_end` raises.
        """
        if self._unforeseen:
            raise OptLawsError(self._unforeseen)
        self._log.flush()
        return self._estimates.now(self.manifest)

    @property
    def manifest(self) -> Path:
        """What is declared of the run, beside its log."""
        return self.path.with_name(f"{self.path.stem}.manifest.csv")

    def close(self) -> None:
        """Write what still waits, and end the process of the forecasts. A row that comes later is taken as before."""
        self._log.close()
        self._estimates.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, step: int, cells: Mapping[str, Number | None]) -> None:
        if step < 0:
            raise OptLawsError(f"A recorder counts updates from 0, got step {step}.")
        if not self._declared:
            self.declare()
        self._log.add(int(step), {name: value for name, value in cells.items() if value is not None})

    def _see(self, optimizer: Optimizer, *_: object) -> None:
        """Note the rate of an update that was just made."""
        self._rate = current_rate(optimizer)

    def _planned(self, step: int) -> dict[str, Number | None]:
        """Tokens seen with update `step`, and in it, as far as the plan tells."""
        usual = self.batch_tokens
        if self.schedule is None:
            return {} if usual is None else {"tokens": usual * (step + 1), "batch_tokens": usual}
        seen, size = tokens_before(self.schedule, step + 1, usual), batch_at(self.schedule, step, usual)
        if seen is None or size is None:
            return {}
        return {"tokens": round(float(seen)), "batch_tokens": round(float(size))}

    def _declaration(self) -> dict[str, str]:
        """What is known of the run, as it stands in the manifest."""
        rate, batch, _ = (None, None, None) if self.schedule is None else parts(self.schedule)
        declared = {
            "params": self.params,
            "batch_tokens": self.batch_tokens,
            "schedule": rate and rate.text,
            "batch_schedule": batch and batch.text,
            "total_steps": self.total,
        }
        return {name: str(value) for name, value in declared.items() if value is not None}

    @property
    def _unforeseen(self) -> str:
        """Why nothing can be forecast; empty where something can."""
        if self.schedule is None:
            return NO_SCHEDULE
        batch = parts(self.schedule)[1]
        return "" if batch is None or batch.constant else NO_BATCH

    def _ask(self) -> None:
        """Have the end estimated; `tell` says it when it is there."""
        if self._unforeseen:
            self._estimates.refuse(self._unforeseen)
        elif self._log.flush(patient=True):
            self._estimates.ask(self.manifest)


def trainable(model: Module) -> int:
    """Parameters of a model that are trained, whole where DeepSpeed keeps a share of each here."""
    kept = [p for p in model.parameters() if p.requires_grad and not is_lazy(p)]
    return sum(int(getattr(p, "ds_numel", p.numel())) for p in kept)


__all__ = ["Recorder", "trainable"]

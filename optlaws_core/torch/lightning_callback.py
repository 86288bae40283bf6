"""A recorder in the Trainer of Lightning."""

from typing import Any

from ..errors import extra
from .followed import followed
from .group_rates import current_rate
from .log_file import Number
from .recorder import Recorder, trainable

with extra("lightning", "A callback for the Trainer of Lightning"):
    from lightning import Callback, LightningModule, Trainer


class LightningCallback(Callback):
    """`Trainer(..., callbacks=[LightningCallback(Recorder("runs/a.jsonl"))])`.

    A row comes with each update of a module with automatic optimization: the loss that `training_step` returned, as a
    mean over what the update accumulated, and the rate of that update. It is the loss of the first process, which
    alone records. Of validations those metrics are rows that are called like a loss, such as `val_loss`. What the
    recorder was not told is taken from the Trainer: parameters, `max_steps`, and the schedule of a scheduler that is
    stepped with each update, where it is one of ours or has the rates of one.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._rate: Number | None = None
        self._loss: Number = 0.0  # sum over the update's batches so far
        self._batches = 0  # in that sum; the last update of an epoch may have fewer than the others
        self._updates = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Declare what the Trainer knows of the run."""
        self._updates = trainer.global_step
        if trainer.is_global_zero:
            total = trainer.max_steps if trainer.max_steps > 0 else None
            by_step = [config.scheduler for config in trainer.lr_scheduler_configs if config.interval == "step"]
            schedule = followed(by_step[0], total) if by_step else None
            self.recorder.declare(schedule, trainable(pl_module), total)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Note the rate of the update to come: the scheduler has moved on by the time of its end."""
        self._rate = current_rate(optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record an update when its last batch is done."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None or not trainer.is_global_zero:
            return
        self._loss = self._loss + loss.detach() * trainer.accumulate_grad_batches  # Lightning has divided by that
        self._batches += 1
        if trainer.global_step > self._updates:
            self._updates = trainer.global_step
            self.recorder.record(self._updates - 1, self._loss / self._batches, lr=self._rate)
            self._loss, self._batches = 0.0, 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the losses of a validation; one before the first update belongs to none."""
        if trainer.is_global_zero and not trainer.sanity_checking and trainer.global_step > 0:
            self.recorder.record_evaluation(trainer.global_step - 1, trainer.callback_metrics)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what still waits."""
        self.recorder.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what still waits."""
        self.recorder.close()


__all__ = ["LightningCallback"]

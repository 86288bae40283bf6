"""A recorder in the Trainer of transformers."""

from collections.abc import Mapping
from typing import Any

from ..errors import extra
from .followed import followed
from .group_rates import current_rate
from .log_file import Number
from .recorder import Recorder, trainable

with extra("transformers", "A callback for the Trainer of transformers"):
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class TransformersCallback(TrainerCallback):
    """`Trainer(..., callbacks=[TransformersCallback(Recorder("runs/a.jsonl"))])`.

    A row comes with each log of the Trainer, which tells no loss in between: its loss is the mean over the updates
    since the log before, of all processes; `logging_steps=1` gives every update its own. The last of all
    updates has a log, too.
    The rate is that of the row's update. Evaluations are rows, too. What the recorder was not told is
    taken from the Trainer: parameters, updates in total, the schedule, where it is one of ours or has the rates of one,
    and tokens with `include_num_input_tokens_seen`. Only the first process records.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._rate: Number | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Declare what the Trainer knows of the run."""
        if state.is_world_process_zero:
            schedule = followed(kwargs.get("lr_scheduler"), state.max_steps)
            self.recorder.declare(schedule, trainable(kwargs["model"]), state.max_steps)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note the rate of the update to come: the scheduler has moved on by the time of its log."""
        self._rate = current_rate(kwargs["optimizer"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask for a log of the last update, which `logging_steps` may not divide."""
        control.should_log = control.should_log or control.should_training_stop

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the loss since the log before."""
        if logs and "loss" in logs and state.is_world_process_zero:
            tokens = logs.get("num_input_tokens_seen")
            self.recorder.record(state.global_step - 1, logs["loss"], lr=self._rate, tokens=tokens)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the losses of an evaluation; one before the first update belongs to none."""
        if metrics and state.is_world_process_zero and state.global_step > 0:
            self.recorder.record_evaluation(state.global_step - 1, metrics)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write what still waits."""
        self.recorder.close()


__all__ = ["TransformersCallback"]

"""Hugging Face `trainer_state.json`: its `log_history` has rows for training, evaluation, prediction and a summary."""

import re
from dataclasses import replace

from ...errors import LogError
from ...schedules.entries import LARGEST
from ...text import shortened
from ..base import Facts, Layout, Note, Opened
from ..layout import guess_layout
from .records import Records


def open_trainer_state(state: dict, parts: tuple[str, ...]) -> Opened:
    """A trainer's state, opened; `parts` are its file's folders and name. Raises `LogError` when it logged nothing."""
    records, facts, notes = read_trainer_state(state)
    name = run_name(parts)

    def runs(layout: Layout):
        return [replace(raw, facts=facts) for raw in records.runs(layout, name)]

    return Opened("Hugging Face trainer_state.json", records.columns, trainer_layout(records.columns), runs, notes)


def is_trainer_state(value: object) -> bool:
    """Whether a JSON value is a trainer's state."""
    return isinstance(value, dict) and isinstance(value.get("log_history"), list)


def read_trainer_state(state: dict) -> tuple[Records, Facts, tuple[Note, ...]]:
    """The logged rows, what the state declares, and notes. Raises `LogError` when nothing was logged."""
    rows = [row for row in state["log_history"] if isinstance(row, dict)]
    # Prediction rows have no step; the last row's train_loss is the mean of the whole run.
    kept = [row for row in rows if "step" in row and "train_runtime" not in row and "train_loss" not in row]
    if not kept:
        raise LogError("log_history holds no row with a step and a loss.")
    total = state.get("max_steps")
    facts = Facts(total_steps=total if isinstance(total, int) and 0 < total <= LARGEST else None)
    every = state.get("logging_steps")
    notes = ()
    if isinstance(every, (int, float)) and 1 < every <= LARGEST:
        notes = (Note("info", f"Each training loss is the mean over the last {every:g} steps (logging_steps)."),)
    return Records((None, row) for row in kept), facts, notes


def trainer_layout(columns: tuple[str, ...]) -> Layout:
    """The layout that a trainer's rows always have."""
    guess = guess_layout(columns)
    losses = tuple((s, c) for s, c in guess.losses if s != "train" or c == "loss")
    return Layout("step", "step", losses, "learning_rate" if "learning_rate" in columns else None, tokens=guess.tokens)


def run_name(parts: tuple[str, ...]) -> str:
    """The folder that holds the state, or the one above a folder of a checkpoint; the stem without folders."""
    for folder in reversed(parts[:-1]):
        if not re.fullmatch(r"checkpoint-\d+", folder) and folder not in ("/", "\\"):
            return shortened(folder, 200)
    return parts[-1].rsplit(".", 1)[0] if parts else ""

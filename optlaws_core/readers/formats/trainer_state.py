"""Hugging Face `trainer_state.json`: its `log_history` has rows for training, evaluation, prediction and a summary."""

import re
from dataclasses import replace

import numpy as np

from ...errors import LogError
from ...schedules.entries import LARGEST
from ..base import Facts, Layout, Note
from ..format import Content, Format
from ..layout import guess_layout
from ..opened import Opened
from ..suggest import with_rate
from .records import Records

STATE = re.compile(r"trainer_state( ?\(\d+\))?", re.IGNORECASE)  # a stem that names no run


def open_trainer_state(content: Content) -> Opened:
    """A trainer's state, opened. Raises `LogError` when it logged nothing."""
    records, facts, notes = read_trainer_state(content.json)
    name = content.run_name if STATE.fullmatch(content.source.stem) else content.source.stem

    def runs(layout: Layout):
        return [replace(raw, facts=facts.over(raw.facts)) for raw in records.runs(layout, name)]

    layout, questions = with_rate(trainer_layout(records.columns), records.columns, records.read)
    return Opened(records.columns, layout, runs, notes, questions)


def is_trainer_state(content: Content) -> bool:
    """Whether a file is a trainer's state."""
    return isinstance(content.json, dict) and isinstance(content.json.get("log_history"), list)


def read_trainer_state(state: dict) -> tuple[Records, Facts, tuple[Note, ...]]:
    """The logged rows, what the state declares, and notes. Raises `LogError` when nothing was logged."""
    rows = [row for row in state["log_history"] if isinstance(row, dict)]
    # Prediction rows have no step; the last row's train_loss is the mean of the whole run.
    kept = [row for row in rows if "step" in row and "train_runtime" not in row and "train_loss" not in row]
    if not kept:
        raise LogError("log_history holds no row with a step and a loss.")
    total = state.get("max_steps")
    facts = Facts(total_steps=total if isinstance(total, int) and 0 < total <= LARGEST else None)
    return Records((None, row) for row in kept), facts, _about_means(kept, state.get("logging_steps"))


def _about_means(rows: list[dict], every: object) -> tuple[Note, ...]:
    """What a training loss is the mean of: as many steps as its rows are apart, or that `logging_steps` says.

    With logging_strategy "epoch" a state has logging_steps, too, which then say nothing.
    """
    steps = [row["step"] for row in rows if "loss" in row and isinstance(row["step"], (int, float))]
    apart = np.diff([s for s in steps if 0 <= s <= LARGEST])
    apart = apart[apart > 0]
    usual = float(np.median(apart)) if len(apart) else 0.0
    said = float(every) if isinstance(every, (int, float)) and 1 < every <= LARGEST else 0.0
    if said and usual in (0.0, said):
        return (Note("info", f"Each training loss is the mean over the last {said:g} steps (logging_steps)."),)
    if usual > 1:
        text = (
            f"Each training loss is a mean of the steps before it, at most of the {usual:,.10g} since the row before."
        )
        return (Note("info", text),)
    return ()


def trainer_layout(columns: tuple[str, ...]) -> Layout:
    """The layout that a trainer's rows always have."""
    guess = guess_layout(columns)
    losses = tuple((s, c) for s, c in guess.losses if s != "train" or c == "loss")
    rate = "learning_rate" if "learning_rate" in columns else guess.lr
    return Layout("step", "step", losses, rate, tokens=guess.tokens)


SAMPLE = (
    b'{"log_history": [{"step": 0, "loss": 3.25, "learning_rate": 0.001, "epoch": 0.1}, {"step": 10, "loss": '
    b'2.5, "learning_rate": 0.001, "epoch": 0.1}, {"step": 20, "loss": 2.125, "learning_rate": 0.0005, '
    b'"epoch": 0.1}, {"step": 30, "loss": 2.0, "learning_rate": 0.0, "epoch": 0.1}, {"predict_loss": 7.0}, '
    b'{"step": 30, "train_loss": 99.0, "train_runtime": 1.0, "total_flos": 1e+18}], "max_steps": 31, '
    b'"logging_steps": 10}'
)
FORMAT = Format("Hugging Face trainer_state.json", (".json",), is_trainer_state, open_trainer_state, SAMPLE)

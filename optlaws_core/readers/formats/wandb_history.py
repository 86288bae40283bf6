"""W&B history as JSON: `{"name": …, "config": {…}, "summary": {…}, "history": {section: {"iter": […], metric: […]}}}`.

Each section has steps of its own. What the run's config declares (batch, warm-up, updates) is taken from it.
"""

import math

from ...errors import LogError
from ...schedules.entries import LARGEST
from ...text import listed, shortened
from ..base import Facts, Layout, Note, Numbers, Opened, RawRun
from ..layout import STEP, eval_name, is_lr, train_rank
from ..numbers import from_cells

_PARAMS = ("parameters", "n_params", "num_parameters", "params", "model_parameters")
_BATCH = ("batch_size", "acc_steps", "world_size", "sequence_length")  # factors of the tokens of one update
_TOTAL = ("iterations", "total_steps", "max_steps", "train_steps")


def open_history(run: dict) -> Opened:
    """An exported run, opened. Raises `LogError` when no section has steps and values."""
    raw = read_history(run)
    return Opened("W&B history JSON", tuple(raw.columns), history_layout(tuple(raw.columns)), lambda layout: [raw])


def is_history(value: object) -> bool:
    """Whether a JSON value is an exported run."""
    return isinstance(value, dict) and isinstance(value.get("history"), dict)


def read_history(run: dict) -> RawRun:
    """The run with columns `section/metric`. Raises `LogError` when no section has steps and values."""
    columns: dict[str, Numbers] = {}
    own_x: dict[str, Numbers] = {}
    for section, table in run["history"].items():
        steps = _steps(table)
        if steps is None:
            continue
        x = from_cells(table[steps])
        for metric, cells in table.items():
            if metric != steps and isinstance(cells, list) and cells and len(cells) == len(x):
                name = f"{section}/{metric}"
                columns[name], own_x[name] = from_cells(cells), x
    if not columns:
        raise LogError(f"no section of the history has steps and values; sections: {listed(run['history'])}.")
    config, summary = (run.get(k) if isinstance(run.get(k), dict) else {} for k in ("config", "summary"))
    name = run.get("name")
    facts = _facts(config, summary)
    return RawRun(name if isinstance(name, str) else "", columns, own_x, None, facts, _notes(config, name))


def history_layout(columns: tuple[str, ...]) -> Layout:
    """Losses are `<section>/<section>_loss` or `<section>/loss`; the learning rate is the training section's."""
    losses, lr = {}, None
    for column in columns:
        section, _, metric = column.partition("/")
        bare = metric.removeprefix(section.replace("-", "_") + "_").removeprefix(section + "_")
        if section == "train":
            if train_rank(bare) is not None:
                losses.setdefault("train", column)
            elif is_lr(bare):
                lr = lr or column
        elif bare == "loss" and eval_name(f"{section}/loss"):
            losses.setdefault(section, column)
    first = sorted(losses.items(), key=lambda pair: pair[0] != "train")
    return Layout("iter", "step", tuple(first), lr)


def _steps(table: object) -> str | None:
    """The key of a section's steps."""
    if not isinstance(table, dict):
        return None
    return next((k for k in table if k in STEP and isinstance(table[k], list)), None)


def _facts(config: dict, summary: dict) -> Facts:
    params = next((n for d in (config, summary) for k in _PARAMS if (n := _positive(d.get(k)))), None)
    factors = [_positive(config.get(k)) for k in _BATCH]
    total = next((n for k in _TOTAL if (n := _positive(config.get(k)))), None)
    warmup = config.get("warmup_steps")
    declared = isinstance(warmup, int) and not isinstance(warmup, bool) and 0 <= warmup <= LARGEST
    return Facts(
        params=params,
        batch_tokens=math.prod(factors) if all(factors) else None,
        warmup_steps=warmup if declared else None,
        total_steps=int(total) if total else None,
    )


def _notes(config: dict, name: object) -> tuple[Note, ...]:
    parent = config.get("resume_from")
    if not isinstance(parent, str) or not parent:
        return ()
    run = name if isinstance(name, str) else ""
    return (
        Note("info", f"The run was resumed from another one, {shortened(parent, 200)!r}, so its log starts late.", run),
    )


def _positive(value: object) -> float | None:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= LARGEST
    return float(value) if fine else None

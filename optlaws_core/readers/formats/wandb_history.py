"""W&B history as JSON: `{"name": …, "config": {…}, "summary": {…}, "history": {section: {"iter": […], metric: […]}}}`.

Each section has steps of its own. What the run's config declares (batch, warm-up, updates) is taken from it.
"""

import math

from ...errors import LogError
from ...schedules.entries import LARGEST
from ...text import listed, shortened
from ..base import Facts, Layout, Note
from ..format import Content, Format
from ..layout import STEP, eval_name, is_lr, train_rank
from ..numbers import from_cells
from ..opened import Numbers, Opened, RawRun

_PARAMS = ("parameters", "n_params", "num_parameters", "params", "model_parameters")
_BATCH = ("batch_size", "acc_steps", "world_size", "sequence_length")  # factors of the tokens of one update
_TOTAL = ("iterations", "total_steps", "max_steps", "train_steps")


def open_history(content: Content) -> Opened:
    """An exported run, opened. Raises `LogError` when no section has steps and values."""
    raw = read_history(content.json)
    return Opened(tuple(raw.columns), history_layout(tuple(raw.columns)), lambda layout: [raw])


def is_history(content: Content) -> bool:
    """Whether a file is an exported run."""
    return isinstance(content.json, dict) and _has_sections(content.json.get("history"))


def _has_sections(history: object) -> bool:
    """Whether a history has sections, or nothing; that of Keras is one table of columns."""
    return isinstance(history, dict) and not any(isinstance(table, list) for table in history.values())


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
                column = f"{section}/{metric}"
                columns[column], own_x[column] = from_cells(cells), x
    if not columns:
        raise LogError(f"no section of the history has steps and values; sections: {listed(run['history'])}.")
    config, name = _dict(run.get("config")), run.get("name")
    name = name if isinstance(name, str) else ""
    facts = _facts(config, _dict(run.get("summary")))
    return RawRun(name, columns, own_x, None, facts, _notes(config, name))


def _dict(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def history_layout(columns: tuple[str, ...]) -> Layout:
    """Losses are `<section>/<section>_loss` or `<section>/loss`; the learning rate is the training section's."""
    losses: dict[str, str] = {}
    lr = None
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
    factors = [factor for k in _BATCH if (factor := _positive(config.get(k)))]
    total = next((n for k in _TOTAL if (n := _positive(config.get(k)))), None)
    warmup = config.get("warmup_steps")
    declared = isinstance(warmup, int) and not isinstance(warmup, bool) and 0 <= warmup <= LARGEST
    return Facts(
        params=params,
        batch_tokens=math.prod(factors) if len(factors) == len(_BATCH) else None,
        warmup_steps=warmup if declared else None,
        total_steps=int(total) if total else None,
    )


def _notes(config: dict, run: str) -> tuple[Note, ...]:
    parent = config.get("resume_from")
    if not isinstance(parent, str) or not parent:
        return ()
    return (
        Note("info", f"The run was resumed from another one, {shortened(parent, 200)!r}, so its log starts late.", run),
    )


def _positive(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 < value <= LARGEST else None


SAMPLE = (
    b'{"name": "from-json", "config": {"iterations": 31, "warmup_steps": 2, "batch_size": 8, "acc_steps": 1}, '
    b'"summary": {}, "history": {"train": {"iter": [0, 10, 20, 30], "train_loss": [3.25, 2.5, 2.125, 2.0], '
    b'"train_lr": [0.001, 0.001, 0.0005, 0.0], "train_perplexity": [25.790339917193062, 12.182493960703473, '
    b'8.372897488127265, 7.38905609893065]}, "wa": {"iter": [], "loss": []}}}'
)
FORMAT = Format("W&B history JSON", (".json",), is_history, open_history, SAMPLE)

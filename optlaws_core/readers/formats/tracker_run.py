"""A run that was downloaded from a tracker: `{"downloaded from": …, "name": …, "config": {…}, "rows": [{…}, …]}`."""

import json
from collections.abc import Sequence
from dataclasses import replace

from ...errors import LogError
from ..base import Layout
from ..declared import facts_of
from ..format import Content, Format
from ..layout import guess_layout
from ..opened import Opened, RawRun
from .records import Records
from .wandb_run import STEPS, counts_calls

MARK = "downloaded from"


def as_download(tracker: str, name: str, config: dict, rows: Sequence[dict]) -> bytes:
    """A run of `tracker` as such a file; each of the `rows` is what was logged at once."""
    head = json.dumps({MARK: tracker, "name": name, "config": config})
    lines = ",\n".join(map(json.dumps, rows))
    return f'{head[:-1]}, "rows": [\n{lines}\n]}}'.encode()


def is_download(content: Content) -> bool:
    """Whether a file is such a run."""
    return isinstance(content.json, dict) and MARK in content.json and isinstance(content.json.get("rows"), list)


def open_download(content: Content) -> Opened:
    """The run, opened. Raises `LogError` when it logged nothing."""
    run = content.json
    rows = [row for row in run["rows"] if isinstance(row, dict)]
    if not rows:
        raise LogError("no rows were logged.")
    records = Records((None, row) for row in rows)
    config = run.get("config")
    name = run["name"] if isinstance(run.get("name"), str) and run["name"] else content.run_name
    facts, said = facts_of(config if isinstance(config, dict) else {}, name)

    def runs(layout: Layout) -> list[RawRun]:
        return [replace(raw, facts=facts, notes=said) for raw in records.runs(layout, name)]

    layout = guess_layout(records.columns)
    asked = (STEPS,) if layout.x == "_step" and counts_calls(records.numbers("_step")) else ()
    return Opened(records.columns, layout, runs, (), asked)


SAMPLE = as_download(
    "W&B",
    "from-afar",
    {"n_params": 1200, "batch_size": 8},
    [
        {"_step": 0, "iter": 0, "train/loss": 3.25, "train/lr": 0.001},
        {"_step": 1, "iter": 10, "train/loss": 2.5, "train/lr": 0.001},
        {"_step": 2, "iter": 20, "train/loss": 2.125, "train/lr": 0.0005},
        {"_step": 3, "iter": 30, "train/loss": 2.0, "train/lr": 0.0},
    ],
)
FORMAT = Format("downloaded run", (".json",), is_download, open_download, SAMPLE)

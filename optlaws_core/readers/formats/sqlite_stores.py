"""Trackers that keep their runs in a SQLite database: MLflow's `mlflow.db`, and trackio's `<project>.db`."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from zlib import decompress

from ...errors import LogError
from ...text import counted
from ..base import Layout, Source
from ..declared import facts_of
from ..format import Content, Format
from ..layout import guess_layout
from ..metric_curves import Curves
from ..metric_curves import opened as opened_curves
from ..opened import Opened, RawRun
from ..questions import LOG_CALLS, Answer, Question
from ..row_kinds import MOST_RUNS
from ..sqlite import WAL, database
from .records import Records
from .wandb_run import counts_calls

_SUFFIXES = (".db", ".sqlite", ".sqlite3")
STEPS = Question(
    "x",
    "trackio counts calls of trackio.log where the program gives no step; does its step count updates here?",
    (Answer("updates", "Yes, it was logged at every update."), LOG_CALLS),
)


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """Databases with the file of what was written last beside them."""
    by_parts = {source.parts: source for source in sources if source.parts}
    pairs = ((by_parts.get((*parts[:-1], parts[-1] + WAL)), source) for parts, source in by_parts.items())
    return [[source, wal] for wal, source in pairs if wal is not None]


def _check_number(runs: int) -> None:
    if runs > MOST_RUNS:
        raise LogError(f"a file may hold {counted(MOST_RUNS, 'run')}, this one has {runs:,}.")


# ---- MLflow


def is_mlflow(content: Content) -> bool:
    """Whether a file is MLflow's database."""
    tables = content.tables
    return {"key", "value", "step", "run_uuid"} <= {*tables.get("metrics", ())} and "run_uuid" in tables.get("runs", ())


def open_mlflow(content: Content) -> Opened:
    """Every run that was not deleted and has metrics, in the order in which they began. Raises `LogError`."""
    curves: dict[str, Curves] = {}
    with database(content.data, content.last_written) as connection:
        points = "SELECT run_uuid, key, value, step, is_nan FROM metrics ORDER BY timestamp, step"
        for run, key, value, step, nan in connection.execute(points):
            curves.setdefault(str(run), Curves()).add(str(key), step, float("nan") if nan else value)
        runs = connection.execute(
            "SELECT run_uuid, name, lifecycle_stage FROM runs ORDER BY start_time, name, run_uuid"
        )
        named = {str(run): str(name or run) for run, name, stage in runs if stage != "deleted"}
        params: dict[str, dict[str, object]] = {}
        if "params" in content.tables:
            for run, key, value in connection.execute("SELECT run_uuid, key, value FROM params"):
                params.setdefault(str(run), {})[str(key)] = value
    kept = [run for run in named if run in curves]
    _check_number(len(kept))
    return opened_curves(curves[run].raw_run(named[run], *facts_of(params.get(run, {}), named[run])) for run in kept)


# ---- trackio


@dataclass
class _Tracked:
    """A run of trackio."""

    name: str
    rows: list[dict] = field(default_factory=list)
    config: Mapping[str, object] = field(default_factory=dict)


def is_trackio(content: Content) -> bool:
    """Whether a file is a project of trackio. Raises `LogError` for a database of neither tracker."""
    tables = content.tables
    if {"experiment", "run", "run_tag"} <= {*tables}:
        raise LogError(
            f"{content.file}: this is Aim's index of runs, while its curves are in a store that only Aim reads; export "
            "them with aim.Repo('.').query_metrics().",
            content.file,
        )
    if tables and not {"run_name", "step", "metrics"} <= {*tables.get("metrics", ())}:
        raise LogError(
            f"{content.file}: this SQLite database is not one of MLflow or trackio; export the metrics as CSV.",
            content.file,
        )
    return bool(tables)


def open_trackio(content: Content) -> Opened:
    """The runs of a project, in the order of their names. Raises `LogError` when nothing is logged."""
    with database(content.data, content.last_written) as connection:
        by = "run_id" if "run_id" in content.tables["metrics"] else "run_name"
        runs: dict[str, _Tracked] = {}
        for run, name, step, cell in connection.execute(
            f"SELECT {by}, run_name, step, metrics FROM metrics ORDER BY id"
        ):
            row = {"_step": step, **_object(cell)}
            runs.setdefault(str(run), _Tracked(str(name))).rows.append(row)
        if by in content.tables.get("configs", ()):
            for run, cell in connection.execute(f"SELECT {by}, config FROM configs"):
                if str(run) in runs:
                    runs[str(run)].config = _object(cell)
    _check_number(len(runs))
    tracked = [(run, Records((None, row) for row in run.rows)) for run in sorted(runs.values(), key=lambda r: r.name)]
    columns = tuple(dict.fromkeys(column for _, records in tracked for column in records.columns))
    if not tracked:
        raise LogError("no metrics are logged here.")
    layout = guess_layout(columns)
    calls = layout.x == "_step" and all(
        counts_calls(records.numbers("_step")) for _, records in tracked if "_step" in records.cells
    )
    return Opened(columns, layout, lambda chosen: _runs(tracked, chosen), (), (STEPS,) if calls else ())


def _runs(tracked: Sequence[tuple[_Tracked, Records]], layout: Layout) -> list[RawRun]:
    found = []
    for run, records in tracked:
        facts, notes = facts_of(run.config)
        found += [replace(raw, facts=facts, notes=notes) for raw in records.runs(layout, run.name)]
    return found


def _object(cell: object) -> dict:
    """The JSON object in a cell; an empty one where there is none."""
    if not isinstance(cell, (str, bytes)):
        return {}
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


MLFLOW_SAMPLE = decompress(
    b64decode(
        "eNrtVDFP4zAU9ktbHFUghCAKPQS4YqGCk5AYYECi7SmHkAqFo0hskRtczpCkKHZB3HLqcP/g9pvvJ7DxG+4fIN12EzsDdh1RWpYbmFA/OXHe931+"
        "z8qTfXRY45KRVjuJqCTryEIAqEwIMsiiPjJDMaD/xERv8S2CnzCuprfBYWbMLRTgu6TNkF3ShEbCvLOfvniVhkcalWrNI4YjyxfshjS8k8YquaJh"
        "h6XfSSf2Ox1+2gtL3ZyF3bk56NJe0ojJhAcinTIDaVPydd7PtXpFBZJHTEgaXZLq7s7u/nCpVSIk62tc+DGNSbVer3mV/dI5YNdxoLvR24ZaKPRj"
        "DWxAM2R5KGlMI/acnybS19t4rhLyFgtugpD5SjwzxpLuDcBfpMYI7xQfIOcs2YU1hVbSjj5GYStsX9NA8ium+2/DCoJ7uINf8ANiOIYtRYwwjEkb"
        "T9nggB0mC/pfLrgYT2FDbJebe38efj/OaGHGHesLB0bIayHv5JRgO/YLQfOzWVwE7ZcJ5bEftoWwTInFDC7iQaWc3rum1KL12pBe0qbkPCiDLvnC"
        "kDcGrZvz/w+pMcL7xjRki5NOk8rgqy/4N7ap+/8Esbuy1Q=="
    )
)
TRACKIO_SAMPLE = decompress(
    b64decode(
        "eNoLDvTJLElVSMsvyk0sUTBmYGJgZGRwUFBggABmBgRgAmIWJD4jA5GAF6SZkYuBsRZIDFpQyMQuLi3N2GhZkpiUk5qcn5eWmV4MpZidg1wdQ1wV"
        "QhydfFwVoIIKGpkpCp5+Ia7urkEKAUGevo5BkQrerpE6CkWlefFAuRDXiBAIJy8xNxXKhWgGczQbGRghdoaD7cxNLSnKTC6GUkwodkIFybOzuCS1"
        "AKZLB24U2AmguGFhlGZgPM7YxxgEZIwCGDBlZmMQVWX0NACCtKL8XN2SosTk7Mx8uWolICszTz8nv7hYyUrBSM9AR0EppwjINNAzqLViAmsLRtcm"
        "gqHN0MgUSaOBgWmtOSNYry+6Xi4MvSg6DWvNGUAaOfzRNaLpM9YzQtMIin9GxhsMQDQKhhFQY2AFJgh9zPSQlFiSnBFfnFmVCkwDFrUAve+gYg=="
    )
)
MLFLOW = Format("MLflow database", _SUFFIXES, is_mlflow, open_mlflow, MLFLOW_SAMPLE, gather=gather)
TRACKIO = Format("trackio database", _SUFFIXES, is_trackio, open_trackio, TRACKIO_SAMPLE)

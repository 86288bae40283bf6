"""Small stores of trackers, written as their programs write them; and three runs of 400 steps for all of them."""

import io
import json
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from optlaws_core import parse


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """A protobuf message of (number, value)."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def framed(records: list[bytes], head: bytes = b":W&B\xe1\xbe\x00") -> bytes:
    """Records in the blocks of a LevelDB log, behind the head of a file."""
    out = bytearray(head)
    for record in records:
        rest, first = record, True
        while first or rest:
            left = 32_768 - len(out) % 32_768
            if left < 7:
                out += bytes(left)
                continue
            body, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if first else 4) if not rest else (2 if first else 3)
            crc = zlib.crc32(body, zlib.crc32(bytes([kind])))
            out += crc.to_bytes(4, "little") + len(body).to_bytes(2, "little") + bytes([kind]) + body
            first = False
    return bytes(out)


def wandb_log(
    name: str, rows: list[dict], config: dict | None = None, id: str = "ab12cd34", step: bool = True
) -> bytes:
    """A transaction log of W&B."""

    def items(values: dict) -> bytes:
        return message(*((1, message((2, key), (16, json.dumps(value)))) for key, value in values.items()))

    run = message((17, message((1, id), (4, items(config or {})), (8, name))))
    calls = ({**row, "_step": i} if step else row for i, row in enumerate(rows))
    return framed([run, *(message((2, items(row))) for row in calls)])


def database(script: str, rows: dict[str, Iterable[tuple]]) -> bytes:
    """A SQLite database: what makes its tables, and the rows of each."""
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA page_size = 512")
    connection.executescript(script)
    for table, some in rows.items():
        for row in some:
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    connection.commit()
    return connection.serialize()


MLFLOW_TABLES = """
    CREATE TABLE runs (run_uuid TEXT, name TEXT, start_time BIGINT, lifecycle_stage TEXT);
    CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
    CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
"""
TRACKIO_TABLES = """
    CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id TEXT, run_name TEXT, step INTEGER, metrics TEXT);
    CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id TEXT, run_name TEXT, config TEXT);
"""


def mlflow_db(*runs: tuple[str, dict[str, list[tuple[int, float]]], dict]) -> bytes:
    """An `mlflow.db` of runs (name, metric -> points, params)."""
    ids = [f"{i:04x}" for i in range(len(runs))]
    stages = [(id, name, i, "deleted" if name.startswith("deleted") else "active") for i, (id, (name, _, _)) in
              enumerate(zip(ids, runs, strict=True))]  # fmt: skip
    points = [
        (key, 0.0 if value != value else value, step, id, step, int(value != value))
        for id, (_, metrics, _) in zip(ids, runs, strict=True)
        for key, pairs in metrics.items()
        for step, value in pairs
    ]
    params = [
        (key, str(value), id) for id, (*_, config) in zip(ids, runs, strict=True) for key, value in config.items()
    ]
    return database(MLFLOW_TABLES, {"runs": stages, "metrics": points, "params": params})


def trackio_db(*runs: tuple[str, list[tuple[int, dict]], dict]) -> bytes:
    """A project of trackio, of runs (name, rows of step and metrics, config)."""
    ids = [f"{i:04x}" for i in range(len(runs))]
    rows = [
        (id, name, step, json.dumps(row)) for id, (name, rows, _) in zip(ids, runs, strict=True) for step, row in rows
    ]
    configs = [(id, name, json.dumps(config)) for id, (name, _, config) in zip(ids, runs, strict=True)]
    numbered = {"metrics": rows, "configs": configs}
    return database(TRACKIO_TABLES, {t: [(i, *row) for i, row in enumerate(some)] for t, some in numbered.items()})


@dataclass(frozen=True)
class Told:
    """A run whose every value is known: 400 points at steps 0 to 399, a schedule, a configuration."""

    name: str
    schedule: str
    loss: tuple[float, ...]
    config: dict

    @property
    def lr(self) -> list[float]:
        """The rate of every step."""
        return parse(self.schedule)(range(400)).tolist()


THREE = tuple(
    Told(name, schedule, tuple(high + 2 / (1 + t / 40) for t in range(400)), {"n_params": params, "batch_size": batch})
    for name, schedule, high, params, batch in (
        ("calm-heron", "cosine(peak=3e-4, warmup=50, total=400, final=3e-5)", 2.5, 1_500_000, 32),
        ("dusty-lynx", "wsd(peak=1e-3, warmup=20, total=400, decay=80)", 2.25, 2_500_000, 64),
        ("eager-moth", "linear(peak=6e-4, warmup=10, total=400)", 2.0, 3_500_000, 16),
    )
)


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP of files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def comet_zip(name: str, points: dict[str, list[tuple[int, float]]], params: dict | None = None) -> bytes:
    """An offline experiment of Comet."""
    said = [("log_other", {"key": "Name", "value": name})]
    said += [("parameter_msg", {"param": {"paramName": k, "paramValue": v}}) for k, v in (params or {}).items()]
    said += [
        ("metric_msg", {"metric": {"metricName": key, "metricValue": value, "step": step}})
        for key, pairs in points.items()
        for step, value in pairs
    ]
    lines = "".join(json.dumps({"type": kind, "payload": payload}) + "\n" for kind, payload in said)
    return zipped({"experiment.json": b'{"offline_id": "x"}', "messages.json": lines.encode()})


def swanlab_log(name: str, points: dict[str, list[tuple[int, float]]]) -> bytes:
    """A log of SwanLab, which leaves out steps and values of 0."""
    records = [message((1, 1), (10, message((1, "project"), (4, name))))]
    for key, pairs in points.items():
        for step, value in pairs:
            number = b"\x09" + struct.pack("<d", value) if value else b""
            fields = [(1, key), *([(2, step)] if step else []), (3, 1), (5, number)]
            records.append(message((1, 2), (13, message(*fields))))
    return framed(records, b":SWL\xd6\xe1\x02")

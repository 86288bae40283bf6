"""Mutations of JSON, trainers' states, W&B charts and Parquet files."""

import io
import json
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.mutations.tables import commas
from tests.mutations.truth import Copy, Log, Want, join, kind, log_of, points, want


def records(log: Log, names: tuple[str, ...] = ("step", "loss", "lr", "val_loss")) -> list[dict]:
    """A record a row, without what was not logged."""
    rows = []
    for step, *cells in zip(log.steps, log.loss, log.lr, log.val, strict=True):
        rows.append({names[0]: step, **{n: float(c) for n, c in zip(names[1:], cells, strict=True) if c}})
    return rows


def lines(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def columns(log: Log) -> dict[str, list]:
    frame = {"step": log.steps, "loss": log.loss, "lr": log.lr, "val_loss": log.val}
    return {k: [None if c == "" else float(c) if isinstance(c, str) else c for c in v] for k, v in frame.items()}


@kind
def json_lines(rng: Random, log: Log) -> Copy:
    return Copy(lines(records(log)), (want(log),), "a.jsonl")


@kind
def json_array(rng: Random, log: Log) -> Copy:
    return Copy(json.dumps(records(log), indent=rng.choice([None, 1])).encode(), (want(log),), "a.json")


@kind
def json_columns(rng: Random, log: Log) -> Copy:
    return Copy(json.dumps(columns(log)).encode(), (want(log),), "a.json")


@kind
def json_nested_cells(rng: Random, log: Log) -> Copy:
    rows = [
        {
            "step": r["step"],
            "train": {"loss": r["loss"], "lr": r["lr"]},
            "val": {k[4:]: v for k, v in r.items() if k == "val_loss"},
        }
        for r in records(log)
    ]
    return Copy(lines(rows), (want(log),), "a.jsonl")


@kind
def json_records_deep_in_an_object(rng: Random, log: Log) -> Copy:
    value = {"info": {"name": "x"}, "train_info": {"time": 3, "metrics": records(log)}}
    return Copy(json.dumps(value).encode(), (want(log),), "a.json")


@kind
def json_splits_apart(rng: Random, log: Log) -> Copy:
    train = [{k: v for k, v in r.items() if k != "val_loss"} for r in records(log)]
    val = [{"step": r["step"], "loss": r["val_loss"]} for r in records(log) if "val_loss" in r]
    return Copy(json.dumps({"train": train, "val": val}).encode(), (want(log),), "a.json")


@kind
def json_numbers_as_texts(rng: Random, log: Log) -> Copy:
    rows = [{"step": str(s), "loss": y, "lr": e, **({"val_loss": v} if v else {})} for s, y, e, v in log.rows]
    return Copy(lines(rows), (want(log),), "a.jsonl")


@kind
def json_decimal_commas(rng: Random, log: Log) -> Copy:
    rows = [dict(zip(log.head, row, strict=True)) for row in commas(log, (1, 2, 3) if rng.random() < 0.5 else (1,))]
    return Copy(lines(rows), (want(log),), "a.jsonl")


@kind
def json_renamed_keys(rng: Random, log: Log) -> Copy:
    names = (
        rng.choice(["step", "global_step", "iter", "current_steps", "_step", "globalStep"]),
        rng.choice(["loss", "train/loss", "train_loss", "learning/loss", "trainLoss"]),
        rng.choice(["lr", "learning_rate", "learning/current_learning_rate", "train/lr"]),
        rng.choice(["val_loss", "eval_loss", "val/loss"]),
    )
    truth = want(log)
    return Copy(lines(records(log, names)), (Want({"train": truth.series["train"]}, truth.rates),), "a.jsonl")


@kind
def json_with_totals(rng: Random, log: Log) -> Copy:
    total = log.steps[-1] * 2
    rows = [{"current_steps": r.pop("step"), "total_steps": total, **r, "total_tokens": 0} for r in records(log)]
    return Copy(lines(rows), (want(log),), "a.jsonl")


@kind
def json_rate_of_equal_groups(rng: Random, log: Log) -> Copy:
    k = rng.randint(1, 4)
    return Copy(lines([{**r, "lr": [r["lr"]] * k} for r in records(log)]), (want(log),), "a.jsonl")


@kind
def json_rate_of_unequal_groups(rng: Random, log: Log) -> Copy:
    return Copy(lines([{**r, "lr": [r["lr"], 10 * r["lr"]]} for r in records(log)]), (want(log),), "a.jsonl")


@kind
def json_losses_as_lists(rng: Random, log: Log) -> Copy:
    return Copy(lines([{**r, "loss": [r["loss"]]} for r in records(log)]), (want(log),), "a.jsonl")


@kind
def json_of_pandas(rng: Random, log: Log) -> Copy:
    orient = rng.choice(["split", "index", "columns", "table", "records", "values"])
    frame = pd.DataFrame(columns(log))
    if rng.random() < 0.4 and orient != "records":
        frame = frame.set_index("step")
    return Copy(frame.to_json(orient=orient, double_precision=15).encode(), (want(log),), "a.json", "row number")


@kind
def json_rows_without_names(rng: Random, log: Log) -> Copy:
    rows = (
        [[s, float(y), float(e)] for s, y, e, _ in log.rows]
        if rng.random() < 0.5
        else [[int(s), float(y), float(y) + 0.1] for s, y, *_ in log.rows]
    )
    return Copy(json.dumps([[int(row[0]), *row[1:]] for row in rows]).encode(), (want(log),), "a.json")


@kind
def json_columns_of_unlike_length(rng: Random, log: Log) -> Copy:
    table = columns(log)
    table["val_loss"] = [v for v in table["val_loss"] if v is not None][:-1]
    return Copy(json.dumps(table).encode(), (want(log),), "a.json", "left out")


@kind
def json_not_a_number(rng: Random, log: Log) -> Copy:
    rows, loss = records(log), list(log.loss)
    for i in rng.sample(range(len(log)), 3):
        rows[i]["loss"], loss[i] = rng.choice([float("nan"), float("inf"), "NaN", "inf", None]), ""
    return Copy(lines(rows), (want(Log(log.steps, loss, log.lr, log.val)),), "a.jsonl")


@kind
def json_lines_with_commas(rng: Random, log: Log) -> Copy:
    text = ",\n".join(json.dumps(r) for r in records(log))
    return Copy(rng.choice([text, "[\n" + text + "\n]", text + ",\n"]).encode(), (want(log),), "a.json")


@kind
def json_objects_over_several_lines(rng: Random, log: Log) -> Copy:
    return Copy("\n".join(json.dumps(r, indent=2) for r in records(log)).encode(), (want(log),), "a.json")


@kind
def json_with_a_mark_and_blank_lines(rng: Random, log: Log) -> Copy:
    return Copy(
        b"\xef\xbb\xbf" + lines(records(log)).replace(b"\n", rng.choice([b"\n\n", b"\r\n"])), (want(log),), "a.jsonl"
    )


@kind
def json_lines_cut(rng: Random, log: Log) -> Copy:
    data = lines(records(log))
    at = rng.randint(len(data) // 2, len(data) - 1)
    kept = log.only(range(data[:at].count(b"\n") + (data[at : at + 1] == b"\n")))
    return Copy(data[:at], (want(kept),), "a.jsonl")


@kind
def json_array_cut(rng: Random, log: Log) -> Copy:
    data = json.dumps(records(log), indent=rng.choice([None, 1])).encode()
    return Copy(data[: rng.randint(len(data) // 2, len(data) - 1)], (want(log),), "a.json")


@kind
def json_lines_damaged(rng: Random, log: Log) -> Copy:
    rows = lines(records(log)).splitlines(keepends=True)
    hit = rng.randrange(len(rows))
    marks = [i for i, byte in enumerate(rows[hit]) if byte in b'{}":']  # what is lost must not leave another number
    at = rng.choice(marks)
    rows[hit] = rows[hit][:at] + rows[hit][at + 1 :]
    kept = log.only([i for i in range(len(log)) if i != hit])
    return Copy(b"".join(rows), (want(kept),), "a.jsonl")


@kind
def json_with_a_summary(rng: Random, log: Log) -> Copy:
    rows = [*records(log), {"step": log.steps[-1], "train_loss": 3.7, "train_runtime": 9.0, "total_flos": 1e9}]
    return Copy(rng.choice([lines(rows), json.dumps(rows).encode()]), (want(log),), "a.json")


@kind
def json_shuffled(rng: Random, log: Log) -> Copy:
    rows = records(log)
    rng.shuffle(rows)
    return Copy(lines(rows), (want(log),), "a.jsonl")


# ---- trainer_state.json


def state(log: Log, rate: str = "learning_rate", **more) -> dict:
    history = []
    for r in records(log, ("step", "loss", rate, "eval_loss")):
        ends = r.pop("eval_loss", None)
        history.append({"epoch": r["step"] / 100, "grad_norm": 1.0, **r})
        if ends is not None:
            history.append({"epoch": r["step"] / 100, "eval_loss": ends, "eval_runtime": 1.0, "step": r["step"]})
    return {"global_step": log.steps[-1], "max_steps": log.steps[-1], "log_history": history, **more}


def evaluated(log: Log) -> Want:
    truth = want(log)
    return Want({"train": truth.series["train"], "eval": truth.series["val"]}, truth.rates)


@kind
def trainer_state(rng: Random, log: Log) -> Copy:
    more = rng.choice([{}, {"logging_steps": 500}, {"logging_steps": log.steps[0]}, {"logging_steps": 0.1}])
    return Copy(json.dumps(state(log, **more)).encode(), (evaluated(log),), "trainer_state.json")


@kind
def trainer_state_lr_key(rng: Random, log: Log) -> Copy:
    return Copy(json.dumps(state(log, "lr")).encode(), (evaluated(log),), "trainer_state.json")


@kind
def trainer_state_with_other_rows(rng: Random, log: Log) -> Copy:
    value = state(log)
    value["log_history"].insert(rng.randrange(9), {"predict_loss": 9.0, "predict_runtime": 1.0})
    value["log_history"].append({"step": log.steps[-1], "train_loss": 9.0, "train_runtime": 5.0, "total_flos": 1e18})
    return Copy(json.dumps(value).encode(), (evaluated(log),), "trainer_state.json")


@kind
def trainer_state_of_texts(rng: Random, log: Log) -> Copy:
    value = state(log)
    value["log_history"] = [{k: str(v) for k, v in row.items()} for row in value["log_history"]]
    return Copy(json.dumps(value).encode(), (evaluated(log),), "trainer_state.json")


@kind
def trainer_state_without_steps(rng: Random, log: Log) -> Copy:
    value = state(log)
    for row in value["log_history"]:
        del row["step"]
    return Copy(json.dumps(value).encode(), (evaluated(log),), "trainer_state.json")


@kind
def trainer_state_cut(rng: Random, log: Log) -> Copy:
    data = json.dumps(state(log), indent=2).encode()
    return Copy(data[: rng.randint(len(data) // 2, len(data) - 1)], (evaluated(log),), "trainer_state.json")


@kind
def trainer_state_deeper(rng: Random, log: Log) -> Copy:
    return Copy(json.dumps({"state": state(log)}).encode(), (evaluated(log),), "a.json")


@kind
def only_the_log_history(rng: Random, log: Log) -> Copy:
    history = state(log)["log_history"]
    return Copy(rng.choice([json.dumps(history).encode(), lines(history)]), (evaluated(log),), "a.json")


# ---- W&B charts


def chart(head: list[str], rows: list[list[str]], by: str = ",") -> bytes:
    return join([f'"{c}"' for c in head], [[f'"{c}"' for c in row] for row in rows], by)


def curves(log: Log, *runs: tuple[str, list[str]], x: str = "train/global_step", by: str = ",") -> bytes:
    head, rows = [x], [[str(s)] for s in log.steps]
    for name, losses in runs:
        head += [f"{name} - train/loss{band}" for band in ("", "__MIN", "__MAX")]
        for row, y in zip(rows, losses, strict=True):
            row += [y] * 3
    return chart(head, rows, by)


def higher(log: Log) -> list[str]:
    return [f"{float(y) + 0.2:.6f}" for y in log.loss]


def run_of(log: Log, losses: list[str], name: str) -> Want:
    return Want({"train": points(log.steps, losses)}, None, name)


@kind
def chart_of_two_runs(rng: Random, log: Log) -> Copy:
    data = curves(log, ("a", log.loss), ("b", higher(log)), by=rng.choice([",", ";", "\t"]))
    return Copy(data, (run_of(log, log.loss, "a"), run_of(log, higher(log), "b")), "chart.csv")


@kind
def chart_of_two_runs_of_one_name(rng: Random, log: Log) -> Copy:
    data = curves(log, ("base", log.loss), ("base", higher(log)))
    return Copy(data, (run_of(log, log.loss, "base"), run_of(log, higher(log), "base (2)")), "chart.csv")


@kind
def chart_with_gaps(rng: Random, log: Log) -> Copy:
    losses = [[y if rng.random() < 0.7 else "" for y in log.loss] for _ in range(2)]
    for column in losses:
        column[:2] = log.loss[:2]
    data = curves(log, ("a", losses[0]), ("b", losses[1]))
    return Copy(data, tuple(run_of(log, y, n) for n, y in zip("ab", losses, strict=True)), "chart.csv")


@kind
def chart_with_rates(rng: Random, log: Log) -> Copy:
    head = ["train/global_step", "a - train/loss", "a - train/learning_rate"]
    return Copy(chart(head, [row[:3] for row in log.rows]), (want(log, val=False),), "chart.csv")


@kind
def chart_over_epochs(rng: Random, log: Log) -> Copy:
    x = rng.choice(["epoch", "Relative Time (Process)", "Wall time", "train/epoch"])
    rows = [[f"{i / 25:.2f}", str(i), y] for i, y in enumerate(log.loss)]
    return Copy(chart([x, "a - _step", "a - train/loss"], rows), (run_of(log, log.loss, "a"),), "chart.csv")


@kind
def chart_over_time(rng: Random, log: Log) -> Copy:
    x = rng.choice(["epoch", "Relative Time (Process)", "Wall time"])
    rows = [[f"{i / 25:.2f}", y] for i, y in enumerate(log.loss)]
    return Copy(chart([x, "a - train/loss"], rows), (run_of(log, log.loss, "a"),), "chart.csv")


@kind
def chart_of_a_group(rng: Random, log: Log) -> Copy:
    return Copy(curves(log, ("Group: a", log.loss)), (run_of(log, log.loss, "a"),), "chart.csv")


@kind
def chart_with_decimal_commas(rng: Random, log: Log) -> Copy:
    return Copy(curves(log, ("a", [y.replace(".", ",") for y in log.loss])), (run_of(log, log.loss, "a"),), "chart.csv")


@kind
def chart_cut(rng: Random, log: Log) -> Copy:
    data = curves(log, ("a", log.loss))
    at = rng.randint(data.index(b"\n") + 40, len(data) - 2)
    kept = log.only(range(data[:at].count(b"\n") - (data[at : at + 1] != b"\n")))
    return Copy(data[:at], (run_of(kept, kept.loss, "a"),), "chart.csv", "cut off|quotation")


# ---- Parquet


def parquet(log: Log, rng: Random, single: bool = False) -> bytes:
    frame = pd.DataFrame(columns(log))
    if single:
        frame = frame.astype({"loss": "float32", "lr": "float32", "val_loss": "float32"})
    out = io.BytesIO()
    options = {"compression": rng.choice(["snappy", "none", "zstd"]), "use_dictionary": rng.random() < 0.7}
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), out, **options)
    return out.getvalue()


def as_singles(log: Log) -> Log:
    def single(cells: list[str]) -> list[str]:
        return [c and repr(float(np.float32(c))) for c in cells]

    return Log(log.steps, single(log.loss), single(log.lr), single(log.val))


@kind
def parquet_plain(rng: Random, log: Log) -> Copy:
    single = rng.random() < 0.5
    return Copy(parquet(log, rng, single), (want(as_singles(log) if single else log),), "a.parquet")


@kind
def parquet_of_texts(rng: Random, log: Log) -> Copy:
    rows = commas(log, (1, 2, 3)) if rng.random() < 0.5 else log.rows
    out = io.BytesIO()
    pd.DataFrame(rows, columns=log.head).to_parquet(out)
    return Copy(out.getvalue(), (want(log),), "a.parquet")


@kind
def parquet_cut(rng: Random, log: Log) -> Copy:
    data = parquet(log, rng)
    return Copy(data[: rng.randint(4, len(data) - 1)], (want(log),), "a.parquet")


@kind
def parquet_with_steps_as_index(rng: Random, log: Log) -> Copy:
    out = io.BytesIO()
    pd.DataFrame(columns(log)).set_index("step").to_parquet(out)
    return Copy(out.getvalue(), (want(log),), "a.parquet")


DAMAGE = "damaged|far from|digits|even spacing"


@kind
def parquet_with_a_flipped_bit(rng: Random, log: Log) -> Copy:
    log = log_of(rng, digits=rng.choice([3, 4, 5, 6]))
    data = bytearray(parquet(log, rng))
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    return Copy(bytes(data), (want(log),), "a.parquet", DAMAGE)


@kind
def parquet_with_checksums_and_a_flipped_bit(rng: Random, log: Log) -> Copy:
    out = io.BytesIO()
    table = pa.Table.from_pandas(pd.DataFrame(columns(log)), preserve_index=False)
    pq.write_table(table, out, write_page_checksum=True)
    data = bytearray(out.getvalue())
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    return Copy(bytes(data), (want(log),), "a.parquet", DAMAGE)

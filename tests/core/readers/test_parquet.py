"""Parquet logs: read as the same table in CSV is, whatever wrote them."""

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optlaws_core.readers import Layout, Source, read, read_all, sources_from_paths
from optlaws_core.readers.formats import parquet, parquet_sizes
from optlaws_core.schedules import Constant
from tests.knowledge.parquets import curve, fault, one, report_on, texts, written
from tests.places import ROOT

# ---- what stands in a file is read


def test_a_log_as_training_programs_write_it():
    n = 200
    step = np.arange(n)
    measured = step % 20 == 19
    columns = curve(
        n,
        lr=np.full(n, 1e-3),
        val_loss=pa.array(2.5 - step / 1000, mask=~measured),
        grad_norm=step / 7,
        parent_val_loss=pa.array(9.0 - step, mask=~measured),
    )
    run, report = one(written(columns))
    assert (report.format, report.columns, run.name) == ("Parquet", tuple(columns), "x")
    assert report.layout == Layout("step", "step", (("train", "loss"), ("val", "val_loss")), "lr")
    assert run.steps.tolist() == step.tolist() and run.loss.tolist() == columns["loss"].tolist()
    # a null is a step at which nothing was measured: neither a point nor a fault
    assert run.series["val"].steps.tolist() == step[measured].tolist()
    assert run.series["val"].loss.tolist() == (2.5 - step / 1000)[measured].tolist()
    assert [n.text.split(":")[0] for n in report.notes] == ["Recognised from 200 logged rates"]
    assert run.plan.schedule(step).tolist() == [1e-3] * n


def test_nan_and_infinity_are_told_and_null_is_not():
    loss = pa.array([3.0, None, float("nan"), 2.5, float("inf"), 2.0, None])
    run, report = one(written({"step": range(7), "loss": loss}))
    assert run.steps.tolist() == [0, 3, 5]
    assert texts(report)[0] == "train: 2 rows with NaN or infinity dropped (first at step 2)."
    everywhere = pa.array([None, 1.0, 2.0, None])
    run, report = one(written({"step": everywhere, "loss": [4.0, 3.0, 2.0, 1.0]}))
    assert run.steps.tolist() == [1, 2] and texts(report)[0] == "train: 2 rows without a step dropped."


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()]
)
def test_every_kind_of_number_is_a_number(kind):
    values = pa.array([4, 3, None, 2, 1], pa.float64()).cast(kind)
    steps = pa.array([0, 10, 20, 30, 40], pa.int64()).cast(kind)
    for groups in (1, 5):
        run, report = one(written({"step": steps, "loss": values}, row_group_size=groups))
        assert run.steps.tolist() == [0, 10, 30, 40] and run.loss.tolist() == [4, 3, 2, 1]
        assert len(report.notes) == 1  # no learning rate


@given(st.lists(st.decimals(-(10**9), 10**9, places=4), min_size=2, max_size=50, unique=True), st.booleans())
@settings(deadline=None, max_examples=50)
def test_decimals_are_read_as_the_floats_they_print(values, wide):
    kind = pa.decimal256(60, 4) if wide else pa.decimal128(18, 4)
    run, _ = one(written({"step": range(len(values)), "loss": pa.array(values, kind)}))
    assert run.loss.tolist() == [float(v) for v in values]


def test_texts_that_are_numbers_are_read_and_others_counted():
    steps = ["0", "10", " 1,000 ", None, "40", "step"]
    for column in (pa.array(["3.5", "2.5", "2e0", "9", "oops", "8"]), pa.array(list("324951")).cast(pa.binary())):
        run, report = one(written({"step": steps, "loss": column}))
        assert run.steps.tolist()[:3] == [0, 10, 1000] if column.type == pa.string() else [0, 10, 40]
        assert "1 row with text instead of a step dropped (first 'step')." in " ".join(texts(report))
    loss = pa.array(["3", "n/a", "nan", "2", "oops", "1"]).dictionary_encode()
    run, report = one(written({"step": range(6), "loss": loss}))
    assert run.loss.tolist() == [3, 2, 1]
    assert texts(report)[:2] == [
        "train: 1 row with text instead of a number dropped (first 'oops').",
        "train: 1 row with NaN or infinity dropped (first at step 2).",
    ]
    assert "5 of 5 hold text, first 'True'" in fault(written({"step": range(5), "loss": [True, False] * 2 + [True]}))
    assert "2 of 2 hold text, first '\ufffd'" in fault(
        written({"step": range(2), "loss": pa.array([b"\xff", b"\xfe"]).view(pa.string())})
    )


def test_columns_that_are_no_flat_numbers_are_ignored_and_told():
    more = {
        "when": pa.array(range(40), pa.timestamp("us", "UTC")),
        "tags": [["a"]] * 40,
        "train.lr": [1e-3] * 40,
        "eval": [{"loss": 1.0, "x": [1]}] * 40,
        "day": pa.array(range(40), pa.date32()),
    }
    _, report = one(written(curve(**more)))
    assert report.columns == ("step", "loss", "train.lr")
    assert texts(report)[0] == "Only flat columns of numbers or texts are read; ignored: when, tags, eval, day."
    assert fault(written({"step": [0, 1], "loss": [[1.0], [2.0]]})) == (
        "no column is known as a loss; columns found: step."
    )
    lasting = {"loss": pa.array([2, 1], pa.duration("us"))}
    assert fault(written(lasting)) == "the column 'loss' must hold numbers or texts, but it holds duration[us]."


def test_columns_of_one_name_are_told_apart():
    arrays = [pa.array([0, 1]), pa.array([3.0, 2.0]), pa.array([9.0, 8.0])]
    data = written(pa.Table.from_arrays(arrays, names=["step", "loss", "loss"]))
    assert one(data)[0].loss.tolist() == [3, 2]
    layout = Layout("step", losses=(("train", "loss (2)"),))
    assert one(data, layout)[0].loss.tolist() == [9, 8]


def test_a_layout_of_the_user_counts():
    data = written({"T": [0, 1024, 2048], "objective": [4.0, 2.0, 1.0], "eta": [1e-3] * 3, "which": ["a", "b", "b"]})
    assert fault(data) == "no column is known as a loss; columns found: T, objective, eta, which."
    layout = Layout("T", "tokens", (("train", "objective"),), "eta", "which", loss_unit="bits", batch=1024)
    run = report_on(data, layout).runs[0]
    assert run.name == "b" and run.steps.tolist() == [1, 2]
    assert run.loss.tolist() == pytest.approx([2 * np.log(2), np.log(2)]) and run.lr_source == "logged"
    assert fault(data, Layout("T", losses=(("train", "nll"),))) == (
        "there is no column 'nll'; columns found: T, objective, eta, which."
    )


@pytest.mark.parametrize(
    "names",
    [
        pa.array(["b", "a", None, " b ", "a", ""]),
        pa.array(["b", "a", None, "b", "a", None]).dictionary_encode(),
        pa.array(["b", "a", "", "b", "a", ""]).cast(pa.large_string()),
        pa.DictionaryArray.from_arrays([2, 1, None, 2, 1, 0], ["", "a", "b"]),
    ],
    ids=["texts", "dictionary", "large", "unsorted dictionary"],
)
@pytest.mark.parametrize("groups", [6, 1])
def test_several_runs_in_one_file_are_told_apart(names, groups):
    columns = {"run": names, "step": [0, 0, 5, 1, 1, 6], "loss": [3.0, 4.0, 9.0, 2.0, 3.0, 9.0]}
    report = report_on(written(columns, row_group_size=groups))
    assert [(r.name, r.loss.tolist()) for r in report.runs] == [("b", [3, 2]), ("a", [4, 3])]


def test_runs_may_be_numbers():
    for runs, names in ([[7, None, None, 7, 3, 3], ["7", "3"]], [[7.5, np.nan, np.nan, 7.5, 3, 3], ["7.5", "3.0"]]):
        columns = {"run_id": pa.array(runs), "step": [0, 0, 1, 1, 0, 1], "loss": [3.0, 9.0, 8.0, 2.0, 5.0, 4.0]}
        assert [(r.name, r.loss.tolist()) for r in report_on(written(columns)).runs] == [
            (names[0], [3, 2]),
            (names[1], [5, 4]),
        ]


@pytest.mark.parametrize("stride", [1, 25])
def test_an_index_that_pandas_keeps_as_a_range_is_a_column(stride):
    frame = pd.DataFrame({"step": np.arange(0, 10 * stride, stride), "loss": np.arange(10, 0, -1.0)}).set_index("step")
    frame.index = pd.RangeIndex(0, 10 * stride, stride, name="step")
    data = frame.to_parquet()
    assert pq.ParquetFile(io.BytesIO(data)).schema.names == ["loss"]
    run, report = one(data)
    assert report.columns == ("step", "loss") and run.steps.tolist() == list(range(0, 10 * stride, stride))


@pytest.mark.parametrize(
    "kept",
    [
        b"[[[[",
        b"[" * 100_000,
        b"[]",
        b'{"index_columns": 3}',
        b'{"index_columns": ["step", {"kind": "range"}]}',
        b'{"index_columns": [{"kind": "range", "name": "step", "start": 0, "stop": 3, "step": 1}]}',
        b'{"index_columns": [{"kind": "range", "name": "step", "start": 0, "stop": 2, "step": 0}]}',
        b'{"index_columns": [{"kind": "range", "name": null, "start": 0, "stop": 2, "step": 1}]}',
        b'{"index_columns": [{"kind": "range", "name": "loss", "start": 0, "stop": 2, "step": 1}]}',
        b'{"index_columns": [{"kind": "range", "name": "step", "start": 0, "stop": 1e99, "step": 1}]}',
        b'{"index_columns": [{"kind": "range", "name": "s", "start": 0, "stop": 2%s, "step": 1%s}]}'
        % ((b"0" * 99,) * 2),
    ],
)
def test_what_pandas_keeps_may_be_anything(kept):
    table = pa.table({"loss": [2.0, 1.0]}).replace_schema_metadata({b"pandas": kept})
    run, report = one(written(table))
    assert report.columns == ("loss",) and run.loss.tolist() == [2, 1] and run.steps.tolist() == [0, 1]


def test_a_table_without_rows_or_columns_says_so():
    assert fault(written(pa.table(curve(5)).slice(0, 0))) == "no finite loss in the column loss."
    assert fault(written(pa.table({}))) == "no column is known as a loss; columns found: none."
    named = pa.table({"run": pa.array([], pa.string()), "loss": pa.array([], pa.float64())})
    assert fault(written(named)) == "the table has no rows."
    assert fault(written({"step": range(3), "loss": pa.nulls(3)})) == "no finite loss in the column loss."


# ---- as CSV


STORED = st.fixed_dictionaries(
    {
        "row_group_size": st.sampled_from([1, 7, 1000]),
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd", "brotli", "lz4"]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "store_schema": st.booleans(),
        "write_statistics": st.booleans(),
        "write_page_checksum": st.booleans(),
        "write_page_index": st.booleans(),
        "max_rows_per_page": st.sampled_from([1, 5, 20_000]),
    }
)
CELLS = st.none() | st.floats(width=64) | st.sampled_from([1.0, 2.0, 3.0, float("nan"), float("inf")])
TABLE_ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "", "a", " b", "c d"]), st.none() | st.integers(0, 30), CELLS, CELLS, st.floats(0, 1)
    ),
    min_size=1,
    max_size=40,
)


def as_csv(columns: dict[str, list]) -> bytes:
    def cell(value) -> str:
        return "" if value is None else value if isinstance(value, str) else repr(value)

    rows = zip(*columns.values(), strict=True)
    return "".join(line + "\n" for line in [",".join(columns), *(",".join(map(cell, row)) for row in rows)]).encode()


def told(report) -> list:
    """What was found: runs, curves, plans, notes; without the numbers of lines, which Parquet does not have."""
    found = [
        (r.name, r.plan, r.lr_source, {k: (s.steps.tolist(), s.loss.tolist()) for k, s in r.series.items()})
        for r in report.runs
    ]
    said = [re.sub(r" \(first in line [\d,]+\)| in line [\d,]+", "", n.text) for n in report.notes]
    said = [text for text in said if "may be damaged" not in text]  # looked for where nothing shows a flipped bit
    return [report.layout, report.columns, report.error, found, said]


@pytest.mark.slow
@given(TABLE_ROWS, STORED, st.booleans())
@settings(deadline=None, max_examples=150)
def test_a_table_gives_what_the_same_table_in_csv_gives(rows, stored, several):
    kinds = {
        "run": pa.string(),
        "step": pa.int64(),
        "loss": pa.float64(),
        "val_loss": pa.float64(),
        "lr": pa.float64(),
    }
    columns = dict(zip(kinds, map(list, zip(*rows, strict=True)), strict=True))
    if not several:
        del columns["run"]
    data = written({name: pa.array(cells, kinds[name]) for name, cells in columns.items()}, **stored)
    twin = report_on(as_csv(columns), name="x")
    assume(not twin.is_table)  # one row a run: a sweep as a CSV table, which Parquet files hardly hold
    assert told(report_on(data, name="x")) == told(twin)


@pytest.mark.slow
@given(st.integers(1, 300), STORED)
@settings(deadline=None, max_examples=60)
def test_sizes_are_those_that_pyarrow_tells(n, stored):
    columns = curve(n, run=["ab" * (i % 3) for i in range(n)], tags=[[i] * (i % 3) for i in range(n)])
    data = written(columns, **stored)
    footer, meta = parquet_sizes.read_footer(data), pq.read_metadata(pa.BufferReader(data))
    assert (footer.rows, len(footer.groups)) == (n, meta.num_row_groups)
    for g, group in enumerate(footer.groups):
        for c, chunk in enumerate(group):
            known = meta.row_group(g).column(c)
            start = known.dictionary_page_offset or known.data_page_offset
            assert (chunk.start, chunk.end) == (start, start + known.total_compressed_size)
            assert (chunk.values, chunk.unpacked) == (known.num_values, known.total_uncompressed_size)
            pages = list(parquet_sizes._pages(data, chunk))
            # The footer counts the headers of pages, too: some tens of bytes each.
            assert 0 < chunk.unpacked - sum(unpacked for unpacked, _ in pages) < 200 * len(pages)
            assert {encoding for _, encoding in pages} <= {None, 0, 2, 8}


# ---- among other files


def test_a_manifest_declares_what_parquet_logs_lack(tmp_path):
    (tmp_path / "runs").mkdir()
    for name in "ab":
        (tmp_path / "runs" / f"{name}.parquet").write_bytes(written(curve()))
    schedule = "constant(peak=1e-3, warmup=5, total=40)"
    rows = "".join(f'{n},runs/{n}.parquet,123200,"{schedule}",5,40\n' for n in "ab")
    (tmp_path / "manifest.csv").write_text("run,file,params,schedule,warmup_steps,total_steps\n" + rows)
    uploads = [Source("manifest.csv", (tmp_path / "manifest.csv").read_bytes())]
    uploads += [Source(f"{n}.parquet", written(curve())) for n in "ab"]
    for reading in (read(tmp_path / "manifest.csv"), read(tmp_path), read_all(uploads)):
        assert reading.errors == () and [r.name for r in reading.runs] == ["a", "b"]
        for run in reading.runs:
            assert run.plan.schedule == Constant(peak=1e-3, warmup=5, total=40) and run.lr_source == "declared"
            assert run.plan.params == 123200


def test_a_folder_gives_its_parquet_logs(tmp_path):
    (tmp_path / "a.PARQUET").write_bytes(written(curve()))
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    (tmp_path / "model.bin").write_bytes(b"")
    assert [Path(s.name).name for s in sources_from_paths([tmp_path])] == ["a.PARQUET", "b.parquet"]
    reading = read(tmp_path)
    assert [r.name for r in reading.runs] == ["a"] and len(reading.errors) == 1
    assert reading.rows()[0]["format"] == "Parquet" and reading.rows()[0]["points"] == 40


def test_a_run_that_was_resumed_keeps_the_later_points():
    run, report = one(written({"step": [0, 10, 20, 30, 15, 25], "loss": [3, 2.9, 2.8, 2.7, 2.5, 2.25]}))
    assert run.steps.tolist() == [0, 10, 15, 25] and run.loss.tolist() == [3, 2.9, 2.5, 2.25]
    assert "2 points from before a resume dropped (the run was resumed at step 15)" in texts(report)[0]


def test_pyarrow_is_needed_for_parquet_alone(monkeypatch):
    code = (
        "import sys; from optlaws_core.readers import Source, read_source;"
        "report = read_source(Source('a.csv', b'step,loss\\n0,3\\n1,2\\n'));"
        "sys.exit(bool(report.error) or 'pyarrow.parquet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert fault(written(curve())) == "reading Parquet files needs the package pyarrow (pip install pyarrow)."


def test_the_published_table_of_curves_is_read_run_by_run(public):
    path = public / "lr_scheduling" / "curves.parquet"
    table, reading = pd.read_parquet(path), read(path)
    assert reading.errors == () and [r.name for r in reading.runs] == list(dict.fromkeys(table.run_id))
    for run in reading.runs[::20]:
        rows = table[table.run_id == run.name]
        for split, name in (("train", "train_loss"), ("val", "val_loss")):
            known = rows[rows[name].notna()].drop_duplicates("step", keep="last")  # some were logged twice
            assert run.series[split].steps.tolist() == known.step.tolist()
            assert run.series[split].loss.tolist() == known[name].tolist()


def test_to_see_what_a_column_holds_its_first_rows_are_enough(monkeypatch):
    looked, names = [], parquet._names
    monkeypatch.setattr(parquet, "_names", lambda column: looked.append(len(column)) or names(column))
    run, _ = one(written(curve(2_000, size=np.arange(2_000) / 7)))
    assert len(run.loss) == 2_000 and looked and max(looked) == parquet.FIRST

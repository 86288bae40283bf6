"""Parquet logs: read as the same table in CSV is, whatever wrote them; and no file, however made, takes the memory."""

import io
import re
import struct
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optlaws_core.readers import (
    MOST_ROWS,
    Layout,
    Source,
    delimited,
    parquet_sizes,
    read,
    read_all,
    read_source,
    sources_from_paths,
)
from optlaws_core.schedules import Constant

ROOT = Path(__file__).resolve().parents[1]
MB = 2**20


def written(table: pa.Table | dict, **options) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.table(table), out, **options)
    return out.getvalue()


def curve(n: int = 40, **more) -> dict:
    """Columns of a plain log, and `more`."""
    step = np.arange(n)
    return {"step": step, "loss": 2 + 1 / (step + 1.0), **more}


def report_on(data: bytes, layout: Layout | None = None, name: str = "x.parquet"):
    return read_source(Source(name, data), layout)


def one(data: bytes, layout: Layout | None = None):
    """The only run of a file, and its report."""
    report = report_on(data, layout)
    assert report.error is None, report.error
    (run,) = report.runs
    return run, report


def fault(data: bytes, layout: Layout | None = None) -> str:
    """Why a file cannot be read: one sentence, without the file's name."""
    report = report_on(data, layout)
    assert report.runs == () and report.error.startswith("x.parquet: ") and "\n" not in report.error
    return report.error.removeprefix("x.parquet: ")


def texts(report) -> list[str]:
    return [note.text for note in report.notes]


def unsigned(value: int, length: int = 0) -> bytes:
    """A number as Thrift writes lengths: seven bits a byte; with idle bytes up to a length."""
    out = bytearray()
    while value > 127 or len(out) + 1 < length:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def whole(value: int, length: int = 0) -> bytes:
    """A number as Thrift writes whole numbers, not negative."""
    return unsigned(2 * value, length)


def record(**fields: int | dict | list[bytes]) -> bytes:
    """A record of Thrift's compact protocol, as in `record(_3=5)`; numbers are 64 bits wide, lists hold records."""
    out, last = b"", 0
    for name, value in fields.items():
        number = int(name[1:])
        if isinstance(value, int):
            kind, body = 6, whole(value)
        elif isinstance(value, list):
            kind, body = 9, b"\xfc" + unsigned(len(value)) + b"".join(value)
        else:
            kind, body = 12, record(**value)
        out, last = out + bytes([(number - last) << 4 | kind]) + body, number
    return out + b"\0"


def only_a_footer(footer: bytes, before: int = 100) -> bytes:
    return b"PAR1" + bytes(before) + footer + struct.pack("<I", len(footer)) + b"PAR1"


def column(values: int = 1, **more) -> bytes:
    """What a footer says of a column in one group of rows."""
    return record(_2=4, _3={"_5": values, "_6": 8, "_7": 8, "_9": 4}, **more)


def in_footer(data: bytes, old: int, new: int) -> bytes:
    """The file with another number in its footer, wherever the old one stands."""
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    length = len(whole(old))
    assert whole(old) in data[start:] and len(whole(new, length)) == length
    return data[:start] + data[start:].replace(whole(old), whole(new, length))


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
    assert report.notes == () and run.plan.schedule(step).tolist() == [1e-3] * n


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
    assert fault(written(pa.table(curve(5)).slice(0, 0))) == "no finite loss in the columns loss."
    assert fault(written(pa.table({}))) == "no column is known as a loss; columns found: none."
    named = pa.table({"run": pa.array([], pa.string()), "loss": pa.array([], pa.float64())})
    assert fault(written(named)) == "the table has no rows."
    assert fault(written({"step": range(3), "loss": pa.nulls(3)})) == "no finite loss in the columns loss."


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
    return "\n".join([",".join(columns), *(",".join(map(cell, row)) for row in rows)]).encode()


def told(report) -> list:
    """What was found: runs, curves, plans, notes; without the numbers of lines, which Parquet does not have."""
    found = [
        (r.name, r.plan, r.lr_source, {k: (s.steps.tolist(), s.loss.tolist()) for k, s in r.series.items()})
        for r in report.runs
    ]
    said = [re.sub(r" \(first in line [\d,]+\)| in line [\d,]+", "", n.text) for n in report.notes]
    return [report.layout, report.columns, report.error, found, said]


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
    assert told(report_on(data, name="x")) == told(report_on(as_csv(columns), name="x"))


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


# ---- files that are no such thing


def test_a_file_that_was_cut_off_says_so():
    data = written(curve())
    sentence = "a Parquet file must end with its footer, but this one was cut off or is still being written."
    for cut in (4, 8, 11, 100, len(data) // 2, len(data) - 1):
        assert fault(data[:cut]) == sentence
    assert fault(b"PAR1PAR1PAR1") == sentence  # a footer longer than the file
    assert fault(data[:8] + b"PAR1" + data[-8:]) == sentence


def test_damage_is_told():
    data = written(curve(300, run=["a"] * 300), compression="none", write_page_checksum=True, use_dictionary=False)
    start = pq.read_metadata(pa.BufferReader(data)).row_group(0).column(1).data_page_offset
    flipped = bytearray(data)
    flipped[start + 500] ^= 1  # inside the losses
    assert re.fullmatch(r"the Parquet file cannot be read \(.*(CRC|checksum).*\)\.", fault(bytes(flipped)))
    flipped = data[:start] + b"\xff" * 40 + data[start + 40 :]
    assert fault(flipped) == ("the Parquet file cannot be read (the footer or the header of a page is damaged).")
    length = int.from_bytes(data[-8:-4], "little")
    for footer in (b"\xff" * length, b"\0" * length, b"\x19\xfc" * (length // 2)):
        broken = data[: -8 - length] + footer + struct.pack("<I", len(footer)) + b"PAR1"
        assert fault(broken).startswith("the Parquet file cannot be read (")


def test_a_footer_that_contradicts_its_pages_is_told():
    n = 12_345
    data = written({"step": range(n), "loss": np.arange(n) / 7}, compression="none", use_dictionary=False)
    assert fault(in_footer(data, n, n + 1)) == "the column 'step' must have 12,346 rows, but 12,345 were found."


@pytest.mark.parametrize("footer", [True, False], ids=["footer", "columns"])
def test_an_encrypted_file_is_refused_and_ends_no_process(footer):
    """pyarrow calls `abort` over the metadata of an encrypted column without a key."""
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(encryption.KmsClient):
        def wrap_key(self, key, name):
            return key.hex()

        def unwrap_key(self, key, name):
            return bytes.fromhex(key)

    how = encryption.EncryptionConfiguration("f", column_keys={"k": ["loss"]}, plaintext_footer=not footer)
    factory = encryption.CryptoFactory(lambda _: Keys())
    table, out = pa.table(curve()), io.BytesIO()
    keys = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    with pq.ParquetWriter(out, table.schema, encryption_properties=keys) as writer:
        writer.write_table(table)
    data = out.getvalue()
    assert data[:4] == (b"PARE" if footer else b"PAR1")
    assert fault(data) == "this is an encrypted Parquet file; write it without encryption."


def test_an_encrypted_column_is_found_where_the_footer_does_not_tell():
    footer = record(_3=1, _4=[record(_1=[column(_8={})], _3=1)])
    assert fault(only_a_footer(footer)) == "this Parquet file has encrypted columns; write it without encryption."


@pytest.mark.parametrize(
    "footer",
    [
        record(_4=[]),
        record(_3=1),
        record(_3=1, _4=[record(_1=[record(_2=4)], _3=1)]),
        record(_3=1, _4=[record(_1=[column()])]),
        record(_3=1, _4=[record(_1=[column(10**30)], _3=1)]),
        record(_3=1, _4=[record(_1=[record(_3={"_5": 1, "_6": 8, "_7": 8, "_9": 3})], _3=1)]),
        record(_3=1, _4=[record(_1=[record(_3={"_5": 1, "_6": 8, "_7": 10**9, "_9": 4})], _3=1)]),
        record(_3=1, _4=[])[:-1] + b"\x06\x06\x02\x00",
        b"\x36\x01\x19\x0c\x00",
        b"\x1c" * 10_000,
        b"\x19" * 10_000,
        b"\x18" + unsigned(10**15),
        b"\x16" + b"\xff" * 100,
        b"\x1b\x00\x00",
        b"\x39\x15\x02" + b"\x49\x15\x02\x00",
    ],
    ids=range(15),
)
def test_a_footer_of_nonsense_is_told(footer):
    sentence = "the Parquet file cannot be read (the footer or the header of a page is damaged)."
    assert fault(only_a_footer(footer)) == sentence


def test_records_of_thrift_hold_what_they_hold():
    fields = {
        (1, 9): (b"\x19\x21\x01\x02", [None, None]),  # two truth values, a byte each
        (2, 1): (b"\x11", True),
        (3, 2): (b"\x12", False),
        (4, 4): (b"\x14\x01", -1),
        (5, 3): (b"\x13\x09", None),
        (6, 7): (b"\x17" + bytes(8), None),
        (7, 8): (b"\x18\x03abc", None),
        (8, 10): (b"\x1a\xf5\x11" + b"\x04" * 17, [2] * 17),
        (300, 5): (b"\x05" + whole(300) + unsigned(2**33 + 1), -1),
        (301, 12): (b"\x1c\x16\x80\x01\x00", {(1, 6): 64}),
    }
    data = b"".join(written for written, _ in fields.values()) + b"\x00more"
    records = parquet_sizes._Records(data)
    assert records.record() == {field: value for field, (_, value) in fields.items()}
    assert data[records.at :] == b"more"


def test_a_group_of_rows_that_lacks_a_column_is_told():
    def split(data: bytes) -> tuple[bytes, bytes, bytes]:
        footer = data[len(data) - 8 - int.from_bytes(data[-8:-4], "little") : -8]
        start, end = footer.index(whole(40) + b"\x19\x1c"), footer.index(b"parquet-cpp") - 2
        return footer[:start], footer[start:end], footer[end:]

    two, one = (split(written(columns, store_schema=False)) for columns in (curve(), {"loss": range(40)}))
    assert (
        fault(only_a_footer(two[0] + one[1] + two[2], before=1_000))
        == "every group of rows must have all 2 columns; the file is damaged."
    )


def test_a_decimal_of_absurd_width_is_not_read():
    decimals = pa.array([Decimal(2), Decimal(1)], pa.decimal128(38))
    data = written({"step": [0, 1], "loss": decimals}, store_schema=False)
    width = b"\x15\x0e\x15" + whole(16)  # of this kind, and of this length
    assert one(data)[0].loss.tolist() == [2, 1] and data.count(width) == 1
    wide = data.replace(width, width[:-1] + whole(40))
    assert fault(wide) == "no column is known as a loss; columns found: step."


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_no_damage_at_all_raises(data):
    broken = bytearray(data.draw(st.sampled_from(SOUND)))
    footer = len(broken) - 8 - int.from_bytes(broken[-8:-4], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        first = data.draw(st.sampled_from([4, footer]))
        broken[data.draw(st.integers(first, len(broken) - 5))] = data.draw(st.integers(0, 255))
    report = report_on(bytes(broken))
    assert (report.error is None) == bool(report.runs)


SOUND = [
    written(curve(), store_schema=False),
    written(curve(run=["a", "b"] * 20, tags=[[1]] * 40), store_schema=False, compression="gzip", row_group_size=10),
    written(curve(val_loss=pa.array([Decimal(i) for i in range(40)])), store_schema=False, data_page_version="2.0"),
]


# ---- limits


@pytest.mark.parametrize("rows", [MOST_ROWS + 1, 10**12])
def test_rows_are_counted_before_any_is_read(rows):
    data = written({"loss": pa.nulls(9_999)}, store_schema=False)
    length = len(whole(rows))
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer = data[start:-8].replace(whole(9_999), whole(rows, length))
    claimed = data[:start] + footer + struct.pack("<I", len(footer)) + b"PAR1"
    assert len(claimed) < 1_000
    assert fault(claimed) == f"a file may have 5,000,000 rows, this one has {rows:,}."


def test_the_most_rows_are_read():
    n = MOST_ROWS
    step = pa.array(np.arange(n), pa.int32())
    run, _ = one(written({"step": step, "loss": pa.array(np.arange(n) % 7, pa.int8())}))
    assert len(run.loss) == n and run.last_step == n - 1


def test_a_small_file_that_unpacks_to_much_is_refused(monkeypatch):
    n = 20_000
    data = written(curve(n, **{f"val{i}_loss": np.arange(n) % 2 + 1.0 for i in range(10)}), row_group_size=5_000)
    monkeypatch.setattr(parquet_sizes, "MOST_BYTES", MB)
    wide = Layout("step", losses=tuple((f"v{i}", f"val{i}_loss") for i in range(10)))
    # rows of a dictionary: bits in the file, 8 bytes each when read
    assert len(data) < MB and sum(c.unpacked for c in parquet_sizes.read_footer(data).groups[0][2:]) < MB / 20
    assert fault(data, wide) == "the columns used may unpack to 1 MB, those of this file take 2 MB."
    narrow = Layout("step", losses=wide.losses[:3])
    assert report_on(data, narrow).error is None
    stored = written({"loss": [f"{i:0>104}" for i in range(30_000)]}, use_dictionary=False, data_page_size=100_000)
    assert (
        fault(stored) == "the columns used may unpack to 1 MB, those of this file take 3 MB."
    )  # not: of its first pages


@pytest.mark.parametrize("compression", ["gzip", "zstd", "brotli"])
def test_a_footer_that_hides_the_size_of_its_pages_is_seen_through(compression, monkeypatch):
    text = "a" * (4 * MB)
    honest = written({"loss": [text]}, compression=compression, use_dictionary=False, write_statistics=False)
    size = pq.read_metadata(pa.BufferReader(honest)).row_group(0).column(0).total_uncompressed_size
    lying = in_footer(honest, size, 100)
    assert pq.read_metadata(pa.BufferReader(lying)).row_group(0).column(0).total_uncompressed_size == 100
    assert len(lying) < 10_000
    assert "1 of 1 hold text, first 'aaaaa" in fault(lying)
    monkeypatch.setattr(parquet_sizes, "MOST_BYTES", MB)
    for data in (honest, lying):
        assert fault(data) == "the columns used may unpack to 1 MB, those of this file take 4 MB."


def test_a_long_text_in_every_row_is_held_once():
    n = 50_000
    name = "long" * 25_000  # written once, 5 GB if each row had its own
    data = written(curve(n, run=pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), [name])), store_schema=False)
    assert len(data) < MB
    run, _ = one(data)
    assert run.name == name and len(run.loss) == n
    assert pa.default_memory_pool().max_memory() < 1000 * MB


def test_texts_that_build_on_each_other_are_not_read():
    columns = {"step": range(100), "loss": range(100), "run": ["name"] * 100}
    for encoding in ("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"):
        data = written(columns, use_dictionary=False, column_encoding={"run": encoding})
        sentence = "texts must be stored plainly or by a dictionary, those of this file are delta-encoded."
        assert fault(data) == sentence
        assert one(data, Layout("step", losses=(("train", "loss"),)))[0].last_step == 99
    numbers = written(columns, use_dictionary=["run"], column_encoding={"step": "DELTA_BINARY_PACKED"})
    assert one(numbers)[0].name == "name"


def test_counts_have_limits(monkeypatch):
    assert fault(only_a_footer(bytes(4 * MB + 1))) == "the footer of a Parquet file may have 4 MB, this one has 4 MB."
    wide = pa.table({f"c{i}": [1.0] for i in range(5_001)})
    assert fault(written(wide)) == "a log may have 5,000 columns, this one has 5,001."
    monkeypatch.setattr(delimited, "MOST_RUNS", 2)
    assert fault(written(curve(run=[str(i // 10) for i in range(40)]))) == (
        "a file may hold 2 runs, but the column 'run' names 4."
    )
    monkeypatch.setattr(parquet_sizes, "MOST_PAGES", 19)
    data = written(curve(100), max_rows_per_page=10, use_dictionary=False)
    assert fault(data) == "the columns used may have 19 pages, those of this file have more."


def test_memory_that_runs_out_is_told(monkeypatch):
    def full(*_):
        raise pa.ArrowMemoryError("malloc of size 1099511627776 failed")

    monkeypatch.setattr("optlaws_core.readers.parquet._numbers", full)
    assert fault(written(curve())) == "the file is too large for this machine's memory."


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

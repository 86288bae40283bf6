"""Parquet files that are broken or made to harm: one sentence each, and no file takes the memory."""

import io
import re
import struct
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optlaws_core.readers import MOST_ROWS, Layout
from optlaws_core.readers.base import LONGEST_NAME
from optlaws_core.readers.formats import delimited, parquet_sizes
from tests.knowledge.parquets import (
    MB,
    column,
    curve,
    fault,
    in_footer,
    one,
    only_a_footer,
    record,
    report_on,
    unsigned,
    whole,
    written,
)

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
        b"\x19\xf3" + unsigned(10**15),
        record(_3=1, _4=[b"\x19\x13\x05\x26\x02\x00"]),  # a group whose chunks are bytes, not records
    ],
    ids=range(17),
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


@pytest.mark.slow
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
    assert run.name == name[: LONGEST_NAME - 1] + "…" and len(run.loss) == n
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

    monkeypatch.setattr("optlaws_core.readers.formats.parquet._numbers", full)
    assert fault(written(curve())) == "the file is too large for this machine's memory."

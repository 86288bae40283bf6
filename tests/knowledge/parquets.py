"""Parquet files for tests, sound and broken, and what is read of them."""

import io
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from optlaws_core.readers import Layout, Source, read_source

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

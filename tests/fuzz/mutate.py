"""Files that are almost valid: every mutation takes bytes, a generator and other files, and returns bytes.

Those of a format keep its frame (rows and cells, JSON, the records of an event file, the digest of a bundle), so that
what is wrong lies where a reader looks; the others damage whatever is there.
"""

import contextlib
import hashlib
import io
import json
import re
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from optlaws_core.readers.checksums import masked
from optlaws_core.readers.framing import framed
from optlaws_core.readers.wire import Damaged
from tests.knowledge import trackers

Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]

NUMBERS = (
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "7",
    "0.5",
    "-0.5",
    "1e-3",
    "3e-4",
    "100",
    "1000",
    "1e5",
    "1e12",
    "1000000000001",
    "1e15",
    "1e16",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "1762000000000",
    "1e300",
    "1e308",
    "-1e308",
    "1.8e308",
    "1e309",
    "-1e400",
    "5e-324",
    "1e-320",
    "1e-300",
    "nan",
    "NaN",
    "-nan",
    "inf",
    "-inf",
    "Infinity",
    "1_000",
    "1,000",
    "1.000,5",
    "3,14",
    "0x10",
    "1e",
    "e5",
    "--1",
    "+1",
    "1.",
    ".5",
    "1e+05",
    "１２",
    "٣",
    "½",
    "²",
    "True",
    "false",
    "None",
    "null",
    "NA",
    "n/a",
    "<NA>",
    "",
    "-",
    " ",
    "9" * 400,
    "1" * 5000,
    "0." + "3" * 400,
    "1e9999999999999",
    "[1]",
    "1 2",
)
WORDS = (
    "step",
    "loss",
    "lr",
    "train/loss",
    "eval_loss",
    "val/ppl",
    "bpb",
    "tokens",
    "samples",
    "run",
    "grad_norm",
    "epoch",
    "params",
    "batch_tokens",
    "schedule",
    "final_loss",
    "outcome",
    "diverged",
    "parent",
    "text",
    "file",
    "batch",
    "total",
    "steps",
    "values",
    "peak",
    "warmup",
    "shape",
    "history",
    "log_history",
    "law",
    "theta",
    "weights",
    "x - loss",
    "a__MIN",
    "cosine(peak=3e-4, warmup=10, total=100)",
    "wsd(peak=1, total=9, decay=2)",
    "knots(steps=[0,9],values=[1,0])",
    "a" * 600,
    "a b",
    "é",
    "e\u0301",
    "ß",
    "İ",
    "ﬁ",
    "💥",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\x00",
    "\x0b",
    "\x0c",
    "\x1b[31m",
    "\x85",
    "\xa0",
    "\x7f",
    "\ud800",
    "=1+1",
    "<b>",
    "%s",
    "{0}",
    "{",
    "[",
    "(",
    ")",
    "]",
    "}",
    '"',
    "'",
    "`",
    "\\",
    "|",
    "!",
    "#",
    "../../etc/passwd",
    "C:\\a",
    "~",
    "__class__",
    "\r",
    "\n",
    "\r\n",
    "\t",
    ",",
    ";",
    " " * 50,
    "," * 50,
)
SPECIAL = (
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\r",
    b"\n",
    b'"',
    b"PAR1",
    b"PK\x03\x04",
)
_NUMBER = re.compile(rb"[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?")
_DEEP = 200  # levels of nesting


def encoded(text: str) -> bytes:
    """UTF-8, also of halves of characters."""
    return text.encode("utf-8", "surrogatepass")


def word(rng: Random) -> str:
    """A number or a text that a reader may stumble over."""
    return rng.choice(NUMBERS if rng.random() < 0.6 else WORDS)


# ---------------------------------------------------------------------------------------------------- any bytes


def flip(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Some bytes replaced."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if out else 0):
        at = rng.randrange(len(out))
        out[at] = rng.randrange(256) if rng.random() < 0.5 else out[at] ^ 1 << rng.randrange(8)
    return bytes(out)


def put(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Something put in at one place."""
    at = rng.choice((0, len(data), rng.randint(0, len(data))))
    extra = rng.choice(SPECIAL) if rng.random() < 0.4 else encoded(word(rng))
    return data[:at] + extra + data[at:]


def cut(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A stretch removed, often up to the end."""
    a = rng.randint(0, len(data))
    b = len(data) if rng.random() < 0.4 else min(len(data), a + rng.choice((1, 2, 10, 100)))
    return data[:a] + data[b:]


def again(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A stretch repeated."""
    a = rng.randint(0, len(data))
    part = data[a : a + rng.choice((1, 4, 20, 200))]
    return data[:a] + part * rng.choice((2, 2, 3, 50)) + data[a:]


def splice(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """The beginning of this file and the end of another."""
    other = rng.choice(others)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def renumber(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """One number of the text replaced, by one that may be just as right or by anything."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return put(data, rng, others)
    hit = rng.choice(found)
    new = encoded(word(rng)) if rng.random() < 0.5 else _near(hit[0], rng)
    return data[: hit.start()] + new + data[hit.end() :]


def _near(number: bytes, rng: Random) -> bytes:
    """Another number of the same size, or its negative."""
    value = float(number)
    if number.isdigit() and value < 1e15:
        return str(max(0, int(number) + rng.choice((-1, 1, 10, -10)))).encode()
    return f"{value * rng.choice((0.5, 2, 0.1, 10, 0.99, -1)):.6g}".encode()


def recode(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Other line ends or another encoding of the whole text."""
    how = rng.randrange(7)
    if how < 3:
        return data.replace(b"\n", (b"\r\n", b"\r", b"\n\n")[how])
    text = data.decode("utf-8", "replace")
    return text.encode(("utf-16", "utf-16-le", "utf-8-sig", "latin-1")[how - 3], "replace")


BYTES = (flip, put, cut, again, splice)
TEXT = (*BYTES, renumber, renumber, recode)


# ---------------------------------------------------------------------------------------------------- tables


def table(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Rows, columns or cells of a delimited table removed, repeated, moved or replaced."""
    head = data.split(b"\n", 1)[0]
    by = max((b",", b"\t", b";", b" "), key=head.count)
    rows = [line.split(by) for line in data.split(b"\n")]
    _rearrange(rows, rng)
    return b"\n".join(by.join(row) for row in rows)


def _rearrange(rows: list[list[bytes]], rng: Random) -> None:
    i, j = (rng.randrange(len(rows)) for _ in range(2))
    column = rng.randrange(max(1, len(rows[0])))
    how = rng.randrange(12)
    if how < 4 and rows[i]:
        rows[i][rng.randrange(len(rows[i]))] = encoded(word(rng))
    elif how == 4:
        del rows[i]
    elif how == 5:
        rows.insert(j, list(rows[i]))
    elif how == 6:
        rows[i], rows[j] = rows[j], rows[i]
    elif how == 7:
        kept = rng.random() < 0.5  # of the rows below the header
        rows[1:] = rows[:0:-1] if kept else rng.sample(rows[1:], len(rows) - 1)
    elif how == 8:
        rows[:] = [row[:column] + row[column + 1 :] for row in rows]
    elif how == 9:
        rows[:] = [[*row, *row[column : column + 1]] for row in rows]
    elif how == 10:
        same = encoded(word(rng))
        rows[1:] = [row[:column] + [same] + row[column + 1 :] for row in rows[1:]]
    else:
        rows[0][column : column + 1] = [encoded(word(rng))]


def made(rng: Random, by: str = ",") -> bytes:
    """A table of nothing but words and numbers."""
    width, height = rng.randint(1, 6), rng.randint(0, 8)
    head = ["step", "loss"] if rng.random() < 0.7 else []
    head += [rng.choice(WORDS) for _ in range(width)]
    rows = [
        [word(rng) if rng.random() < 0.3 else f"{r + 1 / (c + 2)}" for c, _ in enumerate(head)] for r in range(height)
    ]
    return encoded("\n".join(by.join(row) for row in (head, *rows)))


# ---------------------------------------------------------------------------------------------------- JSON


def tree(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A JSON text with something inside it removed, replaced, renamed or nested."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return rng.choice(TEXT)(data, rng, others)
    return dumped(tampered(value, rng), rng)


def lines(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """JSON lines, one of them changed as JSON, or all of them rearranged."""
    rows = data.split(b"\n")
    if rng.random() < 0.3:
        one_cell = [[row] for row in rows]
        _rearrange(one_cell, rng)
        return b"\n".join(b" ".join(row) for row in one_cell)
    i = rng.randrange(len(rows))
    rows[i] = tree(rows[i], rng, others)
    return b"\n".join(rows)


def bundle(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A bundle of a saved comparison that was changed and given the digest of what it now holds."""
    try:
        inner = tampered(json.loads(data)["snapshot"], rng)
        text = json.dumps(inner, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    except (ValueError, LookupError, TypeError, RecursionError):
        return rng.choice(TEXT)(data, rng, others)
    return json.dumps({"sha256": digest, "snapshot": inner}).encode()


def dumped(value: object, rng: Random) -> bytes:
    """JSON in one of its spellings."""
    indent = rng.choice((None, None, None, 1))
    return encoded(json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=indent, separators=(",", ":")))


def tampered(value: object, rng: Random) -> object:
    """Plain values with one thing inside them changed."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.02:
        return leaf(rng)
    holder = value
    while True:
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        inner = holder[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 0.2:
            _change(holder, key, rng)
            return value
        holder = inner


def _change(holder: dict | list, key, rng: Random) -> None:
    how = rng.randrange(8)
    if how < 4:
        holder[key] = leaf(rng)
    elif how == 4:
        del holder[key]
    elif how == 5:
        holder[key] = [holder[key]] if rng.random() < 0.5 else {rng.choice(WORDS): holder[key]}
    elif isinstance(holder, list):
        holder.insert(rng.randrange(len(holder)), holder[key])
    elif how == 6:
        holder[rng.choice(WORDS)] = holder.pop(key)
    else:
        holder[rng.choice(list(holder))] = holder[key]


def leaf(rng: Random) -> object:
    """A value that JSON, or Python's reader of it, can hold."""
    how = rng.randrange(10)
    if how < 4:
        text = rng.choice(NUMBERS)
        try:
            return int(text) if re.fullmatch(r"[+-]?\d+", text, re.ASCII) and len(text) < 4000 else float(text)
        except ValueError:
            return text
    if how < 6:
        return word(rng)
    if how == 6:
        return _nested(rng.choice((2, 6, _DEEP)), rng.random() < 0.5)
    return rng.choice((None, True, False, [], {}, [[]], {"a": 1}, [1, 2], ["a"], [None], 0, -1, 10**30, 1.5, -0.0))


def _nested(levels: int, as_list: bool) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value] if as_list else {"a": value}
    return value


# ---------------------------------------------------------------------------------------------------- binary formats


def records(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """An event file whose records were changed, moved or cut, each under a length that fits it again."""
    parts, at = [], 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        if length > len(data):
            break
        parts.append(data[at + 12 : at + 12 + length])
        at += 16 + length
    if not parts:
        return rng.choice(BYTES)(data, rng, others)
    i, how = rng.randrange(len(parts)), rng.randrange(6)
    if how < 3:
        parts[i] = _number_in(parts[i], rng) if how else rng.choice(BYTES)(parts[i], rng, parts)
    elif how == 3:
        parts.insert(rng.randrange(len(parts)), parts[i])
    elif how == 4:
        del parts[i]
    else:
        rng.shuffle(parts)
    return b"".join(struct.pack("<QI", len(p), 0) + p + _checksum(p) for p in parts)


def _checksum(part: bytes) -> bytes:
    return masked(np.frombuffer(part, np.uint8)[None])[0].tobytes()


def _number_in(part: bytes, rng: Random) -> bytes:
    """A record with four of its bytes replaced by those of an odd float, or one byte by a large varint."""
    if len(part) < 5:
        return part
    at = rng.randrange(len(part) - 4)
    odd = struct.pack("<f", rng.choice((np.nan, np.inf, -np.inf, 0.0, -1.0, 1e38, 1e-45)))
    if rng.random() < 0.6:
        at = rng.choice((at, len(part) - 4))
        return part[:at] + odd + part[at + 4 :]
    return part[:at] + b"\xff" * rng.choice((1, 9)) + b"\x01" + part[at + 1 :]


def chunks(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A LevelDB log whose records were changed, moved or cut, each under a checksum that fits it again."""
    try:
        parts = [*framed(data)]
    except Damaged:
        parts = []
    if not parts:
        return rng.choice(BYTES)(data, rng, others)
    i, how = rng.randrange(len(parts)), rng.randrange(6)
    if how < 3:
        change = rng.choice((_number_in, lambda part, rng: rng.choice(TEXT)(part, rng, parts)))
        parts[i] = change(parts[i], rng)
    elif how == 3:
        parts.insert(rng.randrange(len(parts)), parts[i])
    elif how == 4:
        del parts[i]
    else:
        rng.shuffle(parts)
    return trackers.framed(parts, data[:7])


def database(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A SQLite database with another value in a cell, a row twice or gone, or a table or column under another name."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.deserialize(data)
            tables = [t for (t,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = rng.choice(tables)
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            column, row = rng.choice(columns), f"rowid = {rng.randrange(1, 9)}"
            value = rng.choice((None, leaf(rng), word(rng), rng.choice(NUMBERS), float("inf"), -1, 2**63 - 1, b"\xff"))
            value = str(value) if isinstance(value, (int, list, dict)) and not isinstance(value, bool) else value
            connection.execute(
                *rng.choice(
                    (
                        (f"UPDATE {table} SET {column} = ? WHERE {row}", (value,)),
                        (f"UPDATE {table} SET {column} = ?", (value,)),
                        (f"DELETE FROM {table} WHERE {row}", ()),
                        (f"INSERT INTO {table} SELECT * FROM {table}", ()),
                        (f"ALTER TABLE {table} DROP COLUMN {column}", ()),
                        (f"ALTER TABLE {table} RENAME TO t", ()),
                    )
                )
            )
            connection.commit()
            return connection.serialize()
        except (sqlite3.Error, IndexError, OverflowError, UnicodeError, MemoryError):
            return rng.choice(BYTES)(data, rng, others)


def archive(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A ZIP with one of its files changed, renamed, twice or gone."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            files = {name: packed.read(name) for name in packed.namelist()}
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, EOFError, ValueError):
        files = {}
    if not files:
        return rng.choice(BYTES)(data, rng, others)
    name, how = rng.choice([*files]), rng.randrange(8)
    if how < 5:
        files[name] = rng.choice((*TEXT, table, lines, tree))(files[name], rng, [*files.values()])
    elif how == 5:
        files[rng.choice([*files]) + rng.choice(("", "x", "/x", ".gz"))] = files[name]
    elif how == 6:
        del files[name]
    else:
        files[name.replace("/", rng.choice(("/x/", "_", "/../", "\\")), 1)] = files[name]
    return trackers.zipped(files)


def parquet(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A new Parquet file of odd columns, written in any way that pyarrow knows; or this one with a damaged footer."""
    if rng.random() < 0.5:
        at = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        at = at if 4 <= at < len(data) - 8 else 4
        return data[:at] + rng.choice((flip, flip, cut, put))(data[at:-8], rng, others) + data[-8:]
    n = rng.choice((0, 1, 2, 5, 40))
    names = ["step", "loss", *rng.sample(("lr", "run", "loss", "val_loss", "tokens", "", "a.b", "grad_norm", "ß"), 3)]
    arrays = [_column(n, rng) if rng.random() < 0.5 else pa.array(np.arange(n) + 1.0) for _ in names]
    out = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(arrays, names=names),
        out,
        compression=rng.choice(("none", "snappy", "gzip", "zstd")),
        use_dictionary=rng.random() < 0.5,
        row_group_size=rng.choice((1, 7, 1000)),
        data_page_version=rng.choice(("1.0", "2.0")),
        write_statistics=rng.random() < 0.5,
        store_schema=rng.random() < 0.7,
    )
    return out.getvalue()


def _column(n: int, rng: Random) -> pa.Array:
    """`n` cells of one of Parquet's types."""
    odd = [rng.choice((np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308, 5e-324, None, 1.5, 3.0)) for _ in range(n)]
    whole = [rng.choice((0, 1, -1, None, 7, 2**31 - 1)) for _ in range(n)]
    texts = [rng.choice((None, word(rng).encode("utf-8", "replace").decode(), "a", "b", "2.5")) for _ in range(n)]
    makers = (
        lambda: pa.array(odd, pa.float64()),
        lambda: pa.array(odd, pa.float32()),
        lambda: pa.array(whole, pa.int32()),
        lambda: pa.array([2**63 - 1 if w is None else w for w in whole], pa.int64()),
        lambda: pa.array(texts, pa.string()),
        lambda: pa.array([None if t is None else encoded(t) + b"\xff" for t in texts], pa.binary()),
        lambda: pa.array([None if w is None else w > 0 for w in whole], pa.bool_()),
        lambda: pa.nulls(n),
        lambda: pa.array(whole, pa.timestamp("ms")),
        lambda: pa.array([[w] for w in whole], pa.list_(pa.int32())),
        lambda: pa.array([{"x": w} for w in whole], pa.struct([("x", pa.int32())])),
        lambda: pa.array(texts, pa.string()).dictionary_encode(),
        lambda: pa.array(whole, pa.decimal128(12, 2)),
        lambda: pa.array([np.float16(1.5)] * n, pa.float16()),
        lambda: pa.array(texts, pa.large_string()),
        lambda: pa.array([w if w is None or w >= 0 else None for w in whole], pa.uint64()),
    )
    return rng.choice(makers)()

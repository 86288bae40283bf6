"""What a Parquet file unpacks to, as its footer and the headers of its pages say, before anything is unpacked.

A megabyte can claim billions of rows or unpack to gigabytes, a footer can lie about its pages, and pyarrow ends the
whole process over the footer of an encrypted column. So these numbers are read here, from two kinds of records in
Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md) whose fields are listed in
github.com/apache/parquet-format, src/main/thrift/parquet.thrift.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ...errors import LogError
from ..base import MOST_BYTES, MOST_ROWS

MAGIC = b"PAR1"
MOST_FOOTER = 4 * 2**20  # bytes; parsed, a malicious one takes 150 times that, and a second
MOST_PAGES = 100_000  # of the columns used, in one file
WIDTH = 8  # bytes of a cell once it is a number
DEEPEST = 16  # records within records

# Kinds of fields.
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
# Fields, (number, kind), of the footer, …
ROWS, GROUPS, ENCRYPTION = (3, I64), (4, LIST), (8, STRUCT)
# … of a group of rows, of a column's chunk in it, …
CHUNKS, GROUP_ROWS = (1, LIST), (3, I64)
ABOUT, CRYPTO = (3, STRUCT), (8, STRUCT)
VALUES, UNPACKED, PACKED, DATA_AT, DICTIONARY_AT = (5, I64), (6, I64), (7, I64), (9, I64), (11, I64)
# … and of the header of a page; pages with values are of kind 0 or, since version 2, of kind 3.
PAGE_KIND, PAGE_UNPACKED, PAGE_PACKED = (1, I32), (2, I32), (3, I32)
WITH_VALUES = {0: (5, STRUCT), 3: (8, STRUCT)}
PAGE_VALUES, PAGE_ENCODING = (1, I32), {0: (2, I32), 3: (4, I32)}
DICTIONARY, ENTRIES = (7, STRUCT), (1, I32)  # of a page with the dictionary, which is of kind 2
# Encodings of texts that are read: plain and by dictionary. In others a byte may stand for a megabyte.
TEXT_ENCODINGS = (None, 0, 2, 8)


class Damaged(ValueError):
    """Bytes that are no such record."""

    def __init__(self) -> None:
        super().__init__("the footer or the header of a page is damaged")


@dataclass(frozen=True)
class Chunk:
    """A column in one group of rows."""

    values: int
    unpacked: int  # bytes, says the footer
    start: int
    end: int


@dataclass(frozen=True)
class Footer:
    """Rows, and the chunks of every column, nested ones too, group by group."""

    rows: int
    groups: tuple[tuple[Chunk, ...], ...]


def read_footer(data: bytes) -> Footer:
    """The footer of a file. Raises `LogError` when it is missing, encrypted, too large or tells of too many rows."""
    length = int.from_bytes(data[-8:-4], "little")
    if len(data) < 12 or data[-4:] != MAGIC or length > len(data) - 12:
        raise LogError("a Parquet file must end with its footer, but this one was cut off or is still being written.")
    if length > MOST_FOOTER:
        raise LogError(
            f"the footer of a Parquet file may have {MOST_FOOTER // 2**20} MB, this one has {length / 2**20:,.0f} MB."
        )
    start = len(data) - 8 - length
    record = _Records(data[start:-8]).record()
    if ENCRYPTION in record:
        raise LogError("this is an encrypted Parquet file; write it without encryption.")
    groups = _of(record, GROUPS)
    rows = max(_of(record, ROWS), sum(_of(group, GROUP_ROWS) for group in groups))
    if rows > MOST_ROWS:
        raise LogError(f"a file may have {MOST_ROWS:,} rows, this one has {rows:,}.")
    return Footer(rows, tuple(tuple(_chunk(c, start) for c in _of(group, CHUNKS)) for group in groups))


def check_sizes(data: bytes, footer: Footer, columns: Collection[int], texts: Collection[int]) -> None:
    """Raises `LogError` when `columns`, some of them `texts`, unpack to more than `MOST_BYTES`."""
    chunks = [(chunk, i in texts) for group in footer.groups for i, chunk in enumerate(group) if i in columns]
    # A cell of a dictionary takes a few bits in the file, and a whole number here.
    _check_size(sum(max(chunk.unpacked, WIDTH * chunk.values) for chunk, _ in chunks))
    size = count = 0
    for chunk, text in chunks:
        for unpacked, encoding in _pages(data, chunk):
            size, count = size + unpacked, count + 1
            _check_size(size)
            if count > MOST_PAGES:
                raise LogError(f"the columns used may have {MOST_PAGES:,} pages, those of this file have more.")
            if text and encoding not in TEXT_ENCODINGS:
                raise LogError("texts must be stored plainly or by a dictionary, those of this file are delta-encoded.")


def dictionary_entries(data: bytes, chunk: Chunk) -> int:
    """How many different values the dictionary of a chunk holds; 0 without one."""
    if not chunk.values:
        return 0
    header = _Records(data, chunk.start).record()
    return _of(_of(header, DICTIONARY), ENTRIES) if _of(header, PAGE_KIND) == 2 else 0


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        most, found = MOST_BYTES / 2**20, size / 2**20
        raise LogError(f"the columns used may unpack to {most:,.0f} MB, those of this file take {found:,.0f} MB.")


def _chunk(record: object, end: int) -> Chunk:
    """A column's chunk, which lies before `end`."""
    if not isinstance(record, dict):
        raise Damaged
    if CRYPTO in record:
        raise LogError("this Parquet file has encrypted columns; write it without encryption.")
    about = _of(record, ABOUT)
    values, start, dictionary = _of(about, VALUES), _of(about, DATA_AT), about.get(DICTIONARY_AT, 0)
    if 0 < dictionary < start:
        start = dictionary
    stop = start + _of(about, PACKED)
    if values and not len(MAGIC) <= start <= stop <= end:
        raise Damaged
    return Chunk(values, _of(about, UNPACKED), start, stop)


def _pages(data: bytes, chunk: Chunk) -> Iterator[tuple[int, int | None]]:
    """(bytes unpacked, encoding of the values if there are any) of each page, as long as values are missing."""
    at, seen = chunk.start, 0
    while seen < chunk.values and at < chunk.end:
        records = _Records(data, at)
        header = records.record()
        kind, unpacked, packed = (_of(header, field) for field in (PAGE_KIND, PAGE_UNPACKED, PAGE_PACKED))
        values = _of(header, WITH_VALUES[kind]) if kind in WITH_VALUES else {}
        seen += values.get(PAGE_VALUES, 0)
        yield unpacked, values.get(PAGE_ENCODING.get(kind))
        at = records.at + packed


def _of(record: object, field: tuple[int, int]):
    """A field that must be there, a number not below 0."""
    value = record.get(field) if isinstance(record, dict) else None
    if value is None or (isinstance(value, int) and value < 0):
        raise Damaged
    return value


class _Records:
    """Thrift's records, one after another. Raises `Damaged` for bytes that are none."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def record(self, depth: int = 0) -> dict[tuple[int, int], object]:
        """(number, kind) -> value. A field of another kind is another field, as it is for Thrift."""
        fields, number = {}, 0
        while head := self._byte():
            kind, more = head & 15, head >> 4
            number = number + more if more else self._integer(16)
            if (number, kind) in fields:
                raise Damaged
            fields[number, kind] = self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> object:
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind in (I16, I32, I64):
            return self._integer(64 if kind == I64 else 32)
        if kind == STRUCT and depth < DEEPEST:
            return self.record(depth + 1)
        if kind in (LIST, SET) and depth < DEEPEST:
            return self._list(depth + 1)
        if kind not in (BYTE, DOUBLE, BINARY):
            raise Damaged
        width = self._varint() if kind == BINARY else 8 if kind == DOUBLE else 1
        self.at += width
        return None

    def _list(self, depth: int) -> list:
        head = self._byte()
        length = self._varint() if head >> 4 == 15 else head >> 4
        if length > len(self.data) - self.at:  # each takes a byte at least
            raise Damaged
        kind = head & 15
        kind = BYTE if kind in (TRUE, FALSE) else kind  # in a list, a truth value takes a byte
        return [self._value(kind, depth) for _ in range(length)]

    def _integer(self, bits: int) -> int:
        """Zigzag: 0, −1, 1, −2, …"""
        value = self._varint() & (1 << bits) - 1
        return value >> 1 ^ -(value & 1)

    def _varint(self) -> int:
        """Seven bits a byte, the lowest first; the eighth says that more follow."""
        value = shift = 0
        while (byte := self._byte()) > 127:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise Damaged
        return value | byte << shift

    def _byte(self) -> int:
        if self.at >= len(self.data):
            raise Damaged
        self.at += 1
        return self.data[self.at - 1]

"""The rows below a header, as they are in practice: short ones, further headers, an index, a cut end.

A table is one part, or several where a header stands again further down; columns of all parts are put together by name.
What pandas prints (`DataFrame.to_string`) has a column of row labels that its header does not name.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import IntArray
from ..errors import LogError
from ..text import counted
from .base import MOST_ROWS, Note
from .cells import Table, joined
from .header import Header, cells_of, is_number, unique_names
from .layout import eval_name, is_lr, is_nameless, train_rank
from .numbers import Mark
from .opened import Numbers

BLOCK = 2**20  # bytes
HEAD = 2**16  # bytes that show what the columns hold
_FOOTER = re.compile(rb"\[\d+ rows x \d+ columns\]\s*")  # what print(DataFrame) ends with


@dataclass(frozen=True)
class Part:
    """Rows under one header."""

    columns: tuple[str, ...]
    start: int  # bytes before its rows
    end: int


@dataclass(frozen=True)
class Rows:
    """All rows of a table. With a `fault` they cannot be read, whatever the layout."""

    data: bytes = field(repr=False)
    delimiter: str
    parts: tuple[Part, ...]
    notes: tuple[Note, ...] = ()
    fault: LogError | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of all parts, each once."""
        return tuple(dict.fromkeys(c for part in self.parts for c in part.columns))

    def read(
        self, names: Iterable[str], counts: Collection[str] = (), commas: Mark | None = None
    ) -> tuple[dict[str, Numbers], dict[str, str], dict[str, str]]:
        """The columns `names`, all of one length; cells whose commas were taken for decimal ones; and open ones.

        Both are given by column, with the first cell. Raises `LogError` for rows that cannot be read.
        """
        if self.fault is not None:
            raise self.fault
        wanted = tuple(dict.fromkeys(names))
        found: dict[str, list[Numbers]] = {name: [] for name in wanted}
        decimal: dict[str, str] = {}
        unsure: dict[str, str] = {}
        for part in self.parts:
            at = {name: place for place, name in enumerate(part.columns)}
            table, places = self._table(part), {n: at[n] for n in wanted if n in at}
            counting = [places[n] for n in counts if n in places]
            numbers, marks = table.numbers([*places.values()] or [0], counting, commas)
            empty = Numbers(np.full(len(next(iter(numbers.values()))), np.nan))
            for name in wanted:
                found[name] += [empty.take(np.zeros(1, np.int64))] if found[name] and len(empty) else []
                found[name].append(numbers[places[name]] if name in places else empty)
            named = {place: name for name, place in places.items()}
            unsure |= {named[i]: cell for i, cell in marks.unsure.items()}  # type: ignore[index]
            decimal |= {named[i]: marks.first[i] for i, mark in marks.of.items() if mark == "decimal"}  # type: ignore[index]
        columns = {name: joined(parts) for name, parts in found.items()}
        again = self._again(columns) if len(self.parts) == 1 else None
        return again.read(wanted, counts, commas) if again else (columns, decimal, unsure)

    def names(self, column: str) -> tuple[IntArray, list[str]]:
        """A column of names: the code of each row, −1 for an empty cell; and the names in the order they appear."""
        known: dict[str, int] = {}
        codes: list[IntArray] = []
        for part in self.parts:
            here, names = self._table(part).names(part.columns.index(column) if column in part.columns else 0)
            if column not in part.columns:
                here, names = np.full(len(here), -1, np.int64), []
            code_of = np.array([*(known.setdefault(n, len(known)) for n in names), -1], np.int64)
            codes += [np.array([-1])] if codes and len(here) else []
            codes.append(code_of[here])
        return np.concatenate(codes) if codes else np.empty(0, np.int64), list(known)

    def head(self) -> dict[str, list[str]]:
        """The first cells of each column as texts; none where they cannot be read."""
        part = self.parts[0]
        end = self.data.find(b"\n", part.start + HEAD, part.end)
        try:
            texts = self._table(replace(part, end=part.end if end < 0 else end + 1)).texts()
        except LogError:  # such as a quoted cell that was cut
            return {}
        return {name: [cell.strip() for cell in texts[i]] for i, name in enumerate(part.columns)}

    @property
    def headers(self) -> tuple[int, ...]:
        """The rows at which a header stands again."""
        return tuple(self.data.count(b"\n", self.parts[0].start, part.start) - 1 for part in self.parts[1:])

    def _table(self, part: Part) -> Table:
        return Table(self.data, part.start, self.delimiter, len(part.columns), part.end)

    def _again(self, columns: dict[str, Numbers]) -> "Rows | None":
        """The rows in parts, where a row of texts is a further header that has the columns in another order."""
        texts = sorted({int(row) for numbers in columns.values() for row in numbers.words[:200]})
        if not texts or self.delimiter == " ":
            return None
        (part,) = self.parts
        lines = self.data[part.start : part.end].split(b"\n")
        for row in texts:
            cells = _cells(lines[row], self.delimiter) if row < len(lines) else []
            if _is_header(cells, part.columns) and unique_names(cells) != part.columns:
                parts = tuple(_parts(self.data, part, self.delimiter, b"\n"))
                return replace(self, parts=parts) if len(parts) > 1 else None
        return None


def rows_of(data: bytes, header: Header, file: str) -> Rows:
    """The rows below a header; what was dropped among them or is odd about them is in the notes."""
    notes: list[Note] = []
    whole = Part(header.columns, header.start, len(data))
    rows = Rows(data, header.delimiter, (whole,))
    try:
        if header.delimiter == " ":
            _check_count(data.count(b"\n", header.start) + (not data.endswith(b"\n")), file)
            data, parts = _aligned(data, whole, header.line, notes)
        else:
            whole = replace(whole, end=_uncut(data, whole, header.delimiter, notes))
            even = _even(data, whole, header.delimiter)
            _check_count(even or data.count(b"\n", header.start) + (not data.endswith(b"\n")), file)
            first = data[data.rfind(b"\n", 0, max(header.start - 1, 0)) + 1 : header.start].split(b"\n")[0]
            lead = b"\n" + re.split(b"[%s\r\n]" % re.escape(header.delimiter.encode()), first)[0] if even else b"\n"
            parts = list(_parts(data, whole, header.delimiter, lead))
            if len(parts) > 1 or not even:
                for part in parts:
                    data = _without_short(data, part, _short(data, part, header, file), notes)
    except LogError as error:
        return replace(rows, fault=error, notes=tuple(notes))
    for part in parts[1:]:
        line = data.count(b"\n", 0, part.start)
        named = ", ".join(part.columns[:8])
        text = "The header is repeated" if part.columns == header.columns else "Another header stands"
        notes.append(Note("info", f"{text} in line {line:,}; the rows below it are {named}."))
    return Rows(data, header.delimiter, tuple(parts), tuple(notes))


def _cells(line: bytes, delimiter: str) -> list[str]:
    return [c.strip() for c in cells_of(line.decode("utf-8", "replace").strip("\r\n"), delimiter)]


def _is_header(cells: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether a row names columns: no number among its cells, and most of them known, or as many new ones."""
    filled = [c for c in cells if c]
    known = sum(c in columns or is_lr(c) or train_rank(c) is not None or eval_name(c) is not None for c in filled)
    own = any(c in columns for c in filled)
    return own and known >= min(2, len(columns)) and not any(is_number(c) for c in filled)


def _parts(data: bytes, whole: Part, delimiter: str, lead: bytes) -> Iterator[Part]:
    """The parts of a table, whose further headers stand in lines that begin with `lead`, a line end included."""
    start, columns, at = whole.start, whole.columns, max(whole.start - 1, 0)
    letters = re.compile(rb"\n(?=[ \"']*[A-Za-z_])")
    while True:
        if lead == b"\n":
            found = letters.search(data, at, whole.end)
            at = found.start() if found else -1
        else:
            at = data.find(lead, at, whole.end)
        if at < 0:
            break
        end = data.find(b"\n", at + 1, whole.end)
        end = whole.end if end < 0 else end
        cells = _cells(data[at + 1 : end], delimiter)
        if _is_header(cells, whole.columns):
            yield Part(columns, start, at + 1)
            start, columns = min(end + 1, whole.end), unique_names(cells)
        at = end
        if at >= whole.end:
            break
    yield Part(columns, start, whole.end)


def _uncut(data: bytes, part: Part, delimiter: str, notes: list[Note]) -> int:
    """Where the rows end: before the last one where it was cut off."""
    if data.endswith((b"\n", b"\r")) or part.end <= part.start:
        return part.end
    at = data.rfind(b"\n", part.start) + 1 or part.start
    cells = _cells(data[at:], delimiter)
    above = data.rfind(b"\n", part.start, max(at - 1, part.start)) + 1 or part.start
    if at > part.start and len(cells) < min(len(part.columns), len(_cells(data[above:at], delimiter))):
        line = data.count(b"\n") + 1
        notes.append(Note("repaired", f"The last line, {line:,}, ends early and was dropped: the file was cut off."))
        return at
    if (
        cells
        and (is_number(cells[-1]) or not cells[-1])
        and _is_short(cells[-1], len(cells) - 1, data, part, delimiter)
    ):
        end = f"its last number, {cells[-1][:40]}, may be too short" if cells[-1] else "its last row may lack a number"
        notes.append(Note("info", f"The file ends without a line end: if it was cut off, {end}."))
    return part.end


def _check_count(rows: int, file: str) -> None:
    if rows > MOST_ROWS:
        raise LogError(f"{file}: a file may have {MOST_ROWS:,} rows, this one has {rows:,}.", file)


def _is_short(cell: str, place: int, data: bytes, part: Part, delimiter: str) -> bool:
    """Whether the last cell has fewer characters than those above it usually have, and no quotation mark ends it."""
    if data.endswith((b'"', b"'")):
        return False
    lines = data[max(part.start, part.end - 20_000) : part.end].split(b"\n")[-51:-1]
    above = [row[place] for row in (_cells(line, delimiter) for line in lines) if len(row) > place]
    lengths = sorted(len(c) for c in above if is_number(c))
    return not cell or bool(lengths) and len(cell) < lengths[len(lengths) // 2]


def _even(data: bytes, part: Part, delimiter: str) -> int:
    """How many rows there are, if every one has as many cells as the header, and no quotes; else 0.

    With all but delimiters, line ends and quotes taken out, one rhythm must be left.
    """
    width, at, beat, rows = len(part.columns), part.start, 0, 0
    kept = delimiter.encode() + b'\n"'
    dropped = bytes(set(range(256)) - set(kept))
    row = kept[:1] * (width - 1) + b"\n"
    while at < part.end:
        found = data[at : min(at + BLOCK, part.end)].translate(None, dropped)
        if found != (row * (len(found) // width + 2))[beat : beat + len(found)]:
            return 0
        rows += (beat + len(found)) // width
        beat, at = (beat + len(found)) % width, at + BLOCK
    return rows + (beat > 0) if beat in (0, width - 1) else 0


def _without_short(data: bytes, part: Part, short: list[tuple[int, int, int]], notes: list[Note]) -> bytes:
    """The table with rows that have fewer cells than the header emptied, where they are few among whole ones.

    Which cells such a row lacks cannot be told. Where many rows are short, it is the last cells that their writer left
    out. `short` holds the line, the start and the end of each.
    """
    if not short:
        return data
    text = f"{counted(len(short), 'row')} {'has' if len(short) == 1 else 'have'} fewer cells than the header names"
    where = f"{text} (first line {short[0][0]:,})"
    if len(short) * 10 > data.count(b"\n", part.start, part.end):
        notes.append(Note("info", f"{where}; those missing were taken to be the last ones."))
        return data
    notes.append(Note("repaired", f"{where} and {'was' if len(short) == 1 else 'were'} dropped."))
    changed = bytearray(data)
    for _, start, end in short:
        changed[start:end] = b"#" + b" " * (end - start - 1)
    return bytes(changed)


def _short(data: bytes, part: Part, header: Header, file: str) -> list[tuple[int, int, int]]:
    """Rows with fewer cells than the header. Raises `LogError` for the first one with more."""
    width, delimiter = len(part.columns), header.delimiter.encode()
    while width > 1 and is_nameless(part.columns[width - 1]):
        width -= 1  # delimiters at the end of the header name nothing
    line, inside = data.count(b"\n", 0, part.start), False
    short: list[tuple[int, int, int]] = []
    at = part.start
    while at < part.end:
        end = data.find(b"\n", at, part.end)
        end = part.end if end < 0 else end
        row, at, line = data[at:end], end + 1, line + 1
        quotes = row.count(b'"')
        was, inside = inside, inside != bool(quotes % 2)
        if was or inside or row.startswith(b"#") or not row.strip():
            continue
        found = row.count(delimiter) + 1
        if quotes and found != width:
            found = len(_cells(row, header.delimiter))
        if found > len(part.columns):
            cells = _cells(row, header.delimiter)
            while len(cells) > len(part.columns) and not cells[-1]:
                cells.pop()  # delimiters at the end of a line separate nothing
            if len(cells) > len(part.columns):
                raise LogError(
                    f"{file}: line {line:,} has {len(cells)} cells, but the header names {len(part.columns)} columns.",
                    file,
                )
        elif found < width:
            short.append((line, at - len(row) - 1, at - 1))
    return short


def _aligned(data: bytes, whole: Part, line: int, notes: list[Note]) -> tuple[bytes, list[Part]]:
    """A table with spaces between its cells, in which only rows of the right width are left.

    Raises `LogError` where most rows have another width than the header, or the header goes on further down.
    """
    if whole.columns[-1] == "\\":
        raise LogError("this table was printed with its columns in several blocks; print it with to_csv instead.")
    lines = data[whole.start :].split(b"\n")
    widths = [0 if row.startswith(b"#") else len(row.split()) for row in lines]
    common = Counter(w for w in widths if w).most_common(1)
    width = common[0][0] if common else len(whole.columns)
    columns = whole.columns
    first = next((i for i, w in enumerate(widths) if w), 0)
    if width == len(columns) + 1:
        label = lines[first].split() if widths[first] == 1 else []
        name = (
            label[0].decode("utf-8", "replace") if label and not is_number(label[0].decode("utf-8", "replace")) else ""
        )
        columns = unique_names((name, *columns))
        lines[first] = b"" if name else lines[first]
    elif width != len(columns):
        raise LogError(f"most rows have {width} cells between spaces, but the header names {len(columns)} columns.")
    odd, elided = [], 0
    for i, (row, found) in enumerate(zip(lines, widths, strict=True)):
        if found and not row.replace(b".", b"").strip():
            elided, lines[i] = elided + 1, b""
        elif found not in (0, width) and lines[i]:
            lines[i] = b""
            if not _FOOTER.fullmatch(row):
                odd.append(line + 1 + i)
        elif row.startswith(b"#"):
            lines[i] = b""
    if elided:
        notes.append(Note("info", "Rows are missing: pandas left them out when it printed the table ('...')."))
    if odd:
        text = f"{counted(len(odd), 'row')} of another width than the header dropped (first line {odd[0]:,})."
        notes.append(Note("repaired", text))
    data = data[: whole.start] + b"\n".join(lines)
    return data, [Part(columns, whole.start, len(data))]

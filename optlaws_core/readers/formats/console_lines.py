"""The lines of a text that tell of a run: each is put to the plan of lines like it, whose numbers become arrays.

A plan is made once for all lines that differ in their numbers only, and many of them are read together. The text is
gone through in parts, so that it never stands in memory twice.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import LogError
from ...text import shortened
from .console_blocks import FEWEST, Block, Slot, slot_of
from .console_forms import Forms
from .console_shapes import LONGEST, NUMBER, WHOLE, Plan, plan_of, second_record

PART = 2**20  # bytes
MOST_PLANS = 20_000  # kinds of lines that are looked into

_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\n]*\x07|[()][a-z0-9])")
_BARS = re.compile(rb"%\|[^|\n\r]{0,400}\|")
_KERAS_BARS = re.compile(rb"\[[=>.]{2,}\]|(?:\xe2\x94\x81|\xe2\x95\xb8|\xe2\x95\xba)+")
_WRAPPED = re.compile(rb"\{'[^{}\n]{0,2000}(?:\n[^{}\n]{0,500}){1,5}\}")

# What stands in every line of interest. Where a blank begins it, a digit stands before.
_KEYS = (
    b"loss",
    b"trl:",
    b"tel:",
    b"crossentropy",
    b" train ",
    b" val ",
    b"skipped iterations",
    b"[step=",
    b"[batch=",
    b"] train",
    b"bpb",
    b"epoch ",
    b"'eval_",
)
_ALONE = {b"epoch ": re.compile(rb"(?:.*[\]>:)|\s-])?epoch \d+/\d+\s*$")}  # the whole line, where words say too little
_IN_RECORDS = (b"optim/", b"lr-", b"total_tokens", b"total tokens", b"time/token", b"time/batch")
_BAR = b"%|"
_BEGINS = tuple(bytes([letter]) for letter in b"0123456789.")


@dataclass(eq=False)
class Rows:
    """The lines of one plan: their places in the text, and what stood in them."""

    plan: Plan
    order: list[IntArray] = field(default_factory=list)
    values: list[FloatArray] = field(default_factory=list)  # (picks, n) each

    def __len__(self) -> int:
        return sum(map(len, self.order))


@dataclass(eq=False)
class Scan:
    """All lines of interest, by plan. `numbered`: the places of lines, from 0, are those in the file."""

    rows: list[Rows] = field(default_factory=list)
    numbered: bool = True
    cut: bool = False  # the last line ends early and was left out
    rounded: int = 0  # lines whose step is printed with too few digits
    doubled: int = 0  # lines that hold two steps with their losses, read as two


def scan(text: bytes) -> Scan:
    """What the lines of a text tell. Raises `LogError` for losses with decimal commas."""
    return _Scanner().read(text)


class _Scanner:
    def __init__(self) -> None:
        self.scan = Scan()
        self.plans: dict[tuple[bytes, ...], Plan | None] = {}
        self.known: dict[bytes, tuple[Rows, list[Slot]] | None] = {}  # skeleton -> how its lines are read together
        self.forms: Forms[Rows] = Forms()
        self.rows_of: dict[Plan, Rows] = {}
        self.at = 0
        self.records = self.dicts = False

    def read(self, text: bytes) -> Scan:
        for part in _parts(text):
            self._part(part)
            self._keep()
        return self.scan

    def _part(self, part: bytes) -> None:
        part = self._normal(part)
        end = part.rfind(b"\n") + 1
        if end:
            self._whole(np.frombuffer(part, np.uint8)[:end], part)
        if part[end:].strip():
            self._keep()
            self._last(part[end:])

    def _normal(self, part: bytes) -> bytes:
        """Lower case, without colours and the drawings of bars; a line for what a carriage return overwrote."""
        if b"\x1b" in part:
            for code in {*_ESCAPES.findall(part[:65_536])}:
                part = part.replace(code, b"")
            part = _ESCAPES.sub(b"", part) if b"\x1b" in part else part
        part = part.lower()
        if b"\r" in part:
            part = part.replace(b"\r\n", b"\n")
        if b"\r" in part or b"\x08" in part:
            self.scan.numbered = False
            part = part.replace(b"\r", b"\n").replace(b"\x08", b"\n")
        # A single letter is looked for many times faster than two.
        if b"%" in part and b"%|" in part:
            part = _BARS.sub(b"%| |", part)
        if (b"=" in part and b"[=" in part) or (b"\x94" in part and b"\xe2\x94\x81" in part):
            part = _KERAS_BARS.sub(b"[=]", part)
        if b"{" in part and b"{'" in part:
            self.dicts = True
            part = _WRAPPED.sub(_unwrapped, part)
        return part

    def _whole(self, text: np.ndarray, part: bytes) -> None:
        """Whole lines: those of a form first, then others of interest, alike ones together."""
        ends = np.flatnonzero(text == 10)
        left = self._of_forms(text, ends)
        if left.all():
            self._others(part, text, ends, np.arange(self.at, self.at + len(ends)))
        elif left.any():
            widths = np.diff(ends, prepend=-1)
            text = text[np.repeat(left, widths)]
            self._others(text.tobytes(), text, np.cumsum(widths[left]) - 1, np.flatnonzero(left) + self.at)
        self.at += len(ends)

    def _of_forms(self, text: np.ndarray, ends: IntArray) -> np.ndarray:
        """Reads lines of a known form. Returns (lines,) which are left."""
        left = np.ones(len(ends), bool)
        for form, lines, characters in self.forms.found(text, ends):
            values, good = form.read(characters)
            left[lines[good]] = False
            form.owner.order.append(lines[good] + self.at)
            form.owner.values.append(values[:, good])
        return left

    def _others(self, part: bytes, text: np.ndarray, ends: IntArray, order: IntArray) -> None:
        """Reads lines of interest, alike ones together. `order`: (lines,) their places."""
        hit = self._hits(part, text, ends)
        if hit.any():
            order = order[hit]
            block = Block(text if hit.all() else text[np.repeat(hit, np.diff(ends, prepend=-1))])
            singles = [own for own in block.alike() if not self._together(block, own, order[own])]
            own = np.sort(np.concatenate([np.empty(0, np.int64), *singles]))
            for i in own.tolist():
                self._single(int(order[i]), block.line(i))

    def _hits(self, part: bytes, text: np.ndarray, ends: IntArray) -> np.ndarray:
        """(lines,) Which are of interest."""
        pairs = _pairs(text)
        keys = [key for key in _KEYS if _may_hold(pairs, key)]
        self.records = self.records or b"[step=" in keys or b"[batch=" in keys
        if self.records:
            keys += [key for key in _IN_RECORDS if _may_hold(pairs, key)]
        if self.dicts and _may_hold(pairs, _BAR):
            keys.append(_BAR)
        hit = np.zeros(len(ends), bool)
        for key in keys:
            own = np.searchsorted(ends, _found(text, key))
            if key in _ALONE:
                own = np.unique(own)
                begins = np.where(own > 0, ends[own - 1] + 1, 0)
                spans = zip(own.tolist(), begins.tolist(), ends[own].tolist(), strict=True)
                own = np.array([i for i, a, b in spans if _ALONE[key].match(part[a:b])], np.int64)
            hit[own] = True
        return hit

    def _together(self, block: Block, lines: IntArray, order: IntArray) -> bool:
        """Reads lines of one skeleton, but for those among them that are odd; False where they are no such lines."""
        if len(lines) < FEWEST:
            return False
        skeleton = block.skeleton(lines[0])
        if skeleton not in self.known:
            if len(self.known) >= MOST_PLANS:
                return False
            self.known[skeleton] = self._slots(block.line(lines[0]))
        known = self.known[skeleton]
        if known is None:
            return self._plan(block.line(lines[0])) is None and self._all_nothing(block, lines, order)
        rows, slots = known
        good = np.ones(len(lines), bool)
        columns = []
        for slot in slots:
            values, fine = block.numbers(lines, slot)
            columns.append(values)
            good &= fine
        rows.order.append(order[good])
        rows.values.append(np.array(columns)[:, good])
        for i in np.flatnonzero(~good).tolist():
            self._single(int(order[i]), block.line(lines[i]))
        if good[-1]:
            self.forms.learn(block.line(lines[-1]), slots, rows)
        return True

    def _all_nothing(self, block: Block, lines: IntArray, order: IntArray) -> bool:
        """Passes over lines like the first of them, which tells nothing; those with other figures are looked at."""
        odd = np.flatnonzero(block.figures[lines] != block.figures[lines[0]])
        for i in odd.tolist():
            self._single(int(order[i]), block.line(lines[i]))
        return True

    def _slots(self, line: bytes) -> tuple[Rows, list[Slot]] | None:
        """How lines like this one are read together; None where they must be looked at one by one."""
        plan = self._plan(line)
        numbers = list(NUMBER.finditer(line))
        if plan is None or plan.doubled or plan.cells([number[0] for number in numbers]) is None:
            return None
        slots = []
        for pick, i in zip(plan.picks, plan.at, strict=True):
            slot = slot_of(line, *numbers[i].span(), pick in WHOLE) if numbers[i][0][:1] in _BEGINS else None
            if slot is None:
                return None
            slots.append(slot)
        return self.rows_of[plan], slots

    def _single(self, at: int, line: bytes) -> None:
        parts = NUMBER.split(line)
        plan = self._plan(line, tuple(parts[::2]))
        if plan is None:
            return
        if plan.doubled:
            self._two(at, line)
            return
        cells = plan.cells(parts[1::2])
        if cells is None:
            self.scan.rounded += 1
            return
        plan.rows.append(at)
        plan.values.append(cells)

    def _two(self, at: int, line: bytes) -> None:
        """Both records of a line whose end between them is missing."""
        cut = second_record(line)
        if cut is None:  # its figures are odd
            self.scan.rounded += 1
            return
        self.scan.doubled += 1
        self._single(at, line[:cut])
        self._single(at, line[cut:])

    def _plan(self, line: bytes, like: tuple[bytes, ...] | None = None) -> Plan | None:
        """The plan of lines like this one, made where it is the first of them."""
        if len(line) > LONGEST:
            return None
        like = like or tuple(NUMBER.split(line)[::2])
        if like not in self.plans:
            if len(self.plans) >= MOST_PLANS:
                return None
            plan = self.plans[like] = plan_of(line)
            if plan is not None and not plan.doubled:
                self.rows_of[plan] = Rows(plan)
                self.scan.rows.append(self.rows_of[plan])
        return self.plans[like]

    def _last(self, line: bytes) -> None:
        """A last line without an end: it may be cut, within a number even."""
        if not any(key in line for key in _KEYS):
            return
        while (cut := second_record(line)) is not None:
            self.scan.doubled += 1
            self._single(self.at, line[:cut])
            line = line[cut:]
        self._keep()
        plan = self._plan(line)
        if plan is not None and not plan.doubled and _is_whole(line, self.rows_of[plan]):
            self._single(self.at, line)
        else:
            self.scan.cut = True

    def _keep(self) -> None:
        """The values of a part as arrays."""
        for rows in self.scan.rows:
            plan = rows.plan
            if plan.rows:
                rows.order.append(np.array(plan.rows, np.int64))
                cells = zip(*plan.values, strict=True)
                columns = [_floats(column, pick) for column, pick in zip(cells, plan.picks, strict=True)]
                rows.values.append(np.array(columns) if columns else np.empty((0, len(plan.rows))))
                plan.rows, plan.values = [], []


def _parts(text: bytes) -> Iterator[bytes]:
    """Parts that end with a line, or where a bar was drawn anew, but for the last. Longer lines are passed over."""
    at = 0
    while at < len(text):
        end = len(text) if len(text) - at <= PART else _last_end(text, at, at + PART)
        if end <= at:
            ends = [i for i in (text.find(b"\n", at), text.find(b"\r", at)) if i >= 0]
            at = min(ends, default=len(text))
            continue
        yield text[at:end]
        at = end


def _last_end(text: bytes, start: int, stop: int) -> int:
    return text.rfind(b"\n", start, stop) + 1 or text.rfind(b"\r", start, stop) + 1


def _unwrapped(found: "re.Match[bytes]") -> bytes:
    """A dict on one line, with as many ends of lines behind it as were in it."""
    return found[0].replace(b"\n", b" ") + b"\n" * found[0].count(b"\n")


def _pairs(text: np.ndarray) -> np.ndarray:
    """(65536,) Whether two letters follow each other somewhere."""
    return np.bincount((text[:-1].astype(np.uint16) << 8) | text[1:], minlength=65_536) > 0


def _may_hold(pairs: np.ndarray, key: bytes) -> bool:
    return all(pairs[a << 8 | b] for a, b in zip(key, key[1:], strict=False))


def _found(text: np.ndarray, key: bytes) -> IntArray:
    """Where a key stands; one that begins with a blank, behind a digit."""
    found = text[: max(0, len(text) - len(key) + 1)] == key[0]
    for i, letter in enumerate(key[1:], 1):
        found &= text[i : i + len(found)] == letter
    at = np.flatnonzero(found)
    if key[:1] == b" ":
        at = at[at > 0]
        at = at[(text[at - 1] >= 48) & (text[at - 1] <= 57)]
    return at


def _is_whole(line: bytes, rows: Rows) -> bool:
    """Whether the last number of interest is whole: something follows, or it is as long as in the lines before."""
    last = list(NUMBER.finditer(line))[max(rows.plan.at)]
    if last.end() < len(line):
        return True
    if not len(rows):
        return False
    before = repr(float(rows.values[-1][rows.plan.at.index(max(rows.plan.at))][-1]))
    return len(last[0].partition(b".")[2]) >= len(before.partition(".")[2]) or b"e" in last[0]


def _floats(column: tuple[bytes, ...], pick: str) -> FloatArray:
    """Numbers, also those with commas between thousands."""
    try:
        return np.array(list(map(float, column)))
    except ValueError:
        pass
    if pick.startswith("loss:") and (odd := next((c for c in column if b"," in c and b"." not in c), None)):
        raise LogError(
            f"a loss is printed as {shortened(odd.decode())}, with a decimal comma; replace the commas by points."
        )
    return np.array([float(cell.replace(b",", b"")) for cell in column])

"""From scanned lines to one table: which lines are the run's, records of several lines made one, every row a step."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ...arrays import FloatArray, IntArray
from ...text import counted, listed, shortened
from ..base import Note
from .console_lines import Rows, Scan
from .console_shapes import ESTIMATE, GENERAL, RATE, TRAIN, WHOLE, Shape

LOSS = "loss:"
MOST = 1e15  # no counter is larger


@dataclass(eq=False)
class Table:
    """Rows in the order of the text. A cell is NaN where the row has none; `said` tells where one says NaN."""

    order: IntArray  # (n,) places of the lines, from 0
    columns: dict[str, FloatArray] = field(default_factory=dict)
    said: dict[str, np.ndarray] = field(default_factory=dict)  # column -> (n,) bool
    shape: Shape = GENERAL
    names: dict[str, str] = field(default_factory=dict)  # split -> how the program calls its loss
    numbered: bool = True  # `order` counts the lines of the file
    decimals: int | None = None  # with which rates are printed, where they have no exponent
    rate: str = ""  # how the program calls its learning rate
    notes: list[Note] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.order)

    def take(self, rows: np.ndarray) -> "Table":
        """The same table, some rows of it."""
        columns = {k: v[rows] for k, v in self.columns.items()}
        return replace(self, order=self.order[rows], columns=columns, said={k: v[rows] for k, v in self.said.items()})

    def has(self, column: str) -> np.ndarray:
        """Rows with that cell."""
        return self.said[column] if column in self.said else np.zeros(len(self), bool)

    def put(self, column: str, rows: np.ndarray, values: FloatArray) -> None:
        """Sets cells."""
        if column not in self.columns:
            self.columns[column] = np.full(len(self), np.nan)
            self.said[column] = np.zeros(len(self), bool)
        self.columns[column][rows] = values
        self.said[column][rows] = True

    @property
    def splits(self) -> list[str]:
        """Splits with a loss, the training loss first."""
        found = [c.removeprefix(LOSS) for c in self.columns if c.startswith(LOSS) and self.said[c].any()]
        return sorted(found, key=lambda split: (split != TRAIN, split == ESTIMATE))

    @property
    def rates(self) -> list[str]:
        """Columns of further rates, that differ from the first one where both stand."""
        mine = self.columns.get("lr", np.empty(0))
        found = []
        for column in [c for c in self.columns if c.startswith(RATE)]:
            both = self.has(column) & self.has("lr")
            if both.any() and not np.array_equal(mine[both], self.columns[column][both], equal_nan=True):
                found.append(column)
        return found

    def note(self, level: str, text: str) -> None:
        """Something to tell about the file."""
        self.notes.append(Note(level, text))  # type: ignore[arg-type]


def table_of(scan: Scan) -> Table:
    """The lines of a run as one table; empty where no line has a loss."""
    kept = [rows for rows in scan.rows if len(rows) and not rows.plan.bits]
    chosen, aside = _chosen(kept)
    if not chosen:
        return Table(np.empty(0, np.int64))
    shape = _main(chosen)
    table = _joined(_with_heads(chosen, kept), chosen, shape)
    if shape.records:
        table = _records(table)
    table = _placed(table)
    _tell(table, chosen, aside)
    return table


def _main(chosen: dict[str, list[Rows]]) -> Shape:
    split = TRAIN if TRAIN in chosen else next(iter(chosen))
    return max(chosen[split], key=len).plan.shape


def _chosen(kept: list[Rows]) -> tuple[dict[str, list[Rows]], list[tuple[str, int]]]:
    """Split -> the lines that tell its loss: of one shape and one name. And what was left aside, with its count."""
    chosen: dict[str, list[Rows]] = {}
    aside: list[tuple[str, int]] = []
    for split in dict.fromkeys(split for rows in kept for split in rows.plan.splits):
        groups: dict[tuple, list[Rows]] = {}
        for rows in kept:
            if split in rows.plan.splits:
                plan = rows.plan
                groups.setdefault(
                    (plan.shape.name, plan.names.get(split, ("", 0)), plan.mean, _is_placed(rows)), []
                ).append(rows)
        most = max(sum(map(len, found)) for found in groups.values())
        best = max(groups, key=lambda key: _weight(key, groups[key], most))
        chosen[split] = groups.pop(best)
        counts = {key: sum(map(len, found)) for key, found in groups.items()}
        aside += [(key[1][0] or split, count) for key, count in counts.items() if key[3] or count > 2]
    return chosen, aside


def _is_placed(rows: Rows) -> bool:
    return "step" in rows.plan.picks or rows.plan.shape.records


def _weight(key: tuple, found: list[Rows], most: int) -> tuple:
    """How well a group of lines stands for a loss: with a step, of a known program, no mean of an epoch, many."""
    count = sum(map(len, found))
    known = found[0].plan.shape is not GENERAL
    return count >= 2, not key[2], key[3], known, 2 * count >= most, -key[1][1], count


def _with_heads(chosen: dict[str, list[Rows]], kept: list[Rows]) -> list[Rows]:
    """The chosen lines, and those that belong to them without a loss: heads of records, rates on their own lines."""
    used = list(dict.fromkeys(rows for found in chosen.values() for rows in found))
    names = {rows.plan.shape.name for rows in used if rows.plan.shape.records}
    more = [r for r in kept if r not in used and r.plan.shape.name in names and not r.plan.splits]
    bars = [r for r in kept if "n" in r.plan.picks and not r.plan.splits and r not in more]
    placed = all(_is_placed(rows) for rows in used)
    return [*used, *more, *([] if placed else bars)]


def _joined(parts: list[Rows], chosen: dict[str, list[Rows]], shape: Shape) -> Table:
    """All rows of the parts in the order of the text; losses only of the lines that were chosen for them."""
    order = np.concatenate([np.concatenate(rows.order) for rows in parts])
    turn = np.argsort(order, kind="stable") if (np.diff(order) < 0).any() else np.arange(len(order))
    place = np.empty(len(turn), np.int64)
    place[turn] = np.arange(len(turn))
    table = Table(order[turn], shape=shape)
    del order, turn
    at = 0
    for rows in parts:
        own = place[at : at + len(rows)]
        table.decimals = rows.plan.decimals if table.decimals is None else table.decimals
        table.rate = table.rate or rows.plan.rate
        at += len(rows)
        values = np.concatenate(rows.values, axis=1)
        rows.values = [np.empty((len(values), 0))]  # they are large, and not asked for again
        for pick, cells in zip(rows.plan.picks, values, strict=True):
            split = pick.removeprefix(LOSS)
            if split == pick or rows in chosen.get(split, ()):
                fine = (np.abs(cells) <= MOST) | (pick not in (*WHOLE, "epoch"))
                table.put(pick, own[fine], cells[fine])
                if split != pick:
                    table.names.setdefault(split, rows.plan.names.get(split, ("", 0))[0])
    return table


def _records(table: Table) -> Table:
    """Records made rows: each number goes to the last head before it, the last of its kind where there are several."""
    heads = np.flatnonzero(table.has("step") | (table.has("epoch") & table.has("epochs")))
    if not len(heads):
        return table.take(heads)
    out = table.take(heads)
    for column in [c for c in table.columns if c not in ("step", "total", "epoch", "epochs")]:
        rows = np.flatnonzero(table.has(column))
        whose = np.searchsorted(heads, rows, side="right") - 1
        rows, whose = rows[whose >= 0], whose[whose >= 0]
        if column == "lr":  # of the first of several groups
            rows, whose = rows[::-1], whose[::-1]
        out.put(column, whose, table.columns[column][rows])
    return out


def _placed(table: Table) -> Table:
    """Losses of evaluations that stand on lines without a step are put at the step beside them.

    Where one stands before a first step of 0, a program evaluates before it counts: the next step is meant, else the
    last one.
    """
    if not table.has("step").any():
        return table
    bare = ~table.has("step")
    evals = [c for c in table.columns if c.startswith(LOSS) and (table.has(c) & bare).any()]
    steps, where = _beside(table, bare)
    lost = 0
    for column in evals:
        rows = np.flatnonzero(table.has(column) & bare)
        if column == LOSS + TRAIN:
            lost += len(rows)
            continue
        table.columns["step"][rows] = steps[rows]
        table.said["step"][rows] = np.isfinite(steps[rows])
        split = column.removeprefix(LOSS)
        table.note("info", f"{counted(len(rows), 'evaluation')} ({split}) without a step, put at the {where}.")
    if lost:
        table.note("repaired", f"{counted(lost, 'line')} with a loss, but without a step, left out.")
    return table.take(np.flatnonzero(table.has("step")))


def _beside(table: Table, bare: np.ndarray) -> tuple[FloatArray, str]:
    """The step for each row without one, and which it is."""
    placed = np.flatnonzero(~bare)
    known = table.columns["step"][placed]
    rises = np.diff(known)
    interval = float(np.median(rises[rises > 0])) if (rises > 0).any() else 1.0
    after = np.searchsorted(placed, np.arange(len(table)))
    if bare[0] and known[0] == 0:
        ahead = np.concatenate((known, [known[-1] + interval]))
        return ahead[after], "next step"
    before = np.concatenate(([0.0 if known[0] <= 1 else np.nan], known))
    return before[after], "last step before"


def _tell(table: Table, chosen: dict[str, list[Rows]], aside: Iterable[tuple[str, int]]) -> None:
    """What was taken, what was left aside, and what to know about it."""
    if any(rows.plan.shape is GENERAL for found in chosen.values() for rows in found):
        names = [f"{name or 'loss'!r} as {split!r}" for split, name in table.names.items()]
        table.note("info", f"No known program's lines; taken by their names: {listed(names)}.")
    if aside:
        said = [f"{shortened(name, 20)!r} in {counted(count, 'line')}" for name, count in aside]
        table.note("info", f"Other losses left out: {listed(said)}.")
    if ESTIMATE in chosen:
        text = "The training losses beside those of an evaluation are estimates over some batches, kept as"
        table.note("info", f"{text} {ESTIMATE!r}.")
    if any(rows.plan.mean for rows in chosen.get(TRAIN, ())):
        table.note("info", "Each training loss is the mean of an epoch.")
    said_by = {rows.plan.shape.said for found in chosen.values() for rows in found} - {""}
    for text in sorted(said_by):
        table.note("info", text)

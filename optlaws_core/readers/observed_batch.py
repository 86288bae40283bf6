"""The batch of a run: what is declared of it, beside what a column of its log shows.

Where they differ the column holds, as far as it tells a plan, and a note says so. A column counts the tokens seen, or
names those of each update; the x axis may count them, too.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..schedules.batch import Batch
from ..text import counted, percent, shortened
from . import batch_changes
from .base import Facts, Layout, Note
from .layout import is_batch
from .opened import Numbers, RawRun

STEADY = 1e-3  # tokens per step may vary this much, relative, and still give one batch size
# Share of the tokens read by which a column may differ from what is declared: rounded counts, rows that stand before
# or behind their update, and padding that is not counted.
ALIKE = 0.01
JUMP = 10  # times what was read an update before and after: between two rows alone it is the counter that moved


@dataclass(frozen=True, eq=False)
class Observed:
    """Tokens that a column shows, (n,), n ≥ 2, after the updates `steps` (n,), at two of them at least.

    The rows are in the order in which they were written, as far as their steps rise.
    """

    column: str
    steps: FloatArray
    tokens: FloatArray  # seen so far
    sizes: FloatArray | None = None  # tokens of that update, where the column names those

    @cached_property
    def compared(self) -> BoolArray:
        """Which stretches between neighbouring rows, (n − 1,), tell what was read between them.

        A resume tells nothing where steps or tokens fall, nor where the counter alone goes on from elsewhere.
        """
        steps, tokens = np.diff(self.steps), np.diff(self.tokens)
        rises = (steps > 0) & (tokens >= 0)
        if self.sizes is not None:
            return rises
        rate = np.where(rises, tokens, 0.0) / np.where(rises, steps, 1.0)
        before, after = np.append(0.0, rate[:-1]), np.append(rate[1:], 0.0)
        jumps = (np.minimum(before, after) > 0) & (rate > JUMP * np.maximum(before, after))  # no rounded count does
        return rises & ~jumps

    @property
    def grows(self) -> bool:
        """Whether the column counts up, and seldom falls."""
        falls = (np.diff(self.steps) > 0) & (np.diff(self.tokens) < 0)
        return bool(self.seen[-1] > self.seen[0] and falls.sum() <= max(1, len(falls) // 4))

    @cached_property
    def seen(self) -> FloatArray:
        """Tokens seen so far, (n,), had no resume changed the count."""
        return self.tokens[0] + self._read(self.tokens)

    @property
    def per_update(self) -> float:
        """Tokens in an update, on average."""
        return self.multiple(Batch((0,), (1,)))

    @property
    def steady(self) -> float | None:
        """The one batch size; None where the tokens do not grow evenly."""
        batch = self.per_update
        off = np.abs(batch * self._read(self.steps) - self._read(self.tokens))
        return float(round(batch)) if batch > 0 and (off <= STEADY * self.seen + 1).all() else None

    @cached_property
    def staircase(self) -> Batch | None:
        """The sizes, where there are a few, each over a stretch of updates."""
        return batch_changes.staircase(self.steps, self.seen)

    def multiple(self, batch: Batch) -> float:
        """What each of its sizes stands for so that it reads, in all, what the column shows."""
        return float(self._read(self.tokens)[-1] / self._read(batch.pieces.seen(self.steps + 1))[-1])

    def off(self, batch: Batch, unit: float = 1.0) -> float:
        """Difference from a batch, its sizes in `unit` tokens, as a share of what was read; 0 for none.

        The largest so far of tokens seen, the sum of those of each update. A change is told as one where it is an
        update earlier or later: logs count updates from 0 or from 1.
        """
        if self.sizes is not None:
            said = unit * np.array([batch(np.maximum(self.steps + shift, 0)) for shift in (-1, 0, 1)])
            first, second = self.steps[:2]  # the first row stands for as many updates as the second
            updates = np.diff(self.steps, prepend=max(0.0, 2 * first - second))
            return float(np.abs(said - self.sizes).min(axis=0) @ updates / (self.sizes @ updates))
        shown, declared = self._read(self.tokens), self._read(unit * batch.pieces.seen(self.steps + 1))
        slack = unit * max(batch.sizes)
        return float(np.max(np.maximum(np.abs(declared - shown) - slack, 0.0)) / shown[-1])

    def _read(self, counter: FloatArray) -> FloatArray:
        """What a counter (n,) has grown by since the first row, (n,), over the stretches that are compared."""
        return np.append(0.0, np.cumsum(np.where(self.compared, np.diff(counter), 0.0)))


def with_batch(raw: RawRun, layout: Layout, facts: Facts, x: Numbers | None) -> tuple[Facts, tuple[Note, ...]]:
    """The facts with the batch of a run whose column `x` counts updates, and what is to be said about it."""
    if layout.x_unit == "tokens" and facts.batch_tokens is None:
        return replace(facts, batch_tokens=layout.batch), ()
    seen = None if x is None else _observed(raw, layout, x)
    if seen is None:
        return facts, ()
    known, said = _beside(seen, facts)
    return known, tuple(Note("info", text, raw.name) for text in said)


def in_updates(raw: RawRun, layout: Layout, facts: Facts) -> tuple[RawRun, Layout]:
    """The run and its layout with an x axis that counted tokens counting updates, where a batch schedule tells them."""
    batch, unit = facts.batch_schedule, 1.0
    if batch is not None and batch.relative:
        batch, unit = (None, 1.0) if facts.batch_tokens is None else (batch, facts.batch_tokens)
    if batch is None or layout.x_unit != "tokens" or layout.batch is not None or layout.restarts == "continued":
        return raw, layout
    declared = batch

    def turned(counter: Numbers) -> Numbers:
        return replace(counter, values=declared.updates_at(counter.values / unit))

    columns = {c: turned(n) if c == layout.x else n for c, n in raw.columns.items()}
    text = f"The updates were counted from the tokens by the declared batch, {shortened(declared.text, 80)}."
    notes = (*raw.notes, Note("info", text, raw.name))
    raw = replace(raw, columns=columns, own_x={c: turned(n) for c, n in raw.own_x.items()}, notes=notes)
    return raw, replace(layout, x_unit="step")


def _observed(raw: RawRun, layout: Layout, x: Numbers) -> Observed | None:
    """What the column of tokens shows beside an x axis in updates; None for nothing."""
    column = layout.tokens
    if layout.x_unit == "tokens" or column is None or column not in raw.columns or layout.x is None:
        return None
    steps, values = x.values, raw.columns[column].values
    if len(steps) != len(values):
        return None
    fine = np.isfinite(steps) & np.isfinite(values) & (steps > 0) & (values > 0)
    steps, values = steps[fine], values[fine]
    if len(steps) < 2 or steps.min() == steps.max():
        return None
    order = np.argsort(steps, kind="stable")
    if not is_batch(column):
        found = Observed(column, steps, values), Observed(column, steps[order], values[order])
        return max(found, key=lambda rows: rows.compared.sum())
    steps, sizes = steps[order], values[order]
    # A size that changed between two rows holds from the first update behind the earlier one on.
    return Observed(column, steps, np.cumsum(sizes * np.diff(steps, prepend=0.0)), sizes)


def _beside(seen: Observed, facts: Facts) -> tuple[Facts, tuple[str, ...]]:
    """The facts, and sentences on what the column shows beside what is declared."""
    if not seen.grows:
        return facts, (f"The column {shortened(seen.column)!r} does not grow with the steps, so it tells no batch.",)
    if facts.batch_schedule is not None:
        return _beside_schedule(seen, facts, facts.batch_schedule)
    steady, column = seen.steady, shortened(seen.column)
    if (said := facts.batch_tokens) is None:
        if steady is None:
            return facts, (_uneven(seen),)
        return replace(facts, batch_tokens=steady), (_taken(steady, column),)
    off = seen.off(Batch((0,), (said,)))
    if off <= ALIKE:
        return facts, ()
    if steady is not None:
        declared = counted(round(said), "token")
        return replace(facts, batch_tokens=steady), (f"{_taken(steady, column)[:-1]}; {declared} were declared.",)
    if seen.staircase is not None:
        return facts, (_uneven(seen),)
    return facts, (_kept(seen, counted(round(said), "token") + " per update", off),)


def _beside_schedule(seen: Observed, facts: Facts, declared: Batch) -> tuple[Facts, tuple[str, ...]]:
    """The same where a batch schedule is declared."""
    column, text = shortened(seen.column), shortened(declared.text, 80)
    unit, known, said = 1.0, facts, tuple[str, ...]()
    if declared.relative:
        unit = facts.batch_tokens or float(round(seen.multiple(declared)))
        if facts.batch_tokens is None:
            known = replace(facts, batch_tokens=unit)
            said = (f"What 1x of the declared batch is, {unit:,.0f} tokens, was taken from the column {column!r}.",)
    off = seen.off(declared, unit)
    if off <= ALIKE:
        return known, said
    if (steady := seen.steady) is not None:
        more = f"; the declared batch_schedule, {text}, was not used."
        return replace(facts, batch_tokens=steady, batch_schedule=None), (_taken(steady, column)[:-1] + more,)
    if (found := seen.staircase) is None:
        return facts, (_kept(seen, text, off),)
    shown = shortened(found.text, 80)
    return replace(facts, batch_schedule=found, batch_tokens=None if declared.relative else facts.batch_tokens), (
        f"The batch, {shown}, was taken from the column {column!r}; the declared batch_schedule, {text}, differs from "
        f"it by up to {percent(off)} of the tokens read and was not used.",
    )


def _taken(size: float, column: str) -> str:
    return f"The batch size, {counted(round(size), 'token')} per update, was taken from the column {column!r}."


def _kept(seen: Observed, declared: str, off: float) -> str:
    return (
        f"The column {shortened(seen.column)!r} differs from the declared batch, {declared}, by up to {percent(off)} "
        "of the tokens read, and shows no other that a plan can have; the declared one was kept."
    )


def _uneven(seen: Observed) -> str:
    """A sentence on tokens that do not grow evenly with the steps, of which no batch size was taken."""
    found = seen.staircase
    if found is None:
        return "The tokens do not grow evenly with the steps, so no batch size was taken from them."
    sizes = ", then ".join(f"{size:,.0f}" for size in found.sizes[:4]) + ("…" if len(found.sizes) > 4 else "")
    return (
        f"The batch changes: {sizes} tokens per update. Laws that know the rate alone fit the run as if it did not; "
        f"a manifest with batch_schedule={shortened(found.text, 80)} declares it."
    )


__all__ = ["in_updates", "with_batch"]

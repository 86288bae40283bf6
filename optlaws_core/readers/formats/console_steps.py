"""Steps of console lines: repeats taken out, counters of epochs counted on, runs told apart, bars where steps lack."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray, largest
from ...text import counted
from ..rates import WANTED
from .console_shapes import RATE, TRAIN
from .console_table import LOSS, Table

FEW_UNITS = 100  # of a fourth decimal, in the highest rate: fewer are no curve
NEAR = 1.15  # losses further apart than this factor tell where a run begins


@dataclass(frozen=True, eq=False)
class Bars:
    """What progress bars say of lines without a step: the step of each of the training's lines."""

    steps: FloatArray  # (training lines,)
    interval: int  # updates between two of them
    total: int


def mended(table: Table) -> Table:
    """The table with what programs repeat taken out, and each step one that counts the whole run."""
    if not len(table):
        return table
    _forget_kept(table)
    _drop_signs(table)
    table = _without_repeats(table)
    _count_on(table)
    return table


def _forget_kept(table: Table) -> None:
    """Of an evaluation's loss that is repeated line by line, the first of each stretch."""
    if not table.shape.keeps:
        return
    for column in [c for c in table.columns if c.startswith(LOSS) and c != LOSS + TRAIN]:
        rows = np.flatnonzero(table.has(column))
        values = table.columns[column][rows]
        again = rows[1:][values[1:] == values[:-1]]
        table.columns[column][again] = np.nan
        table.said[column][again] = False
        text = f"The loss of {column.removeprefix(LOSS)!r} is repeated on every line until the next one"
        table.note("info", f"{text}; the first of each was taken.")


def _drop_signs(table: Table) -> None:
    """Losses of −1 and −2, which ranks print that have none, and rates with too few decimals to be any."""
    for column in [c for c in table.columns if c.startswith(LOSS)]:
        values = table.columns[column]
        signs = np.isin(values, (-1.0, -2.0))
        if signs.any() and (values[table.has(column) & ~signs] > 0).any():
            values[signs] = np.nan
            table.said[column][signs] = False
            table.note(
                "repaired",
                f"{counted(int(signs.sum()), 'line')} with −1 for a loss, as ranks without one print, left out.",
            )
    if _are_rough(table):
        for column in [c for c in table.columns if c == "lr" or c.startswith(RATE)]:
            table.columns.pop(column)
            table.said.pop(column)
        text = f"{table.shape.name} prints the learning rate with 4 decimals, too few to use it; {WANTED[1]}"
        table.note("info", text)


def _are_rough(table: Table) -> bool:
    """Whether rates are printed with 4 decimals, of which they are hardly more than a few units.

    The first one may be printed otherwise: 0.0, or 5.00E-05 where it is smaller.
    """
    rates = table.columns["lr"][table.has("lr")] if "lr" in table.columns else np.empty(0)
    rates = rates[np.isfinite(rates)]
    rough = table.shape.rough
    if rough is None or not len(rates) or not rough <= float(rates.max()) < FEW_UNITS * 1e-4:
        return False
    if (table.decimals is None and rates[0] >= rough) or (table.decimals or 0) > 4:
        return False
    units = rates[rates >= rough] / 1e-4
    return bool(np.abs(units - np.round(units)).max() <= 1e-6 * units.max())


def _without_repeats(table: Table) -> Table:
    """Lines that several ranks, or a bar that was drawn again, repeat are taken once."""
    if "step" not in table.columns or len(table) < 2:
        return table
    rows = _of_repeated_steps(table.columns["step"])
    losses = [c for c in table.columns if c.startswith(LOSS)]
    keys = np.array([table.columns["step"][rows], *(table.columns[c][rows] for c in losses)])
    keys = np.where(np.isnan(keys), -1e308, keys)
    turn = np.lexsort((rows, *keys[::-1]))
    same = (keys[:, turn[1:]] == keys[:, turn[:-1]]).all(axis=0)
    twice = rows[turn[1:][same]]
    if not len(twice):
        return table
    keep = np.ones(len(table), bool)
    keep[twice] = False
    text = f"{counted(len(twice), 'line')} that repeat an earlier one, as several ranks print them, left out."
    table.note("repaired", text)
    return table.take(np.flatnonzero(keep))


def _of_repeated_steps(steps: FloatArray) -> IntArray:
    """Rows whose step may stand in another row as well."""
    rises = np.diff(steps)
    if not (rises >= 0).all():
        return np.arange(len(steps))
    again = np.zeros(len(steps), bool)
    again[1:] = rises == 0
    again[:-1] |= rises == 0
    return np.flatnonzero(again)


def _count_on(table: Table) -> None:
    """A counter that begins anew in each epoch counts on, where the lines name the epoch and its length."""
    if not (table.has("epoch").any() and table.has("total").any() and "step" in table.columns):
        return
    rows = np.flatnonzero(table.has("epoch") & table.has("total") & table.has("step"))
    step, epoch, total = (table.columns[c][rows] for c in ("step", "epoch", "total"))
    falls = np.diff(step) < 0
    later = np.diff(epoch) > 0
    if table.shape.total or not later.any() or not (falls & later).any() or (total != total[0]).any():
        return
    if (step > total).any() or not np.isfinite(epoch).all() or (epoch % 1).any():
        return
    table.columns["step"][rows] = step + (epoch - epoch.min()) * total[0]
    text = f"The step counts within an epoch of {total[0]:,.0f}; it was counted on from epoch to epoch."
    table.note("info", text)


# ---- several runs


def starts(table: Table) -> IntArray:
    """The first row, and those at which the counter, that of the training where there is one, is back at its start."""
    x = table.columns["step"]
    rises = np.diff(x)
    interval = float(np.median(rises[rises > 0])) if (rises > 0).any() else 1.0
    back = np.flatnonzero((rises < 0) & (x[1:] <= max(1.0, interval))) + 1
    train = np.flatnonzero(table.has(LOSS + TRAIN))
    if len(train):
        after = np.searchsorted(train, back)
        back, after = back[(after > 0) & (after < len(train))], after[(after > 0) & (after < len(train))]
        back = back[x[train[after]] < x[train[after - 1]]]
    return np.concatenate(([0], back)).astype(np.int64)


def anew(table: Table, at: IntArray) -> tuple[bool, bool]:
    """Whether the losses after each return of the counter are those of a new run, and whether that is sure."""
    column = next((c for c in (LOSS + s for s in table.splits)), None)
    if column is None or len(at) < 2:
        return True, True
    y = table.columns[column]
    filled = np.flatnonzero(np.isfinite(y) & (y > 0))
    votes, sure = [], True
    for begin in at[1:]:
        before, after = filled[filled < begin], filled[filled >= begin]
        own = before[before >= at[at < begin][-1]]
        if not len(own) or not len(after):
            continue
        first, last, new = np.log(y[own[0]]), np.log(y[own[-1]]), np.log(y[after[0]])
        votes.append(abs(new - first) <= abs(new - last))
        sure = sure and abs(first - last) > np.log(NEAR) and abs(abs(new - first) - abs(new - last)) > np.log(NEAR) / 2
    return (sum(votes) * 2 >= len(votes), sure and len({*votes}) < 2) if votes else (True, False)


def continued(x: FloatArray, at: IntArray) -> FloatArray:
    """Steps that go on behind the last ones at each return of the counter."""
    x = x.copy()
    bounds = [*at.tolist(), len(x)]
    for a, b in zip(bounds[1:], bounds[2:], strict=False):
        rises = np.diff(x[a:b])
        interval = np.median(rises[rises > 0]) if (rises > 0).any() else 1.0
        x[a:b] += (largest(x[:a]) or 0.0) + interval - x[a]
    return x


# ---- lines without a step


def bars_of(table: Table) -> Bars | None:
    """The steps of the training's lines by the progress bars around them; None where these do not tell."""
    if "n" not in table.columns or LOSS + TRAIN not in table.columns:
        return None
    rows = np.flatnonzero(table.has(LOSS + TRAIN))
    bars = np.flatnonzero(table.has("n") & table.has("of"))
    total = _of_training(table.columns["n"][bars], table.columns["of"][bars])
    bars = bars[table.columns["of"][bars] == total]
    if not len(bars) or len(rows) < 2:
        return None
    seen = _beside(rows, bars, table.columns["n"])
    known = np.flatnonzero(np.isfinite(seen))
    if len(known) < 2:
        return None
    interval = round(float(np.median(np.diff(seen[known]) / np.diff(known))))
    if interval < 1:
        return None
    offset = float(np.median(seen[known] - interval * known))
    if interval > 1 and abs(offset - interval * round(offset / interval)) <= max(1.0, 0.2 * interval):
        offset = interval * round(offset / interval)
    steps = np.round(offset) + interval * np.arange(len(rows), dtype=float)
    near = np.abs(seen[known] - steps[known]) <= max(1.0, 0.5 * interval)
    if near.mean() < 0.8 or steps[0] < 0 or steps[-1] > total:
        return None
    return Bars(steps, interval, int(total))


def _of_training(n: FloatArray, of: FloatArray) -> float:
    """The total of the bar that falls back least: bars of evaluations begin anew each time."""
    counts = Counter(of.tolist())
    falls = {total: int((np.diff(n[of == total]) < 0).sum()) / counts[total] for total in counts}
    return min(counts, key=lambda total: (falls[total], -counts[total], -total), default=np.nan)


def _beside(rows: IntArray, bars: IntArray, n: FloatArray) -> FloatArray:
    """The bar that counts each row, NaN for none: the last one before it, or, where bars follow rows, the first after.

    A bar that is drawn again behind each line is exact, one before it may be of an earlier step.
    """
    before, after, kinds = np.full(len(rows), np.nan), np.full(len(rows), np.nan), []
    at = np.searchsorted(bars, rows, side="right")
    for k, (low, high) in enumerate(zip(np.append(0, at[:-1]), at, strict=True)):
        if high > low:
            before[k] = n[bars[high - 1]]
        stop = at[k + 1] if k + 1 < len(at) else len(bars)
        if stop > high:
            after[k] = n[bars[high]]
            kinds.append(len(np.unique(n[bars[high:stop]])))
    follow = not before[0] > 0 or (len(kinds) > 0 and float(np.median(kinds)) >= 2)
    first, second = (after, before) if follow else (before, after)
    return np.where(np.isnan(first), second, first) if follow or np.isnan(first).mean() > 0.5 else first


def places(table: Table) -> FloatArray:
    """Where the rows stand among the training's lines, which are 1, 2, …; between them by the epoch, if known."""
    train = np.flatnonzero(table.has(LOSS + TRAIN))
    out = np.full(len(table), np.nan)
    if not len(train):
        rows = np.flatnonzero(_any_loss(table))
        out[rows] = np.arange(1, len(rows) + 1)
        return out
    out[train] = np.arange(1, len(train) + 1)
    others = np.flatnonzero(~table.has(LOSS + TRAIN) & _any_loss(table))
    last = np.searchsorted(train, others)  # training lines before each
    epochs = table.columns.get("epoch")
    if epochs is None or np.isnan(epochs[train]).any() or (np.diff(epochs[train]) <= 0).any():
        out[others] = last
        return out
    out[others] = np.interp(epochs[others], epochs[train], out[train])
    beyond = epochs[others] > epochs[train[-1]]
    if beyond.any() and len(train) > 1:
        slope = (out[train[-1]] - out[train[0]]) / (epochs[train[-1]] - epochs[train[0]])
        out[others[beyond]] = out[train[-1]] + slope * (epochs[others[beyond]] - epochs[train[-1]])
    return out


def _any_loss(table: Table) -> np.ndarray:
    found = np.zeros(len(table), bool)
    for column in table.columns:
        if column.startswith(LOSS):
            found |= table.has(column)
    return found

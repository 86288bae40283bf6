"""The runs of a sweep over learning rate and batch, in cells of one model size and one length."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

from ..errors import DesignError, LogError, MissingColumn, UnlikelyUnit
from ..readers.frames import read_frame
from ..readers.numbers import from_cells
from ..text import counted, format_amount, listed, shortened
from .mixtures import Mixture, mixtures, remedy, told

COLUMNS = ("params", "tokens", "lr", "batch", "loss")
# What others call these columns; letters' case does not matter.
ALIASES = {
    "params": ("n", "n_params", "parameters", "model_size"),
    "tokens": ("d", "train_tokens", "total_tokens", "n_tokens"),
    "lr": ("learning_rate", "peak_lr", "peak", "max_lr"),
    "batch": ("bs", "batch_size", "batch_tokens", "global_batch_size"),
    "loss": ("final_loss", "val_loss", "final_val_loss"),
}
SMOOTHED = {"smooth", "smoothed", "smoothing"}  # one of these words in the name of a loss: it is less of chance
# Beyond these a unit is more likely to be wrong.
HIGHEST_LR, FEWEST_PARAMS, FEWEST_TOKENS, FEWEST_BATCH, FEWEST_UPDATES = 1.0, 1_000, 1_000, 1_000, 100
MOST_PARAMS, MOST_TOKENS = 1e14, 1e16
MOST = 1e18  # of anything: beyond it nothing can be meant
ALIKE = 0.01  # sizes or lengths that differ by less are one: whole batches seldom add up to the same tokens


@dataclass(frozen=True)
class SweepCell:
    """The runs of one model size and one length."""

    params: float
    tokens: float
    lr: NDArray
    batch: NDArray  # tokens per update
    loss: NDArray  # not finite where a run diverged
    # values, by column of the table, of what its runs differ in beside learning rate and batch
    mixes: Mixture = field(default_factory=dict)

    @property
    def compute(self) -> float:
        """6ND."""
        return 6 * self.params * self.tokens

    @property
    def best(self) -> int:
        """Index of the run with the lowest loss."""
        return int(np.nanargmin(np.where(np.isfinite(self.loss), self.loss, np.nan)))

    @property
    def above(self) -> NDArray:
        """Each run's loss above that of the best one, in percent, (runs,); not finite where a run diverged."""
        return 100 * (self.loss / self.loss[self.best] - 1)

    @cached_property
    def _surface(self) -> LinearNDInterpolator:
        """Losses between the measured ones, over (log lr, log batch)."""
        return LinearNDInterpolator(np.log(np.column_stack((self.lr, self.batch))), self.loss, rescale=True)


class Sweep(list[SweepCell]):
    """The cells of a sweep by compute, least first, and `notes`: sentences on what its table holds."""

    notes: tuple[str, ...] = ()


def columns_of(names: Iterable[str]) -> dict[str, str]:
    """Which of a table's columns are taken for ours: those of our names, else those of usual others.

    Of a final loss and the same smoothed, the smoothed one.
    """
    known = {str(name).strip().lower(): str(name) for name in names}
    wanted = {ours: (ours, *ALIASES[ours]) for ours in COLUMNS}
    found = {ours: known[n] for ours, some in wanted.items() if (n := next((a for a in some if a in known), None))}
    smoothed = {raw: name for name in known.values() if (raw := _unsmoothed(name))}
    usual = [_words(name) for name in ("loss", *ALIASES["loss"])]
    alike = _same_loss(_words(found["loss"])) if "loss" in found else usual
    if better := next((smoothed[name] for name in alike if name in smoothed), None):
        found["loss"] = better
    return found


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9]+", name.lower()))


def _unsmoothed(name: str) -> tuple[str, ...]:
    """The words of a smoothed column's name without that; none for another column."""
    words = _words(name)
    return tuple(w for w in words if w not in SMOOTHED) if SMOOTHED & set(words) else ()


def _same_loss(raw: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Names of the same loss, as words: with or without "final"."""
    bare = tuple(w for w in raw if w != "final")
    return [raw, bare, ("final", *bare)]


def unlikely(params: float, tokens: float, batch: float | None = None, lr: float | None = None) -> str:
    """What may have the wrong unit, by which rule; empty where nothing is odd. The batch is in tokens."""
    rules = [
        ("N", params, params < FEWEST_PARAMS, f"below {FEWEST_PARAMS:,} is unlikely (of millions or billions?)"),
        ("D", tokens, tokens < FEWEST_TOKENS, f"below {FEWEST_TOKENS:,} is unlikely (of millions or billions?)"),
        ("N", params, params > MOST_PARAMS, f"above {format_amount(MOST_PARAMS)} is unlikely (a suffix too many?)"),
        ("D", tokens, tokens > MOST_TOKENS, f"above {format_amount(MOST_TOKENS)} is unlikely (a suffix too many?)"),
    ]
    if lr is not None:
        rules.append(("a learning rate", lr, lr > HIGHEST_LR, f"above {HIGHEST_LR:g} is unlikely"))
    if batch is not None:
        few = f"that leaves fewer than {FEWEST_UPDATES} updates is unlikely"
        rules += [
            ("a batch", batch, batch < FEWEST_BATCH, f"below {FEWEST_BATCH:,} tokens is unlikely (of sequences?)"),
            ("a batch", batch, tokens / batch < FEWEST_UPDATES, few),
        ]
    return next((f"{what} {rule}, got {value:g}" for what, value, odd, rule in rules if odd), "")


def read_sweep(
    table: Path | str | pd.DataFrame, columns: Mapping[str, str] | None = None, unit: float = 1.0, sure: bool = False
) -> Sweep:
    """Cells of a CSV file or a frame with N, D, lr, batch and loss, by compute, least first.

    `columns`: the table's names by ours (params, tokens, lr, batch, loss), where they differ. `unit`: tokens in one
    unit of the batch column, such as 2048 where it counts sequences of that length. A loss that is empty or not finite
    is a run that diverged. `sure`: units were looked at, so unlikely values are taken as they are. The `notes` of what
    comes back say which loss was taken where there are two, and what else the runs of one cell differ in.
    Raises `LogError` that names the column, the rule and what was found.
    """
    what = "The sweep" if isinstance(table, pd.DataFrame) else Path(table).name
    frame = table if isinstance(table, pd.DataFrame) else read_frame(table, what)
    named = columns_of(frame.columns) | dict(columns or {})
    for ours in COLUMNS:
        if named.get(ours) not in frame.columns:
            lacking = shortened(str(named.get(ours, ours)))
            raise MissingColumn(f"{what} must have the column {lacking!r}, got {listed(frame.columns)}.", ours, what)
    if twice := next((c for c in named.values() if [*named.values(), *frame.columns].count(c) > 2), None):
        raise LogError(f"{what} must have each column once and for one thing, got {shortened(twice)!r} twice.", what)
    if not 0 < unit < 1e12:
        raise LogError(f"{what}: tokens in one unit of the batch must be above 0, got {unit:g}.", what)
    if not len(frame):
        raise LogError(f"{what} must have at least 1 run, got none.", what)
    runs = pd.DataFrame({ours: _numbers(frame[named[ours]], ours, what) for ours in COLUMNS})
    runs["batch"] *= unit
    for ours in COLUMNS[:4]:
        if (high := runs[ours].max()) > MOST:
            row = int(runs[ours].argmax()) + 1
            raise LogError(f"{what}, row {row}: {ours} may be at most {MOST:g}, got {high:g}.", what)
    odd = () if sure else enumerate(map(unlikely, *(runs[name] for name in ("params", "tokens", "batch", "lr"))), 1)
    if found := next(((row, said) for row, said in odd if said), None):
        raise UnlikelyUnit(f"{what}, row {found[0]}: is the unit right? {found[1]}.", what)
    pairs = [_alike(runs[name]) for name in ("params", "tokens")]
    grouped = {pair: c for pair, c in runs.groupby(pairs) if np.isfinite(c["loss"]).any()}
    if not grouped:
        raise LogError(f"{what} must have at least 1 run that ended with a loss, got none.", what)
    rows = [c.index.to_numpy() for c in grouped.values()]
    mixed = mixtures(frame, named.values(), runs["lr"].to_numpy(), runs["batch"].to_numpy(), rows)
    cells = [
        SweepCell(n, d, c["lr"].to_numpy(), c["batch"].to_numpy(), c["loss"].to_numpy(), mixes)
        for ((n, d), c), mixes in zip(grouped.items(), mixed, strict=True)
    ]
    sweep = Sweep(sorted(cells, key=lambda cell: cell.compute))
    sweep.notes = (*_which_loss(named["loss"], frame.columns), *_mixed(sweep))
    return sweep


def _which_loss(taken: str, names: Iterable[str]) -> list[str]:
    """A sentence where a smoothed loss was taken and the table has the raw one, too."""
    raw = _unsmoothed(taken)
    other = next((str(name) for name in names if raw and _words(str(name)) in _same_loss(raw)), None)
    if other is None:
        return []
    return [
        f"The losses are those of the column {shortened(taken)}, which are smoothed; {shortened(other)} is left out."
    ]


def _mixed(cells: Sequence[SweepCell]) -> list[str]:
    """A sentence where cells mix structures."""
    some = [cell for cell in cells if cell.mixes]
    if not some:
        return []
    most = max(some, key=lambda cell: len(cell.mixes))
    where = f"{format_amount(most.params, 3)} parameters and {format_amount(most.tokens, 3)} tokens"
    return [
        f"{counted(len(some), 'pair')} of model size and length of {len(cells)} mix runs that differ in more than "
        f"learning rate and batch, as at {where}: {told(most.mixes)}. Such losses do not form one surface: "
        f"{remedy(most.mixes)}."
    ]


def _numbers(column: pd.Series, ours: str, what: str) -> NDArray:
    """The column's values; a loss may be NaN or infinite, or empty, which is NaN as well."""
    numbers = from_cells(column.tolist())
    values = numbers.values
    if ours == "loss":
        bad, rule = values <= 0, "a number above 0, or empty where the run diverged"
        bad[numbers.words] = True
    else:
        bad, rule = ~((values > 0) & (values < np.inf)), "a number above 0"
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LogError(
            f"{what}, row {row + 1}: {shortened(str(column.name))} must be {rule}, got {str(column.iloc[row])[:40]!r}.",
            what,
        )
    return values


def _alike(values: pd.Series) -> NDArray:
    """Each value, with those that hardly differ replaced by their median."""
    order = np.argsort(values.to_numpy(), kind="stable")
    ranked = values.to_numpy()[order]
    group = np.empty(len(values), int)
    group[order] = np.cumsum(np.r_[0, np.diff(np.log(ranked)) > ALIKE])
    return values.groupby(group).transform("median").to_numpy()


def excess(cell: SweepCell, lr: float, batch: float) -> float:
    """Relative loss above the cell's best measured run, between runs by triangles over (log lr, log batch).

    NaN outside what was measured, or beside a run that diverged. Raises `DesignError` where all runs lie on one line.
    """
    try:
        value = float(cell._surface(np.log(lr), np.log(batch)))
    except QhullError:
        raise DesignError("Losses between runs need runs at several learning rates and several batch sizes.") from None
    return value / float(cell.loss[cell.best]) - 1 if np.isfinite(value) else float("nan")

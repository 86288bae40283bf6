"""What else the runs of one cell of a sweep differ in, beside learning rate and batch: structures that it mixes.

Two models of one size may be wide or deep, dense or sparse. In one cell their losses are no single surface, and no
minimum of it can be told; a column of the table often says which run is which.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..text import counted, format_number, listed, shortened

Mixture = Mapping[str, tuple[str, ...]]  # values by column
SHOWN, SHOWN_VALUES = 3, 5  # columns and values in a sentence
# Words of columns that name a structure, or another setting that moves the optimum.
_STRUCTURE = re.compile(
    r"active|activated|width|hidden|depth|layers?|heads?|ffn\w*|mlp|experts?|topk|sparsity|arch\w*|structure|model|"
    r"optimi[sz]er|dataset|corpus|vocab|tokenizer|decay|schedule|num[hl]|h|d model|n layer|n head|n embd"
)
# Words of columns that differ between runs of any sweep: names, outcomes, measurements, places and times.
_BESIDE = re.compile(
    r"loss\w*|ppl|perplexity|acc\w*|bpb|score|metric|error|seed|gpus?|nodes?|host\w*|device|user|dates?|times?\w*|"
    r"runtime|seconds|hours|flops?|compute|created|states?|status|outcome|diverged|tags?|notes?|comment|files?|path|url|"
    r"group|ids?|names?|run|runs|index|row|unnamed"
)


def mixtures(
    table: pd.DataFrame, taken: Iterable[str], lr: NDArray, batch: NDArray, cells: Sequence[NDArray]
) -> list[Mixture]:
    """What each cell mixes; `lr` and `batch` (rows,), `cells` the rows of each.

    A column tells what a cell mixes where it has few values there and is no function of the learning rate alone or of
    the batch alone, as numbers of updates and final rates are; or where its name says that it is a structure.
    """
    names = set(table.columns) - set(taken)
    columns = [_Column(c, table[c]) for c in table.columns if c in names and not _has_word(_BESIDE, c)]
    rates, batches = (pd.factorize(values)[0] for values in (lr, batch))
    return [_mixed(columns, rows, rates[rows], batches[rows]) for rows in cells]


class _Column:
    """A column of a table, its cells as numbers of their values."""

    def __init__(self, name: object, cells: pd.Series) -> None:
        self.name, self.structure = str(name), _has_word(_STRUCTURE, name)
        self.codes, self.values = pd.factorize(cells.astype(str).str.strip())

    def written(self, codes: NDArray) -> tuple[str, ...]:
        """The values with these numbers, in order."""
        return tuple(_written(v) for v in sorted((self.values[i] for i in np.unique(codes)), key=_order))


def _mixed(columns: Sequence[_Column], rows: NDArray, lr: NDArray, batch: NDArray) -> Mixture:
    """What one cell mixes: structures first, then what has fewer values. `lr` and `batch` as numbers, (rows,)."""
    found = []
    for column in columns:
        codes = column.codes[rows]
        count = len(np.unique(codes))
        if not 2 <= count <= len(rows) / 2:
            continue
        if column.structure or not (_follows(codes, lr) or _follows(codes, batch)):
            found.append((not column.structure, count, column, codes))
    if not found:
        return {}
    found.sort(key=lambda one: one[:2])
    _, fewest, first, leading = found[0]
    by_batch = leading * (batch.max() + 1) + batch
    return {  # numbers of updates and the like follow from batch and structure
        column.name: column.written(codes)
        for _, count, column, codes in found
        if column is first or count < 2 * fewest or not _follows(codes, by_batch)
    }


def _follows(codes: NDArray, of: NDArray) -> bool:
    """Whether a column has one value for each value of another, both as numbers (rows,)."""
    return len(np.unique(codes * (of.max() + 1) + of)) == len(np.unique(of))


def _has_word(words: re.Pattern[str], name: object) -> bool:
    text = re.sub(r"[^a-z0-9]+", " ", str(name).lower()).strip()
    return bool(re.search(rf"(?<![a-z0-9])(?:{words.pattern})(?![a-z0-9])", text))


def _order(value: str) -> tuple[float, str]:
    """Numbers by size, then words."""
    try:
        number = float(value)
    except ValueError:
        number = np.inf
    return (number if np.isfinite(number) else np.inf), value


def _written(value: str) -> str:
    number = _order(value)[0]
    return format_number(number) if np.isfinite(number) else shortened(value) or "nothing"


def told(mixed: Mixture) -> str:
    """`h 960, 1280 and numl 7, 10`: columns with their values."""
    parts = [f"{shortened(name)} {listed(values, SHOWN_VALUES)}" for name, values in list(mixed.items())[:SHOWN]]
    more = [counted(len(mixed) - SHOWN, "more column")] if len(mixed) > SHOWN else []
    *before, last = (*parts, *more)
    return f"{'; '.join(before)} and {last}" if before else last


def remedy(mixed: Mixture) -> str:
    """How to keep the rows of one structure, in a few words."""
    name, values = next(iter(mixed.items()))
    return f"keep the rows of one structure at a time, such as those with {shortened(name)} = {values[0]}"

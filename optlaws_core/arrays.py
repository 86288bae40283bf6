"""The kinds of arrays that signatures name, with shapes in the docstrings as (n,) or (runs, 3); and what all need."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def different(values: FloatArray | IntArray) -> int:
    """How many different numbers (n,) holds, by their bits. `np.unique` takes 4 s for a million different integers."""
    ordered = np.sort(values.view(np.int64))
    return min(1, len(ordered)) + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def largest(values: FloatArray) -> float | None:
    """The largest of the numbers among `values`, of any shape; None where none is one."""
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else None

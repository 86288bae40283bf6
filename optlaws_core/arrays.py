"""The kinds of arrays that signatures name. Their shapes stand in the docstrings, as (n,) or (runs, 3)."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

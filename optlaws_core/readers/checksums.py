"""Checksums of the records of event files, CRC-32C with TensorFlow's mask: many records at once.

The standard library has no CRC-32C, and a loop over bytes in Python would take 0.1 µs a byte or more; so records of one
length are gone through byte by byte together.
"""

from collections.abc import Sequence

import numpy as np

from ..arrays import IntArray

_MASK = 0xA282EAD8
_TOGETHER = 2**16  # records: their bytes, a few megabytes, stay in the processor's cache


def _table() -> np.ndarray:
    """(256,) what a byte does to the remainder."""
    rest = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        rest = np.where(rest & 1, (rest >> 1) ^ np.uint32(0x82F63B78), rest >> 1)
    return rest.astype(np.uint32)


_TABLE = _table()


def masked(rows: np.ndarray) -> np.ndarray:
    """The masked checksum of each row of bytes, (n, length) to (n,)."""
    rest = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in np.ascontiguousarray(rows.T):
        rest = _TABLE[(rest ^ column) & 0xFF] ^ (rest >> np.uint32(8))
    rest = ~rest
    return ((rest >> np.uint32(15)) | (rest << np.uint32(17))) + np.uint32(_MASK)


def damaged(data: bytes, starts: Sequence[int], lengths: Sequence[int]) -> IntArray:
    """Which of the records, each followed by its checksum of four bytes, do not have the checksum that stands there."""
    buffer, at, sizes = np.frombuffer(data, np.uint8), np.array(starts, np.int64), np.array(lengths, np.int64)
    wrong = np.zeros(len(at), bool)
    order = np.argsort(sizes, kind="stable")
    bounds = [0, *(np.flatnonzero(np.diff(sizes[order])) + 1).tolist(), len(order)]
    for low, high in zip(bounds, bounds[1:], strict=False):
        for first in range(low, high, _TOGETHER):
            some = order[first : min(high, first + _TOGETHER)]
            size = int(sizes[some[0]]) if len(some) else 0
            rows = buffer[at[some][:, None] + np.arange(size + 4)]
            stands = np.ascontiguousarray(rows[:, size:]).view("<u4")[:, 0]
            wrong[some] = masked(rows[:, :size]) != stands
    return np.flatnonzero(wrong)

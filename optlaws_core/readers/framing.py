"""The log of LevelDB, in which W&B and SwanLab keep their records: blocks of 32 KiB, records in one or more chunks.

A chunk is `checksum (4 bytes), length (2), kind (1)` and its bytes; a file's first seven bytes say whose it is.
"""

import zlib
from collections.abc import Iterator

from .wire import Damaged

_BLOCK, _HEAD, _FILE_HEAD = 32_768, 7, 7
_WHOLE, _FIRST, _LAST = 1, 2, 4


def framed(data: bytes) -> Iterator[bytes]:
    """Whole records. Raises `Damaged` where the log is cut off or a checksum does not fit."""
    at, end, open_ = _FILE_HEAD, len(data), False
    parts: list[bytes] = []
    while at < end:
        left = _BLOCK - at % _BLOCK
        if left < _HEAD:
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6 : at + 7]
        body = data[at + _HEAD : at + _HEAD + size]
        checksum = int.from_bytes(data[at : at + 4], "little")
        if len(body) < size or not kind or zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise Damaged("a chunk")
        at += _HEAD + size
        parts = [body] if kind[0] in (_WHOLE, _FIRST) else [*parts, body]
        open_ = kind[0] not in (_WHOLE, _LAST)
        if not open_:
            yield b"".join(parts)
    if open_:
        raise Damaged("a record")

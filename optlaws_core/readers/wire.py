"""The wire format of protobuf: a message is a row of fields, each with a number, a kind and a value.

What the numbers mean stands in the definitions of a message, which the formats know as far as they need them; fields
that they do not ask for are passed over. https://protobuf.dev/programming-guides/encoding
"""

import struct
from collections.abc import Iterator

import numpy as np

from ..arrays import FloatArray

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds
_LONGEST = 10  # bytes of a varint of 64 bits


class Damaged(ValueError):
    """Bytes that are no message."""


def fields(message: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """(number, kind, value) of every field: an int for a varint, bytes for all else. Raises `Damaged`."""
    at, end = 0, len(message)
    while at < end:
        tag = message[at]
        at += 1
        if tag > 127:
            tag, at = varint(message, at - 1)
        kind, number = tag & 7, tag >> 3
        if kind == BYTES:
            size, at = varint(message, at)
        elif kind == VARINT:
            value, at = varint(message, at)
            yield number, kind, value
            continue
        elif kind == FIXED32:
            size = 4
        elif kind == FIXED64:
            size = 8
        else:
            raise Damaged(f"a field of kind {kind}")
        if size > end - at:
            raise Damaged("a field ends beyond its message")
        yield number, kind, message[at : at + size]
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next byte stands. Raises `Damaged`."""
    value = shift = 0
    for byte in data[at : at + _LONGEST]:
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise Damaged("a number does not end")


def signed(value: int) -> int:
    """The int64 that a varint stands for."""
    return value - 2**64 if value >= 2**63 else value


def as_text(value: int | bytes) -> str:
    """The text of a field; bytes that are no UTF-8 are replaced."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def numbers(value: int | bytes, kind: int, dtype: str) -> FloatArray:
    """The numbers of a field that may be packed (all of them behind one another), each of `dtype` where it is fixed."""
    if kind == VARINT:
        return np.array([signed(int(value))], float)
    assert isinstance(value, bytes)
    if np.dtype(dtype).kind == "f":
        usable = len(value) - len(value) % np.dtype(dtype).itemsize
        return np.frombuffer(value[:usable], dtype).astype(float)
    at, found = 0, []
    while at < len(value):
        number, at = varint(value, at)
        found.append(float(signed(number)))
    return np.array(found)


def float32(value: int | bytes) -> float:
    """The number in four bytes."""
    return float(struct.unpack("<f", value)[0]) if isinstance(value, bytes) else float(value)


def float64(value: int | bytes) -> float:
    """The number in eight bytes."""
    return float(struct.unpack("<d", value)[0]) if isinstance(value, bytes) else float(value)

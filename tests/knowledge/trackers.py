"""Small stores of trackers, written as their programs write them; and three runs of 400 steps for all of them."""

import json
import zlib
from dataclasses import dataclass

from optlaws_core import parse


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """A protobuf message of (number, value)."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def framed(records: list[bytes], head: bytes = b":W&B\xe1\xbe\x00") -> bytes:
    """Records in the blocks of a LevelDB log, behind the head of a file."""
    out = bytearray(head)
    for record in records:
        rest, first = record, True
        while first or rest:
            left = 32_768 - len(out) % 32_768
            if left < 7:
                out += bytes(left)
                continue
            body, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if first else 4) if not rest else (2 if first else 3)
            crc = zlib.crc32(body, zlib.crc32(bytes([kind])))
            out += crc.to_bytes(4, "little") + len(body).to_bytes(2, "little") + bytes([kind]) + body
            first = False
    return bytes(out)


def wandb_log(
    name: str, rows: list[dict], config: dict | None = None, id: str = "ab12cd34", step: bool = True
) -> bytes:
    """A transaction log of W&B."""

    def items(values: dict) -> bytes:
        return message(*((1, message((2, key), (16, json.dumps(value)))) for key, value in values.items()))

    run = message((17, message((1, id), (4, items(config or {})), (8, name))))
    calls = ({**row, "_step": i} if step else row for i, row in enumerate(rows))
    return framed([run, *(message((2, items(row))) for row in calls)])


@dataclass(frozen=True)
class Told:
    """A run whose every value is known: 400 points at steps 0 to 399, a schedule, a configuration."""

    name: str
    schedule: str
    loss: tuple[float, ...]
    config: dict

    @property
    def lr(self) -> list[float]:
        """The rate of every step."""
        return parse(self.schedule)(range(400)).tolist()


THREE = tuple(
    Told(name, schedule, tuple(high + 2 / (1 + t / 40) for t in range(400)), {"n_params": params, "batch_size": batch})
    for name, schedule, high, params, batch in (
        ("calm-heron", "cosine(peak=3e-4, warmup=50, total=400, final=3e-5)", 2.5, 1_500_000, 32),
        ("dusty-lynx", "wsd(peak=1e-3, warmup=20, total=400, decay=80)", 2.25, 2_500_000, 64),
        ("eager-moth", "linear(peak=6e-4, warmup=10, total=400)", 2.0, 3_500_000, 16),
    )
)

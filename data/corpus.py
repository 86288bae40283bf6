"""The text the runs learn: the source of this Python's standard library, as bytes.

The text is read where Python keeps it and never copied. Another Python version has other text, so every manifest row
carries the SHA-256 of what its run read.
"""

import hashlib
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .sweep import SweepError

Bytes = NDArray[np.uint8]

# Not part of the library proper (installed packages, tests, demos), or tables and generated text rather than code:
# `encodings` alone would be a sixth of the corpus, nearly all of it character maps.
SKIPPED_FOLDERS = frozenset(
    "__pycache__ dist-packages encodings ensurepip idle_test idlelib lib-dynload lib2to3 pydoc_data site-packages "
    "test tests turtledemo".split()
)
# Written when Python was built, so they differ from machine to machine.
SKIPPED_PREFIXES = ("_sysconfigdata", "config-")
HELDOUT_ONE_IN = 16  # about one file in 16 is held out


@dataclass(frozen=True)
class Corpus:
    """Training and held-out text, each the bytes of its files in the order of their paths."""

    train: Bytes = field(repr=False)  # (n_train,)
    heldout: Bytes = field(repr=False)  # (n_heldout,)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the training text followed by the held-out text."""
        digest = hashlib.sha256(self.train.tobytes())
        digest.update(self.heldout.tobytes())
        return digest.hexdigest()


def load_corpus(root: str | Path | None = None) -> Corpus:
    """Every `*.py` below `root` (default: the standard library) outside the skipped folders, split by file.

    The split hashes the path, so a file stays on its side whatever else is added. Raises `SweepError` when a side
    is empty.
    """
    root = Path(root or sysconfig.get_paths()["stdlib"])
    sides: dict[bool, list[bytes]] = {False: [], True: []}
    for path in sorted(p.relative_to(root).as_posix() for p in root.rglob("*.py")):
        if not _is_skipped(path):
            sides[_is_heldout(path)].append((root / path).read_bytes())
    train, heldout = (np.frombuffer(b"".join(sides[side]), dtype=np.uint8) for side in (False, True))
    if not len(train) or not len(heldout):
        raise SweepError(
            f"The corpus needs training and held-out text, got {len(train)} and {len(heldout)} bytes "
            "of Python source; is the standard library installed as .py files?"
        )
    return Corpus(train, heldout)


def batches(text: Bytes, seed: int, batch: int, context: int) -> Iterator[Bytes]:
    """Endless batches of windows at uniformly random places, each (batch, context + 1).

    The order depends on the seed and on nothing else: runs of one seed read the same windows in the same order,
    with whichever schedule, horizon or batch size.
    """
    rng = np.random.default_rng(seed)
    offsets = np.arange(context + 1)
    while True:
        starts = rng.integers(0, len(text) - context, size=batch)
        yield text[starts[:, None] + offsets]


def heldout_windows(text: Bytes, count: int, context: int) -> Bytes:
    """`count` windows spread evenly over the text, (count, context + 1): the same for every run and seed."""
    starts = np.linspace(0, len(text) - context - 1, count).astype(int)
    return text[starts[:, None] + np.arange(context + 1)]


def _is_skipped(path: str) -> bool:
    parts = path.split("/")
    return not SKIPPED_FOLDERS.isdisjoint(parts) or any(part.startswith(SKIPPED_PREFIXES) for part in parts)


def _is_heldout(path: str) -> bool:
    return hashlib.sha256(path.encode()).digest()[0] % HELDOUT_ONE_IN == 0

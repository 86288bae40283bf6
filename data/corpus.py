"""The texts the runs learn, as bytes, read where this Python keeps them and never copied.

library   source of the standard library: pre-training
tests     source of its tests: another kind of code, for continual training
topics    the reference manual's chapters that `help()` shows: English, small, for fine-tuning

Another Python version has other text, so every manifest row carries the SHA-256 of what its run read.
"""

import hashlib
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .checks import SweepError
from .sweep import TEXTS

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
TOPICS_BLOCK = 8192  # bytes; the manual is one file, split by blocks of this size


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

    @cached_property
    def byte_frequency_loss(self) -> float:
        """Held-out loss, nats per byte, of a model that knows the training text's byte frequencies and nothing else."""
        counts = np.bincount(self.train, minlength=256) + 1.0
        seen = np.bincount(self.heldout, minlength=256) / len(self.heldout)
        return float(-seen @ np.log(counts / counts.sum()))


def load_corpus(text: str = "library", root: str | Path | None = None) -> Corpus:
    """A text by its name, from the standard library below `root` (default: this Python's).

    Files are split by a hash of their path, so a file stays on its side whatever else is added. Raises `SweepError`
    when a side is empty.
    """
    root = Path(root or sysconfig.get_paths()["stdlib"])
    train, heldout = (
        np.frombuffer(b"".join(side), dtype=np.uint8)
        for side in {"library": _library, "tests": _tests, "topics": _topics}[text](root)
    )
    if not len(train) or not len(heldout):
        raise SweepError(
            f"The text {text!r} needs training and held-out parts, got {len(train)} and {len(heldout)} bytes of Python "
            "source; is the standard library installed as .py files, its tests included?"
        )
    return Corpus(train, heldout)


def load_texts(names: Iterable[str]) -> dict[str, Corpus]:
    """The texts of these names, each read once, in the order of `TEXTS`."""
    wanted = set(names)
    return {name: load_corpus(name) for name in TEXTS if name in wanted}


def batches(text: Bytes, seed: int, batch: int, context: int) -> Iterator[Bytes]:
    """Endless batches of windows at uniformly random places, each (batch, context + 1).

    The order depends on the seed and on nothing else: runs of one seed read the same windows in the same order,
    with whichever schedule, horizon or batch size.
    """
    return drawn(repeat((text, batch, context)), seed)


def drawn(draws: Iterable[tuple[Bytes, int, int]], seed: int) -> Iterator[Bytes]:
    """A batch for every (text, batch, context), from one stream of random places, each (batch, context + 1)."""
    rng = np.random.default_rng(seed)
    for text, batch, context in draws:
        starts = rng.integers(0, len(text) - context, size=batch)
        yield text[starts[:, None] + np.arange(context + 1)]


def heldout_windows(text: Bytes, count: int, context: int) -> Bytes:
    """`count` windows spread evenly over the text, (count, context + 1): the same for every run and seed."""
    starts = np.linspace(0, len(text) - context - 1, count).astype(int)
    return text[starts[:, None] + np.arange(context + 1)]


def _library(root: Path) -> tuple[list[bytes], list[bytes]]:
    return _by_file(root, (p for p in _sources(root) if not _is_skipped(p)))


def _tests(root: Path) -> tuple[list[bytes], list[bytes]]:
    return _by_file(root, (p for p in _sources(root) if p.startswith("test/") and "__pycache__" not in p))


def _topics(root: Path) -> tuple[list[bytes], list[bytes]]:
    manual = root / "pydoc_data" / "topics.py"
    whole = manual.read_bytes() if manual.exists() else b""
    blocks = [whole[i : i + TOPICS_BLOCK] for i in range(0, len(whole), TOPICS_BLOCK)]
    one_in = HELDOUT_ONE_IN // 2  # a small text: one block in eight is needed for 64 kB
    heldout = blocks[one_in - 1 :: one_in]
    return [b for i, b in enumerate(blocks) if i % one_in != one_in - 1], heldout


def _sources(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*.py"))


def _by_file(root: Path, paths: Iterable[str]) -> tuple[list[bytes], list[bytes]]:
    train, heldout = [], []
    for path in paths:
        (heldout if _is_heldout(path) else train).append((root / path).read_bytes())
    return train, heldout


def _is_skipped(path: str) -> bool:
    parts = path.split("/")
    return not SKIPPED_FOLDERS.isdisjoint(parts) or any(part.startswith(SKIPPED_PREFIXES) for part in parts)


def _is_heldout(path: str) -> bool:
    return hashlib.sha256(path.encode()).digest()[0] % HELDOUT_ONE_IN == 0

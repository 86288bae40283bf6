"""The project's own runs, which ship with it: those that a new visitor begins with, and the whole sweep."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from optlaws_core import Run
from optlaws_core.readers import Reading, read

ROOT = Path(__file__).resolve().parents[3]
BUNDLED = ROOT / "data" / "examples.csv"
SWEEP = ROOT / "data" / "manifest.csv"
HELD_OUT = "val"  # small batches make a noisy training loss; the held-out loss shows what a schedule does


def bundled() -> Reading:
    """What was read of the runs that a new visitor begins with."""
    return reading_of(BUNDLED)


def example_runs() -> tuple[Run, ...]:
    """The runs that a new visitor begins with, on held-out losses."""
    return on_held_out_losses(BUNDLED)


def sweep_runs() -> tuple[Run, ...]:
    """All runs of the project's sweep, on held-out losses. The first call reads hundreds of files."""
    return on_held_out_losses(SWEEP)


def on_held_out_losses(manifest: Path) -> tuple[Run, ...]:
    """The runs of a manifest that ships with the project, on held-out losses where they have them."""
    return _on_held_out_losses(manifest, digest(manifest))


def reading_of(manifest: Path) -> Reading:
    """The runs of a manifest that ships with the project, read once for as long as it stays the same."""
    return _reading(manifest, digest(manifest))


@lru_cache(maxsize=3)  # not Streamlit's cache: the server's warm-up calls this outside any session
def _reading(manifest: Path, digest: str) -> Reading:
    return read(manifest)


@lru_cache(maxsize=3)
def _on_held_out_losses(manifest: Path, digest: str) -> tuple[Run, ...]:
    return tuple(run.on(HELD_OUT) if HELD_OUT in run.series else run for run in _reading(manifest, digest).runs)


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

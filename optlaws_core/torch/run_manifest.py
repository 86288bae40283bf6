"""What is declared of a run, in a file beside its log."""

import csv
import io
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PLAN = ("schedule", "batch_schedule", "total_steps")  # columns that belong together: one alone may contradict others

logger = logging.getLogger(__name__)


def as_table(row: Mapping[str, str]) -> str:
    """One row beneath its names, as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([row.keys(), row.values()])
    return text.getvalue()


def continued(manifest: Path, log: str, declared: Mapping[str, str]) -> dict[str, str]:
    """What is declared of a run that goes on: as before, but for what is declared anew. A warning names what differs.

    log: the name of the run's log. With another schedule or length nothing is left of the plan that was declared.
    """
    before = _declared(manifest, log)
    differing = {name: value for name, value in before.items() if not _same(value, declared.get(name, value))}
    if "schedule" in declared or differing.keys() & set(PLAN):
        differing |= {name: before[name] for name in PLAN if name in before and name not in declared}
    if differing:
        logger.warning(
            "%s declared before: %s. It now declares: %s.",
            manifest,
            _listed(differing),
            _listed({name: declared.get(name, "none") for name in differing}),
        )
    return {name: value for name, value in before.items() if name not in differing} | dict(declared)


def _declared(manifest: Path, log: str) -> dict[str, str]:
    """What a manifest says of a log so far; nothing where it cannot be read."""
    with suppress(OSError, UnicodeDecodeError, csv.Error):
        with manifest.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("file") == log:
                    known = {name: value for name, value in row.items() if isinstance(value, str) and value}
                    return {name: value for name, value in known.items() if name not in {"run", "file"}}
    return {}


def _same(one: str, other: str) -> bool:
    with suppress(ValueError):
        return float(one) == float(other)
    return one == other


def _listed(cells: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in cells.items())


__all__ = ["as_table", "continued"]

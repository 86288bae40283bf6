"""A log of JSON lines in which each step stands once, however often its run is interrupted and resumed."""

import atexit
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from torch import Tensor

from ..errors import LogError, OptLawsError, unread
from ..text import shortened

PATIENCE = 5.0  # s that a row waits at most for those behind it, before all are written
MOST_WAITING = 200  # rows

NO_LOSS = {"step", "lr", "tokens", "batch_tokens"}  # columns that several rows of a step may have

logger = logging.getLogger(__name__)
Number: TypeAlias = float | Tensor
Cells = Mapping[str, Any]  # numbers, or tensors of one that are looked at when the row is written


class LogFile:
    """Rows of one file, each an object with a `step`. An existing file is continued.

    A row takes the place of all rows of later steps, and of one of its own step with a loss in common, since a run that
    is resumed from a checkpoint does these updates again. What is replaced, and a last line that was never finished, is
    appended to `PATH.replaced`, and a warning says so. Rows are written every few seconds, together. A disk that does
    not take them stops nothing: they are kept and tried again every few seconds, after one warning.

    Raises `LogError` for an existing file without such rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[dict[str, Any]] = []  # rows whose tensors nobody looked at yet
        self._lines: list[bytes] = []  # what is to be written of rows before those
        self._tried = time.monotonic()
        self._failed = self._at_exit = False
        self._step, self._losses = -1, set[str]()  # of the last row, and columns of losses in all rows of its step
        self._end = self._read() if path.exists() else 0  # bytes of whole lines

    def add(self, step: int, cells: Cells) -> None:
        """A row. Tensors in it may change afterwards. What is no number raises `OptLawsError` and changes nothing."""
        row = {"step": step, **{name: held(cell) for name, cell in cells.items()}}
        if step < self._step or step == self._step and self._losses & cells.keys():
            self._go_back(step, cells)
        self._note(step, cells)
        self._waiting.append(row)
        if not self._at_exit:
            atexit.register(self.flush)
            self._at_exit = True
        if len(self._waiting) >= MOST_WAITING or self._patience_is_over:
            self.flush(patient=True)

    def flush(self, *, patient: bool = False) -> bool:
        """Write what waits; whether that is done.

        patient: leave a disk alone that refused a moment ago. Each try takes as long as there are rows, all of which
        wait for it: tried with every update, they would make training slower and slower.
        """
        self._lines += [_line(row) for row in self._waiting]
        self._waiting.clear()
        if patient and self._failed and not self._patience_is_over:
            return False
        self._tried = time.monotonic()
        lines = b"".join(self._lines)
        try:
            if lines:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self._opened() as file:
                    self._cut(file, self._end)
                    file.write(lines)
        except OSError as fault:
            if not self._failed:
                logger.warning("%s cannot be written: %s. Its rows are kept and tried again.", self.path, unread(fault))
            self._failed = True
            return False
        self._failed = False
        self._end += len(lines)
        self._lines.clear()
        return True

    def close(self) -> None:
        """Write what waits. A row that comes later is taken as before."""
        self.flush()
        atexit.unregister(self.flush)
        self._at_exit = False

    @property
    def _patience_is_over(self) -> bool:
        return time.monotonic() - self._tried > PATIENCE

    def _note(self, step: int, cells: Cells) -> None:
        """Take the step and the losses of a row as those of the last one."""
        self._losses = {*(cells.keys() - NO_LOSS), *(self._losses if step == self._step else ())}
        self._step = step

    @property
    def _aside(self) -> Path:
        """The file of what was replaced, whose name no reader takes for a log's."""
        return self.path.with_name(self.path.name + ".replaced")

    def _opened(self) -> BinaryIO:
        """The file, to be read and written at any place; made where there is none."""
        return self.path.open("r+b" if self.path.exists() else "w+b")

    def _read(self) -> int:
        """Where the last whole line ends; what its row was is noted. Raises `LogError` without any row."""
        end = size = 0
        try:
            with self.path.open("rb") as file:
                for line in file:
                    size += len(line)
                    end = size if line.endswith(b"\n") else end
                    if line.endswith(b"\n") and (row := _row(line)):
                        self._note(row["step"], row)
        except OSError as fault:
            raise LogError(f"{self.path} cannot be continued: {unread(fault)}.", str(self.path)) from None
        if end and self._step < 0:
            raise LogError(
                f"{self.path} is not a recorder's log, whose lines are JSON objects with a step; give another path.",
                str(self.path),
            )
        return end

    def _go_back(self, step: int, cells: Cells) -> None:
        """Take out what a row of `step` with these cells replaces."""
        self.flush()
        logger.warning(
            "%s goes back from update %d to %d: what is recorded anew replaces earlier rows, which are kept in %s.",
            self.path,
            self._step,
            step,
            self._aside,
        )
        self._lines = [line for line in self._lines if not _replaced(json.loads(line), step, cells)]
        try:
            with self._opened() as file:
                self._cut(file, _whole_before(file, self._end, step, cells))
        except OSError as fault:
            logger.warning(
                "%s cannot be written: %s. Rows from step %d on may occur twice.", self.path, unread(fault), step
            )

    def _cut(self, file: BinaryIO, end: int) -> None:
        """Leave the first `end` bytes, as far as they are still there; the rest goes to the file of what was replaced.

        The file is then at its end.
        """
        size = file.seek(0, os.SEEK_END)
        self._end = file.seek(min(end, size))
        if size <= end:
            return
        with self._aside.open("ab") as aside:
            shutil.copyfileobj(file, aside)
            aside.write(b"\n")  # the last line may have none
        file.truncate(end)
        file.seek(end)


def _whole_before(file: BinaryIO, end: int, step: int, cells: Cells) -> int:
    """How many bytes, `end` at most, stand before the first line that a row of `step` with these cells replaces."""
    at = 0
    for line in file:
        row = _row(line)
        if at + len(line) > end or row and _replaced(row, step, cells):
            return at
        at += len(line)
    return at


def _replaced(row: Cells, step: int, cells: Cells) -> bool:
    return row["step"] > step or row["step"] == step and bool((row.keys() & cells.keys()) - NO_LOSS)


def _row(line: bytes) -> dict[str, Any] | None:
    """The row that a line holds; None for any other line."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and type(found.get("step")) is int else None


def held(cell: Any) -> Any:
    """A number as it is now. A tensor is copied where it is: to look at it here would wait for the accelerator.

    Raises `OptLawsError` for a tensor or an array of several numbers, or of none, and for what is no number.
    """
    if isinstance(cell, Tensor):
        if cell.numel() == 1:
            return cell.detach().clone()
    else:
        with suppress(TypeError, ValueError):
            return cell if isinstance(cell, int) else float(cell)
    raise OptLawsError(f"A recorder takes one number for each column, got {_named(cell)}.")


def _named(cell: Any) -> str:
    """What is no number, in a few words."""
    if (shape := getattr(cell, "shape", None)) is not None:
        return f"{'a tensor' if isinstance(cell, Tensor) else 'an array'} of shape {tuple(shape)}"
    return shortened(repr(cell), 60)


def _line(row: Cells) -> bytes:
    """A row as it is written."""
    numbers = {name: cell.item() if isinstance(cell, Tensor) else cell for name, cell in row.items()}
    return (json.dumps(numbers) + "\n").encode()


__all__ = ["LogFile", "Number", "held"]

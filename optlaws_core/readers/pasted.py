"""A pasted or uploaded learning-rate curve as a `knots` schedule. Plain functions; no Streamlit."""

import re
from dataclasses import dataclass

import numpy as np

from ..errors import ScheduleError
from ..schedules import Knots, Schedule
from .thinning import thin

MOST_BYTES = 20 * 2**20
MOST_ROWS = 1_000_000
MOST_KNOTS = 120  # so that the text form stays short enough for a link
WITHIN = 1e-3  # of the peak: straight lines between knots stay this close to the curve, where MOST_KNOTS suffice
STEP_NAMES = {"step", "steps", "iteration", "iter", "update", "t"}
RATE_NAMES = {"lr", "learning_rate", "learning rate", "learningrate", "rate", "eta"}


@dataclass(frozen=True)
class Curve:
    """What was understood of a pasted curve."""

    schedule: Knots
    rows: int
    off: float  # largest distance of the knots' straight lines from the curve, as a share of the peak

    @property
    def sentence(self) -> str:
        """What was read, for the user."""
        s = self.schedule
        exact = "exactly" if self.off < 1e-9 else f"within {100 * self.off:.2g} % of the peak"
        ramp = f", warm-up {s.warmup:,}" if s.warmup else ""
        return f"{self.rows:,} rows became {len(s.steps)} knots that follow them {exact}: {s.total:,} updates{ramp}."


def read_curve(data: str | bytes) -> Curve:
    """Two columns, step and rate, separated by commas, semicolons, tabs or spaces, with or without a header.

    A step that occurs twice is a jump. When the rows list every step, the last one is the last update; otherwise the
    last row is the end of the schedule, one past the last update. Raises `ScheduleError` with the line at fault.
    """
    if len(data) > MOST_BYTES:
        raise ScheduleError(f"A curve may have {MOST_BYTES // 2**20} MB, this one has {len(data) / 2**20:,.0f} MB.")
    text = data.decode("utf-8-sig", "replace") if isinstance(data, bytes) else data
    steps, rates = _columns(text)
    if rates.max() <= 0:
        raise ScheduleError(f"A learning rate must be above 0 somewhere, but all {len(rates):,} rates are 0.")
    return _knots(*_whole(steps, rates), rows=len(steps))


def as_knots(schedule: Schedule) -> Knots:
    """Any schedule as knots, within `WITHIN` of its peak where `MOST_KNOTS` suffice."""
    turns = np.array(schedule.breaks, np.int64)
    steps = np.concatenate((turns, turns[1:-1] - 1, np.rint(np.linspace(0, schedule.total, 2000)).astype(np.int64)))
    steps = np.unique(steps)
    return _knots(steps, schedule(steps), rows=len(steps)).schedule


def _columns(text: str) -> tuple[np.ndarray, np.ndarray]:
    rows: list[tuple[int, float]] = []
    columns = (0, 1)
    for line, words in _lines(text):
        if not rows and not _is_number(words[0]):
            columns = _header(line, words)
            continue
        rows.append(_row(line, words, columns))
        _check_order(line, rows)
        if len(rows) > MOST_ROWS:
            raise ScheduleError(f"A curve may have {MOST_ROWS:,} rows, this one has more.")
    if len(rows) < 2:
        raise ScheduleError(f"A curve needs at least 2 rows of step and learning rate, got {len(rows)}.")
    steps, rates = zip(*rows, strict=True)
    return np.array(steps, np.int64), np.array(rates, float)


def _lines(text: str):
    for line, raw in enumerate(text.splitlines(), 1):
        raw = raw.strip()
        if raw and not raw.startswith("#"):
            between = r"[,;\t]" if re.search(r"[,;\t]", raw) else r"\s+"
            yield line, [word.strip().strip('"') for word in re.split(between, raw)]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _one_column(line: int, words: list[str]) -> ScheduleError:
    return ScheduleError(
        f"Line {line}: a curve has two columns, step and learning rate, got {_cut(' '.join(words))!r}."
    )


def _header(line: int, words: list[str]) -> tuple[int, int]:
    if len(words) < 2:
        raise _one_column(line, words)
    low = [w.lower() for w in words]
    step = next((i for i, w in enumerate(low) if w in STEP_NAMES), 0)
    rate = next((i for i, w in enumerate(low) if w in RATE_NAMES), 1 if step == 0 else 0)
    return step, rate


def _row(line: int, words: list[str], columns: tuple[int, int]) -> tuple[int, float]:
    if len(words) <= max(columns):
        raise _one_column(line, words)
    step, rate = (words[i] for i in columns)
    for name, word in (("step", step), ("learning rate", rate)):
        if not _is_number(word) or not np.isfinite(float(word)):
            raise ScheduleError(f"Line {line}: the {name} must be a number, got {_cut(word)!r}.")
        if float(word) < 0:
            raise ScheduleError(f"Line {line}: the {name} must not be negative, got {_cut(word)}.")
    if float(step) != int(float(step)) or float(step) > 1e15:
        raise ScheduleError(f"Line {line}: steps count updates and must be whole numbers, got {_cut(step)}.")
    return int(float(step)), float(rate)


def _check_order(line: int, rows: list[tuple[int, float]]) -> None:
    if len(rows) > 1 and rows[-1][0] < rows[-2][0]:
        raise ScheduleError(f"Line {line}: steps must not go backwards, got {rows[-1][0]:,} after {rows[-2][0]:,}.")
    if len(rows) > 2 and rows[-1][0] == rows[-3][0]:
        raise ScheduleError(f"Line {line}: a step may occur twice (a jump), step {rows[-1][0]:,} occurs three times.")


def _whole(steps: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve from step 0 to its end, where its ends are missing: the first and the last rate are held."""
    if steps[0] > 0:
        steps, rates = np.insert(steps, 0, 0), np.insert(rates, 0, rates[0])
    if len(steps) > 2 and steps[-1] - steps[-2] == 1 and steps[-2] - steps[-3] == 1:
        steps, rates = np.append(steps, steps[-1] + 1), np.append(rates, rates[-1])
    return steps, rates


def _knots(steps: np.ndarray, rates: np.ndarray, rows: int) -> Curve:
    apart = steps.astype(float)
    apart[1:][np.diff(steps) == 0] += 1e-6  # a jump as a very steep line, for thinning needs rising steps
    peak = float(rates.max())
    kept, off = thin(apart, rates, WITHIN * peak, MOST_KNOTS)
    k, v = steps[kept].tolist(), [float(f"{r:.6g}") for r in rates[kept]]
    # A straight line from 0 is a warm-up, and keeps its length when the schedule is stretched.
    ramp = k[1] if len(k) > 2 and v[0] == 0 and v[1] > 0 and 0 < k[1] < k[-1] else 0
    return Curve(Knots(tuple(k), tuple(v), warmup=ramp), rows, off / peak)


def _cut(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

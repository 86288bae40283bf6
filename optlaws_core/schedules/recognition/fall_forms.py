"""Falls from the peak to a final rate as systems of equations, linear in both rates once start and end are given.

Of an exponential fall they are linear in the logarithms. Steps are the log's own; the schedule's are shifted from them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...arrays import FloatArray
from ..base import Schedule
from ..cooldowns import COOLDOWNS
from ..families import Cosine, Exponential, Linear, Polynomial, Rex
from ..multi_stage import WSD
from .curves import SHIFTS, Logged, built

LINE = 3.0  # tolerances by which a line found by least squares may miss a point
ROUNDED = 1 / np.sqrt(3)  # standard deviation of a rounding error, in units of the largest one


@dataclass(frozen=True)
class Form:
    """A fall y -> height, from 1 at y = 0 to 0 at y = 1, and the families that have it."""

    height: Callable[[FloatArray], FloatArray]
    whole: Callable[..., Schedule | None] | None = None  # from the warm-up to the end
    shape: str = ""  # of a cooldown
    logarithmic: bool = False
    tells_end: bool = False  # whether the curve tells its own end, whatever the final rate
    tells_start: bool = True  # whether the curve tells where it began, whatever the peak
    start_alone: bool = False  # whether it tells that whatever the end
    steep: bool = False  # whether it begins with a slope without bound, which no guess from afar finds
    bend: int | None = None  # 1 where it lies above its chords, −1 below, 0 on them

    @property
    def numbers(self) -> int:
        """Of rows below the peak: as many as the curve has numbers of its own."""
        return 2 + (not self.start_alone) + self.tells_end


def _whole(family: type[Schedule], **more) -> Callable[..., Schedule | None]:
    return lambda **fields: built(family, **fields, **more)


def _cooldown(name: str, **traits) -> Form:
    def whole(**fields) -> Schedule | None:
        return built(WSD, **fields, decay=fields["total"] - fields["warmup"], shape=name)

    return Form(lambda y: COOLDOWNS[name](1.0, 0.0, y), whole, name, **traits)


def _power(exponent: float) -> Form:
    whole, bend = _whole(Polynomial, exponent=exponent), -1 if exponent > 1 else 1
    return Form(lambda y: (1 - y) ** exponent, whole, tells_end=True, tells_start=False, bend=bend)


LINEAR = replace(_cooldown("linear", tells_start=False, start_alone=True, bend=0), whole=_whole(Linear))
COSINE = replace(_cooldown("cosine", tells_end=True), whole=_whole(Cosine))
EXPONENTIAL = Form(
    lambda y: 1 - y, _whole(Exponential), "exponential", logarithmic=True, tells_start=False, start_alone=True, bend=-1
)
SIMPLE = (LINEAR, COSINE)
OTHERS = (
    EXPONENTIAL,
    _cooldown("1-sqrt", start_alone=True, steep=True, bend=-1),
    _cooldown("square", start_alone=True, bend=1),
    _cooldown("mirror-cosine", tells_end=True),
    Form(lambda y: 2 * (1 - y) / (2 - y), _whole(Rex), bend=1),
    *(_power(a) for a in (2.0, 0.5, 3.0, 1.5, 0.9)),
)


@dataclass(frozen=True, eq=False)
class Search:
    """One form against a log: from the end of the warm-up on, or after a plateau.

    With `early`, the steps that the log is ahead in a straight warm-up, the rows of the warm-up count, and the fall
    begins `gap` steps after the warm-up's end. Without it, they are left to `warmups`.
    """

    form: Form
    log: Logged  # few rows
    early: int | None = None
    gap: int = 0
    plateau: bool = False

    @cached_property
    def rows(self) -> Logged:
        """The rows that count."""
        return self.log if self.early is not None else self.log.part(np.arange(self.log.top, len(self.log.rates)))

    @property
    def shifts(self) -> tuple[int, ...]:
        """Steps that the log may be ahead from the fall on."""
        return SHIFTS if self.early is None else (self.early - self.gap,)

    def columns(self, start: float, end: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What peak and final rate (or their logarithms) are multiplied with, and what is added; (n,) each."""
        x = self.rows.steps
        y = np.minimum(np.maximum((x - start) / max(end - start, 1e-9), 0.0), 1.0)
        high = self.form.height(y)
        low, added = 1 - high, np.zeros_like(high)
        if self.early is not None:
            head = slice(0, int(np.searchsorted(x, start - self.gap)))
            share = np.maximum((x[head] + self.early) / max(start - self.gap + self.early, 1e-9), 1e-300)
            low[head] = 0.0
            high[head], added[head] = (1.0, np.log(share)) if self.form.logarithmic else (share, 0.0)
        return high, low, added

    @cached_property
    def target(self) -> tuple[FloatArray, FloatArray]:
        """The rates, or their logarithms, and one over the tolerance of each; 0 for rows that do not count."""
        rates, within = self.rows.rates, self.rows.within
        if not self.form.logarithmic:
            return rates, 1 / within
        fine = rates > 10 * within
        some = np.where(fine, rates, 1.0)
        return np.log(some), np.where(fine, some / within, 0.0)

    def equations(self, start: float, end: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Equations for peak and final rate: two columns and the right-hand side, (n,), in units of the tolerances."""
        high, low, added = self.columns(start, end)
        values, weight = self.target
        return high * weight, low * weight, (values - added) * weight

    def misses(self, start: float, end: float) -> FloatArray:
        """What the best peak and final rate leave, (n,), in units of the tolerances."""
        high, low, left = self.equations(start, end)
        norm = max(float(high @ high), 1e-300)
        left = left - high * ((high @ left) / norm)
        low = low - high * ((high @ low) / norm)
        norm = float(low @ low)
        return left - low * ((low @ left) / norm) if norm > 1e-12 else left

    def best(self, start: float, end: float) -> tuple[float, float, float, float] | None:
        """The best peak and final rate (or their logarithms) and their standard deviations; None where one is open."""
        high, low, values = self.equations(start, end)
        a, b, c = max(float(high @ high), 1e-300), float(high @ low), float(low @ low)
        inner = c - b * b / a
        if inner <= 1e-12:
            return None
        rest = values - high * (high @ values / a)
        final = float(low @ rest / inner)
        peak = float(high @ (values - low * final) / a)
        return peak, final, ROUNDED * float(np.sqrt(1 / a + (b / a) ** 2 / inner)), ROUNDED / float(np.sqrt(inner))


def least(
    misses: Callable[[FloatArray], FloatArray], x: FloatArray, rounds: int = 15
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Levenberg's and Marquardt's least squares: where, what is left, (n,), and the covariance for a noise of 1."""
    left, damping = misses(x), 1e-3
    jacobian = _jacobian(misses, x, left)
    normal = jacobian.T @ jacobian
    for _ in range(rounds):
        move = -_solved(normal, damping, jacobian.T @ left)
        tried = misses(x + move)
        if tried @ tried <= left @ left:
            small = np.abs(move).max() < 1e-3 or 1 - (tried @ tried) / (left @ left + 1e-300) < 1e-4
            x, left, damping = x + move, tried, damping / 10
            if small:
                break
            jacobian = _jacobian(misses, x, left)
            normal = jacobian.T @ jacobian
        else:
            damping *= 30
            if damping > 1e6 or np.abs(move).max() < 1e-4:
                break
    fine = np.isfinite(normal).all()
    return x, left, np.linalg.pinv(normal).astype(float) if fine else np.full_like(normal, np.inf)


def _solved(normal: FloatArray, damping: float, right: FloatArray) -> FloatArray:
    """The solution of one or two equations, with the diagonal raised by a share of itself."""
    a = (1 + damping) * normal[0, 0] + 1e-30
    if len(right) == 1:
        return right / a
    b, c = normal[0, 1], (1 + damping) * normal[1, 1] + 1e-30
    return np.array((c * right[0] - b * right[1], a * right[1] - b * right[0])) / (a * c - b * b + 1e-300)


def _jacobian(misses: Callable[[FloatArray], FloatArray], x: FloatArray, left: FloatArray) -> FloatArray:
    columns = np.empty((len(left), len(x)))
    for i in range(len(x)):
        moved = x.copy()
        moved[i] += 1e-3
        columns[:, i] = (misses(moved) - left) * 1e3
    return columns


@dataclass(frozen=True)
class Crossing:
    """Where a straight line comes to 0, with its standard deviation, and the line's slope, with its own."""

    at: float
    deviation: float
    slope: float
    slope_deviation: float


def crossing(x: FloatArray, y: FloatArray, weight: FloatArray) -> Crossing | None:
    """Of the line through points (n,) that are off by at most 1/weight; None for one that misses or never crosses."""
    square = weight**2
    total = float(square.sum())
    if not 0 < total < np.inf:
        return None
    middle, level = float(square @ x) / total, float(square @ y) / total
    spread = float(square @ (x - middle) ** 2)
    slope = float(square @ ((x - middle) * (y - level))) / spread if spread > 0 else 0.0
    if not (slope and np.abs((level + slope * (x - middle) - y) * weight).max() <= LINE):
        return None
    away = level / slope
    deviation = ROUNDED * float(np.sqrt(1 / total + away**2 / spread)) / abs(slope)
    return Crossing(middle - away, deviation, slope, ROUNDED / float(np.sqrt(spread)))

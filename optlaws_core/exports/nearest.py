"""The nearest among the forms that a trainer's own options can take."""

from collections.abc import Callable, Iterable
from itertools import product

import numpy as np

from ..arrays import FloatArray
from ..schedules.base import Schedule
from .base import EXACT, compared, deviation

ROUGH = 400  # updates in which forms are compared first
Options = dict[str, float | int | str]
Form = Callable[[Options, FloatArray], FloatArray]  # options and updates, (n,), to rates, (n,)
Moves = dict[str, tuple[float, float]]  # options that may take any value between two ends


def nearest(schedule: Schedule, form: Form, candidates: Iterable[Options], moves: Moves) -> tuple[Options, float]:
    """Options with the smallest largest deviation that was found, and that deviation over all compared updates.

    The first exact candidate is taken. Else the best three are improved; a search like this may
    miss a somewhat better form.
    """
    steps = compared(schedule)
    rough = _thinned(schedule, steps)
    wanted = schedule(rough)

    def score(options: Options) -> float:
        return float(np.max(np.abs(form(options, rough) - wanted))) / schedule.peak

    scored = []
    for options in candidates:
        found = score(options)
        if found <= EXACT and (far := deviation(schedule, lambda t, o=options: form(o, t), steps)) <= EXACT:
            return options, far
        scored.append((found, len(scored), options))
    improved = [_improved(options, found, score, moves) for found, _, options in sorted(scored)[:3]]
    _, best = min(improved, key=lambda pair: pair[0])
    return best, deviation(schedule, lambda t: form(best, t), steps)


def _thinned(schedule: Schedule, steps: FloatArray) -> FloatArray:
    """Some of the updates, those around the first breaks among them."""
    near = [b + d for b in schedule.breaks[:100] for d in (-1, 0, 1)]
    some = steps[np.unique(np.linspace(0, len(steps) - 1, ROUGH).round().astype(int))]
    return np.unique(np.clip(np.concatenate([some, near]), 0, schedule.total - 1))


def _improved(options: Options, found: float, score: Callable[[Options], float], moves: Moves) -> tuple[float, Options]:
    """`options` after steps of ever smaller size along the options that can move, one or several at once."""
    names = [name for name in moves if name in options]
    for size in 0.1 * 0.5 ** np.arange(10):
        for signs in product((-1, 0, 1), repeat=len(names)):
            other = dict(options)
            for name, sign in zip(names, signs, strict=True):
                low, high = moves[name]
                value = options[name] + sign * size * (high - low)
                value = round(value) if isinstance(options[name], int) else float(value)
                other[name] = min(max(value, low), high)
            if (closer := score(other)) < found:
                found, options = closer, other
    return found, options


def levels(schedule: Schedule) -> list[float]:
    """Rates that a form may fall to: the schedule's last, the lowest and highest of it, and a grid up to the peak."""
    ends = [float(schedule(schedule.total)), float(schedule(schedule.total - 1))]
    return list(dict.fromkeys([min(y, schedule.peak) for y in ends] + [schedule.peak * i / 8 for i in range(8)]))


def lengths(schedule: Schedule, warmup: int) -> list[int]:
    """Updates that a form's last stretch may have: from each break on, and a grid."""
    room = schedule.total - warmup
    breaks = [schedule.total - b for b in schedule.breaks[-17:-1]]
    return [d for d in dict.fromkeys([*breaks, *(round(room * i / 16) for i in range(16, 0, -1))]) if 1 <= d <= room]


def warmups(schedule: Schedule) -> list[int]:
    """Declared end of the warm-up, and the one that is seen."""
    return [w for w in dict.fromkeys((schedule.warmup, schedule.warmup_end)) if w < schedule.total]

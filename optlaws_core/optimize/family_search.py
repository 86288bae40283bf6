"""The best schedule of a family: its peak, final rate, decay and exponents, and every form of its cooldown."""

from collections.abc import Callable
from dataclasses import fields
from functools import cache

import numpy as np
from scipy.optimize import minimize

from ..arrays import FloatArray
from ..errors import DesignError, ScheduleError
from ..schedules import SCHEDULES, Schedule
from .limits import Limits
from .objective import Objective
from .progress import ProgressMeter
from .ranges import FAMILIES, read

SAMPLES = 4  # places a field to begin with, and as many at the largest peak
EVALUATIONS = 80  # a field at most, of one simplex
SIDE = 0.2  # of a simplex at first
ROUGH, FINE = (3e-2, 1e-4), (1e-3, 1e-7)  # where a simplex stops: distance of its corners, and difference of losses
FORMS = 2  # of the cooldown, the best ones, that are searched finely
ROUNDS = 8  # of fine simplices at most
EQUAL = 1e-7  # relative difference of losses that counts for nothing

Loss = Callable[[FloatArray], float]  # its logarithm, at a place (fields,) of the cube; infinite without a schedule


def search(objective: Objective, family: str, told: ProgressMeter) -> tuple[Schedule, bool]:
    """The best schedule of a family in `FAMILIES`, and whether the search for it converged.

    Raises `DesignError` for another family, and where none keeps to the limits.
    """
    check_family(family)
    try:
        place = best_place(lambda shape: _loss(objective, family, shape, told), family, 1 + len(FAMILIES[family]))
    finally:
        told.part()
    if place is None:
        raise DesignError(
            f"No schedule of the family {family} was found within these limits: {kept(objective.limits)}."
        )
    x, shape, finished = place
    return read(family, shape, objective.limits, x), finished


def check_family(family: str) -> None:
    """Raises `DesignError` for a family that is not searched."""
    if family not in FAMILIES:
        raise DesignError(f"A family to search in is one of {', '.join(FAMILIES)}, got {family!r}.")


def kept(limits: Limits) -> str:
    """The limits of the rate that a search in a family may fail at, in words."""
    return f"a floor of {limits.floor:g}" + (
        "" if limits.slope is None else f" and a slope of at most {limits.slope:g}"
    )


def best_place(
    loss_of: Callable[[str | None], Loss], family: str, count: int
) -> tuple[FloatArray, str | None, bool] | None:
    """The place (count,) of the lowest loss, the form of the cooldown there, and whether the search converged.

    `loss_of`: the loss of each form of the family's cooldown. None where no place has a schedule.
    """
    shapes = next((f.metadata["choices"] for f in fields(SCHEDULES[family]) if f.name == "shape"), (None,))
    rough = []
    for shape in shapes:
        loss = loss_of(shape)
        ends = [_descended(loss, start, ROUGH, stopped=True) for start in _starts(loss, count)]
        rough += [(min(ends, key=lambda end: end.fun), loss, shape)] if ends else []
    if not rough:
        return None
    rough.sort(key=lambda row: row[0].fun)
    found = [(*_settled(loss, end.x, end.fun), shape) for end, loss, shape in rough[:FORMS]]
    _, x, finished, shape = min(found, key=lambda row: row[0])
    return x, shape, finished


def _loss(objective: Objective, family: str, shape: str | None, told: ProgressMeter) -> Loss:
    """That of the schedules with one form of the cooldown."""

    of = cache(objective.of_schedule)  # decays are whole updates and rates have six digits, so schedules come back

    @cache
    def at(*x: float) -> float:
        try:
            return of(read(family, shape, objective.limits, np.array(x)))
        except ScheduleError:
            return np.inf

    def loss(x: FloatArray) -> float:
        value = at(*x.tolist())
        if value < np.inf:
            told(value)
        return value

    return loss


def _starts(loss: Loss, n: int) -> list[FloatArray]:
    """The best of some places (n,) at higher peaks, and at lower ones, where some laws have an optimum of their own."""
    places = _places(n)
    high = places[:, 0] < 0.5
    best = [min(half, key=loss) for half in (places[high], places[~high])]
    return [x for x in best if loss(x) < np.inf]


def _places(n: int) -> FloatArray:
    """Places spread evenly over the cube, and over its faces and edges at the largest peak, (places, n).

    By the additive recurrence of the lowest discrepancy.
    """
    ratio = 1.5
    for _ in range(30):
        ratio = (1 + ratio) ** (1 / (n + 1))  # the root of xⁿ⁺¹ = x + 1, the golden ratio for n = 1
    i = np.arange(SAMPLES * n)[:, None]
    inner = (0.5 + i * ratio ** -np.arange(1.0, n + 1)) % 1.0
    free = i >> np.arange(n)[::-1] & 1  # every choice of fields in turn
    free[:, 0] = 0
    return np.concatenate((inner, inner * free))


def _descended(loss: Loss, start: FloatArray, stop: tuple[float, float], stopped: bool = False):
    """Downhill simplex: decays are whole updates, so that the loss has steps and no slope.

    The faces of the cube reflect it. With `stopped` they flatten it, so that an optimum on one is found sooner, and one
    close by may be missed.
    """
    n, (distance, difference) = len(start), stop
    corners = np.vstack([start, start + np.where(start > 1 - SIDE, -SIDE, SIDE) * np.eye(n)])
    end = minimize(
        lambda u: loss(_reflected(u)),
        start,
        method="Nelder-Mead",
        bounds=[(0.0, 1.0)] * n if stopped else None,
        options={"initial_simplex": corners, "maxfev": EVALUATIONS * n, "xatol": distance, "fatol": difference},
    )
    end.x = _reflected(end.x)
    return end


def _reflected(u: FloatArray) -> FloatArray:
    """Into the cube."""
    return 1 - np.abs(1 - u % 2)


def _settled(loss: Loss, x: FloatArray, value: float) -> tuple[float, FloatArray, bool]:
    """A place from which a fresh simplex finds nothing better, with its loss before it, and whether there was one."""
    for _ in range(ROUNDS):
        x = _on_edges(loss, x, value)
        end = _descended(loss, x, FINE)
        if end.fun > value - EQUAL:
            return value, x, True
        x, value = end.x, float(end.fun)
    return value, x, False


def _on_edges(loss: Loss, x: FloatArray, best: float) -> FloatArray:
    """The place moved to the edge of the cube wherever that costs nothing: the largest peak, or a final rate of 0."""
    for i in range(len(x)):
        for edge in (0.0, 1.0):
            trial = np.where(np.arange(len(x)) == i, edge, x)
            if loss(trial) <= best + EQUAL:
                x = trial
                break
    return x

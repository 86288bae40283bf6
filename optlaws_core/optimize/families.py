"""The best schedule of a family: its peak, final rate, decay and exponents, and every form of its cooldown."""

from collections.abc import Callable, Mapping
from dataclasses import fields

import numpy as np
from scipy.optimize import minimize

from ..errors import DesignError, ScheduleError
from ..schedules import SCHEDULES, Schedule, Step
from ..schedules.base import FloatArray
from .limits import Limits
from .objective import Objective
from .progress import Told

SAMPLES = 8  # places a field to begin with, for each form of the cooldown
EVALUATIONS = 80  # a field at most, of the search that begins at the best of them
SIDE = 0.2  # of the first simplex
EQUAL = 1e-7  # relative difference of losses that counts for nothing
SLACK = 1e-6  # relative; by how much rounding may overstep a limit
PAIRS = 1_000  # of neighbouring updates, at which the slope is looked at


Reading = Callable[[float, Limits, float], float | int]  # a field's value at 0 to 1, under limits and the peak


def _share(low: float, high: float) -> Reading:
    """A plain number from `low` to `high`, evenly in its logarithm."""
    return lambda x, limits, peak: _short(low * (high / low) ** x)


def _updates(low: float, high: float) -> Reading:
    """The same as a share of the updates after the warm-up."""
    return lambda x, limits, peak: max(1, round(low * (high / low) ** x * (limits.total - limits.warmup)))


def _rate(x: float, limits: Limits, peak: float) -> float:
    """A rate from the floor to the schedule's peak, most finely near the floor."""
    return _short(limits.floor + (peak - limits.floor) * x**2)


def _peak(x: float, limits: Limits) -> float:
    """From a tenth of the largest peak to that itself."""
    return limits.peak if x == 1 else max(limits.floor, _short(limits.peak * 10 ** (x - 1)))


def _short(value: float) -> float:
    return float(f"{value:.6g}")


# What is searched besides the peak and the form of the cooldown. A drop of `wsd` stays 1: a free-form curve tells what
# a jump is worth. `power_scheduler` is `power` in tokens; the other families rise again.
FAMILIES: Mapping[str, Mapping[str, Reading]] = {
    "linear": {"final": _rate},
    "cosine": {"final": _rate},
    "wsd": {"decay": _updates(0.01, 1.0), "final": _rate},
    "polynomial": {"exponent": _share(0.1, 10.0), "final": _rate},
    "power_decay": {"beta": _share(0.55, 5.0), "final": _rate},
    "exponential": {"final": _rate},
    "rex": {"final": _rate},
    "uba": {"phi": _share(0.05, 20.0), "final": _rate},
    "inverse_sqrt": {"timescale": _updates(1e-3, 10.0)},
    "power": {
        "exponent": _share(0.02, 2.0), "knee": _updates(1e-3, 1.0), "decay": _updates(0.01, 0.9), "final": _rate,
    },
    "step": {"first": _updates(0.01, 0.9), "second": _updates(0.01, 0.9), "between": _rate, "last": _rate},
}  # fmt: skip
SIMPLE = ("linear", "cosine", "polynomial", "wsd")  # what trainers have at hand


def search(objective: Objective, family: str, told: Told) -> tuple[Schedule, bool]:
    """The best schedule of a family in `FAMILIES`, and whether the search for it converged.

    Raises `DesignError` for another family, and where none keeps to the limits.
    """
    if family not in FAMILIES:
        raise DesignError(f"A family to search in is one of {', '.join(FAMILIES)}, got {family!r}.")
    limits, count = objective.limits, 1 + len(FAMILIES[family])
    forms = next((f.metadata["choices"] for f in fields(SCHEDULES[family]) if f.name == "shape"), (None,))
    found = []
    for form in forms:
        make = _maker(family, form, limits)

        def loss(x: FloatArray, make=make) -> float:
            schedule = make(x)
            if schedule is None:
                return np.inf
            value = objective.of_schedule(schedule)
            told(value)
            return value

        start = min(_places(count), key=loss)
        if np.isinf(loss(start)):
            continue
        end = _descended(loss, start)
        found.append((float(end.fun), make(_on_edges(loss, end.x, end.fun)), bool(end.success)))
    told.part()
    if not found:
        raise DesignError(
            f"No schedule of the family {family} was found within these limits: a floor of {limits.floor:g}"
            + ("." if limits.slope is None else f" and a slope of at most {limits.slope:g}.")
        )
    _, schedule, finished = min(found, key=lambda row: row[0])
    return schedule, finished


def _descended(loss: Callable[[FloatArray], float], start: FloatArray):
    """Downhill simplex: decays are whole updates, so that the loss has steps and no slope."""
    n = len(start)
    corners = np.vstack([start, start + np.where(start > 1 - SIDE, -SIDE, SIDE) * np.eye(n)])
    return minimize(
        loss, start, method="Nelder-Mead", bounds=[(0.0, 1.0)] * n,
        options={"initial_simplex": corners, "maxfev": EVALUATIONS * n, "xatol": 1e-3, "fatol": 1e-9},
    )  # fmt: skip


def _on_edges(loss: Callable[[FloatArray], float], x: FloatArray, best: float) -> FloatArray:
    """The place moved to the edge of the cube wherever that costs nothing: the peak itself, or a final rate of 0."""
    for i in range(len(x)):
        for edge in (0.0, 1.0):
            trial = np.where(np.arange(len(x)) == i, edge, x)
            if loss(trial) <= best + EQUAL:
                x = trial
    return x


def _places(n: int) -> FloatArray:
    """Places to begin with, spread evenly over the cube, (places, n): the lowest-discrepancy additive recurrence."""
    ratio = 1.5
    for _ in range(30):
        ratio = (1 + ratio) ** (1 / (n + 1))  # the root of xⁿ⁺¹ = x + 1, the golden ratio for n = 1
    return (0.5 + np.arange(SAMPLES * n)[:, None] * ratio ** -np.arange(1.0, n + 1)) % 1.0


def _maker(family: str, form: str | None, limits: Limits) -> Callable[[FloatArray], Schedule | None]:
    """The schedule at a place (fields,) of the cube; None where there is none within the limits."""
    same = {"warmup": limits.warmup, "total": limits.total} | ({} if form is None else {"shape": form})

    def make(x: FloatArray) -> Schedule | None:
        peak = _peak(float(x[0]), limits)
        readings = zip(x[1:], FAMILIES[family].items(), strict=True)
        given = {"peak": peak} | {name: read(float(v), limits, peak) for v, (name, read) in readings}
        if "knee" in given:
            given["knee"] += limits.warmup
        try:
            schedule = _stepped(given, same) if family == "step" else SCHEDULES[family](**given, **same)
        except ScheduleError:
            return None
        return schedule if _keeps(schedule, limits) else None

    return make


def _stepped(given: Mapping[str, float], same: Mapping[str, int]) -> Step:
    """Two drops: `first` and `second` updates before the end."""
    if given["last"] > given["between"]:
        raise ScheduleError("step: the rate only falls here.")
    steps = (same["total"] - given["first"], same["total"] - given["second"])
    return Step(given["peak"], boundaries=steps, values=(given["between"], given["last"]), **same)


def _keeps(schedule: Schedule, limits: Limits) -> bool:
    """Whether a schedule that only falls keeps to floor and slope."""
    if schedule(limits.total - 1) < limits.floor * (1 - SLACK):
        return False
    if limits.slope is None:
        return True
    spread = np.linspace(limits.warmup, limits.total - 2, PAIRS)
    ends = [b + i for b in schedule.breaks for i in (-1, 0)]
    at = np.concatenate((np.rint(spread), [t for t in ends if limits.warmup <= t <= limits.total - 2]))
    return bool((np.abs(schedule(at + 1) - schedule(at)) <= limits.slope * (1 + SLACK)).all())

"""The families that a search looks through, and a schedule of one as a place of a cube within the limits."""

from collections.abc import Mapping

from ..arrays import FloatArray
from ..schedules import SCHEDULES, Schedule
from ..schedules.search_ranges import Draft, Range, peak
from .limits import Limits

# What is searched besides the peak and the form of the cooldown, as each family says.
FAMILIES: Mapping[str, Mapping[str, Range]] = {
    name: ranges for name, cls in SCHEDULES.items() if (ranges := cls.search_ranges())
}
SIMPLE = ("linear", "cosine", "polynomial", "wsd")  # what trainers have at hand


def read(family: str, shape: str | None, limits: Limits, x: FloatArray) -> Schedule:
    """The schedule at a place `x` (fields,) of the cube of a family, the peak first.

    Raises `ScheduleError` where there is none: in runs of few updates, and where a family cannot keep to the limits.
    """
    draft = Draft(SCHEDULES[family], limits, {} if shape is None else {"shape": shape})
    for value, (name, found) in zip(x, {"peak": Range(peak), **FAMILIES[family]}.items(), strict=True):
        draft.fields[name] = found.read(float(value), draft)
    return draft.made()

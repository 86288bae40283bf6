"""How a rate falls from one value to another at the end of a run: the shapes of a cooldown, each under one name."""

import numpy as np

from ..errors import ScheduleError
from .base import entry

# y runs from 0 at the start of the cooldown to 1 at its end; each maps (first rate, last rate, y) to the rate.
COOLDOWNS = {
    "linear": lambda p, f, y: f + (p - f) * (1 - y),
    "exponential": lambda p, f, y: p ** (1 - y) * f**y,
    "cosine": lambda p, f, y: f + (p - f) * 0.5 * (1 + np.cos(np.pi * y)),
    "1-sqrt": lambda p, f, y: f + (p - f) * (1 - np.sqrt(y)),
    "mirror-cosine": lambda p, f, y: f + (p - f) * (2 * (1 - y) - np.sin(0.5 * np.pi * (1 - y)) ** 2),
    "square": lambda p, f, y: f + (p - f) * (1 - y) * (1 + y),
}


def shape_entry(default: str = "linear"):
    """The field that names a shape; always written into the text form."""
    return entry("form of the cooldown: " + ", ".join(COOLDOWNS), kw_only=True, default=default, choices=COOLDOWNS)


def check_cooldown(family: str, shape: str, final: float, used: bool = True) -> None:
    """Raises `ScheduleError` for an unknown shape, or one that cannot end at `final`."""
    if shape not in COOLDOWNS:
        raise ScheduleError(f"{family}: shape must be one of {', '.join(COOLDOWNS)}, got {shape[:40]!r}.")
    if used and shape == "exponential" and not final > 0:
        raise ScheduleError(f"{family}: an exponential cooldown never reaches 0, so final must be above 0, got 0.")

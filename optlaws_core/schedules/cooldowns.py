"""How a rate falls from one value to another at the end of a run: the shapes of a cooldown, each under one name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ScheduleError
from .code_pieces import Curve
from .entries import entry
from .search_ranges import Range

# y runs from 0 at the start of the cooldown to 1 at its end; each maps (first rate, last rate, y) to the rate. In code,
# the first rate is {top}, the last one FINAL.
COOLDOWNS = {
    "linear": Curve(lambda p, f, y: f + (p - f) * (1 - y), "FINAL + ({top} - FINAL) * (1 - {y})"),
    "exponential": Curve(lambda p, f, y: p ** (1 - y) * f**y, "{top} ** (1 - {y}) * FINAL**{y}"),
    "cosine": Curve(
        lambda p, f, y: f + (p - f) * 0.5 * (1 + np.cos(np.pi * y)),
        "FINAL + ({top} - FINAL) * 0.5 * (1 + cos(pi * {y}))",
    ),
    "1-sqrt": Curve(lambda p, f, y: f + (p - f) * (1 - np.sqrt(y)), "FINAL + ({top} - FINAL) * (1 - sqrt({y}))"),
    "mirror-cosine": Curve(
        lambda p, f, y: f + (p - f) * (2 * (1 - y) - np.sin(0.5 * np.pi * (1 - y)) ** 2),
        "FINAL + ({top} - FINAL) * (2 * (1 - {y}) - sin(0.5 * pi * (1 - {y})) ** 2)",
    ),
    "square": Curve(lambda p, f, y: f + (p - f) * (1 - y) * (1 + y), "FINAL + ({top} - FINAL) * (1 - {y}) * (1 + {y})"),
}


# An exponential that ends at 0: a hundredfold fall, moved down so that it does; the warm-up of that name, backwards.
TO_ZERO = Curve(lambda p, f, y: p * np.expm1(np.log(100) * (1 - y)) / 99, "{top} * (100 ** (1 - {y}) - 1) / 99")


def cooldown_code(shape: str, top: str = "PEAK", y: str = "y") -> str:
    """The code of a shape, from the constant `top` to FINAL over the variable `y`."""
    return COOLDOWNS[shape].code.format(top=top, y=y)


def reaching(shape: str, final: float) -> Curve:
    """The curve of a shape that may end at 0, the exponential among them."""
    return TO_ZERO if shape == "exponential" and final == 0 else COOLDOWNS[shape]


def shape_entry(default: str = "linear") -> Any:
    """The field that names a shape; always written into the text form."""
    return entry(
        "form of the cooldown: " + ", ".join(COOLDOWNS),
        choices=COOLDOWNS,
        search="every one",
        kw_only=True,
        default=default,
    )


def decay_entry(meaning: str, share: float, search: Range, **kwargs: Any) -> Any:
    """The field that holds the length of the cooldown; `share` of the total in examples."""
    return entry(
        meaning,
        "updates",
        symbol="d",
        usual=lambda p, w, t: max(1, min(round(share * t), t - w)),
        search=search,
        kw_only=True,
        **kwargs,
    )


def of_horizon(share: float) -> Callable[[float, int], dict]:
    """The fields of a shape whose cooldown takes `share` of the horizon, from peak and total."""
    return lambda p, t: {"decay": max(1, round(share * t))}


def check_cooldown(family: str, shape: str, final: float, used: bool = True) -> None:
    """Raises `ScheduleError` for an unknown shape, or one that cannot end at `final`."""
    if shape not in COOLDOWNS:
        raise ScheduleError(f"{family}: shape must be one of {', '.join(COOLDOWNS)}, got {shape[:40]!r}.")
    if used and shape == "exponential" and not final > 0:
        raise ScheduleError(f"{family}: an exponential cooldown never reaches 0, so final must be above 0, got 0.")

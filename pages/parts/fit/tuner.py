"""The live tuner on a page: coefficients on sliders, curves redrawn in the browser while one is dragged.

Only this file knows Streamlit's component interface. What the browser sends is checked here like any other input.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import streamlit as st

ASSETS = Path(__file__).with_suffix("")
# One module, in the order of use; only the last one exports.
SCRIPTS = ("vendor/uPlot.iife.min.js", "theme.js", "law.js", "chart.js", "controls.js", "scores.js", "tuner.js")
STYLES = ("vendor/uPlot.min.css", "tuner.css")
LONGEST_NAME = 60


class Refit(NamedTuple):
    """A wish: fit again with the `locked` coefficients held at their values in `theta`, starting from `theta`."""

    theta: dict[str, float]
    locked: tuple[str, ...]


class Keep(NamedTuple):
    """A wish: keep these coefficients under a name."""

    name: str
    theta: dict[str, float]


@dataclass(frozen=True)
class TunerEvent:
    """What the browser said in this run of the page. Wishes are heard once."""

    theta: Mapping[str, float]  # coefficients as they were last released; where the sliders start, until then
    refit: Refit | None = None
    keep: Keep | None = None


def tuner(payload: dict, key: str) -> TunerEvent:
    """Show the tuner for an `optlaws_core.laws.browser.payload`.

    Sliders keep their places over reruns until the payload's id changes, so do not feed the heard `theta` back into it.
    """
    heard = _component()(
        key=key,
        data={"key": key, **payload},
        on_theta_change=_nothing,
        on_refit_change=_nothing,
        on_keep_change=_nothing,
    )
    start = {p["name"]: p["value"] for p in payload["params"]}
    return TunerEvent(
        theta=_theta(heard.theta, payload) or start,
        refit=_refit(heard.refit, payload),
        keep=_keep(heard.keep, payload),
    )


@cache
def _component() -> Callable:
    """Registered once a process; Streamlit hands the definition to every later runtime by itself."""
    return st.components.v2.component(
        "optlaws_tuner",
        js="\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS),
        css="\n".join((ASSETS / name).read_text(encoding="utf-8") for name in STYLES),
    )


def _nothing() -> None:
    """A callback is what makes a value an attribute of the result."""


def _theta(message: object, payload: dict) -> dict[str, float] | None:
    """Coefficients in a message; None when it is about an earlier fit or holds anything but allowed values."""
    if not isinstance(message, Mapping) or message.get("fit") != payload["id"]:
        return None
    given = message.get("theta")
    if not isinstance(given, Mapping) or set(given) != {p["name"] for p in payload["params"]}:
        return None
    values = {p["name"]: given[p["name"]] for p in payload["params"]}
    if not all(_allowed(values[p["name"]], p["low"], p["high"]) for p in payload["params"]):
        return None
    return {name: float(value) for name, value in values.items()}


def _allowed(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and low <= value <= high


def _refit(message: object, payload: dict) -> Refit | None:
    theta = _theta(message, payload)
    if theta is None:
        return None
    asked = message.get("locked")
    locked = tuple(name for name in theta if name in asked) if isinstance(asked, list) else ()
    return Refit(theta, locked) if 0 < len(locked) < len(theta) else None


def _keep(message: object, payload: dict) -> Keep | None:
    theta = _theta(message, payload)
    if theta is None:
        return None
    name = " ".join(str(message.get("name", "")).split())[:LONGEST_NAME]
    return Keep(name, theta) if name else None

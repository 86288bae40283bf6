"""A fitted law and its runs, packed for the browser: what it needs to redraw curves while a coefficient is dragged.

The result is plain JSON. An array is `{"dtype", "data"}` with base64 of little-endian values, in the smallest type that
holds them exactly, or `{"values", "index"}` where few values repeat. Lags are left out: the browser takes
max(now − clock, 0) for each pair, as `evaluation` does. Pairs are stored as ranges of consecutive nodes.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, extra
from ..runs import Run
from . import HistorySum, Law, Param
from .base import S_k, d_k, eta_k
from .evaluation import HistoryBatch, batch

Role = Literal["train", "held out"]
DRAWN = 300  # observed losses drawn for each run
POINTS = 150  # steps that a curve is evaluated at while a slider moves
EARLY = 0.25  # weight of log(step) in how evaluation steps are spread: a logarithmic axis shows the early ones most


def payload(
    law: Law,
    runs: Sequence[tuple[Run, Role]],
    theta: Mapping[str, float],
    *,
    fitted: Mapping[str, float] | None = None,
    interval: Mapping[str, tuple[float, float] | None] | None = None,
    locked: Collection[str] = (),
    points: int = POINTS,
) -> dict:
    """Everything the tuner shows and computes with, JSON-able.

    runs: as the fit used them (`fitting.usable`), each with its role. theta: where the sliders start. fitted: what
    "reset" goes back to, `theta` by default; interval: of the fit. points: most steps a run's curve is evaluated at;
    all are steps with an observed loss. The entry "id" changes with any of these.
    Raises `DesignError` for a run without a plan or with losses beyond it.
    """
    theta, fitted, interval = law.complete(theta), law.complete(fitted or theta), interval or {}
    content = {
        "law": {"name": law.name, "title": law.title, **law.javascript},
        "params": [
            _param(p, theta[p.name], fitted[p.name], interval.get(p.name), p.name in locked) for p in law.params
        ],
        "runs": [_run(law, run, role, points) for run, role in runs],
    }
    return {"id": hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16], **content}


def _param(p: Param, value: float, fitted: float, interval: tuple[float, float] | None, locked: bool) -> dict:
    start, stop = tuning_range(p, fitted, interval)
    return {
        "name": p.name,
        "label": label(p.latex),
        "meaning": p.meaning,
        "low": p.low,
        "high": p.high,
        "scale": p.scale,
        "start": float(start),
        "stop": float(stop),
        "value": float(value),
        "fitted": float(fitted),
        "interval": None if interval is None else [float(v) for v in interval],
        "locked": locked,
    }


def tuning_range(p: Param, fitted: float, interval: tuple[float, float] | None) -> tuple[float, float]:
    """Ends of the slider in natural values: three times the interval, and never so little that a drag shows nothing.

    The whole bounds span many decades; a slider over them would jump from one absurd curve to the next.
    """
    x = p.to_scale(fitted)
    half = 0.0 if interval is None else float(np.abs(p.to_scale(np.array(interval)) - x).max())
    if p.scale == "linear":
        reach = max(3 * half, abs(fitted) / 4) or (p.high - p.low) / (1000 if p.weight else 10)
    else:
        reach = np.log(10) if interval is None else max(3 * half, np.log(3))
    ends = p.from_scale(np.clip([x - reach, x + reach], *sorted((p.to_scale(p.low), p.to_scale(p.high)))))
    # from_scale may round past a bound by one unit in the last place
    return max(float(min(ends)), p.low), min(float(max(ends)), p.high)


def label(latex: str) -> list[str]:
    r"""Symbol and subscript in Unicode, such as ["L", "∞"] for `L_\infty`."""
    symbol, _, below = latex.partition("_")
    return [_unicode(symbol), _unicode(below)]


def _unicode(latex: str) -> str:
    """Plain text of a short piece of LaTeX: HTML's names of Greek letters are LaTeX's."""
    text = re.sub(r"\\(?:mathrm|text)\b|[{}]", "", latex).replace(r"\infty", "∞")
    return re.sub(r"\\([A-Za-z]+)", lambda m: html.unescape(f"&{m[1]};").strip("&;"), text)


def _run(law: Law, run: Run, role: Role, points: int) -> dict:
    if run.plan is None:
        raise DesignError(f"Run {run.name!r} has no learning rate, logged or declared; declare its schedule first.")
    at = _spread(run.steps, points)
    data = batch(law, [(run.plan, run.steps[at])])
    drawn = _thinned(run.steps, run.loss)
    return {
        "name": run.name,
        "role": role,
        "steps": pack(run.steps[at]),
        "loss": pack(run.loss[at]),
        "share": pack(_share(at, len(run.steps))),
        "drawn": {"steps": pack(run.steps[drawn]), "loss": pack(run.loss[drawn])},
        "features": [pack(v) for v in data.features],
        "pasts": [_past(past, h) for past, h in zip(data.pasts, law.sums, strict=True)],
    }


def _spread(steps: np.ndarray, points: int) -> np.ndarray:
    """Indices of at most `points` observations, first and last included: most evenly, some evenly in log(step)."""
    n = len(steps)
    if n <= points:
        return np.arange(n)
    log = np.log(np.maximum(steps, 1))
    along = (1 - EARLY) * np.arange(n) / (n - 1) + EARLY * (log - log[0]) / (log[-1] - log[0])
    return np.unique(np.searchsorted(along, np.linspace(0, 1, points)).clip(0, n - 1))


def _share(at: np.ndarray, n: int) -> np.ndarray:
    """How many of the `n` observations lie nearest to each of those chosen: their weights in an error over the run."""
    edges = np.concatenate(([0], (at[:-1] + at[1:]) // 2 + 1, [n]))
    return np.diff(edges)


def _thinned(steps: np.ndarray, loss: FloatArray) -> np.ndarray:
    """Indices of the observations to draw; peaks and dips survive."""
    if len(steps) <= DRAWN:
        return np.arange(len(steps))
    with extra("app", "Thinning losses for a chart"):
        from tsdownsample import MinMaxLTTBDownsampler
    chosen = MinMaxLTTBDownsampler().downsample(steps.astype(float), np.ascontiguousarray(loss), n_out=DRAWN)
    return np.unique(chosen.astype(np.int64))


def _past(past: HistoryBatch, h: HistorySum) -> dict:
    """A history sum's nodes, and for each observation the ranges of nodes it sums over."""
    sees = h.source.free_symbols | (set() if h.pace is None else h.pace.free_symbols)
    starts_here = np.ones(len(past.node), bool)
    starts_here[1:] = np.diff(past.node) != 1
    starts_here[past.first] = True
    begin = np.flatnonzero(starts_here)
    return {
        "eta": pack(past.eta) if eta_k in sees else None,
        "S": pack(past.S) if S_k in sees else None,
        "drop": pack(past.drop) if d_k in sees else None,
        "weight": pack(past.weight),
        "clock": pack(past.clock),
        "now": pack(past.now),
        "begin": pack(past.node[begin]),
        "length": pack(np.diff(np.append(begin, len(past.node)))),
        "first": pack(np.append(np.searchsorted(begin, past.first), len(begin))),
    }


def pack(values: np.ndarray) -> dict:
    """An array for the browser: the same numbers, exactly, in few bytes."""
    if values.dtype.kind == "f":
        distinct, index = np.unique(values, return_inverse=True)
        if len(distinct) <= len(values) // 8:
            return {"values": _plain(distinct), "index": _plain(index)}
    return _plain(values)


def _plain(values: np.ndarray) -> dict:
    dtype = _smallest(values)
    return {"dtype": dtype, "data": base64.b64encode(values.astype("<" + dtype).tobytes()).decode()}


def _smallest(values: np.ndarray) -> str:
    """Smallest of u1, u2, u4, f8 that holds all values exactly."""
    whole = len(values) > 0 and values.min() >= 0 and bool((values == np.floor(values)).all())
    if whole:
        for dtype in ("u1", "u2", "u4"):
            if values.max() <= np.iinfo(dtype).max:
                return dtype
    return "f8"


__all__ = ["Role", "label", "pack", "payload", "tuning_range"]

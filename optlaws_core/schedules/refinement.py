"""A schedule from the gradient norms of a run that was trained before (Defazio et al. 2023, arXiv:2310.07831).

The rate that the bound on the last iterate asks for after the fact: an update counts with the weight w that its
gradient norm gives it, and its rate is w times the weight that is still to come. Where all norms are equal that is a
line to 0; norms that fall at first ask for a warm-up, norms that rise at the end for a fall that is faster than a line.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .entries import LARGEST
from .pieces import Knots

POWERS = {"l2": -2.0, "l1": -1.0}  # the norm that was logged, and what makes a weight of it
MOST_KNOTS = 2000
MOST_APART = 1e100  # factor between two norms; with more, all weights but one vanish
GAP = 1.5  # usual distances between two logged steps; more is a gap
MOST_FILLED = 1.0  # norms that gaps may need for each one that was logged


@dataclass(frozen=True)
class Refined:
    """The refined schedule, and a sentence on everything in the norms that was not taken as it stood."""

    schedule: Knots
    notes: tuple[str, ...] = ()


def refined(
    steps: Sequence[int], norms: Sequence[float], peak: float, *, norm: str = "l2", smoothing: float = 0.1
) -> Refined:
    """The refined schedule with the given `peak`, from gradient `norms` logged at `steps`; it ends with 0 at the last.

    `norm`: "l2" norms are for SGD, "l1" norms for Adam and its kin. The l2 norms that trainers log under AdamW fit
    neither: taken as "l2" they give SGD's schedule, whose weights are 1/G², which reacts to them more strongly than the
    theory asks for Adam; taken as "l1" they give Adam's where l1 and l2 norms rise and fall together. `smoothing`:
    width of the median filter over the norms as a share of them; 0 for none. Norms that are 0, negative or no numbers
    are left out, and gaps are filled
    by a straight line between the logarithms of the norms around them; the notes say so. Raises `ScheduleError` for
    steps that do not rise and where more norms would be made up than were logged.
    """
    if norm not in POWERS:
        raise ScheduleError(f"refined: norm must be one of {', '.join(POWERS)}, got {norm!r}.")
    if not 0 <= smoothing < 1:
        raise ScheduleError(f"refined: smoothing must be a share of the norms from 0 to below 1, got {smoothing:g}.")
    if not 0 < peak <= LARGEST:
        raise ScheduleError(f"refined: the peak learning rate must be a number above 0, got {peak:g}.")
    k, g = _checked(steps, norms)
    usual = float(np.median(np.diff(k)))
    k, g, left_out = _usable(k, g)
    k, g, filled = _filled(k, g, usual)
    smooth, unsmoothed = _smoothed(g, smoothing)
    low, high = smooth.min(), smooth.max()
    if high / MOST_APART > low:
        raise ScheduleError(
            f"refined: gradient norms may lie apart by a factor of {MOST_APART:g}, got {low:g} and {high:g}."
        )
    weight = (smooth / low) ** POWERS[norm]
    behind = weight * np.diff(k, prepend=k[0])  # each logged norm stands for the updates since the one before
    to_come = np.append(np.cumsum(behind[:0:-1])[::-1], 0.0)
    rate = weight * to_come
    rate *= peak / rate.max()
    kept = _thinned(k, rate)
    lost = float(np.max(np.abs(np.interp(k, k[kept], rate[kept]) - rate))) / peak
    fewer = _fewer(len(k), len(kept), lost)
    k, rate = k[kept], rate[kept]
    if k[0] > 0:
        k, rate = np.append(0, k), np.append(rate[0], rate)
    return Refined(Knots(tuple(map(int, k)), tuple(rate.tolist())), (*left_out, *filled, *unsmoothed, *fewer))


def _checked(steps: Sequence[int], norms: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Steps and norms as arrays of one length, steps rising. Raises `ScheduleError`."""
    k, g = np.asarray(steps, dtype=float), np.asarray(norms, dtype=float)
    if k.ndim != 1 or k.shape != g.shape or len(k) < 2:
        raise ScheduleError(
            f"refined: steps and norms must be lists of the same length, at least 2, got {k.size} and {g.size}."
        )
    wrong = np.flatnonzero(~((k >= 0) & (k <= LARGEST) & (k == np.floor(k))))  # NaN fails every comparison
    if len(wrong):
        raise ScheduleError(f"refined: steps must be whole numbers of 0 or more, got {format_number(k[wrong[0]])}.")
    back = np.flatnonzero(np.diff(k) <= 0)
    if len(back):
        raise ScheduleError(f"refined: steps must rise strictly, got {k[back[0] + 1]:,.0f} after {k[back[0]]:,.0f}.")
    return k, g


def _usable(k: FloatArray, g: FloatArray) -> tuple[FloatArray, FloatArray, list[str]]:
    """The norms above 0 and finite, with their steps, and a note on the others. Raises `ScheduleError`."""
    bad = ~((g > 0) & (g < np.inf))  # NaN fails every comparison
    if not bad.any():
        return k, g, []
    first, verb = int(bad.argmax()), "is" if bad.sum() == 1 else "are"
    told = (
        f"gradient norms must be above 0 and finite, but {bad.sum():,} of {len(g):,} {verb} not: the first is "
        f"{g[first]:g}, at step {k[first]:,.0f}"
    )
    if len(g) - bad.sum() < 2:
        raise ScheduleError(f"refined: {told}; at least 2 must be left.")
    note = f"{told[0].upper()}{told[1:]}. Such norms were left out."
    if bad[-1]:
        note += f" The schedule ends at step {k[~bad][-1]:,.0f}, the last with a norm."
    return k[~bad], g[~bad], [note]


def _filled(k: FloatArray, g: FloatArray, usual: float) -> tuple[FloatArray, FloatArray, list[str]]:
    """Norms at every `usual` distance, and a note on the gaps that were filled. Raises `ScheduleError`."""
    before = np.append(min(0.0, k[0]), k[:-1])
    wide = np.flatnonzero(k - before > GAP * usual)
    if not len(wide):
        return k, g, []
    others = f" and in {len(wide) - 1:,} more gap{'s' if len(wide) > 2 else ''}" if len(wide) > 1 else ""
    every = f"about every {format_number(usual)} updates" if usual > 1 else "at every update"
    told = f"gradient norms stand {every}, but none between steps {before[wide[0]]:,.0f} and {k[wide[0]]:,.0f}{others}"
    missing = np.maximum(np.rint((k - before)[wide] / usual) - 1, 1)
    if missing.sum() > MOST_FILLED * len(k):
        raise ScheduleError(
            f"refined: {told}; {missing.sum():,.0f} would have to be made up, and only {len(k):,} were logged."
        )
    made = [np.linspace(before[i], k[i], int(n) + 2)[1:-1].round() for i, n in zip(wide, missing, strict=True)]
    steps = np.union1d(k, np.concatenate(made))
    how = "They were filled by lines between the logarithms of the norms around them"
    held = ", and before the first norm by that norm" if wide[0] == 0 else ""
    norms = np.exp(np.interp(steps, k, np.log(g)))
    norms[np.searchsorted(steps, k)] = g
    return steps, norms, [f"{told[0].upper()}{told[1:]}. {how}{held}."]


def _smoothed(g: FloatArray, share: float) -> tuple[FloatArray, list[str]]:
    """The running median over a share of the norms; behind the last one they are reflected, as the authors do."""
    from scipy.ndimage import median_filter  # slow to import, and only used here

    width = 2 * (int(share * len(g)) // 2) + 1
    if share and width == 1:
        note = (
            f"{len(g)} norms are too few to be smoothed over {100 * share:g} % of them: they were taken as they stand."
        )
        return g, [note]
    return median_filter(np.pad(g, (0, 2 * width), mode="reflect"), size=width, mode="nearest")[: len(g)], []


def _thinned(k: FloatArray, rate: FloatArray):
    """Which points to keep as knots: all, or so many that straight lines between them come nearest to the others.

    The line with the largest distance is split where that is, until `MOST_KNOTS` are kept.
    """
    if len(k) <= MOST_KNOTS:
        return np.arange(len(k))

    def scored(a: int, b: int) -> tuple[float, int, int, int]:
        if b - a < 2:
            return 0.0, a, b, a
        x = (k[a + 1 : b] - k[a]) / (k[b] - k[a])
        gaps = np.abs(rate[a] + (rate[b] - rate[a]) * x - rate[a + 1 : b])
        worst = int(np.argmax(gaps))
        return -float(gaps[worst]), a, b, a + 1 + worst

    top = int(rate.argmax())  # kept, so that the peak is the peak
    heap = [scored(a, b) for a, b in ((0, top), (top, len(k) - 1)) if a < b]
    heapq.heapify(heap)
    while len(heap) < MOST_KNOTS - 1 and heap[0][0] < 0:
        _, a, b, middle = heapq.heappop(heap)
        heapq.heappush(heap, scored(a, middle))
        heapq.heappush(heap, scored(middle, b))
    return np.unique([i for _, a, b, _ in heap for i in (a, b)])


def _fewer(points: int, kept: int, lost: float) -> list[str]:
    """A note on points that are no knots."""
    if kept == points:
        return []
    return [
        f"Of {points:,} points {kept:,} are kept as knots, where the curve bends most; lines between them are off by "
        f"at most {format_number(float(f'{100 * lost:.2g}'))} % of the peak."
    ]

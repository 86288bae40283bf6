"""Curves that fall once, from the peak to a final rate, found by least squares and then as people write them.

Only steps are searched for: first as real numbers, with peak and final rate projected out, then as the roundest whole
ones that agree with the log.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ...arrays import FloatArray
from ..cycles import OneCycle
from ..entries import WARMUPS
from ..multi_stage import WSD
from .curves import SHIFTS, Candidate, Logged, built, warmups
from .fall_forms import LINEAR, ROUNDED, SIMPLE, Form, Search, crossing, least
from .precision import digits, rounded, roundest, shorter, shortest

SURE = 0.02  # of the peak: how sure a final rate must be
ENDS = 0.005  # of a total that the curve alone tells: how sure it must be
NEAR = 3.0  # tolerances by which the best curve of a form may miss a rate and still be looked into
LONG = 0.25  # of the run: what comes before a fall that the log begins with is no warm-up of that length
BACK = 0.1  # of what the log has of a fall: how far before the log it may have begun, where the curve does not tell
HOPELESS = 0.05  # of the peak: a best curve that misses by so much has another form
BIASED = 8.0  # standard deviations that a result may be off where rounding errors do not average out
ALMOST = 1.1  # tolerances for rates in short form, in logarithms, where they are not quite even


def falls(log: Logged, forms: tuple[Form, ...]) -> list[Candidate]:
    """Falls of these forms that agree with a few rows of the log, from the warm-up on or after a plateau."""
    if log.fall > len(log.rates) - 2 or not log.rises_once:
        return []
    few = log.few
    rows = len(few.rates) - few.fall
    likely = [form for form in forms if rows >= form.numbers and few.may_bend(form.bend)]
    found = [c for form in likely for search in _searches(form, few) for c in _candidates(search)]
    return [c for c in found if c.agrees(few)]


def _searches(form: Form, log: Logged) -> Iterator[Search]:
    """The ways in which a form may stand in a log."""
    plateau, earlies = log.fall - log.top, _earlies(log) if log.top else []
    if form.whole is not None and plateau < 0.4 * (len(log.rates) - log.top) + 2:
        for early in earlies:
            yield Search(form, log, early)
            if early == 1:
                yield Search(form, log, early, 1)
        if log.top == 0 or not earlies and form in SIMPLE:
            yield Search(form, log)
    near = (log.peak + s * log.blur for s in (0, 1, -1))
    if form.shape and plateau >= 2 and any(warmups(log, peak) for peak in near):
        yield Search(form, log, plateau=True)


def _earlies(log: Logged) -> list[int]:
    """By how many steps the log may be ahead, for a straight warm-up through what stands before the peak."""
    head = slice(0, log.top)
    x, low, high = log.steps[head], log.rates[head] - log.within[head], log.rates[head] + log.within[head]
    found = []
    for early in SHIFTS:
        at = x + early
        late = at > 0
        if (at >= 0).all() and (low[at == 0] <= 0).all():
            least, most = np.max(low[late] / at[late], initial=0.0), np.min(high[late] / at[late], initial=np.inf)
            if least <= most * (1 + 1e-9):
                found.append(early)
    return found


def _candidates(search: Search) -> Iterator[Candidate]:
    """Schedules of a form, in whole steps and short rates, that may agree with the log."""
    start = _start(search)
    if search.form.start_alone:
        end = search.log.last + 1.0
        for begin in _begins(search, start, end):
            for later in _ends(search, begin, _short_ends(search, begin, end)):
                yield from _written(search, begin, later)
        return
    for end in _ends(search, start):
        for begin in _begins(search, start, end):
            yield from _written(search, begin, end)


def _start(search: Search) -> float:
    """A first guess of where the fall begins."""
    log = search.log
    if search.early is None:
        return float(log.steps[max(log.fall - 1, 0)] if search.plateau else log.steps[log.top])
    head = log.steps[: log.top] + search.early
    slopes = log.rates[: log.top][head > 0] / head[head > 0]
    top = float(log.steps[log.top])
    return min(top, log.peak / slopes[-1] - search.early) if len(slopes) and slopes[-1] > 0 else top


def _ends(search: Search, start: float, more: Sequence[float] = ()) -> list[float]:
    """Where the fall may end, in the log's steps: by what is known of the run, by the curve, and `more`."""
    log, form = search.log, search.form
    likely = [*_known_ends(search), *more]
    if form.tells_end:
        told = _told_end(search, start)
        if told is None:
            return []
        middle, deviation = told
        likely = [end for end in likely if abs(end - middle) <= BIASED * deviation + 0.02]
        likely += _whole_steps(middle, deviation) if 3 * deviation <= ENDS * middle else []
    elif form is LINEAR:
        likely += _zeros(search)
    return [float(end) for end in dict.fromkeys(likely) if end >= log.last - 1]


def _known_ends(search: Search) -> list[float]:
    """Where the fall may end by what is known of the run, in the log's steps."""
    log = search.log
    found = [float(log.total - s) for s in search.shifts] if log.total and log.total >= log.last else []
    if log.ends:
        round_ones = roundest(log.last, log.last + log.interval, 2)
        found += [float(t - s) for t in round_ones for s in search.shifts]
        found += [float(t - search.shifts[0]) for t in (log.last + 1, log.last)]
    return list(dict.fromkeys(found))


def _short_ends(search: Search, start: float, end: float) -> list[float]:
    """Ends soon after the log at which the final rate has few digits, for a curve that fits whatever its end.

    `start` and `end`: of a fall that fits.
    """
    log = search.log
    found = search.best(start, end)
    if found is None or not log.ends:
        return []
    peak, final, *_ = found
    ends = np.unique(np.linspace(log.last - 1, log.last + log.interval + 1, min(log.interval + 3, 2000)).round())
    finals = final + (peak - final) * search.form.height((ends - start) / (end - start))
    finals = np.exp(np.minimum(finals, 10.0)) if search.form.logarithmic else finals
    short = rounded(finals, 2)
    fits = (np.abs(short - finals) <= log.within[-1]) & (finals >= -log.within[-1])
    said = {
        e: digits(e) + digits(float(f"{s:.1e}"))
        for e, s, fine in zip(ends.tolist(), short.tolist(), fits, strict=True)
        if fine
    }
    return sorted(said, key=lambda e: said[e])[:3]


def _zeros(search: Search) -> list[int]:
    """Where a line through the fall comes to 0, and how surely, if beyond the log."""
    log = search.log
    late = slice(min(log.fall, len(log.rates) - 2), None)
    found = crossing(log.steps[late], log.rates[late], 1 / log.within[late])
    if found is None or found.slope >= 0 or not found.at >= log.last or BIASED * found.deviation > 0.5:
        return []
    return _whole_steps(found.at, found.deviation)


def _told_end(search: Search, start: float) -> tuple[float, float] | None:
    """Where the curve itself says that it ends, and its standard deviation; None for a curve of another form."""
    log = search.log
    first = max(float(log.total or 0), log.last + log.interval, start + 1.0)
    fixed = search.early is None and not search.plateau and not search.form.tells_start

    def misses(x: FloatArray) -> FloatArray:
        begin = start if fixed else min(x[0], log.steps[-1] - 1)
        return search.misses(begin, max(x[-1], begin + 1))

    for guess in (first, 3 * first):
        x, left, covariance = _least(misses, np.array([guess] if fixed else [start, guess], float))
        if np.abs(left).max() <= NEAR:
            return float(x[-1]), ROUNDED * float(np.sqrt(max(covariance[-1, -1], 0.0)))
        if log.total is not None or np.abs(left).max() * log.blur > HOPELESS * log.peak:
            break
    return None


def _least(misses: Callable[[FloatArray], FloatArray], x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """As `least`, but at whole steps where these agree and what was found does not.

    A fall that begins or ends at a row has a kink there, before which least squares of exact rates may stop.
    """
    x, left, covariance = least(misses, x)
    if np.abs(left).max() > NEAR and np.isfinite(x).all():
        whole = np.round(x)
        again = misses(whole)
        if np.abs(again).max() <= NEAR:
            return whole, again, covariance
    return x, left, covariance


def _begins(search: Search, start: float, end: float) -> list[float]:
    """Whole steps at which a fall that ends there may begin, in the log's steps."""
    if search.early is None and not search.plateau and not search.form.tells_start:
        return _likely_begins(search, end)

    def misses(x: FloatArray) -> FloatArray:
        return search.misses(min(x[0], end - 1e-3), end)

    x, left, covariance = _least(misses, np.array([min(_nearest(search, start, end), end - 1)], float))
    if not (np.abs(left).max() <= NEAR and x[0] < end):
        return []
    return [float(i) for i in _whole_steps(float(x[0]), ROUNDED * float(np.sqrt(covariance[0, 0])))]


def _nearest(search: Search, start: float, end: float) -> float:
    """The best of some starts around the last row at the peak: a fall may be steepest where it begins."""
    log = search.log
    if search.early is not None or start != log.steps[log.fall - 1 if search.plateau else log.top]:
        return start
    first, most = start - log.interval, 400 if search.form.steep else 25
    tried = np.linspace(first, log.steps[log.fall], min(most, int(log.steps[log.fall] - first) + 1))[:-1]
    return float(min(tried, key=lambda begin: float(np.abs(search.misses(begin, end)).sum())))


def _whole_steps(found: float, deviation: float) -> list[int]:
    """The roundest whole steps near one found by least squares.

    First within three standard deviations, then within more: rounding errors may all have one sign.
    """
    near, wide = (roundest(found - k * deviation - 0.02, found + k * deviation + 0.02, 3) for k in (3, BIASED))
    # A log that is one step ahead or behind has a round step one before or behind it.
    beside = [i for i in (wide[0] - 1, wide[0] + 1) if abs(i - found) <= BIASED * deviation] if wide else []
    return list(dict.fromkeys((*near, *wide, *beside)))


def _likely_begins(search: Search, end: float) -> list[float]:
    """Where the peak of a curve that does not tell its start has few digits; 0 or a known warm-up first."""
    log = search.log
    first = float(search.rows.steps[0])
    found = search.best(first, end)
    if found is None or not np.abs(search.misses(first, end)).max() <= NEAR:
        return []
    top, final, *_ = found
    # Not far before the log: nobody knows what was there.
    reach = max(log.interval, BACK * (end - first))
    known = [float(log.warmup)] if log.warmup is not None and first - reach <= log.warmup <= first else []
    begins = np.unique(np.append(np.linspace(max(first - reach, -1.0), first, 4000).round(), known))
    z = (end - begins) / (end - first)
    if search.form.logarithmic:
        peaks = np.exp(final + (top - final) * z)
    else:
        peaks = final + (top - final) * search.form.height(1 - z)
    short = rounded(peaks, 2)
    fits = np.abs(short - peaks) <= log.within.max()
    said = {b: digits(b) + digits(float(f"{p:.1e}")) for b, p in zip(begins[fits], short[fits], strict=True)}
    likely = sorted(said, key=lambda b: (said[b], -b))
    beside = [b - s for b in likely[:1] for s in SHIFTS if b - s >= -1]
    plain = [0.0] if first <= reach else [first]
    return [float(b) for b in dict.fromkeys([*known, *beside, *likely[:3], *plain])]


def _written(search: Search, start: float, end: float) -> Iterator[Candidate]:
    """Candidates with this start and end, and short rates, under each way of counting that there may be."""
    log, form = search.log, search.form
    found = search.best(start, end)
    if found is None or not np.abs(search.misses(start, end)).max() <= NEAR:
        return
    peak, final, *wide = found
    if form.logarithmic:
        peak, final = np.exp(min(peak, 10.0)), np.exp(min(final, 10.0))
        wide = [wide[0] * peak, wide[1] * final]
    if wide[1] > SURE * log.peak:
        return
    rates = np.array((peak, final)), np.maximum(BIASED * np.array(wide), (log.blur, log.within[-1]))
    for pair in _short_rates(search.equations(start, end), *rates, form.logarithmic):
        yield from _shifted(search, *pair, int(start), int(end))


def _short_rates(equations, rates, wide, logarithmic: bool) -> list[tuple[float, float]]:
    """Peaks and final rates with few digits that leave no equation off by more than 1, at most one for each final."""
    high, low, values = equations
    found = []
    for final in shorter(float(rates[1]), float(wide[1])):
        if final < 0 or logarithmic and final == 0:
            continue
        rest = values - low * (np.log(final) if logarithmic else final)
        peak = float(high @ rest / (high @ high))
        peak = float(np.exp(min(peak, 10.0))) if logarithmic else peak
        for short in shorter(peak, float(wide[0])):
            p = (np.log(short) if short else -np.inf) if logarithmic else short
            if short >= max(final, 1e-30) and np.abs(rest - high * p).max() <= ALMOST:
                found.append((short, final))
                break
    return found[:3]


def _shifted(search: Search, peak: float, final: float, start: int, end: int) -> Iterator[Candidate]:
    """The schedules that a fall from `start` to `end` in the log's steps may come from."""
    log, shape = search.log, search.form.shape
    fields: dict = {"peak": peak, "final": final}
    if search.early is not None:
        shift = search.shifts[0]
        yield from _made(search, shift, search.early, **fields, warmup=start + shift, total=end + shift)
        return
    for warmup, rise, early in warmups(log, peak):
        for shift in SHIFTS if log.top == 0 else (early, early - 1):
            fields |= {"total": end + shift, "warmup_shape": rise}
            if search.plateau or log.top == 0 and shape and start > LONG * end:
                yield from _made(search, shift, early, built_as=WSD, **fields, warmup=warmup, decay=end - start)
            elif log.top == 0 or warmup == start + shift:
                yield from _made(search, shift, early, **fields, warmup=start + shift)
    if log.top and not search.plateau and final and search.form in SIMPLE:
        yield from _one_cycles(search, peak, final, start, end)


def _made(search: Search, shift: int, early: int, built_as: type[WSD] | None = None, **fields) -> Iterator[Candidate]:
    whole, log = search.form.whole, search.log
    later = fields["total"] > log.last + log.interval and fields["total"] != log.total
    if later and fields["final"] and not search.form.tells_end:
        return  # nothing tells that end
    if fields["warmup"] < 0 or fields["total"] < search.log.last or whole is None and built_as is None:
        return
    made = built(built_as, **fields, shape=search.form.shape) if built_as else whole and whole(**fields)
    if made is not None:
        yield Candidate(made, shift, early)


def _one_cycles(search: Search, peak: float, final: float, start: int, end: int) -> Iterator[Candidate]:
    """Falls after a warm-up that begins above 0, as PyTorch's OneCycleLR has it."""
    log = search.log
    head = log.part(np.arange(log.top))
    for shift, shape in itertools.product(SHIFTS, ("cosine", "linear")):
        warmup = start + shift
        share = WARMUPS[shape](np.clip((head.steps + shift) / max(warmup, 1), 0.0, 1.0))
        early = share < 0.95
        if not early.any():
            continue
        low, high = (((head.rates + s * head.within - peak * share) / (1 - share))[early] for s in (-1, 1))
        if not 0 < low.max() <= high.min():
            continue
        div = shortest(peak / high.min(), peak / low.max())
        wide = 2 * log.within[-1]
        final_div = shortest(peak / div / (final + wide), peak / div / max(final - wide, 1e-3 * final))
        fields = {"peak": peak, "warmup": warmup, "total": end + shift, "div": div, "final_div": final_div}
        made = built(OneCycle, **fields, shape=search.form.shape, warmup_shape=shape)
        if made is not None and made.total >= log.last:
            yield Candidate(made, shift, shift)

"""How often a schedule is recognised from its logged rates, as programs print them, and how long that takes.

Every family and field setting is logged in every print format, at several intervals, with its warm-up or without,
to its end or not (then with a known total). What a log cannot tell is not asked for: the total of a constant rate, a
staircase or an inverse square root; a warm-up before the log, where a plateau follows, and then by how many steps the
log is ahead; peak and warm-up of an inverse square root where neither is logged; the step between two rows at which a
rate drops. Where the print is too coarse to tell a field, another schedule of the family agrees with every rate: one
that is told in as few digits is no mistake, and counted as open.

`--every K` takes every K-th case only, `--show` prints the cases that were not right.
"""

import argparse
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from optlaws_core.errors import ScheduleError
from optlaws_core.schedules import COOLDOWNS, Schedule, parse
from optlaws_core.schedules.recognition import Recognised, recognise
from optlaws_core.schedules.recognition.curves import Candidate, Logged
from optlaws_core.schedules.recognition.precision import tolerance

from .table import show


def _printed(form: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rates: np.array([float(form % r) for r in rates])


# Programs -> how their logs have a rate.
PRINTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "double precision (JSON, W&B, CSV)": lambda rates: rates,
    "single precision (TensorBoard)": lambda rates: rates.astype(np.float32).astype(float),
    "single precision, shortest": lambda rates: np.array([float(str(r)) for r in rates.astype(np.float32)]),
    "%.6E (Megatron-LM)": _printed("%.6E"),
    "%.5e": _printed("%.5e"),
    "%.4e (nanoGPT forks)": _printed("%.4e"),
    "%.3e (MaxText)": _printed("%.3e"),
    "%.4g (Transformers 5, OLMo)": _printed("%.4g"),
    "%.2e (llm.c, torchtitan)": _printed("%.2e"),
    "%.8f (torchtune)": _printed("%.8f"),
    "%.6f (llm.c main.log)": _printed("%.6f"),
    "%.4e in single precision": lambda rates: _printed("%.4e")(rates.astype(np.float32)),
}
NUMBERS = (  # peak, final, warm-up, total, cooldown
    ("3e-4", "3e-5", 2160, 24_000, 4000),
    ("6e-4", "0", 700, 19_000, 3800),
    ("1e-3", "1e-4", 200, 10_000, 2000),
    ("2.5e-4", "2.5e-6", 0, 5000, 500),
    ("8e-3", "8e-4", 375, 19_073, 1900),
)
FAMILIES = (
    "constant(peak={p}, warmup={w}, total={t})",
    "linear(peak={p}, warmup={w}, total={t}, final={f})",
    "cosine(peak={p}, warmup={w}, total={t}, final={f})",
    "step(peak={p}, warmup={w}, total={t}, boundaries=[{b}, {c}], values=[{v}, {u}])",
    *(f"wsd(peak={{p}}, warmup={{w}}, total={{t}}, decay={{d}}, final={{e}}, shape={shape})" for shape in COOLDOWNS),
    "exponential(peak={p}, warmup={w}, total={t}, final={e})",
    "inverse_sqrt(peak={p}, warmup={w}, total={t}{s})",
    "polynomial(peak={p}, warmup={w}, total={t}, final={f}, exponent=2)",
    "rex(peak={p}, warmup={w}, total={t}, final={f})",
)
INTERVALS = (1, 10, 50, 100)
ENDS = (1.0, 0.6)


@dataclass(frozen=True)
class Case:
    """A schedule as a log has it."""

    schedule: Schedule
    print_as: str
    interval: int
    warmup_logged: bool
    end: float  # share of the run that the log covers
    shift: int  # steps that the log is ahead

    def log(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps and rates."""
        s = self.schedule
        first = 0 if self.warmup_logged else -(-(s.warmup + 10) // self.interval) * self.interval
        steps = np.arange(max(first, -self.shift), round(s.total * self.end), self.interval)
        return steps, PRINTS[self.print_as](s(steps + self.shift))

    def found(self) -> Recognised | None:
        steps, rates = self.log()
        return recognise(steps, rates, total=self.known_total)

    @property
    def known_total(self) -> int | None:
        """The total that the log names: where it ends early."""
        return None if self.end == 1 else self.schedule.total

    def is_right(self, found: Recognised) -> bool:
        """Whether a schedule is this one, but for fields that the log cannot tell."""
        told = self.schedule
        if found.schedule.family != told.family:
            return False
        # Without its warm-up, a log does not tell how many steps it is ahead.
        moved = 0 if self.warmup_logged and told.warmup else found.shift - self.shift
        same: dict = {"total": told.total + moved}
        if "boundaries" in vars(told):
            pairs = zip(told.boundaries, getattr(found.schedule, "boundaries", ()), strict=True)
            near = [b if abs(b - a - moved) < self.interval else a + moved for a, b in pairs]
            same["boundaries"] = tuple(near)  # a drop may be anywhere between two rows
        if not self.warmup_logged:
            same["warmup"] = told.warmup + moved
        if told.family in ("constant", "step", "inverse_sqrt"):
            same["total"] = found.schedule.total
        if not self.warmup_logged and told.family in ("constant", "step", "wsd"):
            same["warmup"] = found.schedule.warmup
        if not self.warmup_logged and told.family == "inverse_sqrt":  # any p²s of one value
            return found.difference <= found.tolerance
        try:
            return replace(told, **same) == found.schedule
        except ScheduleError:  # moved to before the first step
            return False


def schedules() -> Iterator[Schedule]:
    """Every family with every setting of its fields."""
    for family, (p, f, w, t, d) in itertools.product(FAMILIES, NUMBERS):
        peak = float(p)
        more = {"b": round(0.4 * t, -2), "c": round(0.8 * t, -2), "v": f"{0.3 * peak:g}", "u": f"{0.1 * peak:g}"}
        few = {"e": f if float(f) else f"{0.1 * peak:g}", "s": "" if w else ", timescale=1000"}
        yield parse(family.format(p=p, f=f, w=w, t=t, d=d, **more, **few))


def cases() -> Iterator[Case]:
    """Every schedule in every print and log."""
    axes = itertools.product(schedules(), PRINTS, INTERVALS, (True, False), ENDS)
    for i, (schedule, print_as, interval, warmup_logged, end) in enumerate(axes):
        if end < 1 and schedule.family in ("constant", "step", "wsd"):
            continue  # what follows is not in the log
        if schedule.family == "rex" and schedule.total % interval:
            continue  # its curve tells three of its four numbers, and where it ends is no round step
        yield Case(schedule, print_as, interval, warmup_logged, end, (0, 0, 0, 1, -1)[i % 5])


def verdict(case: Case, found: Recognised | None) -> str:
    """right, none, or what else was recognised; open where that is of the family and no less simple than the truth."""
    if found is None:
        return "none"
    if case.is_right(found):
        return "right"
    if found.schedule.family != case.schedule.family:
        return "other family"
    steps, rates = case.log()
    log = Logged(steps.astype(float), rates, tolerance(rates), int(steps[-1]), case.known_total)
    said, told = Candidate(found.schedule, found.shift, found.early), Candidate(case.schedule, case.shift, case.shift)
    return "open" if said.cost(log) <= told.cost(log) else "other fields"


def main() -> None:
    """Print how many schedules were recognised, by print format and by family."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    by_print, by_family = defaultdict[str, Counter](Counter), defaultdict[str, Counter](Counter)
    times = []
    for case in itertools.islice(cases(), 0, None, args.every):
        began = time.process_time()
        found = case.found()
        times.append(time.process_time() - began)
        said = verdict(case, found)
        by_print[case.print_as][said] += 1
        by_family[f"{case.schedule.family} {getattr(case.schedule, 'shape', '')}"][said] += 1
        if args.show and said != "right":
            print(said, "|", case, "|", found, flush=True)
    for name, counts in (("print", by_print), ("family", by_family)):
        kinds = ("right", "open", "other fields", "other family", "none")
        total = sum(counts.values(), Counter())
        rows = [
            (key, n := sum(c.values()), *(c[k] for k in kinds), f"{100 * c['right'] / max(n - c['open'], 1):.1f} %")
            for key, c in (*counts.items(), ("all", total))
        ]
        show((name, "cases", *kinds, "right of those told"), rows)
    most = f"95 % below {np.quantile(times, 0.95):.3f}, all below {max(times):.3f}"
    print(f"CPU seconds: median {np.median(times):.3f}, {most}.")

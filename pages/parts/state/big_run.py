"""The run that a decision is about: size, batch, length, peak and warm-up, which all candidates share. No Streamlit.

Changing it changes the candidates, each with its own shares kept: a cooldown over the last fifth stays the last fifth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from optlaws_core import Plan, Schedule, ScheduleError
from optlaws_core.schedules import parts
from optlaws_core.schedules.entries import LARGEST, rounded_rate

from . import candidates as c
from .candidates import Candidate

CLOSE = 1e-4  # of the peak: rates are written in four digits
FINAL = 0.1  # of the peak, as in the usual cosine
MOST_FINAL = 0.5  # of the peak, at which a rate that ends there or higher has not decayed


@dataclass(frozen=True)
class BigRun:
    """What is to be trained. Lengths in updates."""

    peak: float
    warmup: int
    total: int
    params: float | None = None  # trainable parameters; None: not said
    batch_tokens: float | None = None  # tokens in an update; None: not said
    final: float | None = None  # share of the peak at which all candidates end that can; None: each at its own

    @classmethod
    def like(cls, plans: Iterable[Plan]) -> BigRun:
        """The longest of the runs at hand, one at least: where nobody says otherwise, it is to be done anew.

        Of several of one length, one of the size and batch that most runs have.
        """
        plans = list(plans)
        alike = Counter((p.params, p.batch_tokens) for p in plans)

        def place(p: Plan) -> tuple:
            common = alike[p.params, p.batch_tokens]
            return p.schedule.total, common, _length(p.schedule), p.params or 0, p.batch_tokens or 0

        longest = max(plans, key=place)
        schedule = longest.schedule
        return cls(
            rounded_rate(schedule.peak),
            min(schedule.warmup_end, schedule.total - 1),
            schedule.total,
            longest.params,
            longest.batch_tokens,
            final_share([plan.schedule for plan in plans]),
        )

    @classmethod
    def kept(cls, values: Mapping[str, float | None]) -> BigRun | None:
        """What was kept between two visits as plain values; None where nothing was, or what makes no sense."""
        known = {f.name: values.get(f.name) for f in fields(cls)}
        numbers = [known[name] for name in ("peak", "warmup", "total")]
        if None in numbers:
            return None
        peak, warmup, total = (float(v) for v in numbers if v is not None)
        if not (0 < peak <= LARGEST and 0 <= warmup < total <= LARGEST):
            return None
        final = known["final"]
        final = final if final is not None and 0 <= final <= 1 else None
        return cls(peak, int(warmup), int(total), known["params"] or None, known["batch_tokens"] or None, final)

    def following(self, old: BigRun, new: BigRun) -> BigRun:
        """The same with what it had of the `old` logs as the `new` ones have it; what was typed, or linked, stays."""
        names = [f.name for f in fields(self) if getattr(self, f.name) == getattr(old, f.name)]
        run = replace(self, **{name: getattr(new, name) for name in names})
        return replace(run, warmup=min(run.warmup, run.total - 1))

    def of(self, candidates: Sequence[Candidate]) -> BigRun:
        """The same with length, peak and warm-up of the candidates, each where none of them has this one's any more.

        Then the first in use tells it: a link, an edit, an undo or another tab brought it. A final rate that is no
        longer that of all is dropped.
        """
        known = [c.schedule for c in candidates if c.schedule is not None]
        first = next((c.schedule for c in candidates if c.on and c.schedule is not None), None)
        if first is None:
            return self
        total = self.total if any(s.total == self.total for s in known) else first.total
        peak = self.peak if any(s.peak == self.peak for s in known) else first.peak
        warmup = self.warmup if any(s.warmup == self.warmup for s in known) else first.warmup
        final = self.final if all(self._ends_there(candidate) for candidate in candidates) else None
        return replace(self, peak=peak, warmup=min(warmup, total - 1), total=total, final=final)

    def _ends_there(self, candidate: Candidate) -> bool:
        """Whether a candidate has the final rate of all, as far as its family can have it."""
        made = None if self.final is None else c.ending_at(candidate, self.final)
        return made is None or made.schedule == candidate.schedule

    def ending_elsewhere(self, candidates: Sequence[Candidate]) -> list[str]:
        """What those in use are called in a sentence that do not end at the final rate of all, as they cannot."""
        if self.final is None:
            return []
        return [
            name
            for candidate, name in zip(candidates, c.spoken(candidates), strict=True)
            if candidate.on and (s := candidate.schedule) is not None
            if abs((end := float(s(s.total)) / s.peak) - self.final) > CLOSE and end < 1  # a constant rate never falls
        ]

    @property
    def tokens(self) -> float | None:
        """Tokens seen in all; None where the batch is not known."""
        return None if self.batch_tokens is None else self.total * self.batch_tokens


def final_share(schedules: Sequence[Schedule]) -> float:
    """Where all candidates end if nobody chooses, as a share of the peak, so that a first answer compares shapes alone.

    That of the longest cosine at hand, which candidates are compared with, or else of the longest run of another family
    that decays to one; `FINAL` where the runs have none.
    """
    ending = [rate for rate in (parts(schedule)[0] for schedule in schedules) if _decays(rate)]
    if not ending:
        return FINAL
    told = max(ending, key=lambda s: (s.family == "cosine", _length(s)))
    return float(f"{float(told(told.total)) / told.peak:.4g}")


def _length(schedule: Schedule) -> tuple[int, bool, float, str]:
    """Runs from the shortest to the longest; of one length cosines last, so that the order of loading is none."""
    return schedule.total, parts(schedule)[0].family == "cosine", schedule.peak, schedule.text


def _decays(rate: Schedule) -> bool:
    """Whether a rate falls to the final one that it has: not in mid-cycle at its end, and far below its peak."""
    if not c.has_final(rate):
        return False
    end = float(rate(rate.total))
    return end < MOST_FINAL * rate.peak and abs(end - float(getattr(rate, "final", None) or 0)) <= CLOSE * rate.peak


@dataclass
class Aim:
    """What a visitor decides about."""

    big_run: BigRun | None = None  # None: nothing is known of it yet


def moved(candidates: Sequence[Candidate], old: BigRun, new: BigRun) -> list[Candidate]:
    """The candidates for another big run: lengths and rates in proportion, the same warm-up where they had the old one.

    Where the new one has a final rate for all, they end there.
    A candidate of which no schedule of its family is left keeps its numbers, and so does one that is no schedule.
    """
    return [_moved(candidate, old, new) for candidate in candidates]


def _moved(candidate: Candidate, old: BigRun, new: BigRun) -> Candidate:
    schedule = candidate.schedule
    if schedule is None:
        return candidate
    total = schedule.total if new.total == old.total else max(1, round(schedule.total * new.total / old.total))
    if new.peak == old.peak or schedule.peak == old.peak:
        peak = schedule.peak if new.peak == old.peak else new.peak
    else:
        peak = rounded_rate(schedule.peak * new.peak / old.peak)
    warmup = new.warmup if schedule.warmup == old.warmup else None
    try:
        made = c.with_text(candidate, schedule.resized(total=total, peak=peak, warmup=warmup).text)
    except ScheduleError:
        return candidate
    return made if new.final is None else c.ending_at(made, new.final) or made

"""A small run that tries a candidate: its schedule at that size, the law that predicts it, what was predicted and seen.

All bundled runs of the smallest size at this peak have the same warm-up, so that a law fitted to them knows of no
other: a small run has it, too, and is held against its prediction from there on. Every other length keeps its share.
"""

from __future__ import annotations

import csv
import functools
import io
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from optlaws_core import Plan, Prediction, Run, Schedule, rank, select, with_bands
from optlaws_core.errors import DesignError, ScheduleError
from optlaws_core.fitting.selection import POOL
from optlaws_core.prediction.agreement import Agreement, agreement, in_order, in_words
from optlaws_core.prediction.pairs import Pair, compare
from optlaws_core.readers import Source
from optlaws_core.schedules import Joint
from optlaws_core.text import chance, counted, listed

from ..server import trainer, workers
from ..state.bundled import ROOT, on_held_out_losses

BUNDLED = ROOT / "data" / "small_runs.csv"
UPDATES = 1_000  # of the longest small run
WARMUP = 200  # updates, as the bundled runs of this size have
PEAK = 8e-3  # theirs; of the highest candidate
SHORTEST = 500  # updates: a shorter run is warm-up for the most part, and shorter than any that the law was fitted to
VALIDATE_EVERY = LOGGED_EVERY = 25  # updates
# On two quiet cores, for one run of `UPDATES`, and before the first: one candidate took 46 s, two took 78.
SECONDS, BEFORE = 32.0, 14.0
MOST = 2  # candidates at once
SAME = 0.02  # of the peak: schedules that are nowhere further apart are one and the same to whoever holds one out
FITTING = 0.1  # share of the work


def at_small_size(schedules: Sequence[Schedule]) -> list[Schedule]:
    """Candidates as small runs: the longest has `UPDATES`, the highest `PEAK`, others in proportion to these.

    Raises `ScheduleError` for a candidate that schedules more than its rate, and where one is too short beside another.
    """
    longest, highest = max(s.total for s in schedules), max(s.peak for s in schedules)
    return [_small(s, round(UPDATES * s.total / longest), PEAK * s.peak / highest) for s in schedules]


def _small(schedule: Schedule, total: int, peak: float) -> Schedule:
    if isinstance(schedule, Joint):
        raise ScheduleError(
            "A small run tries a learning rate alone, and this candidate schedules its batch, averages its weights or "
            f"sets its weight decay: {schedule.text}."
        )
    if total < SHORTEST:
        raise ScheduleError(
            f"A small run has at least {SHORTEST} updates; beside the longer candidate, {schedule.text} would have "
            f"{total}. Try it by itself."
        )
    return schedule.resized(total=total, peak=peak, warmup=WARMUP)


def same_shape(one: Schedule, other: Schedule) -> bool:
    """Whether two schedules are all but one and the same, once they have one length, peak and warm-up."""
    try:
        one = one.resized(total=other.total, peak=other.peak, warmup=other.warmup)
    except ScheduleError:
        return False
    t = np.linspace(0, other.total, 401)
    return bool(np.abs(one(t) - other(t)).max() <= SAME * other.peak)


def runs() -> tuple[Run, ...]:
    """The bundled runs that small runs are like, on held-out losses."""
    return on_held_out_losses(BUNDLED)


@dataclass(frozen=True)
class Evidence:
    """The bundled runs that a small run is predicted from."""

    used: tuple[Run, ...]
    left_out: tuple[str, ...]  # names of those that have a schedule of the small runs

    @classmethod
    def of(cls, schedules: Sequence[Schedule]) -> Evidence:
        """All bundled runs but those of the shape of one of the schedules."""
        same = [run for run in runs() if any(same_shape(s, run.known_plan.schedule) for s in schedules)]
        return cls(tuple(run for run in runs() if run not in same), tuple(run.name for run in same))

    @property
    def sentence(self) -> str:
        """What the prediction rests on."""
        said = f"Predicted by the usual laws, fitted to {counted(len(self.used), 'bundled run')} of that size"
        if not self.left_out:
            return f"{said}, none of which has such a schedule."
        what = "whose schedules are the ones tried" if len(self.left_out) > 1 else "which has a schedule that is tried"
        return f"{said}, without {listed(self.left_out)}, {what}."


@dataclass(frozen=True)
class Foreseen:
    """What was predicted before anything was trained: each run with its bands, and the first against the second."""

    predictions: tuple[Prediction, ...]
    pair: Pair | None


def foresee(schedules: Sequence[Schedule], runs: Sequence[Run], progress: Callable[..., bool]) -> Foreseen:
    """Fit the usual laws to `runs`, and predict the held-out losses of the schedules after their warm-up."""
    model = select(POOL, runs, processes=1, progress=progress).trusted
    known = runs[0].known_plan

    def plan(schedule: Schedule) -> Plan:
        return Plan(schedule, params=known.params, batch_tokens=known.batch_tokens)

    predictions = tuple(with_bands(model, plan(s), validated(s.total)) for s in schedules)
    pair = None
    if len(schedules) > 1:
        ranked = rank(model, schedules, savings=False)
        pair = compare(model, ranked, schedules[1])[[r.schedule for r in ranked].index(schedules[0])].pair
    return Foreseen(predictions, pair)


def validated(total: int) -> list[int]:
    """Steps after the warm-up whose held-out losses a run has, the last one among them."""
    return [*range(WARMUP + VALIDATE_EVERY - 1, total - 1, VALIDATE_EVERY), total - 1]


@dataclass
class SmallRuns:
    """One or two candidates as they are tried: what was predicted, and what has come so far. (k,) runs in all."""

    names: tuple[str, ...]
    spoken: tuple[str, ...]
    colors: tuple[int, ...]
    schedules: tuple[Schedule, ...]  # at the small size
    evidence: Evidence
    foreseen: Foreseen | None = None  # set once, before the training begins
    rows: tuple[list[dict], ...] = ()  # of each run's log
    ends: dict[int, dict[str, str]] = field(default_factory=dict)  # what the manifest says of a run that has ended
    began: float | None = None  # s, when the first row came
    seen: float = 0.0  # s, when the latest one came

    @classmethod
    def of(cls, names: Sequence[str], spoken: Sequence[str], colors: Sequence[int], schedules: Sequence[Schedule]):
        """Candidates to be tried. Raises `ScheduleError` for what no small run can try."""
        small = tuple(at_small_size(schedules))
        rows: tuple[list[dict], ...] = tuple([] for _ in small)
        return cls(tuple(names), tuple(spoken), tuple(colors), small, Evidence.of(small), rows=rows)

    def hear(self, message: dict) -> None:
        """Take in what the training program tells."""
        self.seen = time.monotonic()
        if self.began is None:
            self.began = self.seen
        if "row" in message:
            self.rows[message["run"]].append(message["row"])
        else:
            self.ends[message["run"]] = message["end"]

    @property
    def done(self) -> int:
        """Updates of all runs so far."""
        return sum(rows[-1]["step"] + 1 for rows in self.rows if rows)

    @property
    def total(self) -> int:
        """Updates of all runs."""
        return sum(s.total for s in self.schedules)

    @property
    def seconds_left(self) -> float | None:
        """Until the last update, at the speed so far; None where too little was seen of that."""
        timed = self.done - LOGGED_EVERY
        if self.began is None or timed <= 0:
            return None
        return (self.seen - self.began) / timed * (self.total - self.done)

    @property
    def at_work(self) -> int:
        """The run that is being trained, or was the last."""
        return max((i for i, rows in enumerate(self.rows) if rows), default=0)

    def losses(self, i: int) -> tuple[list[int], list[float]]:
        """Steps and held-out losses of a run so far, both (n,)."""
        seen = [(row["step"], row["val_loss"]) for row in self.rows[i] if row["val_loss"] is not None]
        return [step for step, _ in seen], [loss for _, loss in seen]

    def agreement(self, i: int) -> Agreement | None:
        """A run so far beside its prediction; None where nothing can be said yet."""
        return None if self.foreseen is None else agreement(self.foreseen.predictions[i], *self.losses(i))

    @property
    def told_before(self) -> str:
        """What was predicted before the training began, and from what."""
        if self.foreseen is None:
            return ""
        said = f"{self.evidence.sentence} The 90 % bands begin after the warm-up, and were drawn before the training."
        pair = self.foreseen.pair
        if pair is None or pair.p_below is None:
            return said
        lower = int(pair.difference > 0)
        p = 1 - pair.p_below if lower else pair.p_below
        return f"{said} Predicted to end lower: {self.names[lower]}, with a probability of {chance(p)}."

    @property
    def doubts(self) -> list[str]:
        """What else is to be known of the runs."""
        read = {end["corpus_sha256"] for end in self.ends.values()}
        if read <= {run.about["corpus_sha256"] for run in self.evidence.used}:
            return []
        return [
            "The bundled runs learned the source of another Python version than this one, so their losses, and "
            "predictions from them, are for a slightly different text."
        ]

    @property
    def verdict(self) -> list[str]:
        """What became of the predictions, a sentence or two for each run that came so far, and for two, one on both."""
        found = [self.agreement(i) for i in range(len(self.schedules))]
        said = []
        for i, (name, seen) in enumerate(zip(self.spoken, found, strict=True)):
            if self.ends.get(i, {}).get("outcome") == "diverged":
                said.append(f"{_begun(name)} diverged, which no law of losses predicts.")
            elif seen is not None:
                said.append(in_words(_begun(name), seen, i in self.ends))
        if len(self.ends) == MOST and all(seen is not None for seen in found):
            said.append(_begun(in_order(self.spoken, [a.predicted for a in found], [a.loss for a in found])))
        return said


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def carry_out(tried: SmallRuns, progress: Callable[..., bool]) -> SmallRuns:
    """Predict, then train. What comes is put into `tried` at once. Raises like `workers.done` and `trainer.train`."""

    def fitting(share: float, best: float | None = None, /) -> bool:
        return progress(FITTING * share)

    def training() -> bool:
        return progress(FITTING + (1 - FITTING) * tried.done / tried.total)

    tried.foreseen = workers.done(functools.partial(foresee, tried.schedules, tried.evidence.used), fitting)
    if any(p.prediction is None for p in tried.foreseen.predictions):
        raise DesignError("The remaining bundled runs do not show how far off a law is, so there is no band.")
    trainer.train([s.text for s in tried.schedules], VALIDATE_EVERY, tried.hear, training)
    return tried


# ---------------------------------------------------------------------------------------------------- taken away


def files(tried: SmallRuns) -> list[Source]:
    """The runs that went to their ends as the bundled ones are kept: a log each, and a manifest."""
    done = sorted(tried.ends)
    if not done:
        return []
    names = [f"small_run_{tried.schedules[i].family}_{i + 1}" for i in done]
    rows = [tried.ends[i] | {"run": name, "file": f"{name}.csv"} for i, name in zip(done, names, strict=True)]
    logs = [Source(f"{name}.csv", _csv(tried.rows[i])) for i, name in zip(done, names, strict=True)]
    return [*logs, Source("manifest.csv", _csv(rows))]


def zipped(sources: Sequence[Source]) -> bytes:
    """Files as one archive, which the app reads, too."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sources:
            archive.writestr(source.name, source.data)
    return made.getvalue()


def _csv(rows: Sequence[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return text.getvalue().encode()

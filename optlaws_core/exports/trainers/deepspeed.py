"""DeepSpeed: the scheduler of its JSON, of its own classes or of PyTorch's, which it takes by name."""

import json
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import FloatArray
from ...schedules.base import Schedule
from ...schedules.data_stages import SequenceLength
from ...schedules.joint_schedule import Joint, beside, parts, without
from ...schedules.pieces import Step
from ..base import Export, Target, checked, plain, word
from ..code import lambda_code, lambda_lr, scalar
from ..nearest import Nearest, Options, levels, nearest, warmups
from ..plans import cannot, told
from ..shapes import fall, rise

KEY, TITLE = "deepspeed", "DeepSpeed"
TINY = 1e-12  # a factor in the place of 0, for schedulers that take none


@dataclass(frozen=True)
class Scheduler(Options):
    """A class of DeepSpeed or PyTorch, whose name is the record's."""

    peak: float

    @property
    @abstractmethod
    def params(self) -> dict[str, object]:
        """The "params" of the JSON."""


@dataclass(frozen=True)
class WarmupLR(Scheduler):
    """A warm-up from `low`. DeepSpeed's own classes lag: update t has the rate of their step t − 1."""

    warmup: int
    low: float

    @property
    def params(self) -> dict[str, object]:
        ends = {"warmup_min_lr": self.low, "warmup_max_lr": self.peak}
        return ends | {"warmup_num_steps": self.warmup, "warmup_type": "linear"}

    def rates(self, t: FloatArray) -> FloatArray:
        w, i = np.maximum(2, self.warmup), np.maximum(t - 1, 0)
        return self.low + (self.peak - self.low) * np.where(i < w, i / w, self._late(i, w))

    def _late(self, i: FloatArray, w: int) -> FloatArray:
        return np.ones_like(i)


@dataclass(frozen=True)
class WarmupDecayLR(WarmupLR):
    """A warm-up from `low` and a line back to it at `total`."""

    total: int

    @property
    def params(self) -> dict[str, object]:
        return {"total_num_steps": self.total} | super().params

    def _late(self, i: FloatArray, w: int) -> FloatArray:
        return np.clip((self.total - i) / np.maximum(1, self.total - w), 0, None)


@dataclass(frozen=True)
class WarmupCosineLR(Scheduler):
    """A warm-up from `first` of the peak and half a cosine to `low` at `total`; 0 in the very first update."""

    warmup: int
    first: float
    low: float
    total: int

    @property
    def params(self) -> dict[str, object]:
        early = {"warmup_min_ratio": self.first, "warmup_num_steps": self.warmup}
        late = {"cos_min_ratio": self.low / self.peak, "warmup_type": "linear"}
        return {"total_num_steps": self.total} | early | late

    def rates(self, t: FloatArray) -> FloatArray:
        w, i, low = np.maximum(2, self.warmup), t - 1, self.low / self.peak
        early = self.first + (1 - self.first) * i / w
        late = low + (1 - low) * fall("cosine", (i - w + 1) / np.maximum(1, self.total - w))
        return np.where(i < 0, 0.0, self.peak * np.where(i < w, early, late))


@dataclass(frozen=True)
class OneCycleLR(Scheduler):
    """PyTorch's, with lines: from 0 to the peak and down to `low`."""

    total: int
    warmup: int
    low: float

    @property
    def params(self) -> dict[str, object]:
        ends = {"max_lr": self.peak, "total_steps": self.total + 1, "pct_start": (self.warmup + 1) / (self.total + 1)}
        lines = {"anneal_strategy": "linear", "cycle_momentum": False, "div_factor": 1 / TINY}
        return ends | lines | {"final_div_factor": self.peak * TINY / self.low if self.low else 1 / TINY}

    def rates(self, t: FloatArray) -> FloatArray:
        w, total = self.warmup, self.total
        late = self.low + (self.peak - self.low) * fall("linear", (t - w) / (total - w))
        return np.where(t < w, self.peak * rise(t, w), late)


@dataclass(frozen=True)
class LinearLR(Scheduler):
    """PyTorch's: from the share `first` of the peak to `last` over the first `length` updates, then constant."""

    first: float
    last: float
    length: int

    @property
    def params(self) -> dict[str, object]:
        return {"start_factor": self.first, "end_factor": self.last, "total_iters": self.length}

    def rates(self, t: FloatArray) -> FloatArray:
        return self.peak * (self.first + (self.last - self.first) * np.minimum(t / self.length, 1.0))


@dataclass(frozen=True)
class CosineAnnealingLR(Scheduler):
    """PyTorch's: half a cosine from the peak to `low`."""

    total: int
    low: float

    @property
    def params(self) -> dict[str, object]:
        return {"T_max": self.total, "eta_min": self.low}

    def rates(self, t: FloatArray) -> FloatArray:
        return self.low + (self.peak - self.low) * fall("cosine", t / self.total)


@dataclass(frozen=True)
class MultiStepLR(Scheduler):
    """PyTorch's: times `gamma` at each of the milestones."""

    gamma: float
    milestones: tuple[int, ...]

    @property
    def params(self) -> dict[str, object]:
        return {"milestones": list(self.milestones), "gamma": self.gamma}

    def rates(self, t: FloatArray) -> FloatArray:
        return self.peak * np.power(self.gamma, np.searchsorted(self.milestones, t, side="right"))


def candidates(schedule: Schedule) -> Iterator[Scheduler]:
    p, total = schedule.peak, schedule.total
    schedule = parts(schedule)[0]
    for w in warmups(schedule):
        yield LinearLR(p, TINY if w else 1.0, 1.0, max(w, 1))
        for low in levels(schedule):
            if w:
                yield OneCycleLR(p, total, w, low)
            else:
                yield LinearLR(p, 1.0, low / p, total)
                yield CosineAnnealingLR(p, total, low)
            for v in {max(w - 1, 1), max(w, 1), w + 1}:
                yield from (WarmupCosineLR(p, v, 1 / max(w, 1), low, end) for end in (total, total + 1))
                yield WarmupDecayLR(p, v, low, max(total - 1, 1))
        for v in {max(w - 1, 1), max(w, 1)}:
            yield WarmupLR(p, v, 0.0)
    if isinstance(schedule, Step) and not schedule.warmup and schedule.values[0]:
        yield MultiStepLR(p, schedule.values[0] / p, schedule.boundaries)


def plan(joint: Joint) -> Export:
    """The same with a curriculum of sequence lengths. Raises `ScheduleError` for a plan with more."""
    if more := without(joint, "sequence") if joint.batch or joint.average else None:
        raise cannot(TITLE, told(more))
    assert joint.sequence is not None
    if joint.sequence.constant:
        return _written(joint, (_loaded(joint.sequence),), {})
    if joint.sequence.values[-1] <= max(joint.sequence.values[:-1]):
        raise cannot(TITLE, "sequence lengths of which the last is not the longest, at which its curriculum ends")
    return _written(joint, CURRICULUM, {"curriculum_learning": _curriculum(joint.sequence)})


CURRICULUM = (
    "The model must cut its inputs to the curriculum_seqlen that its forward is given, so that an update reads fewer "
    "tokens while that is short.",
)


def _curriculum(sequence: SequenceLength) -> dict[str, object]:
    """Lengths, each with the last update that has it, which DeepSpeed counts from 1."""
    return {
        "enabled": True,
        "curriculum_type": "seqlen",
        "min_difficulty": min(sequence.values),
        "max_difficulty": max(sequence.values),
        "schedule_type": "fixed_discrete",
        "schedule_config": {"difficulty": list(sequence.values), "max_step": list(sequence.breaks[1:])},
    }


def write(schedule: Schedule) -> Export:
    """The scheduler of a DeepSpeed JSON; comments and the check table are fields of it that DeepSpeed passes over."""
    return _written(schedule, (), {})


def _written(schedule: Schedule, also: tuple[str, ...], more: dict[str, object]) -> Export:
    """The JSON, with `also` among its notes and `more` among its fields."""
    found: Nearest[Scheduler] = nearest(schedule, candidates(schedule), {"low": (0.0, schedule.peak)})
    o, notes = found.options, found.notes(TITLE)
    notes = (*notes, f"The optimizer's lr must be {word(o.peak)}.", *also)
    steps = checked(schedule)
    rows = zip(steps, o.rates(np.array(steps, dtype=float)), schedule(steps), strict=True)
    said = (f"{TITLE}: {schedule.text}", "Updates count from 0; lr is what update t uses.", *notes)
    config = {
        "_comment": [plain(t) for t in said],
        "scheduler": {"type": type(o).__name__, "params": o.params},
        **more,
        "_check": [{"step": t, "lr": float(x), "of the schedule": float(y)} for t, x, y in rows],
    }
    return Export(KEY, json.dumps(config, indent=1) + "\n", ".json", found.exact, found.deviation, notes)


ABOUT = "For deepspeed.initialize(..., lr_scheduler=scheduler_for); make the optimizer with lr=PEAK."
MERGE = 'Merge CURRICULUM_LEARNING into the JSON, as its "curriculum_learning": the scheduler does not change lengths.'


def code(schedule: Schedule, notes: tuple[str, ...]) -> Export:
    """A LambdaLR, beside the field of the JSON with the lengths where a plan changes them, which is never exact."""
    sequence = beside(schedule).get("sequence")
    if sequence is None:
        return lambda_code(KEY, TITLE, ABOUT)(schedule, notes)
    if sequence.constant:
        return lambda_code(KEY, TITLE, ABOUT)(schedule, (*notes, _loaded(sequence)))
    tail = f"{lambda_lr(ABOUT)}\n\nCURRICULUM_LEARNING = {_curriculum(sequence)!r}\n"
    return replace(scalar(schedule, KEY, TITLE, "lr_at", "step", tail, (*notes, MERGE, *CURRICULUM)), exact=False)


def _loaded(sequence: SequenceLength) -> str:
    return f"Sequences of {sequence.values[0]} tokens are a setting of the data loader."


TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=code,
    plan=plan,
    holds=frozenset({"sequence"}),
    native="constant and linear; cosine and steps of one ratio without a warm-up",
    source="https://deepspeed.readthedocs.io/en/latest/schedulers.html",
    version="DeepSpeed 0.19",
)

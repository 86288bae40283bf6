"""OLMo-core: stages of its ComposableScheduler, lines and half-cosines, or its PowerLR or WSD where that is as near.

PowerLR is the Power Scheduler in updates: a linear warm-up, (t/warmup)^b, a line at the end. It counts an update before
it takes it, and cannot be told to begin with a rate of 0, so it is one update early all along: never exact for a
schedule whose first update has the rate 0. The warm-up of its WSD is early, too; without one it is a line at the end.

Its BatchSizeSchedulerCallback counts tokens and updates as plans do. It multiplies the optimizer's lr by the square
root of each change, which stages with absolute rates do not heed, and puts an increase off until the batches so far can
be regrouped. Its ModelMergeCallback is the mean over the last updates, each of them.

Its SequenceLengthSchedulerCallback splits sequences and leaves the tokens of a batch as they are: the length is the
first one times the largest power of 2 that a line from the first to the last one has reached, counted from 1.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import FloatArray
from ...schedules import WSD, Power, PowerScheduler
from ...schedules.averaging import Average, Merge
from ...schedules.base import Schedule
from ...schedules.data_stages import SequenceLength
from ...schedules.joint_schedule import Joint
from ...text import relative_error
from ..base import EXACT, Export, Rates, Target, check_comment, deviation, heading, too_far, word
from ..code import scalar
from ..lines import followed, segments
from ..plans import Staircase, cannot, staircase

KEY, TITLE = "olmo_core", "OLMo-core"
STAGES = 100  # for a stretch that is neither a line nor half a cosine
NEARLY = 1e-6  # of the peak, at which no more stages are added


@dataclass(frozen=True)
class Own:
    """One of OLMo-core's schedulers that has the schedule's form: as Python, its rates, and where it differs."""

    call: str
    rates: Rates
    early: str

    @property
    def name(self) -> str:
        return self.call.partition("(")[0]


def write(schedule: Schedule) -> Export:
    """A stage for each stretch of the schedule, many for one that is no line and no cosine; or its own, if as near."""
    own = _power_lr(schedule) or _wsd(schedule)
    if not own:
        return _stages(schedule)
    far = deviation(schedule, own.rates)
    also = f"{own.call} is the same curve {own.early}, off by up to {relative_error(far)} of the peak."
    found = _stages(schedule, *([] if too_far(far) else [also]))
    return _written(schedule, own, far) if far <= EXACT or far < found.deviation else found


def plan(joint: Joint) -> Export:
    """Stages with absolute rates, and callbacks for batch, sequence length and average."""
    callbacks, notes, off = [], [], []
    if joint.batch:
        batch = staircase(joint, TITLE)
        off = [*batch.notes, *_late(batch), *_broken(batch, joint.sequence)]
        notes.append(f"The data loader's global_batch_size must be {batch.size[0]}, in tokens.")
        if batch.changes:
            callbacks.append(_batch(batch))
            notes.append(f"The trainer's max_duration must be Duration.steps({joint.total}).")
    if joint.sequence:
        callbacks.append(_lengths(joint.sequence))
        notes.append(f"The dataset's sequence_length must be {joint.sequence.values[-1]}.")
    if joint.average:
        callbacks.append(_merged(joint.average, joint.total))
    made = _stages(joint, *off, *notes, callbacks="".join(callbacks), absolute=True)
    # What is rounded or late is said first, as every reason why an export is not exact.
    first = (*(made.notes[:1] if not made.exact else ()), *off)
    rest = tuple(note for note in made.notes if note not in first)
    return replace(made, exact=made.exact and not off, notes=(*first, *rest))


def _stages(schedule: Schedule, *also: str, callbacks: str = "", absolute: bool = False) -> Export:
    """The ComposableScheduler, its rates as shares of the peak or `absolute`; `also` are notes."""
    found = segments(schedule, STAGES, NEARLY)

    def rates(t: FloatArray) -> FloatArray:
        return followed(found, t)

    far = deviation(schedule, rates)
    p = schedule.peak
    notes: tuple[str, ...] = (f"The optimizer's lr must be {word(p)}, and units steps.", *also)
    if far > EXACT:
        most = f"{len(found)} of them are off by up to {relative_error(far)} of the peak."
        notes = (f"OLMo-core has lines and cosines only: {most}", *notes)
    unit, kind = (1.0, "lr") if absolute else (p, "lr_fraction")
    # OLMo-core counts an update before it takes it: the first one is at 1, so a stage of one step stands for 0.
    first = found[0].first / unit
    rows = [(1, "linear", first, first), *((s.end - s.start, s.shape, s.first / unit, s.last / unit) for s in found)]
    lines = "".join(
        f'        ComposableSchedulerStage(duration={d}, shape="{shape}", start_{kind}={word(a)}, '
        f"end_{kind}={word(b)}),\n"
        for d, shape, a, b in rows
    )
    text = heading(schedule, TITLE, notes) + (
        "\nfrom olmo_core.optim.scheduler import ComposableScheduler, ComposableSchedulerStage\n"
        f"{_imports(callbacks)}\n"
        "scheduler = ComposableScheduler(\n    stages=[  # OLMo-core counts from 1; the first stage stands for 0\n"
        f"{lines}    ]\n)\n{callbacks}\n"
    )
    text += check_comment(schedule, None if far <= EXACT else rates)
    return Export(KEY, text, ".py", far <= EXACT, far, notes)


CALLBACKS = ("BatchSizeSchedulerCallback", "ModelMergeCallback", "SequenceLengthSchedulerCallback")


def _imports(callbacks: str) -> str:
    duration = "from olmo_core.train import Duration\n" if "Duration." in callbacks else ""
    names = [name for name in CALLBACKS if name in callbacks]
    return duration + (f"from olmo_core.train.callbacks import {', '.join(names)}\n" if names else "")


def _batch(batch: Staircase) -> str:
    at = ", ".join(f"Duration.steps({begin})" for begin in batch.begin)
    return (
        "\nbatch_size_scheduler = BatchSizeSchedulerCallback(\n"
        f"    batch_sizes={list(batch.size)},\n    schedule=[{at}],\n)\n"
    )


def _lengths(sequence: SequenceLength) -> str:
    """The callback; empty for one length. Raises `ScheduleError` for lengths that do not double as a line rises."""
    if sequence.constant:
        return ""
    kept = [i for i, length in enumerate(sequence.values) if not i or length != sequence.values[i - 1]]
    first, last, over = sequence.values[0], sequence.values[-1], sequence.breaks[kept[-1]] + 1
    t = np.unique([max(b + side, 0) for b in sequence.breaks for side in (-1, 0)])  # it only grows between them
    line = first + (last - first) * (t + 1) / over
    if last < first or not np.array_equal(first * 2.0 ** np.floor(np.log2(line // first)), sequence(t)):
        raise cannot(TITLE, "these sequence lengths, only such as double while a line from the first to the last rises")
    return (
        "\nsequence_length_scheduler = SequenceLengthSchedulerCallback(\n"
        f"    min_sequence_length={first},\n    warmup_steps={over},\n    truncate=False,\n)\n"
    )


def _merged(average: Average, total: int) -> str:
    if not isinstance(average, Merge):
        raise cannot(TITLE, "an exponential average of weights, only a mean over the last updates")
    if average.every != 1:
        raise cannot(TITLE, "a mean of weights some updates apart, only over the last updates, as merge(500, 1) says")
    count = min(average.count, total)
    return f"\nmodel_merger = ModelMergeCallback(merge_step={total}, merge_last_n_steps={count}, enabled=True)\n"


def _late(batch: Staircase) -> tuple[str, ...]:
    """The sentence on an increase that OLMo-core puts off or leaves out; none where it takes all of them in time.

    Raises `ScheduleError` where a size is no multiple and no part of the one before.
    """
    now, processed, since = batch.size[0], 0, 0  # batches so far, counted in batches of the size now
    said: tuple[str, ...] = ()
    ends = (*batch.begin[1:], math.inf)[1:]
    for begin, end, wanted in zip(batch.begin[1:], ends, batch.size[1:], strict=True):
        if max(now, wanted) % min(now, wanted):
            raise cannot(TITLE, f"a step of the batch from {now:,} to {wanted:,} tokens, which is no whole factor")
        processed += begin - since
        wait = -processed % (wanted // now) if wanted > now else 0
        if wait and not said:
            size, later = f"the size of update {begin:,}", f"at update {begin + wait:,}"
            what = f"takes {size} {later} only" if begin + wait < end else f"never takes {size}"
            said = (f"OLMo-core {what}: it waits until the batches so far make whole ones of the new size.",)
        since = begin
        if begin + wait < end:
            processed, now, since = (processed + wait) * now // wanted, wanted, begin + wait
    return said


def _broken(batch: Staircase, sequence: SequenceLength | None) -> tuple[str, ...]:
    """The sentence on a batch that is no whole number of the dataset's sequences; none where all are."""
    if sequence is None:
        return ()
    length = sequence.values[-1]
    return tuple(
        f"OLMo-core reads whole sequences: {size:,} tokens of a batch are no whole number of sequences of {length:,}."
        for size in [size for size in batch.size if size % length][:1]
    )


def _power_lr(schedule: Schedule) -> Own | None:
    """The PowerLR that has the schedule's form."""
    if not isinstance(schedule, (Power, PowerScheduler)) or schedule.warmup_shape != "linear" or not schedule.warmup:
        return None
    if schedule.breaks[1:2] != (schedule.warmup,) or schedule.knee_step > schedule.warmup * (1 + 1e-9):
        return None  # the peak is held for a while
    if not schedule.decay or schedule.shape != "linear":
        return None  # without a line at the end PowerLR divides by 0 in the last update

    def rates(t: FloatArray) -> FloatArray:
        now = np.asarray(t, dtype=float) + 1
        late = schedule(np.maximum(now, schedule.warmup))
        return np.where(now < schedule.warmup, schedule.peak * now / schedule.warmup, late)

    return Own(
        f"PowerLR(b={word(-schedule.exponent)}, warmup={schedule.warmup}, decay={schedule.decay}, decay_fraction=None, "
        f"decay_min_lr={word(schedule.final)})",
        rates,
        "one update early",
    )


def _wsd(schedule: Schedule) -> Own | None:
    """The WSD that has the schedule's form: it is at `decay_min_lr` in the last update, not one past that."""
    if not isinstance(schedule, WSD) or schedule.shape != "linear" or schedule.warmup_shape != "linear":
        return None
    p, w, total = schedule.peak, schedule.warmup, schedule.total
    decay, low = schedule.decay - 1, float(schedule(total - 1))
    if decay < 1 or w + decay >= total or low >= p:
        return None

    def rates(t: FloatArray) -> FloatArray:
        now = np.asarray(t, dtype=float) + 1
        late = low + (p - low) * np.minimum(total - now, decay) / decay
        return np.where(now <= w, p * now / max(w, 1), late)

    call = f"WSD(warmup={w}, decay={decay}, decay_fraction=None, decay_min_lr={word(low)})"
    return Own(call, rates, "with a warm-up that is one update early")


def _written(schedule: Schedule, own: Own, far: float) -> Export:
    """One of OLMo-core's own schedulers and what there is to say of it."""
    exact = far <= EXACT
    notes = (
        *(
            ()
            if exact
            else (f"OLMo-core's {own.name} is {own.early}: off by up to {relative_error(far)} of the peak.",)
        ),
        f"The optimizer's lr must be {word(schedule.peak)}, and units steps.",
    )
    text = heading(schedule, TITLE, notes)
    text += f"\nfrom olmo_core.optim.scheduler import {own.name}\n\nscheduler = {own.call}\n\n"
    text += check_comment(schedule, None if exact else own.rates)
    return Export(KEY, text, ".py", exact, far, notes)


def code(schedule: Schedule, notes: tuple[str, ...]) -> Export:
    """A scheduler of one's own."""
    return scalar(schedule, KEY, TITLE, "lr_at", "step", SCHEDULER, notes)


SCHEDULER = '''

def make_scheduler():
    """A Scheduler of OLMo-core, which counts updates from 1; units are steps."""
    from olmo_core.optim.scheduler import Scheduler

    class Exported(Scheduler):
        def get_lr(self, initial_lr, current, t_max):
            return initial_lr * (lr_at(current - 1) / PEAK)

    return Exported()
'''

TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=code,
    plan=plan,
    holds=frozenset({"sequence"}),
    native="whatever is made of lines and half-cosines",
    source="https://olmo-core.readthedocs.io/en/latest/optim.html",
    version="OLMo-core 3.0",
)

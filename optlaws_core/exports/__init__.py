"""Schedules in the words of trainers: code, configurations and tables, each with how far it is from the schedule.

To add a trainer: a module in `trainers/` with its `TRAINER`, and a line in `TARGETS`.

>>> from optlaws_core.exports import export
>>> from optlaws_core.schedules import parse
>>> found = export(parse("linear(peak=3e-4, warmup=100, total=2000)"), "transformers")
>>> found.exact, found.suffix
(True, '.py')
"""

from dataclasses import replace

from ..errors import ScheduleError, by_name
from ..schedules.base import Schedule
from ..schedules.course import Course
from ..schedules.joint_schedule import Joint, auxiliary_ratio, beside, unknown_to_laws, without
from ..schedules.plan_parts import PARTS, Part
from ..text import format_number, relative_error
from . import tables
from .base import EXACT, FAR, Export, Target, comment, too_far
from .plans import cannot, told
from .trainers import (
    deepspeed,
    levanter,
    llm_foundry,
    maxtext,
    megatron,
    megatron_bridge,
    nanochat,
    nanogpt,
    nanotron,
    olmo_core,
    optax,
    pytorch,
    torchtitan,
    transformers,
)

TARGETS: dict[str, Target] = by_name(
    "targets",
    lambda target: target.key,
    (
        pytorch.TRAINER,
        transformers.TRAINER,
        optax.TRAINER,
        megatron.TRAINER,
        megatron_bridge.TRAINER,
        deepspeed.TRAINER,
        torchtitan.TRAINER,
        olmo_core.TRAINER,
        levanter.TRAINER,
        maxtext.TRAINER,
        nanotron.TRAINER,
        nanochat.TRAINER,
        nanogpt.TRAINER,
        llm_foundry.TRAINER,
        tables.CSV,
        tables.JSON,
    ),
)
LONGEST_SEQUENCE = 2**31
TABLES = tuple(key for key, target in TARGETS.items() if target.takes == "table")


def export(schedule: Schedule, target: str, steps: int | None = None, sequence: int | None = None) -> Export:
    """`schedule` for the trainer `target`, one of `TARGETS`; `steps` is about the number of rows of a table.

    `sequence` is the number of tokens in a sequence, which some trainers need for the batch of a plan that does not
    tell it. Options that are off by more than `FAR` of the peak are not offered: code stands in for them. Raises
    `ScheduleError` for an unknown target, for a chain, for a plan that the trainer cannot express, and for `steps` and
    `sequence` where they have no place.
    """
    if target not in TARGETS:
        raise ScheduleError(f"Unknown target {target[:40]!r}. Known targets: {', '.join(TARGETS)}.")
    if schedule.family == "chain":
        raise ScheduleError("A chain of schedules cannot be exported: export its parts, one by one.")
    known = TARGETS[target]
    if steps is not None and target not in TABLES:
        raise ScheduleError(f"A number of rows is for {' and '.join(TABLES)}, got the target {target!r}.")
    if sequence is not None and not 1 <= sequence <= LONGEST_SEQUENCE:
        raise ScheduleError(f"A sequence has 1 to {LONGEST_SEQUENCE:,} tokens, got {sequence:,}.")
    sequence = _sequence(schedule, sequence)
    for name, part in unknown_to_laws(schedule).items():
        if name not in known.holds:
            return _untold(schedule, PARTS[name], _one_value(schedule, name, part, known), known, sequence)
    if isinstance(schedule, Joint) and known.plan is None:
        raise cannot(known.title, told(schedule))
    write = known.plan if isinstance(schedule, Joint) and known.plan else known.write
    if target in TABLES:
        return write(schedule, steps)
    made = write(schedule, sequence) if needs_sequence(schedule, target) else write(schedule)
    return _instead(schedule, known, made.deviation) if known.code and too_far(made.deviation) else made


def _sequence(schedule: Schedule, asked: int | None) -> int | None:
    """Tokens in a sequence, as the plan tells them or as `asked`. Raises `ScheduleError` where these differ."""
    told = beside(schedule).get("sequence")
    if told is None or not told.constant:
        return asked
    if asked not in (None, told.values[0]):
        raise ScheduleError(f"The plan has sequences of {told.values[0]:,} tokens, got {asked:,} for the export.")
    return told.values[0]


def _untold(plan: Schedule, part: Part, told: str, target: Target, sequence: int | None) -> Export:
    """The plan for a trainer that has one value of a part, elsewhere, with the sentence that says so."""
    made = export(without(plan, part.name), target.key, sequence=sequence)
    said = f"The plan's {part.noun}, {told}, is a setting of {part.setting}, which this export does not write."
    text = made.text if made.suffix == ".json" else f"{comment(said)}{made.text}"
    return replace(made, text=text, exact=False, notes=(said, *made.notes))


def _one_value(plan: Schedule, name: str, part: Course | Schedule, target: Target) -> str:
    """What a part is in every update, in words. Raises `ScheduleError` where it changes."""
    if isinstance(part, Course):
        if not part.constant:
            raise cannot(target.title, f"{PARTS[name].words} that changes")
        return part.told
    ratio = auxiliary_ratio(plan)
    if ratio is None:
        raise cannot(target.title, f"{PARTS[name].words} of another shape than the rate")
    return f"{format_number(float(f'{ratio:.4g}'))} times its rate in every update"


def _instead(schedule: Schedule, target: Target, far: float) -> Export:
    """Code in the place of options that are so `far` off."""
    assert target.code is not None
    most = relative_error(far)
    if isinstance(schedule, Joint) and (schedule.batch or schedule.average):
        raise cannot(target.title, f"this learning rate, of which its options are off by up to {most} of the peak")
    note = f"{target.title}'s own options are off by up to {most} of the peak, so this is the schedule as code."
    return replace(target.code(schedule, (note,)), instead=True)


def needs_sequence(schedule: Schedule, target: str) -> bool:
    """Whether the export of `schedule` to `target` has to know the tokens in a sequence."""
    if not isinstance(schedule, Joint) or schedule.batch is None or not TARGETS[target].counts_sequences:
        return False
    return schedule.sequence is None


__all__ = ["EXACT", "FAR", "LONGEST_SEQUENCE", "TABLES", "TARGETS", "Export", "Target", "export", "needs_sequence"]

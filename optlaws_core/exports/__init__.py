"""Schedules in the words of trainers: code, configurations and tables, each with how far it is from the schedule.

To add a trainer: a module in `trainers/` with its `TRAINER`, and a line in `TARGETS`.

>>> from optlaws_core.exports import export
>>> from optlaws_core.schedules import parse
>>> found = export(parse("linear(peak=3e-4, warmup=100, total=2000)"), "transformers")
>>> found.exact, found.suffix
(True, '.py')
"""

from ..errors import ScheduleError, by_name
from ..schedules.base import Schedule
from . import tables
from .base import EXACT, Export, Target
from .trainers import (
    deepspeed,
    levanter,
    llm_foundry,
    megatron,
    nanogpt,
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
        deepspeed.TRAINER,
        torchtitan.TRAINER,
        olmo_core.TRAINER,
        levanter.TRAINER,
        llm_foundry.TRAINER,
        nanogpt.TRAINER,
        tables.CSV,
        tables.JSON,
    ),
)
TABLES = tuple(key for key, target in TARGETS.items() if target.takes == "table")


def export(schedule: Schedule, target: str, steps: int | None = None) -> Export:
    """`schedule` for the trainer `target`, one of `TARGETS`; `steps` is about the number of rows of a table.

    Raises `ScheduleError` for an unknown target, for a chain, and for `steps` where there is no table.
    """
    if target not in TARGETS:
        raise ScheduleError(f"Unknown target {target[:40]!r}. Known targets: {', '.join(TARGETS)}.")
    if schedule.family == "chain":
        raise ScheduleError("A chain of schedules cannot be exported: export its parts, one by one.")
    if target in TABLES:
        return TARGETS[target].write(schedule, steps)
    if steps is not None:
        raise ScheduleError(f"A number of rows is for {' and '.join(TABLES)}, got the target {target!r}.")
    return TARGETS[target].write(schedule)


__all__ = ["EXACT", "TABLES", "TARGETS", "Export", "Target", "export"]

"""Megatron-Bridge: fields of its ConfigContainer, which sets Megatron's parameter scheduler up."""

from ...schedules.base import Schedule
from ..base import Export, Target, check_comment, heading, python
from ..nearest import nearest
from ..stable import moves
from . import megatron
from .megatron import StableDecay, Style, candidates

KEY, TITLE = "megatron_bridge", "Megatron-Bridge"


def write(schedule: Schedule) -> Export:
    """A function that sets the fields of a configuration."""
    found = nearest(schedule, candidates(schedule), moves(schedule))
    notes = (
        *found.notes(TITLE),
        "To resume a checkpoint with other values, set scheduler.override_opt_param_scheduler as well.",
    )
    lines = "".join(f"    cfg.{name} = {python(value)}\n" for name, value in _fields(found.options).items())
    text = heading(schedule, TITLE, notes) + (
        '\ndef set_schedule(cfg):\n    """Give a ConfigContainer, such as a recipe\'s, this schedule."""\n'
        + lines
        + "\n\n"
    )
    return Export(KEY, text + check_comment(schedule, found.differing), ".py", found.exact, found.deviation, notes)


def _fields(o: Style) -> dict[str, object]:
    fields: dict[str, object] = {
        "train.train_iters": o.total,
        "optimizer.lr": o.peak,
        "optimizer.min_lr": o.low,
        "scheduler.lr_decay_style": o.style,
        "scheduler.lr_decay_iters": o.total,
        "scheduler.lr_warmup_iters": o.warmup,
        "scheduler.lr_warmup_fraction": None,
        "scheduler.lr_warmup_init": 0.0,
    }
    if isinstance(o, StableDecay):
        fields |= {"scheduler.lr_wsd_decay_style": o.fall, "scheduler.lr_wsd_decay_iters": o.decay}
    return fields


def code(schedule: Schedule, notes: tuple[str, ...]) -> Export:
    """The same as for Megatron-LM, whose scheduler it is."""
    return megatron.code(schedule, notes, KEY, TITLE)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=code,
    native=megatron.TRAINER.native,
    source="https://github.com/NVIDIA-NeMo/Megatron-Bridge/blob/main/src/megatron/bridge/training/config.py",
    version="Megatron-Bridge 0.3.1 on megatron-core 0.16",
)

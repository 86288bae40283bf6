"""nanotron: the learning_rate_scheduler of its YAML; one warm-up, one stable phase, one fall."""

from ...schedules.base import Schedule
from ..base import Export, Target, check_comment, heading, word
from ..code import lambda_code
from ..nearest import nearest
from ..stable import StableFall, moves, stable_falls

KEY, TITLE = "nanotron", "nanotron"
STYLES = ("linear", "cosine", "1-sqrt")


def write(schedule: Schedule) -> Export:
    """The parts `optimizer` and `tokens` of nanotron's configuration."""
    found = nearest(schedule, stable_falls(StableFall, schedule, STYLES), moves(schedule))
    o, notes = found.options, found.notes(TITLE)
    if o.shape == "1-sqrt":
        notes = (*notes, "The style 1-sqrt is newer than the release 0.4.")
    decay = o.decay or 1  # without a fall its only update is beyond the last one
    given = {
        "learning_rate": word(o.peak),
        "lr_warmup_steps": o.warmup,
        "lr_warmup_style": "linear" if o.warmup else "constant",  # a line over no updates would begin at 0
        "lr_decay_starting_step": o.total - o.decay,
        "lr_decay_steps": decay,
        "lr_decay_style": o.shape,
        "min_decay_lr": word(o.low),
    }
    lines = "".join(f"    {name}: {value}\n" for name, value in given.items())
    text = heading(schedule, TITLE, notes) + (
        f"\noptimizer:\n  learning_rate_scheduler:\n{lines}tokens:\n  train_steps: {o.total}\n\n"
    )
    return Export(KEY, text + check_comment(schedule, found.differing), ".yaml", found.exact, found.deviation, notes)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=lambda_code(
        KEY, TITLE, "In the place of lr_scheduler_builder, with optimizer.get_base_optimizer(); every lr must be PEAK."
    ),
    native="constant, linear, cosine, and wsd with a linear, cosine or 1-sqrt cooldown",
    source="https://github.com/huggingface/nanotron/blob/main/src/nanotron/helpers.py",
    version="the main branch at 31aa4c4, and nanotron 0.4",
)

"""Schedules in the words of trainers: code, configurations and tables, each with how far it is from the schedule.

>>> from optlaws_core.exports import export
>>> from optlaws_core.schedules import parse
>>> found = export(parse("linear(peak=3e-4, warmup=100, total=2000)"), "transformers")
>>> found.exact, found.suffix
(True, '.py')
"""

from ..errors import ScheduleError
from ..schedules.base import Schedule
from . import code, configs, tables
from .base import EXACT, Export, Target

TARGETS: dict[str, Target] = {
    "pytorch": Target("PyTorch", "any schedule, as the factor of a LambdaLR",
                      "https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html",
                      code.pytorch),
    "transformers": Target("transformers", "constant, linear, cosine, polynomial, power_decay, inverse_sqrt, sgdr "
                           "with whole cycles of one length, and wsd without a warm-up or to 0; any other schedule as "
                           "a LambdaLR",
                           "https://huggingface.co/docs/transformers/main_classes/optimizer_schedules",
                           configs.transformers),
    "optax": Target("optax", "any schedule, as a function of the count",
                    "https://optax.readthedocs.io/en/latest/api/optimizer_schedules.html", code.optax),
    "megatron": Target("Megatron-LM", "constant, linear, cosine, inverse square root over the warm-up, and wsd with a "
                       "linear, cosine or 1-sqrt cooldown",
                       "https://github.com/NVIDIA/Megatron-LM/blob/main/megatron/core/optimizer_param_scheduler.py",
                       configs.megatron),
    "deepspeed": Target("DeepSpeed", "constant and linear; cosine and steps of one ratio without a warm-up",
                        "https://deepspeed.readthedocs.io/en/latest/schedulers.html", configs.deepspeed),
    "torchtitan": Target("torchtitan", "constant, linear, cosine and wsd, without a warm-up",
                         "https://github.com/pytorch/torchtitan/blob/main/torchtitan/components/optimizer/"
                         "lr_scheduler.py", configs.torchtitan),
    "olmo_core": Target("OLMo-core", "whatever is made of lines and half-cosines",
                        "https://olmo-core.readthedocs.io/en/latest/optim.html", configs.olmo_core),
    "llm_foundry": Target("llm-foundry", "a constant without a warm-up; after a warm-up that lags one update, linear, "
                          "inverse_sqrt, and wsd with a linear cooldown",
                          "https://github.com/mosaicml/llm-foundry/blob/main/llmfoundry/optim/scheduler.py",
                          configs.llm_foundry),
    "nanogpt": Target("nanoGPT", "any schedule, as its function get_lr",
                      "https://github.com/karpathy/nanoGPT/blob/master/train.py", code.nanogpt),
    "csv": Target("CSV", "the rates of some steps", "https://www.rfc-editor.org/rfc/rfc4180", tables.csv),
    "json": Target("JSON", "the rates of some steps", "https://www.rfc-editor.org/rfc/rfc8259", tables.json_table),
}  # fmt: skip
TABLES = ("csv", "json")


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

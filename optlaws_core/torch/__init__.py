"""Opt-Laws in the trainer: schedules for PyTorch, and logs of a run as it trains, with forecasts of its end.

>>> from optlaws_core.torch import Recorder, ScheduleLR
>>> scheduler = ScheduleLR(optimizer, "wsd(peak=1e-3, warmup=2%, total=10000, decay=20%)")
>>> recorder = Recorder("runs/a.jsonl", scheduler.schedule, optimizer=optimizer)
>>> recorder.record(step, loss)  # after each update

`TransformersCallback` and `LightningCallback` record in the Trainer of that library, which is loaded with their name.
Nothing else in the package imports this one: the core needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import extra

with extra("torch", "Opt-Laws in the trainer"):
    import torch  # noqa: F401

from .recorder import Recorder
from .schedule_lr import ScheduleLR

if TYPE_CHECKING:  # the same names once more, for editors and type checkers
    from .lightning_callback import LightningCallback
    from .transformers_callback import TransformersCallback

_HOME = {"LightningCallback": "lightning_callback", "TransformersCallback": "transformers_callback"}

__all__ = ["LightningCallback", "Recorder", "ScheduleLR", "TransformersCallback"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)

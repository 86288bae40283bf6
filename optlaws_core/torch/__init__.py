"""Opt-Laws in the trainer: a scheduler of PyTorch for every schedule and plan.

>>> from optlaws_core.torch import ScheduleLR
>>> scheduler = ScheduleLR(optimizer, "wsd(peak=1e-3, warmup=2%, total=10000, decay=20%)")

Nothing else in the package imports it: the core needs no torch.
"""

from ..errors import extra

with extra("torch", "Opt-Laws in the trainer"):
    import torch  # noqa: F401

from .schedule_lr import ScheduleLR

__all__ = ["ScheduleLR"]

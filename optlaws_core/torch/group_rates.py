"""The rate that an optimizer has, and the ratios that its groups have to a schedule."""

from weakref import WeakKeyDictionary

from torch.optim import Optimizer

from .log_file import Number, held

_ratios: WeakKeyDictionary[Optimizer, list[float]] = WeakKeyDictionary()  # of optimizers that a schedule drives


def innermost(optimizer: Optimizer) -> Optimizer:
    """The optimizer of PyTorch that a wrapper, as of accelerate or DeepSpeed, holds."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = inner
    return optimizer


def note_ratios(optimizer: Optimizer, ratios: list[float]) -> None:
    """Take these as what each group has of its schedule's rate; the list may change afterwards."""
    _ratios[innermost(optimizer)] = ratios


def current_rate(optimizer: Optimizer) -> Number:
    """The rate of the first group that is trained, over its ratio to the schedule where that is known.

    A tensor is copied: a scheduler changes it in its place.
    """
    ratios = _ratios.get(innermost(optimizer), [1.0])
    group, ratio = next((pair for pair in enumerate(ratios) if pair[1] > 0), (0, 1.0))
    return held(optimizer.param_groups[group]["lr"]) / ratio


__all__ = ["current_rate", "innermost", "note_ratios"]

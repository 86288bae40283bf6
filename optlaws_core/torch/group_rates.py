"""The rate that an optimizer has, and the ratios that its groups have to a schedule."""

from weakref import WeakKeyDictionary

from torch.optim import Optimizer

from .log_file import Number, held

# of optimizers that a schedule drives: the ratios, and the groups that follow another rate than the schedule's
_ratios: WeakKeyDictionary[Optimizer, tuple[list[float], frozenset[int]]] = WeakKeyDictionary()


def innermost(optimizer: Optimizer) -> Optimizer:
    """The optimizer of PyTorch that a wrapper, as of accelerate or DeepSpeed, holds."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = inner
    return optimizer


def note_ratios(optimizer: Optimizer, ratios: list[float], auxiliary: frozenset[int] = frozenset()) -> None:
    """Take these as what each group has of its schedule's rate, or of its auxiliary one; the list may change."""
    _ratios[innermost(optimizer)] = ratios, auxiliary


def first_main(optimizer: Optimizer) -> int:
    """The first group that does not call itself `"auxiliary"`, as exports for PyTorch have it; 0 where all do."""
    return next((i for i, group in enumerate(optimizer.param_groups) if not group.get("auxiliary")), 0)


def current_rate(optimizer: Optimizer) -> Number:
    """The rate of the first group that is trained, over its ratio to the schedule where that is known.

    A group that follows an auxiliary rate tells that one, and counts only where no other is trained.
    A tensor is copied: a scheduler changes it in its place.
    """
    known = _ratios.get(innermost(optimizer))
    if known is None:
        return held(optimizer.param_groups[first_main(optimizer)]["lr"])
    ratios, auxiliary = known
    trained = sorted((pair for pair in enumerate(ratios) if pair[1] > 0), key=lambda pair: pair[0] in auxiliary)
    group, ratio = trained[0] if trained else (0, 1.0)
    return held(optimizer.param_groups[group]["lr"]) / ratio


__all__ = ["current_rate", "first_main", "innermost", "note_ratios"]

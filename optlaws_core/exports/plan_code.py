"""Batch, average and weight decay of a plan as Python, with PyTorch's averages of weights."""

from ..schedules.averaging import EMA, Average
from ..schedules.batch import Batch, Pieces
from ..schedules.weight_decay import WeightDecay
from .base import word
from .formula import assignment


def batch_code(batch: Batch) -> str:
    """`BATCH_…` and `batch_at(step)`."""
    what = "Batch as a multiple of the training runs'" if batch.relative else "Tokens"
    return _pieces(batch.pieces, "BATCH", "SIZE", "batch_at", f"{what} in update")


def weight_decay_code(decay: WeightDecay) -> str:
    """`WEIGHT_DECAY…`, `weight_decay_at(step)`, and what gives it to an optimizer, where any is above 0."""
    code = _pieces(decay.pieces, "WEIGHT_DECAY", "VALUE", "weight_decay_at", "Weight decay of update")
    highest = f"WEIGHT_DECAY = {word(max(decay.values))}  # the highest, which the groups that decay are made with\n"
    return highest + code + (SET_DECAY if max(decay.values) else "")


def _pieces(pieces: Pieces, prefix: str, value: str, function: str, what: str) -> str:
    """Constants with a prefix, and the function of a step that is `value` of them there."""
    begin, size = f"{prefix}_BEGIN", f"{prefix}_{value}"
    constants, said = {begin: pieces.begin, size: pieces.size}, f"{size}[i]"
    if any(pieces.growth):
        constants[f"{prefix}_GROWTH"] = pieces.growth
        grown = f"{prefix}_GROWTH[i] * (step - {begin}[i])"
        said = f"{said} * exp({grown})" if pieces.geometric else f"{said} + {grown}"
    return "".join(assignment(name, value) for name, value in constants.items()) + (
        f'\n\ndef {function}(step):\n    """{what} `step`, counted from 0."""\n'
        f"    i = bisect_right({begin}, step) - 1\n    return {said}\n"
    )


SET_DECAY = '''

def set_weight_decay(optimizer, step):
    """Give update `step` its weight decay, in the groups that were made with one; call it before optimizer.step().

    Make the optimizer with WEIGHT_DECAY, the highest value: groups of weight decay 0 are left alone.
    """
    if not any(group.get("decays", group["weight_decay"] > 0) for group in optimizer.param_groups):
        raise ValueError("No parameter group was made with a weight decay; make those that decay with WEIGHT_DECAY.")
    for group in optimizer.param_groups:
        if group.setdefault("decays", group["weight_decay"] > 0):
            group["weight_decay"] = weight_decay_at(step)
'''


def average_code(average: Average, total: int) -> str:
    """`averaged_model(model)`, which is PyTorch's AveragedModel, and when to update it."""
    if isinstance(average, EMA):
        return f"DECAY = {word(average.decay)}  # 2**(-1 / half-life), {average.text}\n" + _model(
            "call its update_parameters(model) after each optimizer.step().", "get_ema_multi_avg_fn", "DECAY"
        )
    count = min(average.count, (total - 1) // average.every + 1)
    first = total - 1 - (count - 1) * average.every
    return f"MERGED = range({first}, {total}, {average.every})  # updates, {average.text}\n" + _model(
        "call its update_parameters(model) after each update that is in MERGED.", "get_swa_multi_avg_fn", ""
    )


def _model(when: str, function: str, argument: str) -> str:
    return f'''

def averaged_model(model):
    """A copy of the model that averages its weights; {when}"""
    from torch.optim.swa_utils import AveragedModel, {function}

    return AveragedModel(model, multi_avg_fn={function}({argument}))
'''

"""Batch and average of a plan as Python, with PyTorch's averages of weights."""

from ..schedules.averaging import EMA, Average
from ..schedules.batch import Batch
from .base import word
from .formula import assignment


def batch_code(batch: Batch) -> str:
    """`BATCH_…` and `batch_at(step)`."""
    pieces = batch.pieces
    constants = {"BATCH_BEGIN": pieces.begin, "BATCH_SIZE": pieces.size}
    size = "BATCH_SIZE[i]"
    if any(pieces.growth):
        constants["BATCH_GROWTH"] = pieces.growth
        grown = "BATCH_GROWTH[i] * (step - BATCH_BEGIN[i])"
        size = f"{size} * exp({grown})" if pieces.geometric else f"{size} + {grown}"
    what = "Batch as a multiple of the training runs'" if batch.relative else "Tokens"
    return "".join(assignment(name, value) for name, value in constants.items()) + (
        f'\n\ndef batch_at(step):\n    """{what} in update `step`, counted from 0."""\n'
        f"    i = bisect_right(BATCH_BEGIN, step) - 1\n    return {size}\n"
    )


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

"""What a plan has beside its rate as Python, with PyTorch's averages of weights."""

import re
from dataclasses import dataclass

from ..schedules.averaging import EMA, Average, Merge
from ..schedules.base import Schedule
from ..schedules.batch import Batch
from ..schedules.course import Course
from ..schedules.data_stages import SequenceLength, Texts
from ..schedules.joint_schedule import beside
from ..schedules.weight_decay import WeightDecay
from .base import EXACT, rows_text, word
from .formula import assignment, constants_text, formula, scalar_text


@dataclass(frozen=True)
class Coded:
    """How a part that has a value for every update is written: the names of its constants and of its function."""

    prefix: str
    value: str
    what: str  # begins the function's docstring
    variable: str  # in the check
    near: str  # of the check, in which {at} is the value of the function

    @property
    def function(self) -> str:
        """The name of the function of a step."""
        return f"{self.prefix.lower()}_at"

    def check(self) -> tuple[str, str]:
        """The comment over the check's table, and its assertion."""
        at = f"{self.function}(step)"
        near = self.near.format(at=at)
        loop = f"    for step, {self.variable} in {self.prefix}_CHECK:\n"
        return f"step, {self.what_checked}", f"{loop}        assert {near}, (step, {at}, {self.variable})\n"

    @property
    def what_checked(self) -> str:
        """What the table has beside the steps."""
        return self.prefix.lower().replace("_", " ")


def coded(part: Batch | Course) -> Coded:
    """How this part is written. Raises `TypeError` for a part of another type than these."""
    if isinstance(part, Batch):
        what = "Batch as a multiple of the training runs' in update" if part.relative else "Tokens in update"
        return Coded("BATCH", "SIZE", what, "batch", "abs({at} / batch - 1) <= 1e-9")
    if isinstance(part, SequenceLength):
        return Coded("SEQUENCE", "LENGTH", "Tokens in a sequence in update", "length", "{at} == length")
    if isinstance(part, Texts):
        return Coded("TEXT", "NAME", "The text of update", "name", "{at} == name")
    if not isinstance(part, WeightDecay):
        raise TypeError(f"No code is written for a {type(part).__name__}: say in `coded` how it reads.")
    near = f"abs({{at}} - decay) <= {word(max(part.values) * EXACT)}"
    return Coded("WEIGHT_DECAY", "VALUE", "Weight decay of update", "decay", near)


def plan_code(schedule: Schedule) -> list[str]:
    """The code of each part that a plan has beside its rate; none for a rate alone."""
    return [_part(part, schedule.total) for part in beside(schedule).values()]


def check_code(schedule: Schedule, steps: list[int]) -> tuple[str, str]:
    """Tables of the values of all parts that have one for every update, at the steps, and assertions on them."""
    courses = [part for part in beside(schedule).values() if isinstance(part, (Batch, Course))]
    tables, assertions = "", ""
    for part in courses:
        said, assertion = coded(part).check()
        tables += f"{coded(part).prefix}_CHECK = [  # {said}\n{rows_text(steps, part(steps))}]\n"
        assertions += assertion
    if rate := beside(schedule).get("auxiliary"):
        tables += f"AUXILIARY_CHECK = [  # step, lr of the auxiliary group\n{rows_text(steps, rate(steps))}]\n"
        assertions += AUXILIARY_CHECK
    return tables, assertions


def _part(part: Batch | Average | Course | Schedule, total: int) -> str:
    if isinstance(part, Schedule):
        return auxiliary_code(part)
    if isinstance(part, (EMA, Merge)):
        return average_code(part, total)
    code = _pieces(part, coded(part))
    return weight_decay_code(part, code) if isinstance(part, WeightDecay) else code


def auxiliary_code(rate: Schedule) -> str:
    """`AUXILIARY_…` and `auxiliary_lr_at(step)`, the formula of the rate of an auxiliary group of parameters."""
    found = formula(rate)
    code = f"{constants_text(found)}\n\n{scalar_text(found, 'auxiliary_lr_at', 'step')}"
    for name in found.constants:
        code = re.sub(rf"\b{name}\b", f"AUXILIARY_{name}", code)
    return code.replace('"""Learning rate of update', '"""Learning rate of the auxiliary group in update')


def weight_decay_code(decay: WeightDecay, code: str) -> str:
    """`WEIGHT_DECAY`, the `code` of its values, and what gives it to an optimizer, where any is above 0."""
    highest = f"WEIGHT_DECAY = {word(max(decay.values))}  # the highest, which the groups that decay are made with\n"
    return highest + code + (SET_DECAY if max(decay.values) else "")


def _pieces(part: Batch | Course, names: Coded) -> str:
    """Constants, and the function of a step that is the value there."""
    prefix = names.prefix
    begin, size = f"{prefix}_BEGIN", f"{prefix}_{names.value}"
    values = part.values if isinstance(part, Course) else part.pieces.size
    constants: dict[str, tuple] = {begin: part.breaks, size: values}
    said = f"{size}[i]"
    pieces = part.pieces if part.shape == "ramp" else None
    if pieces and any(pieces.growth):
        constants[f"{prefix}_GROWTH"] = pieces.growth
        grown = f"{prefix}_GROWTH[i] * (step - {begin}[i])"
        said = f"{said} * exp({grown})" if pieces.geometric else f"{said} + {grown}"
    return "".join(assignment(name, value) for name, value in constants.items()) + (
        f'\n\ndef {names.function}(step):\n    """{names.what} `step`, counted from 0."""\n'
        f"    i = bisect_right({begin}, step) - 1\n    return {said}\n"
    )


AUXILIARY_CHECK = f"""    for step, lr in AUXILIARY_CHECK:
        at = auxiliary_lr_at(step)
        assert abs(at - lr) <= {word(EXACT)} * AUXILIARY_PEAK, (step, at, lr)
"""
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

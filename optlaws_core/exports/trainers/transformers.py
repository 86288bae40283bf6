"""transformers: a built-in `lr_scheduler_type` where one is the schedule, else a scheduler for the Trainer."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray
from ...schedules.base import Schedule
from ...schedules.cycles import SGDR
from ...schedules.families import Constant, Cosine, InverseSqrt, Linear, Polynomial, PowerDecay
from ...schedules.multi_stage import WSD
from ..base import EXACT, Export, Target, check_comment, deviation, heading, python
from ..code import lambda_lr, scalar
from ..nearest import Options
from ..shapes import fall, rise

KEY, TITLE = "transformers", "transformers"


@dataclass(frozen=True)
class BuiltIn(Options):
    """A scheduler of `get_scheduler`: 0 at update 0, the peak at `warmup`, its end value at `total`."""

    peak: float
    warmup: int
    total: int

    @property
    @abstractmethod
    def type(self) -> str:
        """The `lr_scheduler_type`."""

    @property
    def kwargs(self) -> dict[str, float | int | str]:
        """The `lr_scheduler_kwargs`."""
        return {}

    @abstractmethod
    def late(self, x: FloatArray, t: FloatArray) -> FloatArray:
        """The share of the peak after the warm-up; `x` runs from 0 at its end to 1 at `total`."""

    def early(self, u: FloatArray) -> FloatArray:
        """The share of the peak in the warm-up; `u` runs from 0 at its begin to 1 at its end."""
        return u

    def rates(self, t: FloatArray) -> FloatArray:
        x = (t - self.warmup) / max(self.total - self.warmup, 1)
        return self.peak * np.where(t < self.warmup, self.early(rise(t, self.warmup)), self.late(x, t))


@dataclass(frozen=True)
class ConstantType(BuiltIn):
    @property
    def type(self) -> str:
        return "constant_with_warmup" if self.warmup else "constant"

    def late(self, x: FloatArray, t: FloatArray) -> FloatArray:
        return np.ones_like(t)


@dataclass(frozen=True)
class LinearType(BuiltIn):
    type = "linear"

    def late(self, x: FloatArray, t: FloatArray) -> FloatArray:
        return fall("linear", x)


@dataclass(frozen=True)
class PolynomialType(BuiltIn):
    lr_end: float
    power: float

    type = "polynomial"

    @property
    def kwargs(self) -> dict[str, float | int | str]:
        return {"lr_end": self.lr_end, "power": self.power}

    def late(self, x: FloatArray, t: FloatArray) -> FloatArray:
        low = self.lr_end / self.peak
        return low + (1 - low) * np.clip(1 - x, 0, 1) ** self.power


@dataclass(frozen=True)
class CosineType(BuiltIn):
    min_lr: float

    @property
    def type(self) -> str:
        return "cosine_with_min_lr" if self.min_lr else "cosine"

    @property
    def kwargs(self) -> dict[str, float | int | str]:
        return {"min_lr": self.min_lr} if self.min_lr else {}

    def late(self, x: FloatArray, t: FloatArray) -> FloatArray:
        low = self.min_lr / self.peak
        return low + (1 - low) * fall("cosine", x)


@dataclass(frozen=True)
class CosineWithRestarts(BuiltIn):
    num_cycles: int

    type = "cosine_with_restarts"

    @property
    def kwargs(self) -> dict[str, float | int | str]:
        return {"num_cycles": self.num_cycles}

    def late(self, x: FloatArray, t: FloatArray) -> FloatArray:
        return fall("cosine", (self.num_cycles * x) % 1.0)


@dataclass(frozen=True)
class InverseSqrtType(BuiltIn):
    timescale: int

    type = "inverse_sqrt"

    @property
    def kwargs(self) -> dict[str, float | int | str]:
        return {"timescale": self.timescale}

    def late(self, x: FloatArray, t: FloatArray) -> FloatArray:
        return np.sqrt(self.timescale / (np.maximum(t, self.warmup) - self.warmup + self.timescale))


@dataclass(frozen=True)
class WarmupStableDecay(BuiltIn):
    """The one whose warm-up does not start at 0 but at its end value; its rises are its falls backwards."""

    num_decay_steps: int
    decay_type: str
    min_lr_ratio: float
    warmup_type: str

    type = "warmup_stable_decay"

    @property
    def kwargs(self) -> dict[str, float | int | str]:
        bent: dict[str, float | int | str] = {} if self.warmup_type == "linear" else {"warmup_type": self.warmup_type}
        end: dict[str, float | int | str] = {"decay_type": self.decay_type, "min_lr_ratio": self.min_lr_ratio}
        return bent | {"num_decay_steps": self.num_decay_steps} | end

    def early(self, u: FloatArray) -> FloatArray:
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * fall(self.warmup_type, 1 - u)

    def late(self, x: FloatArray, t: FloatArray) -> FloatArray:
        decayed = (t - (self.total - self.num_decay_steps)) / self.num_decay_steps
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * fall(self.decay_type, decayed)


def built_in(s: Schedule) -> BuiltIn | None:
    """The type of transformers that is meant to be this schedule, which it need not be exactly; None for no type."""
    match s:
        case Constant():
            return ConstantType(s.peak, s.warmup, s.total)
        case Linear(final=0):
            return LinearType(s.peak, s.warmup, s.total)
        case Linear(final=final) if final < s.peak:
            return PolynomialType(s.peak, s.warmup, s.total, final, 1.0)
        case Polynomial(final=final, exponent=exponent) if final < s.peak:
            return PolynomialType(s.peak, s.warmup, s.total, final, exponent)
        case PowerDecay(final=final, beta=beta) if final < s.peak:
            return PolynomialType(s.peak, s.warmup, s.total, final, 2 * beta - 1)
        case Cosine(final=final):
            return CosineType(s.peak, s.warmup, s.total, final)
        case SGDR(growth=1, final=0, period=int(period)):
            return CosineWithRestarts(s.peak, s.warmup, s.total, max(round((s.total - s.warmup) / period), 1))
        case InverseSqrt(timescale=timescale):
            return InverseSqrtType(s.peak, s.warmup, s.total, timescale or s.warmup)
        case WSD(shape=shape) if {shape, s.warmup_shape} <= {"linear", "cosine", "1-sqrt"}:
            return WarmupStableDecay(s.peak, s.warmup, s.total, s.decay, shape, s.final / s.peak, s.warmup_shape)
    return None


def write(schedule: Schedule) -> Export:
    """TrainingArguments where a built-in type is exact, else a scheduler for Trainer(optimizers=…)."""
    options = built_in(schedule)
    if not options or (far := deviation(schedule, options.rates)) > EXACT:
        tail = lambda_lr(
            "For Trainer(..., optimizers=(optimizer, scheduler_for(optimizer))); make the optimizer with lr=PEAK."
        )
        notes = ("No lr_scheduler_type of transformers is this schedule, so it comes as a scheduler for the Trainer.",)
        return scalar(schedule, KEY, TITLE, "lr_at", "step", tail, notes)
    given = {
        "learning_rate": schedule.peak,
        "lr_scheduler_type": options.type,
        "lr_scheduler_kwargs": options.kwargs,
        "warmup_steps": schedule.warmup,
        "max_steps": schedule.total,
    }
    text = heading(schedule, TITLE, ("Use as TrainingArguments(..., **training_arguments).",))
    text += "\ntraining_arguments = {\n" + "".join(f'    "{k}": {python(v)},\n' for k, v in given.items()) + "}\n\n"
    return Export(KEY, text + check_comment(schedule), ".py", True, far)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    native="constant, linear, cosine, polynomial, power_decay, inverse_sqrt, sgdr with whole cycles of one length, and "
    "wsd without a warm-up or to 0; any other schedule as a LambdaLR",
    source="https://huggingface.co/docs/transformers/main_classes/optimizer_schedules",
    version="transformers 5.23",
)

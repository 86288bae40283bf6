"""Any schedule or plan as a scheduler of PyTorch."""

import math
import warnings
from collections.abc import Collection, Sequence
from numbers import Integral

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..errors import ScheduleError
from ..schedules import Schedule, batch_at, parse
from ..schedules.averaging import Average
from ..schedules.joint_schedule import beside, parts
from ..text import counted, format_number, shortened
from .group_rates import innermost, note_ratios


class ScheduleLR(LRScheduler):
    """Sets the rates of `optimizer` to those of a schedule. Call `step()` after each `optimizer.step()`.

    schedule: a text such as `wsd(peak=1e-3, warmup=2%, total=10000, decay=20%)`, a plan's, or a `Schedule`. Update t,
    counted from 0, uses `schedule(t)`; from update `total` on the rate stays at the schedule's end value.

    ratios: what each group of parameters has of the schedule's rate, one number a group. By default as the optimizer
    was made: its first group follows the schedule, and every other keeps its ratio to the first. How high the first
    group's own rate was has no part in it; the peak stands in the schedule.

    auxiliary: which groups, counted from 0, follow a plan's auxiliary rate, such as AdamW's beside Muon's; their
    ratios are to that rate, by default to the first of them. A plan that has such a rate needs it; () is for none.

    Each rate is computed from its step, not from the rate before, so that nothing drifts, and a run that is resumed by
    `load_state_dict` goes on exactly as it would have, whether optimizer or scheduler is loaded first.

    Of a plan the rate is driven, and nothing else: `batch_at` says what your data loader or accumulation is to read,
    `average` which average of the weights to keep, and `weight_decay_at` how much they decay; none is done here.

    Raises `ScheduleError` for a text that is no schedule and for ratios that do not suit the groups.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: str | Schedule,
        *,
        ratios: Sequence[float] | None = None,
        auxiliary: Sequence[int] | None = None,
        last_epoch: int = -1,
    ) -> None:
        self.schedule = parse(schedule) if isinstance(schedule, str) else schedule
        self.auxiliary = _auxiliary_groups(self.schedule, auxiliary, len(optimizer.param_groups))
        self.ratios = _initial_ratios(optimizer, self.auxiliary) if ratios is None else [float(r) for r in ratios]
        _check_ratios(self.ratios, len(optimizer.param_groups))
        note_ratios(optimizer, self.ratios, self.auxiliary)
        super().__init__(optimizer, last_epoch)

    @property
    def average(self) -> Average | None:
        """The average of the weights that the plan ends with, such as `ema(100)`; None where it has none."""
        return parts(self.schedule)[2]

    def batch_at(self, step: int, usual_batch: float | None = None) -> float:
        """Tokens in update `step`, counted from 0, as the plan says.

        usual_batch: tokens in an update where it does not tell them: without a batch schedule, or as what its
        multiples (`2x`) count. Raises `ScheduleError` where nobody tells.
        """
        size = batch_at(self.schedule, step, usual_batch)
        if size is None:
            raise ScheduleError(
                f"{shortened(self.schedule.text, 60)} does not say how many tokens an update reads; give usual_batch."
            )
        return float(size)

    def weight_decay_at(self, step: int) -> float | None:
        """Weight decay of update `step`, counted from 0; None where the plan tells none."""
        decay = beside(self.schedule).get("weight_decay")
        return None if decay is None else float(decay(step))

    def get_lr(self) -> list[float]:
        """The rate of each group at the update to come, as `step()` sets it."""
        rate = float(self.schedule(self.last_epoch))
        other = float(beside(self.schedule)["auxiliary"](self.last_epoch)) if self.auxiliary else rate
        return [(other if i in self.auxiliary else rate) * ratio for i, ratio in enumerate(self.ratios)]

    _get_closed_form_lr = get_lr

    def step(self, epoch: int | None = None) -> None:
        """Move on to the rate of the next update, or, as PyTorch's own schedulers still may, to that of `epoch`."""
        _check_ratios(self.ratios, len(self.optimizer.param_groups))
        super().step(epoch)

    def state_dict(self) -> dict:
        """The update to come, the ratios and the auxiliary groups, with the schedule's text.

        Numbers and texts that any checkpoint takes.
        """
        return {
            "last_epoch": self.last_epoch,
            "_step_count": self._step_count,
            "ratios": list(self.ratios),
            "auxiliary": sorted(self.auxiliary),
            "schedule": self.schedule.text,
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a saved state, at its rate.

        Under the schedule that this scheduler was made with: another one than was saved is taken, and warned of, since
        a run may branch off or go on for longer. So are other auxiliary groups; then the ratios are this scheduler's,
        as those that were saved are to another rate. Raises `ScheduleError` for ratios that do not suit the groups.
        """
        _check_ratios(state_dict["ratios"], len(self.optimizer.param_groups))
        saved = frozenset(state_dict.get("auxiliary", ()))
        resumed = f"Resumed at update {state_dict['last_epoch']:,}"
        if other_schedule := state_dict["schedule"] != self.schedule.text:
            warnings.warn(
                f"{resumed} under another schedule than was saved: it was "
                f"{shortened(state_dict['schedule'], 200)}, now it is {shortened(self.schedule.text, 200)}.",
                stacklevel=2,
            )
        if saved != self.auxiliary:
            warnings.warn(
                f"{resumed} with other groups at the auxiliary rate than were saved: it was {_told(saved)}, now it is "
                f"{_told(self.auxiliary)}, with the ratios that this scheduler was made with.",
                stacklevel=2,
            )
        if other_schedule or saved != self.auxiliary:
            # The state of the optimizer, loaded after this, would bring back the saved schedule's rate for an update.
            innermost(self.optimizer).register_load_state_dict_post_hook(self._set_rates)
        for name in ("last_epoch", "_step_count"):
            setattr(self, name, state_dict[name])
        if saved == self.auxiliary:
            self.ratios[:] = state_dict["ratios"]
        self._set_rates()

    def _set_rates(self, *_: object) -> None:
        """Give the groups the rates of the update to come."""
        rates = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            _set_rate(group, rate)
        self._last_lr = rates


def _auxiliary_groups(schedule: Schedule, asked: Sequence[int] | None, groups: int) -> frozenset[int]:
    """The groups that follow the auxiliary rate. Raises `ScheduleError` where they do not suit the plan."""
    told = "auxiliary" in beside(schedule)
    if asked is None and told:
        raise ScheduleError(
            "ScheduleLR: the plan has an auxiliary rate; say which groups follow it, such as auxiliary=[1], or () for "
            "none."
        )
    asked = () if asked is None else asked
    whole = isinstance(asked, Collection) and all(isinstance(i, Integral) and not isinstance(i, bool) for i in asked)
    if not whole:
        raise ScheduleError(
            f"ScheduleLR: auxiliary must be whole numbers such as [1], got {shortened(str(asked), 60)}."
        )
    for i in asked:
        if not 0 <= i < groups:
            raise ScheduleError(
                f"ScheduleLR: auxiliary names groups, counted from 0, of which there are {groups}, got {i}."
            )
    if asked and not told:
        raise ScheduleError("ScheduleLR: auxiliary names groups, but the schedule has no auxiliary rate.")
    return frozenset(map(int, asked))


def _told(groups: frozenset[int]) -> str:
    """Numbers of groups in words."""
    return ", ".join(map(str, sorted(groups))) or "none of them"


def _initial_ratios(optimizer: Optimizer, auxiliary: frozenset[int]) -> list[float]:
    """What each group was made with over what the first that follows the same rate was.

    Also where a scheduler has changed the rates since.
    """
    rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    ratios = [1.0] * len(rates)
    for followers in (sorted(auxiliary), [i for i in range(len(rates)) if i not in auxiliary]):
        for i in followers[1:]:
            if not rates[followers[0]] > 0:
                which = "first group" if followers[0] == 0 else f"group {followers[0]}"
                raise ScheduleError(
                    f"ScheduleLR: the {which}'s learning rate must be above 0, as others keep their ratio to it, "
                    f"got {format_number(rates[followers[0]])}; or give ratios."
                )
            ratios[i] = rates[i] / rates[followers[0]]
    return ratios


def _check_ratios(ratios: Sequence[float], groups: int) -> None:
    """Raises `ScheduleError` unless there is one finite ratio of 0 or more for each group."""
    if len(ratios) != groups:
        raise ScheduleError(
            f"ScheduleLR: each group of parameters needs its ratio, got {counted(len(ratios), 'ratio')} for "
            f"{counted(groups, 'group')}; a group that is added must be there before the scheduler is made."
        )
    for ratio in ratios:
        if not (ratio >= 0 and math.isfinite(ratio)):
            raise ScheduleError(f"ScheduleLR: a ratio must be finite and 0 or more, got {format_number(ratio)}.")


def _set_rate(group: dict, rate: float) -> None:
    """The rate of a group; where it is a tensor, as compiled optimizers want it, within that."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


__all__ = ["ScheduleLR"]

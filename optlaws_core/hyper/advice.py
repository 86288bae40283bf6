"""What the published laws say of one setting: which were fitted there, how they go over N and D, what goes with them.

These are the numbers of the Plan page and of `optlaws plan rates`. N are parameters, D tokens, batches are in tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..errors import OptLawsError, ScheduleError
from ..schedules import SCHEDULES, WSD, Cosine, Schedule
from ..text import listed
from .published import HYPER_LAWS, HyperLaw, Recommended, recommend
from .scaling import BESIROGLU, critical_batch_of_loss, qat_fraction, qat_outside, timescale, weight_decay

WIDE = 30.0  # times below and above a setting to which laws are followed
POINTS, MAP_POINTS = 61, 25  # along one axis alone, and along each of two
AXES = ("tokens", "params")
BITS = 4.0  # of a quantised weight, where nobody says
WARMUP = 0.02  # share of the updates, in a schedule that is made of a law's answer
DIGITS = 4  # of a law's learning rate in such a schedule
# What such a schedule may be: families that a peak, a warm-up and a length tell.
FAMILIES = tuple(name for name, cls in SCHEDULES.items() if getattr(cls, "shapes", {}))


@dataclass(frozen=True)
class Companions:
    """What goes with the Step Law's learning rate at a setting; shares are of 1."""

    lr: float  # the Step Law's
    batch: float  # tokens per update: the fixed one, or else the Step Law's
    critical_batch: float  # tokens per update, beyond which a larger batch hardly saves updates
    weight_decay: float  # AdamW's
    memory: float  # share of the training that AdamW averages over with it
    bits: float  # of a quantised weight
    quantised: float  # share of the tokens that go to quantisation-aware training
    quantised_outside: tuple[str, ...]  # what lies outside the runs that this share was fitted on, in words
    fused: str  # a schedule whose cooldown is the quantised part; empty where that share is 0


@dataclass(frozen=True)
class LawsOver:
    """All laws along N or D: `rows[i]` holds every law's answer at `values[i]`, in the order of `HYPER_LAWS`."""

    along: str  # "params" or "tokens"
    values: FloatArray  # (points,)
    rows: tuple[tuple[Recommended, ...], ...]

    def of(self, name: str, what: str) -> FloatArray:
        """One law's `what`, "lr" or "batch", at each value, (points,); NaN where it gives none."""
        place = list(HYPER_LAWS).index(name)
        return np.array([_number(row[place], what) for row in self.rows])

    def inside(self, name: str) -> BoolArray:
        """Whether the law was fitted at each value, (points,) of bool; nowhere where its range is not known."""
        place = list(HYPER_LAWS).index(name)
        return np.array([fitted_there(row[place]) for row in self.rows])


@dataclass(frozen=True)
class LawMap:
    """One law over both N and D; arrays have a row for each D and a column for each N."""

    law: HyperLaw
    params: FloatArray  # (columns,)
    tokens: FloatArray  # (rows,)
    lr: FloatArray  # (rows, columns), NaN where it gives none
    batch: FloatArray  # (rows, columns), likewise
    inside: BoolArray  # (rows, columns) of bool: whether the law was fitted there


def fitted_there(answer: Recommended) -> bool:
    """Whether a law's answer is for a setting inside the range that it was fitted in, as far as that is known."""
    return bool(answer.law.known) and not answer.outside


def standing(answer: Recommended) -> str:
    """Where an answer's setting stands to its law's fitted range, in a few words."""
    if answer.outside:
        return ", ".join(answer.outside)
    if not answer.law.known:
        return "range not known"
    return f"inside, but {answer.law.unknown} not known" if answer.law.unknown else "inside"


def in_common(found: Sequence[Recommended]) -> str:
    """A sentence on the laws for the learning rate that were fitted at the setting; empty where none was.

    Rates for µP are left out: they are no rates of the model, but of its base model.
    """
    inside = [(_how_far(r.law), r.lr) for r in found if r.lr and fitted_there(r) and not r.law.mup]
    if not inside:
        return ""
    lrs = [lr for _, lr in inside]
    said = f"{min(lrs):.2g}" if len(lrs) == 1 else f"{min(lrs):.2g} to {max(lrs):.2g}"
    return f"Fitted where you are: {', '.join(title for title, _ in inside)}; peak learning rate {said}."


def _how_far(law: HyperLaw) -> str:
    """A law's title, and where only one of N and D has a known range, that the other has none."""
    return f"{law.title} ({law.unknown} not known)" if law.unknown else law.title


NONE_FITTED = "No law for the learning rate was fitted where you are: all of the rates are extrapolated."


def companions(
    params: float, tokens: float, batch: float | None = None, loss: float | None = None, bits: float = BITS
) -> Companions:
    """Critical batch, weight decay and share of quantisation-aware training for N = `params` and D = `tokens`.

    `batch` and `loss` are those of `recommend`; `bits` of a quantised weight. By Kaplan et al. 2020 (arXiv:2001.08361),
    Power Lines (Bergsma et al. 2025, arXiv:2505.13738) and compute-optimal quantisation-aware training
    (arXiv:2509.22935). Raises `OptLawsError` like
    `recommend`, and for bits that are not above 0.
    """
    if not 0 < bits < float("inf"):
        raise OptLawsError(f"The bits of a quantised weight must be a number above 0, got {bits:g}.")
    step = next(r for r in recommend(params, tokens, batch, loss) if r.law.name == "step_law")
    assert step.lr is not None and step.batch is not None  # it has both for every setting
    used = batch or step.batch
    quantised = qat_fraction(params, tokens, bits)
    return Companions(
        lr=step.lr,
        batch=used,
        critical_batch=critical_batch_of_loss(loss or BESIROGLU.loss(params, tokens)),
        weight_decay=weight_decay(params, tokens, step.lr, used),
        memory=timescale(params, tokens),
        bits=bits,
        quantised=quantised,
        quantised_outside=qat_outside(params, tokens, bits),
        fused=fused(step.lr, tokens / used, quantised),
    )


def fused(lr: float, updates: float, share: float) -> str:
    """The text of a schedule in which the last `share` of the updates is cooldown and quantised training at once.

    Instead of a cooldown in full precision and quantised training after it, weights are quantised from the peak on and
    the rate falls meanwhile: no update is spent on a precision that is given up (arXiv 2509.22935). The share is that
    of `qat_fraction`; a warm-up of 2 % and a line to 0 are ours. Empty where there is nothing to quantise.
    """
    total = round(updates)
    warmup = round(WARMUP * total)
    decay = min(round(share * total), total - warmup)
    if decay < 1:
        return ""
    return WSD(float(f"{lr:.{DIGITS}g}"), warmup=warmup, total=total, decay=decay).text


def laws_over(
    params: float,
    tokens: float,
    along: str,
    batch: float | None = None,
    loss: float | None = None,
    points: int = POINTS,
) -> LawsOver:
    """Every law at `points` values of N (`along` "params") or D ("tokens"), from 1/30 to 30 times the setting.

    The other of the two is held, and so are `batch` and `loss`. Raises `OptLawsError` like `recommend`, and for any
    other `along`.
    """
    if along not in AXES:
        raise OptLawsError(f"Laws go along one of {', '.join(AXES)}, got {along!r}.")
    asked = {"params": params, "tokens": tokens}
    recommend(**asked, batch=batch, loss=loss)  # raises before the logarithm of a number that is not above 0
    values = np.geomspace(asked[along] / WIDE, asked[along] * WIDE, points)
    rows = (recommend(**(asked | {along: float(x)}), batch=batch, loss=loss) for x in values)
    return LawsOver(along, values, tuple(rows))


def law_map(
    name: str,
    params: float,
    tokens: float,
    batch: float | None = None,
    loss: float | None = None,
    points: int = MAP_POINTS,
) -> LawMap:
    """The law `name` at `points` times `points` pairs of N and D, from 1/30 to 30 times the setting each.

    Raises `OptLawsError` like `recommend`, and for an unknown law.
    """
    law = law_named(name)
    recommend(params, tokens, batch, loss)
    ns, ds = (np.geomspace(v / WIDE, v * WIDE, points) for v in (params, tokens))
    place = list(HYPER_LAWS).index(name)
    grid = [[recommend(float(n), float(d), batch, loss)[place] for n in ns] for d in ds]
    lr, size = (np.array([[_number(r, what) for r in row] for row in grid]) for what in ("lr", "batch"))
    return LawMap(law, ns, ds, lr, size, np.array([[fitted_there(r) for r in row] for row in grid]))


def law_named(name: str) -> HyperLaw:
    """The published law `name`. Raises `OptLawsError` for one that is not known."""
    if name not in HYPER_LAWS:
        raise OptLawsError(f"Unknown law {name[:40]!r}; known laws: {', '.join(HYPER_LAWS)}.")
    return HYPER_LAWS[name]


def recommended_schedule(answer: Recommended, tokens: float, batch: float, family: str = "cosine") -> Schedule:
    """A law's answer as a schedule: its peak learning rate, and as many updates as `tokens` fill batches.

    `batch`: tokens per update, for a law that gives none. `family`: which schedule; its other fields are usual
    ones, the warm-up takes 2 % of the updates. A cosine ends where those of the law's own runs did, if that is known.
    Raises `OptLawsError` for a law without a learning rate, and `ScheduleError` for an unknown family and a length
    below two updates.
    """
    if answer.lr is None:
        raise OptLawsError(f"{answer.law.title} gives no learning rate here, so no schedule can be made from it.")
    if family not in FAMILIES:
        raise ScheduleError(f"A family is one of {listed(FAMILIES, 99)}, got {family[:40]!r}.")
    total = round(tokens / (answer.batch or batch))
    if total < 2:
        raise ScheduleError(f"The tokens must fill two batches of {answer.batch or batch:g} tokens, got {tokens:g}.")
    peak = float(f"{answer.lr:.{DIGITS}g}")
    made = SCHEDULES[family].usual(peak=peak, warmup=min(round(WARMUP * total), total - 1), total=total)
    if isinstance(made, Cosine) and answer.law.final is not None:
        return replace(made, final=min(answer.law.final, peak))
    return made


def _number(answer: Recommended, what: str) -> float:
    value = getattr(answer, what)
    return float("nan") if value is None else float(value)


__all__ = [
    "AXES",
    "FAMILIES",
    "NONE_FITTED",
    "Companions",
    "LawMap",
    "LawsOver",
    "recommended_schedule",
    "companions",
    "fitted_there",
    "in_common",
    "law_named",
    "laws_over",
    "law_map",
    "standing",
]

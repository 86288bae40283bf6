"""What runs cover, and how a plan or a setting leaves it: one rule of extrapolation for fits and laws of every kind."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..runs import Plan, Run
from ..schedules import Schedule, parts
from ..schedules.joint_schedule import auxiliary_ratio, unknown_to_laws
from ..schedules.plan_parts import PARTS
from ..text import counted, format_amount, format_number, percent, shortened

RATES_ALIKE = 1e-3  # of its peak: an auxiliary rate that near to the rate's shape is in proportion to it
TOLERANCE = 0.01  # a peak, horizon, size or batch within 1 % of what was covered counts as covered
# How many times shorter or longer than the training runs' a warm-up may be. Most laws hardly mind: fitted to three of
# the example runs, cosines with 100, 200 and 400 updates of it end within 0.005 of each other. Training minds: near the
# edge of stability runs of the sweep with 50 updates end up to 19 % above those with 200, which no law knows.
WARMUP_REACH = 2.0
LONG_AVERAGE = 0.1  # of the updates: beyond it averages of our own runs ended up to 7 % above what laws say
IDLE = 1e-6  # of the peak: rates below it train nothing

Range = tuple[float, float]  # smallest and largest value


@dataclass(frozen=True)
class Coverage:
    """What the training runs cover; predictions outside are extrapolation."""

    peak: Range
    total: tuple[int, int]
    params: Range | None = None  # model sizes; None where a run does not tell
    batch_tokens: Range | None = None
    warmup: Range | None = None  # updates of warm-up; None in fits that were stored before it was kept
    idle: Range | None = None  # shares of the updates that are at rate 0; likewise
    auxiliary: Range | None = None  # auxiliary rates over the rate, where every run has one that is in proportion to it
    asked: tuple[float | None, float | None] = (None, None)  # size and batch that a user names; not stored with a fit

    @property
    def usual(self) -> tuple[float | None, float | None]:
        """Model size and batch of bare schedules: those asked for, else the training runs', where all have the same."""
        params, batch_tokens = self.asked
        return (
            _common(self.params) if params is None else params,
            _common(self.batch_tokens) if batch_tokens is None else batch_tokens,
        )

    @property
    def batch(self) -> float | None:
        """Tokens in an update of the training runs, which batch schedules are compared with; None where they differ."""
        return _common(self.batch_tokens)

    def plan(self, schedule: Schedule) -> Plan:
        """`schedule` with the usual model size and batch."""
        return Plan(schedule, *self.usual)

    def to_dict(self) -> dict:
        """Plain values, what a user asked for left out."""
        d = asdict(self)
        del d["asked"]
        if self.auxiliary is None:  # as in fits that were stored before there were auxiliary rates
            del d["auxiliary"]
        return d

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Coverage":
        """What `runs` cover, each as far as it was observed; at least one of them has a plan."""
        plans = [r.plan for r in runs if r.plan is not None]
        ends = (round(r.steps[-1] + np.median(np.diff(r.steps))) for r in runs)
        return cls.of_plans(plans, [min(p.schedule.total, end) for p, end in zip(plans, ends, strict=True)])

    @classmethod
    def of_plans(cls, plans: Sequence[Plan], totals: Sequence[int] | None = None) -> "Coverage":
        """Smallest and largest peak, horizon, model size, batch, warm-up and idle share of at least one plan.

        `totals`: how many updates of each were seen, where that is not its whole schedule. Size and batch are None
        where a plan does not tell them.
        """
        peaks = [p.schedule.peak for p in plans]
        totals = [p.schedule.total for p in plans] if totals is None else totals
        return cls(
            (min(peaks), max(peaks)),
            (min(totals), max(totals)),
            _range([p.params for p in plans]),
            _range([p.batch_tokens for p in plans]),
            _range([p.schedule.warmup_end for p in plans]),
            _range([idle_updates(p.schedule, n) / n for p, n in zip(plans, totals, strict=True)]),
            _range([auxiliary_ratio(p.schedule, RATES_ALIKE) for p in plans]),
        )


def outside(coverage: Coverage, schedule: Schedule | Plan, exact_warmup: bool = False) -> tuple[str, ...]:
    """Sentences on how a schedule or plan leaves what the training runs cover by over 1 %; empty when it stays inside.

    Warm-ups may be half to twice as long as the training runs', or 1 % of the updates where these had none, but under a
    law that minds their length more, `exact_warmup`. A bare schedule gets the model size and batch that it is predicted
    with.
    """
    plan = schedule if isinstance(schedule, Plan) else coverage.plan(schedule)
    return tuple(_reasons(coverage, plan, exact_warmup))


def idle_updates(schedule: Schedule, total: int | None = None) -> int:
    """How many of the first `total` updates, by default of all, lie on stretches at rate 0."""
    edges = np.unique(np.minimum(schedule.breaks, schedule.total if total is None else total))
    first, last = edges[:-1], edges[1:] - 1
    rates = schedule(np.stack((first, (first + last) // 2, last)))
    return int(np.diff(edges)[(rates < IDLE * schedule.peak).all(axis=0)].sum())


def _reasons(coverage: Coverage, plan: Plan, exact_warmup: bool) -> Iterator[str]:
    peak, total = plan.schedule.peak, plan.schedule.total
    if _outside(coverage.peak, peak):
        yield f"peak {format_number(peak)}, the training runs had {_between(coverage.peak, format_number)}"
    if _outside(coverage.total, total):
        which, end = ("shortest", coverage.total[0]) if total < coverage.total[0] else ("longest", coverage.total[1])
        yield f"{total:,} updates, the {which} training run had {end:,}"
    for value, ends, unit in (
        (plan.params, coverage.params, "parameters"),
        (plan.batch_tokens, coverage.batch_tokens, "tokens per update"),
    ):
        if value and ends and _outside(ends, value):
            yield f"{_rounded(value)} {unit}, the training runs had {_between(ends, _rounded)}"
    yield from _joint_reasons(coverage, plan.schedule)
    warmup = plan.schedule.warmup_end
    if coverage.warmup and _leaves(coverage.warmup, warmup, total, exact_warmup):
        yield _said_of_warmup(coverage.warmup, warmup)
    idle, had = idle_updates(plan.schedule), coverage.idle[1] if coverage.idle else 0.0
    if idle > max(total * had * (1 + TOLERANCE), 1):  # a warm-up of one update has one
        beside = f", the training runs had {f'at most {100 * had:.2g} %' if had else 'none'}" if coverage.idle else ""
        yield f"{idle:,} updates at rate 0, which train nothing{beside}"


def _joint_reasons(coverage: Coverage, schedule: Schedule) -> Iterator[str]:
    """What beside the rate is scheduled, of which laws are checked less than of the rate."""
    _, batch, average = parts(schedule)
    if batch is not None:
        yield f"a batch schedule, {shortened(batch.text, 60)}"
    if average is not None:
        share = average.reach / schedule.total
        far = f" over {percent(min(share, 1))} of the run, where averages end higher" if share > LONG_AVERAGE else ""
        yield f"an average of the weights, {average.text}{far}"
    for name, part in unknown_to_laws(schedule).items():
        if name == "auxiliary" and _has_had(coverage.auxiliary, auxiliary_ratio(schedule, RATES_ALIKE)):
            continue
        what = f"{PARTS[name].words}, {shortened(part.text, 60)}"
        yield f"{what}, which no law covers: plans that differ only in it get the same prediction"


def _has_had(ends: Range | None, ratio: float | None) -> bool:
    """Whether all training runs had auxiliary rates in this one proportion to the rate; no law tells several apart."""
    return ends is not None and ratio is not None and all(abs(end / ratio - 1) <= TOLERANCE for end in ends)


def _leaves(ends: Range, warmup: int, total: int, exact: bool) -> bool:
    """Whether a warm-up is of another length than those covered; one of a single update is as good as none."""
    if exact:
        return _outside(ends, warmup)
    return not ends[0] / WARMUP_REACH - 1 <= warmup <= max(ends[1] * WARMUP_REACH, TOLERANCE * total)


def _said_of_warmup(ends: Range, warmup: int) -> str:
    low, high = (f"{round(end):,}" for end in ends)
    had = low if low == high else f"up to {high}" if low == "0" else f"{low} to {high}"
    if not warmup:
        return f"no warm-up, the training runs had one of {had} updates"
    return f"{counted(warmup, 'update')} of warm-up, the training runs had {'none' if high == '0' else had}"


def _outside(ends: Range, value: float) -> bool:
    return not ends[0] * (1 - TOLERANCE) <= value <= ends[1] * (1 + TOLERANCE)


def times_outside(ends: Range, value: float) -> str:
    """`2.5 times above` or `14 times below`: how far a value above 0 leaves a range by over 1 %; empty inside."""
    if not _outside(ends, value):
        return ""
    far = max(ends[0] / value, value / ends[1])
    said = f"{far:.3g}" if far < 1.1 else f"{far:.2g}" if far < 100 else f"{far:,.0f}"
    return f"{said} times {'below' if value < ends[0] else 'above'}"


def _between(ends: Range, written) -> str:
    """`1e-3 to 2e-3`, or one number where both ends are the same."""
    return " to ".join(dict.fromkeys(map(written, ends)))


def _rounded(value: float) -> str:
    return format_amount(value, 3)


def _common(ends: Range | None) -> float | None:
    """The value of all runs, None where they differ or one does not tell."""
    return ends[0] if ends and ends[0] == ends[1] else None


def _range(values: Sequence[float | None]) -> Range | None:
    known = [v for v in values if v is not None]
    return (min(known), max(known)) if len(known) == len(values) else None

"""The parts of a snapshot as plain values, and back. Reading raises `OptLawsError`, or what `Snapshot` makes one of."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ..errors import OptLawsError
from ..fitting.result import Average, Fit
from ..fitting.selection import Selection
from ..laws import law_named
from ..prediction.divergence import Risk
from ..runs import Plan, Run, Series
from ..schedules import Schedule, parse
from . import checks

LR_SOURCES = ("logged", "declared", "missing")


@dataclass(frozen=True)
class Candidate:
    """A schedule that takes part in the comparison, or that stands in its table switched off."""

    schedule: Schedule
    label: str = ""  # empty: named after its family
    on: bool = True
    color: int | None = None  # place in the palette; None: that of its place among the candidates

    def to_dict(self) -> dict:
        """Plain values; `from_dict` reads them back."""
        color = {} if self.color is None else {"color": self.color}
        return {"text": self.schedule.text, "label": self.label, "on": self.on, **color}

    @classmethod
    def from_dict(cls, d: Mapping) -> "Candidate":
        """A candidate from `to_dict`'s values."""
        return cls(
            schedule_of(d["text"]),
            checks.printable(d["label"], "a label", "name"),
            checks.boolean(d["on"], "on"),
            None if d.get("color") is None else checks.natural_number(d["color"], "a colour"),
        )


def run_to_dict(run: Run) -> dict:
    """A run, its schedule in the text form."""
    series = {split: {"steps": s.steps.tolist(), "loss": s.loss.tolist()} for split, s in run.series.items()}
    return run_head(run) | {"series": series}


def run_head(run: Run, schedule: Callable[[Schedule], str] = lambda s: s.text) -> dict:
    """A run without its losses; `schedule` gives the word for one, by default its text form."""
    plan = run.plan and {
        "schedule": schedule(run.plan.schedule),
        "params": run.plan.params,
        "batch_tokens": run.plan.batch_tokens,
    }
    return {
        "name": run.name,
        "plan": plan,
        "split": run.split,
        "lr_source": run.lr_source,
        "last_step": run.last_step,
        "about": dict(run.about),
        **({"open_questions": list(run.open_questions)} if run.open_questions else {}),
        **({"ends": dict(run.ends)} if run.ends else {}),
    }


def run_from_dict(d: Mapping, place: int) -> Run:
    """A run; `place`, from 1 on, is what messages call it."""
    what = f"run {place}"
    if d["lr_source"] not in LR_SOURCES:
        raise OptLawsError(
            f"lr_source of {what} must be one of {', '.join(LR_SOURCES)}, got {checks.brief(d['lr_source'])!r}."
        )
    series = checks.mapping(d["series"], f"the splits of {what}", "splits")
    about = checks.mapping(d["about"], f"about of {what}", "settings")
    return Run(
        name=checks.name(d["name"], f"the name of {what}"),
        plan=None if d["plan"] is None else _plan(d["plan"]),
        series={checks.name(split, f"a split of {what}"): _series(s, what) for split, s in series.items()},
        split=checks.limited_text(d["split"], f"the split of {what}", "name"),
        lr_source=d["lr_source"],
        last_step=None if d["last_step"] is None else checks.natural_number(d["last_step"], f"last_step of {what}"),
        about={
            checks.name(k, f"about of {what}"): checks.limited_text(v, f"about of {what}", "note")
            for k, v in about.items()
        },
        open_questions=tuple(
            checks.limited_text(q, f"a question of {what}", "note")
            for q in checks.items(d.get("open_questions", ()), f"questions of {what}", "settings")
        ),
        ends={
            checks.name(split, f"a split of {what}"): checks.finite(loss, f"an end of {what}")
            for split, loss in checks.mapping(d.get("ends", {}), f"ends of {what}", "splits").items()
        },
    )


def run_of(head: Mapping, series: Mapping[str, Series], schedule: Callable[[str], Schedule]) -> Run:
    """The run of `run_head`'s values and its losses; `schedule` gives the one that a word stands for.

    As from this program's own hand: it may have any number of splits and words.
    """
    return Run(
        name=checks.name(head["name"], "the name of a run"),
        plan=None if head["plan"] is None else _plan(head["plan"], schedule),
        series=series,
        split=head["split"],
        lr_source=head["lr_source"],
        last_step=head["last_step"],
        about={str(k): str(v) for k, v in head["about"].items()},
        open_questions=tuple(map(str, head.get("open_questions", ()))),
    )


def schedule_of(text: object) -> Schedule:
    """The schedule of a text form. No text form has runs of spaces, on which `parse` may be slow."""
    if not isinstance(text, str):
        raise OptLawsError(f"a schedule must be a text, got {checks.brief(text)!r}.")
    return parse(" ".join(text.split()))


def _plan(d: Mapping, schedule: Callable[[str], Schedule] = schedule_of) -> Plan:
    sizes = (None if d[what] is None else checks.finite(d[what], what) for what in ("params", "batch_tokens"))
    return Plan(schedule(d["schedule"]), *sizes)


def _series(d: Mapping, what: str) -> Series:
    steps, loss = (checks.items(d[k], f"{k} of {what}", "points") for k in ("steps", "loss"))
    if not steps:
        raise OptLawsError(f"each split of {what} must have at least one point, got none.")
    return Series(
        np.array([checks.natural_number(s, f"a step of {what}") for s in steps], np.int64),
        np.array([checks.finite(v, f"a loss of {what}") for v in loss], float),
    )


def selection_to_dict(s: Selection) -> dict:
    """What a fit was judged beside; of the model to trust the law, or None for the average."""
    return {
        "fits": [f.to_dict() for f in s.fits],
        "average": s.average and s.average.to_dict(),
        "failed": dict(s.failed),
        "trusted": s.trusted.single and s.trusted.single.law,
        "advice": s.advice,
    }


def selection_from_dict(d: Mapping) -> Selection:
    """A selection from those values."""
    fits = tuple(map(Fit.from_dict, checks.items(d["fits"], "the fits of a selection", "fits")))
    average = None if d["average"] is None else Average.from_dict(d["average"])
    trusted = average if d["trusted"] is None else next((f for f in fits if f.law == d["trusted"]), None)
    if trusted is None:
        raise OptLawsError(f"a selection must trust one of its fits, got {checks.brief(d['trusted'])!r}.")
    failed = checks.mapping(d["failed"], "failed").items()
    why = {law_named(law).name: checks.limited_text(reason, "failed", "note") for law, reason in failed}
    return Selection(fits, average, why, trusted, checks.limited_text(d["advice"], "advice", "note"))


def risk_from_dict(d: object) -> Risk:
    """A risk of divergence, its numbers finite."""
    risk = Risk.from_dict(checks.mapping(d, "risk"))
    for value in asdict(risk).values():
        for number in value if isinstance(value, tuple) else (value,):
            checks.finite(number, "risk")
    return risk

"""The Schedules page: families as thumbnails, one of them with formula, fields, picture and text form."""

import math
import re
from dataclasses import Field, fields
from functools import lru_cache

import streamlit as st

from optlaws_core import SCHEDULES, Schedule
from optlaws_core.figures import schedule_charts as charts
from optlaws_core.laws.sums.clocks import trace
from optlaws_core.schedules.base import ordered_fields
from optlaws_core.text import format_number

from ..state import address, beside
from ..state.candidates import MOST_LINK, Candidate, from_fields
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets import fields as entering
from ..widgets import showing
from ..widgets.markdown import literal
from . import adding

FAMILY, LAST_VALID, LINK = "schedule_family", "schedule_last_valid", "s"
LINKED = "schedule_linked"  # the schedule that an address brought; its fields begin with its values
RATE_ALONE = (
    "This page shows the learning rate of a plan; its batch schedule and the average of its weights are compared and "
    "exported on Decide, where its text is typed into a row of the candidates."
)
LAST = 0.1  # share of the updates whose share of the summed rate is told


@lru_cache(maxsize=1)
def examples() -> dict[str, Schedule]:
    """Every family as it is at first, by its name."""
    return {name: cls.usual() for name, cls in SCHEDULES.items()}


def choose() -> str:
    """Thumbnails of all families, and the choice of one."""
    marked = st.container()
    for text in address.read(LINK, 1, MOST_LINK) or ():
        brought = Candidate(text)
        if brought.schedule is None:
            address.warn(LINK, f"The address holds no schedule. {brought.problem}")
        elif brought.schedule.total > address.LARGEST:
            address.warn(LINK, f"A schedule in an address has at most {address.LARGEST:,} updates; it was left out.")
        else:
            state()[LINKED] = brought.rate
            if beside.in_words(brought.schedule):
                address.warn(LINK, RATE_ALONE)
    family = address.bound_widget(
        st.pills,
        "Family",
        list(SCHEDULES),
        default=_linked().family if _linked() else "cosine",
        required=True,
        key=FAMILY,
        label_visibility="collapsed",
    )
    with marked:
        showing.chart(charts.thumbnails(examples(), family), "schedules-families", still=True)
    return family


def _linked() -> Schedule | None:
    return state().get(LINKED)


def about(family: str) -> None:
    """One sentence with its source, the formula and its letters, and whatever else there is to say."""
    cls = SCHEDULES[family]
    first, rest = said(cls)
    st.subheader(family, anchor=False)
    st.markdown(first)
    st.latex(cls.formula)
    st.caption("  \n".join(filter(None, (letters(cls), rest))))


def said(cls: type[Schedule]) -> tuple[str, str]:
    """A family's summary, and the rest of its docstring, papers linked."""
    rest = (cls.__doc__ or "").strip().removeprefix(cls.summary)
    linked = [
        re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", " ".join(part.split()))
        for part in (cls.summary, rest)
    ]
    return linked[0], linked[1]


def letters(cls: type[Schedule]) -> str:
    """What the letters of the formula are called below."""
    symbols = {f.name: f.metadata["symbol"] for f in fields(cls) if f.metadata["symbol"]}
    used = [n for n, s in symbols.items() if re.search(rf"(?<![\\A-Za-z]){re.escape(s)}(?![A-Za-z_])", cls.formula)]
    return ", ".join(f"${symbols[n]}$ {n}" for n in used) + ", $t$ step, counted from 0."


def fields_of(family: str) -> Candidate:
    """An input for every field; what they say together, which may break a rule."""
    values = {}
    places = st.columns(2)
    for i, f in enumerate(ordered_fields(SCHEDULES[family])):
        with places[i % 2]:
            values[f.name] = _field(family, f)
    return Candidate(from_fields(family, values))


def _field(family: str, f: Field) -> str | None:
    brought = _linked()
    value = getattr(brought, f.name) if brought and brought.family == family else _first(family, f)
    return entering.field(f, value, f"schedule_{family}_{f.name}", persist_state="session")


def _first(family: str, f: Field) -> entering.Value:
    """What a field holds at first; None for one that is left out."""
    cls = SCHEDULES[family]
    return cls.usual_value(f, cls.example)


def valid(family: str, candidate: Candidate) -> Schedule:
    """The schedule that the fields describe; with a sentence, while they break a rule, the last one that they did."""
    kept = state().setdefault(LAST_VALID, {})
    if candidate.schedule:
        kept[family] = candidate.schedule
    else:
        st.error(literal(candidate.problem), icon=":material/error:")
        st.caption("Picture, text and export are still those of the last valid schedule.")
    return kept.get(family, examples()[family])


def share(schedule: Schedule) -> None:
    """Put the schedule into the address, unless the family alone tells it."""
    brought, text = _linked(), schedule.text
    usual = examples()[schedule.family].text if not brought or brought.family != schedule.family else None
    address.write(LINK, text if len(text) <= MOST_LINK else None, usual)


def picture(schedule: Schedule) -> None:
    """The rate over the steps, and what it amounts to."""
    showing.chart(charts.rate(schedule), f"schedules-{schedule.family}")
    for place, (label, value, meaning) in zip(st.columns(4), facts(schedule), strict=True):
        place.metric(label, value, help=meaning)


def facts(schedule: Schedule) -> list[tuple[str, str, str]]:
    """What a schedule amounts to: name, value, meaning."""
    last = schedule.total - 1
    S = trace(schedule).S
    whole = float(S(last))
    late = whole - float(S(math.ceil((1 - LAST) * schedule.total) - 1))
    return [
        ("Peak", format_number(float(f"{schedule.peak:.4g}")), "The highest learning rate."),
        (
            "Last update",
            format_number(float(f"{float(schedule(last)):.3g}")),
            f"The learning rate of update {last:,}, the last one.",
        ),
        (
            "Summed rate",
            f"{whole:.4g}",
            "The sum of the learning rates of all updates, a measure of training progress.",
        ),
        (
            "In the last tenth",
            f"{100 * late / whole:.2g} %" if whole else "–",
            "Share of the summed rate that falls into the last tenth of the updates; 10 % for a constant rate.",
        ),
    ]


def text(space: Workspace, schedule: Schedule) -> None:
    """The text form, to copy and to compare."""
    st.code(schedule.text, language=None, wrap_lines=True)
    if schedule.beyond:
        st.caption(schedule.beyond)
    adding.button(space, Candidate(schedule.text), "schedule_add")

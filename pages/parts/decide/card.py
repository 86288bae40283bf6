"""The card of the big run: what is to be trained, filled from the logs, and changed for all candidates at once."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import OptLawsError
from optlaws_core.runs import MOST_UPDATES
from optlaws_core.schedules.entries import LARGEST
from optlaws_core.text import format_amount, format_number, listed, parse_amount, parse_int

from ..compare import table as candidate_table
from ..schedules import export
from ..state import address
from ..state.big_run import BigRun, moved
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets.markdown import literal

UPDATES, TOKENS = "updates", "tokens"
IN_ADDRESS = {"size": "params", "batch": "batch_tokens", "final": "final"}
OWN = "each its own"  # final rates, where nobody chose one for all
FAULT, UNIT, VERSION, USUAL = "decide_fault", "decide_unit", "decide_version", "decide_usual"  # in the session


@dataclass(frozen=True)
class Field:
    """One field of the card: what of the big run it is, how that is shown, and what is made of what was typed."""

    label: str
    of: str  # name of a field of `BigRun`
    help: str
    shown: Callable[[BigRun], str]
    changed: Callable[[BigRun, str], BigRun]
    choices: tuple[str, ...] = ()  # offered before one types


def settle(space: Workspace) -> None:
    """The big run as it was said, else like the longest run at hand, or as a link's candidates have it."""
    plans = [run.known_plan for run in space.fittable.values()]
    if not plans:
        return
    memory = state()
    usual = BigRun.like(plans)
    if space.big_run is None:
        told = {name: value for key, name in IN_ADDRESS.items() if (value := _from_address(key)) is not None}
        space.big_run = replace(usual, **told).of(space.candidates)
    elif (old := memory.get(USUAL)) is not None:  # what nobody has said follows the logs
        space.big_run = space.big_run.following(old, usual)
    memory[USUAL] = usual


def show(space: Workspace) -> None:
    """The card."""
    if space.big_run is None:
        return
    memory = state()
    run = space.big_run.of(space.candidates)
    if run != space.big_run:  # an edit, an undo or another tab changed all of them
        space.big_run = run
        memory[VERSION] = memory.get(VERSION, 0) + 1
    version = memory.setdefault(VERSION, 0)
    fields = _fields(memory.get(UNIT, UPDATES))
    with st.container(border=True, key="decide_card"):
        title, *places, last = st.columns(
            [0.7, 0.75, 0.95, 1.1, 0.95, 0.7, 0.95, 1.2], gap="small", vertical_alignment="bottom"
        )
        title.markdown(
            "**Your big run**",
            help="All candidates are schedules for this run. Changing a number changes all of them; a cooldown over "
            "the last fifth stays the last fifth. An empty field takes its value from the logs.",
        )
        for place, (name, field) in zip(places, fields.items(), strict=True):
            _entered(space, place, field, field.shown(run), name, f"decide_{name} {version}")
        export.trainer(space, last, "decide_trainer")
        if elsewhere := run.ending_elsewhere(space.candidates):
            text = f"These cannot end at {_share(run.final)} and keep their own final rate: {listed(elsewhere)}."
            st.caption(literal(text))
        if fault := memory.get(FAULT):
            st.error(literal(fault), icon=":material/error:")
    usual = memory.get(USUAL, run)
    for key, name in IN_ADDRESS.items():
        address.write(key, _plain(getattr(run, name)), _plain(getattr(usual, name)))


def _entered(space: Workspace, place: DeltaGenerator, field: Field, shown: str, name: str, key: str) -> None:
    """A field to type into; one with choices offers them first."""
    told = {"key": key, "help": field.help, "on_change": _change, "args": (space, name, key)}
    if not field.choices:
        place.text_input(field.label, shown, placeholder="not known", **told)
        return
    options = list(dict.fromkeys([*field.choices, shown]))
    place.selectbox(field.label, options, options.index(shown), accept_new_options=True, **told)


def _fields(unit: str) -> dict[str, Field]:
    return {
        "params": Field(
            "Model size",
            "params",
            "Trainable parameters, such as 7B. Laws are fitted to one size; the answer says how far the big run is "
            "from it.",
            lambda run: "" if run.params is None else format_amount(run.params, 3),
            lambda run, typed: replace(run, params=parse_amount(typed, "The model size", examples="350M or 7B")),
        ),
        "batch": Field(
            "Tokens per update",
            "batch_tokens",
            "Batch size in tokens, such as 4M or 524288.",
            lambda run: "" if run.batch_tokens is None else format_amount(run.batch_tokens),
            lambda run, typed: replace(
                run, batch_tokens=parse_amount(typed, "The number of tokens per update", examples="4M or 524288")
            ),
        ),
        "length": Field(
            "Length",
            "total",
            "In updates, such as 48000, or in tokens where the batch is known, such as 100B tokens.",
            lambda run: (
                f"{run.total:,} updates"
                if unit == UPDATES or run.tokens is None
                else f"{format_amount(run.tokens)} tokens"
            ),
            _with_length,
        ),
        "peak": Field(
            "Peak learning rate",
            "peak",
            "Highest rate, such as 3e-4. The final rates of the candidates keep their share of it.",
            lambda run: format_number(run.peak),
            lambda run, typed: replace(run, peak=parse_amount(typed, "The peak learning rate", examples="3e-4")),
        ),
        "warmup": Field(
            "Warm-up",
            "warmup",
            "In updates, such as 2000, or as a share of the length, such as 2 %.",
            lambda run: f"{run.warmup:,}",
            _with_warmup,
        ),
        "final": Field(
            "Final rate",
            "final",
            "Where the rate ends, of all candidates alike: a share of the peak, such as 10 %, or a rate, such as 3e-5. "
            "Each its own: none for all; every candidate has the one in its row. A constant rate and steps keep "
            "theirs, and so does what cannot end there.",
            lambda run: OWN if run.final is None else _share(run.final),
            _with_final,
            (OWN, _share(0.0), _share(0.1)),
        ),
    }


def _share(share: float) -> str:
    """A final rate as a share of the peak."""
    return f"{100 * share:.4g} %" if share else "0"


def _as_logged(run: BigRun, name: str) -> BigRun:
    """The big run with one of its fields as the logs have it, as far as the others leave room."""
    logged = getattr(state().get(USUAL, run), name)
    if name == "warmup":
        logged = min(logged, run.total - 1)
    elif name == "total":
        logged = max(logged, run.warmup + 1)
    return replace(run, **{name: logged})


def _with_length(run: BigRun, typed: str) -> BigRun:
    """Another length, typed in updates, or in tokens where the last word says so."""
    words = typed.lower().split()
    named = words.pop() if words and words[-1] in (UPDATES, TOKENS, "steps", "update", "token") else ""
    unit = TOKENS if named in (TOKENS, "token") else UPDATES
    amount = parse_amount(" ".join(words), "The length", examples="48k or 100B tokens")
    if unit == TOKENS and run.batch_tokens is None:
        raise OptLawsError(
            "A length in tokens needs the tokens per update; give those first, or give the length in updates."
        )
    total = round(amount / run.batch_tokens) if unit == TOKENS else round(amount)
    if not run.warmup < total <= MOST_UPDATES:
        rule = f"above the {run.warmup:,} updates of warm-up and at most {MOST_UPDATES:,}"
        raise OptLawsError(f"The length must be {rule}, got {total:,} updates.")
    state()[UNIT] = unit
    return replace(run, total=total)


def _with_warmup(run: BigRun, typed: str) -> BigRun:
    """Another warm-up, in updates or as a share of the length."""
    if typed.endswith("%"):
        warmup = round(
            parse_amount(typed[:-1].strip(), "The share of the warm-up", zero=True, examples="2 %") / 100 * run.total
        )
    else:
        warmup = parse_int(typed, "The warm-up", 0, int(LARGEST), "2000 or 2 %")
    if not 0 <= warmup < run.total:
        raise OptLawsError(f"The warm-up must be shorter than the run, {run.total:,} updates, got {warmup:,}.")
    return replace(run, warmup=warmup)


def _with_final(run: BigRun, typed: str) -> BigRun:
    """Another final rate for all, as a share of the peak or as a rate; or each its own again."""
    if typed == OWN:
        return replace(run, final=None)
    name, of_peak = "The final rate", typed.endswith("%")
    value = parse_amount(typed.removesuffix("%").strip(), name, zero=True, examples="10 % or 3e-5")
    share = value / 100 if of_peak else value / run.peak
    if share > 1:
        raise OptLawsError(f"{name} must be at most the peak, {format_number(run.peak)}, got {typed}.")
    return replace(run, final=share)


def _change(space: Workspace, name: str, key: str) -> None:
    """A field was changed: the candidates follow. Emptied, it is as in the logs.

    What cannot be read changes nothing, and stays to be corrected.
    """
    memory, old = state(), space.big_run
    memory.pop(FAULT, None)
    try:
        field, typed = _fields(memory.get(UNIT, UPDATES))[name], str(memory.get(key) or "").strip()
        new = field.changed(old, typed) if typed else _as_logged(old, field.of)
    except OptLawsError as fault:
        memory[FAULT] = str(fault)
        return
    space.big_run = new
    candidate_table.replace_all(space, moved(space.candidates, old, new))
    memory[VERSION] = memory.get(VERSION, 0) + 1  # fresh fields, with the values in force


def _plain(value: float | None) -> str | None:
    return None if value is None else format_number(value)


def _from_address(key: str) -> float | None:
    values, share = address.read(key) or (), key == "final"
    with suppress(OptLawsError):
        value = next((parse_amount(value, key, zero=share) for value in values), None)
        if value is None or not share or value <= 1:
            return value
    rule = "it is a share of the peak, from 0 to 1" if share else "it is an amount such as 7B"
    address.warn_of_refused(key, list(values), rule)
    return None

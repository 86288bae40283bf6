"""The Decide page's search for the best schedule: limits, the search, what it gains and whether that counts."""

import functools
from collections.abc import Callable, Collection
from dataclasses import replace

import streamlit as st

from optlaws_core import DesignError, OptLawsError, Schedule
from optlaws_core.fitting.result import Coverage, Model
from optlaws_core.optimize import FAMILIES, KNOTS, Finding, JointFinding, Limits, find, find_joint, updates_within
from optlaws_core.optimize.joint_search import check_unit, multiples_of
from optlaws_core.prediction.losses import sized
from optlaws_core.text import format_amount, format_number, parse_amount, parse_int, shortened

from ..state import address, jobs
from ..state.candidates import MOST, Candidate
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets.markdown import literal
from . import table as candidate_table
from .predicted import Entry, Known, half_widths

FOUND = "compare_best"  # what the last search said
OF = "compare_best_of"  # text form of the schedule that it is about; None: of none
SEARCH = "compare_search"  # the job of a search that runs, and the name and the fit that it is under
FALLING, ANY = "Curve that only falls", "Any curve"
FORMS = (FALLING, ANY, *FAMILIES)
LENGTHS = ("Updates", "Tokens", "FLOPs")
BUDGETS = {"Tokens": "300B", "FLOPs": "1e21"}  # examples of lengths that are no updates
MOST_UPDATES = "Maximum updates"
MEANINGS = {
    "peak": ("Peak", "Highest rate, such as 3e-4; the best schedule may stay below."),
    "warmup": ("Warm-up", "Updates of linear warm-up, such as 2000 or 2k."),
    "floor": ("Floor", "Lowest rate after the warm-up."),
    "slope": ("Largest slope", "Largest change of the rate between two updates after the warm-up."),
    "knots": ("Knots", "For a free curve: the number of its straight lines plus one."),
}
BATCHED = {  # of a family alone
    "batches": (
        "Sizes of the batch",
        "Sizes that the batch may grow through: multiples of the training runs' batch such as 1x, 2x, 4x, up to what "
        "the hardware takes. Rate and batch are then searched for together, at the tokens of that many updates of 1x. "
        "Only the noisy quadratic predicts it.",
    ),
    "most": (MOST_UPDATES, "Most updates that a plan with a growing batch may take, such as 12k."),
}


def section(space: Workspace, found: list[Entry]) -> None:
    """A form for the limits, and what came of the last search. Its schedules become candidates."""
    box = st.expander(
        "Find the best schedule", icon=":material/auto_awesome:", on_change="rerun", key="best_box", bind="query-params"
    )
    running = SEARCH in state()
    if not box.open and not running:
        return
    with box:
        st.caption(
            "The schedule with the lowest predicted final loss under the fit in use: any curve, by exact gradients, or "
            "the best of a family. It is only as good as the law, whose errors a search exploits: check a gain "
            "with a run."
        )
        usual = _usual(space.fit, max((e.schedule for e in found), key=lambda s: s.total))
        _form(usual)
        st.button(
            "Find",
            icon=":material/play_arrow:",
            on_click=_begin,
            args=(space, usual),
            key="best_find",
            disabled=running,
        )
        if running:
            _watch(space)
        about = state().get(OF)
        if about is None or any(c.text == about for c in space.candidates):
            for kind, text in state().get(FOUND, ()):
                _SHOWN[kind](literal(text))


_SHOWN = {"error": st.error, "doubt": st.warning, "said": st.markdown}


def _usual(fit: Model, longest: Schedule) -> dict[str, str]:
    """What counts where nothing is typed; empty where something must be."""
    return {
        "peak": format_number(longest.peak),
        "warmup": str(longest.warmup),
        "floor": "0",
        "slope": "any",
        "knots": str(KNOTS),
        "batches": "one batch",
        "most": "any",
        "Updates": str(longest.total),
        "Tokens": "",
        "FLOPs": "",
        "batch": _known(fit.coverage.batch_tokens),
        "params": _known(fit.coverage.params),
    }


def _form(usual: dict[str, str]) -> None:
    """Widgets for what is searched and for the limits."""

    def ask(place, name: str, label: str, meaning: str) -> None:
        place.text_input(label, placeholder=usual[name], key=f"best_{name}", bind="query-params", help=meaning)

    first = st.columns(len(MEANINGS))
    form = address.bound_widget(
        first[0].selectbox,
        "Search",
        FORMS,
        key="best_form",
        help="A free curve between knots, or the best peak, decay, exponents and final rate of a family.",
    )
    unit = address.bound_widget(
        first[1].selectbox,
        "Length in",
        LENGTHS,
        key="best_unit",
        help="Training compute in FLOPs counts as 6 times parameters times tokens (arXiv 2001.08361).",
    )
    ask(first[2], unit, unit, "Of the whole run, warm-up included: 24000 or 24k updates, 300B tokens, 1e21 FLOPs.")
    if unit != "Updates":
        meaning = "Turns the budget into updates. By default that of the training runs, for which losses are predicted."
        ask(first[3], "batch", "Tokens per update", meaning)
        if unit == "FLOPs":
            ask(first[4], "params", "Parameters", meaning)
    for place, (name, (label, meaning)) in zip(st.columns(len(MEANINGS)), MEANINGS.items(), strict=True):
        ask(place, name, label, meaning)
    if form in FAMILIES:
        for place, (name, (label, meaning)) in zip(st.columns(len(MEANINGS)), BATCHED.items(), strict=False):
            ask(place, name, label, meaning)


def _typed(usual: dict[str, str]) -> dict[str, str]:
    """What stands in the form now. A press of the button may come before the form was drawn with the last word."""
    memory = state()
    texts = {"form": memory.get("best_form") or FORMS[0], "unit": memory.get("best_unit") or LENGTHS[0]}
    for name in (*MEANINGS, *BATCHED, *LENGTHS, "batch", "params"):
        texts[name] = (memory.get(f"best_{name}") or "").strip() or usual[name]
    return texts


def _known(ends: tuple[float, float] | None) -> str:
    """What the training runs agree on; empty where they do not tell, or not alike."""
    return format_amount(ends[0]) if ends and ends[0] == ends[1] else ""


def _begin(space: Workspace, usual: dict[str, str]) -> None:
    """Start the search in the background, or say why there is none."""
    memory, texts = state(), _typed(usual)
    memory[FOUND], memory[OF] = [], None
    try:
        work = _work(space.fit, texts, usual)
    except OptLawsError as fault:
        memory[FOUND] = [("error", str(fault))]
        return
    job = jobs.Job.start("best schedule", work)
    memory[SEARCH] = job, space.current, space.fit


def _work(fit: Model, texts: dict[str, str], usual: dict[str, str]) -> Callable[..., Finding | JointFinding]:
    """The search that is asked for. Raises `OptLawsError` as `_limits` does, and for fields that do not go together."""
    family = None if texts["form"] in (FALLING, ANY) else texts["form"]
    asked = fit if texts["unit"] == "Updates" else _sized(fit, texts)
    limits = _limits(asked.coverage, texts)
    if family is None or texts["batches"] == usual["batches"]:
        if family is not None and texts["most"] != usual["most"]:
            raise DesignError(
                f"{MOST_UPDATES} is for plans whose batch grows, got {shortened(texts['most'])}: give their sizes in "
                f"“{BATCHED['batches'][0]}”, or clear it."
            )
        return functools.partial(find, fit, limits, family)
    check_unit(fit, asked.coverage.usual[1])
    most = None if texts["most"] == usual["most"] else parse_int(texts["most"], MOST_UPDATES)
    return functools.partial(find_joint, fit, limits, family, multiples_of(texts["batches"]), most)


def _sized(fit: Model, texts: dict[str, str]) -> Model:
    """The fit, told the model size and batch that a budget is counted in. Raises `OptLawsError` for what is neither."""
    told = {
        name: parse_amount(texts[name], what, examples=usual) if texts[name] else None
        for name, what, usual in (
            ("params", "The model size", "123M or 7B"),
            ("batch", "The number of tokens per update", "4M or 524288"),
        )
    }
    return sized(fit, told["params"], told["batch"])


def _limits(coverage: Coverage, texts: dict[str, str]) -> Limits:
    """Raises `OptLawsError` for what is no number, or no limit that can be kept."""
    if texts["unit"] == "Updates":
        total = parse_int(texts["Updates"], "The number of updates")
    else:
        budget = parse_amount(texts[texts["unit"]], "The budget", examples=BUDGETS[texts["unit"]])
        total = updates_within(coverage, **{texts["unit"].lower(): budget})
    return Limits(
        peak=parse_amount(texts["peak"], "The peak", examples="3e-4"),
        total=total,
        warmup=parse_int(texts["warmup"], "The warm-up"),
        floor=parse_amount(texts["floor"], "The floor", zero=True, examples="3e-5"),
        slope=None if texts["slope"] == "any" else parse_amount(texts["slope"], "The largest slope", examples="1e-6"),
        knots=parse_int(texts["knots"], "The number of knots", examples="24"),
        falling=texts["form"] != ANY,
    )


def _watch(space: Workspace) -> None:
    """Progress of the running search, a button that stops it, and the result's way to the candidates."""
    memory = state()
    search, name, fit = memory[SEARCH]

    def said(progress: jobs.Progress) -> str:
        return "Looking for the lowest final loss" + ("" if progress.best is None else f": {progress.best:.4f} so far")

    def ended(job: jobs.Job[Finding | JointFinding]) -> None:
        del memory[SEARCH]
        try:
            finding = job.result()
        except OptLawsError as fault:
            memory[FOUND] = [("error", str(fault))]
        else:
            if finding is not None:
                _take(space, name, fit, finding)

    jobs.watch(search, said, ended, "best_cancel")


def _take(space: Workspace, name: str, fit: Model, finding: Finding | JointFinding) -> None:
    """Put what was found among the candidates, and say what it is worth."""
    if isinstance(finding, JointFinding):
        best, loss, doubts = finding.best.plan, finding.best.loss, finding.doubts
        new = [Candidate(best.text, label="best plan"), Candidate(finding.one.plan.text, label="best with one batch")]
        new = new[: 1 if finding.one.plan == best else 2]
    else:
        best, loss = finding.best.schedule, finding.best.loss
        new, doubts = _curves(finding), finding.doubts(finding.beside_simple(fit))
    known = {c.text: c.label for c in space.candidates}
    new = [replace(c, label=known.get(c.text) or _unused(c.label, known.values())) for c in new]
    new_ones = [c for c in new if c.text not in known]
    left_out = max(0, len(space.candidates) + len(new_ones) - MOST)
    candidate_table.add(space, new_ones)
    (half,) = half_widths(Known.of(fit), (best,))
    end = f"{loss:.4f}" + ("" if half is None else f" ± {half:.4f} (90 % prediction band)")
    said = (
        f"Under {name}, the {new[0].label} of {best.total:,} updates, peak {format_number(best.peak)}, ends at {end}. "
        f"{finding.summary}"
    )
    if left_out:
        doubts.append(f"The table holds {MOST} candidates, so {left_out} of those found are not in it.")
    state()[FOUND], state()[OF] = [("said", said), *(("doubt", text) for text in doubts)], best.text


def _curves(finding: Finding) -> list[Candidate]:
    """The best schedule as a candidate, and those beside it."""
    best = finding.best.schedule
    new = [Candidate(best.text, label="best curve" if best.family == "knots" else f"best {best.family}")]
    if finding.smooth is not None:
        new.append(Candidate(finding.smooth.schedule.text, label="best without a jump"))
    if finding.simple is not None:
        simple = finding.simple.schedule
        new.append(Candidate(simple.text, label=f"best {simple.family}"))
    return new


def _unused(label: str, taken: Collection[str]) -> str:
    """The label, with a number where it is taken: the ranking would number it otherwise than the table."""
    names = (label, *(f"{label} {n}" for n in range(2, MOST + 2)))
    return next(name for name in names if name not in taken)

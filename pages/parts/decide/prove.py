"""“Prove it on a small run”: candidates trained here and now, over what was predicted of them before."""

import functools
from collections.abc import Callable, Sequence

import streamlit as st

from optlaws_core import FitError, OptLawsError
from optlaws_core.figures.small_run_chart import Curve, chart
from optlaws_core.readers import read_all
from optlaws_core.text import counted, format_amount

from ..compare.predicted import Entry
from ..server import trainer
from ..state import address, jobs
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from . import small_run
from .small_run import SmallRuns

BOX = "prove_box"  # the key of the expander, and its name in the address
RUNNING, TRIED, FAULT = "prove_running", "prove_tried", "prove_fault"  # in the session
EVERY = 1.0  # s between two looks at a run: its chart is drawn anew
ABOUT = (
    "Trains a candidate as a real model, now, on one core of this server: {params} parameters, {updates:,} updates, "
    "the same shape at the peak and warm-up of the bundled runs of that size, their text (Python’s own source) and "
    "their seed. Its losses are predicted before it begins, by the usual laws fitted to those runs. This proves the "
    "method at that size and on that text. It says nothing about your model; only your own logs do."
)


def section(space: Workspace, order: Sequence[Entry]) -> None:
    """The expander: what is tried, the runs under way, what came of the last ones. `order`: candidates, best first."""
    if not trainer.allowed():
        return
    running = RUNNING in state()
    box = st.expander(
        "Prove it on a small run", icon=":material/science:", on_change="rerun", key=BOX, bind="query-params"
    )
    if not box.open and not running:
        return
    with box:
        if missing := trainer.missing():
            st.markdown(missing)
            return
        st.caption(literal(_about()))
        _ask(order, running)
        if running:
            _watch()
        elif fault := state().get(FAULT):
            st.error(literal(fault))
        if not running and TRIED in state():
            _outcome(space, state()[TRIED])


def _about() -> str:
    known = small_run.runs()[0].known_plan
    return ABOUT.format(params=format_amount(known.params, 3), updates=small_run.UPDATES)


def _ask(order: Sequence[Entry], running: bool) -> None:
    """Which candidates, and the button."""
    names = [e.name for e in order]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Candidates to train",
            names,
            address.read_several("prove", names, names[:1], "candidate", small_run.MOST),
            max_selections=small_run.MOST,
            key=f"prove_candidates {names}",
            width=420,
            help="One, or two that are close: the result then also says which was predicted to end lower, and "
            "which did.",
        )
        address.write("prove", chosen, names[:1])
        seconds = small_run.BEFORE + small_run.SECONDS * max(len(chosen), 1)
        st.button(
            "Train it" if len(chosen) < 2 else "Train both",
            icon=":material/play_arrow:",
            key="prove_begin",
            on_click=_begin,
            args=([e for e in order if e.name in chosen],),
            disabled=running or not chosen or trainer.busy(),
            help=f"About {seconds:g} s where a core of the server is free, and longer where none is.",
        )
    if trainer.busy() and not running:
        st.caption(trainer.BUSY)


def _begin(chosen: Sequence[Entry]) -> None:
    """Start in the background, or say why not."""
    memory = state()
    memory.pop(FAULT, None)
    try:
        tried = SmallRuns.of(*zip(*((e.name, e.spoken, e.color, e.schedule) for e in chosen), strict=True))
    except OptLawsError as fault:
        memory[FAULT] = str(fault)
        return
    memory.pop(TRIED, None)
    # In a thread of the server, which waits for the process that fits and for the one that trains.
    memory[RUNNING] = jobs.Job.start("small run", functools.partial(small_run.carry_out, tried), apart=False), tried


def _watch() -> None:
    """Progress, a button that stops, and the curves as they grow."""
    memory = state()
    job, tried = memory[RUNNING]

    def ended(job: jobs.Job[SmallRuns]) -> None:
        del memory[RUNNING]
        try:
            job.result()
        except (OptLawsError, FitError) as fault:
            memory[FAULT] = str(fault)
        if any(tried.rows):
            memory[TRIED] = tried

    jobs.watch(job, _said(tried), ended, "prove_stop", stop="Stop", beneath=lambda: _chart(tried), every=EVERY)


def _said(tried: SmallRuns) -> Callable[[jobs.Progress], str]:
    """What is being done, one line."""

    def said(progress: jobs.Progress) -> str:
        if tried.foreseen is None:
            return f"Predicting: fitting laws to {counted(len(tried.evidence.used), 'bundled run')}"
        if not any(tried.rows):
            return "Loading PyTorch and the text"
        i = tried.at_work
        which = f" {i + 1} of {len(tried.rows)}" if len(tried.rows) > 1 else ""
        done, total = tried.rows[i][-1]["step"] + 1, tried.schedules[i].total
        return f"Training{which}: {tried.names[i]}, update {done:,} of {total:,}{_left(tried)}"

    return said


def _left(tried: SmallRuns) -> str:
    seconds = tried.seconds_left
    return "" if seconds is None else f", about {max(round(seconds), 1)} s left"


def _chart(tried: SmallRuns) -> None:
    if tried.foreseen is None:
        return
    curves = [
        Curve(name, color, predicted, *tried.losses(i))
        for i, (name, color, predicted) in enumerate(
            zip(tried.names, tried.colors, tried.foreseen.predictions, strict=True)
        )
    ]
    showing.chart(chart(curves, " ".join(tried.names)), "small-run")
    st.caption(literal(tried.told_before))


def _outcome(space: Workspace, tried: SmallRuns) -> None:
    """The verdict, the chart, and the ways to take the runs along."""
    for sentence in tried.verdict:
        st.markdown(f":material/fact_check: {literal(sentence)}")
    for doubt in tried.doubts:
        st.markdown(f":material/warning: {literal(doubt)}")
    _chart(tried)
    if not (sources := small_run.files(tried)):
        return
    with st.container(horizontal=True):
        st.download_button(
            "Download the log" if len(tried.ends) < 2 else "Download the logs",
            lambda: small_run.zipped(sources),
            "optlaws-small-run.zip",
            "application/zip",
            icon=":material/download:",
            key="prove_download",
            on_click="ignore",
            help="A log as CSV for each run, and a manifest; the app reads them, too.",
        )
        names = [source.name for source in sources]
        st.button(
            "Add to the runs",
            icon=":material/add:",
            key="prove_add",
            on_click=_add,
            args=(space, sources),
            disabled=all(name in space.reports for name in names),
            help="As runs of their own size; an answer rests on runs of one size.",
        )


def _add(space: Workspace, sources: Sequence) -> None:
    space.take(read_all(list(sources)))

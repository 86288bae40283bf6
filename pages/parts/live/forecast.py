"""The Live page: which run, as of which step, how it goes on, and whether it diverges."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from optlaws_core import LogError, OptLawsError, Run, predict
from optlaws_core.figures import live_charts as charts
from optlaws_core.fitting.result import Model
from optlaws_core.live import (
    ALARM,
    LOOKS,
    RISE,
    Forecast,
    averages,
    cut,
    decays,
    diverging,
    forecast,
    from_itself,
    outcomes,
    reread,
    risen,
    version,
)
from optlaws_core.prediction.divergence import LEAST_RUNS, Risk, learn_risk
from optlaws_core.prediction.divergence import risk_of as risks_of
from optlaws_core.prediction.divergence import untold as untold_of
from optlaws_core.readers import Reading
from optlaws_core.runs.noise import DIVERGED
from optlaws_core.text import percent

from ..state import address, jobs, session
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal, unbroken

FOLDER = "OPTLAWS_LIVE"  # environment variable: the one log, or folder of logs, of the server that may be watched
EVERY = 10  # seconds
FIT, ITSELF = "The fit in use", "This run alone"
REPLAYED = 0.6  # of a finished run, which is replayed from there


def watched() -> bool:
    """Whether to read the operator's folder rather than the loaded runs; asked only where there is one."""
    return bool(os.environ.get(FOLDER, "").strip()) and st.toggle(
        f"Re-read the server's logs every {EVERY} s",
        key="live_watch",
        help="Logs in the folder that the operator of this server named. An unfinished last line is read once it is "
        "complete.",
        persist_state="session",
        bind="query-params",
    )


def show(space: Workspace) -> None:
    """Everything beneath the heading; reads the folder anew every few seconds while it is watched."""
    watch = watched()
    st.fragment(_board, run_every=EVERY if watch else None)(space, watch)


def _board(space: Workspace, watch: bool) -> None:
    reading = _now() if watch else None
    if isinstance(reading, str):
        st.warning(literal(reading))
        return
    whole = _pick(reading.runs if reading else () if watch else space.runs.values(), watch)
    if reading:
        _said(reading, whole)
    if whole is None:
        return
    seen = whole
    try:
        if not watch:  # a log under watch is seen as it is now
            seen = _as_of(whole)
        _alarm(space, seen)
        if seen.plan is None:
            where = "in a manifest beside its log" if watch else "on the Runs page"
            st.info(f"This run has no learning rate yet. Declare its schedule {where} to forecast the rest.")
        else:
            model = _model(space, seen)
            # What is to come lies beyond what a run was fitted to by itself, as it must.
            _ahead(model, seen, whole, flagged=model is space.fit)
            return
    except OptLawsError as fault:
        st.info(literal(str(fault)))
    showing.chart(charts.progress(seen, whole, None, ""), "live-losses")


def _model(space: Workspace, seen: Run) -> Model:
    """What the rest is forecast by: the fit in use, or the run itself under the learned priors."""
    if space.fit is not None:
        other = f"the fit in use, {literal(space.current)}"
        by = st.segmented_control(
            "Forecast by",
            (FIT, ITSELF),
            default=address.read_one("by", (FIT, ITSELF), FIT),
            required=True,
            key="live_by",
            persist_state="session",
            help=f"{FIT}: {other}. {ITSELF}: laws fitted to its losses so far, under priors learned from public "
            "training curves.",
        )
        address.write("by", by, FIT)
        if by == FIT:
            return space.fit
    else:
        st.caption(
            "No law is fitted to finished runs, so the rest is forecast from this run alone, under priors learned from "
            "public training curves. A fit to finished runs of yours knows more: make one on the Evidence page."
        )
    plan = seen.known_plan
    told = (plan.schedule.text, plan.params, plan.batch_tokens, seen.steps.tobytes(), seen.loss.tobytes())
    return _alone((seen.name, seen.split, *told), seen)


@st.cache_resource(show_spinner="Fitting the run so far", max_entries=32)
def _alone(key: tuple, _seen: Run) -> Model:  # `key` is what Streamlit knows the losses by
    return jobs.awaited("the run so far", from_itself, _seen)


def _now() -> Reading | str | None:
    """The operator's logs as they are now; None where there are none, and why they are not read, without their path."""
    path = Path(os.environ[FOLDER])
    try:
        return _reread(path, version(path))
    except LogError as fault:
        return None if fault.source or str(path) in str(fault) else str(fault)


@st.cache_resource(show_spinner=False, max_entries=1)  # all visitors see the same logs; unchanged ones are kept
def _reread(path: Path, seen: tuple) -> Reading:  # `seen` is what Streamlit knows the logs by
    return reread(path)


def _said(reading: Reading, run: Run | None) -> None:
    """What was left out or waits, what could not be read, and what was repaired in the run."""
    notes = list(reading.notes)
    if run is not None:
        notes += [n for f in reading.files for n in f.notes if n.run == run.name and n.level != "info"]
    for text in (*(n.text for n in notes), *reading.errors):
        st.caption(literal(text))


def _pick(runs: Collection[Run], watch: bool) -> Run | None:
    """The run to follow. One that was chosen stays so while its log is gone: it may be about to be written anew."""
    by_name = {run.name: run for run in runs}
    key = f"live_run {watch}"
    chosen = session.state().get(key)
    names = [*by_name, *({chosen} - {None, *by_name})] if watch else list(by_name)
    if not names:
        st.info(
            "The server's logs are not there, or hold nothing yet."
            if watch  # without their path
            else "There is no log to follow yet. Load one on the Runs page."
        )
        return None
    left, right = st.columns([3, 1])
    first = names.index(address.read_one("run", names, names[0], address.RUN))
    name = left.selectbox("Run", names, first, key=key, persist_state="session")
    address.write("run", name, names[0])
    if name not in by_name:
        st.info(literal(f"The log of {name!r} is missing now, or cannot be read; the page keeps looking for it."))
        return None
    run = by_name[name]
    splits = [k for k, s in run.series.items() if len(s)]
    usual = run.split if run.split in splits else splits[0]
    split = right.selectbox(
        "Losses",
        splits,
        index=splits.index(address.read_one("losses", splits, usual)),
        key=f"live_split {name}",
        persist_state="session",
    )
    address.write("losses", split, usual)
    return run.on(split)


def _as_of(run: Run) -> Run:
    """The run up to the step of the slider: all of it at first, of a finished run the part that leaves some to come."""
    first, last = int(run.steps[0]), int(run.steps[-1])
    if first == last:
        return run
    ended = run.plan is not None and last >= run.plan.schedule.total - 1
    usual = int(first + REPLAYED * (last - first)) if ended else last
    step = st.slider(
        "As of step",
        first,
        last,
        address.read_number("step", usual, first, last),
        key=f"live_step {run.name} {run.split}",
        persist_state="session",
        help="Move it back to replay the run: what came later stays faint, and scores the forecast.",
    )
    address.write("step", step, usual)
    return cut(run, step)


def _alarm(space: Workspace, seen: Run) -> None:
    risk, untold = _risk(space, seen)
    chance, sure = diverging(seen, risk), risen(seen)
    left, right = st.columns([1, 4], vertical_alignment="center")
    left.metric(
        "Probability of divergence",
        "–" if chance is None else percent(chance),
        help=(
            "Probability that the run ends diverged, given its losses so far: from how clearly its loss has risen "
            "and how much of the rate is still to come. Learned from 225 small runs of the bundled sweep, one in eight "
            "of which diverged; other training setups have another share."
        ),
    )
    if sure >= ALARM:
        right.error(f"The loss has risen by more than {percent(RISE)}, beyond its noise.")
    elif len(seen.loss) < LOOKS:
        right.caption(f"A rise is looked for from {LOOKS} losses on; there are {len(seen.loss)}.")
    else:
        right.caption(f"No rise by more than {percent(RISE)} that is clearly beyond the noise.")
    if risk is not None:
        right.caption(f"The plan alone carries a risk of {percent(risk)}, by the loaded runs that diverged or did not.")
    for sentence in untold:
        right.caption(literal(sentence))


def _risk(space: Workspace, seen: Run) -> tuple[float | None, list[str]]:
    """The risk of the run's plan by other loaded runs whose outcome is known; None where they do not tell, and why.

    Asked first: it takes seconds to learn.
    """
    if seen.plan is None or seen.plan.params is None:
        return None, []
    known = [
        r
        for r in space.fittable.values()
        if r.about.get("outcome") and not r.about.get("parent") and r.plan.params and r.plan != seen.plan
    ]
    bad = sum(r.about["outcome"] == DIVERGED for r in known)
    if min(bad, len(known) - bad) < LEAST_RUNS or not st.toggle(
        f"Include the risk of its plan, learned from {len(known)} loaded runs, of which {bad} diverged",
        key="live_risk",
        bind="query-params",
    ):
        return None, []
    key = tuple((r.plan.schedule.text, r.plan.params, r.about["outcome"]) for r in known)
    risk = _learned(key, known)
    return risks_of(risk, [seen.plan])[0], untold_of(risk, [("its plan", seen.plan)])


@st.cache_resource(show_spinner="Learning from the loaded runs", max_entries=16)
def _learned(key: tuple, _runs: list[Run]) -> Risk:
    ends = [r.about["outcome"] == DIVERGED for r in _runs]
    return jobs.awaited("risk of divergence", learn_risk, [r.plan for r in _runs], ends)


def _ahead(model: Model, seen: Run, whole: Run, flagged: bool) -> None:
    now, planned = int(seen.steps[-1]), seen.plan.schedule.total
    endless = seen.lr_source == "logged" and planned <= now + 1  # a log tells the rates so far, not how long it will be
    if endless:
        planned = 2 * (now + 1)
    asked = [
        address.number_field(
            column, label, low, value, name=name, key=f"live_{key} {seen.name}", persist_state="session"
        )
        for column, label, name, low, value, key in zip(
            st.columns(3),
            ("Updates in total", "Updates of a decay", "A later start, in updates"),
            ("total", "decay", "wait"),
            (1, 1, 0),
            (planned, max(planned // 10, 1), max(planned // 10, 1)),
            ("total", "length", "wait"),
            strict=True,
        )
    ]
    if None in asked:
        showing.chart(charts.progress(seen, whole, None, ""), "live-losses")
        return
    total, length, wait = asked
    if endless and total < now + 2:
        st.caption(f"The run is at step {now:,} already, so {planned:,} updates in total are assumed, not {total:,}.")
        total = planned
    if left_out := _beyond(total - now - 1, length, wait):
        st.caption(left_out)
    ways = decays(seen, now, total, [length], [0, wait])
    ranked = sorted([*outcomes(model, seen, ways), *averages(model, seen)], key=lambda o: o.loss)
    names = [name for name, _ in ways]
    usual = names.index("as planned") if "as planned" in names else names.index("no decay")
    first = names.index(address.read_one("way", names, names[usual]))
    way = st.selectbox("Draw", names, index=first, key=f"live_way {seen.name}", persist_state="session")
    address.write("way", way, names[usual])
    told = forecast(model, seen, dict(ways)[way])
    showing.chart(charts.progress(seen, whole, told, way), "live-losses")
    if flagged and (reasons := model.reasons(replace(seen.plan, schedule=dict(ways)[way]))):
        st.warning(literal(f"Beyond the training runs of the law: {'; '.join(reasons)}."), icon=":material/explore:")
    if way == "as planned":
        _scored(model, seen, whole, told, flagged and seen.name in model.train)
    showing.table(
        pd.DataFrame(
            [(o.name, o.updates, o.loss, o.low, o.high) for o in ranked],
            columns=["way", "updates", "final loss", "low", "high"],
        ),
        "live-decays",
        hide_index=True,
        width="stretch",
        column_config={
            "way": "Way",
            "updates": st.column_config.NumberColumn("Updates", format="localized"),
            **{k: st.column_config.NumberColumn(k.capitalize(), format="%.4f") for k in ("final loss", "low", "high")},
        },
    )
    st.caption(
        unbroken(
            "Low and high: a 90 % band. A decay that ends earlier spends fewer updates, an average of the weights "
            "none: these losses differ in cost."
        )
    )


def _beyond(left: int, length: int, wait: int) -> str:
    """Why some of the decays that were asked for are left out, where `left` updates are to come; empty: none is."""
    if length > left:
        return f"A decay over {length:,} updates does not fit into the {left:,} that are left, so no decay is shown."
    if wait + length > left:
        return (
            f"A decay over {length:,} updates that starts in {wait:,} does not fit into the {left:,} that are left, so "
            "it is not shown."
        )
    return ""


def _scored(model: Model, seen: Run, whole: Run, told: Forecast, knows: bool) -> None:
    """How the forecast did, in a replay; `knows`: whether the model was fitted to the whole run."""
    later = whole.steps > told.now
    if not later.any():
        return
    then = forecast(model, seen, at=whole.steps[later])
    true = whole.loss[later]
    alone = predict(model, seen.plan, whole.steps[later])
    inside = None if then.low is None else ((then.low <= true) & (true <= then.high)).mean()
    held = "" if inside is None else f" The band held {percent(inside)} of them."
    known = " The law was fitted to this very run, so this says little." if knows else ""
    off, alone_off = then.loss / true - 1, alone / true - 1
    st.caption(
        f"Against the {len(true):,} losses that came later: off by {percent(abs(off).mean(), 2)} on average, "
        f"{percent(abs(off[-1]), 2)} at the end; the law without the run so far, by "
        f"{percent(abs(alone_off).mean(), 2)} and {percent(abs(alone_off[-1]), 2)}.{held}{known}"
    )

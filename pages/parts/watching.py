"""The Live page: which run, as of which step, how it goes on, and whether it diverges."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import streamlit as st

from optlaws_core import OptLawsError, Run, predict
from optlaws_core.fits import Model
from optlaws_core.live import ALARM, RISE, Forecast, cut, decays, diverging, forecast, outcomes, reread

from .charts import live as charts
from .session import Workspace, literal

FOLDER = "OPTLAWS_LIVE"  # environment variable: the one folder of the server whose logs may be watched
EVERY = 10  # seconds
REPLAYED = 0.6  # of a finished run, which is replayed from there


def watched() -> bool:
    """Whether to read the operator's folder rather than the loaded runs; asked only where there is one."""
    return bool(os.environ.get(FOLDER, "").strip()) and st.toggle(
        f"Re-read the server's logs every {EVERY} s", key="live_watch",
        help="Logs in the folder that whoever runs this server has named. Unfinished last lines wait.",
    )  # fmt: skip


def show(space: Workspace) -> None:
    """Everything beneath the heading; reads the folder anew every few seconds while it is watched."""
    watch = watched()
    st.fragment(_board, run_every=EVERY if watch else None)(space, watch)


def _board(space: Workspace, watch: bool) -> None:
    runs = _folder() if watch else space.runs
    if not runs:
        st.info("There is no log to follow yet. Load one on the Runs page.")
        return
    whole = _pick(runs, watch)
    try:
        seen = _as_of(whole)
        _alarm(seen)
        if seen.plan is None:
            st.info("This run has no learning rate yet. Declare its schedule on the Runs page to forecast the rest.")
        elif space.fit is None:
            st.info("A forecast needs a law fitted to finished runs. Fit one on the Fit page; until then, the losses.")
        else:
            _ahead(space.fit, seen, whole)
            return
    except OptLawsError as fault:
        st.info(literal(str(fault)))
    st.plotly_chart(charts.progress(whole, whole, None, ""), width="stretch", key="live_chart")


def _folder() -> Mapping[str, Run]:
    try:
        reading = reread(Path(os.environ[FOLDER]))
    except OptLawsError:
        st.info("The server's folder of logs is not there or holds no logs yet.")  # without its path
        return {}
    for error in reading.errors:
        st.caption(literal(error))
    return {run.name: run for run in reading.runs}


def _pick(runs: Mapping[str, Run], watch: bool) -> Run:
    left, right = st.columns([3, 1])
    name = left.selectbox("Run", list(runs), key=f"live_run {watch}")
    run = runs[name]
    splits = [k for k, s in run.series.items() if len(s)]
    split = right.selectbox("Losses", splits, index=splits.index(run.split) if run.split in splits else 0,
                            key=f"live_split {name}")  # fmt: skip
    return run.on(split)


def _as_of(run: Run) -> Run:
    """The run up to the step of the slider: all of it at first, of a finished run the part that leaves some to come."""
    first, last = int(run.steps[0]), int(run.steps[-1])
    if first == last:
        return run
    # Another width of log is another slider, so that one at the end follows a log that grows.
    ended = run.plan is not None and last >= run.plan.schedule.total - 1
    begin = int(first + REPLAYED * (last - first)) if ended else last
    step = st.slider(
        "As of step", first, last, begin, key=f"live_step {run.name} {run.split} {last}",
        help="Move it back to replay the run: what came later stays faint, and scores the forecast.",
    )  # fmt: skip
    return cut(run, step)


def _alarm(seen: Run) -> None:
    score = diverging(seen)
    left, right = st.columns([1, 4], vertical_alignment="center")
    left.metric("Diverging", f"{score:.0%}", help=(
        f"One minus the p-value of a test whether the latest losses lie more than {RISE:.0%} above what they have "
        "been, at no lower a rate, beyond the noise of the run."
    ))  # fmt: skip
    if score >= ALARM:
        right.error(f"The loss has risen by more than {RISE:.0%}, beyond its noise: this run is diverging.")
    else:
        right.caption(f"An alarm is given from {ALARM:.0%} on.")


def _ahead(model: Model, seen: Run, whole: Run) -> None:
    now, planned = int(seen.steps[-1]), seen.plan.schedule.total
    total, length, wait = (
        column.number_input(label, min_value=low, value=max(low, value), step=1, key=f"live_{label} {seen.name}")
        for column, label, low, value in zip(
            st.columns(3), ("Updates in all", "Updates of a decay", "A later start, in updates"), (1, 1, 0),
            (planned, max(planned // 10, 1), max(planned // 10, 1)), strict=True,
        )
    )  # fmt: skip
    ways = decays(seen, now, int(total), [int(length)], [0, int(wait)])
    ranked = outcomes(model, seen, ways)
    names = [name for name, _ in ways]
    usual = names.index("as planned") if "as planned" in names else names.index("no decay")
    way = st.selectbox("Draw", names, index=usual, key=f"live_way {seen.name} {now} {len(names)}")
    told = forecast(model, seen, dict(ways)[way])
    st.plotly_chart(charts.progress(seen, whole, told, way), width="stretch", key="live_chart")
    if way == "as planned":
        _scored(model, seen, whole, told)
    st.dataframe(
        pd.DataFrame([(o.name, o.schedule.total, o.loss, o.low, o.high) for o in ranked],
                     columns=["way", "updates", "final loss", "low", "high"]),
        hide_index=True, width="stretch",
        column_config={k: st.column_config.NumberColumn(format="%.4f") for k in ("final loss", "low", "high")},
    )  # fmt: skip
    st.caption(
        "Low and high: a 90 % band. A decay that ends earlier spends fewer updates: these losses differ in cost."
    )


def _scored(model: Model, seen: Run, whole: Run, told: Forecast) -> None:
    """How the forecast did, in a replay."""
    later = whole.steps > told.now
    if not later.any():
        return
    then = forecast(model, seen, at=whole.steps[later])
    true = whole.loss[later]
    alone = predict(model, seen.plan, whole.steps[later])
    inside = None if then.low is None else ((then.low <= true) & (true <= then.high)).mean()
    held = "" if inside is None else f" The band held {inside:.0%} of them."
    known = " The law was fitted to this very run, so this says little." if seen.name in model.train else ""
    st.caption(
        f"Against the {len(true):,} losses that came later: off by {abs(then.loss / true - 1).mean():.2%} on average, "
        f"{abs(then.loss[-1] / true[-1] - 1):.2%} at the end; the law without the run so far, by "
        f"{abs(alone / true - 1).mean():.2%} and {abs(alone[-1] / true[-1] - 1):.2%}.{held}{known}"
    )

"""The Live page's AutoLRS: the next stage of a run, from probes of its rate; a whole run simulated under a law."""

import functools

import pandas as pd
import streamlit as st

from optlaws_core import OptLawsError, Run, predict
from optlaws_core.figures import autolrs_charts as charts
from optlaws_core.figures.candidate_chart import steps_of
from optlaws_core.fitting.result import Model
from optlaws_core.optimize.autolrs import (
    FEWEST,
    REACH,
    Next,
    Proposal,
    Rival,
    Search,
    Simulated,
    Stage,
    next_stage,
    probe_length,
    probe_of,
    propose_rate,
    simulate_with_rivals,
    stages_of,
)
from optlaws_core.text import format_number, parse_amount

from ..state import address, jobs
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal, unbroken

JOB, FOUND = "staging_job", "staging_found"  # a simulation that runs, and what the last one came to
NEXT, SIMULATED = "Next stage of a run", "Simulated run"


def section(space: Workspace) -> None:
    """Drawn once it is opened: Bayesian optimisation and simulations take seconds."""
    box = st.expander(
        "AutoLRS: stages of constant rate",
        icon=":material/stairs:",
        on_change="rerun",
        key="staging_box",
        bind="query-params",
    )
    if not box.open:
        return
    with box:
        st.caption(
            "Before each stage, short probes try several rates from one checkpoint; an exponential forecasts where "
            "each would end, and Bayesian optimisation says which to probe next (Jin et al. 2021, arXiv 2105.10762)."
        )
        view = address.bound_widget(
            st.segmented_control,
            "Show",
            (NEXT, SIMULATED),
            default=NEXT,
            required=True,
            key="staging_view",
            label_visibility="collapsed",
        )
        try:
            (_next if view == NEXT else _simulation)(space)
        except OptLawsError as fault:
            st.info(literal(str(fault)))


# ---------------------------------------------------------------------------------------------------- next stage


def _next(space: Workspace) -> None:
    staged = {name: len(found) for name, run in space.fittable.items() if (found := _stages(run))}
    if not staged:
        st.info("No loaded run has a stage of constant rate after its warm-up.")
        return
    places = st.columns([2, 1, 1, 1, 1, 1])
    usual = max(staged, key=staged.get)
    first = list(staged).index(address.read_one("staged", staged, usual, address.RUN))
    name = places[0].selectbox("Staged run", list(staged), first, key="staging_run")
    address.write("staged", name, usual)
    run = space.runs[name]
    splits = [k for k, s in run.series.items() if len(s)]
    usual = max(splits, key=lambda k: len(run.series[k]))
    split = places[1].selectbox(
        "Its losses",
        splits,
        key=f"staging_split {name}",
        index=splits.index(address.read_one("staged_losses", splits, usual)),
    )
    address.write("staged_losses", split, usual)
    run = run.on(split)
    start = address.number_field(
        places[2],
        "From update",
        1,
        _start(run),
        name="from_update",
        key=f"staging_start {name} {split}",
        help="First update of the stage. An earlier one replays the run: what followed does not count.",
    )
    if start is None:
        return
    ahead = next_stage(run, start)
    length = address.number_field(
        places[3],
        "Updates",
        FEWEST,
        ahead.length,
        name="updates",
        key=f"staging_length {name} {start}",
        help="Of the stage. AutoLRS doubles them from stage to stage, up to 8 times the first.",
    )
    high = format_number(run.plan.schedule.peak)
    low = format_number(float(f"{run.plan.schedule.peak / REACH:.3g}"))
    search = Search(
        _typed(places[4], "Lowest rate", low, "staging_low"),
        _typed(places[5], "Highest rate", high, "staging_high"),
    )
    probes = None if length is None else _probes(space, run, ahead, length)
    if probes is None:
        return
    told = propose_rate(probes, search, length, ahead.rate)
    _say(told, ahead, length)
    if probes:
        showing.chart(charts.search(told, probes), "live-probes")
    _table(ahead)


def _stages(run: Run) -> list[Stage]:
    try:
        return stages_of(run)
    except OptLawsError:
        return []


def _start(run: Run) -> int:
    """After the last loss; of a finished run of several stages where its last one began, to replay that."""
    stages, last = stages_of(run), int(run.steps[-1])
    ended = last >= run.plan.schedule.total - 1
    return stages[-1].start if ended and len(stages) > 1 else last + 1


def _typed(place, label: str, usual: str, key: str) -> float:
    typed = place.text_input(label, placeholder=usual, key=key, bind="query-params").strip()
    return parse_amount(typed or usual, f"The {label.lower()}", examples=usual)


def _probes(space: Workspace, run: Run, ahead: Next, length: int) -> list[Stage] | None:
    """Runs that go on at a constant rate from there; at first those with the same past, one of each rate.

    None while the length of a probe cannot be read.
    """
    place, count = st.columns([5, 1])
    updates = address.number_field(
        count,
        "Updates per probe",
        FEWEST,
        probe_length(length),
        name="probe_updates",
        key=f"staging_probe {length}",
        help="Those that count; AutoLRS takes a tenth of the stage.",
    )
    if updates is None:
        return None
    found, usual = {}, {}
    for name, other in space.fittable.items():
        if run.split not in other.series:
            continue
        try:
            found[name] = probe_of(other.on(run.split), ahead.start, length, updates)
        except OptLawsError:
            continue
        if _same_past(run, other, ahead.start):
            usual.setdefault(found[name].rate, name)
    first = list(usual.values())
    picked = place.multiselect(
        "Probes",
        list(found),
        default=address.read_several("probe", found, first, address.RUN),
        key=f"staging_probes {run.name} {ahead.start} {length}",
        persist_state="session",
        help="Loaded runs whose rate is constant from that update on. They should start from this run's checkpoint.",
    )
    address.write("probe", picked, first)
    return [found[name] for name in picked]


def _same_past(run: Run, other: Run, start: int) -> bool:
    """Whether both were trained alike up to update `start`."""
    one, two = run.plan, other.plan
    steps = sorted({0, start - 1, *(b for b in (*one.schedule.breaks, *two.schedule.breaks) if b < start)})
    apart = abs(one.schedule(steps) - two.schedule(steps)).max()
    return (one.params, one.batch_tokens) == (two.params, two.batch_tokens) and apart <= 1e-6 * one.schedule.peak


def _say(told: Proposal, ahead: Next, length: int) -> None:
    if told.train:
        st.success(
            f"Train the stage at {format_number(told.rate)}: updates {ahead.start:,} to {ahead.start + length - 1:,}."
        )
    else:
        why = "the rate of the stage before" if not told.tried else "where least is known"
        st.success(
            f"Probe {format_number(told.rate)} next, {why}: {probe_length(length):,} updates "
            "from the checkpoint before "
            f"update {ahead.start:,}."
        )


def _table(ahead: Next) -> None:
    rows = []
    for s in ahead.stages:
        told = s.hindsight()
        ends = (None,) * 3 if told is None else (told(s.length), *told.interval(s.length))
        rows.append(
            (format_number(s.rate), s.start, s.end - 1, s.reached, *(e if e is None else float(e) for e in ends))
        )
    showing.table(
        pd.DataFrame(rows, columns=["rate", "from", "to", "reached", "forecast from its first tenth", "low", "high"]),
        "live-stages",
        hide_index=True,
        width="stretch",
        column_config={
            k: st.column_config.NumberColumn(format="%.4f")
            for k in ("reached", "forecast from its first tenth", "low", "high")
        },
    )
    st.caption(
        unbroken(
            "Low and high: a 90 % interval of the noise alone. Loss curves are not exponentials, so forecasts "
            "may be off by more."
        )
    )


# ---------------------------------------------------------------------------------------------------- simulation


def _simulation(space: Workspace) -> None:
    if space.fit is None:
        st.info("A simulation needs a law fitted to finished runs. Fit one on the Evidence page.")
        return
    coverage = space.fit.coverage
    longest = max((r.plan.schedule for r in space.fittable.values()), key=lambda s: s.total, default=None)
    places = st.columns(4)
    search = Search(
        _typed(places[0], "Lowest rate", format_number(float(f"{coverage.peak[1] / REACH:.3g}")), "staging_sim_low"),
        _typed(places[1], "Highest rate", format_number(coverage.peak[1]), "staging_sim_high"),
    )
    total = address.number_field(
        places[2], "Updates in total", 1, coverage.total[1], name="simulated_total", key="staging_total"
    )
    usual = longest.warmup_end if longest is not None else 0
    warmup = address.number_field(places[3], "Warm-up", 0, usual, name="simulated_warmup", key="staging_warmup")
    if total is None or warmup is None:
        return
    running = JOB in state()
    st.button(
        "Simulate",
        icon=":material/play_arrow:",
        key="staging_simulate",
        disabled=running,
        on_click=_begin,
        args=(space.current, space.fit, search, total, warmup),
    )
    if running:
        _watch()
    elif FOUND in state():
        _result(*state()[FOUND])


def _begin(name: str, model: Model, search: Search, total: int, warmup: int) -> None:
    work = functools.partial(simulate_with_rivals, model, search, total, warmup)
    state()[JOB] = jobs.Job.start("AutoLRS", work), name, model
    state().pop(FOUND, None)


def _watch() -> None:
    """Progress of the simulation, a button that stops it, and what it came to."""
    running, name, model = state()[JOB]

    def said(progress: jobs.Progress) -> str:
        return "Simulating" if progress.share < 0.5 else "Searching for a better schedule"

    def ended(job: jobs.Job[tuple[Simulated, list[Rival]]]) -> None:
        del state()[JOB]
        try:
            found = job.result()
        except OptLawsError as fault:
            state()[FOUND] = (str(fault),)
            return
        if found is not None:
            ran, others = found
            drawn = [("AutoLRS", ran.schedule), *((r.name, r.schedule) for r in others if r.name != "best curve")]
            state()[FOUND] = name, ran, others, {n: (s, predict(model, s, steps_of(s))) for n, s in drawn}

    jobs.watch(running, said, ended, "staging_cancel")


def _result(name: str, ran: Simulated | None = None, others: list[Rival] = (), curves: dict | None = None) -> None:
    """What a simulation came to; one without a result has its reason in place of the fit's name."""
    if ran is None:
        st.error(literal(name))
        return
    whole = ran.schedule.total
    showing.chart(charts.beside(curves), "live-autolrs")
    rows = [("AutoLRS", ran.loss, whole + ran.probed), *((r.name, r.loss, whole) for r in others)]
    showing.table(
        pd.DataFrame(sorted(rows, key=lambda r: r[1]), columns=["schedule", "final loss", "updates with probes"]),
        "live-autolrs",
        hide_index=True,
        width="stretch",
        column_config={"final loss": st.column_config.NumberColumn(format="%.4f")},
    )
    rates = ", ".join(f"{format_number(s.proposal.rate)} from {s.start:,}" for s in ran.stages)
    st.caption(
        f"Under {literal(name)}, whose losses the probes see without noise. Stages: {rates}. Each is chosen for its "
        "own end, where a low rate looks better than it is for the run. The best simple family and the best curve may "
        "fall below the lowest rate."
    )

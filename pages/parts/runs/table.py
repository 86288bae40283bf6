"""Widgets of the Runs page for runs: the table, declarations, the chart and its controls."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pandas as pd
import streamlit as st

from optlaws_core import SCHEDULES, OptLawsError, Plan, Run, Schedule, parse
from optlaws_core.figures import chart_style
from optlaws_core.figures import run_charts as charts
from optlaws_core.readers import Facts, Note
from optlaws_core.text import counted, format_amount, format_number, parse_amount

from ..state import address
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from .files import forget_news

MOST_DRAWN = 30  # runs; more than these cannot be told apart
LONGEST_TEXT = 160  # characters of a schedule in the table
WINDOWS = (1, 3, 5, 9, 17, 33, 65, 129, 257, 513, 1025, 4097, 16385)
SCALES = {"logx": "Log x", "logy": "Log loss", "full": "Full range"}
X_LABELS = {"step": "Steps", "tokens": "Tokens", "lr": "Cumulative LR"}


def splits(space: Workspace) -> list[str]:
    """Every split that some run has; first the one that most runs use."""
    used = Counter(run.split for run in space.runs.values())
    found = dict.fromkeys(split for run in space.runs.values() for split in run.series)
    return sorted(found, key=lambda split: -used[split])


def choose(space: Workspace) -> dict[int, Run]:
    """The table of runs. Returns the ticked ones, by position; all of them when none is ticked."""
    st.subheader("Loaded runs", anchor=False)
    runs = list(space.runs.values())
    rows = pd.DataFrame([_row(run, space.recognised(run) is not None) for run in runs])
    first = address.read_several("run", space.runs, [], address.RUN)
    table = showing.table(
        rows.drop(columns=KEY),
        "runs",
        shown=showing.dotted(rows, KEY, [chart_style.color(i) for i in range(len(rows))]),
        key=_key("runs", space),
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [i for i, run in enumerate(runs) if run.name in first]}},
        hide_index=True,
        rows=12,
        column_config=_RUN_COLUMNS,
        placeholder="",
    )
    ticked = [i for i in table.selection.rows if i < len(runs)]
    names = [runs[i].name for i in ticked]
    address.write("run", names, [])
    _actions(space, names)
    return {i: runs[i] for i in ticked or range(len(runs))}


KEY = "Key"  # column of the dots: their colours are those of the chart
_RUN_COLUMNS = {
    KEY: st.column_config.TextColumn(width=40, help="The colour of the curve in the chart"),
    "Run": st.column_config.TextColumn(width="medium"),
    "Split": st.column_config.TextColumn(help="Which losses are in use: those of training or of an evaluation set"),
    "Points": st.column_config.NumberColumn(format="localized", help="Losses of this split"),
    "First step": st.column_config.NumberColumn(format="localized"),
    "Last step": st.column_config.NumberColumn(format="localized"),
    "Last loss": st.column_config.NumberColumn(
        format="%.4f", help="The last one in the log, in nats, not smoothed; what Decide shows as observed is a mean"
    ),
    "Peak LR": st.column_config.TextColumn(help="Highest learning rate of the schedule"),
    "LR from": st.column_config.TextColumn(
        help="logged: from a column of the log. recognised: a schedule that agrees with every logged rate. declared: "
        "from a manifest or by hand. missing: declare it below"
    ),
    "Schedule": st.column_config.TextColumn(width="medium", help="Double-click to read all of it"),
    "Parameters": st.column_config.NumberColumn(format="compact", help="Trainable parameters of the model"),
    "Batch tokens": st.column_config.NumberColumn(format="localized", help="Tokens per update"),
}


def _row(run: Run, recognised: bool) -> dict:
    plan = run.plan
    return {
        KEY: "●",
        "Run": run.name,
        "Split": run.split,
        "Points": len(run.loss),
        "First step": int(run.steps[0]),
        "Last step": int(run.steps[-1]),
        "Last loss": float(run.loss[-1]),
        "Peak LR": format_number(float(f"{plan.schedule.peak:.4g}")) if plan else "",
        "LR from": "recognised" if recognised else run.lr_source,
        "Schedule": _in_short(plan.schedule) if plan else "",
        "Parameters": plan.params if plan else None,
        "Batch tokens": plan.batch_tokens if plan else None,
    }


def _in_short(schedule: Schedule) -> str:
    """The text form where it is readable; a logged curve as the number of its knots."""
    text = schedule.text
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{schedule.family} with {len(schedule.breaks):,} pieces, total={schedule.total}"


def _actions(space: Workspace, ticked: list[str]) -> None:
    """What can be done with the ticked runs, and with all of them."""
    with st.container(horizontal=True, vertical_alignment="center"):
        what = counted(len(ticked), "run") if ticked else "ticked runs"
        if st.button(f"Remove {what}", disabled=not ticked, icon=":material/delete:"):
            space.remove(ticked)
            st.rerun()
        hint = None if len(ticked) == 1 else "Tick one run first."
        with st.popover("Rename", disabled=len(ticked) != 1, help=hint, key=_key("rename", space)):
            _rename(space, ticked[0] if ticked else "")
        example(space)
        with st.popover("Clear all", key=_key("clear-all", space)):
            st.write("All runs, files and fits are forgotten.")
            if st.button("Clear", key="clear"):
                space.clear()
                st.rerun()
        if not ticked:
            st.caption("All runs are drawn. Tick rows to draw only those.")


def _key(name: str, space: Workspace) -> str:
    """A key that changes with the set of runs: ticks are forgotten then, and what popped up closes."""
    return f"{name}-{hash(tuple(space.runs))}"


def example(space: Workspace) -> None:
    """The way back to the bundled runs."""
    with st.popover("Load the example runs", key=_key("example", space)):
        st.write("The project's own runs replace all that is loaded, fits included.")
        if st.button("Replace", key="replace"):
            space.load_example()
            st.rerun()


def _rename(space: Workspace, name: str) -> None:
    with st.form(f"rename-{name}", border=False):
        new = st.text_input("New name", value=name, max_chars=200).strip()
        if not st.form_submit_button("Rename") or new == name:
            return
    if not new or new in space.runs:
        st.error("A run needs a name." if not new else "Another run has this name.")
        return
    space.rename(name, new)
    st.rerun()


def declare(space: Workspace) -> None:
    """A form for what logs do not say: schedule, model size, batch size."""
    missing = [name for name, run in space.runs.items() if run.plan is None]
    label = "Declare a schedule, model size or batch size"
    said = f"{label} ({counted(len(missing), 'run')} without a learning rate)" if missing else label
    with st.expander(said, expanded=bool(missing), icon=":material/edit_note:"):
        names = st.multiselect(
            "Runs", list(space.runs), default=missing[:1], key=f"declare-{space.revision}", help="One or several"
        )
        _offer_recognised(space, names)
        with st.form(f"declaration-{space.revision}-{'-'.join(names)}", border=False):
            text, params, batch = _declaration(space, names)
            if st.form_submit_button("Declare", disabled=not names, on_click=forget_news, args=(space,)):
                _declare(space, names, text, params, batch)


def _offer_recognised(space: Workspace, names: list[str]) -> None:
    """The recognised schedule of the only chosen run, to be confirmed; the form below corrects it."""
    run = space.runs[names[0]] if len(names) == 1 else None
    found = space.recognised(run) if run else None
    if run is None or run.plan is None or found is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="recognised"):
        st.badge(literal(found.schedule.text), icon=":material/auto_awesome:", color="blue")
        beyond = " Its end lies beyond the log." if found.beyond else ""
        st.caption(f"Recognised from the logged rates, largest difference {found.difference:.2g}.{beyond}")
        if st.button("Confirm", icon=":material/check:", help="Or correct it in the field below."):
            space.change({run.name: run.declared(run.plan)})
            st.rerun()


def _declaration(space: Workspace, names: list[str]) -> tuple[str, str, str]:
    """The form's fields as typed, filled with what the only chosen run already knows."""
    run = space.runs[names[0]] if len(names) == 1 else None
    plan = run.plan if run else None
    facts = _facts(space, run.name) if run else None
    text = plan.schedule.text if plan else ""
    schedule, size, tokens = st.columns([3, 1, 1])
    with schedule:
        said = st.text_input(
            "Schedule",
            value=text if len(text) <= LONGEST_TEXT else "",
            placeholder="unchanged" if plan else "cosine(peak=3e-4, warmup=2160, total=24000, final=3e-5)",
            help=f"The learning rate at every step. Families: {', '.join(SCHEDULES)}. "
            "Empty: the schedule stays as it is.",
        )
    known = plan or facts
    params = size.text_input(
        "Parameters",
        value=format_amount(known.params) if known and known.params else "",
        placeholder="unchanged",
        help="Trainable parameters of the model: 123M, 7B, 1.2e9",
    )
    batch = tokens.text_input(
        "Tokens per update",
        value=format_amount(known.batch_tokens) if known and known.batch_tokens else "",
        placeholder="unchanged",
        help="Batch size in tokens: sequences per update × their length",
    )
    return said.strip(), params.strip(), batch.strip()


def _declare(space: Workspace, names: list[str], text: str, params: str, batch: str) -> None:
    """Apply the form, to all chosen runs or to none."""
    try:
        size = parse_amount(params, "The number of parameters", examples="123M or 7B") if params else None
        tokens = parse_amount(batch, "The number of tokens per update", examples="4M or 524288") if batch else None
        changed = {name: _declared(space.runs[name], text, size, tokens) for name in names}
    except OptLawsError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return
    space.change(changed)
    short = [run for run in changed.values() if run.plan.schedule.total < run.steps[-1]]
    said = [Note("info", f"Declared for {counted(len(changed), 'run')}.")]
    if short:
        run = short[0]
        end = run.plan.schedule.total
        text = f"{run.name}: the log goes on to step {run.steps[-1]:,}, past the {end:,} updates declared."
        said.append(Note("repaired", text))
    space.news = tuple(said)
    space.revision += 1
    st.rerun()


def _declared(run: Run, text: str, params: float | None, batch: float | None) -> Run:
    if not text and run.plan is None:
        raise OptLawsError(f"{run.name}: its learning rate is not known yet, so a schedule is needed here.")
    known = run.plan or Plan(parse(text))
    plan = Plan(parse(text) if text else known.schedule, params or known.params, batch or known.batch_tokens)
    if run.plan and plan.schedule == run.plan.schedule:
        return replace(run, plan=plan)
    return run.declared(plan)


def _facts(space: Workspace, name: str) -> Facts | None:
    """What the log or a manifest declares of a run whose learning rate is missing."""
    return next((report.facts[name] for report in space.reports.values() if name in report.facts), None)


@st.fragment
def chart(runs: Mapping[int, Run], found: list[str]) -> None:
    """Curves of `runs` and the controls over them; a control redraws this part of the page only."""
    with st.container(horizontal=True, gap="small"):
        x = address.bound_widget(
            st.segmented_control,
            "X axis",
            list(X_LABELS),
            default="step",
            format_func=X_LABELS.get,
            required=True,
            key="x",
            help="Steps: updates done. Tokens: steps × batch size. Cumulative LR: the sum of the learning rates so far",
        )
        window = address.bound_widget(
            st.select_slider,
            "Smoothing",
            WINDOWS,
            key="smooth",
            format_func=lambda n: "off" if n == 1 else f"{n:,}",
            help="Mean over this many logged points around each point; the raw curve stays behind it",
            width=140,
        )
        split = found[0]
        if len(found) > 1:
            first = found.index(address.read_one("split", found, split))
            split = st.selectbox(
                "Split",
                found,
                first,
                help="Losses of training, or of an evaluation set",
                width=120,
                key=f"split {' '.join(found)}",
            )
            address.write("split", split, found[0])
        scale = address.bound_widget(
            st.segmented_control,
            "Scale",
            list(SCALES),
            selection_mode="multi",
            format_func=SCALES.get,
            key="scale",
            help="Logarithmic axes. Full range: show the steep first losses, too, where they would leave the frame",
        )
    drawn = {i: run.on(split) for i, run in runs.items() if split in run.series}
    shown = dict(list(drawn.items())[:MOST_DRAWN])
    whole = "full" in scale
    figure = charts.curves(shown, x=x, log_x="logx" in scale, log_y="logy" in scale, smoothing=window, whole=whole)
    showing.chart(figure, "runs-curves")
    for sentence in _hints(runs, drawn, shown, split, x, whole):
        st.caption(literal(sentence))


def _hints(runs: Mapping, drawn: Mapping, shown: Mapping, split: str, x: str, whole: bool) -> list[str]:
    """What the chart does not show, and why."""
    absent = charts.unplaced(shown, x)
    said = []
    if absent:
        names = _listed(run.name for run in absent)
        said.append(f"Not drawn, because they lack a {charts.LACKS[x]} (declare it below): {names}.")
    if len(drawn) < len(runs):
        said.append(f"{counted(len(runs) - len(drawn), 'run')} without the split {split!r} not drawn.")
    if len(shown) < len(drawn):
        said.append(f"The first {MOST_DRAWN} of {len(drawn)} runs are drawn; tick rows of the table to draw others.")
    if not whole and charts.frame({i: run for i, run in shown.items() if run not in absent}):
        said.append("The first losses lie above the frame; turn on “Full range” to see them.")
    return said


def _listed(names: Iterable[str], most: int = 4) -> str:
    names = [charts.middle_cut(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

"""The parts of the Sweep page: the bundled runs to choose from, their noise floor, and a law held against it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from data.judge import DESIGNS, SPLIT, Judged, judge
from optlaws_core import LAWS, NoiseFloor, Run, noise_floor
from optlaws_core.text import counted

from ..state import address, jobs
from ..state.bundled import SWEEP, digest, sweep_runs
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import unbroken
from . import charts

MOST_LOADED = 60  # runs; more make the other pages slow and their charts unreadable
FORMER = {  # titles of laws in older links
    "Opt-Laws curve (reconstruction)": "opt_laws_curve",
    "Opt-Laws curve, sublinear noise": "opt_laws_sublinear",
    "Convergence and noise (own)": "opt_laws_curve",
    "Convergence and sublinear noise (own)": "opt_laws_sublinear",
}
GROUPS = {
    "schedules": "one peak and horizon, nine families of schedules",
    "seeds": "the same plan with other seeds",
    "horizons": "1,000 to 8,000 updates",
    "peaks": "1e-3 to 64e-3",
    "batch": "the same bytes in batches of 512 to 4,096",
    "sizes": "369,312 parameters",
    "divergence": "peaks beyond the edge, and no warm-up",
    "continual": "from library code to test code",
    "fine-tuning": "from library code to the manual's English",
    "extrapolation": "836,736 parameters",
    "uba": "UBA with φ = 1/4, 1 and 4, and cosines; predicted before they were trained, in no other figure",
}


def choose(everything: Sequence[Run]) -> list[Run]:
    """Filters by group, size and outcome. Returns what they leave."""
    kinds = _values(everything, "group")
    groups = address.bound_widget(
        st.pills,
        "Groups",
        kinds,
        selection_mode="multi",
        key="sweep_groups",
        help="  \n".join(f"**{name}**: {GROUPS[name]}" for name in kinds if name in GROUPS),
    )
    left, right = st.columns(2, gap="medium")
    sizes = address.bound_widget(
        left.pills,
        "Sizes",
        _values(everything, "size"),
        selection_mode="multi",
        key="sweep_sizes",
        help="Model sizes: 37,024, 123,200, 369,312 and 836,736 parameters.",
    )
    outcomes = address.bound_widget(
        right.pills,
        "Ended",
        _values(everything, "outcome"),
        selection_mode="multi",
        key="sweep_ended",
        help="**diverged**: the loss was no longer finite, ended 5 % above its lowest, or within 5 % of "
        "what byte frequencies alone give. **spiked**: the training loss rose by 0.5 nats and came back.",
    )
    wanted = {"group": groups, "size": sizes, "outcome": outcomes}
    return [r for r in everything if all(r.about.get(key) in some for key, some in wanted.items() if some)]


def _values(everything: Sequence[Run], column: str) -> list[str]:
    return list(dict.fromkeys(run.about.get(column, "") for run in everything))


def overview(chosen: Sequence[Run]) -> None:
    """Last losses over what was varied."""
    x = address.bound_widget(
        st.segmented_control,
        "Over",
        list(charts.X),
        format_func=lambda key: charts.X[key].capitalize(),
        default="peak",
        key="sweep_x",
        label_visibility="collapsed",
    )
    drawn = [run for run in chosen if charts.is_drawable(run)]
    showing.chart(charts.overview(drawn, x or "peak"), "sweep-overview")


def table(chosen: Sequence[Run]) -> list[Run]:
    """The runs as rows. Returns the ticked ones, or all of them when none is ticked."""
    rows = [
        {
            "Run": run.name,
            "Held-out loss": float(run.loss[-1]) if charts.is_drawable(run) else None,
            "Ended": run.about.get("outcome", ""),
            "Schedule": run.plan.schedule.text,
            "Group": run.about.get("group", ""),
            "Parameters": run.plan.params,
            "Bytes per update": run.plan.batch_tokens,
            "Seed": run.about.get("seed", ""),
            "Text": run.about.get("text", ""),
            "From": run.about.get("parent", ""),
            "Minutes": float(run.about.get("wall_seconds") or 0) / 60,
        }
        for run in chosen
    ]
    shown = showing.table(
        pd.DataFrame(rows),
        "sweep-runs",
        hide_index=True,
        placeholder="",
        rows=10,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"sweep_table_{hash(tuple(run.name for run in chosen))}",
        column_config={
            "Run": st.column_config.TextColumn(width="medium"),
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Bytes per update": st.column_config.NumberColumn(format="localized"),
            "Schedule": st.column_config.TextColumn(width="large"),
            "From": st.column_config.TextColumn(help="The run whose last weights this one started from."),
            "Held-out loss": st.column_config.NumberColumn(
                format="%.4f", help="The last one, in nats per byte; none where the run broke off."
            ),
            "Minutes": st.column_config.NumberColumn(format="%.1f", help="Wall time on one core."),
        },
    )
    ticked = [chosen[i] for i in shown.selection.rows if i < len(chosen)]
    return ticked or list(chosen)


def load(space: Workspace, wanted: Sequence[Run]) -> None:
    """Work with these runs on the other pages."""
    usable = len(wanted) <= MOST_LOADED
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            f"Work with {counted(len(wanted), 'run')}",
            icon=":material/input:",
            disabled=not usable or not wanted,
            help="They replace what is loaded on the other pages, fits included.",
        )
        if pressed:  # Streamlit cannot switch the page while widgets are bound to the address
            space.use(wanted)
            st.success(f"{counted(len(wanted), 'run')} loaded: see Runs and Fit in the menu.")
        if not usable:
            st.caption(f"Filter or tick rows: at most {MOST_LOADED} runs can be loaded at a time.")


def noise(floor: NoiseFloor | None) -> None:
    """How far apart runs lie that differ by their seed alone."""
    if floor is None:
        st.info("No two of these runs share a plan, so they show no noise floor.")
        return
    boxes = st.columns(3)
    low, high = (100 * end for end in floor.interval)
    boxes[0].metric(
        "Noise floor",
        f"{100 * floor.relative:.2f} %",
        help="Standard deviation over seeds of the last held-out loss, as a share of it, pooled over repeated plans.",
    )
    boxes[0].caption(unbroken(f"90 % interval {low:.2f} to {high:.2f} %, from {floor.freedom} repeats"))
    boxes[1].metric(
        "A perfect law is off by",
        f"{100 * floor.mean_error:.2f} %",
        help="Mean relative error of a prediction that is right but for the seed: 0.8 standard deviations.",
    )
    boxes[2].metric(
        "At any one step",
        f"{100 * floor.along:.2f} %",
        help="The same standard deviation at the steps of the second half of training, where the rate is still high.",
    )
    showing.chart(charts.spread(floor), "sweep-seeds")


@st.cache_resource(show_spinner="Fitting the law to three runs of each size", max_entries=16)
def _judged(law: str, design: str, content: str) -> list[Judged]:
    return jobs.awaited("a law against the sweep", judge, sweep_runs(), law, design)


def law_against(floor: NoiseFloor | None) -> None:
    """Fit a law to three runs of each size and show how far off it is on the others."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        law = address.bound_widget(
            st.selectbox,
            "Law",
            list(LAWS),
            format_func=lambda n: LAWS[n].title,
            index=list(LAWS).index("opt_laws_curve"),
            key="sweep_law",
            former=FORMER,
            width=320,
        )
        design = address.bound_widget(
            st.segmented_control,
            "Trained at",
            list(DESIGNS),
            default=next(iter(DESIGNS)),
            format_func=str.capitalize,
            key="sweep_design",
            help="One peak: a constant rate, a cosine and a drop at the size's usual peak. Three peaks: a constant "
            "rate there, a cosine at a lower and a WSD at a higher one.",
        )
    rows = _judged(law, design or next(iter(DESIGNS)), digest(SWEEP))
    perfect = floor.mean_error if floor else None
    percent = {"format": "%.2f %%"}
    showing.table(
        pd.DataFrame([_judged_row(row, perfect) for row in rows]),
        "sweep-law",
        hide_index=True,
        placeholder="",
        column_config={
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Covered": st.column_config.NumberColumn(
                "Same peak, batch", help="Held-out runs with a peak within those trained on and the same batch size."
            ),
            "near": st.column_config.NumberColumn(
                "error, last loss",
                help="Mean relative error of the last held-out loss of the runs with the same peak and batch.",
                **percent,
            ),
            "ratio": st.column_config.NumberColumn(
                "× a perfect law's", format="%.1f", help="That error over that of a law that is right but for the seed."
            ),
            "curve": st.column_config.NumberColumn(
                "error, curve", help="Mean relative error at every loss after the warm-up, those runs.", **percent
            ),
            "Others": st.column_config.NumberColumn(
                "Other runs", help="Held-out runs with another peak or batch size: what the training runs do not cover."
            ),
            "far": st.column_config.NumberColumn(
                "error, last loss ", help="Mean relative error of the last held-out loss of the other runs.", **percent
            ),
            "Trained on": st.column_config.TextColumn(width="large"),
        },
    )
    errors = {f"{_params(row):,.0f} parameters": list(zip(row.all.runs, row.all.ends, strict=True)) for row in rows}
    showing.chart(charts.off(errors, floor.relative if floor else 0.0), "sweep-law-errors")
    st.caption(
        unbroken(
            "A point is a held-out run; the grey band is one standard deviation over seeds. Most laws do not know "
            "the batch size, and far from the peaks they were trained at they are guesses: both show here. Errors "
            "beyond 25 % lie outside the frame; a double click shows them."
        )
    )


def _judged_row(row: Judged, perfect: float | None) -> dict:
    return {
        "Parameters": _params(row),
        "near": _percent(row.near.final),
        "Covered": len(row.near.runs),
        "ratio": row.near.final / perfect if perfect and row.near.final is not None else None,
        "curve": _percent(row.near.curve),
        "Others": len(row.far.runs),
        "far": _percent(row.far.final),
        "Trained on": ", ".join(row.fit.train),
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _params(row: Judged) -> float:
    return next(run.plan.params for run in sweep_runs() if run.about["size"] == row.size)


def floor_of(everything: Sequence[Run]) -> NoiseFloor | None:
    """The noise floor of all runs of the sweep that have held-out losses."""
    return noise_floor(run for run in everything if run.split == SPLIT)

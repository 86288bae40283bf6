"""Which law to trust: all laws that were fitted together, side by side, and the noise floor beneath them."""

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core import LAWS, Average, noise_floor
from optlaws_core.fitting.result import Model
from optlaws_core.text import counted

from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal, unbroken
from .job import chosen

EXPECTED = "Error to expect on an unseen run: misfit and left-out error together. Known without any held-out run."
LEFT_OUT = (
    "Each training run in turn is left out and predicted by the law fitted to the others: root mean square "
    "error over them."
)
MISFIT = "Root mean square error on the training runs themselves: what the law cannot follow."
TABLE_ROWS = 15  # a longer table scrolls


def table(space: Workspace) -> None:
    """All laws that were fitted together with the one in use: which to trust, and a table."""
    selection = space.selections.get(space.current)
    if selection is None:
        return
    if len(selection.fits) + len(selection.failed) < 2:
        st.caption(literal(selection.advice))
        return
    st.subheader("Laws", anchor=False)
    st.info(literal(selection.advice), icon=":material/balance:")
    for law, why in selection.failed.items():
        st.warning(literal(f"{LAWS[law].title} could not be fitted. {why}"))
    weights = _weights(selection.average)
    rows = [_row(i, f, weights.get(f.law)) for i, f in enumerate(selection.fits, 1)]
    if selection.average is not None:
        rows.insert(0, _row(None, selection.average, None))
    shown = pd.DataFrame(rows).dropna(axis="columns", how="all")
    percent = {"format": "%.2g %%"}  # as `text.relative_error` has it
    number = st.column_config.NumberColumn
    showing.table(
        shown,
        "fit-laws",
        hide_index=True,
        width="stretch",
        placeholder="",
        height="content" if len(rows) < TABLE_ROWS else 540,
        column_config={
            "rank": number("Rank", width=60, help="By the expected error."),
            "law": st.column_config.TextColumn("Law", width=260),
            "weight": number(
                "Weight",
                format="%.0f %%",
                help="Weight in the average, from training runs alone. Empty: not averaged. Where this project's two "
                "laws are among the laws, only they are averaged.",
            ),
            "expected": number("Expected error", help=EXPECTED, **percent),
            "left out": number("Left-out error", help=LEFT_OUT, **percent),
            "misfit": number("Misfit", help=MISFIT, **percent),
            "rmse": number(
                "Held-out RMSE",
                format="%.5f",
                help="Root mean square error of the loss, mean over "
                "held-out runs. It decides nothing here: neither the order nor the weights.",
            ),
            "mean": number(
                "Held-out error",
                help="Mean of |error| / loss, mean over held-out runs. It decides nothing here.",
                **percent,
            ),
            "status": st.column_config.TextColumn("Status", width=170, help="How the law's search ended."),
        },
    )
    st.caption("Order and weights come from training runs alone; held-out errors are shown, but decide nothing.")
    noise(space, selection.fits[0])


def _weights(average: Average | None) -> dict[str, float]:
    """Weights in percent, by law."""
    return {f.law: 100 * w for f, w in zip(average.fits, average.weights, strict=True)} if average else {}


def _row(rank: int | None, model: Model, weight: float | None) -> dict:
    def percent(share: float | None) -> float | None:
        return None if share is None or not np.isfinite(share) else 100 * share

    mean = float(np.mean([s.mean_rel for s in model.test.values()])) if model.test else None
    return {
        "rank": rank,
        "law": model.title,
        "weight": weight,
        "expected": percent(model.expected_error),
        "left out": percent(model.left_out),
        "misfit": percent(model.misfit),
        "rmse": model.held_out_rmse,
        "mean": percent(mean),
        "status": "" if model.single is None else model.single.status.short,
    }


def noise(space: Workspace, found: Model) -> None:
    """How far apart loaded runs of one plan end: what no law can beat."""
    floor = noise_floor(chosen(space, list(space.fittable), found.split))
    if floor is not None:
        low, high = (100 * end for end in floor.interval)
        alike = counted(sum(len(group.runs) for group in floor.repeats), "loaded run")
        st.caption(
            unbroken(
                f"Noise floor: {alike} that differ by chance alone end {100 * floor.relative:.2f} % apart (standard "
                f"deviation, 90 % interval {low:.2f} to {high:.2f} %). No law can predict better."
            )
        )

"""The Evidence page's pictures: curves with their two bands, what the bands hold, residuals."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from optlaws_core import Prediction, Run
from optlaws_core.figures import fit_charts as charts
from optlaws_core.fitting.result import Model
from optlaws_core.prediction.beside_runs import bands_beside, losses_beside, spread
from optlaws_core.text import counted, percent

from ..state import address
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal, unbroken

BANDS_DRAWN = 2  # runs whose bands are drawn at first
ERRORS = {
    "Residuals": (charts.residuals, "fit-residuals"),
    "Predicted against observed": (charts.against, "fit-predicted-against-observed"),
}


def show(space: Workspace, found: Model, train: Sequence[Run], test: Sequence[Run]) -> None:
    """Curves with bands, what the bands hold, residuals or predicted against observed."""
    runs, held_out = [*train, *test], [r.name for r in test]
    predicted, known = losses_beside(found, runs), bands(space, found, runs)
    left, right = st.columns([3, 1], gap="medium", vertical_alignment="bottom")
    drawn = []
    if known:
        usual = _first(test or train, known)
        drawn = left.multiselect(
            "Bands of",
            list(known),
            default=address.read_several("bands", known, usual, address.RUN),
            key=f"fit_bands {space.current} {len(known)}",
            wrap=True,
            placeholder="no run",
            help="Runs whose curves get a band. With bands on all of them, none could be told apart.",
        )
        address.write("bands", drawn, usual)
    log_x = address.bound_widget(right.toggle, "Logarithmic steps", key="fit_log_x")
    order = list(space.runs)
    placed = {order.index(run.name): run for run in runs}
    figure = charts.curves(placed, predicted, held_out, log_x, {n: known[n] for n in drawn})
    showing.chart(figure, "fit-curves")
    st.caption("Faint: observed. Bold: predicted; dashed where the run was held out.")
    _explain(found, test, known)
    _errors(placed, predicted, held_out)


@st.fragment
def _errors(runs: Mapping[int, Run], predicted: Mapping[str, np.ndarray], held_out: Sequence[str]) -> None:
    """How far the curves are off, drawn in one of two ways: a page with both takes a quarter of a second more."""
    way = address.bound_widget(
        st.segmented_control,
        "Errors as",
        list(ERRORS),
        default=next(iter(ERRORS)),
        required=True,
        key="fit_errors_as",
        label_visibility="collapsed",
    )
    draw, name = ERRORS[way]
    showing.chart(draw(runs, predicted, held_out), name)
    drawn, known = (sum(map(len, some)) for some in (charts.spread(runs).values(), predicted.values()))
    if draw is charts.against and drawn < known:
        st.caption(f"{drawn:,} of {known:,} losses are drawn, evenly spread over each run.")
    if draw is charts.residuals and charts.smoothed(runs):
        share, most = percent(charts.WINDOW), charts.DENSE
        st.caption(literal(f"Of runs with more than {most} losses, a moving mean over {share} of them is drawn."))


def _first(runs: Sequence[Run], known: Mapping[str, Prediction]) -> list[str]:
    """The runs with the longest horizons: beyond the others, their bands lie free."""
    longest = sorted((r for r in runs if r.name in known), key=lambda r: -r.plan.schedule.total)
    return [r.name for r in longest[:BANDS_DRAWN]]


def bands(space: Workspace, found: Model, runs: Sequence[Run]) -> dict[str, Prediction]:
    """Predictions with bands at up to `BAND_POINTS` of each run's observed steps, by run; made once for a fit."""
    kept = tuple(space.runs[r.name] for r in runs)
    if space.banded is not None and space.banded[0] is found and list(map(id, space.banded[1])) == list(map(id, kept)):
        return space.banded[2]
    made = bands_beside(found, runs)
    space.banded = (found, kept, made)
    return made


def held(known: Mapping[str, Prediction], runs: Sequence[Run], kind: str) -> float | None:
    """Share of the runs' losses inside the bands of a kind, "prediction" or "parameter"; None without such a band."""
    inside = []
    for run in runs:
        half = getattr(known[run.name], kind) if run.name in known else None
        if half is not None:
            low, high = known[run.name].band(half)
            loss = run.loss[spread(run)]
            inside.append((low <= loss) & (loss <= high))
    return float(np.concatenate(inside).mean()) if inside else None


def _explain(found: Model, test: Sequence[Run], known: Mapping[str, Prediction]) -> None:
    """What the bands are, and what they hold."""
    if not known:
        return
    whole, narrow = (held(known, test, kind) for kind in ("prediction", "parameter"))
    said = ["The parameter band (darker) shows how far the curve would move under other noise in the training runs."]
    if all(fit.informed for fit, _ in found.parts):
        said.append(
            "The prediction band (light) is meant to hold 90 % of a new run's losses: it also covers what the prior "
            "leaves uncertain, as calibrated on public runs, the misfit, and how far averaged laws disagree."
        )
    elif found.left_out is not None:
        said.append(
            "The prediction band (light) is meant to hold 90 % of a new run's losses: it also covers the law's "
            "errors on fitted and left-out training runs, and how far averaged laws disagree."
        )
    else:
        said.append(
            "A prediction band needs a law that was tried on left-out training runs: fit it to two or more, or under "
            "a prior."
        )
    st.caption(unbroken(" ".join(said)))
    some = counted(sum(r.name in known for r in test), "held-out run")
    if whole is not None:
        st.markdown(
            unbroken(
                f"The prediction band holds **{100 * whole:.0f} %** of the points of {some} (nominal 90 %); the "
                f"parameter band, which takes the law to be right, holds {100 * narrow:.0f} %."
            )
        )

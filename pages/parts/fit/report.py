"""The second half of the Evidence page: what came out of a fit, or of an average of fits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core import LAWS, Average, Fit, OptLawsError, Run, Status
from optlaws_core.fitting.fit_shown import state_of
from optlaws_core.fitting.result import Model, Scores
from optlaws_core.fitting.single import tuned, usable
from optlaws_core.laws import FEATURES
from optlaws_core.laws.browser import POINTS, payload
from optlaws_core.text import relative_error

from ..state import kept_fits, session
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from . import from_address
from .job import begin, chosen, refit
from .laws_table import EXPECTED, noise
from .tuner import tuner

TUNED_RUNS = 12  # the tuner redraws that many in well under a frame or two; more clutter the picture anyway


def verdict(found: Model) -> None:
    """How the fit ended, and the four numbers that matter."""
    single = found.single
    if single is not None:
        say = {Status.converged: st.success, Status.tuned: st.info}.get(single.status, st.warning)
        held = f" Held: {', '.join(single.locked)}." if single.locked else ""
        say(literal(single.message + held))
    for note in dict.fromkeys(notes(found)):
        st.caption(literal(note))
    boxes = st.columns(4)
    held_out = "none held out" if found.held_out_rmse is None else f"{found.held_out_rmse:.5f}"
    boxes[0].metric(
        "Held-out RMSE", held_out, help="Root mean square error of the loss, mean over held-out runs. Trust this one."
    )
    boxes[1].metric("Training RMSE", f"{_fitted_rmse(found.train):.5f}", help="The same over the training runs.")
    if single is not None:
        boxes[2].metric(
            "Objective",
            f"{single.objective:.4g}",
            help="Sum of the Huber loss (δ = 0.001) of log predicted minus log observed.",
        )
    else:
        known = np.isfinite(found.expected_error) and found.left_out is not None
        boxes[2].metric("Expected error", relative_error(found.expected_error) if known else "–", help=EXPECTED)
    boxes[3].metric("Time", f"{found.seconds:.2f} s" if found.seconds else "–", help="All starting points together.")


def notes(found: Model) -> Iterator[str]:
    """What was known and found beforehand, with the law's name where not all laws of an average say the same."""
    for fit, _ in found.parts:
        for note in fit.notes:
            alike = all(note in other.notes for other, _ in found.parts) and not note.startswith("Prior")
            yield note if found.single is not None or alike else f"{LAWS[fit.law].title}. {note}"


def _fitted_rmse(scores: Mapping[str, Scores]) -> float:
    return float(np.mean([s.rmse for s in scores.values()]))


def formulas(names: Sequence[str]) -> None:
    """Formulas of laws: one in a frame, several to be opened."""
    if len(names) == 1:
        with st.container(border=True):
            formula(names[0])
        return
    for name in names:
        _opened(name)


@st.fragment
def _opened(name: str) -> None:
    """A formula, written once it is opened: set in type it has hundreds of elements, for which the page would wait."""
    box = st.expander(LAWS[name].title, icon=":material/function:", on_change="rerun", key=f"formula {name}")
    if box.open:
        with box:
            formula(name)


def formula(name: str) -> None:
    """A law's formula with its source, and what every symbol stands for."""
    law = LAWS[name]
    st.latex(law.latex)
    for line in law.where:
        st.latex(line)
    symbols = [FEATURES[f] for f in law.features]
    symbols += [(p.latex, p.meaning) for p in law.params if not p.weight]
    if law.sums:
        symbols.append(("k", "an update up to this one; the sum looks back at all of them"))
    if any(p.weight for p in law.params):
        symbols.append(("a_i, b_i", "weights of 0 or more, one for each rate $h_i$"))
    said = "; ".join(f"${latex}$ {meaning}" for latex, meaning in symbols)
    st.caption(f"{said}.")
    st.caption(
        f"Source: {law.reference}. $\\eta_i$ is the learning rate of update $i$, counted from 0, warm-up included."
    )


def coefficients(found: Model, name: str = "fit-coefficients") -> None:
    """The formula and its coefficients, with intervals and bounds; of an average, its laws and their weights."""
    single = found.single
    if single is None:
        _members(found)
        return
    formulas([single.law])
    st.subheader("Coefficients", anchor=False)
    params = LAWS[single.law].params
    _coefficients(single, [p for p in params if not p.weight], name)
    weights = [p for p in params if p.weight]
    if weights:
        used = [p for p in weights if single.theta[p.name] > 0]
        with st.expander(f"{len(used)} of {len(weights)} weights are above 0"):
            st.caption("Neighbouring rates can stand in for each other: trust the curve that they make together.")
            _coefficients(single, used, f"{name}-weights")


def _coefficients(found: Fit, params: Sequence, name: str) -> None:
    rows = []
    for p in params:
        value, ends = found.theta[p.name], found.interval[p.name]
        between = f"{ends[0]:.5g} to {ends[1]:.5g}" if ends else ""
        rows.append((p.name, value, between, state_of(found, p), p.meaning, f"{p.low:g} to {p.high:g}"))
    table = pd.DataFrame(rows, columns=["coefficient", "value", "interval", "state", "meaning", "bounds"])
    showing.table(
        table,
        name,
        hide_index=True,
        width="stretch",
        height="content",
        column_config={
            "value": st.column_config.NumberColumn(format="%.6g"),
            "interval": st.column_config.TextColumn("90 % interval", help=INTERVAL_HELP),
            "bounds": st.column_config.TextColumn("searched", help="Bounds of the search."),
            "meaning": st.column_config.TextColumn(width="large"),
        },
    )


INTERVAL_HELP = (
    "90 % interval of the coefficient from the curvature of the objective, widened for residuals that are correlated "
    "along a run. It says how well these runs determine the coefficient, not whether the law is right."
)


def _members(found: Average) -> None:
    st.subheader("Laws in the average", anchor=False)
    st.caption(
        "Its loss is the geometric mean of theirs under these weights. Each law's own fit tells its coefficients."
    )
    rows = [{"law": f.title, "weight": 100 * w} for f, w in zip(found.fits, found.weights, strict=True)]
    showing.table(
        pd.DataFrame(rows),
        "fit-average",
        hide_index=True,
        width=480,
        column_config={
            "law": st.column_config.TextColumn("Law", width=300),
            "weight": st.column_config.ProgressColumn(
                "Weight", format="%.1f %%", min_value=0, max_value=100, help="From training runs alone."
            ),
        },
    )
    formulas([f.law for f in found.fits])


def errors(space: Workspace, found: Model) -> None:
    """Errors per run, training and held out."""
    rows = [
        {
            "run": name,
            "role": role,
            "points": s.n,
            "MAE": s.mae,
            "RMSE": s.rmse,
            "R²": s.r2,
            "mean": 100 * s.mean_rel,
            "worst": 100 * s.worst_rel,
        }
        for role, scores in (("training", found.train), ("held out", found.test))
        for name, s in scores.items()
    ]
    showing.table(
        pd.DataFrame(rows),
        "fit-errors",
        hide_index=True,
        width="stretch",
        height="content" if len(rows) < 15 else 540,
        column_config={
            "run": st.column_config.TextColumn("Run", width="medium"),
            "role": "Role",
            "points": "Points",
            "MAE": st.column_config.NumberColumn(format="%.5f", help="Mean absolute error of the loss."),
            "RMSE": st.column_config.NumberColumn(format="%.5f", help="Root mean square error of the loss."),
            "R²": st.column_config.NumberColumn(format="%.5f", help="Share of the loss's variance that is explained."),
            "mean": st.column_config.NumberColumn("Mean error", format="%.3f %%", help="Mean of |error| / loss."),
            "worst": st.column_config.NumberColumn("Worst error", format="%.3f %%", help="Largest |error| / loss."),
        },
    )
    told = space.selections.get(space.current)
    if told is None or len(told.fits) < 2:
        noise(space, found)  # otherwise the table of laws tells it


def runs_of(space: Workspace, found: Model) -> tuple[list[Run], list[Run]] | None:
    """Training and held-out runs of a fit, warm-up cut as it was; None when some are no longer loaded."""
    names = (*found.train, *found.test)
    if any(n not in space.fittable for n in names):
        return None
    train, test = (chosen(space, part, found.split) for part in (found.train, found.test))
    return [usable(r, found.first_step) for r in train], [usable(r, found.first_step) for r in test]


def tune(space: Workspace, found: Model, train: Sequence[Run], test: Sequence[Run]) -> None:
    """Sliders that redraw the curves while they move; refit the rest; keep a set under a name."""
    st.subheader("Tune the coefficients", anchor=False)
    single = found.single
    if single is None:
        st.caption("An average has no coefficients of its own. To tune one of its laws, choose it under “Fit in use”.")
        return
    if LAWS[single.law].ridge:
        st.caption("This law's weights are settled together by one convex fit, so there is nothing to tune by hand.")
        return
    shown = [(r, "train") for r in train] + [(r, "held out") for r in test]
    if space.packed is None or space.packed[0] is not single:
        space.packed = (single, _packed(space, single, shown[:TUNED_RUNS]))
    heard = tuner(space.packed[1], key="tuner")
    if len(shown) > TUNED_RUNS:
        st.caption(f"The first {TUNED_RUNS} of {len(shown)} runs are drawn here; errors in the report count all.")
    if any(len(run.steps) > POINTS for run, _ in shown):
        st.caption(f"Errors beside the sliders are taken over {POINTS} losses of a run, those in the report over all.")
    if heard.keep:
        space.keep(space.free_name(heard.keep.name), tuned(single, heard.keep.theta, train, test))
        st.rerun()
    if heard.refit:
        refit(space, single, dict(heard.refit.theta), heard.refit.locked)
        st.rerun()


def _packed(space: Workspace, found: Fit, shown: Sequence[tuple[Run, str]]) -> dict:
    """What the tuner needs of a fit. A set tuned by hand goes back to the fit of its law."""
    law = LAWS[found.law]
    alike = (
        f
        for f in _singles(reversed(space.fits.values()))
        if f.status is not Status.tuned and f.train.keys() == found.train.keys()
    )
    base = next((f for f in alike if f.law == found.law), found) if found.status is Status.tuned else found
    shown = [(replace(run, plan=found.seen(run.known_plan)), role) for run, role in shown]
    return payload(law, shown, found.theta, fitted=base.theta, interval=base.interval, locked=found.locked)


def stale(space: Workspace) -> None:
    """Say that the fit in use is out of date, where it is, and offer to fit again; nothing while it is not."""
    name = space.current
    said = kept_fits.stale(space, space.runs, name) if name in space.fits else ""
    if not said:
        return
    single, left = space.fits[name].single, [run for run in space.fits[name].train if run in space.fittable]
    by_hand = single is not None and single.status is Status.tuned
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="fit_stale"):
        st.markdown(f":material/history: {literal(said)}", width="content")
        if by_hand:
            st.caption("Its coefficients were set by hand; fit the law, and tune it again.")
        else:
            st.button(
                "Fit again",
                key="fit_again",
                on_click=_fit_again,
                args=(space, name),
                disabled=not left or space.job is not None,
                help="The same laws and options, on those of its training runs that are loaded.",
            )


def _fit_again(space: Workspace, name: str) -> None:
    model = space.fits[name]
    if model.single is not None and model.single.locked:
        refit(space, model.single, dict(model.single.theta), model.single.locked)
        return
    choice = from_address.described(space, name)
    train, test = (tuple(run for run in part if run in space.fittable) for part in (choice.train, choice.test))
    space.choice = replace(choice, train=train, test=test)
    for key in ("train", "test", "laws", "from_step", "prior"):  # the widgets begin with this choice
        session.state().pop(key, None)
    begin(space, space.choice)


def kept(space: Workspace) -> None:
    """All kept fits side by side: their runs, errors, and coefficients of laws that were fitted more than once."""
    st.subheader("Kept fits", anchor=False)
    times = Counter(f.law for f in _singles(space.fits.values()))
    rows = []
    for name, f in space.fits.items():
        single = f.single
        rows.append(
            {
                "name": name,
                "law": "average" if single is None else LAWS[single.law].title,
                "trained on": ", ".join(f.train),
                "state": "out of date" if kept_fits.stale(space, space.runs, name) else "up to date",
                "held-out RMSE": f.held_out_rmse,
                "training RMSE": _fitted_rmse(f.train),
                "objective": None if single is None else single.objective,
                **(_shown_coefficients(single) if single is not None and times[single.law] > 1 else {}),
            }
        )
    number = st.column_config.NumberColumn(format="%.5g")
    table = pd.DataFrame(rows)
    showing.table(
        table,
        "fit-kept",
        hide_index=True,
        width="stretch",
        placeholder="",
        column_config={
            "name": "Name",
            "law": "Law",
            "trained on": st.column_config.TextColumn(
                "Trained on", width="medium", help="Double-click to read all of it"
            ),
            "state": st.column_config.TextColumn(
                "State",
                help="Out of date: a training run was removed, corrected, declared or read anew since the fit.",
            ),
            **{c: number for c in table.columns[4:]},
            **{
                c: st.column_config.NumberColumn(c[0].upper() + c[1:], format="%.5g")
                for c in ("held-out RMSE", "training RMSE", "objective")
            },
        },
    )
    _change_kept(space)


def _change_kept(space: Workspace) -> None:
    """Rename or delete a kept fit; a deleted one can be had back."""
    names = list(space.fits)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        # A key for each set of names, so that what popped up closes and no name is offered that is gone.
        key = hash(tuple(names))
        place = names.index(space.current) if space.current in names else 0
        name = st.selectbox("Kept fit", names, place, key=f"kept_name {key}", width=420)
        with st.popover("Rename", key=f"kept_rename {key}"), st.form(f"kept_rename_form {key} {name}", border=False):
            new = st.text_input("New name", name, max_chars=200).strip()
            if st.form_submit_button("Rename it") and new != name:
                try:
                    space.rename_fit(name, new)
                    st.rerun()
                except OptLawsError as fault:
                    st.error(literal(str(fault)))
        st.button("Delete", icon=":material/delete:", key="kept_delete", on_click=space.delete_fit, args=(name,))


def _singles(models: Iterable[Model]) -> Iterator[Fit]:
    """Those of the models that are no averages."""
    return (f.single for f in models if f.single is not None)


def _shown_coefficients(f: Fit) -> dict[str, float]:
    return {p.name: f.theta[p.name] for p in LAWS[f.law].params if not p.weight}

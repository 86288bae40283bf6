"""The parts of the Fit page: what to fit, how it goes, what came out."""

import functools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core import LAWS, Fit, FitError, OptLawsError, Run, Status, noise_floor
from optlaws_core.browser import payload
from optlaws_core.fitting import curve, doubts, fit, tuned, usable
from optlaws_core.readers.base import counted

from . import defaults
from .charts import fit as charts
from .session import Choice, Workspace, literal
from .tuner import tuner

TUNED_RUNS = 12  # the tuner redraws that many in well under a frame or two; more clutter the picture anyway


def choose(space: Workspace) -> tuple[Choice, bool]:
    """Law, runs and options. Returns the choice and whether the button was pressed."""
    names = list(space.fittable)
    first = defaults.split(space.runs)
    before = [
        old if new is None else new for old, new in zip(first, (space.choice.train, space.choice.test), strict=True)
    ]
    left, right = st.columns([1, 2], gap="medium")
    with left:
        law = st.selectbox(
            "Law", list(LAWS), format_func=lambda n: LAWS[n].title, key="law", bind="query-params",
            help="A formula for the loss at every step as a function of the learning-rate schedule.",
        )  # fmt: skip
        st.caption(LAWS[law].summary)
    with right:
        train = st.multiselect(
            "Training runs", names, default=[n for n in before[0] if n in names],
            wrap=True, key="train", help="The law's coefficients are fitted to these runs only.",
        )  # fmt: skip
        test = st.multiselect(
            "Held-out runs", names,
            default=[n for n in before[1] if n in names],
            key="test", wrap=True,
            help="Never shown to the fit; errors on them tell how well the law predicts schedules it has not seen.",
        )  # fmt: skip
        _aside(names, train, test)
    split, from_step = _options(space, left)
    space.choice = Choice(law, tuple(train), tuple(n for n in test if n not in train), split, from_step)
    return space.choice, st.button("Fit", type="primary", icon=":material/play_arrow:", disabled=not train)


def _aside(names: Sequence[str], train: Sequence[str], test: Sequence[str]) -> None:
    """Say which runs count for nothing, or only once."""
    both = [n for n in train if n in test]
    if both:
        st.caption(literal(f"Trained on, so not held out: {', '.join(both)}."))
    unused = [n for n in names if n not in train and n not in test]
    if unused:
        shown = ", ".join(unused[:4]) + (f" and {len(unused) - 4} more" if len(unused) > 4 else "")
        st.caption(literal(f"In neither list: {shown}."))


def _options(space: Workspace, place) -> tuple[str, int | None]:
    splits = sorted({s for n in space.fittable for s in space.runs[n].series}, key=lambda s: (s != "train", s))
    common = Counter(r.split for r in space.fittable.values()).most_common(1)[0][0]
    split = space.choice.split if space.choice.split in splits else common
    with place, st.expander("Options"):
        split = st.selectbox(
            "Losses", splits, index=splits.index(split),
            help="Training loss, or the loss on a held-out text. Runs without it keep their own.",
        )  # fmt: skip
        own = st.number_input(
            "First step that counts", min_value=0, value=space.choice.from_step, step=100,
            placeholder="the end of each run's warm-up",
            help="Losses before it are left out of the fit. The learning rate always counts from step 0.",
        )  # fmt: skip
    return split, own


def chosen(space: Workspace, names: Sequence[str], split: str | None) -> list[Run]:
    """Runs by name, judged on `split` where they have it (None: on their own)."""
    runs = [space.runs[n] for n in names if n in space.runs]
    return [r.on(split) if split in r.series else r for r in runs]


def warn(space: Workspace, choice: Choice) -> None:
    """Say beforehand what the chosen runs cannot identify."""
    for sentence in doubts(LAWS[choice.law], chosen(space, choice.train, choice.split)) if choice.train else ():
        st.warning(literal(sentence), icon=":material/warning:")


def begin(space: Workspace, choice: Choice, **kwargs) -> None:
    """Start the fit in the background."""
    train, test = (chosen(space, names, choice.split) for names in (choice.train, choice.test))
    work = functools.partial(fit, choice.law, train, test=test, from_step=choice.from_step, **kwargs)
    space.start(LAWS[choice.law].title, lambda progress: work(progress=progress))


@st.fragment(run_every=0.25)
def watch(space: Workspace) -> None:
    """Progress of the running fit, a cancel button, and the result's way into the workspace."""
    job = space.job
    if job is None:
        return
    if job.running:
        bar, button = st.columns([5, 1], vertical_alignment="center")
        best = f", best objective {job.best:.3g}" if np.isfinite(job.best) else ""
        bar.progress(min(job.share, 1.0), f"Fitting {job.title}{best}")
        if button.button("Cancel", width="stretch"):
            space.stop()
            st.rerun()
        return
    try:
        found = space.finish()
    except (OptLawsError, FitError) as fault:
        space.failure = str(fault)
    else:
        if found is not None:
            space.keep(_name_of(space, found), found)
    st.rerun()


def pick(space: Workspace) -> Fit | None:
    """The fit to report: the one in use, or another one that was kept."""
    if len(space.fits) < 2:
        return space.fit
    names = list(space.fits)
    name = st.segmented_control("Report on", names, default=space.current, key=f"pick {space.current} {len(names)}")
    if name and name != space.current:
        space.current = name
    return space.fit


def _name_of(space: Workspace, found: Fit) -> str:
    """Where to keep a fit: in the place of one of the same law, runs and locks, else under a name of its own."""
    held = f", {' and '.join(found.locked)} locked" if found.locked else ""
    name = LAWS[found.law].title + held
    before = space.fits.get(name)
    same = before is not None and _setting(before) == _setting(found)
    return name if same else space.free_name(name)


def _setting(f: Fit) -> tuple:
    return f.law, tuple(f.train), tuple(f.test), f.split, f.from_step, f.locked


def predictions(found: Fit, runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """Predicted losses at each run's observed steps, by run."""
    return {r.name: curve(LAWS[found.law], found.vector, r) for r in runs}


def verdict(found: Fit) -> None:
    """How the fit ended, and the four numbers that matter."""
    say = st.success if found.status is Status.converged else st.info if found.status is Status.tuned else st.warning
    held = f" Held: {', '.join(found.locked)}." if found.locked else ""
    say(literal(found.message + held))
    boxes = st.columns(4)
    fitted_rmse = float(np.mean([s.rmse for s in found.train.values()]))
    held_out = "none held out" if found.held_out_rmse is None else f"{found.held_out_rmse:.5f}"
    boxes[0].metric("Held-out RMSE", held_out,
                    help="Root mean square error of the loss, mean over held-out runs. Trust this one.")  # fmt: skip
    boxes[1].metric("Training RMSE", f"{fitted_rmse:.5f}", help="The same over the training runs.")
    boxes[2].metric("Objective", f"{found.objective:.4g}",
                    help="Sum of the Huber loss (δ = 0.001) of log predicted minus log observed.")  # fmt: skip
    boxes[3].metric("Time", f"{found.seconds:.2f} s" if found.seconds else "–", help="All starting points together.")


def formula(name: str) -> None:
    """A law's formula with its source."""
    law = LAWS[name]
    st.latex(law.latex)
    for line in law.where:
        st.latex(line)
    st.caption(
        f"Source: {law.reference}. η is the learning rate of one update; sums start at step 0, warm-up included."
    )


def coefficients(found: Fit) -> None:
    """Coefficients with intervals and bounds."""
    rows = []
    for p in LAWS[found.law].params:
        value, ends = found.theta[p.name], found.interval[p.name]
        between = f"{ends[0]:.5g} to {ends[1]:.5g}" if ends else ""
        rows.append((p.name, value, between, _state(found, p, value, ends), p.meaning, f"{p.low:g} to {p.high:g}"))
    table = pd.DataFrame(rows, columns=["coefficient", "value", "interval", "state", "meaning", "bounds"])
    st.dataframe(
        table, hide_index=True, width="stretch", height="content",
        column_config={
            "value": st.column_config.NumberColumn(format="%.6g"),
            "interval": st.column_config.TextColumn("90 % interval", help=INTERVAL_HELP),
            "bounds": st.column_config.TextColumn("searched", help="Bounds of the search."),
            "meaning": st.column_config.TextColumn(width="large"),
        },
    )  # fmt: skip


INTERVAL_HELP = (
    "90 % interval of the coefficient from the curvature of the objective, widened for residuals that hang together "
    "along a run. It says how well these runs determine the coefficient, not whether the law is right."
)


def _state(found: Fit, p, value: float, ends) -> str:
    if p.name in found.locked:
        return "locked"
    if found.status is Status.tuned:
        return "set by hand"
    if p.neutral is not None and value == p.neutral:
        return "one model size only" if p.needs == "params" else "one peak only"
    if p.weight:
        return "weight"
    x, low, high = (p.to_scale(v) for v in (value, p.low, p.high))
    if min(abs(x - low), abs(x - high)) < 1e-3 * abs(high - low):
        return "on its bound"
    return "fitted" if ends else "hardly determined"


def errors(found: Fit) -> None:
    """Errors per run, training and held out."""
    rows = [
        {"run": name, "role": role, "points": s.n, "MAE": s.mae, "RMSE": s.rmse, "R²": s.r2,
         "mean": 100 * s.mean_rel, "worst": 100 * s.worst_rel}
        for role, scores in (("training", found.train), ("held out", found.test))
        for name, s in scores.items()
    ]  # fmt: skip
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, width="stretch", height="content" if len(rows) < 15 else 540,
        column_config={
            "run": st.column_config.TextColumn(width="medium"),
            "MAE": st.column_config.NumberColumn(format="%.5f", help="Mean absolute error of the loss."),
            "RMSE": st.column_config.NumberColumn(format="%.5f", help="Root mean square error of the loss."),
            "R²": st.column_config.NumberColumn(format="%.5f", help="Share of the loss's variance that is explained."),
            "mean": st.column_config.NumberColumn("mean error", format="%.3f %%", help="Mean of |error| / loss."),
            "worst": st.column_config.NumberColumn("worst error", format="%.3f %%", help="Largest |error| / loss."),
        },
    )  # fmt: skip


def noise(space: Workspace, found: Fit) -> None:
    """How far apart loaded runs of one plan end: what no law can beat."""
    floor = noise_floor(chosen(space, list(space.fittable), found.split))
    if floor is not None:
        low, high = (100 * end for end in floor.interval)
        alike = counted(sum(len(group.runs) for group in floor.repeats), "loaded run")
        st.caption(
            f"Noise floor: {alike} that differ by chance alone "
            f"end {100 * floor.relative:.2f} % apart (standard deviation, 90 % interval {low:.2f} to {high:.2f} %). "
            "No law can predict better."
        )


def pictures(found: Fit, runs: Sequence[Run]) -> None:
    """Curves, observed against predicted, residuals."""
    predicted, held_out = predictions(found, runs), list(found.test)
    log_x = st.toggle("Logarithmic steps", key="fit_log_x", bind="query-params")
    st.plotly_chart(charts.curves(runs, predicted, held_out, log_x), width="stretch", key="fit_curves")
    st.caption("Faint: observed. Bold: predicted; dashed where the run was held out.")
    left, right = st.columns(2, gap="medium")
    left.plotly_chart(charts.against(runs, predicted, held_out), width="stretch", key="fit_against")
    right.plotly_chart(charts.residuals(runs, predicted, held_out), width="stretch", key="fit_residuals")


def runs_of(space: Workspace, found: Fit) -> tuple[list[Run], list[Run]] | None:
    """Training and held-out runs of a fit, warm-up cut as it was; None when some are no longer loaded."""
    names = (*found.train, *found.test)
    if any(n not in space.fittable for n in names):
        return None
    train, test = (chosen(space, part, found.split) for part in (found.train, found.test))
    return [usable(r, found.from_step) for r in train], [usable(r, found.from_step) for r in test]


def tune(space: Workspace, found: Fit, train: Sequence[Run], test: Sequence[Run]) -> None:
    """Sliders that redraw the curves while they move; refit the rest; keep a set under a name."""
    shown = [(r, "train") for r in train] + [(r, "held out") for r in test]
    if space.packed is None or space.packed[0] is not found:
        space.packed = (found, _packed(space, found, shown[:TUNED_RUNS]))
    heard = tuner(space.packed[1], key="tuner")
    if len(shown) > TUNED_RUNS:
        st.caption(f"The first {TUNED_RUNS} of {len(shown)} runs are drawn here; errors in the report count all.")
    if heard.keep:
        space.keep(space.free_name(heard.keep.name), tuned(found, heard.keep.theta, train, test))
        st.rerun()
    if heard.refit:
        theta = dict(heard.refit.theta)
        same = Choice(found.law, tuple(found.train), tuple(found.test), found.split, found.from_step)
        begin(space, same, locked={n: theta[n] for n in heard.refit.locked}, start=theta)
        st.rerun()


def _packed(space: Workspace, found: Fit, shown: Sequence[tuple[Run, str]]) -> dict:
    """What the tuner needs of a fit. A set tuned by hand goes back to the fit of its law."""
    law = LAWS[found.law]
    alike = (
        f
        for f in reversed(space.fits.values())
        if f.status is not Status.tuned and f.train.keys() == found.train.keys()
    )
    base = next((f for f in alike if f.law == found.law), found) if found.status is Status.tuned else found
    return payload(law, shown, found.theta, fitted=base.theta, interval=base.interval, locked=found.locked)


def kept(space: Workspace) -> None:
    """All fits of this visit side by side: errors and coefficients."""
    rows = []
    for name, f in space.fits.items():
        rows.append(
            {"name": name, "law": LAWS[f.law].title, "held-out RMSE": f.held_out_rmse,
             "training RMSE": float(np.mean([s.rmse for s in f.train.values()])), "objective": f.objective,
             **f.theta}
        )  # fmt: skip
    number = st.column_config.NumberColumn(format="%.5g")
    table = pd.DataFrame(rows)
    st.dataframe(table, hide_index=True, width="stretch", column_config={c: number for c in table.columns[2:]})

"""The first half of the Fit page: laws, runs and options; how the fits go; which of them to report."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from optlaws_core import LAWS, Average, Fit, FitError, OptLawsError, Run, Selection, Status, select
from optlaws_core.fitting import first_split
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.selection import POOL
from optlaws_core.fitting.single import doubts, fit
from optlaws_core.text import parse_int

from ..server import libraries
from ..state import settings
from ..state.workspace import Choice, Workspace
from ..widgets.markdown import literal


def choose(space: Workspace) -> tuple[Choice, bool]:
    """Laws, runs and options. Returns the choice and whether the button was pressed."""
    names = list(space.fittable)
    first = first_split.split(space.runs)
    before = [
        old if new is None else new for old, new in zip(first, (space.choice.train, space.choice.test), strict=True)
    ]
    left, right = st.columns([1, 2], gap="medium")
    with left:
        laws = _laws(space)
    with right:
        train = st.multiselect(
            "Training runs", names, default=[n for n in before[0] if n in names],
            wrap=True, key="train", help="Coefficients and weights are fitted to these runs only.",
        )  # fmt: skip
        test = st.multiselect(
            "Held-out runs", names,
            default=[n for n in before[1] if n in names],
            key="test", wrap=True,
            help="Never shown to the fit; errors on them tell how well a law predicts schedules it has not seen.",
        )  # fmt: skip
        _aside(names, train, test)
    split, from_step, fault = _options(space, left)
    space.choice = Choice(laws, tuple(train), tuple(n for n in test if n not in train), split, from_step)
    ready = train and laws and not fault
    pressed = st.button("Fit", type="primary", icon=":material/play_arrow:", disabled=not ready)
    return space.choice, pressed


def _laws(space: Workspace) -> tuple[str, ...]:
    """The laws to fit, by name."""
    laws = st.multiselect(
        "Laws", list(LAWS), default=list(space.choice.laws or POOL), format_func=lambda n: LAWS[n].title, key="laws",
        wrap=True, placeholder="Choose at least one law",
        help="A law is a formula for the loss at every step as a function of the learning-rate schedule. Several are "
        'fitted side by side, compared and averaged. "Select all" stands at the top of the list.',
    )  # fmt: skip
    if len(laws) == 1:
        st.caption(LAWS[laws[0]].summary)
    elif laws:
        st.caption("Each is fitted to all training runs, and to all but one in turn: that tells which to trust.")
    return tuple(laws)


def _aside(names: Sequence[str], train: Sequence[str], test: Sequence[str]) -> None:
    """Say which runs count for nothing, or only once."""
    both = [n for n in train if n in test]
    if both:
        st.caption(literal(f"Trained on, so not held out: {', '.join(both)}."))
    unused = [n for n in names if n not in train and n not in test]
    if unused:
        shown = ", ".join(unused[:4]) + (f" and {len(unused) - 4} more" if len(unused) > 4 else "")
        st.caption(literal(f"In neither list: {shown}."))


def _options(space: Workspace, place) -> tuple[str, int | None, str]:
    """Split and first step; the step as it was, with a sentence, while it cannot be read."""
    splits = sorted({s for n in space.fittable for s in space.runs[n].series}, key=lambda s: (s != "train", s))
    split = space.choice.split if space.choice.split in splits else common_split(space)
    with place, st.expander("Options"):
        split = st.selectbox(
            "Losses", splits, index=splits.index(split),
            help="Training loss, or the loss on a held-out text. Runs without it keep their own.",
        )  # fmt: skip
        own, fault = space.choice.from_step, ""
        typed = st.text_input(
            "First step that counts", "" if own is None else str(own), key="from_step",
            placeholder="the end of each run's warm-up",
            help="Losses before it are left out of the fit. The learning rate always counts from step 0.",
        ).strip()  # fmt: skip
        try:
            own = parse_int(typed, "The first step that counts") if typed else None
        except OptLawsError as unread:
            fault = str(unread)
            st.error(literal(fault), icon=":material/error:")
        if address := settings.cluster():
            st.caption(literal(f"Fits run on the Dask cluster at {address}, as whoever runs this app has set it."))
    return split, own, fault


def common_split(space: Workspace) -> str | None:
    """The losses that most runs use; None without runs."""
    most = Counter(run.split for run in space.fittable.values()).most_common(1)
    return most[0][0] if most else None


def chosen(space: Workspace, names: Sequence[str], split: str | None) -> list[Run]:
    """Runs by name, judged on `split` where they have it (None: on their own)."""
    runs = [space.runs[n] for n in names if n in space.runs]
    return [r.on(split) if split in r.series else r for r in runs]


def warn(space: Workspace, choice: Choice) -> None:
    """Say beforehand what the chosen runs cannot identify: once for all laws, with the longest law's numbers."""
    runs, said = chosen(space, choice.train, choice.split), {}
    for law in sorted((LAWS[n] for n in choice.laws), key=lambda law: -len(law.params)):
        for sentence in doubts(law, runs) if runs else ():
            said.setdefault("".join(c for c in sentence if not c.isdigit()), sentence)
    for sentence in said.values():
        st.warning(literal(sentence), icon=":material/warning:")


def begin(space: Workspace, choice: Choice) -> None:
    """Start the fits of the chosen laws in the background."""
    train, test = (chosen(space, names, choice.split) for names in (choice.train, choice.test))
    laws = choice.laws or POOL
    # One thread rather than this machine's pool of processes: the pool is one for all visitors, so that a second one
    # would wait at 0 %, and starting it takes as long (1 to 3 s) as all fits of two laws to three runs. Many fits to
    # many runs are what a cluster is for.
    if settings.cluster():
        libraries.load(libraries.CLUSTER)
    work = functools.partial(
        select, laws, train, test=test, from_step=choice.from_step, cluster=settings.cluster(), processes=1
    )
    title = LAWS[laws[0]].title if len(laws) == 1 else f"{len(laws)} laws"
    space.start(title, lambda progress: work(progress=lambda share: progress(share, np.inf)))


def refit(space: Workspace, base: Fit, start: Mapping[str, float], locked: Sequence[str]) -> None:
    """Start a fit of one law with some coefficients held, in the background."""
    train, test = (chosen(space, tuple(names), base.split) for names in (base.train, base.test))
    held = {name: start[name] for name in locked}
    work = functools.partial(
        fit, base.law, train, test=test, from_step=base.from_step, locked=held, start=dict(start)
    )  # fmt: skip
    space.start(LAWS[base.law].title, lambda progress: work(progress=progress))


@st.fragment(run_every=0.25)
def watch(space: Workspace) -> None:
    """Progress of the running fits, a cancel button, and the result's way into the workspace."""
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
            keep(space, found)
    st.rerun()


def keep(space: Workspace, found: Fit | Selection) -> None:
    """Put what was fitted among the kept fits, and use what is to be trusted."""
    if isinstance(found, Fit):
        space.keep(_name_of(space, found), found)
        return
    models = (*([found.average] if found.average else ()), *found.fits)
    names = [_name_of(space, model) for model in models]
    for name, model in zip(names, models, strict=True):
        space.keep(name, model, found)
    space.current = names[models.index(found.trusted)]


def pick(space: Workspace) -> Model | None:
    """The fit to report: the one in use, or another one that was kept."""
    if len(space.fits) < 2:
        return space.fit
    names = list(space.fits)
    name = st.selectbox(
        "Report on", names, index=names.index(space.current) if space.current in names else 0,
        key=f"pick {space.current} {len(names)}", width=420,
        help="One of the fits of this visit. It is also the one that the Compare page ranks with.",
    )  # fmt: skip
    space.current = name
    return space.fit


def title_of(model: Model) -> str:
    """What a fit is called: its law, or how many were averaged."""
    return model.title


def _name_of(space: Workspace, found: Model) -> str:
    """Where to keep a fit: in the place of one of the same law, runs and locks, else under a name of its own."""
    before = (name for name, model in space.fits.items() if _setting(model) == _setting(found))
    return next(before, None) or space.free_name(title_of(found))


def _setting(model: Model) -> tuple:
    told = tuple(model.train), tuple(model.test), model.split, model.from_step
    if isinstance(model, Average):
        return tuple(sorted(f.law for f in model.fits)), *told
    return model.law, *told, model.locked, model.status is Status.tuned

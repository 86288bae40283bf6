"""The first half of the Evidence page: laws, runs and options, and which of the kept fits to report."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from optlaws_core import LAWS, OptLawsError
from optlaws_core.fitting import first_split
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.selection import POOL
from optlaws_core.fitting.single import doubts
from optlaws_core.text import parse_int

from ..state import session, settings
from ..state.kept_fits import Choice
from ..state.workspace import Workspace
from ..widgets.markdown import literal
from . import prior_choice
from .job import chosen


def choose(space: Workspace) -> tuple[Choice, bool]:
    """Laws, runs and options. Returns the choice and whether the button was pressed."""
    names = list(space.fittable)
    first = first_split.split(space.runs)
    before = [
        old if new is None else new for old, new in zip(first, (space.choice.train, space.choice.test), strict=True)
    ]
    left, right = st.columns([2, 3], gap="medium")
    with left:
        laws = _laws(space)
    with right:
        train = st.multiselect(
            "Training runs",
            names,
            default=[n for n in before[0] if n in names],
            wrap=True,
            key="train",
            help="Coefficients and weights are fitted to these runs only.",
        )
        test = st.multiselect(
            "Held-out runs",
            names,
            default=[n for n in before[1] if n in names],
            key="test",
            wrap=True,
            help="Never shown to the fit; errors on them tell how well a law predicts schedules it has not seen.",
        )
        _aside(names, train, test)
    split, from_step, prior, fault = _options(space, left, laws, train)
    space.choice = Choice(laws, tuple(train), tuple(n for n in test if n not in train), split, from_step, prior)
    ready = train and laws and not fault
    pressed = st.button("Fit", type="primary", icon=":material/play_arrow:", disabled=not ready)
    return space.choice, pressed


def _laws(space: Workspace) -> tuple[str, ...]:
    """The laws to fit, by name."""
    laws = st.multiselect(
        "Laws",
        list(LAWS),
        default=list(space.choice.laws or POOL),
        format_func=lambda n: LAWS[n].title,
        key="laws",
        wrap=True,
        placeholder="Choose at least one law",
        help="A law is a formula for the loss at every step as a function of the learning-rate schedule. Several are "
        "fitted side by side, compared and averaged. “Select all” is at the top of the list.",
    )
    if len(laws) == 1:
        st.caption(LAWS[laws[0]].summary)
    elif laws:
        st.caption(
            "Each law is fitted to all training runs, then without each of them in turn: that shows which to trust."
        )
    return tuple(laws)


def _aside(names: Sequence[str], train: Sequence[str], test: Sequence[str]) -> None:
    """Say which runs count for nothing, or only once."""
    both = [n for n in train if n in test]
    if both:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(literal(f"Trained on, so not held out: {', '.join(both)}."), width="content")
            label = "Hold it out" if len(both) == 1 else "Hold them out"
            st.button(label, type="tertiary", key="hold_out", on_click=_hold_out, args=(both,))
    unused = [n for n in names if n not in train and n not in test]
    if unused:
        shown = ", ".join(unused[:4]) + (f" and {len(unused) - 4} more" if len(unused) > 4 else "")
        st.caption(literal(f"In neither list: {shown}."))


def _hold_out(names: Sequence[str]) -> None:
    memory = session.state()
    memory["train"] = [name for name in memory["train"] if name not in names]


def _options(space: Workspace, place, laws: Sequence[str], train: Sequence[str]) -> tuple[str, int | None, str, str]:
    """Split, first step, and what is known beforehand; the step as it was, with a sentence, while it cannot be read."""
    splits = sorted({s for n in space.fittable for s in space.runs[n].series}, key=lambda s: (s != "train", s))
    split = space.choice.split if space.choice.split in splits else common_split(space)
    with place, st.expander("Options"):
        split = st.selectbox(
            "Losses",
            splits,
            index=splits.index(split),
            help="Training loss, or the loss on a held-out text. Runs without it keep their own.",
        )
        own, fault = space.choice.from_step, ""
        typed = st.text_input(
            "First step that counts",
            "" if own is None else str(own),
            key="from_step",
            placeholder="found from the curves",
            help="Losses before it are left out of the fit. The learning rate always counts from step 0. Left empty, "
            "it is where the losses begin to follow the law, and without priors the end of each run's warm-up.",
        ).strip()
        try:
            own = parse_int(typed, "The first step that counts") if typed else None
        except OptLawsError as unread:
            fault = str(unread)
            st.error(literal(fault), icon=":material/error:")
        prior = _prior(space, laws, train)
        if address := settings.cluster():
            st.caption(
                literal(f"Fits run on the Dask cluster at {address}, as the operator of this server has set it.")
            )
    return split, own, prior, fault


def _prior(space: Workspace, laws: Sequence[str], train: Sequence[str]) -> str:
    """What is known beforehand; as it was where none of the laws has a prior."""
    if not prior_choice.able(laws):
        return space.choice.prior
    offered = prior_choice.offered(space, laws, train)
    return st.selectbox(
        "Prior",
        offered,
        index=offered.index(space.choice.prior) if space.choice.prior in offered else 0,
        format_func=lambda name: prior_choice.TITLES[name],
        key="prior",
        help="Coefficients begin from a prior: what is usual, and how far settings differ. It was learned from public "
        "training curves, or comes from fits of this visit to other runs of the same recipe. The report says how far "
        "your runs moved it. Without a prior, a law with more coefficients than a few runs determine follows chance.",
    )


def common_split(space: Workspace) -> str | None:
    """The losses that most runs use; None without runs."""
    most = Counter(run.split for run in space.fittable.values()).most_common(1)
    return most[0][0] if most else None


def warn(space: Workspace, choice: Choice) -> None:
    """Say beforehand what the chosen runs cannot identify: once for all laws, with the longest law's numbers."""
    runs, said = chosen(space, choice.train, choice.split), {}
    for law in sorted((LAWS[n] for n in choice.laws), key=lambda law: -len(law.params)):
        informed = choice.prior != "none" and prior_choice.able([law.name])
        for sentence in doubts(law, runs, informed) if runs else ():
            said.setdefault("".join(c for c in sentence if not c.isdigit()), sentence)
    for sentence in said.values():
        st.warning(literal(sentence), icon=":material/warning:")


def pick(space: Workspace) -> Model | None:
    """The fit to report: the one in use, or another one that was kept."""
    if len(space.fits) < 2:
        return space.fit
    names = list(space.fits)
    name = st.selectbox(
        "Fit in use",
        names,
        index=names.index(space.current) if space.current in names else 0,
        key=f"pick {space.current} {len(names)}",
        width=420,
        help="One of the fits of this visit. Decide ranks with it, too, and says where another one is advised.",
    )
    space.current = name
    return space.fit

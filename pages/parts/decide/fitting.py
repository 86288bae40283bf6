"""The fit behind an answer: it begins by itself when runs are there, and says when its runs have changed since."""

from collections.abc import Mapping

import streamlit as st

from optlaws_core import Run
from optlaws_core.fitting import first_split
from optlaws_core.fitting.selection import POOL
from optlaws_core.text import listed

from ..fit import from_address, job, report
from ..state.kept_fits import Choice
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets.markdown import literal

BEGUN = "decide_begun"  # the runs of the last fit that began by itself, by name


def usual(space: Workspace) -> tuple[Choice, dict[str, str]]:
    """What an answer rests on unless somebody chooses otherwise, and why not on the other runs."""
    if split := from_address.usual(space):
        return Choice(POOL, *split), {}
    size = space.big_run.params if space.big_run else None
    used, aside = first_split.for_an_answer(space.runs, size)
    return Choice(POOL, used, ()), aside


def by_itself(space: Workspace, choice: Choice) -> None:
    """Begin the usual fit where there is none, or where runs came since that one began by itself."""
    begun: Mapping[str, Run] | None = state().get(BEGUN)
    runs = {name: space.runs[name] for name in (*choice.train, *choice.test)}
    if not choice.train or space.job or begun is not None and _same(begun, runs):
        return
    if space.choice.train and not space.fits and space.choice != choice:
        return  # a link has chosen; the usual choice is that of a fit which a reload ended
    if space.fits and (begun is None or set(space.fit.train) != set(begun) - set(space.fit.test)):
        return  # somebody chose
    state()[BEGUN] = runs
    space.choice = choice
    job.begin(space, choice)


def offer(space: Workspace, choice: Choice) -> None:
    """A button for the fit where none begins by itself: it was cancelled, failed, or is of many laws."""
    if space.job:
        return
    asked = space.choice if space.choice.train else choice
    st.button(
        "Fit the loaded runs",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not asked.train,
        on_click=_begin,
        args=(space, asked),
    )


def _begin(space: Workspace, choice: Choice) -> None:
    space.choice = choice
    job.begin(space, choice)


def _same(one: Mapping[str, Run], other: Mapping[str, Run]) -> bool:
    return one.keys() == other.keys() and all(run is other[name] for name, run in one.items())


def stale(space: Workspace, choice: Choice) -> None:
    """Say that runs of the fit in use have changed, or that others are at hand, and offer the fit anew."""
    report.stale(space)
    fit = space.fit
    new = [name for name in choice.train if name not in fit.train and name not in fit.test]
    if not new or space.job:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/history: {literal(f'Not in the fit in use: {listed(new, 3)}.')}", width="content")
        st.button("Fit with them", icon=":material/refresh:", on_click=_begin, args=(space, choice))


def advised(space: Workspace) -> None:
    """Where another fit than the advised one of its laws is in use, say so, and offer that one."""
    selection = space.selections.get(space.current)
    name = next((n for n, fit in space.fits.items() if selection and fit is selection.trusted), space.current)
    if name == space.current:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        said = f"The answer rests on the fit “{space.current}”. Advised for these runs: “{name}”."
        st.markdown(f":material/info: {literal(said)}", width="content")
        st.button("Use that", icon=":material/check:", key="decide_advised", on_click=_use, args=(space, name))


def _use(space: Workspace, name: str) -> None:
    space.current = name

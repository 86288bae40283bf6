"""The fit behind an answer: it begins by itself when runs are there, and says when its runs have changed since.

Its laws are the usual two, unless something schedules the batch, which one law alone predicts.
"""

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from optlaws_core import LAWS, Run
from optlaws_core.fitting import first_split
from optlaws_core.fitting.selection import POOL
from optlaws_core.schedules import parts
from optlaws_core.text import listed

from ..fit import from_address, job, report
from ..state import kept_fits
from ..state.kept_fits import Choice
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets.markdown import literal

BEGUN = "decide_begun"  # the laws and the runs, by name, of the last fit that began by itself
OF_BATCHES = ("noisy_quadratic",)  # the laws that tell noise from slow progress
WHY = "Only the noisy quadratic predicts a batch schedule: the usual laws do not separate noise from slow progress."


def usual(space: Workspace) -> tuple[Choice, dict[str, str]]:
    """What an answer rests on unless somebody chooses otherwise, and why not on the other runs."""
    if split := from_address.usual(space):
        return Choice(POOL, *split), {}
    size = space.big_run.params if space.big_run else None
    used, aside = first_split.for_an_answer(space.runs, size)
    return Choice(POOL, used, ()), aside


def for_candidates(space: Workspace, choice: Choice) -> Choice:
    """The same choice, with laws that predict a batch schedule where a candidate in use or one of its runs has one."""
    runs = (space.runs[name].plan for name in (*(choice.train or ()), *(choice.test or ())) if name in space.runs)
    asked = [*(c.schedule for c in space.candidates if c.on), *(plan.schedule for plan in runs if plan)]
    batched = any(schedule is not None and parts(schedule)[1] is not None for schedule in asked)
    return replace(choice, laws=OF_BATCHES) if batched else choice


def by_itself(space: Workspace, choice: Choice) -> None:
    """Begin the usual fit where there is none, or where runs came or other laws are needed since one began by itself.

    A fit of those laws that is kept is used again.
    """
    begun: tuple[tuple[str, ...], Mapping[str, Run]] | None = state().get(BEGUN)
    runs = {name: space.runs[name] for name in (*choice.train, *choice.test)}
    if not choice.train or space.job or begun is not None and begun[0] == choice.laws and _same(begun[1], runs):
        return
    if space.choice.train and not space.fits and _with_usual_laws(space.choice, choice) != choice:
        return  # a link has chosen; the usual choice is that of a fit which a reload ended
    if space.fits and (begun is None or set(space.fit.train) != set(begun[1]) - set(space.fit.test)):
        return  # somebody chose
    state()[BEGUN] = choice.laws, runs
    space.choice = choice
    _use_or_begin(space, choice)


def _with_usual_laws(choice: Choice, usual: Choice) -> Choice:
    """A choice with the laws of the usual one, where its own are those of another moment."""
    return replace(choice, laws=usual.laws) if choice.laws in (POOL, OF_BATCHES) else choice


def _use_or_begin(space: Workspace, choice: Choice) -> None:
    """Use the fit of a choice that is kept and up to date, and begin it where there is none."""
    for name in from_address.named(space, choice).values():
        selection = space.selections.get(name)
        trusted = selection is not None and space.fits[name] is selection.trusted
        if trusted and not kept_fits.stale(space, space.runs, name):
            space.current = name
            return
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
    _use_or_begin(space, choice)


def _same(one: Mapping[str, Run], other: Mapping[str, Run]) -> bool:
    return one.keys() == other.keys() and all(run is other[name] for name, run in one.items())


def stale(space: Workspace, choice: Choice) -> None:
    """Say that runs of the fit in use have changed, that others are at hand, or that it knows nothing of a batch
    schedule, and offer the fit anew.
    """
    report.stale(space)
    fit = space.fit
    if choice.laws == OF_BATCHES and not _knows_batches(space) and not space.job:
        same = replace(from_address.described(space, space.current), laws=OF_BATCHES)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/history: {WHY}", width="content")
            st.button(
                "Fit that", icon=":material/refresh:", key="decide_of_batches", on_click=_begin, args=(space, same)
            )
    new = [name for name in choice.train if name not in fit.train and name not in fit.test]
    if not new or space.job:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/history: {literal(f'Not in the fit in use: {listed(new, 3)}.')}", width="content")
        st.button("Fit with them", icon=":material/refresh:", on_click=_begin, args=(space, choice))


def _knows_batches(space: Workspace) -> bool:
    """Whether every law of the fit in use predicts a batch schedule."""
    return all(LAWS[fit.law].knows_noise for fit, weight in space.fit.parts if weight > 0)


def why(space: Workspace, choice: Choice) -> None:
    """Why an answer does not rest on the usual laws, where something schedules the batch."""
    if choice.laws == OF_BATCHES and _knows_batches(space):
        st.caption(WHY)


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

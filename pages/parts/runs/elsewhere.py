"""Runs by their address: a field beside the uploaders, where the operator lets visitors read from somewhere."""

import functools
from collections.abc import Callable, Sequence

import streamlit as st

from optlaws_core import OptLawsError
from optlaws_core.readers import Note, Source
from optlaws_core.readers.remote import FORMS, Bounds, sources_at
from optlaws_core.text import listed

from ..server import addresses
from ..state import jobs
from ..state.jobs import Job, Progress
from ..state.session import state
from ..state.workspace import Workspace
from ..widgets.markdown import literal

BOUNDS = Bounds(most=256 * 2**20, seconds=300.0, keep=False)  # the server's cache would be every visitor's to fill
LONGEST = 500  # characters of an address
WAITS = 600.0  # seconds for which what came is held, in memory that no limit counts, until the field is drawn
READING = "reading_address"  # the job in the session, and its address
Taken = Callable[[Workspace, Sequence[Source]], None]


def allowed() -> bool:
    """Whether there is anything that visitors may read by its address."""
    return bool(addresses.allowed())


def field(space: Workspace, taken: Taken) -> None:
    """The field; while an address is read, how much has come, and a button that ends it. `taken` gets what came."""
    if READING in state():
        _watch(space, taken)
        return
    key = f"address-{space.revision}"
    with st.form(f"{key}-form", border=False):
        st.text_input(
            "Address of runs",
            key=key,
            max_chars=LONGEST,
            placeholder="wandb:ENTITY/PROJECT",
            help=f"{FORMS}. This server reads what begins with {listed(addresses.allowed())}, with its own keys: up to "
            f"{BOUNDS.most // 2**20} MB and {BOUNDS.seconds / 60:.0f} minutes.",
        )
        st.form_submit_button("Read", icon=":material/cloud_download:", on_click=_begin, args=(space, key))


def _begin(space: Workspace, key: str) -> None:
    address = state()[key].strip()
    try:
        addresses.check(address)
    except OptLawsError as fault:
        _refused(space, fault)
    else:
        work = functools.partial(sources_at, address, BOUNDS)
        job: Job[list[Source]] = Job.start(address, work)
        job.drop_after(
            WAITS,
            f"{address} was read, but its runs were discarded, since no page with this field was open "
            f"for {WAITS / 60:.0f} minutes after that. Read it again.",
        )
        state()[READING] = job


def _watch(space: Workspace, taken: Taken) -> None:
    job: Job[list[Source]] = state()[READING]

    def said(progress: Progress) -> str:
        return literal(f"Reading {job.title}: {progress.share * BOUNDS.most / 2**20:.1f} MB so far")

    def ended(job: Job[list[Source]]) -> None:
        del state()[READING]
        try:
            found = job.result()
        except OptLawsError as fault:
            _refused(space, fault)
        else:
            if found is not None:
                taken(space, found)

    jobs.watch(job, said, ended, "address_cancel")


def _refused(space: Workspace, fault: OptLawsError) -> None:
    space.news = (Note("refused", str(fault)),)

"""What all parts of the Shared page have in common: where they lead, whom they let in, how a fault is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import streamlit as st

from optlaws_core import OptLawsError
from optlaws_core.saved.rights import Viewer, Visibility

from ..server import errors
from ..state import address
from ..state.bundled import ROOT
from ..widgets.markdown import literal

PAGES = {path.stem for path in (ROOT / "pages").glob("*.py")}
PAGE, SHARED = "Shared", "shared"  # the page's title, and what the names of its widgets begin with
CONTENT = "content"  # in an address: the digest of the version that is asked for


@contextmanager
def faults_told() -> Iterator[None]:
    """Say in a sentence what failed within, where the store or the comparison is at fault."""
    try:
        yield
    except OptLawsError as fault:
        st.error(literal(errors.sentence(fault)), icon=":material/error:")


def link(id: str, **more: str) -> str:
    """The address of a saved comparison, with further parts of a query."""
    here = (st.context.url or "").split("?")[0].rstrip("/")
    above, _, last = here.rpartition("/")
    query = "".join(f"&{key}={value}" for key, value in more.items())
    return f"{above if last in PAGES else here}/share?id={id}{query}"  # the first page has no name in its address


def go(id: str = "", content: str = "") -> None:
    """Open a saved comparison, or the list; a callback of buttons, so that the address says what is shown.

    content: the digest of an earlier version; empty: the newest one.
    """
    address.start_over(PAGE, SHARED, **({"id": id} if id else {}), **({CONTENT: content} if content else {}))


def kinds(viewer: Viewer, now: Visibility | None = None) -> list[Visibility]:
    """Whom the viewer may let in, as far as the viewer can tell them apart; and whoever is let in now."""
    return [kind for kind in Visibility if viewer.logged_in or kind in (Visibility.private, Visibility.link, now)]


def usual(viewer: Viewer) -> Visibility:
    """Whoever has no name to be found by again shares by the link."""
    return Visibility.private if viewer.logged_in else Visibility.link


def when(time: str) -> str:
    """A time of the store (UTC, ISO 8601) for people."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M} UTC"

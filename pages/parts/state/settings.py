"""What the operator of the server has set, and what the server keeps for all visitors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from ..server import libraries, options
from ..server.guard import new_key
from . import session
from .visitor import known_browser

if TYPE_CHECKING:
    from optlaws_core.saved.logouts import LogOuts
    from optlaws_core.saved.shelf import Shelf
    from optlaws_core.saved.store import Store

CLUSTER = "OPTLAWS_CLUSTER"  # environment variable or secret: address of a Dask scheduler that fits run on
KEEP = "OPTLAWS_KEEP"  # environment variable or secret: days for which a visitor's work is kept, or "off"
STORE = "OPTLAWS_STORE"  # environment variable of the core: a path, or the URL of a PostgreSQL database
OFF = ("off", "0", "no")


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """Where comparisons are saved: one for the server."""
    from optlaws_core.saved.store import Store

    _load_driver()
    return Store()


@st.cache_resource(show_spinner=False)
def shelf(days: float) -> Shelf:
    """Where visitors' work is kept between visits: one for the server."""
    from optlaws_core.saved.shelf import Shelf

    _load_driver()
    return Shelf(days=days)


@st.cache_resource(show_spinner=False)
def logouts() -> LogOuts:
    """Where log-outs are kept for all servers of the store: one for the server."""
    from optlaws_core.saved.logouts import LogOuts

    _load_driver()
    return LogOuts()


def _load_driver() -> None:
    """What a store in PostgreSQL needs, where this is one."""
    if os.environ.get(STORE, "").strip().startswith("postgres"):
        libraries.load_where_installed(libraries.DATABASE)


def days_kept() -> float | None:
    """For how many days after the last visit work is kept; None where it is not, as for a word that is no number."""
    from optlaws_core.saved.shelf import DAYS

    said = options.said(KEEP).lower()
    if not said or said in OFF:
        return None if said else DAYS
    try:
        days = float(said)
    except ValueError:
        return None
    return days if 0 < days < 10_000 else None


def browser() -> str:
    """The key that the visitor's browser is known by; without cookies, one that lasts until the page is reloaded."""
    return known_browser() or session.state().setdefault("browser", new_key())


def cluster() -> str | None:
    """Address of the Dask scheduler that fits run on; None for this machine.

    The operator's setting alone: code is sent to that address, and run there.
    """
    return options.said(CLUSTER) or None

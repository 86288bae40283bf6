"""What the operator of the server has set, and what the server keeps for all visitors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from ..server.guard import browser_key, new_key
from . import session

if TYPE_CHECKING:
    from optlaws_core.saved.store import Store

CLUSTER = "OPTLAWS_CLUSTER"  # environment variable or secret: address of a Dask scheduler that fits run on


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """Where comparisons are saved: one for the server."""
    from optlaws_core.saved.store import Store

    return Store()


def browser() -> str:
    """The key that the visitor's browser is known by; without cookies, one that lasts until the page is reloaded."""
    return browser_key(st.context.cookies.to_dict()) or session.state().setdefault("browser", new_key())


def cluster() -> str | None:
    """Address of the Dask scheduler that fits run on; None for this machine.

    The operator's setting alone: code is sent to that address, and run there.
    """
    return setting(CLUSTER) or None


def setting(name: str) -> str:
    """What the operator said in an environment variable or a secret; empty where nothing was said."""
    secret = st.secrets.get(name, "") if st.secrets.load_if_toml_exists() else ""
    return os.environ.get(name, "").strip() or str(secret).strip()

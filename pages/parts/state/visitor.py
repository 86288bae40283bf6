"""By what a visitor is known while a page runs."""

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import get_run_yield_check

from ..server import login
from ..server.guard import browser_key


def known_browser() -> str | None:
    """The key of the visitor's cookie; None for a browser that sends none, which nobody would know again."""
    return browser_key(st.context.cookies.to_dict())


def tab() -> str:
    """The tab whose page runs; empty outside a page."""
    ctx = get_script_run_ctx(suppress_warning=True)
    return ctx.session_id if ctx else ""


def key() -> str:
    """Who asks for work, over all of their tabs: an account, a browser, or else the tab alone; empty outside a page."""
    if not tab():
        return ""
    if login.is_logged_in(st.user):
        return f"{st.user['iss']} {st.user['sub']}"
    return known_browser() or tab()


def connected(tab: str) -> bool:
    """Whether a tab is open and its connection stands; without a server, as in tests of a page, every one is."""
    return not Runtime.exists() or bool(Runtime.instance().is_active_session(tab))


def give_way() -> None:
    """Between the parts of long work on a page: end it where the visitor has gone, or has asked for something else.

    Streamlit looks for that at its own commands alone. Not in callbacks: they come before the script begins, and what
    is asked for meanwhile would be lost with them.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None and context.has_script_started and (check := get_run_yield_check()):
        check()

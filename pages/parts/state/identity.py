"""Who is asking: a browser, or somebody who logged in where the operator has set up OpenID Connect.

What a browser saved stays its own when somebody logs in with it: they are owners of both. Nothing is handed over to an
account, so a log-in that somebody else forced upon a browser takes nothing away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from streamlit.errors import StreamlitAuthError, StreamlitMissingAuthlibError

from ..server import errors, login
from ..widgets.markdown import literal
from .settings import browser

if TYPE_CHECKING:
    from optlaws_core.saved.rights import Viewer


def viewer() -> Viewer:
    """Who asks for saved comparisons."""
    return viewer_of(st.user, browser())


def viewer_of(claims: login.Claims, browser: str) -> Viewer:
    """The same by what a log-in and a browser's key say; empty, without a key: a stranger."""
    from optlaws_core.saved.rights import Viewer  # a database: nothing that every page should wait for

    if login.is_logged_in(claims):
        return Viewer(f"{claims['iss']} {claims['sub']}", logged_in=True, browser=browser)
    return Viewer(browser)


def logged_in() -> bool:
    """Whether the provider vouched for the visitor, and the operator lets them in."""
    return login.is_logged_in(st.user)


def name() -> str:
    """What to call whoever is logged in; empty for others."""
    told = (st.user.get(claim) for claim in ("name", "preferred_username", "email"))
    return " ".join(str(next(filter(None, told), "")).split())[:200] if logged_in() else ""


def bar() -> None:
    """Who is logged in, or the ways to log in; nothing where there are none."""
    found = login.providers()
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if login.is_known(st.user):
            if st.button("Log out", icon=":material/logout:"):
                st.logout()
            who = f"Logged in as {literal(name() or 'somebody without a name')}."
            st.caption(who if logged_in() else "This account has no access to this server.")
            return
        for provider in found:
            if st.button(literal(login.label(provider)), icon=":material/login:", key=f"login {provider}"):
                _log_in(provider)
        st.caption("Logging in reloads the app with the work of that account; this browser's work stays on this page.")


def _log_in(provider: str | None) -> None:
    try:
        st.login(provider)
    except StreamlitMissingAuthlibError:
        st.error(login.MISSING)
    except StreamlitAuthError as fault:  # of the operator's settings
        errors.LOG.error("Log-in is not configured correctly: %s", fault)
        st.error("Log-in is not configured correctly; the server's log says why.", icon=":material/error:")


def gate() -> None:
    """Let nobody by who is not logged in, where the operator wants that: who was, when this page's connection began."""
    if login.required() and not logged_in():
        st.info(login.CLOSED, icon=":material/lock:")
        bar()
        st.stop()

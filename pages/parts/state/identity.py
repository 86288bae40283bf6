"""Who is asking: a browser, or somebody who logged in where the operator has set up OpenID Connect.

What a browser saved stays its own when somebody logs in with it: they are owners of both. Nothing is handed over to an
account, so a log-in that somebody else forced upon a browser takes nothing away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.errors import StreamlitAuthError, StreamlitMissingAuthlibError

from ..server import options
from ..widgets.markdown import literal
from .settings import browser

if TYPE_CHECKING:
    from optlaws_core.saved.rights import Viewer

LOGIN = "OPTLAWS_LOGIN"  # environment variable or secret: "required" keeps all pages for those who are logged in
REQUIRED = "required"


def viewer() -> Viewer:
    """Who asks for saved comparisons."""
    from optlaws_core.saved.rights import Viewer  # a database: nothing that every page should wait for

    if logged_in():
        return Viewer(f"{st.user['iss']} {st.user['sub']}", logged_in=True, browser=browser())
    return Viewer(browser())


def logged_in() -> bool:
    """Whether the provider vouched for the visitor, by a name that is unique and stays."""
    return st.user.get("is_logged_in") is True and all(st.user.get(claim) for claim in ("iss", "sub"))


def name() -> str:
    """What to call whoever is logged in; empty for others."""
    told = (st.user.get(claim) for claim in ("name", "preferred_username", "email"))
    return " ".join(str(next(filter(None, told), "")).split())[:200] if logged_in() else ""


def providers() -> list[str | None]:
    """Where one can log in, by the sections of the operator's secrets; None, as in `st.login`, is the unnamed one."""
    auth = st.secrets.get("auth", {}) if st.secrets.load_if_toml_exists() else {}
    if "client_id" in auth:
        return [None]
    return [name for name, section in auth.items() if isinstance(section, Mapping) and "client_id" in section]


def bar() -> None:
    """Who is logged in, or the ways to log in; nothing where there are none."""
    found = providers()
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if logged_in():
            if st.button("Log out", icon=":material/logout:"):
                st.logout()
            st.caption(f"Logged in as {literal(name() or 'somebody without a name')}.")
            return
        for provider in found:
            label = "Log in" if provider is None else f"Log in with {literal(provider)}"
            if st.button(label, icon=":material/login:", key=f"login {provider}"):
                _log_in(provider)
        st.caption("Logging in loads the app anew, with the work of that account; this browser's stays on this page.")


def _log_in(provider: str | None) -> None:
    try:
        st.login(provider)
    except StreamlitMissingAuthlibError:
        st.error('Log-in needs the package Authlib, which is not installed: pip install "optlaws[oidc]".')
    except StreamlitAuthError as fault:  # of the operator's settings
        st.error(literal(f"Log-in is not set up rightly: {fault}"), icon=":material/error:")


def gate() -> None:
    """Let nobody by who is not logged in, where the operator wants that."""
    wanted = options.said(LOGIN)
    if not wanted or logged_in():
        return
    if wanted != REQUIRED:
        st.error(f"{LOGIN} must be {REQUIRED} or empty, got {literal(wanted)}.", icon=":material/error:")
    elif providers():
        st.info("This server is for those who are logged in.", icon=":material/lock:")
        bar()
    else:
        st.error(f"{LOGIN} is {REQUIRED}, but the server's secrets have no [auth] section.", icon=":material/error:")
    st.stop()

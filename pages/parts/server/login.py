"""Who is logged in, and that a server for them alone answers nobody else. ASGI middleware for `st.App`.

Streamlit's routes know no visitors: whoever reaches them may open a page's WebSocket, upload, fetch downloads and read
metrics, whatever the page itself shows. Here all of them take the cookie of a log-in, which Streamlit signed.
"""

import hmac
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from typing import Any
from urllib.parse import quote

import streamlit as st
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import auth_util, user_info
from streamlit.errors import StreamlitAuthError
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from . import options, routes
from .refusals import Refusal

LOGIN = "OPTLAWS_LOGIN"  # environment variable or secret: "required" keeps the server for those who are logged in
REQUIRED = "required"
MEMBERS = "OPTLAWS_MEMBERS"  # environment variable or secret: who of those whom the provider knows counts as logged in
METRICS = "OPTLAWS_METRICS"  # environment variable or secret: what reads the metrics of such a server
MEMBER = re.compile(r"group:\S+|[^\s@:]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
GROUP = "group:"
WITH = "with"  # in an address: the provider to log in with
MISSING = 'Log-in needs the package Authlib, which is not installed: pip install "optlaws[oidc]".'

CLOSED = "This server requires a log-in."

Claims = Mapping[str, Any]  # what a provider says of somebody, and Streamlit of the log-in


def required() -> bool:
    """Whether the server is for those who are logged in."""
    return bool(options.said(LOGIN))


def checked() -> bool:
    """`required`, at the start; raises `ValueError` for settings under which nobody could log in."""
    options.check()
    members(options.said(MEMBERS))
    if options.said(LOGIN) not in ("", REQUIRED):
        raise ValueError(f"{LOGIN} must be {REQUIRED} or empty, got {options.said(LOGIN)!r}.")
    if required():
        _check_providers()
    return required()


def _check_providers() -> None:
    if not providers():
        raise ValueError(f"{LOGIN} is {REQUIRED}, but the server's secrets have no [auth] section with a provider.")
    if not auth_util.is_authlib_installed():
        raise ValueError(MISSING)
    for provider in providers():
        try:
            auth_util.validate_auth_credentials(provider or "default")
        except StreamlitAuthError as fault:
            raise ValueError(f"Log-in is not configured correctly: {' '.join(str(fault).split())}") from None


def providers() -> list[str | None]:
    """Where one can log in, by the sections of the operator's secrets; None, as in `st.login`, is the unnamed one."""
    auth = st.secrets.get("auth", {}) if st.secrets.load_if_toml_exists() else {}
    if "client_id" in auth:
        return [None]
    return [name for name, section in auth.items() if isinstance(section, Mapping) and "client_id" in section]


def label(provider: str | None) -> str:
    """What the way to a provider is called."""
    return "Log in" if provider is None else f"Log in with {provider}"


@cache
def members(said: str) -> frozenset[str]:
    """Who counts as logged in: `@lab.example`, `ada@lab.example`, `group:laws`, in small letters; none for everybody.

    Raises `ValueError` for what is none of these.
    """
    words = said.lower().replace(",", " ").split()
    if wrong := next((word for word in words if not MEMBER.fullmatch(word)), None):
        raise ValueError(
            f"{MEMBERS} must be domains (@lab.example), addresses (ada@lab.example) and groups (group:laws), spaces "
            f"between, got {wrong!r}."
        )
    return frozenset(words)


def is_known(claims: Claims) -> bool:
    """Whether the provider vouched for somebody, by a name that is unique and stays."""
    return claims.get("is_logged_in") is True and all(claims.get(claim) for claim in ("iss", "sub"))


def is_member(claims: Claims) -> bool:
    """Whether that somebody is among those whom the operator lets in: all, where no list says who.

    An address counts where the provider says that it was verified, since elsewhere people may write what they like.
    """
    allowed = members(options.said(MEMBERS))
    verified = claims.get("email_verified") in (True, "true")
    address = str(claims.get("email") or "").lower() if verified else ""
    groups = claims.get("groups") or ()
    names = [groups] if isinstance(groups, str) else groups if isinstance(groups, list | tuple) else ()
    theirs = {address, f"@{address.rpartition('@')[2]}", *(f"{GROUP}{str(name).lower()}" for name in names)}
    return not allowed or bool(theirs & allowed)


def is_logged_in(claims: Claims) -> bool:
    """Whether these are the claims of somebody who is known and let in."""
    return is_known(claims) and is_member(claims)


def of(cookies: Mapping[str, str]) -> Claims:
    """What the signed cookie of a log-in at this server says; empty where there is none, or one that is not ours."""
    signed = starlette_websocket._get_signed_cookie_with_chunks(dict(cookies), USER_COOKIE_NAME)
    origin = auth_util.get_origin_from_redirect_uri()
    return starlette_websocket._parse_decoded_user_cookie(signed, origin) if signed and origin else {}


class Login:
    """Lets by who is logged in, and everybody to what a log-in takes."""

    def __init__(self, app: ASGIApp, required: bool) -> None:
        self.app, self.required = app, required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = HTTPConnection(scope) if scope["type"] in ("http", "websocket") else None
        answer: ASGIApp | None = None
        if asked and routes.of(scope) == routes.LOGIN and WITH in asked.query_params:
            answer = _to_provider(asked.query_params[WITH])
        elif asked and self.required and not (_is_open(scope) or _reads_metrics(asked)):
            claims = of(asked.cookies)
            answer = None if is_logged_in(claims) else _refusal(asked, claims)
        await (answer or self.app)(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    """Whether strangers may ask for it: that the server lives, Streamlit's own scripts, and what a log-in takes."""
    path = routes.of(scope)
    return path in routes.OPEN or path.startswith(routes.STATIC)


def _reads_metrics(asked: HTTPConnection) -> bool:
    """Whether it is a program that the operator gave the word for the metrics."""
    word, said = options.said(METRICS), asked.headers.get("authorization", "")
    allowed = bool(word) and hmac.compare_digest(said.encode(), f"Bearer {word}".encode())
    return allowed and routes.of(asked.scope) == routes.METRICS


def _to_provider(name: str) -> ASGIApp:
    """On to a provider; with Streamlit's token, which lasts for two minutes and is thus made when it is needed."""
    if (name or None) not in providers():
        return Refusal("There is no such way to log in.", 404)
    return RedirectResponse(user_info.generate_login_redirect_url(name or "default"), 302)


def _refusal(asked: HTTPConnection, claims: Claims) -> ASGIApp:
    """The ways to log in for whoever opens a page, and a sentence for all else."""
    if asked.scope["type"] == "http" and "text/html" in asked.headers.get("accept", ""):
        return HTMLResponse(_page(claims), 403)
    return Refusal(CLOSED, 403)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · Opt-Laws</title><style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1.5rem }}
h1 {{ font-size: 1.75rem; margin: 0 }}
a {{ display: inline-block; margin: 0 0.75rem 0.75rem 0; padding: 0.4rem 1rem; border: 1px solid; border-radius: 0.5rem;
  color: inherit; text-decoration: none }}
</style></head><body><main><h1>Opt-Laws</h1><p>{sentence}</p><nav>{links}</nav></main></body></html>
"""


def _page(claims: Claims) -> str:
    """A document that needs nothing else of the server."""
    login = routes.address(routes.LOGIN)
    ways = [(f"{login}?{WITH}={quote(provider or '')}", label(provider)) for provider in providers()]
    sentence = CLOSED
    if is_known(claims):
        who = claims.get("email") or claims.get("name") or "somebody without a name"
        sentence = f"You are logged in as {who}, who has no access to this server."
        ways = [(routes.address(routes.LOGOUT), "Log out")]
    links = "".join(f'<a href="{to}">{escape(text)}</a>' for to, text in ways)
    return PAGE.format(sentence=escape(str(sentence)), links=links)

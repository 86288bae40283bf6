"""A log-out ends the log-in: in all tabs, and for whoever has a copy of its cookie. ASGI middleware for `st.App`.

Streamlit's log-in is its cookie alone, good for 30 days: a log-out asks the browser to forget it, other tabs go on
until they are reloaded, and a copy stays good. Here a server remembers the cookies that were logged out of, as long as
it lives and they would.
"""

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Mapping

from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_server_config import AUTH_COOKIE_MAX_AGE_SECONDS, USER_COOKIE_NAME

from . import login, routes
from .refusals import POLICY

MINE = re.compile(rf"{USER_COOKIE_NAME}(_\d+)?")  # the cookie, or its parts where it is long
LONGEST = AUTH_COOKIE_MAX_AGE_SECONDS + 24 * 3600  # seconds for which Streamlit takes one


class LogOut:
    """Closes what a log-in had open when it ends, and takes its cookie for nothing from then on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.ended: dict[str, float] = {}  # digest of a log-in's cookie -> when it was logged out of
        self.open: defaultdict[str, set[Send]] = defaultdict(set)  # its WebSockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = HTTPConnection(scope).cookies if scope["type"] in ("http", "websocket") else {}
        key = _key(cookies)
        if key in self.ended:
            await self.app(_without(scope), receive, send)
        elif key and scope["type"] == "websocket":
            await self._stream(key, scope, receive, send)
        else:
            if key and routes.of(scope) == routes.LOGOUT and login.of(cookies):  # a stranger fills no memory
                await self._end(key)
            await self.app(scope, receive, send)

    async def _stream(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        self.open[key].add(send)
        try:
            await self.app(scope, receive, send)
        finally:
            self.open[key].discard(send)
            if not self.open[key]:
                del self.open[key]

    async def _end(self, key: str) -> None:
        now = time.time()
        self.ended = {one: when for one, when in self.ended.items() if now - when < LONGEST} | {key: now}
        for close in [*self.open.get(key, ())]:
            await close({"type": "websocket.close", "code": POLICY})


def _key(cookies: Mapping[str, str]) -> str:
    """A log-in by its cookie; empty without one."""
    mine = sorted((name, value) for name, value in cookies.items() if MINE.fullmatch(name))
    return hashlib.sha256(repr(mine).encode()).hexdigest() if mine else ""


def _without(scope: Scope) -> Scope:
    """The request without the log-in's cookie."""
    said = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    kept = "; ".join(f"{name}={value}" for name, value in cookie_parser(said).items() if not MINE.fullmatch(name))
    others = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
    return {**scope, "headers": [*others, (b"cookie", kept.encode("latin-1"))]}

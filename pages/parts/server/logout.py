"""A log-out ends the log-in: in all tabs, for whoever has a copy of its cookie, and on every server of the store.

Streamlit's log-in is its cookie alone, good for 30 days: a log-out asks the browser to forget it, other tabs go on
until they are reloaded, and a copy stays good. Here a server notes in the store the cookies that were logged out of, as
long as they would live, and looks there for those of others. ASGI middleware for `st.App`.
"""

import asyncio
import hashlib
import logging
import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import auth_util
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import AUTH_COOKIE_MAX_AGE_SECONDS, USER_COOKIE_NAME

from . import login, routes
from .refusals import POLICY

MINE = re.compile(rf"{USER_COOKIE_NAME}(_\d+)?")  # the cookie, or its parts where it is long
LONGEST = AUTH_COOKIE_MAX_AGE_SECONDS + 24 * 3600  # seconds for which Streamlit takes one
HELD = 5  # seconds for which the store's answer on a log-in that goes on is not asked for again
LOOK = 10  # seconds between two looks at the log-in of an open page
PATIENCE = 5  # seconds that the store has for an answer
REST = 60  # seconds for which one that gave none is left alone; then one question finds out whether it does again
AT_ONCE = 4  # threads that wait for the store
MOST = 10_000  # log-ins whose answer is remembered
ALONE = "it holds on this server alone until the store answers."
LOG = logging.getLogger("optlaws.logout")
T = TypeVar("T")


class Kept(Protocol):
    """Where log-outs are kept for all servers, by the digest of the log-in's cookie."""

    def end(self, login: str, life: float) -> None:
        """Note a log-out for `life` seconds."""

    def has_ended(self, login: str) -> bool:
        """Whether one is noted."""


class LogOut:
    """Closes what a log-in had open when it ends, and takes its cookie for nothing from then on.

    kept: what is asked for log-outs, made when it is first needed. A store that does not answer ends no log-in: the log
    says so, and those that ended on this server stay ended; the store is told of them when it next answers.
    """

    def __init__(self, app: ASGIApp, kept: Callable[[], Kept]) -> None:
        self.app, self.kept = app, kept
        self.ended: dict[str, float] = {}  # digest of a log-in's cookie -> when it was logged out of
        self.open: defaultdict[str, set[Send]] = defaultdict(set)  # its WebSockets
        self.going_on: dict[str, float] = {}  # digest -> when the store last said that it has not ended
        self.asking: dict[str, asyncio.Task[bool]] = {}
        self.untold: set[str] = set()  # digests of log-ins that ended here, which the store does not have yet
        self.telling: asyncio.Task[bool] | None = None
        self.room = anyio.CapacityLimiter(AT_ONCE)
        self.rests = -math.inf  # until when the store is left alone; -inf: it answered last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = HTTPConnection(scope).cookies if scope["type"] in ("http", "websocket") else {}
        key = _key(cookies)
        known = bool(key) and bool(login.of(cookies))  # a stranger fills no memory, and asks the store for nothing
        if key in self.ended or known and await self._has_ended(key):
            await self.app(_without(scope), receive, send)
        elif known and scope["type"] == "websocket":
            await self._stream(key, scope, receive, send)
        else:
            if known and routes.of(scope) == routes.LOGOUT:
                await self._end(key)
            await self.app(scope, receive, send)

    async def _stream(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        self.open[key].add(send)
        watch = asyncio.create_task(self._watch(key))
        try:
            await self.app(scope, receive, send)
        finally:
            watch.cancel()
            self.open[key].discard(send)
            if not self.open[key]:
                del self.open[key]

    async def _watch(self, key: str) -> None:
        """Close what a log-in has open once it has ended on another server."""
        while not await self._has_ended(key):
            await asyncio.sleep(LOOK)
        await self._close(key)

    async def _has_ended(self, key: str) -> bool:
        """Whether a log-in has ended, on any server, up to `HELD` seconds ago; all who ask at once get one answer."""
        if key not in self.ended and self._is_due(key):
            if key not in self.asking:
                self.asking[key] = asyncio.create_task(self._ask(key))
            said = f"The store did not answer within {PATIENCE} s whether a log-in has ended: it goes on."
            await self._in_time(self.asking[key], said)
        return key in self.ended

    def _is_due(self, key: str) -> bool:
        """Whether the store is to be asked of a log-in; after a rest by one of all who ask, for whom it may be long."""
        now = time.monotonic()
        if now < self.rests or now - self.going_on.get(key, -math.inf) < HELD:
            return False
        if self.rests > -math.inf:
            self.rests = now + REST
        return True

    async def _ask(self, key: str) -> bool:
        """Ask the store of a log-in; whether it answered."""
        try:
            if await self._of_store(lambda: self.kept().has_ended(key)):
                self.ended[key] = time.time()
            else:
                self._goes_on(key)
            if self.untold:
                self._tell()
            return True
        except Exception:
            LOG.exception("The store failed to say whether a log-in has ended: it goes on.")
            return False
        finally:
            del self.asking[key]

    def _goes_on(self, key: str) -> None:
        while len(self.going_on) >= MOST:
            del self.going_on[next(iter(self.going_on))]
        self.going_on.pop(key, None)
        self.going_on[key] = time.monotonic()

    async def _of_store(self, ask: Callable[[], T]) -> T:
        """What the store says. No task ends before its thread, whoever waits for it, so that few of these hang."""
        return await anyio.to_thread.run_sync(ask, limiter=self.room)

    async def _in_time(self, asked: asyncio.Task[bool], unanswered: str) -> None:
        """Wait for the store as long as it has; one that failed, or did not answer by then, rests."""
        await asyncio.wait({asked}, timeout=PATIENCE)
        if not asked.done():
            LOG.error(unanswered)
        answered = asked.done() and not asked.cancelled() and asked.result()
        self.rests = -math.inf if answered else time.monotonic() + REST

    async def _end(self, key: str) -> None:
        now = time.time()
        self.ended = {one: when for one, when in self.ended.items() if now - when < LONGEST} | {key: now}
        self.untold = {one for one in self.untold if one in self.ended} | {key}
        await self._in_time(self._tell(), f"The store did not take a log-out within {PATIENCE} s: {ALONE}")
        await self._close(key)

    def _tell(self) -> asyncio.Task[bool]:
        if self.telling is None or self.telling.done():
            self.telling = asyncio.create_task(self._tell_all())
        return self.telling

    async def _tell_all(self) -> bool:
        """Tell the store of the log-outs that it does not have; whether it took them."""
        try:
            while self.untold:
                key = next(iter(self.untold))
                await self._of_store(partial(self._note, key))
                self.untold.discard(key)
            return True
        except Exception:
            LOG.exception("The store failed to take a log-out: %s", ALONE)
            return False

    def _note(self, key: str) -> None:
        self.kept().end(key, LONGEST)

    async def _close(self, key: str) -> None:
        for close in [*self.open.get(key, ())]:
            with suppress(RuntimeError):  # closed meanwhile, by its browser or for the same reason
                await close({"type": "websocket.close", "code": POLICY})


def _key(cookies: Mapping[str, str]) -> str:
    """A log-in by what was signed of its cookie; empty without one that Streamlit takes.

    A copy that was changed where Streamlit does not look is the same log-in: so parts that it does not read are left
    out, and the signatures, which can be spelt in many ways.
    """
    signed: list[str] = []

    def read(name: str) -> bytes | None:
        said = cookies.get(name, "")
        signed.append(said.rpartition(".")[0])
        return decode_signed_value(get_cookie_secret(), name, said.encode("latin-1"))

    taken = auth_util.get_cookie_with_chunks(read, USER_COOKIE_NAME) if USER_COOKIE_NAME in cookies else None
    return hashlib.sha256(repr(signed).encode()).hexdigest() if taken else ""


def _without(scope: Scope) -> Scope:
    """The request without the log-in's cookie."""
    said = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    kept = "; ".join(f"{name}={value}" for name, value in cookie_parser(said).items() if not MINE.fullmatch(name))
    others = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
    return {**scope, "headers": [*others, (b"cookie", kept.encode("latin-1"))]}

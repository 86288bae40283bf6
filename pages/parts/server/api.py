"""Saved comparisons for programs: read, and saved where the operator lets them. ASGI middleware for `st.App`.

Whoever may open a comparison on its page may read it here, by the same cookies; all others are answered as for an id
that was never given out. What is read and saved comes from the functions that the middleware is given.

A program without a cookie is nobody. What it saves is owned by a key, which it gets with the answer and sends along
from then on (`Authorization: Bearer …`): it is to a program what the cookie is to a browser. Saving is off unless the
operator switches it on: by HTTP it takes one line of a script, and room for good.
"""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from optlaws_core.errors import Missing, OptLawsError, StoreError

from . import errors, options, routes
from .guard import KEY, browser_key, new_key

API = "OPTLAWS_API"  # environment variable or secret: "on" lets programs save comparisons
ON = "on"
ONE = re.compile(r"([^/]+?)(\.png)?")
AT_ONCE = 2  # reads in the works, and one save or deletion: the server's other threads are for people
WAITING = 16  # more of each kind that wait for their turn
SENT_AT_ONCE = 8  # comparisons on their way, each of which is held in memory until it is saved
AGAIN = 5  # seconds after which whoever was one too many may ask again
BUSY = "The server has more API requests than it can answer now; try again later."
PATIENCE = 60  # seconds that the body of a request may take
PACE, SAVES = 60, 30  # seconds, and how many comparisons programs may save within them, all together
OFF = f"Programs cannot save or delete comparisons here: the operator of this server can allow it, by {API}={ON}."
JSON = "application/json"
MOST_KNOWN = 1024  # characters of If-None-Match, which are 15 tags
T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """What may be had of a comparison: its content's digest, its title, and what makes its bundle and its PNG."""

    digest: str
    title: str
    bundle: Callable[[], bytes]
    picture: Callable[[], bytes]


class Desk(Protocol):
    """What the middleware asks. Functions raise `OptLawsError`, which is `Missing` for what is not there."""

    MOST: int  # bytes of a bundle

    def viewer(self, cookies: Mapping[str, str], key: str) -> Any:
        """Who asks; has a `key`, empty for a stranger."""

    def found(self, id: str, who: Any, content: str = "") -> Found:
        """A comparison, or the version of it that has this content."""

    def save(self, data: bytes, who: Any, opens: str) -> str:
        """Keep a bundle; returns its id."""

    def delete(self, id: str, who: Any) -> None:
        """Remove a comparison of one's own."""


class Refused(Exception):
    """Why a request is not done: a status, one sentence, and headers."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}


def checked() -> bool:
    """Whether programs may save, at the start; raises `ValueError` for a setting that means nothing."""
    if options.said(API) not in ("", ON):
        raise ValueError(f"{API} must be {ON} or empty, got {options.said(API)!r}.")
    return options.said(API) == ON


class Api:
    """Answers below `routes.API`; every fault is JSON with one sentence, `error`.

    desk: gives what the middleware asks, which may take seconds the first time. writes: whether programs may save.
    """

    def __init__(self, app: ASGIApp, desk: Callable[[], Desk], writes: bool) -> None:
        self.app, self.desk, self.writes = app, desk, writes
        self.reading, self.writing = anyio.CapacityLimiter(AT_ONCE), anyio.CapacityLimiter(1)
        self.coming = 0  # comparisons that are being sent and saved
        self.saved: deque[float] = deque(maxlen=SAVES)  # when the latest were saved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not routes.is_api(scope):
            await self.app(scope, receive, send)
            return
        try:
            answer = await self._answer(Request(scope, receive))
        except Refused as fault:
            answer = JSONResponse({"error": str(fault)}, fault.status, fault.headers)
        except ClientDisconnect:
            return
        except Exception:
            errors.LOG.exception("A request of a program failed")
            answer = JSONResponse({"error": "Something went wrong here; the server's log has the details."}, 500)
        if scope["method"] == "HEAD":
            answer.body = b""  # of the length that the headers say
        await answer(scope, receive, send)

    async def _answer(self, asked: Request) -> Response:
        rest = routes.of(asked.scope).removeprefix(routes.API).removeprefix("/")
        ways = self._ways(asked, rest)
        if asked.method not in ways:
            allowed = ", ".join(ways)
            raise Refused(405, f"This address takes {allowed}, got {asked.method[:20]}.", Allow=allowed)
        return await ways[asked.method]()

    def _ways(self, asked: Request, rest: str) -> dict[str, Callable[[], Any]]:
        """What can be done at an address, by method."""
        if not rest:
            return {"POST": partial(self._save, asked)}
        one = ONE.fullmatch(rest)
        id, picture = one.groups() if one else (rest, None)
        read = partial(self._read, asked, id, picture is not None)
        reading = {"GET": read, "HEAD": read}
        return reading if picture else reading | {"DELETE": partial(self._delete, asked, id)}

    async def _read(self, asked: Request, id: str, picture: bool) -> Response:
        key = _key(asked)

        def find() -> Found:
            desk = self.desk()
            return desk.found(id, desk.viewer(asked.cookies, key), asked.query_params.get("content", ""))

        found = await self._done(find, self.reading)
        tag = f'"{hashlib.sha256(f"{found.digest} {found.title}".encode()).hexdigest() if picture else found.digest}"'
        headers = {"Cache-Control": "private, no-cache", "ETag": tag, "Vary": "Cookie, Authorization"}
        if _is_known(asked, tag):
            return Response(status_code=304, headers=headers)
        name = f"comparison-{found.digest[:12]}.{'png' if picture else 'json'}"
        headers["Content-Disposition"] = f'inline; filename="{name}"'
        if asked.method == "HEAD" and not picture:  # whether there is a picture shows when it is drawn, and it is kept
            answer = Response(media_type=JSON, headers=headers)
            del answer.headers["Content-Length"]  # which takes as long to know as the file to write
            return answer
        body = await self._done(found.picture if picture else found.bundle, self.reading)
        return Response(body, media_type="image/png" if picture else JSON, headers=headers)

    async def _save(self, asked: Request) -> Response:
        self._check_writes()
        key = _key(asked)
        if asked.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise Refused(
                415, f"A comparison is sent as {JSON}; the header Content-Type says something else, or nothing."
            )
        desk = await self._done(self.desk, self.writing)
        _check_length(asked, desk.MOST)
        self._check_pace()
        with self._sent():
            data = await _body(asked)
            id, made = await self._done(lambda: self._kept(desk, data, asked, key), self.writing, 422)
        url = f"{routes.origin(asked)}{routes.address('share')}?id={id}"
        answer = {"id": id, "url": url} | ({"owner_key": made} if made else {})
        return JSONResponse(answer, 201, {"Location": routes.address(f"{routes.API}/{id}")})

    def _kept(self, desk: Desk, data: bytes, asked: Request, key: str) -> tuple[str, str]:
        """Save what was sent: its id, and the key that was made for whoever had none. One at a time, in a thread."""
        self._check_pace()  # once more: others were saved while this one was sent
        who, made = desk.viewer(asked.cookies, key), ""
        if not who.key:
            made = new_key()
            who = desk.viewer(asked.cookies, made)
        id = desk.save(data, who, asked.query_params.get("for", ""))
        self.saved.append(monotonic())
        return id, made

    @contextmanager
    def _sent(self) -> Iterator[None]:
        """Room for a comparison, while it is sent and saved."""
        if self.coming >= SENT_AT_ONCE:
            raise Refused(503, BUSY, Retry_After=str(AGAIN))
        self.coming += 1
        try:
            yield
        finally:
            self.coming -= 1

    async def _delete(self, asked: Request, id: str) -> Response:
        self._check_writes()
        key = _key(asked)

        def delete() -> None:
            desk = self.desk()
            desk.delete(id, desk.viewer(asked.cookies, key))

        await self._done(delete, self.writing, 403)
        return Response(status_code=204)

    def _check_writes(self) -> None:
        if not self.writes:
            raise Refused(403, OFF)

    def _check_pace(self) -> None:
        """Refuse one more, if as many as may be were saved of late."""
        now = monotonic()
        if len(self.saved) == SAVES and now - self.saved[0] < PACE:
            wait = int(self.saved[0] + PACE - now) + 1
            sentence = (
                f"Programs may save {SAVES} comparisons in {PACE} s on this server, all together; try again later."
            )
            raise Refused(429, sentence, Retry_After=str(wait))

    async def _done(self, work: Callable[[], T], room: anyio.CapacityLimiter, fault: int = 500) -> T:
        """What `work` returns, in a thread of that room, unless too many wait there.

        What it raises is refused, by the status `fault` where nothing is said.
        """
        if room.statistics().tasks_waiting >= WAITING:
            raise Refused(503, BUSY, Retry_After=str(AGAIN))
        try:
            return await anyio.to_thread.run_sync(work, limiter=room)
        except Missing as missing:
            raise Refused(404, str(missing)) from None
        except StoreError as broken:
            raise Refused(503, errors.sentence(broken)) from None
        except OptLawsError as wrong:
            raise Refused(fault, str(wrong)) from None


def _key(asked: Request) -> str:
    """The key of whoever asks, from the header or else the cookie; empty where there is none.

    Another kind of authorization than Bearer is none of ours: a proxy's, which passes it on.
    """
    kind, _, key = asked.headers.get("authorization", "").strip().partition(" ")
    if kind.lower() != "bearer":
        return browser_key(asked.cookies) or ""
    if not KEY.fullmatch(key.strip()):
        sentence = (
            "Authorization as Bearer must be a key of 32 hexadecimal digits, as the answer to a first save has it."
        )
        raise Refused(401, sentence, WWW_Authenticate="Bearer")
    return key.strip()


def _is_known(asked: Request, tag: str) -> bool:
    """Whether the program has what this `ETag` names, as If-None-Match says; one that is too long says nothing."""
    said = asked.headers.get("if-none-match", "")
    known = {one.strip().removeprefix("W/") for one in said.split(",")} if len(said) <= MOST_KNOWN else set()
    return not known.isdisjoint({tag, "*"})


def _check_length(asked: Request, most: int) -> None:
    """Refuse what is too long, before a byte of it is read."""
    length = asked.headers.get("content-length", "")
    if not length.isdecimal() or "transfer-encoding" in asked.headers:
        raise Refused(411, "A comparison must state its length in advance, by Content-Length; this one does not.")
    if int(length) > most:
        raise Refused(
            413, f"A saved comparison may have {most // 2**20} MB, this one has {-(-int(length) // 2**20):,} MB."
        )


async def _body(asked: Request) -> bytes:
    """All that is sent, which is as long as it was announced: the server's parser ends a request that is not."""
    parts: list[bytes] = []
    try:
        with anyio.fail_after(PATIENCE):
            async for part in asked.stream():
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"A comparison must be sent within {PATIENCE} s, this one was not.") from None
    return b"".join(parts)

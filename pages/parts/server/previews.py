"""What a chat shows of a link to a saved comparison: title, verdict and picture, written into the server's document.

Only comparisons that anybody with the link may open are told of; all others, private ones among them, answer like an
id that was never given out. ASGI middleware for `st.App`; what it tells is asked of the function that it is given.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import anyio
import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import routes

ID = re.compile(r"[0-9a-f]{32}")
PICTURE = re.compile(r"(.*)/share-preview/([0-9a-f]{32})\.png")
CHANGING = {b"if-none-match", b"if-modified-since", b"accept-encoding", b"range"}  # would have it answered in part
PATIENCE = 5  # seconds that a document waits for its preview; people wait for it, too
AT_ONCE = 2  # previews in the making: the server's other threads are for people
LOG = logging.getLogger("optlaws.previews")


@dataclass(frozen=True)
class Preview:
    """A comparison in a few words; `picture` makes its PNG."""

    title: str
    description: str
    picture: Callable[[], bytes]


Told = Callable[[str], Preview | None]  # by the id in a link; None for all that must not be told of


class Previews:
    """Adds `og:` tags to the document of a link, and answers with its picture."""

    def __init__(self, app: ASGIApp, told: Told) -> None:
        self.app, self.told = app, told
        self.room = anyio.CapacityLimiter(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if picture := PICTURE.fullmatch(scope["path"]):
            await (await self._picture(picture[2]))(scope, receive, send)
            return
        id = request.query_params.get("id", "")
        if not scope["path"].endswith("/share") or not ID.fullmatch(id):
            await self.app(scope, receive, send)
            return
        found = await self._found(id)
        if found is None:
            await self.app(scope, receive, send)
            return
        tags = _tags(found, request, id)
        whole = {**scope, "headers": [(k, v) for k, v in scope["headers"] if k.lower() not in CHANGING]}
        await self.app(whole, receive, Inserted(send, tags, scope["method"] == "HEAD"))

    async def _found(self, id: str) -> Preview | None:
        """A link's page opens whatever becomes of its preview."""
        try:
            with anyio.move_on_after(PATIENCE):
                return await anyio.to_thread.run_sync(self.told, id, abandon_on_cancel=True, limiter=self.room)
            return None
        except Exception:
            LOG.exception("A preview failed")
            return None

    async def _picture(self, id: str) -> Response:
        try:
            found = await anyio.to_thread.run_sync(self.told, id, limiter=self.room)
            if found is None:
                return Response("There is no such picture.", 404, media_type="text/plain")
            png = await anyio.to_thread.run_sync(found.picture, limiter=self.room)
        except Exception:
            LOG.exception("The picture of a preview failed")
            return Response("There is no such picture.", 404, media_type="text/plain")
        # Chats of other sites show it, and so may their pages; a link may be revoked, so nobody keeps it for long.
        headers = {"Cache-Control": "private, max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}
        return Response(png, media_type="image/png", headers=headers)


class Inserted:
    """The way of a document to the browser, with tags before the end of its head."""

    def __init__(self, send: Send, tags: bytes, headless: bool) -> None:
        self.send, self.tags, self.headless = send, tags, headless
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            is_page = "text/html" in Headers(raw=message["headers"]).get("content-type", "")
            if message["status"] == 200 and is_page and not self.headless:
                self.start = message
                return
        if self.start is None:
            await self.send(message)
            return
        self.body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = self.body.replace(b"</head>", self.tags + b"</head>", 1)
        headers = MutableHeaders(scope=self.start)
        headers["Content-Length"] = str(len(body))
        for name in ("etag", "last-modified"):  # of the file alone
            if name in headers:
                del headers[name]
        await self.send(self.start)
        await self.send({"type": "http.response.body", "body": body})


def _tags(found: Preview, request: Request, id: str) -> bytes:
    """Open Graph's tags; every text is escaped, none is markup."""
    here = f"{routes.origin(request)}{request.url.path.removesuffix('/share')}"
    said = {
        "og:type": "website",
        "og:site_name": "Opt-Laws",
        "og:title": found.title,
        "og:description": found.description,
        "og:url": f"{here}/share?id={id}",
        "og:image": f"{here}/share-preview/{id}.png",
        "twitter:card": "summary_large_image",
    }
    lines = (f'<meta property="{name}" content="{escape(value, quote=True)}" />' for name, value in said.items())
    return ("".join(lines) + f'<meta name="description" content="{escape(found.description, quote=True)}" />').encode()

"""A visit belongs to the browser that began it. ASGI middleware for `st.App`.

Streamlit knows a visit by an id, which stands in the address of every upload: whoever has it gets the visit when a
WebSocket opens, and uploads into it. It does compare who comes back with who began, by their log-in and
by headers that it is told to trust (`server.trustedUserHeaders`): here such a header says which browser it is.
"""

import hashlib
import re

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import Runtime

from . import routes
from .guard import browser_key, new_key
from .refusals import Refusal

HEADER = "X-Optlaws-Browser"  # as in .streamlit/config.toml
UPLOAD = re.compile(rf"{routes.UPLOADS}/([^/]+)/[^/]+")
CHANGING = ("PUT", "DELETE")


class Visits:
    """Lets a browser back to its own visits alone, and take its own uploads there.

    Programs that the operator lets in (`server.enableAgentApi`) are no browsers, and cannot say that they are one: each
    of their visits has a key of its own, by its id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.app(_signed(scope), receive, send)
            return
        if routes.of(scope).startswith(routes.AGENTS):
            await self.app({**scope, "headers": _unsigned(scope)}, receive, send)
            return
        upload = UPLOAD.fullmatch(routes.of(scope)) if scope.get("method") in CHANGING else None
        if upload and not _is_theirs(upload[1], HTTPConnection(scope)):
            answer = Refusal("This visit has ended, or is another browser's. Reload the page and upload again.", 400)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _signed(scope: Scope) -> Scope:
    """The request with the browser's name, whatever the request says of it; without a cookie a name for once."""
    name = hashlib.sha256((browser_key(HTTPConnection(scope).cookies) or new_key()).encode()).hexdigest()
    return {**scope, "headers": [*_unsigned(scope), (HEADER.lower().encode(), name.encode())]}


def _unsigned(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers without a browser's name, which a request may have made up."""
    return [(key, value) for key, value in scope["headers"] if key.lower() != HEADER.lower().encode()]


def _is_theirs(visit: str, asked: HTTPConnection) -> bool:
    """Whether the visit is going on, in the browser that asks."""
    client = Runtime.instance().get_client(visit)
    return client is not None and browser_key(client.client_context.cookies) == browser_key(asked.cookies)

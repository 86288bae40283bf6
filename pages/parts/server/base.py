"""Where the server is, told to its pages: Streamlit's scripts would look for it beside each deep link first.

On `/share` they ask `/share/_stcore/health` and `/share/_stcore/host-config`, which are not there, and browsers write
that into their consoles as faults. A script of one line, which every document loads before Streamlit's own, says where
the server is; it is a file, since the policy of `guard.py` allows no further inline script.

What draws charts and tables, 6 MB of scripts, is fetched beside all else: Streamlit's page asks for it only once the
first chart has come. ASGI middleware for `st.App`.
"""

from pathlib import Path

import streamlit as st
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from . import routes
from .previews import CHANGING, Inserted

SCRIPT = "base.js"
SAID = 'window.__streamlit = { BACKEND_BASE_URL: new URL(".", document.currentScript.src).href };\n'
DRAWING = ("PlotlyChart", "DataFrame", "arrowFormatUtils")  # Streamlit's scripts, by the beginning of their names
SCRIPTS = Path(st.__file__).parent / "static"
EARLY = "".join(
    f'<link rel="modulepreload" fetchpriority="low" crossorigin href="./{path.relative_to(SCRIPTS).as_posix()}">'
    for name in DRAWING
    for path in sorted(SCRIPTS.glob(f"static/js/{name}.*.js"))
)
TAG = f'<script src="./{SCRIPT}"></script>{EARLY}'.encode()


class Base:
    """Adds the script to every document, with what is fetched early, and answers with it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        if routes.of(scope) == SCRIPT:
            await Response(SAID, media_type="text/javascript", headers={"Cache-Control": "no-cache"})(
                scope, receive, send
            )
            return
        if not any(name == b"accept" and b"text/html" in value for name, value in scope["headers"]):
            await self.app(scope, receive, send)
            return
        whole = {**scope, "headers": [(k, v) for k, v in scope["headers"] if k.lower() not in CHANGING]}
        await self.app(whole, receive, Inserted(send, TAG, scope["method"] == "HEAD"))

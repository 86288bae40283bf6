"""What this server adds to Streamlit's answers: a browser is known again by a cookie, pages are fenced in by headers,
and a log-in leads back to where it began. ASGI middleware for `st.App`; it knows nothing of pages.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import routes

# A year from the last visit: the cookie is the only proof of who saved a comparison, and is lost when it ends.
LIFE = 365 * 24 * 3600  # seconds
COOKIE = "optlaws_browser"
SECURE = f"__Host-{COOKIE}"  # on https: browsers take a cookie of such a name from this very host alone
BACK = "optlaws_back"  # where a log-in began, while it lasts
MINUTES = 600  # seconds a log-in may take
EMBEDDERS = "OPTLAWS_EMBED"  # environment variable or secret: sites that may show comparisons in a frame
SITE = re.compile(r"https?://(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:\d{1,5})?")
KEY = re.compile(r"[0-9a-f]{32}")

INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",  # an address with an id is a key, and stays here
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        f"{name}=()" for name in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
    ),
}


def new_key() -> str:
    """What a visitor is known by: 128 random bits."""
    return secrets.token_hex(16)


def browser_key(cookies: Mapping[str, str]) -> str | None:
    """The browser's key among its cookies; None where it sends none, or one that is none of ours."""
    found = cookies.get(SECURE) or cookies.get(COOKIE) or ""
    return found if KEY.fullmatch(found) else None


def embedders(said: str) -> tuple[str, ...]:
    """The sites that may show a comparison in a frame, from what the operator said: addresses, spaces between.

    Raises `ValueError` for what is no address of a site: a path, a quote or a semicolon would change the whole policy.
    """
    sites = tuple(said.split())
    if wrong := next((site for site in sites if not SITE.fullmatch(site)), None):
        raise ValueError(
            f"{EMBEDDERS} must be addresses of sites such as https://wiki.example.org or https://*.example.org, spaces "
            f"between, got {wrong!r}."
        )
    return sites


def policy(frames: Sequence[str] = ()) -> str:
    """The Content-Security-Policy: nothing from elsewhere, and no inline script but those of Streamlit's own page.

    frames: sites besides this one that may show the document in a frame.
    """
    page = (Path(st.__file__).parent / "static" / "index.html").read_bytes()
    known = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in INLINE.findall(page))
    allowed = {
        "default-src": "'self'",
        # the tuner compiles a law's formula, and Streamlit loads a component's script as a blob
        "script-src": " ".join(["'self'", "'unsafe-eval'", "blob:", *(f"'sha256-{digest}'" for digest in known)]),
        "style-src": "'self' 'unsafe-inline'",  # Streamlit and Plotly write their styles into the page
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(["'self'", *frames]),
    }
    return "; ".join(f"{name} {sources}" for name, sources in allowed.items())


class Guard:
    """Middleware around the whole server. Cookies are set with documents alone, never with the files they load.

    sites: those that may show a comparison in a frame.
    """

    def __init__(self, app: ASGIApp, sites: Sequence[str] = ()) -> None:
        self.app = app
        self.headers = {**HEADERS, "Content-Security-Policy": policy()}
        # Browsers that know no frame-ancestors would let X-Frame-Options overrule it.
        framed = {name: value for name, value in HEADERS.items() if name != "X-Frame-Options"}
        self.framed = {**framed, "Content-Security-Policy": policy(sites)} if sites else self.headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (self.framed if _to_be_framed(request) else self.headers).items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "private, no-store")  # downloads, above all
                if routes.is_secure(request):  # elsewhere browsers ignore it, and complain
                    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                if "text/html" in request.headers.get("accept", ""):  # also where the answer is "not modified"
                    if "private" not in headers["Cache-Control"]:
                        headers["Cache-Control"] = "private, no-cache"  # a cookie is for one browser
                    _recognise(request, headers)
                    _lead_back(request, headers)
                if routes.is_secure(request):
                    message["headers"] = [_kept_secret(*header) for header in message["headers"]]
            await send(message)

        await self.app(scope, receive, answer)


def _to_be_framed(request: Request) -> bool:
    """Whether it is the document of a comparison as others embed it, which has nothing that a click could change."""
    asked = request.query_params
    return request.url.path.endswith("/share") and bool(asked.get("id")) and asked.get("embed") == "true"


def _kept_secret(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header, which for a cookie says that it travels encrypted alone: Streamlit's own do not, a log-in's too."""
    said = {part.strip().lower() for part in value.split(b";")[1:]}
    return (name, value + b"; Secure") if name.lower() == b"set-cookie" and b"secure" not in said else (name, value)


def _set(headers: MutableHeaders, request: Request, name: str, value: str, seconds: int) -> None:
    """Add a cookie that no script can read and no other site can use."""
    made = Response()
    made.set_cookie(
        name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=routes.is_secure(request)
    )
    headers.append("set-cookie", made.headers["set-cookie"])


def _recognise(request: Request, headers: MutableHeaders) -> None:
    name = SECURE if routes.is_secure(request) else COOKIE
    _set(headers, request, name, browser_key({name: request.cookies.get(name, "")}) or new_key(), LIFE)


def _lead_back(request: Request, headers: MutableHeaders) -> None:
    """Streamlit ends a log-in on the first page; whoever began it on a link wants that link."""
    path = request.url.path
    if path.endswith("/auth/login"):
        begun = urlsplit(request.headers.get("referer", ""))
        if begun.netloc == request.headers.get("host") and begun.path:
            _set(headers, request, BACK, quote(f"{begun.path}?{begun.query}", safe=""), MINUTES)
    elif path.endswith("/oauth2callback") and (back := unquote(request.cookies.get(BACK, ""))):
        _set(headers, request, BACK, "", 0)
        if "location" in headers and re.match(r"/(?![/\\])", back):  # an address of this server
            headers["location"] = quote(back, safe="/?&=%+,:;@")

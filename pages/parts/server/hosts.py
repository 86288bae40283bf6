"""To whom the server answers: hosts that are its own, and pages that came from it. ASGI middleware for `st.App`.

A page of another site can open a WebSocket to any server that its reader reaches; browsers say whose page it is, in
Origin, and leave it to the server to refuse. A name of another site may also be pointed at this server after its page
was loaded (DNS rebinding): then Origin and Host agree, and the name alone tells. Streamlit compares the two, and asks a
host outside for this server's address whenever they differ, for which everybody waits.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import auth_util, config, net_util
from streamlit.web.server import server_util

from . import options, routes
from .refusals import Refusal

HOSTS = "OPTLAWS_HOSTS"  # environment variable or secret: names that the server is reached by
ANY = "*"
NAME = re.compile(r"(?:https?://)?((?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\.?(?::\d{1,5})?/?")
INSIDE = (".localhost", ".local", ".internal")  # ends of names that nobody can register
READING = ("GET", "HEAD", "OPTIONS")

net_util.get_external_ip = lambda: None  # what Streamlit asks outside; here nobody comes by that address


def named(said: str) -> tuple[str, ...]:
    """The names that the operator says the server is reached by: spaces or commas between, `*.` for all below a name.

    An address is taken for its host. `*` alone is every name. Raises `ValueError` for what names no host.
    """
    if said.strip() == ANY:
        return (ANY,)
    found = [(word, NAME.fullmatch(word)) for word in said.replace(",", " ").split()]
    if wrong := next((word for word, name in found if name is None), None):
        raise ValueError(
            f"{HOSTS} must be names of hosts such as laws.example.org or *.example.org, spaces between, got {wrong!r}."
        )
    return tuple(name[1].lower() for _, name in found if name)


def ours() -> tuple[str, ...]:
    """All names that the operator gave, here or elsewhere in the settings of Streamlit, and the machine's own.

    Raises `ValueError` as `named` does.
    """
    login = auth_util.get_origin_from_redirect_uri() or ""
    elsewhere = [config.get_option("browser.serverAddress"), *config.get_option("server.allowedHosts")]
    known = (urlsplit(login).hostname, socket.gethostname(), *elsewhere)
    return (*named(options.said(HOSTS)), *(name.lower() for name in known if name))


def is_ours(host: str, names: Sequence[str]) -> bool:
    """Whether a Host header names this server: an address, a name that nobody outside can have, or one of `names`."""
    name = _name(host)
    if not name:
        return False
    if "." not in name or name.endswith(INSIDE) or _is_address(name):
        return True
    return any(one == ANY or name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in names)


def is_own_page(origin: str, host: str) -> bool:
    """Whether a page of this origin came from this server, under the name by which it is asked now."""
    return origin in (f"http://{host}", f"https://{host}")


def _name(host: str) -> str:
    """The name or address in a Host header, small, without the root's dot; empty where it has anything else."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port  # which must be a number
    except ValueError:
        return ""
    return (name or "").rstrip(".") if parts.netloc == host and "@" not in host else ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class Hosts:
    """Refuses what is meant for another host, and what a page of another site sends."""

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] in ("http", "websocket") and routes.of(scope) not in routes.LIVING:
            refusal = self._refusal(HTTPConnection(scope))
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, asked: HTTPConnection) -> Refusal | None:
        host, origin = asked.headers.get("host", ""), asked.headers.get("origin")
        if not is_ours(host, self.names):
            return Refusal(
                f"This server is not known as {host or 'a host without a name'}. "
                f"Its operator names the hosts that it is reached by in {HOSTS}.",
                421,  # Misdirected Request
            )
        if origin is None or asked.scope.get("method") in READING or _may_send(origin, host):
            return None
        return Refusal("This server takes nothing from pages of other sites.", 403)


def _may_send(origin: str, host: str) -> bool:
    """Whether it is a page of ours, or of a site that the operator named to Streamlit."""
    anybody = not config.get_option("server.enableCORS")
    return anybody or is_own_page(origin, host) or server_util.is_allowed_origin(origin)

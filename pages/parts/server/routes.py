"""Streamlit's routes and ours, wherever the server is below its host."""

from starlette.requests import HTTPConnection
from starlette.types import Scope
from streamlit import config
from streamlit.web.server.starlette import starlette_agent_routes as agent
from streamlit.web.server.starlette import starlette_auth_routes as auth
from streamlit.web.server.starlette import starlette_routes as routes

HEALTH, METRICS, UPLOADS = routes.ROUTE_HEALTH, routes.ROUTE_METRICS, routes.BASE_ROUTE_UPLOAD_FILE
STATIC = f"{routes.BASE_ROUTE_STATIC}/"
AGENTS = f"{agent._ROUTE_AGENT_INTERACT.rpartition('/')[0]}/"  # below it are visits of programs, where they are let in
LOGIN, LOGOUT = auth._ROUTE_AUTH_LOGIN, auth._ROUTE_AUTH_LOGOUT
READY, API = "ready", "api/comparisons"  # our own
LIVING = frozenset({HEALTH, READY})  # under any name of a host
OPEN = frozenset({*LIVING, LOGIN, LOGOUT, auth._ROUTE_OAUTH_CALLBACK})  # to strangers, too


def _base() -> str:
    base = (config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/" if base else "/"


def of(scope: Scope) -> str:
    """The path that is asked for, without `server.baseUrlPath` and the slash before it."""
    path: str = scope["path"]
    return path.removeprefix(_base())


def is_api(scope: Scope) -> bool:
    """Whether it is asked for by a program, which takes JSON."""
    return of(scope) == API or of(scope).startswith(f"{API}/")


def is_secure(asked: HTTPConnection) -> bool:
    """Whether the browser speaks https, to this server or to a proxy before it."""
    return "https" in (asked.url.scheme, asked.headers.get("x-forwarded-proto", "").split(",")[0].strip())


def origin(asked: HTTPConnection) -> str:
    """The server as it is asked, without a path."""
    return f"{'https' if is_secure(asked) else 'http'}://{asked.headers.get('host', '')}"


def address(route: str) -> str:
    """Where a route is, for links on the same host."""
    return f"{_base()}{route}"

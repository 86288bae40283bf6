"""Streamlit's routes and ours, wherever the server is below its host."""

from starlette.types import Scope
from streamlit import config
from streamlit.web.server.starlette import starlette_agent_routes as agent
from streamlit.web.server.starlette import starlette_auth_routes as auth
from streamlit.web.server.starlette import starlette_routes as routes

HEALTH, METRICS, UPLOADS = routes.ROUTE_HEALTH, routes.ROUTE_METRICS, routes.BASE_ROUTE_UPLOAD_FILE
STATIC = f"{routes.BASE_ROUTE_STATIC}/"
AGENTS = f"{agent._ROUTE_AGENT_INTERACT.rpartition('/')[0]}/"  # below it are visits of programs, where they are let in
LOGIN, LOGOUT = auth._ROUTE_AUTH_LOGIN, auth._ROUTE_AUTH_LOGOUT
READY = "ready"  # our own
LIVING = frozenset({HEALTH, READY})  # under any name of a host
OPEN = frozenset({*LIVING, LOGIN, LOGOUT, auth._ROUTE_OAUTH_CALLBACK})  # to strangers, too


def _base() -> str:
    base = (config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/" if base else "/"


def of(scope: Scope) -> str:
    """The path that is asked for, without `server.baseUrlPath` and the slash before it."""
    path: str = scope["path"]
    return path.removeprefix(_base())


def address(route: str) -> str:
    """Where a route is, for links on the same host."""
    return f"{_base()}{route}"

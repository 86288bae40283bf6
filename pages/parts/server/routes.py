"""Which of Streamlit's routes is asked for, wherever the server is below its host."""

from starlette.types import Scope
from streamlit import config
from streamlit.web.server.starlette.starlette_routes import ROUTE_HEALTH

HEALTH = ROUTE_HEALTH


def of(scope: Scope) -> str:
    """The path that is asked for, without `server.baseUrlPath` and the slash before it."""
    base = (config.get_option("server.baseUrlPath") or "").strip("/")
    path: str = scope["path"]
    return path.removeprefix(f"/{base}/" if base else "/")

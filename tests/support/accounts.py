"""Log-ins for tests, without a provider: what an operator writes down, and the cookies that Streamlit would set."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamlit import auth_util, config
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

SECRET = "c" * 64
ORIGIN = "http://lab.example"
GROUPS = [hashlib.sha256(bytes([i])).hexdigest() for i in range(200)]  # more than a cookie holds
ADA = {"iss": "https://login.example", "sub": "ada", "name": "Ada", "email": "ada@lab.example", "email_verified": True}


def secrets(origin: str = ORIGIN, **more: str) -> str:
    """The text of secrets.toml."""
    said = "".join(f'{name} = "{value}"\n' for name, value in more.items())
    return f"""{said}
[auth]
redirect_uri = "{origin}/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "laws"
client_secret = "x"
server_metadata_url = "https://login.example/.well-known/openid-configuration"
"""


@contextmanager
def written(path: Path, text: str) -> Iterator[None]:
    """Streamlit with that text as its secrets."""
    path.write_text(text)
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(path)])
    secrets_singleton._reset()
    try:
        yield
    finally:
        config.set_option("secrets.files", before)
        secrets_singleton._reset()


def cookies(claims: dict[str, Any], origin: str = ORIGIN, secret: str = SECRET) -> dict[str, str]:
    """The cookies of somebody who logged in, in parts where they are long."""
    made: dict[str, str] = {}

    def sign(name: str, value: str) -> bytes:
        return create_signed_value(secret, name, value)

    def keep(name: str, value: str) -> None:
        made[name] = sign(name, value).decode()

    said = {**claims, "origin": origin, "is_logged_in": True, "provider": "default"}
    auth_util.set_cookie_with_chunks(keep, sign, USER_COOKIE_NAME, said, cookie_attr_size=100)
    return made

"""An identity provider for tests: OpenID Connect's code flow with PKCE, on the loopback interface.

Whoever is asked to log in chooses by a click who to be; nobody needs a password.
"""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.routing import Route

from tests.browser.conftest import free_port

CLIENT, SECRET = "opt-laws", "not a secret: this provider lives as long as its tests"
LIFE = 300  # seconds that an ID token is valid


class Provider:
    """Its answers, by OpenID Connect Discovery 1.0, OpenID Connect Core 1.0 section 3.1 and RFC 7636 (PKCE)."""

    def __init__(self, url: str, people: tuple[str, ...]) -> None:
        self.url, self.people = url, people
        self.key = RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})
        self.asked: dict[str, dict[str, str]] = {}  # code -> what was asked for, and who answered
        routes = {
            "/.well-known/openid-configuration": self.discovery,
            "/authorize": self.authorize,
            "/jwks": self.jwks,
            "/logout": self.logout,
        }
        self.app = Starlette(
            routes=[Route(p, f) for p, f in routes.items()] + [Route("/token", self.token, methods=["POST"])]
        )

    async def discovery(self, _: Request) -> JSONResponse:
        ends = {"authorization": "authorize", "token": "token", "end_session": "logout"}
        return JSONResponse(
            {f"{name}_endpoint": f"{self.url}/{path}" for name, path in ends.items()}
            | {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", "response_types_supported": ["code"]}
            | {"subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}
            | {"code_challenge_methods_supported": ["S256"]}
        )

    async def jwks(self, _: Request) -> JSONResponse:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> HTMLResponse:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT and asked["code_challenge_method"] == "S256" and "openid" in asked["scope"]
        links = []
        for person in self.people:
            code = secrets.token_urlsafe(16)
            self.asked[code] = {**asked, "person": person}
            back = urlencode({"code": code, "state": asked["state"]})
            links.append(f'<a href="{asked["redirect_uri"]}?{back}">{person}</a>')
        return HTMLResponse("<br>".join(links))

    async def token(self, request: Request) -> JSONResponse:
        form = await request.form()
        asked = self.asked.pop(form["code"])  # a code is good for once
        pair = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        verified = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if (
            request.headers["authorization"] != f"Basic {pair}"
            or verified.decode() != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.url, "sub": asked["person"].lower(), "aud": CLIENT, "nonce": asked["nonce"], "iat": now}
        claims |= {"exp": now + LIFE, "name": asked["person"]}
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "expires_in": LIFE, "id_token": signed})

    async def logout(self, request: Request) -> RedirectResponse:
        return RedirectResponse(request.query_params["post_logout_redirect_uri"])


@contextmanager
def provider(*people: str) -> Iterator[str]:
    """The address of one that knows these people, while it runs."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = uvicorn.Server(uvicorn.Config(Provider(url, people).app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        yield url
    finally:
        server.should_exit = True
        thread.join(10)

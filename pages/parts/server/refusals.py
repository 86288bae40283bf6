"""The answer to whoever asks for what is not theirs."""

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from . import routes

POLICY = 1008  # the code of RFC 6455 for what a server does not allow


class Refusal(PlainTextResponse):
    """One sentence, to programs as JSON; a WebSocket is closed before it opens, of which browsers and logs see 403."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose(POLICY)(scope, receive, send)
        elif routes.is_api(scope):
            await JSONResponse({"error": bytes(self.body).decode()}, self.status_code)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

"""The answer to whoever asks for what is not theirs."""

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

POLICY = 1008  # the code of RFC 6455 for what a server does not allow


class Refusal(PlainTextResponse):
    """One sentence; a WebSocket is closed before it opens, of which browsers and logs see 403."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = WebSocketClose(POLICY) if scope["type"] == "websocket" else super().__call__
        await refusal(scope, receive, send)

"""Whether the server can do its work: its store answers. ASGI middleware for `st.App`.

`/_stcore/health` tells that the process lives, which browsers ask when they reconnect: pages open without a store.
"""

import logging
import time
from collections.abc import Callable

import anyio
import anyio.to_thread
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from . import errors, routes

PATIENCE = 5  # seconds that the store has for an answer
HELD = 2  # seconds for which an answer is given again: anybody may ask
LOG = logging.getLogger("optlaws.ready")


class Ready:
    """Answers /ready: 200 where `ask` returns, 503 where it raises or takes too long; why stands in the log."""

    def __init__(self, app: ASGIApp, ask: Callable[[], None]) -> None:
        self.app, self.ask = app, ask
        self.turn = anyio.Lock()
        self.room = anyio.CapacityLimiter(1)
        self.last: tuple[float, bool] = (0.0, False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or routes.of(scope) != routes.READY:
            await self.app(scope, receive, send)
            return
        async with self.turn:
            if not self.last[0] or time.monotonic() - self.last[0] > HELD:
                found = await self._asked()
                self.last = time.monotonic(), found
        answer = PlainTextResponse("ok") if self.last[1] else PlainTextResponse(errors.STORE, 503)
        answer.headers["Cache-Control"] = "no-store"
        await answer(scope, receive, send)

    async def _asked(self) -> bool:
        try:
            with anyio.fail_after(PATIENCE):
                await anyio.to_thread.run_sync(self.ask, abandon_on_cancel=True, limiter=self.room)
        except TimeoutError:
            LOG.error("The store did not answer within %d s.", PATIENCE)
        except Exception:
            LOG.exception("The store failed")
        else:
            return True
        return False

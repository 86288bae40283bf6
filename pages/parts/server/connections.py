"""Bounds to what a connection costs before it has said what it wants.

Uvicorn waits for ever for the rest of a request, which Streamlit leaves so, and takes messages of WebSockets as long as
those that the server may send. When handles run out nobody is let in, and asyncio logs that 2,000 times a second.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from streamlit.runtime.runtime_util import get_max_widget_state_size_bytes
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

try:
    import resource
except ImportError:  # not on Windows
    resource = None

PATIENCE = 20  # seconds within which a request must have been made
EVERY = 5  # seconds between looks at who has not
HANDLES = 2**16  # that the process asks the system for; each visit takes four
MOST = 4096  # connections at once, and at most half as many as there are handles


def bound() -> None:
    """Hold every connection of this process to these bounds, from now on."""
    most, silent = min(MOST, _handles() // 2), _Silent()
    for kind in (AutoHTTPProtocol, WebSocketsSansIOProtocol):
        kind.connection_made = _bounded(kind.connection_made, most, silent)


def _handles() -> int:
    """How many handles the process may have, after it took as many as it is given."""
    if resource is None:
        return 2 * MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HANDLES if hard == resource.RLIM_INFINITY else min(hard, HANDLES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _bounded(made: Any, most: int, silent: "_Silent") -> Any:
    def connection_made(self: Any, transport: asyncio.Transport) -> None:
        made(self, transport)
        if len(self.connections) > most:
            transport.abort()
        elif isinstance(self, WebSocketsSansIOProtocol):
            self.conn.max_message_size = get_max_widget_state_size_bytes()  # beyond which Streamlit would end it, too
        else:
            silent.watch(self)

    return connection_made


class _Silent:
    """Ends connections on which no request is under way: the first, or a further one, was not completed in time."""

    def __init__(self) -> None:
        self.since: MutableMapping[Any, tuple[Any, float]] = WeakKeyDictionary()  # last request before, and when seen
        self.looking = False

    def watch(self, protocol: Any) -> None:
        """Look after this connection and all others of its server."""
        if not self.looking:
            self.looking = True
            protocol.loop.call_later(EVERY, self._look, protocol.loop, protocol.connections)

    def _look(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        for protocol in list(connections):
            if isinstance(protocol, AutoHTTPProtocol):
                self._end(protocol, loop.time())
        self.looking = bool(connections)
        if self.looking:
            loop.call_later(EVERY, self._look, loop, connections)

    def _end(self, protocol: Any, now: float) -> None:
        """End the connection if it has asked for nothing, or for nothing more, since a look `PATIENCE` ago."""
        last = protocol.cycle
        if last is not None and not last.response_complete:
            self.since.pop(protocol, None)
            return
        before, began = self.since.setdefault(protocol, (last, now))
        if before is not last:
            self.since[protocol] = (last, now)
        elif now - began >= PATIENCE:
            protocol.transport.abort()

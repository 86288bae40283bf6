"""What a connection costs before it has said what it wants, on a server of uvicorn's own."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from pages.parts.server import connections

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = HALF + b"\r\n"
LONGEST = 1000  # bytes of a message


async def app(scope, receive, send) -> None:
    """Answers a request once it is complete, and echoes WebSockets."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})


@pytest.fixture
def port(monkeypatch):
    """Of a server with small bounds."""
    for name, value in (("PATIENCE", 0.4), ("EVERY", 0.1), ("MOST", 8)):
        monkeypatch.setattr(connections, name, value)
    monkeypatch.setattr(connections, "get_max_widget_state_size_bytes", lambda: LONGEST)
    for kind in (connections.AutoHTTPProtocol, connections.WebSocketsSansIOProtocol):
        monkeypatch.setattr(kind, "connection_made", kind.connection_made)  # put back at the end
    connections.bound()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ws="websockets-sansio", log_level="error", lifespan="off", timeout_keep_alive=60
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)


def opened(port: int, said: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=30)
    with contextlib.suppress(ConnectionError):  # ended already
        made.sendall(said)
    return made


def answered(connection: socket.socket) -> bool:
    """Whether the answer comes, whole."""
    got = b""
    while not got.endswith(b"ok") and (more := connection.recv(1000)):
        got += more
    return got.endswith(b"ok")


def ended(connection: socket.socket) -> bool:
    """Wait until the server ends the connection, or for what it says first."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET ", HALF])
def test_a_request_that_is_never_completed_is_ended(port, said):
    with opened(port, said) as made:
        assert ended(made)


def test_nor_is_one_that_follows_a_complete_one_waited_for(port):
    with opened(port, WHOLE) as made:
        assert answered(made)
        made.sendall(HALF)
        assert ended(made)


def test_a_request_may_take_its_time_over_its_body_and_its_answer(port):
    with opened(port, b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n") as made:
        time.sleep(3 * connections.PATIENCE)
        made.sendall(b"ab")
        assert answered(made)


def test_no_more_connections_are_held_than_there_is_room_for_and_room_comes_back(port):
    made = [opened(port, HALF) for _ in range(3 * connections.MOST)]
    assert all(ended(one) for one in made)
    with opened(port, WHOLE) as whole:
        assert answered(whole)
    for one in made:
        one.close()


def test_a_message_is_refused_by_its_announced_length(port):
    with connect(f"ws://127.0.0.1:{port}/") as stream:
        time.sleep(2 * connections.PATIENCE)  # a WebSocket may be silent
        stream.send(b"x" * LONGEST)
        assert stream.recv() == b"x" * LONGEST
        stream.socket.sendall(b"\x82\xfe" + (LONGEST + 1).to_bytes(2, "big") + b"mask")  # and nothing that follows
        with pytest.raises(ConnectionClosed) as refusal:
            stream.recv(timeout=30)
    assert refusal.value.rcvd.code == 1009

"""A small HTTP server on loopback that answers as it is told, and remembers what it was asked."""

import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Answer:
    body: bytes | str | dict | list = b""
    code: int = 200
    headers: dict = field(default_factory=dict)
    cut: bool = False  # the body ends before it should

    @property
    def data(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass
class Asked:
    path: str
    query: dict
    body: object
    key: str | None  # the header Authorization
    host: str


class Service:
    """What it answers is `answer`, a function of what is asked; `asked` has all that was."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self.answer = lambda asked: Answer(code=404)


class _Handler(BaseHTTPRequestHandler):
    def _told(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url, service = urlsplit(self.path), self.server.service
        asked = Asked(
            url.path, dict(parse_qsl(url.query)), body, self.headers.get("Authorization"), self.headers["Host"]
        )
        service.asked.append(asked)
        answer = service.answer(asked)
        answer = answer if isinstance(answer, Answer) else Answer(answer)
        self.send_response(answer.code)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.data) + (10 if answer.cut else 0)))
        self.end_headers()
        with suppress(ConnectionError):  # whoever asked waits no more
            self.wfile.write(answer.data)

    do_GET = do_POST = _told

    def log_message(self, *_) -> None:
        pass


@contextmanager
def running():
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.service = service
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""JSON posted to an address that a user gives: in bounded time, to that address alone, and no fault repeats it.

A timeout of a socket bounds each wait, not how many there are: a server that sends a byte now and then goes on for
ever. So a thread of its own asks, which is not waited for beyond the deadline.
"""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, InvalidURL
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import AbstractHTTPHandler, HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

Answer = tuple[int, bytes]  # the status, and the beginning of the body


class Unsent(Exception):
    """Nothing was answered; the message says why, without the address, as the end of a sentence."""


class Unanswered(Unsent):
    """Nothing was answered, though what was posted may have arrived."""


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None  # an answer like any other that is no success


class _Keeping(AbstractHTTPHandler):
    """Adds the connections that are made to a list, so that they can be shut."""

    def __init__(self, made: list[HTTPConnection]) -> None:
        super().__init__()
        self._made = made

    def do_open(self, http_class: Any, req: Request, **how: Any) -> Any:
        def make(*args: Any, **more: Any) -> HTTPConnection:
            self._made.append(http_class(*args, **more))
            return self._made[-1]

        return super().do_open(make, req, **how)


class _Plain(_Keeping, HTTPHandler):
    pass


class _Secure(_Keeping, HTTPSHandler):
    pass


def is_address(text: str) -> bool:
    """Whether it is an address of HTTP with a host."""
    try:
        parts = urlsplit(text)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and text.isascii() and text.isprintable() and " " not in text


def post(address: str, body: bytes, seconds: float, headers: Mapping[str, str] | None = None, most: int = 0) -> Answer:
    """The status of the answer, whatever it is, and its first `most` bytes.

    seconds: that all of it may take. Raises `Unsent`, and where what was posted may have arrived `Unanswered`.
    """
    said = {"Content-Type": "application/json", "User-Agent": "optlaws", **(headers or {})}
    made: list[HTTPConnection] = []
    found: SimpleQueue[Answer | Unsent] = SimpleQueue()

    def ask() -> None:
        found.put(_asked(Request(address, body, said), seconds, most, made))

    threading.Thread(target=ask, name="post", daemon=True).start()
    try:
        answer = found.get(timeout=seconds)
    except Empty:
        _shut(made)
        raise Unanswered(f"no answer within {seconds:g} s") from None
    if isinstance(answer, Unsent):
        raise answer
    return answer


def _asked(request: Request, seconds: float, most: int, made: list[HTTPConnection]) -> Answer | Unsent:
    """What was answered, or why nothing was."""
    until = monotonic() + seconds
    try:
        try:
            answer = build_opener(_NoRedirects, _Plain(made), _Secure(made)).open(request, timeout=seconds)
        except HTTPError as refusal:
            answer = refusal
        with answer:
            return int(answer.status or 0), _beginning(answer, most, until)
    except (OSError, HTTPException, ValueError) as fault:  # whose texts may hold the address
        # What fails until the request is out comes as a `URLError`.
        kind = Unsent if isinstance(fault, URLError | InvalidURL | ValueError) else Unanswered
        reason = getattr(fault, "reason", fault)
        if isinstance(reason, TimeoutError):
            return kind(f"no answer within {seconds:g} s")
        return kind(getattr(reason, "strerror", None) or type(reason).__name__)


def _beginning(answer: Any, most: int, until: float) -> bytes:
    """The first `most` bytes, or those that came until then."""
    found = b""
    while len(found) < most and monotonic() < until and (more := answer.read1(most - len(found))):
        found += more
    return found


def _shut(made: list[HTTPConnection]) -> None:
    """End what still waits for headers, and its thread with it."""
    for connection in made:
        if (open_ := connection.sock) is not None:
            with suppress(OSError):
                open_.shutdown(socket.SHUT_RDWR)


__all__ = ["Unanswered", "Unsent", "is_address", "post"]

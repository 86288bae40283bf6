"""Requests to a service: bounded in size, number of tries and time, and every fault of theirs is one sentence."""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ...errors import Cancelled, LogError
from ...text import shortened
from ..base import MOST_BYTES, Source
from .kept import kept

MOST_ANSWER = 64 * 2**20  # bytes of one answer that is no file
MOST_TOGETHER = 2**31  # bytes of all files, runs or answers of an address
SECONDS = 30.0  # without a word from a service
LONGEST = 900.0  # seconds for all that an address stands for
PIECE = 2**16  # bytes to read between two looks at the clock
TRIES = 4
PATIENCE = 60.0  # seconds to wait before one more try; who asks for more is not waited for


@dataclass(frozen=True)
class Bounds:
    """How much an address may bring, how long that may take, and whether it is kept in the user's cache folder."""

    most: int = MOST_TOGETHER  # bytes of all files, runs or answers
    seconds: float = LONGEST
    keep: bool = True


Heard = Callable[[float], bool | None]  # share of the bytes that an address may bring -> False to end it


def unheard(share: float) -> None:
    """Tell nobody, and go on."""


_SCHEME = re.compile(r"([a-z]+:)?(?P<scheme>[a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def credential(*names: str) -> str:
    """The first of these variables that is set; empty where none is. Raises `LogError` for what can be in no header."""
    for name in names:
        if value := os.environ.get(name, "").strip():
            if not value.isascii() or not value.isprintable():
                raise LogError(f"{name} has characters in it that no key and no address has.")
            return value
    return ""


def base_url(text: str, where: str, typed: str = "") -> str:
    """The address of a service, without a slash at its end. Raises `LogError` for none, and for one with a password.

    `typed` is the address that `text` is part of; without it `text` is a variable's, which no message repeats.
    """
    try:
        found = urlsplit(text)
        valid = found.scheme in ("http", "https") and found.hostname and found.port != 0
    except ValueError:
        valid = False
    if not valid or not text.isascii() or not text.isprintable() or " " in text:
        what = f"got {without_secrets(typed)!r}" if typed else "what it holds does not" if text else "it is not set"
        raise LogError(f"{where} must begin with https:// or http:// and a host, {what}.")
    if found.username or found.password:
        raise LogError(f"{where} has a user or a password in it, which belong in environment variables.")
    return text.rstrip("/")


def without_secrets(typed: str) -> str:
    """An address as messages show it: without what stands before an @, and of schemes but http no more than the name.

    What follows `databricks://` may be a token.
    """
    found = _SCHEME.match(typed)
    opening = found[0] if found else ""
    rest = typed[len(opening) :]
    if "@" in rest:
        rest = "…@" + rest.rpartition("@")[2]
    elif found and found["scheme"].lower() not in ("http", "https"):
        rest = "…"
    return shortened(opening + rest)


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL, between which keys do not travel; None where it has none."""
    try:
        found = urlsplit(url)
        port = found.port or {"http": 80, "https": 443}.get(found.scheme)
    except ValueError:
        return None
    return (found.scheme, found.hostname, port) if found.hostname and port else None


@dataclass
class Service:
    """A service at `base`. `subject` is what messages begin with, `asks` says how it is given a key.

    `key` is the value of the header Authorization; it is sent to no other host.
    """

    name: str
    base: str
    subject: str
    asks: str
    key: str = field(default="", repr=False)
    bounds: Bounds = Bounds()
    heard: Heard = unheard
    began: float = field(default_factory=time.monotonic)
    received: int = 0  # bytes of all answers

    def json(self, path: str, query: Mapping[str, object] | None = None, body: object = None) -> Any:
        """The answer to a GET, or to a POST where there is a `body`, as plain values."""
        return self._parsed(self._answer(self._url(path, query), body, MOST_ANSWER)[0])

    def pages(self, path: str, query: Mapping[str, object]) -> Iterator[Any]:
        """Answers that each name the next one in their header Link."""
        url: str | None = self._url(path, query)
        while url:
            data, headers = self._answer(url, None, MOST_ANSWER)
            yield self._parsed(data)
            url = _next_page(headers.get("Link", ""))
            if url and urlsplit(url)[:2] != urlsplit(self.base)[:2]:
                self.refuse("names a further page on another host")

    def file(self, path: str) -> bytes:
        """The content of a file."""
        return self._answer(self._url(path, None), None, MOST_BYTES)[0]

    def bounded(self, sources: Iterable[Source]) -> list[Source]:
        """The sources, which are made one after another. Raises `LogError` where they are too large together."""
        found, size = list[Source](), 0
        for source in sources:
            found.append(source)
            size += source.size
            self._check_total(size)
        return found

    def kept(self, key: object, download: Callable[[], bytes]) -> bytes:
        """What is kept under `key`, or `download` gives; see `kept.kept`."""
        return kept(key, download) if self.bounds.keep else download()

    def _check_total(self, size: int) -> None:
        if size > self.bounds.most:
            self.refuse(f"has more than {self.bounds.most // 2**20:,} MB at this address")

    def _go_on(self) -> None:
        """Raises `LogError` when the time is over, and `Cancelled` when nobody wants the runs any more."""
        if time.monotonic() - self.began > self.bounds.seconds:
            self.refuse(f"took more than {self.bounds.seconds / 60:.0f} minutes")
        if self.heard(self.received / self.bounds.most) is False:
            raise Cancelled

    def refuse(self, what: str) -> NoReturn:
        """Raise `LogError`: the service does something that ends the reading."""
        raise LogError(f"{self.subject}: {self.name} {what}; nothing was read.", self.subject)

    def _url(self, path: str, query: Mapping[str, object] | None) -> str:
        return f"{self.base}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")

    def _parsed(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            self.refuse("answered with something that is not JSON")

    def _answer(self, url: str, body: object, most: int) -> tuple[bytes, Message]:
        """Content and headers. Tries again where that may help."""
        for attempt in range(1, TRIES + 1):
            self._go_on()
            try:
                return self._once(url, body, most)
            except HTTPError as fault:
                with fault:
                    wait = _wait(fault, attempt)
                if wait is None or wait > PATIENCE or attempt == TRIES:
                    self._refused(fault.code, wait)
            except (HTTPException, EOFError) as fault:
                if attempt == TRIES:
                    self._cut(fault)
                wait = 1.0
            except (URLError, OSError) as fault:
                reason = fault.reason if isinstance(fault, URLError) else fault
                if isinstance(reason, TimeoutError):
                    self.refuse(f"did not answer within {SECONDS:.0f} seconds")
                if isinstance(reason, ConnectionError) and not isinstance(reason, ConnectionRefusedError):
                    if attempt == TRIES:
                        self._cut(reason)
                    wait = 1.0
                else:
                    said = getattr(reason, "strerror", None) or str(reason)
                    self.refuse(f"cannot be reached at {urlsplit(self.base).netloc} ({shortened(said)})")
            pause(wait)
        raise AssertionError("every last try returns or raises")

    def _once(self, url: str, body: object, most: int) -> tuple[bytes, Message]:
        request = Request(url, None if body is None else json.dumps(body).encode(), {"User-Agent": "optlaws"})
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self.key:
            request.add_unredirected_header("Authorization", self.key)
        with _OPENER.open(request, timeout=SECONDS) as response:
            return self._read(response, most), response.headers

    def _read(self, response: HTTPResponse, most: int) -> bytes:
        """The body, in pieces, as a limit of the socket holds for each anew. Raises `EOFError` for one that ends early.

        Raises `LogError` where it has more than `most` bytes, or all answers are too much or too slow.
        """
        length, data = response.length, bytearray()
        while length is None or len(data) < length:
            piece = response.read1(PIECE)
            if not piece:
                break
            data += piece
            self.received += len(piece)
            if len(data) > most:
                self.refuse(f"answered with more than {most // 2**20:,} MB")
            self._check_total(self.received)
            self._go_on()
        if length is not None and len(data) < length:
            raise EOFError(f"{len(data)} of {length} bytes")
        return bytes(data)

    def _refused(self, code: int, wait: float | None) -> NoReturn:
        if code in (401, 403):
            self.refuse(f"refuses the key that it was given ({code})" if self.key else f"asks for a key: {self.asks}")
        if code == 404:
            self.refuse("has nothing of this name, or does not show it to this key (404)")
        if code == 429:
            after = f" for {wait:,.0f} s" if wait else ""
            self.refuse(f"asks for fewer requests{after} (429): try again later")
        self.refuse(f"answered with the error {code}")

    def _cut(self, fault: BaseException) -> NoReturn:
        raise LogError(f"{self.subject}: the connection to {self.name} was cut; nothing was read.") from fault


def check_sizes(subject: str, sizes: Mapping[str, int | None], most: int) -> None:
    """Raises `LogError` for a file too large to be read, or for files of more than `most` bytes together.

    sizes: bytes by path, None where they are not told.
    """
    for path, size in sizes.items():
        if (size or 0) > MOST_BYTES:
            raise LogError(f"{subject}: a file may have {MOST_BYTES // 2**20:,} MB, {path} has more.", subject)
    if sum(size or 0 for size in sizes.values()) > most:
        raise LogError(f"{subject}: the logs may have {most // 2**20:,} MB together, these have more.", subject)


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def _wait(fault: HTTPError, attempt: int) -> float | None:
    """Seconds until another try may help; None where none will."""
    if fault.code != 429 and fault.code < 500:
        return None
    after = fault.headers.get("Retry-After", "")
    return float(after) if re.fullmatch(r"\d{1,9}", after) else 2.0**attempt


def _next_page(link: str) -> str | None:
    found = re.search(r'<([^<>]+)>\s*;\s*rel="?next"?', link)
    return found[1] if found else None


class _Redirects(HTTPRedirectHandler):
    """Follows to http and https only, and from https to https only. The key goes along on its own server alone."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        if urlsplit(newurl).scheme not in ("https", req.type):
            raise HTTPError(req.full_url, code, msg, headers, fp)
        fp.close()  # urllib would read what comes with a redirect to its end
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        key = req.unredirected_hdrs.get("Authorization")
        if further and key and origin(newurl) == origin(req.full_url):
            further.add_unredirected_header("Authorization", key)
        return further


_OPENER = build_opener(_Redirects)

"""JSON posted to an address that a user gives: in bounded time, to that address alone, and no fault repeats it."""

from collections.abc import Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener


class Unsent(Exception):
    """Nothing was answered; the message says why, without the address, as the end of a sentence."""


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None  # an answer like any other that is no success


_OPENER = build_opener(_NoRedirects)


def is_address(text: str) -> bool:
    """Whether it is an address of HTTP with a host."""
    try:
        parts = urlsplit(text)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and text.isascii() and text.isprintable() and " " not in text


def post(
    address: str, body: bytes, seconds: float, headers: Mapping[str, str] | None = None, most: int = 0
) -> tuple[int, bytes]:
    """The status of the answer, whatever it is, and its first `most` bytes.

    seconds: that each step may take. Raises `Unsent`.
    """
    said = {"Content-Type": "application/json", "User-Agent": "optlaws", **(headers or {})}
    try:
        try:
            answer = _OPENER.open(Request(address, body, said), timeout=seconds)
        except HTTPError as refusal:
            answer = refusal
        with answer:
            return int(answer.status or 0), answer.read(most) if most else b""
    except (OSError, HTTPException, ValueError) as fault:  # whose texts may hold the address
        reason = getattr(fault, "reason", fault)
        if isinstance(reason, TimeoutError):
            raise Unsent(f"no answer within {seconds:g} s") from None
        raise Unsent(getattr(reason, "strerror", None) or type(reason).__name__) from None


__all__ = ["Unsent", "is_address", "post"]

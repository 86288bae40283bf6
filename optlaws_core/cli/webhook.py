"""Sentences sent to a webhook, such as Slack's, by a thread of their own: whoever has one to send never waits.

A webhook's address is a key to the channel behind it: it stands in no message, and nothing is sent on to where an
answer redirects.
"""

import json
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from html import escape

from ..errors import OptLawsError
from ..text import counted
from .posting import Unsent, is_address, post

WEBHOOK = "OPTLAWS_WEBHOOK"  # environment variable: the address, which other users of a machine do not see there
SECONDS = 10.0  # that a request may take
PAUSES = (1.0, 4.0)  # seconds before the second and the third try
WAITING = 100  # sentences that wait to be sent, beyond which the oldest are dropped
OFTEN = (429, 500, 502, 503, 504)  # statuses after which it is tried again


class Webhook:
    """Sends each sentence as `{"text": …}`, in their order. What comes of those that fail is told to `said`.

    Raises `OptLawsError` for what is no address of a webhook.
    """

    def __init__(self, address: str, said: Callable[[str], object]) -> None:
        if not is_address(address):
            raise OptLawsError("The address of a webhook must begin with https:// or http:// and name a host.")
        self._address, self._said = address, said
        self._waiting: queue.Queue[str | None] = queue.Queue(WAITING)
        self._counting = threading.Lock()
        self._dropped = 0  # messages, which was not said so far
        self._open = 0  # messages that wait or are being sent
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def send(self, sentence: str) -> None:
        """Have a sentence sent; returns at once."""
        with self._counting:
            self._open += 1
        self._put(sentence)

    def close(self, patience: float) -> None:
        """Wait until all is sent, for at most so many seconds, and tell what is not."""
        self._put(None)
        self._thread.join(patience)
        self._say_dropped()
        if left := self._open:
            self._said(
                f"{counted(left, 'message')} to the webhook had not been sent, or not been answered, by the end."
            )

    def _put(self, what: str | None) -> None:
        while True:
            try:
                return self._waiting.put_nowait(what)
            except queue.Full:
                with suppress(queue.Empty):
                    self._waiting.get_nowait()
                    with self._counting:
                        self._open, self._dropped = self._open - 1, self._dropped + 1

    def _work(self) -> None:
        while (sentence := self._waiting.get()) is not None:
            if why := self._sent(sentence):
                self._said(f"A message could not be sent to the webhook ({why}).")
            with self._counting:
                self._open -= 1
            self._say_dropped()

    def _say_dropped(self) -> None:
        with self._counting:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._said(f"Dropped because the webhook was slow: {counted(dropped, 'message')}; at most {WAITING} wait.")

    def _sent(self, sentence: str) -> str:
        """Send one sentence; why that failed, empty where it did not. Slack reads <, > and & as its own signs."""
        body = json.dumps({"text": escape(sentence, quote=False)}).encode()
        why = ""
        for pause in (*PAUSES, None):
            why, again = self._tried(body)
            if not why or not again or pause is None:
                break
            time.sleep(pause)
        return why

    def _tried(self, body: bytes) -> tuple[str, bool]:
        """Why one try failed, and whether another may help."""
        try:
            status, _ = post(self._address, body, SECONDS)  # what else it says is not waited for
        except Unsent as fault:
            return str(fault), True
        return ("", False) if 200 <= status < 300 else (f"status {status}", status in OFTEN)


__all__ = ["WEBHOOK", "Webhook"]

"""Connections to PostgreSQL that give up: a server that hangs behind an open connection answers nothing, for ever.

The server's own limit of a statement's time does not help there, since it is the server that enforces it; neither do
keep-alives, which the system answers on behalf of a process that stands still.
"""

from collections.abc import Callable, Generator
from time import monotonic
from typing import Any

import psycopg


def connecting(seconds: float) -> Callable[..., psycopg.Connection]:
    """What SQLAlchemy connects by: connections on which no step takes longer than `seconds`.

    Such a step raises `psycopg.OperationalError` and closes the connection, so that nothing waits for it again.
    """

    class Patient(psycopg.Connection):
        def wait(self, gen, *args, **kwargs):
            try:
                return super().wait(_within(gen, seconds), *args, **kwargs)
            except TimeoutError:
                self.close()
                raise psycopg.OperationalError(f"no answer within {seconds:g} s") from None

    def connect(dialect: Any, record: Any, args: Any, options: Any) -> psycopg.Connection:
        return Patient.connect(*args, **options)

    return connect


def _within(steps: Generator, seconds: float) -> Generator:
    """`steps`, which is resumed several times a second while it waits; `TimeoutError` once that takes too long."""
    end = monotonic() + seconds
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and monotonic() > end:
                raise TimeoutError
            wanted = steps.send(ready)
    except StopIteration as done:
        return done.value


__all__ = ["connecting"]

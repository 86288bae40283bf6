"""Tasks for tests/core/test_parallel.py, in a module of their own that processes and Dask workers load quickly."""

import os
import signal
import time
from dataclasses import replace

from threadpoolctl import threadpool_info

import optlaws_core
from optlaws_core.errors import FitError


def fitted(law, runs):
    """A fit without the only thing in it that differs each time."""
    return replace(optlaws_core.fit(law, runs, test=runs[:1]), seconds=0.0)


def slowly(x, seconds=0.05):
    time.sleep(seconds)
    return x


def last_first(x):
    return slowly(x, 0.05 * (5 - x))


def refuse(x):
    if x == 2:
        raise FitError("no coefficients", best=[1.5])
    return x


def threads(_):
    """How many threads linear algebra uses, over all libraries."""
    return {library["num_threads"] for library in threadpool_info()}


def process(_):
    return os.getpid()


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)

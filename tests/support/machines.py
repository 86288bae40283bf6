"""A Dask cluster of processes on this machine, for tests. Every process ends by itself, should a test be killed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT


def start(what: str, options: str, folder: Path, *paths: Path) -> subprocess.Popen:
    """One of Dask's programs, which finds modules in `paths`."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options.split()]
    # as on another machine: without the limits of the process that tests
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
    with open(folder / "log", "a") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def start_worker(address: str, folder: Path, *paths: Path) -> subprocess.Popen:
    """A worker process of one thread, which ends when its scheduler does."""
    options = f"{address} --nthreads 1 --no-nanny --no-dashboard --host 127.0.0.1 --death-timeout 20"
    return start("worker", options, folder, *(paths or (ROOT,)))


def stop(process: subprocess.Popen) -> None:
    process.kill()
    process.wait(10)


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Address of a Dask scheduler in a process of its own, its folder and its workers so far."""
    folder = tmp_path_factory.mktemp("dask")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    options = f"--host {address} --no-dashboard --idle-timeout 60"
    scheduler, workers = start("scheduler", options, folder, ROOT), []
    yield address, folder, workers
    for started in (*workers, scheduler):
        stop(started)


@pytest.fixture
def cluster(machines):
    """Address of a Dask cluster with two workers, each a process, and the two."""
    from distributed import Client  # most tests do without

    address, folder, workers = machines
    workers[:] = [w for w in workers if w.poll() is None]
    while len(workers) < 2:
        workers.append(start_worker(address, folder))
    with Client(address, timeout=20, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=20)
    return address, workers


@pytest.fixture(scope="module")
def no_process_is_left():
    """Ends the processes that joblib keeps for the next call."""
    yield
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)

"""Tasks spread over processes and a real Dask cluster: the same results bit for bit, whatever happens to a worker."""

import functools
import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time

import dask
import pytest
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_limits

from optlaws_core import LAWS, errors, parallel, read
from optlaws_core.errors import Cancelled, FitError, OptLawsError
from optlaws_core.parallel import map_tasks
from tests.places import ROOT
from tests.support.machines import start_worker, stop
from tests.support.tasks import die, fitted, last_first, process, refuse, slowly, threads

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_process_is_left")]
TRAIN = ("constant_4000", "cosine10_4000", "drop30_4000")


@pytest.fixture
def nobody():
    """Address of a Dask scheduler in this process, without workers, which gives up a task that has killed one."""
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        with LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=":0") as cluster:
            yield cluster.scheduler_address


@pytest.fixture(scope="module")
def runs():
    by_name = {run.name: run.on("val") for run in read(ROOT / "data" / "examples.csv").runs}
    return [by_name[name] for name in TRAIN]


def same(found, expected) -> bool:
    """Equal in every field, and the coefficients in every bit."""
    return found == expected and [f.vector.tobytes() for f in found] == [f.vector.tobytes() for f in expected]


@pytest.fixture(scope="module")
def serial(runs):
    return map_tasks(functools.partial(fitted, runs=runs), [*LAWS], processes=1)


def test_processes_give_the_same_bits(runs, serial):
    assert same(map_tasks(functools.partial(fitted, runs=runs), [*LAWS], processes=2), serial)


def test_a_cluster_of_four_gives_the_same_bits_though_workers_are_killed_one_after_another(
    runs, serial, machines, cluster
):
    address, folder, workers = machines
    workers += [start_worker(address, folder) for _ in range(2)]
    with Client(address, timeout=20, set_as_default=False) as client:
        client.wait_for_workers(4, timeout=30)
    told, killed = [], 0

    def kill_one(share):
        nonlocal killed
        told.append(share)
        if killed < 3 and share > killed / 3:  # Dask gives up a task that was on four workers that were killed
            stop(workers[killed])
            workers.append(start_worker(address, folder))
            killed += 1

    found = map_tasks(functools.partial(fitted, runs=runs), [*LAWS], cluster=address, progress=kill_one)
    assert same(found, serial)
    assert len(told) == len(serial) and told[0] < 0.1 and killed == 3 and workers[3].poll() is None


@pytest.mark.parametrize("where", ["here", "processes", "cluster"])
def test_one_contract_everywhere(where, request):
    """Order, progress, threads, errors with what they carry, and a stop midway."""
    how = {
        "here": {"processes": 1},
        "processes": {"processes": 2},
        "cluster": where == "cluster" and {"cluster": request.getfixturevalue("cluster")[0]},
    }[where]
    told = []
    assert map_tasks(last_first, range(5), progress=told.append, **how) == [0, 1, 2, 3, 4]
    assert told == [0.2, 0.4, 0.6, 0.8, 1.0]
    with threadpool_limits(2):  # more than one to begin with, which tests on all cores do not have
        assert map_tasks(threads, range(2), **how) == [{1}, {1}]
    with pytest.raises(FitError, match="^no coefficients$") as failed:
        map_tasks(refuse, [1, 2], **how)
    assert failed.value.best == [1.5]
    began, told = time.monotonic(), []
    with pytest.raises(Cancelled):
        map_tasks(slowly, range(1000), progress=lambda share: told.append(share) or share < 0.004, **how)
    assert time.monotonic() - began < 20 and len(told) == 4  # all of them would take 25 s or more


@pytest.mark.parametrize("kind", ["OptLawsError", "ScheduleError", "LogError", "DesignError", "FitError", "Cancelled"])
def test_an_error_keeps_its_fields_between_processes(kind):
    error = getattr(errors, kind)("what", *{"LogError": ["a.csv"], "FitError": [[1.5]]}.get(kind, []))
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.args, vars(back)) == (type(error), error.args, vars(error))


def test_nothing_heavy_is_loaded_before_it_is_needed():
    heavy = {"joblib", "dask", "distributed", "scipy"}
    code = f"import sys, optlaws_core.parallel; sys.exit(not {heavy}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
    heavy |= {"sympy", "pandas"}  # the command line names its commands without
    code = (
        f"import sys, optlaws_core.cli as cli; cli.main(['schedules']); sys.exit(not {heavy}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, capture_output=True).returncode == 0
    slow = {"scipy", "pandas", "optlaws_core.laws.registry"}  # to name `fit` takes neither them nor a law's formula
    code = f"import sys; from optlaws_core import fit; sys.exit(not {slow}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_few_tasks_stay_in_this_process():
    assert map_tasks(process, []) == []
    assert map_tasks(process, [0]) == [os.getpid()]
    assert os.getpid() not in map_tasks(process, [0, 1], processes=2)


def test_threads_take_turns_and_one_that_stops_leaves_the_others_alone():
    """The app serves several people from one process, each in a thread."""
    found = {}

    def ask(name, progress=None):
        try:
            found[name] = map_tasks(slowly, range(20), processes=2, progress=progress)
        except Cancelled:
            found[name] = "cancelled"

    people = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
    people.append(threading.Thread(target=ask, args=("c", lambda share: False)))
    for thread in people:
        thread.start()
    for thread in people:
        thread.join(30)
    assert found == {"a": [*range(20)], "b": [*range(20)], "c": "cancelled"}


def test_whatever_ends_the_caller_ends_the_tasks():
    with pytest.raises(KeyboardInterrupt):
        map_tasks(slowly, range(400), processes=2, progress=lambda share: (_ for _ in ()).throw(KeyboardInterrupt))


def test_a_process_that_dies_is_told():
    with pytest.raises(OptLawsError, match="^One of 2 processes on this machine was killed, .*: use fewer of them.$"):
        map_tasks(die, range(2), processes=2)
    assert map_tasks(slowly, range(3), processes=2) == [0, 1, 2]


def test_no_processes_are_refused():
    with pytest.raises(OptLawsError, match="^The number of processes must be at least 1, got 0.$"):
        map_tasks(slowly, range(2), processes=0)


@pytest.mark.parametrize("address", ["", "here", "tcp://host", "http://host:8786", "tcp://host:x", "tcp://host:99999"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(OptLawsError, match="^The address of a Dask scheduler reads tcp://host:port, got "):
        map_tasks(slowly, range(2), cluster=address)


@pytest.mark.parametrize("listens", [False, True])
def test_a_scheduler_that_does_not_answer_is_told(listens, monkeypatch):
    """Nothing at the address, or something that accepts and then says nothing."""
    monkeypatch.setattr(parallel, "CONNECT", 1.0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(OptLawsError, match=f"^No Dask scheduler answered at {address} within 1 s.$"):
            map_tasks(slowly, range(2), cluster=address)
        assert time.monotonic() - began < 5


def test_a_cluster_without_workers_is_told(nobody, monkeypatch):
    monkeypatch.setattr(parallel, "WORKERS", 0.5)
    with pytest.raises(OptLawsError, match=f"^The Dask cluster at {nobody} had no worker for 0.5 s; start some.$"):
        map_tasks(slowly, range(2), cluster=nobody)


def test_a_worker_without_the_package_is_refused(nobody, tmp_path):
    worker = start_worker(nobody, tmp_path, tmp_path)
    with pytest.raises(
        OptLawsError, match=f"^The worker .* of the Dask cluster at {nobody} cannot load .*optlaws_core"
    ):
        map_tasks(slowly, range(2), cluster=nobody)
    stop(worker)


def test_a_worker_with_another_version_is_refused(nobody, tmp_path):
    (tmp_path / "optlaws_core").mkdir()
    for module in ("__init__.py", "errors.py", "parallel.py"):
        shutil.copy(ROOT / "optlaws_core" / module, tmp_path / "optlaws_core")
    worker = start_worker(nobody, tmp_path, tmp_path)
    with pytest.raises(
        OptLawsError, match=f"^The worker .* at {nobody} must have optlaws_core .* as this machine, but "
    ):
        map_tasks(slowly, range(2), cluster=nobody)
    stop(worker)


def test_a_task_that_kills_its_worker_is_told(nobody, tmp_path):
    worker = start_worker(nobody, tmp_path)
    with pytest.raises(OptLawsError, match=f"^One task has killed several workers of the Dask cluster at {nobody}, "):
        map_tasks(die, range(2), cluster=nobody)
    stop(worker)


def test_a_cluster_that_is_lost_is_told(cluster, monkeypatch):
    """No worker is left, and none comes back."""
    monkeypatch.setattr(parallel, "WORKERS", 1.0)
    address, workers = cluster
    with pytest.raises(OptLawsError, match=f"^The Dask cluster at {address} was lost before all tasks were done: "):
        map_tasks(slowly, range(100), cluster=address, progress=lambda share: [*map(stop, workers)] and None)


def test_a_task_in_the_background_has_a_process_with_one_thread_and_outlives_its_end():
    background = parallel.Background()
    process_of_its_own = background.start(process, 0).result()
    assert process_of_its_own != os.getpid() and background.start(threads, 0).result() == {1}
    with pytest.raises(FitError, match="no coefficients"):
        background.start(refuse, 2).result()
    background.end()
    assert background.start(process, 0).result() not in (os.getpid(), process_of_its_own)
    background.end()

"""Many tasks at once: processes of this machine by default, a Dask cluster by its address. Both go through joblib.

Each task computes on one thread, so the results are the same bit for bit wherever they came from; machines of another
kind of processor may differ in the last digits. joblib and Dask are loaded when first used: the app starts without.
"""

import contextlib
import functools
import hashlib
import platform
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .errors import Cancelled, OptLawsError, extra

CONNECT = 5.0  # s; a scheduler that has not answered by then is not there
WORKERS = 20.0  # s that a cluster may be without any worker, at the start and later
IDLE = 60.0  # s that a process in the background waits for another task
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TURN = 0.2  # s between two questions whether to go on waiting for the pool

T = TypeVar("T")
R = TypeVar("R")
Report = Callable[[float], bool | None]  # share of the tasks that are done, above 0 to 1 -> False to stop

_pool = threading.Lock()  # joblib keeps one pool a process, and stopping a call kills it under every other call
_solo = threading.Lock()
_alone = 0  # tasks that run in this process just now
_limit: Any = None  # what they limit, until the last of them is done


def map_tasks(
    work: Callable[[T], R],
    tasks: Sequence[T],
    *,
    cluster: str | None = None,
    processes: int | None = None,
    progress: Report | None = None,
) -> list[R]:
    """`work` done on each of the tasks; results in their order.

    cluster: address of a Dask scheduler, tcp://host:port. processes: of this machine, by default one a core; 1 stays in
    this process. Fewer than two tasks stay in this process, too. progress: told the share done, in the calling thread,
    after each task; False stops the rest. While another thread has the pool it is told 0.
    `work` must not call `map_tasks`. What a task raises is raised here as it is, and the rest is stopped.
    Raises `Cancelled` from `progress`, `OptLawsError` for a cluster that cannot be used and for processes that died.
    """
    if processes is not None and processes < 1:
        raise OptLawsError(f"The number of processes must be at least 1, got {processes}.")
    if cluster is not None:
        _check_address(cluster)
    report = progress or (lambda share: None)
    jobs: list[Callable] = [functools.partial(_one, i, task) for i, task in enumerate(tasks)]
    if len(jobs) < 2 or (cluster is None and processes == 1):
        with one_thread():  # once for all of them: setting the limit takes milliseconds
            return _gathered((job(work) for job in jobs), len(jobs), report)
    return _here(work, jobs, processes, report) if cluster is None else _there(work, jobs, cluster, report)


def _one(i: int, task: T, work: Callable[[T], R]) -> tuple[int, R]:
    with one_thread():
        return i, work(task)


class Background:
    """A process of its own for work that nobody waits for, one task after another.

    It starts with the first task, without the caller's main module, so that a script needs no guard, and shares neither
    memory nor threads nor random numbers with the caller. After `IDLE` seconds without a task it ends, until the next.
    """

    def __init__(self) -> None:
        self._executor: Any = None

    def start(self, work: Callable[[T], R], task: T) -> Future[R]:
        """What will be `work(task)`; both are pickled, so `work` stands in a module that the process can import."""
        from joblib.externals.loky import ProcessPoolExecutor

        if self._executor is None:
            self._executor = ProcessPoolExecutor(1, timeout=IDLE, env=dict.fromkeys(THREADS, "1"))
        return self._executor.submit(_alone_at, work, task)

    def end(self) -> None:
        """End the process, and what it is at. A task that is started later starts another one."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None


def _alone_at(work: Callable[[T], R], task: T) -> R:
    with one_thread():
        return work(task)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread: with more, sums are split differently on each machine, and small ones wait for all.

    The limit holds for the whole process. Tasks may overlap in the threads of one Dask worker or of the app, so the
    first one sets it and the last one lifts it.
    """
    import scipy.linalg  # noqa: F401  SciPy brings a library of its own, which must be loaded to be limited
    import threadpoolctl

    global _alone, _limit
    with _solo:
        if _alone == 0:
            _limit = threadpoolctl.threadpool_limits(1)
        _alone += 1
    try:
        yield
    finally:
        with _solo:
            _alone -= 1
            if _alone == 0:
                _limit.restore_original_limits()


def cores() -> int:
    """How many cores this process may use: of the machine's, those that it was given and its container's share pays."""
    import joblib

    return joblib.cpu_count()


def _gathered(results: Generator[tuple[int, R], None, None], n: int, report: Report) -> list[R]:
    """Results in the order of the tasks, from pairs in the order in which they came."""
    found = {}
    for i, result in results:
        found[i] = result
        try:
            if report(len(found) / n) is False:
                raise Cancelled
        except BaseException as stop:  # whatever ends the caller, such as Streamlit's rerun, ends the tasks
            results.throw(stop)  # unlike close(), this lets joblib stop them without a warning; it raises `stop` again
    return [found[i] for i in range(n)]


def _here(work: Callable[[T], R], jobs: list[Callable], processes: int | None, report: Report) -> list[R]:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    wanted = min(processes or cores(), len(jobs))
    while not _pool.acquire(timeout=TURN):
        if report(0.0) is False:
            raise Cancelled
    try:
        return _gathered(_started(jobs, work, n_jobs=wanted), len(jobs), report)
    except TerminatedWorkerError as e:
        raise OptLawsError(
            f"One of {wanted} processes on this machine was killed, most often because memory ran out: "
            "use fewer of them."
        ) from e
    finally:
        _pool.release()


def _started(jobs: list[Callable], shared: Any, **how: Any) -> Generator[tuple[int, Any], None, None]:
    import joblib

    # One task a batch, so that progress is told of each. Arrays as copies, since the tasks' inputs are small and files
    # in shared memory outlive a process that is killed.
    parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, max_nbytes=None, **how)
    return parallel(joblib.delayed(job)(shared) for job in jobs)


def _there(work: Callable[[T], R], jobs: list[Callable], address: str, report: Report) -> list[R]:
    with extra("dask", "A Dask cluster"):
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

    with _connected(address) as client:
        _check_workers(client, address)
        futures: list[Any] = []
        over = threading.Event()
        watch = threading.Thread(target=_watch, args=(client, futures, over), name="optlaws-watch", daemon=True)
        watch.start()
        try:
            # Sent once, as a task: unlike scattered data, Dask makes it anew when the workers that held it are gone.
            shared = client.submit(_same, work, pure=False)
            futures.append(shared)
            # Waits: the scheduler may take in a small task before the large one that it needs, and would refuse it.
            if (unusable := shared.exception()) is not None:
                raise unusable
            return _gathered(_started(jobs, shared, backend=_backend(client, futures, len(jobs))), len(jobs), report)
        except KilledWorker as e:
            raise OptLawsError(
                f"One task has killed several workers of the Dask cluster at {address}, most often because "
                "memory ran out."
            ) from e
        except FutureCancelledError as e:  # by the watch, or by the client that lost its scheduler
            raise OptLawsError(
                f"The Dask cluster at {address} was lost before all tasks were done: its scheduler does not answer, "
                f"or there was no worker for {WORKERS:g} s."
            ) from e
        finally:
            over.set()
            watch.join()


def _same(work: T) -> T:
    return work


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port and not parts.path.strip("/")
    except ValueError:  # of a port that is no number or beyond 65535
        good = False
    if not good:
        raise OptLawsError(f"The address of a Dask scheduler reads tcp://host:port, got {address!r}.")


async def _greet(address: str) -> None:
    import asyncio

    from distributed.comm import connect

    comm = await asyncio.wait_for(connect(address, timeout=CONNECT), CONNECT)
    comm.abort()


def _connected(address: str):
    """A client of the scheduler. Raises `OptLawsError` within about `CONNECT` seconds when none answers."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from distributed import Client

    try:
        # The client itself waits for ever for the greeting of a server that is no Dask scheduler. In a thread of its
        # own, since a notebook has a running event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _greet(address)).result()
        return Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError, ImportError) as e:
        raise OptLawsError(f"No Dask scheduler answered at {address} within {CONNECT:g} s.") from e


def _check_workers(client, address: str) -> None:
    """There must be workers, and they and the scheduler must have what this machine has. Raises `OptLawsError`."""
    try:
        client.wait_for_workers(1, timeout=WORKERS)
    except TimeoutError as e:
        raise OptLawsError(f"The Dask cluster at {address} had no worker for {WORKERS:g} s; start some.") from e
    mine = _environment()
    theirs = {f"worker {who}": what for who, what in client.run(_environment, on_error="return").items()}
    try:
        theirs["scheduler"] = client.run_on_scheduler(_environment)  # Dask unpickles tasks there, too
    except Exception as e:  # whatever it is that the scheduler could not load
        theirs["scheduler"] = e
    for who, found in theirs.items():
        if isinstance(found, Exception):
            raise OptLawsError(f"The {who} of the Dask cluster at {address} cannot load what a task needs: {found}.")
        for name, expected in mine.items():
            if found.get(name) != expected:
                raise OptLawsError(
                    f"The {who} of the Dask cluster at {address} must have {name} {expected} as this machine, "
                    f"but has {found.get(name)}."
                )


@functools.cache  # a worker that runs on after an update of its files still has the code of before
def _environment() -> dict[str, str]:
    """Version of everything that the digits of a result, or its way there and back, depend on."""
    from importlib.metadata import version

    code, here = hashlib.sha256(), Path(__file__).parent
    for path in sorted(here.rglob("*.py")):
        code.update(path.relative_to(here).as_posix().encode() + b"\0" + path.read_bytes())
    packages = ("numpy", "scipy", "sympy", "dask", "distributed", "cloudpickle")
    return {
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
        "optlaws_core with source digest": code.hexdigest()[:12],
    }


def _watch(client, futures: list, over: threading.Event) -> None:
    """Give up when there was no worker for `WORKERS` seconds: Dask itself would wait for ever."""
    seen = time.monotonic()
    while not over.wait(1.0):
        with contextlib.suppress(Exception):  # a scheduler that is gone: the client cancels the tasks itself
            if client.nthreads():
                seen = time.monotonic()
            elif time.monotonic() - seen > WORKERS:
                client.cancel(futures)


def _backend(client, futures: list, tasks: int):
    """A joblib backend that runs each task on the client's cluster and notes it in `futures`.

    joblib has one for Dask, but (1.6.0) it waits for ever for a task that Dask has given up, and a cluster of one core
    makes it compute in the calling process.
    """
    from joblib.parallel import ParallelBackendBase

    class Cluster(ParallelBackendBase):
        supports_retrieve_callback = True  # results come by callback, so that they can be taken as they come

        def effective_n_jobs(self, n_jobs: int) -> int:
            return tasks  # all are handed over at once; with 1, which does not come here, joblib would compute itself

        def submit(self, func, callback=None):
            ((call, args, kwargs),) = func.items
            future = client.submit(call, *args, **kwargs, pure=False)
            futures.append(future)
            future.add_done_callback(callback)
            return future

        def retrieve_result_callback(self, out) -> list:
            return [out.result()]

        def abort_everything(self, ensure_ready: bool = True) -> None:
            client.cancel(futures)

    return Cluster()

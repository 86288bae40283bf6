"""Fuzzing of everything that reads what comes from outside: damaged and odd files, and what became of them.

    python -m benchmarks fuzz [--inputs 100000] [--only TARGET …] [--processes 1] [--seconds 2] [--out FOLDER]

A result must keep its promises and a refusal must be one clear sentence; whatever else happens is a failure: another
exception, a warning, something printed, more than `--seconds` of the processor's time, memory that runs out, a process
that dies. Stop it at any time; started again with the same folder, it goes on where it was. The folder keeps a JSON
file of each target, and the first input of each kind of failure, which `--replay FILE --only TARGET` reads once more.
"""

import argparse
import hashlib
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

from tests.fuzz.loop import Tally, batch, outcome
from tests.fuzz.targets import TARGETS

from .table import show

SIZE = 2_500  # inputs of a batch
ROOM = 2 * 2**30  # bytes of memory that a process may ask for
COUNTS = ("inputs", "accepted", "refused", "failed")


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks fuzz", description=__doc__.splitlines()[0])
    options.add_argument("--inputs", type=int, default=100_000, help="of each target")
    options.add_argument("--only", nargs="+", default=[*TARGETS], metavar="TARGET", choices=[*TARGETS])
    options.add_argument("--processes", type=int, default=1)
    options.add_argument("--seconds", type=float, default=2.0, help="of the processor's time for an input")
    options.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "optlaws-fuzz")
    options.add_argument("--replay", type=Path, metavar="FILE", help="an input that failed")
    chosen = options.parse_args()
    if chosen.replay:
        print(*outcome(TARGETS[chosen.only[0]], chosen.replay.read_bytes(), chosen.seconds), sep="\n")
        return
    chosen.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(chosen.processes) as threads:
        try:
            found = dict(zip(chosen.only, threads.map(lambda name: _fuzz(name, chosen), chosen.only), strict=True))
        except KeyboardInterrupt:
            chosen.inputs = 0  # every target stops after its batch
            found = {name: _known(chosen.out, name) for name in chosen.only}
    show(
        ("reader", "inputs", "seconds", "accepted", "refused", "failures"),
        [(n, f"{s['inputs']:,}", f"{s['seconds']:,.0f}", *(f"{s[k]:,}" for k in COUNTS[1:])) for n, s in found.items()],
    )
    for name, state in found.items():
        for said, file in state["failures"].values():
            print(f"{name}: {said} ({file})")


def _fuzz(name: str, chosen: argparse.Namespace) -> dict:
    """Batches of one target, each in the process that the last one left, until there are enough inputs."""
    state, pool = _known(chosen.out, name), None
    while state["inputs"] < chosen.inputs:
        began = time.perf_counter()
        pool = pool or ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _bounded)
        number, current = state["inputs"] // SIZE, chosen.out / f"{_stem(name)}.current"
        try:
            found = pool.submit(_batch, name, number, chosen.seconds, current).result()
        except BrokenProcessPool:
            found, pool = Tally(failed=1, failures={"died": ("the process died", current.read_bytes())}), None
        for kind, (said, data) in found.failures.items():
            if kind not in state["failures"]:
                file = chosen.out / f"{_stem(name)}-{hashlib.sha256(data).hexdigest()[:12]}"
                file.write_bytes(data)
                state["failures"][kind] = [said, str(file)]
        counts = (SIZE, found.accepted, found.refused, found.failed)
        state |= {key: state[key] + n for key, n in zip(COUNTS, counts, strict=True)}
        state["seconds"] += time.perf_counter() - began
        _file(chosen.out, name).write_text(json.dumps(state, indent=1))
        print(f"{name}: {state['inputs']:,} inputs, {state['failed']:,} failures", flush=True)
    if pool is not None:
        pool.shutdown()
    return state


def _batch(name: str, number: int, seconds: float, current: Path) -> Tally:
    with current.open("wb", buffering=0) as file:
        return batch(TARGETS[name], number, SIZE, seconds, file)


def _bounded() -> None:
    """No more memory for this process than `ROOM` beyond what it has, where the system can say so."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _known(out: Path, name: str) -> dict:
    """What earlier runs came to."""
    file = _file(out, name)
    return json.loads(file.read_text()) if file.exists() else dict.fromkeys((*COUNTS, "seconds"), 0) | {"failures": {}}


def _file(out: Path, name: str) -> Path:
    return out / f"{_stem(name)}.json"


def _stem(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)

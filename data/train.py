"""Make the runs of a sweep: `python -m data.train --sweep data/sweep.toml [--out data/runs] [--jobs 1]`.

Each run has a process of its own. Finished runs are kept whatever happens to the others; a sweep that is started
again makes the ones that are missing.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from optlaws_core.errors import OptLawsError, extra

from .corpus import Corpus, load_texts
from .sweep import Manifest, RunSpec, as_parquet, read_sweep

HERE = Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns 0 when all runs are there, 1 when some failed, 2 when the sweep cannot be run."""
    parser = argparse.ArgumentParser(prog="python -m data.train", description="Make the training runs of a sweep.")
    parser.add_argument("--sweep", type=Path, default=HERE / "sweep.toml", help="TOML file that declares the runs")
    parser.add_argument("--out", type=Path, default=HERE / "runs", help="folder of the logs; manifest.csv is beside it")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side, one core each")
    args = parser.parse_args(argv)
    try:
        with extra("train", "The training program"):
            if find_spec("torch") is None:  # told here, and not by each run's process; this one does without
                raise ModuleNotFoundError(name="torch")
        failed = run_sweep(read_sweep(args.sweep), Manifest(args.out), args.jobs, sys.stderr)
    except OptLawsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; start the same command again to make the missing runs.", file=sys.stderr)
        return 130
    for name in failed:
        print(f"Run {name!r} ended without a log; what it said, if anything, stands above.", file=sys.stderr)
    return 1 if failed else 0


def run_sweep(specs: Sequence[RunSpec], manifest: Manifest, jobs: int, screen: TextIO) -> list[str]:
    """Make the unfinished runs of `specs`, at most `jobs` at a time, in their order; return the names that failed.

    A finished run whose weights are wanted by an unfinished one, and are gone, is made again for them.
    """
    missing = manifest.unfinished(specs)
    again = _parents(missing, specs, manifest)
    todo = [spec for spec in specs if spec in missing or spec in again]
    progress = Progress(len(specs), todo, screen)
    texts = load_texts(text for spec in todo for text in _texts(spec, specs))
    for text, corpus in texts.items():
        manifest.check_corpus(text, corpus.sha256)
    order = [spec.name for spec in specs]
    kept = {spec.parent for spec in specs}  # runs whose weights are wanted
    for spec in todo:  # what a run leaves is its own: never the weights of an earlier run of that name
        manifest.weights(spec.name).unlink(missing_ok=True)
    waiting, running, failed = list(todo), {}, []
    while waiting or running:
        for spec in _ready(waiting, running.values(), failed)[: max(1, jobs) - len(running)]:
            waiting.remove(spec)
            task = Task(
                spec,
                {text: texts[text] for text in _texts(spec, specs)},
                manifest.weights(spec.parent) if spec.parent else None,
                manifest.weights(spec.name) if spec.name in kept else None,
            )
            running[_start(task)] = spec
        if not running:  # what is left waits for a parent that failed
            return failed + [spec.name for spec in waiting]
        for pipe in wait(list(running)):
            message = _receive(pipe)
            if isinstance(message, int):
                progress.update(running[pipe], message)
                continue
            spec = running.pop(pipe)
            pipe.close()
            if message is None:
                failed.append(spec.name)
                continue
            log, result = message
            if spec in missing:
                manifest.add(spec, log, result, order)
            elif as_parquet(log) != manifest.log(spec).read_bytes():
                progress.say(
                    f"{spec.name}: made again for its weights, and this machine rounds otherwise: the log that was "
                    "there is kept, and runs that start from it start from slightly other weights."
                )
            progress.finish(spec, result)
    return failed


def _parents(missing: Sequence[RunSpec], specs: Sequence[RunSpec], manifest: Manifest) -> list[RunSpec]:
    """Finished runs that must be made again, since the weights that a missing run starts from are gone."""
    by_name, again = {spec.name: spec for spec in specs}, []
    wanted = [spec.parent for spec in missing]
    while wanted:
        name = wanted.pop()
        if not name or manifest.weights(name).exists() or by_name[name] in again:
            continue
        if by_name[name] not in missing:
            again.append(by_name[name])
        wanted.append(by_name[name].parent)
    return again


def _ready(waiting: Sequence[RunSpec], running: Iterable[RunSpec], failed: Sequence[str]) -> list[RunSpec]:
    """Those that need not wait for a parent."""
    unmade = {spec.name for spec in (*waiting, *running)} | set(failed)
    return [spec for spec in waiting if spec.parent not in unmade]


def _texts(spec: RunSpec, specs: Sequence[RunSpec]) -> tuple[str, ...]:
    """The text a run learns and, where there is another one, its parent's or that with which it goes on."""
    parent = next((s for s in specs if s.name == spec.parent), spec)
    return tuple(dict.fromkeys((spec.text, spec.then_text or parent.text)))


@dataclass(frozen=True)
class Task:
    """What a process needs to make one run."""

    spec: RunSpec
    texts: dict[str, Corpus]  # the run's own first
    start: Path | None  # weights to begin with
    keep: Path | None  # where to leave the last weights


def _start(task: Task) -> Connection:
    """A process that makes one run; the pipe brings the updates done so far, and at last (log, result)."""
    # glibc gives big arrays back to the system at once and asks for them again; keeping them saves a fifth of the time.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**30))
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**31))
    context = _processes()
    mine, theirs = context.Pipe()
    context.Process(target=_work, args=(theirs,), daemon=True).start()
    theirs.close()
    # Not among the arguments: start() would wait for ever to hand megabytes to a process that died while importing.
    with suppress(ConnectionError):  # then it is dead, and the next look into the pipe says so
        mine.send(task)
    return mine


@cache
def _processes() -> multiprocessing.context.BaseContext:
    """How processes are started.

    Never as a fork of this one: that would inherit the pipes of the runs beside it. The fork server loads torch, and
    what its first optimizer loads, once for all runs, and computes nothing, so that it has no threads.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["data.pretrain", "torch._dynamo"])
    return context


def _receive(pipe: Connection) -> int | tuple[pa.Table, dict[str, str]] | None:
    """The next message of a run; None when its process is gone without a result."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def _work(pipe: Connection) -> None:
    from .pretrain import pretrain

    try:
        task = pipe.recv()
        own, *others = task.texts.values()
        second = dict(zip(["then_corpus" if task.spec.then_text else "parent_corpus"], others, strict=False))
        pipe.send(pretrain(task.spec, own, pipe.send, start=task.start, keep=task.keep, **second))
    except (EOFError, OSError, KeyboardInterrupt):  # the sweep was killed: nobody is left to store the run
        sys.exit(1)


@dataclass
class Progress:
    """One line that says what is done, what runs, and how long the rest takes at the speed seen so far."""

    total: int  # runs in the sweep
    todo: Sequence[RunSpec]
    screen: TextIO
    done: dict[str, int] = field(default_factory=dict)  # updates, by run
    finished: int = 0  # runs, in this session
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        kept = self.total - len(self.todo)
        if kept:
            self.say(f"{kept} of {self.total} runs are there already.")

    def update(self, spec: RunSpec, done: int) -> None:
        self.done[spec.name] = done
        if self.screen.isatty():
            self.screen.write(f"\r\x1b[K{self.line()}")
            self.screen.flush()

    def finish(self, spec: RunSpec, result: dict[str, str]) -> None:
        self.finished += 1
        self.done[spec.name] = spec.schedule.total  # a diverged run stops early and costs no more
        outcome, seconds, loss = (result[key] for key in ("outcome", "wall_seconds", "final_val_loss"))
        self.say(f"{spec.name}: {outcome}, held-out loss {loss or 'none'}, {seconds} s · {self.line()}")

    def line(self) -> str:
        """Such as `12 of 20 runs · 41% · 14 min left · cosine_2400 1240/2400`."""
        share = {spec: self.done.get(spec.name, 0) / spec.schedule.total for spec in self.todo}
        cost = sum(spec.cost for spec in self.todo)
        made = sum(part * spec.cost for spec, part in share.items()) / cost
        active = [f"{s.name} {self.done[s.name]}/{s.schedule.total}" for s, part in share.items() if 0 < part < 1]
        parts = [f"{self.total - len(self.todo) + self.finished} of {self.total} runs", f"{made:.0%}"]
        if 0 < made < 1:
            parts.append(f"{duration((time.perf_counter() - self.started) * (1 - made) / made)} left")
        return " · ".join(parts + active)

    def say(self, text: str) -> None:
        """A line of its own."""
        start = "\r\x1b[K" if self.screen.isatty() else ""
        print(f"{start}{text}", file=self.screen, flush=True)


def duration(seconds: float) -> str:
    """Such as `40 s`, `14 min` or `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


if __name__ == "__main__":
    sys.exit(main())

"""The store of saved comparisons: processes that are killed while they save, and 10,000 snapshots in one list.

SQLite in a folder of its own, or the database whose URL stands in OPTLAWS_STORE, which should be an empty one.
"""

import os
import random
import select
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.table import seconds, show
from optlaws_core import fit, parse, read
from optlaws_core.errors import OptLawsError
from optlaws_core.saved import Candidate, Snapshot, thinned
from optlaws_core.saved.database import PLACE
from optlaws_core.saved.rights import OPERATOR, Viewer
from optlaws_core.saved.store import Store

EXAMPLES = Path(__file__).resolve().parents[1] / "data" / "examples.csv"
TRAIN = ("constant_4000", "cosine10_4000", "drop30_4000")
CANDIDATES = ("cosine(peak=8e-3, warmup=200, total=4000)", "wsd(peak=8e-3, warmup=200, total=4000, decay=800)")
KILLS, LATEST = 1_000, 0.2  # processes killed, and seconds after their start by which they are
PATIENCE = 60  # s for the first save of a process
SNAPSHOTS = 10_000
WORDS = ("cosine", "cooldown", "batch", "peak", "ablation", "final", "sweep", "baseline", "longer", "shorter")


def example() -> Snapshot:
    """A comparison on the bundled runs."""
    runs = {r.name: r.on("val") for r in read(EXAMPLES).runs}
    law = fit("annealing", [runs[name] for name in TRAIN])
    candidates = tuple(Candidate(parse(text)) for text in CANDIDATES)
    return Snapshot("Example", thinned(runs.values()), {"annealing": law}, "annealing", candidates)


def forked(work: Callable[[], None]) -> int:
    """Do it in a process of its own; its number."""
    child = os.fork()
    if not child:
        failed = 1
        try:
            work()
            failed = 0
        finally:
            os._exit(failed)
    return child


def killed(place: str, snapshot: Snapshot, times: int, seed: int = 0) -> dict[str, int]:
    """Kill `times` processes while they save; how many snapshots they were told to be saved, and what is there."""
    chance, told = random.Random(seed), []
    Store(place).close()  # so that no child spends its short life on imports
    for i in range(times):
        inlet, outlet = os.pipe()

        def save() -> None:
            store = Store(place)
            while True:
                os.write(outlet, store.save(snapshot, Viewer("child")).encode() + b"\n")  # noqa: B023 a fork has its own

        child = forked(save)
        os.close(outlet)
        if i % 2:  # after it has saved once, however slow the machine is; the others also before
            select.select([inlet], [], [], PATIENCE)
        time.sleep(chance.uniform(0, LATEST))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(inlet) as lines:
            told += lines.read().split()
    store = Store(place)
    kept = {entry.id for entry in store.listed(OPERATOR, limit=10**9)}
    whole = sum(_is_whole(store, id, snapshot.digest) for id in kept)
    store.close()
    return {"told": len(told), "kept": len(kept), "whole": whole, "lost": len(set(told) - kept)}


def _is_whole(store: Store, id: str, digest: str) -> bool:
    try:
        return store.open(id, OPERATOR).digest == digest
    except OptLawsError:
        return False


def together(place: str, snapshot: Snapshot, processes: int, saves: int) -> dict[str, int]:
    """Processes that open a new store, and then save, at once; how many failed, and how many snapshots are there."""

    def save() -> None:
        store = Store(place)
        for _ in range(saves):
            store.save(snapshot, Viewer("child"))

    failed = sum(os.waitpid(child, 0)[1] != 0 for child in [forked(save) for _ in range(processes)])
    store = Store(place)
    kept = store.count(OPERATOR)
    store.close()
    return {"failed": failed, "kept": kept}


def fill(store: Store, viewer: Viewer, snapshot: Snapshot, many: int) -> None:
    """Save that many small snapshots of differing title, note and tags."""
    chance = random.Random(0)
    small = replace(snapshot, runs=(), observed=())
    for i in range(many):
        words = chance.choices(WORDS, k=24)
        store.save(replace(small, title=f"{words[0]} {i}", note=" ".join(words), tags=tuple(words[:3])), viewer)


def main() -> None:
    """Print what is left after the kills, and times in milliseconds."""
    snapshot, me = example(), Viewer("me")
    with tempfile.TemporaryDirectory() as folder:
        place = os.environ.get(PLACE, "").strip()
        found = killed(place or f"{folder}/killed.sqlite", snapshot, KILLS)
        head = ("processes killed", "saves told", "in the store", "whole", "told but lost")
        show(head, [(KILLS, *(found[k] for k in ("told", "kept", "whole", "lost")))])
        store, rows = Store(place or f"{folder}/many.sqlite"), []
        first = store.save(snapshot, me)
        rows.append(_times(store, me, first, snapshot))
        fill(store, me, snapshot, SNAPSHOTS)
        rows.append(_times(store, me, first, snapshot))
        store.close()
    print()
    show(("snapshots", "save", "open", "list 50", "last page", "count", "search, many hits", "search, none"), rows)


def _times(store: Store, me: Viewer, first: str, snapshot: Snapshot) -> tuple:
    """Milliseconds of what a page does."""
    work = (
        lambda: store.save(snapshot, me),
        lambda: store.open(first, me),
        lambda: store.listed(me),
        lambda: store.listed(me, offset=max(0, store.count(me) - 50)),
        lambda: store.count(me),
        lambda: (store.listed(me, "cosine batch"), store.count(me, "cosine batch")),
        lambda: store.listed(me, "zebra"),
    )
    count = store.count(me)
    return (f"{count:,}", *(f"{1e3 * seconds(w):.1f} ms" for w in work))


if __name__ == "__main__":
    main()

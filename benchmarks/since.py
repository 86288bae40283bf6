"""Fits and refits against an earlier commit of this project: processor time, and by how much less it is now.

    python -m benchmarks since [--commit 9e1446e] [--times 3]

9e1446e is the last version before priors. Both versions are imported from the repository's history, each in a process
of its own with one thread, one after the other on the three training runs of 25M; fits are made as each ships them,
here under priors. It needs the public runs, and git.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.protocols import MPL_TRAIN  # noqa: E402
from benchmarks.table import PUBLIC, has_public, show  # noqa: E402
from optlaws_core import LAWS  # noqa: E402
from optlaws_core.laws.base import tokens  # noqa: E402

OURS = ("opt_laws_curve", "opt_laws_sublinear")
FITTED = tuple(name for name, law in LAWS.items() if tokens not in law.features)  # these runs do not tell their batch
REFITS = 20
# What each version runs, in its own folder: names that both have, and priors where there are any.
WORK = """
import json, statistics, sys, time
from optlaws_core import fit, read, refits, select
try:
    from optlaws_core.fitting.priors import learned
except ImportError:
    learned = None
path, train, ours, laws, times, count = json.loads(sys.argv[1])
runs = {run.name: run for run in read(path).runs}
train = [runs[name] for name in train]
known = {} if learned is None else {law: learned(law) for law in ours}
def cost(work, times):
    took = []
    for _ in range(times):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)
def selected(laws):
    return lambda: select(list(laws), train, processes=1, **({"priors": known} if known else {}))
found = {}
def fitted(law):
    return lambda: fit(law, train, **({"prior": known[law]} if law in known else {}))
for law in laws:
    fitted(law)()  # formulas are compiled once a process
for law in ours:
    found["fit of " + law] = cost(fitted(law), times)
found["both, each run left out in turn"] = cost(selected(ours), times)
found[f"{len(laws)} laws, each run left out in turn"] = cost(selected(laws), 1)
law = fit("multi_power", train)
found["refit of multi_power"] = cost(lambda: refits(law, train, count, processes=1), 1) / count
print(json.dumps(found))
"""


def main() -> None:
    """Print processor seconds of both versions and their ratios."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--commit", default="9e1446e")
    options.add_argument("--times", type=int, default=3)
    given = options.parse_args()
    if not has_public():
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", given.commit], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(folder, filter="data")
        then, now = (_measured(at, given.times) for at in (Path(folder), ROOT))
    rows = [(name, f"{took:.3f} s", f"{now[name]:.3f} s", f"1/{took / now[name]:.1f}") for name, took in then.items()]
    show(("processor time", given.commit, "now", "ratio"), rows)


def _measured(version: Path, times: int) -> dict[str, float]:
    """Processor seconds of each piece of work with the package in a folder."""
    path = PUBLIC / "multi_power_law" / "25M" / "manifest.csv"
    asked = json.dumps([str(path), MPL_TRAIN, OURS, FITTED, times, REFITS])
    threads = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", WORK, asked],
        cwd=version,
        env=os.environ | threads | {"PYTHONPATH": str(version)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()

"""Whether fits hang on the processor: the leaderboard's figures under several kernels of OpenBLAS and thread counts.

Every setting is a process of its own with `OPENBLAS_CORETYPE` and `OPENBLAS_NUM_THREADS`. Kernels differ in the order
in which they sum and in whether they fuse multiplications and additions, so they stand in for other processors. One
more setting switches off what NumPy's own loops use beyond the oldest processors (`NPY_DISABLE_CPU_FEATURES`), which
changes the last digits of losses and Jacobians themselves. `--sets` chooses data sets by the beginning of their names.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy._core._multiarray_umath import __cpu_dispatch__
from numpy._core._multiarray_umath import __cpu_features__ as in_use

from optlaws_core import LAWS, select

from .leaderboard import AVERAGE, Scored, _models, _scored
from .protocols import ROOT, protocols
from .table import show

SETS = ("sweep tiny", "sweep small", "sweep medium", "multi_power_law")
FIGURES = ("final_error", "curve_error", "rmse", "left_out", "misfit", "coverage", "final_coverage", "width")
KERNELS = ("Prescott", "Nehalem", "Sandybridge", "Haswell")  # of x86-64, oldest first
NEEDS = {"Sandybridge": "avx", "Haswell": "avx2"}  # of the processor, beyond what every x86-64 one has


def main() -> None:
    """Print the worst deviation of every law's figures."""
    options = argparse.ArgumentParser(prog="python -m benchmarks reproducibility")
    options.add_argument("--sets", nargs="+", default=SETS, metavar="NAME")
    options.add_argument("--laws", nargs="+", default=list(LAWS), choices=list(LAWS), metavar="LAW")
    options.add_argument("--write", type=Path, help=argparse.SUPPRESS)  # the figures of this very process, as JSON
    chosen = options.parse_args()
    if chosen.write:
        chosen.write.write_text(json.dumps(_figures(chosen.sets, chosen.laws)))
        return
    found = {}
    with TemporaryDirectory() as folder:
        for name, setting in settings().items():
            path = Path(folder) / "figures.json"
            command = [sys.executable, "-m", "benchmarks", "reproducibility", "--write", str(path)]
            command += ["--sets", *chosen.sets, "--laws", *chosen.laws]
            subprocess.run(command, cwd=ROOT, env=os.environ | setting, check=True, stdout=subprocess.DEVNULL)
            found[name] = json.loads(path.read_text())
            print(f"{name}: {found[name]['blas']}", file=sys.stderr, flush=True)
    kernels = sorted({f["blas"] for f in found.values()})
    print(f"{len(found)} settings; kernels of OpenBLAS that ran: {'; '.join(kernels)}\n")
    show(("law", *FIGURES, "where the worst is"), _deviations([f["rows"] for f in found.values()]))


def settings() -> dict[str, dict[str, str]]:
    """Environments by name. Kernels are those that this processor can run."""
    able = _features()
    kernels = [k for k in KERNELS if NEEDS.get(k, "") in able] if platform.machine() in ("x86_64", "AMD64") else []
    found = {
        f"{kernel}, {n} thread{'s' * (n > 1)}": {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": str(n)}
        for kernel in kernels
        for n in (1, 2)
    }
    plain = {
        "OPENBLAS_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": " ".join(f for f in __cpu_dispatch__ if in_use[f]),
    }
    return {"as it is": {}, **found, "NumPy without its extensions": plain}


def _features() -> set[str]:
    """What the processor can do, in the words of Linux; nothing beyond the least where that cannot be told."""
    path = Path("/proc/cpuinfo")
    return {"", *(path.read_text().split() if path.exists() else ())}


def _figures(sets: list[str], laws: list[str]) -> dict:
    import scipy.linalg  # noqa: F401  its library counts as well
    import threadpoolctl

    rows = {}
    for protocol in protocols():
        if not protocol.data_set.startswith(tuple(sets)):
            continue
        chosen = select(laws, protocol.train, test=protocol.test, from_step=protocol.from_step, processes=1)
        for name, model in _models(chosen):
            if (scored := _scored(model, protocol)) is not None:
                rows[f"{protocol.data_set} {protocol.choice}|{name}"] = _row(scored)
    blas = {i["architecture"] for i in threadpoolctl.threadpool_info() if i["internal_api"] == "openblas"}
    return {"rows": rows, "blas": ", ".join(sorted(blas))}


def _row(scored: Scored) -> list[float]:
    """Values of `FIGURES`, with all their digits."""
    errors = [scored.final, scored.curve, scored.rmse, scored.model.left_out, scored.model.misfit]
    return [*errors, scored.coverage, scored.final_coverage, scored.width]


def _deviations(found: list[dict[str, list[float]]]) -> list[tuple]:
    """A row for each law: the largest relative deviation of each figure over data sets and settings."""
    worst: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for key in found[0]:
        data_set, law = key.split("|")
        values = np.array([rows[key] for rows in found])
        worst[law][data_set] = list(np.ptp(values, axis=0) / np.maximum(np.abs(values).max(axis=0), 1e-300))
    rows = []
    for law in (name for name in (AVERAGE, *LAWS) if name in worst):
        table = np.array(list(worst[law].values()))
        where = list(worst[law])[int(table.max(axis=1).argmax())].strip()
        rows.append((law, *(f"{v:.0e}" if v else "0" for v in table.max(axis=0)), where))
    return rows

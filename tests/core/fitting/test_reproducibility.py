"""Fits are the same under every kernel of OpenBLAS and number of threads, as they would be on another processor."""

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from data.judge import ONE_PEAK
from tests.places import ROOT

pytestmark = pytest.mark.slow

# Each leaves one of three runs of 18 losses out: too little for seven coefficients, which is where searches stray.
FITS = """
import csv, json, sys
import numpy as np
import scipy.linalg, threadpoolctl
from optlaws_core import Plan, fit, parse, read
from optlaws_core.fitting.loss_curves import curve
from optlaws_core.fitting.single import usable
from optlaws_core.laws import law_named

rows = {row["run"]: row for row in csv.DictReader(open("data/manifest.csv", encoding="utf-8"))}
runs = []
for row in (rows[name] for name in sys.argv[1:]):
    plan = Plan(parse(row["schedule"]), float(row["params"]), float(row["batch_tokens"]))
    runs.append(usable(read(f"data/{row['file']}").runs[0].on("val").declared(plan)))
found = {}
for law in ("opt_laws_sublinear", "opt_laws_curve", "multi_power"):
    for left in runs:
        fitted = fit(law, [run for run in runs if run is not left])
        curves = [np.log(curve(law_named(law), fitted.vector, run)) for run in runs]
        found[f"{law} without {left.name}"] = [fitted.objective, *np.concatenate(curves)]
blas = [i["architecture"] for i in threadpoolctl.threadpool_info() if i["internal_api"] == "openblas"]
json.dump({"blas": blas, "fits": found}, sys.stdout)
"""
# The two oldest kernels run on every x86-64 processor; what this one is given by itself is a third.
SETTINGS = ({}, {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_CORETYPE": "Nehalem"})


def fits(setting: dict[str, str]) -> dict:
    command = [sys.executable, "-c", FITS, *ONE_PEAK["medium"]]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | setting, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these kernels are those of x86-64")
def test_fits_do_not_hang_on_the_processor():
    here, *others = map(fits, SETTINGS)
    if not here["blas"] or all(other["blas"] == here["blas"] for other in others):
        pytest.skip("this linear algebra has one kernel, whatever OPENBLAS_CORETYPE says")
    for other in others:
        for name, found in here["fits"].items():
            cost, *curves = other["fits"][name]
            assert cost == pytest.approx(found[0], rel=1e-9), name
            np.testing.assert_allclose(curves, found[1:], rtol=0, atol=1e-6, err_msg=name)

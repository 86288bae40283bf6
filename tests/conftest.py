"""Shared by all tests: the public runs beside the checkout, where they are present, and slow twins of the fast sums."""

import functools
import os
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core: more threads of linear algebra would wait for each other
    os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np
import pytest

from optlaws_core.readers import read
from tests.places import PUBLIC
from tests.support.commands import fit_file, select_files  # noqa: F401  fixtures for whoever asks
from tests.support.machines import cluster, machines, no_process_is_left  # noqa: F401  the same
from tests.support.stores import place, server, snapshot, store  # noqa: F401  the same

MARKS = {"browser": ("browser/",), "pages": ("pages/", "test_deployment")}
SPLIT = ("cosine_24000", "constant_24000", "wsdcon_9")  # the published training runs of multi_power_law


def pytest_collection_modifyitems(items):
    """What drives a browser or opens pages is marked so, by where it stands."""
    for item in items:
        where = item.path.relative_to(Path(__file__).parent).as_posix()
        for mark, beginnings in MARKS.items():
            if where.startswith(beginnings):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def public() -> Path:
    """Folder of the public runs; tests that need it skip without."""
    if not PUBLIC.exists():
        pytest.skip(f"the public runs are not beside the checkout ({PUBLIC.parent.name}/{PUBLIC.name})")
    return PUBLIC


@pytest.fixture(scope="session", params=["25M", "100M"])
def published(request, public):
    """(size, training runs, held-out runs) of multi_power_law."""
    runs = {r.name: r for r in read(public / "multi_power_law" / request.param / "manifest.csv").runs}
    return request.param, [runs[n] for n in SPLIT], [r for n, r in runs.items() if n not in SPLIT]


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_saved_among_the_data_of_whoever_runs_the_tests(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTLAWS_STORE", str(tmp_path_factory.mktemp("store") / "saved.sqlite"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _components_are_sought_once():
    """AppTest reads the metadata of all installed packages whenever it opens a page, for most of the time it takes."""
    if "streamlit" not in sys.modules:
        yield
        return
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        sought = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", sought)
        yield


@pytest.fixture(autouse=True)
def _main_stays_main(monkeypatch):
    """Streamlit's AppTest leaves its script as the main module, and spawned processes run that first."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(autouse=True)
def _no_silent_nans():
    """Invalid floating-point operations are errors in tests."""
    with np.errstate(invalid="raise"):
        yield

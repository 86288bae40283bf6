"""Slow libraries and the pages' own modules, imported by one thread at a time.

Visitors and the warm-up are threads, and Python's import locks are per module: a thread that asks for `scipy.signal`
does not wait for another that is still within `import scipy` (CPython 3.11 checks only that the parent is listed). Both
fail, and NumPy's and SciPy's extensions cannot be loaded a second time: the server would be broken until a restart.
So `router.py` and `app.py` load them here first; the modules' own imports then find them complete. The project's
modules import each other, so two threads that begin at different ends may wait for each other; they come last.

What they leave in memory stays for good, so it is kept from the garbage collector: 240,000 objects of libraries made a
full collection 0.2 s, for which everything waits.
"""

import gc
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock

PARTS = Path(__file__).resolve().parents[1]
OWN = sorted("pages.parts." + ".".join(p.relative_to(PARTS).with_suffix("").parts) for p in PARTS.rglob("*.py"))
SCRIPT = "pages.parts.router"  # run by Streamlit, not imported
# What the first page needs, and what all others and every later run of it may need. Anything that the app or the core
# imports from these packages, at the top of a module or within a function, is listed
# (tests/pages/server/test_libraries.py).
CHARTS = (
    "numpy",
    "numpy.typing",
    "pandas",
    "pandas.io.formats.style",
    "plotly.graph_objects",
    "plotly.subplots",
    "tsdownsample",
    "pyarrow",
    "pyarrow.parquet",
    "anyio",
    "anyio.to_thread",
    "starlette.datastructures",
    "starlette.middleware",
    "starlette.requests",
    "starlette.responses",
    "starlette.types",
    "starlette.websockets",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "sqlalchemy",
    "sqlalchemy.exc",
    "optlaws_core.saved.shelf",  # every visitor may have work that was kept
    "pages.parts.state.session",
    "pages.parts.state.keeping",
    "pages.parts.runs.files",
    "pages.parts.runs.table",
)
LAWS = (
    "numpy.polynomial",
    "scipy.linalg",
    "scipy.linalg.lapack",
    "scipy.sparse",
    "scipy.optimize",
    "scipy.special",
    "scipy.signal",
    "scipy.interpolate",
    "scipy.spatial",
    "scipy.stats",
    "scipy.ndimage",
    "sympy",
    "latex2mathml.converter",
    "threadpoolctl",
    "joblib",
    "joblib.parallel",
    "joblib.externals.loky.process_executor",
    *(name for name in OWN if name != SCRIPT),
)
FIGURES = (  # for papers, when one is asked for: they take a second to load
    "matplotlib",
    "matplotlib.figure",
    "matplotlib.ticker",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg",
)
DATABASE = ("psycopg",)  # with a store in PostgreSQL alone
CLUSTER = ("distributed", "distributed.client", "distributed.comm")  # with a Dask scheduler alone

_lock = Lock()
_loaded: set[str] = set()


def load(names: tuple[str, ...]) -> None:
    """Import modules, unless they are; other threads wait for one module at a time."""
    missing = [name for name in names if name not in _loaded]
    for name in missing:
        with _lock:
            import_module(name)
            _loaded.add(name)
    if missing:
        gc.freeze()


def load_where_installed(names: tuple[str, ...]) -> None:
    """`load` for what only some servers have; what needs the modules says in its own sentence that they are missing."""
    with suppress(ModuleNotFoundError):
        load(names)

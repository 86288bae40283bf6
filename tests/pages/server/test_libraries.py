"""Slow libraries are loaded by one thread at a time, before any module of the app asks for them."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from pages.parts.server import libraries
from tests.places import ROOT
from tests.test_architecture import imports

pytestmark = pytest.mark.slow
EARLIER = {"streamlit"}  # the server has imported it before any visitor comes
NEVER = {"torch"}
CORE = ROOT / "optlaws_core"
APART = {  # no page uses those, or only in a process of its own
    *(CORE / "cli").rglob("*.py"),
    *(CORE / "torch").glob("*.py"),
    CORE / "readers" / "remote" / "buckets.py",
    CORE / "prediction" / "in_tracker.py",
}
FILES = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *sorted({*CORE.rglob("*.py")} - APART)]


def foreign(path: Path) -> set[str]:
    """Modules of other projects that a file imports, at any depth of its code."""
    ours = {"pages", "optlaws_core"}
    known = {name.split(".")[0] for level, name in imports(path) if not level and name != "__future__"}
    third = {n for n in known - ours - EARLIER - NEVER if "site-packages" in str(getattr(find_spec(n), "origin", ""))}
    return {name for level, name in imports(path) if not level and name.split(".")[0] in third}


def test_whatever_the_app_imports_is_loaded_first():
    listed = {*libraries.CHARTS, *libraries.LAWS, *libraries.FIGURES, *libraries.DATABASE, *libraries.CLUSTER}
    wanted = set().union(*(foreign(path) for path in FILES))
    complete = listed | {name for name in wanted if any(n.startswith(f"{name}.") for n in listed)}
    assert len(wanted) > 10
    assert wanted - complete == set()
    assert all(import_module(name) for name in listed)


@pytest.mark.parametrize("attempt", range(2))
def test_threads_that_load_at_once_break_nothing(attempt):
    """Without the gate, about one in six such starts leaves SciPy half imported for good."""
    script = """
import sys, threading
sys.path.insert(0, ".")
sys.setswitchinterval(1e-5)
from pages.parts.server import libraries
failed = []
def visit(module):
    try:
        libraries.load(libraries.CHARTS)
        libraries.load(libraries.LAWS)
        __import__(module)
    except BaseException as e:
        failed.append(repr(e))
parts = "compare.curves fit.choice plan.recommended preselect.candidates live.forecast schedules.gallery".split()
modules = [f"pages.parts.{m}" for m in parts]
threads = [threading.Thread(target=visit, args=(m,)) for m in modules]
[t.start() for t in threads]
[t.join() for t in threads]
print(failed)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr


def test_no_page_imports_what_is_apart():
    named = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in APART}
    for path in FILES:
        assert not named & {name for _, name in imports(path)}, path

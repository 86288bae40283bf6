"""The shape of the code: data flows one way, the core knows no user interface, pages are thin."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import optlaws_core

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "optlaws_core"
# Every module may import those before it, and none after it.
ORDER = (
    "errors amounts parallel schedules runs noise trace history functionals sde divergence readers laws features bound "
    "evaluation fits final_loss hyper uncertainty search fitting joint bootstrap selection prediction optimize "
    "autolrs bands live browser exports snapshot store cli"
).split()
INTERFACES = {"streamlit", "plotly", "torch", "pages", "data"}
RUNS = {"eval", "exec", "compile", "__import__"}
RUNS_AS_METHOD = {"eval", "query", "read_pickle", "sympify", "parse_expr", "parse_latex", "system", "popen"}
RUNS_WHOLE = {"sp.S", "np.load", "torch.load"}
OPENS = {"allow_pickle", "unsafe_allow_html", "unsafe_allow_javascript"}
LOADERS = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "yaml", "subprocess", "joblib"}
ALLOWED = {
    "exports/formula.py": {"exec"},  # of code built from a schedule's numbers, checked in tests/test_hardening.py
    # its processes, never its files
    "parallel.py": {"joblib", "joblib.parallel", "joblib.externals.loky.process_executor"},
}


def imports(path: Path) -> set[tuple[int, str]]:
    """(level of the relative import, dotted name) of everything that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.level, node.module)} if node.module else {(node.level, a.name) for a in node.names}
    return found


def stage(path: Path) -> str:
    """The module or package of the core that a file belongs to."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def risky(path: Path) -> set[str]:
    """What could run code or load objects out of a text or a file, as far as the code names it."""
    found = {name for _, name in imports(path) if name.split(".")[0] in LOADERS}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg in OPENS:
            found.add(node.arg)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS:
            found.add(node.func.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            whole = ast.unparse(node.func)
            if node.func.attr in RUNS_AS_METHOD or whole in RUNS_WHOLE:
                found.add(whole)
    return found


def test_every_module_has_its_place():
    assert {stage(p) for p in CORE.rglob("*.py")} == {*ORDER, "__init__", "__main__"}


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda p: str(p.relative_to(CORE)))
def test_the_core_flows_one_way_and_never_meets_an_interface(path):
    here, depth = stage(path), len(path.relative_to(CORE).parts)
    for level, name in imports(path):
        assert name.split(".")[0] not in INTERFACES or level, f"{path.name} imports {name}"
        if here.startswith("__") or level < depth:
            continue  # the package's own door, or a neighbour inside the same stage
        assert ORDER.index(name.split(".")[0]) < ORDER.index(here), f"{path.name} imports {name}, which comes later"


@pytest.mark.parametrize("folder", ("optlaws_core", "pages"))
def test_nothing_runs_a_text_or_unpickles_a_file(folder):
    paths = (ROOT / folder).rglob("*.py")
    found = {str(path.relative_to(ROOT / folder)): what for path in paths if (what := risky(path))}
    assert found == (ALLOWED if folder == "optlaws_core" else {})


def test_exported_names_are_the_public_names():
    assert set(optlaws_core.__all__) == set(optlaws_core._MODULE) <= set(dir(optlaws_core))
    assert all(getattr(optlaws_core, name) is not None for name in optlaws_core.__all__)
    assert optlaws_core.__all__ == sorted(optlaws_core.__all__, key=lambda n: (not n.isupper(), not n[0].isupper(), n))


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=lambda p: p.name)
def test_a_page_reads_calls_and_shows(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    assert "session.page(" in path.read_text(encoding="utf-8")


def test_one_file_uses_the_session_state():
    users = [p.name for p in (ROOT / "pages").rglob("*.py") if "session_state" in p.read_text(encoding="utf-8")]
    assert users == ["session.py"]


def test_one_file_shows_charts_and_tables():
    shown = ("plotly_chart(", "st.dataframe(", ".dataframe(", "st.table(", "to_csv(")
    users = {p.name for p in (ROOT / "pages").rglob("*.py") for word in shown if word in p.read_text(encoding="utf-8")}
    assert users == {"showing.py", "spreadsheet.py", "final_fit.py"}  # the last writes a bundled table of numbers


def test_charts_know_no_streamlit():
    for path in (ROOT / "pages" / "parts" / "charts").glob("*.py"):
        assert not {n for _, n in imports(path) if n.split(".")[0] == "streamlit"}, path


@pytest.mark.slow
def test_the_app_starts_without_torch():
    code = "import sys, app, pages.parts.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=120).returncode == 0


def test_what_is_documented_exists():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in (*optlaws_core.LAWS, *optlaws_core.SCHEDULES):
        assert f"`{name}`" in readme, f"README does not mention {name}"

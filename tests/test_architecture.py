"""The shape of the code: data flows one way, the core knows no user interface, pages are thin."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import optlaws_core
from tests.places import ROOT

CORE = ROOT / "optlaws_core"
# Every package may import those before it, and none after it.
ORDER = (
    "errors arrays text markup parallel schedules exports runs laws readers fitting hyper prediction final_loss live "
    "optimize saved paper figures cli torch"
).split()
PARTS = ROOT / "pages" / "parts"
# The same of the folders and modules in pages/parts. What is above `page` belongs to one page, or to several.
PAGES_ORDER = (
    "server widgets state page runs sweep fit preselect plan live compare schedules share decide router".split()
)
# Imports of our own modules within a function, each for a reason that stands beside it.
LAZY = {
    "server/workers.py": {"optlaws_core"},
    "server/limits.py": {"optlaws_core.text"},
    "state/identity.py": {"optlaws_core.saved.rights"},
    "state/settings.py": {f"optlaws_core.saved.{name}" for name in ("logouts", "shelf", "store")},
    "state/keeping.py": {"optlaws_core.saved", "optlaws_core.saved.shelf", "optlaws_core.saved.rights"},
    "state/kept_fits.py": {"optlaws_core.saved"},
}
INTERFACES = {"streamlit", "plotly", "torch", "transformers", "lightning", "pages", "data"}
# Which of them a stage of the core may know, where it is there for them.
MEETS = {"figures": {"plotly"}, "torch": {"torch", "transformers", "lightning"}}
RUNS = {"eval", "exec", "compile", "__import__"}
RUNS_AS_METHOD = {"eval", "query", "read_pickle", "sympify", "parse_expr", "parse_latex", "system", "popen"}
RUNS_WHOLE = {"sp.S", "np.load", "torch.load"}
OPENS = {"allow_pickle", "unsafe_allow_html", "unsafe_allow_javascript"}
LOADERS = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "yaml", "subprocess", "joblib"}
ALLOWED = {
    "exports/formula.py": {"exec"},  # of code built from a schedule's numbers, checked in tests/test_hardening.py
    # its processes, never its files
    "parallel.py": {"joblib", "joblib.parallel", "joblib.externals.loky", "joblib.externals.loky.process_executor"},
}
# Python itself, with nothing in it of a visitor's; to the trainer, schedules that were read are sent as text.
PAGES_ALLOWED = {"parts/server/workers.py": {"subprocess"}, "parts/server/trainer.py": {"subprocess"}}


def imports(path: Path) -> set[tuple[int, str]]:
    """(level of the relative import, dotted name) of everything that a file imports, at any depth of its code.

    Except by methods called `plot`, the one way up: from a record to its chart.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return imported(tree) - imported(*plots(tree)) | imported(
        *(n for n in tree.body if not isinstance(n, ast.ClassDef))
    )


def plots(tree: ast.Module) -> list[ast.FunctionDef]:
    """The methods that draw a record."""
    methods = [n for c in tree.body if isinstance(c, ast.ClassDef) for n in c.body if isinstance(n, ast.FunctionDef)]
    return [n for n in methods if n.name == "plot"]


def imported(*nodes: ast.AST) -> set[tuple[int, str]]:
    """What the code within nodes imports."""
    found = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
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
    theirs = INTERFACES - MEETS.get(here, frozenset())
    for level, name in imports(path):
        assert name.split(".")[0] not in theirs or level, f"{path.name} imports {name}"
        if here.startswith("__") or level < depth:
            continue  # the package's own door, or a neighbour inside the same stage
        assert ORDER.index(name.split(".")[0]) < ORDER.index(here), f"{path.name} imports {name}, which comes later"


def test_records_reach_up_to_their_charts_alone():
    paths = [path for path in CORE.rglob("*.py") if stage(path) not in ("figures", "cli")]
    reached = {name for path in paths for name in imported(*plots(ast.parse(path.read_text(encoding="utf-8"))))}
    assert reached == {(2, "figures.of_records")}


@pytest.mark.parametrize("folder", ("optlaws_core", "pages"))
def test_nothing_runs_a_text_or_unpickles_a_file(folder):
    paths = (ROOT / folder).rglob("*.py")
    found = {str(path.relative_to(ROOT / folder)): what for path in paths if (what := risky(path))}
    assert found == (ALLOWED if folder == "optlaws_core" else PAGES_ALLOWED)


def test_whoever_asks_a_model_need_not_know_which_kind_it_is():
    for path in [*CORE.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        if path.parent.name == "fitting":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                kinds = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                assert not kinds & {"Fit", "Average"}, f"{path.name}:{node.lineno}"


def test_exported_names_are_the_public_names():
    assert set(optlaws_core.__all__) == set(optlaws_core._MODULE) <= set(dir(optlaws_core))
    assert all(getattr(optlaws_core, name) is not None for name in optlaws_core.__all__)
    assert optlaws_core.__all__ == sorted(optlaws_core.__all__, key=lambda n: (not n.isupper(), not n[0].isupper(), n))


def parts_imported(path: Path) -> set[str]:
    """Modules of pages/parts that a module of it imports at any depth of its code, as paths below pages/parts."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1] / "/".join((node.module or "").split("."))
            names = [base / a.name for a in node.names] if base.is_dir() else [base]
            found |= {str(name.relative_to(PARTS)) for name in names if name.with_suffix(".py").is_file()}
    return found


def in_functions(path: Path) -> set[str]:
    """Modules of ours that a file imports within a function."""
    functions = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)]
    inner = [node for function in functions for node in ast.walk(function)]
    found = {("." * n.level) + (n.module or "") for n in inner if isinstance(n, ast.ImportFrom)}
    found |= {alias.name for n in inner if isinstance(n, ast.Import) for alias in n.names}
    return {name for name in found if name.startswith((".", "optlaws_core", "pages"))}


def test_every_part_of_a_page_has_its_place():
    places = {p.relative_to(PARTS).parts[0].removesuffix(".py") for p in PARTS.rglob("*.py")}
    assert places == set(PAGES_ORDER)
    assert {p.name for p in PARTS.glob("*.py")} == {"page.py", "router.py"}


@pytest.mark.parametrize("path", sorted(PARTS.rglob("*.py")), ids=lambda p: str(p.relative_to(PARTS)))
def test_the_parts_of_the_pages_flow_one_way(path):
    here = path.relative_to(PARTS).parts[0].removesuffix(".py")
    for name in parts_imported(path):
        there = name.split("/")[0]
        assert PAGES_ORDER.index(there) <= PAGES_ORDER.index(here), f"{path.name} imports {name}, which comes later"
    assert in_functions(path) <= LAZY.get(str(path.relative_to(PARTS)), set())


def test_no_modules_of_the_pages_import_each_other():
    left = {str(p.relative_to(PARTS).with_suffix("")): parts_imported(p) for p in PARTS.rglob("*.py")}
    assert {name for found in left.values() for name in found} <= set(left)
    while ready := {name for name, found in left.items() if not found & set(left)}:
        left = {name: found for name, found in left.items() if name not in ready}
    assert not left, "a circle, or what hangs on one"


def test_nobody_asks_whether_a_model_is_a_fit_or_an_average():
    """Both answer to the same questions: `parts`, `single`, `title`."""
    asked = re.compile(r"isinstance\([^)]*\b(Fit|Average)\b")
    paths = [p for folder in ("pages", "optlaws_core", "benchmarks") for p in (ROOT / folder).rglob("*.py")]
    asking = {str(p.relative_to(ROOT)) for p in paths if asked.search(p.read_text(encoding="utf-8"))}
    assert not {name for name in asking if not name.startswith("optlaws_core/fitting/")}


def test_type_checkers_see_the_public_names():
    tree = ast.parse((CORE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [n for n in tree.body if isinstance(n, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = {n.module: tuple(alias.name for alias in n.names) for n in block.body if isinstance(n, ast.ImportFrom)}
    assert seen == optlaws_core._HOME


def test_a_file_name_stands_for_one_file_of_the_core():
    names = Counter(p.name for p in CORE.rglob("*.py"))
    assert {n for n, times in names.items() if times > 1} <= {"__init__.py", "base.py"}


def test_the_core_has_few_rooms():
    inside = [p for p in CORE.iterdir() if p.name not in ("__init__.py", "__pycache__")]
    rooms = [p for p in inside if any(p.glob("*.py"))]
    assert len([p for p in inside if p.suffix == ".py"]) <= 6 and len(rooms) <= 16


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=lambda p: p.name)
def test_a_page_reads_calls_and_shows(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    assert "page.open(" in path.read_text(encoding="utf-8")


def test_one_file_uses_the_session_state():
    users = [p.name for p in (ROOT / "pages").rglob("*.py") if "session_state" in p.read_text(encoding="utf-8")]
    assert users == ["session.py"]


def test_one_file_shows_charts_and_tables():
    shown = ("plotly_chart(", "st.dataframe(", ".dataframe(", "st.table(", "to_csv(")
    users = {p.name for p in (ROOT / "pages").rglob("*.py") for word in shown if word in p.read_text(encoding="utf-8")}
    assert users == {"showing.py", "spreadsheet.py", "tables.py"}  # the last writes a bundled table of numbers


def test_charts_know_no_streamlit():
    for path in (ROOT / "pages" / "parts").rglob("*chart*.py"):
        assert not {n for _, n in imports(path) if n.split(".")[0] == "streamlit"}, path


def test_tests_run_event_loops_in_one_place():
    """A loop in a test's own thread fails after any browser test of the same process, and passes alone."""
    starts = re.compile(r"\b(asyncio|anyio)\.run\b|\brun_until_complete\b")
    users = {p.name for p in (ROOT / "tests").rglob("*.py") if starts.search(p.read_text(encoding="utf-8"))}
    assert users == {"loops.py"}


@pytest.mark.slow
def test_the_app_starts_without_torch():
    code = "import sys, app, pages.parts.fit.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=120).returncode == 0


def test_what_is_documented_exists():
    page = (ROOT / "docs" / "laws.md").read_text(encoding="utf-8")
    for name in (*optlaws_core.LAWS, *optlaws_core.SCHEDULES):
        assert f"`{name}`" in page, f"docs/laws.md does not mention {name}"


def test_no_cache_is_kept_in_the_repository():
    listed = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    try:
        done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no git to ask")
    if done.returncode:
        pytest.skip("this is no git checkout")
    assert not done.stdout, f"ignored by .gitignore, yet committed: {done.stdout.split()}"


SCRIPTS = [
    ROOT / "app.py",
    *(ROOT / "pages").rglob("*.py"),
    *(ROOT / "benchmarks").glob("*.py"),
    *(ROOT / "data").glob("*.py"),
]


@pytest.mark.parametrize("path", sorted(SCRIPTS), ids=lambda p: str(p.relative_to(ROOT)))
def test_what_is_imported_late_is_there(path):
    """Imports in functions, which nothing meets before the function runs: of our own modules, by name."""
    home = path.parent.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            above = home[: len(home) - node.level + 1] if node.level else ()
            place = ROOT.joinpath(*above, *node.module.split("."))
            if not (place.with_suffix(".py").exists() or (place / "__init__.py").exists()) and place.is_dir():
                lost = [
                    a.name
                    for a in node.names
                    if not (place / f"{a.name}.py").exists() and not (place / a.name).is_dir()
                ]
                assert not lost, f"{path.name} imports {lost[0]} of {node.module}, which is not there"
            elif node.level or (ROOT / node.module.split(".")[0]).is_dir():
                assert place.is_dir() or place.with_suffix(".py").exists(), f"{path.name} imports {node.module}"

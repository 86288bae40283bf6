"""What a type checker sees of the public names, which load when they are first used: signatures, hardly an Any."""

import ast
import re
import subprocess
import sys

import pytest

import optlaws_core
from tests.places import ROOT

# What of libraries without types is left: a formula of SymPy, tables of pandas.
UNTYPED = {"Law", "read_sweep", "read_table"}
SHAPES = re.compile(r"tuple\[Any, \.\.\.\]|dtype\[Any\]|numpy\._typing\S*")  # of arrays, of which NumPy tells no more
CORE = ROOT / "optlaws_core"


@pytest.mark.slow
def test_a_type_checker_sees_what_every_public_name_is(tmp_path):
    asking = tmp_path / "asking.py"
    names = optlaws_core.__all__
    asking.write_text("import optlaws_core\n" + "".join(f"reveal_type(optlaws_core.{name})\n" for name in names))
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), str(asking)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    told = [SHAPES.sub("", t) for t in re.findall(r'Revealed type is "(.*)"', done.stdout)]
    seen = dict(zip(names, told, strict=True))
    assert {name for name, t in seen.items() if re.search(r"\bAny\b", t)} == UNTYPED
    assert not [name for name, t in seen.items() if t in ("object", "builtins.object")]
    assert seen["rank"].endswith("-> optlaws_core.prediction.ranking.Ranking") and "runs: typing" in seen["fit"]
    assert seen["read"].endswith("-> optlaws_core.readers.base.Reading") and seen["LAWS"].startswith("dict[str, ")


def bare(node: ast.FunctionDef, method: bool) -> bool:
    """Whether a function lacks the type of a parameter or of what it returns."""
    a = node.args
    given = [*a.posonlyargs, *a.args][method and "staticmethod" not in map(ast.unparse, node.decorator_list) :]
    every = [*given, *a.kwonlyargs, *(p for p in (a.vararg, a.kwarg) if p)]
    return node.returns is None or any(p.annotation is None for p in every)


def public(tree: ast.AST, method: bool = False) -> list[tuple[ast.FunctionDef, bool]]:
    """Functions of a module and methods of its classes that others may call, and whether each is a method."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += public(node, True)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found.append((node, method))
    return found


def test_every_public_function_of_the_core_says_its_types():
    lacking = [
        f"{path.relative_to(CORE)}:{node.lineno} {node.name}"
        for path in sorted(CORE.rglob("*.py"))
        for node, method in public(ast.parse(path.read_text(encoding="utf-8")))
        if bare(node, method)
    ]
    assert lacking == []

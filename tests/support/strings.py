"""Every string that a user may read, for an editor: `python -m tests.support.strings`.

Found by the syntax tree of the app and of the core: texts of two words or more, wherever they stand, and what widgets,
columns, notes, errors and options are given, also where it is one word. Not found: docstrings, what is compared or
looked up, regular expressions, SQL, and code that is exported.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("app.py", "pages", "optlaws_core")
SHOWN = {"label", "help", "placeholder", "caption", "title", "name", "text", "hovertemplate", "description", "epilog"}
TELLING = {"Note", "Param", "entry", "add_argument", "add_parser", "print"}  # beside st.* and errors
SILENT = {
    "compile",
    "match",
    "search",
    "fullmatch",
    "finditer",
    "findall",
    "sub",
    "execute",
    "executescript",
    "strptime",
}
SQL = re.compile(r"\s*(select|insert|update \w+ set|delete from|create|alter|with \w+ as|drop|pragma|begin)\b")
CODE = re.compile(
    r"\n(def|import|from|return) |^\s*(def|import|return|from \w+ import) |\bself\.|[{};]\n|^#!|</?\w+[ >]"
)
WORDS = re.compile(r"[A-Za-z(]{2,}[,;:.)]? +[({\[`'\"]?\w")
WORD = re.compile(r"[A-Z][a-z]+\b")


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string in Python `source` that a user may read, with {…} for what is filled in."""
    yield from _within(ast.parse(source), shown=False)


def listing(root: Path = ROOT) -> list[str]:
    """`file:line: text`, once for each text, by file and line."""
    first: dict[str, str] = {}
    for path in _files(root):
        for line, text in strings(path.read_text(encoding="utf-8")):
            first.setdefault(text, f"{path.relative_to(root)}:{line}")
    return [f"{where}: {text}" for text, where in first.items()]


def _files(root: Path) -> Iterator[Path]:
    for place in SOURCES:
        path = root / place
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def _within(node: ast.AST, shown: bool) -> Iterator[tuple[int, str]]:
    """The strings in `node`; `shown` says that also one word is for users here."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        text = _text(node)
        if text and (_telling(text) or (shown and WORD.match(text))):
            yield node.lineno, text.replace("\n", "\\n")
        if isinstance(node, ast.Constant):
            return
    for child in _parts(node):
        yield from _within(child, _is_shown(node, child, shown))


def _telling(text: str) -> bool:
    return bool(WORDS.search(text)) and not SQL.match(text) and not CODE.search(text)


def _text(node: ast.Constant | ast.JoinedStr) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "{…}" for v in node.values)
    return node.value if isinstance(node.value, str) else None


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """What of `node` may hold strings for users."""
    if isinstance(node, ast.JoinedStr):
        yield from (value.value for value in node.values if isinstance(value, ast.FormattedValue))
    elif isinstance(node, ast.Compare | ast.Subscript):
        yield from (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.Constant))
    elif isinstance(node, ast.Call) and _called(node) in SILENT:
        return
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    else:
        yield from ast.iter_child_nodes(node)


def _is_shown(node: ast.AST, child: ast.AST, shown: bool) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg in SHOWN
    if isinstance(node, ast.Call):
        return child in node.args and _tells(node)
    return shown and isinstance(node, ast.IfExp | ast.List | ast.Tuple | ast.BoolOp | ast.Dict | ast.Starred)


def _tells(call: ast.Call) -> bool:
    name, whole = _called(call), ast.unparse(call.func)
    return name in TELLING or name.endswith(("Error", "Column")) or whole.startswith(("st.", "showing."))


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", None) or getattr(call.func, "id", "")


if __name__ == "__main__":
    sys.stdout.write("".join(f"{entry}\n" for entry in listing()))

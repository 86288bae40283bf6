"""The example notebooks: valid, without outputs, and each cell runs, in one process and without Jupyter."""

import ast
import json
from pathlib import Path

import pytest

from optlaws_core.fitting.selection import Selection
from tests.places import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "python.md")


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def run(path: Path) -> dict:
    """The names that a notebook leaves behind; what ends a cell is shown as a notebook would."""
    space: dict = {}
    for i, cell in enumerate(cells(path)):
        if cell["cell_type"] != "code":
            continue
        *body, last = ast.parse("".join(cell["source"])).body
        if not isinstance(last, ast.Expr):
            body, last = [*body, last], None
        exec(compile(ast.Module(body, []), f"{path.name}, cell {i}", "exec"), space)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), f"{path.name}, cell {i}", "eval"), space)
            ways = [getattr(shown, way, None) for way in ("_repr_html_", "_repr_latex_")]
            if type(shown).__module__.startswith("optlaws_core"):
                assert all(way() for way in ways if way) and any(ways)
    return space


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_has_no_outputs(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5) and book["metadata"]["kernelspec"]["name"] == "python3"
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    assert "".join(book["cells"][0]["source"]).startswith("# ")
    for cell in book["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
        assert cell["source"] and not cell["source"][-1].endswith("\n")
    for document in DOCUMENTS:
        assert f"notebooks/{path.name}" in document.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_decision_is_read_off_logs_as_the_notebook_says(monkeypatch):
    pytest.importorskip("plotly")
    monkeypatch.chdir(ROOT / "docs" / "notebooks")
    left = run(ROOT / "docs" / "notebooks" / "logs_to_decision.ipynb")
    assert isinstance(left["chosen"], Selection) and left["chosen"].trusted is left["chosen"].average
    # What its prose says of what happened.
    assert ((left["checked"].low < left["checked"].observed) & (left["checked"].observed < left["checked"].high)).all()
    for long in (left["cosine"], left["wsd"]):
        assert 0.005 < long.loss[-1] / left["ended"][long.plan.schedule] - 1 < 0.015
    assert left["predicted_gap"] > 0 and left["predicted_gap"] == pytest.approx(left["observed_gap"], rel=0.3)


@pytest.mark.slow
def test_laws_and_schedules_are_as_the_notebook_says(monkeypatch):
    pytest.importorskip("plotly")
    monkeypatch.chdir(ROOT / "docs" / "notebooks")
    left = run(ROOT / "docs" / "notebooks" / "laws_and_schedules.ipynb")
    ends = left["decays"]["final loss"].tolist()
    assert 0 < ends.index(min(ends)) < len(ends) - 1
    low, high = left["found"].interval["c"]
    assert low < left["slower"].theta["c"] < high and left["slower"].held_out_rmse > 10 * left["found"].held_out_rmse

"""What texts say of the Opt-Laws paper: what is taken from it, what was not checked; and of what has an escape term."""

import json
import re

import pytest

from optlaws_core import FINAL_LAWS, LAWS
from optlaws_core.laws.provenance import UNCHECKED
from tests.places import ROOT
from tests.support.commands import BUNDLED, CANDIDATES, TRAIN, told

CURVES = ("opt_laws_curve", "opt_laws_sublinear")
TEXTS = [
    *(p for folder in ("optlaws_core", "pages", "benchmarks", "docs") for p in sorted((ROOT / folder).rglob("*.py"))),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
]


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_law_of_this_project_does_not_bear_the_papers_name(name):
    law = LAWS[name]
    assert "Opt-Laws" not in law.title and law.reference.startswith("A formula of this project.")
    assert UNCHECKED in law.reference


@pytest.mark.parametrize("law", FINAL_LAWS.values(), ids=lambda law: law.name)
def test_a_final_loss_law_says_whose_its_form_is(law):
    assert UNCHECKED in law.reference and law.reference.startswith("A formula of this project.")
    has_escape = r"E_\kappa" in law.latex
    assert has_escape == (law.name == "opt_laws_log_linear") and ("escape" in law.summary) <= has_escape


def test_the_commands_say_it(capsys):
    for argv in (["laws"], ["laws", "--of", "final"]):
        assert UNCHECKED in told(capsys, *argv)[1]
    said = {row["law"]: row["reference"] for row in json.loads(told(capsys, "laws", "--json")[1])}
    assert all(UNCHECKED in said[name] for name in CURVES)


def test_no_text_says_that_the_paper_is_not_published_or_was_out_of_reach():
    denied = re.compile(r"(is|are)\s+not\s+published|unpublished|could\s+not\s+be\s+read|published\s+in\s+full", re.I)
    papers = re.compile(r"Opt-Laws|2409\.04777")
    found = []
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        for match in denied.finditer(text):
            around = text[max(0, match.start() - 400) : match.end() + 400]
            if papers.search(around):
                found.append((path.name, match[0]))
    assert not found


@pytest.mark.parametrize(
    "path", [ROOT / "docs" / name for name in ("laws.md", "final-loss-notes.md")], ids=lambda p: p.name
)
def test_the_documents_say_what_was_not_checked(path):
    text = " ".join(path.read_text(encoding="utf-8").split())
    assert "not checked against" in text and "final training loss" in text
    assert "second-hand" in text and "near-optimal" in text


def test_files_with_the_names_of_before_work(capsys, tmp_path):
    out = tmp_path / "fit.json"
    argv = [
        "fit",
        "--law",
        "opt_laws_curve",
        "--runs",
        BUNDLED,
        "--split",
        "val",
        "--train",
        *TRAIN,
        "--json",
        str(out),
    ]
    assert told(capsys, *argv)[0] == 0
    assert json.loads(out.read_text())["law"] == "opt_laws_curve"  # what files of before say
    code, said, _ = told(capsys, "predict", "--fit", str(out), "--schedule", CANDIDATES[0])
    assert code == 0 and "3,999" in said

"""The commands `laws` and `schedules`: everything that there is, as lines and as JSON."""

import json

import pytest

from optlaws_core import LAWS, SCHEDULES
from optlaws_core.cli import COMMANDS
from optlaws_core.final_loss import FINAL_LAWS
from optlaws_core.paper.citations import bibtex
from tests.places import ROOT
from tests.support.commands import told


def test_lists(capsys):
    code, out, _ = told(capsys, "laws", "--json")
    assert code == 0 and [row["law"] for row in json.loads(out)] == list(LAWS)
    code, out, _ = told(capsys, "laws", "--of", "final", "--json")
    assert code == 0 and [row["law"] for row in json.loads(out)] == list(FINAL_LAWS)
    code, out, _ = told(capsys, "schedules", "--json")
    assert code == 0 and [row["schedule"] for row in json.loads(out)] == list(SCHEDULES)
    for command, names in (("laws", LAWS), ("schedules", SCHEDULES)):
        code, out, _ = told(capsys, command)
        assert code == 0 and all(name in out for name in names)


def test_the_sources_of_the_laws_are_listed_as_bibtex(capsys):
    assert told(capsys, "laws", "--bibtex") == (0, bibtex(LAWS), "")
    code, out, err = told(capsys, "laws", "--of", "final", "--bibtex")
    assert (code, out, err) == (1, "", "No source is known for the law 'opt_laws'.\n")


def test_every_command_is_on_its_page_and_helps(capsys):
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"python -m optlaws_core {name} " not in page] == []
    parts = ("rates", "compute", "batch", "width", "sparse", "sweep", "public")
    for words in (["plan"], *(["plan", part] for part in parts), ["bound"]):
        with pytest.raises(SystemExit) as left:
            told(capsys, *words, "--help")
        assert left.value.code == 0 and "--" in capsys.readouterr().out
        assert f"optlaws_core {' '.join(words)} " in page

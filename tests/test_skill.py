"""The skill for agents: its front matter, and its commands, which say what it shows."""

import re
import shlex

import pytest

from tests.places import ROOT
from tests.support.commands import told

SKILL = (ROOT / "skills" / "optlaws" / "SKILL.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
LEFT_OUT = "…"


def shown() -> list[tuple[list[str], list[str]]]:
    """Each command's words, and the lines of its output that are shown."""
    blocks = re.findall(r"```console\n\$ optlaws (.*)\n((?:.*\n)*?)```", SKILL)
    return [(shlex.split(command), [line for line in out.splitlines() if line != LEFT_OUT]) for command, out in blocks]


def numbers(line: str) -> list[float]:
    return [float(found.replace(",", "")) for found in NUMBER.findall(line)]


def alike(line: str, found: str) -> bool:
    """Whether two lines say the same, but for digits in which machines differ."""
    same = NUMBER.sub("#", line) == NUMBER.sub("#", found)
    return same and numbers(found) == pytest.approx(numbers(line), rel=0.02, abs=0.002)


def test_the_front_matter_is_what_agents_ask_for():
    name, description = re.match(r"---\nname: (.*)\ndescription: (.*)\n---\n", SKILL).groups()
    assert name == "optlaws" and 0 < len(description) <= 1024  # the most that the format allows


@pytest.mark.slow
def test_its_commands_say_what_it_shows(capsys, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    assert {words[0] for words, _ in shown()} == {"read", "select", "rank", "forecast", "optimize", "export"}
    for words, lines in shown():
        code, out, err = told(capsys, *words)
        assert code == 0, err
        assert lines and all(any(alike(line, found) for found in out.splitlines()) for line in lines), out

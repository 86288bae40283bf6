"""README and docs: links lead somewhere, pictures are shown and light, and the commands of README and tutorial work."""

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from tests.places import ROOT
from tests.support.commands import told

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "data" / "README.md",
    ROOT / "skills" / "optlaws" / "SKILL.md",
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEAVIEST = 250_000  # bytes of a picture
WIDTH = 1280  # px


def prose(path: Path) -> str:
    """A page without its blocks of code, in which brackets are no links."""
    return re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path: Path) -> list[str]:
    """The links of a page, to files and headings of the project, that lead nowhere."""
    found = []
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.exists() or anchor and anchor not in anchors(there):
            found.append(link)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_internal_link_leads_somewhere(path):
    assert broken(path) == []


def test_a_broken_link_is_told(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](#one-thing) [b](#two) [c](no.md) [d](page.md#two) [e](https://example.org/no)\n")
    assert broken(page) == ["#two", "no.md", "page.md#two"]


def test_readme_leads_to_every_page_of_the_documentation():
    links = {link.partition("#")[0] for link in LINK.findall(README)}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= links


def test_pictures_are_shown_and_light():
    shown = {(path.parent / link).resolve() for path in PAGES for link in LINK.findall(prose(path)) if ".png" in link}
    there = {*(ROOT / "docs").glob("*.png")}
    assert shown == there and there
    for picture in there:
        assert picture.stat().st_size < HEAVIEST, picture.name
        with Image.open(picture) as image:
            assert image.width == WIDTH, picture.name


def test_the_files_and_commands_of_readme_work(tmp_path, monkeypatch, capsys):
    files = re.findall(r"`([\w.]+\.csv)`[^`]*```csv\n(.*?)```", README, re.DOTALL)
    assert [name for name, _ in files] == ["cosine.csv", "wsd.csv", "runs.csv"]
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [line.removeprefix("python -m optlaws_core ") for line in block.strip().splitlines()]
    assert [line.split()[0] for line in lines] == ["read", "fit", "rank"]
    code, out, _ = told(capsys, *shlex.split(lines[0]))
    assert code == 0 and "learning rate logged" in out and "learning rate declared" in out
    assert told(capsys, *shlex.split(lines[1]))[0] == 0
    code, out, _ = told(capsys, *shlex.split(lines[2]), "--json")
    assert code == 0
    best, baseline = json.loads(out)
    said = re.search(r"end ([\d.]+) lower \(90 %: ([\d.]+) to ([\d.]+) lower\).*?of (\d+) %", README, re.DOTALL)
    found = [-best["difference"], -best["low"], -best["high"], best["p_below"]]
    assert best["schedule"].startswith("cosine") and baseline["schedule"].startswith("wsd")
    assert found == pytest.approx([*map(float, said.groups()[:3]), int(said[4]) / 100], abs=6e-4, rel=0.01)
    assert best["reasons"] == ["8,000 updates, the longest training run had 4,000"]


@pytest.mark.slow
def test_the_commands_of_the_tutorial_print_what_it_says(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    steps = re.findall(r"```sh\noptlaws (.*?)\n```\n\n```text\n(.*?)\n```", page, re.DOTALL)
    assert [line.split()[0] for line, _ in steps] == ["read", "select", "rank", "read", "export"]
    assert page.count("```sh\n") == len(steps)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    for line, said in steps:
        code, out, err = told(capsys, *shlex.split(line))
        assert code == 0, err
        number = r"\d+(?:\.\d+)?(?:e-?\d+)?"
        assert re.sub(number, "#", out.strip()) == re.sub(number, "#", said), line
        # The last digits of a fit are not the same on every machine.
        found, shown = ([*map(float, re.findall(number, text))] for text in (out, said))
        assert found == pytest.approx(shown, rel=0.02, abs=2e-4), line

"""The page for users, `docs/log-formats.md`, says what the readers do: its files, lines, formats and commands."""

import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from optlaws_core.cli import main
from optlaws_core.readers import FORMATS, Source, read, read_source
from optlaws_core.readers.formats.console_lines import scan
from optlaws_core.readers.formats.console_shapes import GENERAL, SHAPES
from tests.knowledge.logs import GOOD, READINGS, sample
from tests.places import ROOT

PAGE = (ROOT / "docs" / "log-formats.md").read_text(encoding="utf-8")
TEXTS = [f.name for f in FORMATS if b"\0" not in f.sample and f.sample.isascii()]
# Formats that differ from CSV in the delimiter only: the page shows one of their rows.
DELIMITED = ("TSV", "CSV with semicolons", "table with spaces")
MANIFEST = "Manifest"
TOOLS = list(dict.fromkeys(shape.name for shape in (*SHAPES, GENERAL)))
SEVERAL_LINES = ("OLMo", "Composer", "Keras", "Hugging Face Trainer")  # shown as files, not in the table


@dataclass(frozen=True)
class Told:
    """What the page says of a run."""

    name: str
    points: int
    steps: tuple[int, int]
    split: str
    loss: tuple[float, float]
    rates: bool


@dataclass(frozen=True)
class Shown:
    """A file that stands on the page in full, and what the page says of it."""

    name: str
    answer: str
    text: str
    runs: tuple[Told, ...]


_FENCE = re.compile(r"^(?P<before>[^\n]*)\n```text\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CAPTION = re.compile(r"`(?P<file>[^`]+)`(?: with `(?P<answer>[^`]+)`)? (?P<verb>holds|declares) (?P<said>.+)\.")
_RUN = re.compile(
    r"\*\*(.+?)\*\*: (\d+) points, steps ([\d,]+) to ([\d,]+), (\w+) ([\d.]+) to ([\d.]+), (rates logged|no rates)"
)


def captions() -> Iterator[tuple[re.Match[str], str]]:
    """The line above each file on the page, and the file."""
    for found in _FENCE.finditer(PAGE):
        caption = _CAPTION.fullmatch(found["before"])
        assert caption, f"a file must follow a line that says what it holds, got {found['before']!r}."
        yield caption, found["text"]


def shown() -> list[Shown]:
    """The files on the page that hold runs."""
    files = []
    for caption, text in captions():
        if caption["verb"] == "holds":
            said = [_RUN.fullmatch(part) for part in caption["said"].split("; ")]
            assert all(said), f"{caption['file']}: not understood: {caption['said']}"
            files.append(Shown(caption["file"], caption["answer"] or "", text, tuple(_told(s) for s in said if s)))
    return files


def _told(said: re.Match[str]) -> Told:
    name, points, first, last, split, high, low, rates = said.groups()
    steps = (int(first.replace(",", "")), int(last.replace(",", "")))
    return Told(name, int(points), steps, split, (float(high), float(low)), rates == "rates logged")


SHOWN = shown()


def answers(file: Shown) -> dict[str, str]:
    question, _, answer = file.answer.partition("=")
    return {question: answer} if question else {}


@pytest.mark.parametrize("file", SHOWN, ids=lambda file: file.name)
def test_a_file_on_the_page_is_read_as_the_page_says(file):
    report = read_source(Source(file.name, file.text.encode()), answers=answers(file))
    assert report.error is None
    found = []
    for run, told in zip(report.runs, file.runs, strict=True):
        series = run.series[told.split]
        steps, loss = series.steps.tolist(), series.loss.tolist()
        rates = run.lr_source == "logged"
        found.append(Told(run.name, len(steps), (steps[0], steps[-1]), told.split, (loss[0], loss[-1]), rates))
    assert tuple(found) == file.runs


@pytest.mark.parametrize("file", [f for f in SHOWN if f.answer], ids=lambda file: file.name)
def test_what_the_page_answers_is_asked(file):
    asked = read_source(Source(file.name, file.text.encode())).questions
    assert file.answer.partition("=")[0] in [question.key for question in asked]


def test_files_have_names_of_their_own():
    names = [caption["file"] for caption, _ in captions()]
    assert len(names) == len({*names}) >= len(TEXTS) - len(DELIMITED)


def test_the_manifest_declares_the_runs_that_the_page_names(tmp_path):
    ((caption, text),) = [found for found in captions() if found[0]["verb"] == "declares"]
    (tmp_path / caption["file"]).write_text(text)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(GOOD)
    names = [run.name for run in read(tmp_path / caption["file"]).runs]
    assert ", ".join(f"**{name}**" for name in names) == caption["said"]


# ---- formats


def rows(header: str) -> list[list[str]]:
    """The cells of the table that begins with a header."""
    body = PAGE[PAGE.index(f"\n{header}\n") :].split("\n\n")[0].strip().split("\n")[2:]
    return [[cell.strip(" ").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in body]


def section(anchor: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    for heading in re.finditer(r"^(#+) (.+)$", PAGE, re.MULTILINE):
        if slug(heading[2]) == anchor:
            rest = PAGE[heading.end() :]
            end = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
            return rest[: end.start()] if end else rest
    raise AssertionError(f"the page has no section #{anchor}.")


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """Format -> the anchor of its section, by the table of contents."""
    found = {}
    for _, names, link in rows("| you have | formats, as the app calls them | section |"):
        anchor = re.fullmatch(r"\[.+\]\(#(.+)\)", link)
        assert anchor and section(anchor[1])
        found |= {name: anchor[1] for name in names.split(" · ") if name and not name.endswith("below")}
    return found


def test_every_format_has_a_row_and_no_other():
    assert sorted(sections()) == sorted(format.name for format in FORMATS)


@pytest.mark.parametrize("name", [f.name for f in FORMATS])
def test_the_section_of_a_format_shows_its_smallest_file_or_says_what_it_is_called(name):
    text = section(sections()[name])
    if name in DELIMITED:
        lines = sample(name).decode().split("\n")
        assert f"| {name} | `{lines[1]}` |" in text
    elif name in TEXTS:
        assert f"\n```text\n{sample(name).decode().rstrip()}\n```\n" in text
    else:
        (format,) = [format for format in FORMATS if format.name == name]
        ends = format.suffixes or ("tfevents",)
        assert any(end in code for end in ends for code in re.findall(r"`[^`]+`", text))


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in (*DELIMITED, MANIFEST)])
def test_the_page_tells_of_a_smallest_file_what_is_known_of_it(name):
    (file,) = [file for file in SHOWN if file.text.rstrip() == sample(name).decode().rstrip()]
    assert [told.points for told in file.runs] == [len(curve.steps) for curve in READINGS[name][1]]
    assert [told.rates for told in file.runs] == [curve.lr is not None for curve in READINGS[name][1]]


@pytest.mark.parametrize("anchor", sorted({*re.findall(r"\]\(#([^)]+)\)", PAGE)}))
def test_a_link_within_the_page_leads_to_a_section(anchor):
    assert section(anchor).strip()


def test_the_readme_leads_to_the_page():
    assert "(docs/log-formats.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


# ---- console logs


LINES = rows("| tool | a line as it prints | read from it | the file |")
_SAID = re.compile(r"step (\d+), (train|val) ([\d.]+)(?:, rate ([\d.e-]+))?")


def test_every_tool_of_the_line_shapes_is_named():
    assert [tool for tool in TOOLS if tool not in (*(row[0] for row in LINES), *SEVERAL_LINES)] == []
    assert [tool for tool in SEVERAL_LINES if not re.search(rf"^\*\*{tool}\*\*", PAGE, re.MULTILINE)] == []
    assert {row[0] for row in LINES} <= {*TOOLS}


def shapes(text: str) -> set[str]:
    """The shapes that take the lines of a text."""
    return {found.plan.shape.name for found in scan(text.encode()).rows}


@pytest.mark.parametrize("row", LINES, ids=lambda row: row[0])
def test_the_line_of_a_tool_is_read_by_it_as_the_page_says(row):
    tool, cell, said, _ = row
    line = cell.strip("`")
    step, split, loss, rate = _SAID.fullmatch(said).groups()
    printed = f"{float(loss) / math.log(2):.3f}" if tool == "fairseq" else loss
    later = re.sub(rf"(?<![\d.]){step}(?![\d.])|(?<=00){step}(?!\d)", "200", line)
    later = re.sub(rf"(?<![\d.]){re.escape(printed)}0*(?!\d)", "2.5", later)
    assert later.count("200") > line.count("200") and "2.5" in later
    assert shapes(f"{line}\n{later}\n") == {tool}
    report = read_source(Source("run.log", f"{line}\n{later}\n".encode()))
    assert report.error is None
    (run,) = report.runs
    series = run.series[split]
    assert series.steps.tolist() == [int(step), 200]
    assert series.loss[0] == pytest.approx(float(loss), abs=5e-7)
    assert (run.lr_source == "logged") == (rate is not None)
    if rate is not None:
        assert run.plan.schedule([int(step)]).tolist() == [float(rate)]


@pytest.mark.parametrize("tool", SEVERAL_LINES)
def test_the_file_of_a_tool_that_prints_several_lines_is_read_by_it(tool):
    text = PAGE[PAGE.index(f"\n**{tool}**") :]
    assert shapes(_FENCE.search(text)["text"]) == {tool}


# ---- commands


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    """The files of the page where its commands look for them."""
    for caption, text in captions():
        path = tmp_path / caption["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "finished.csv").write_text("params,tokens,final_loss\n1e8,1e9,3.1\n2e8,2e9,2.9\n4e8,2e9,2.7\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sessions() -> list[tuple[str, str]]:
    """The commands in blocks of a terminal, and what the page says that they print; nothing where it does not."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append((command, printed))
    return found


def in_the_text() -> list[str]:
    """Commands in the running text that name what they are about."""
    return [c for c in re.findall(r"`(optlaws [^`]+)`", PAGE) if not c.endswith("--table")]


@pytest.mark.parametrize("command, printed", sessions())
def test_a_command_prints_what_the_page_says(files, capsys, command, printed):
    code = main(shlex.split(command)[1:], "optlaws")
    out, err = capsys.readouterr()
    assert (code == 0) == bool(out)
    if printed:
        assert out + err == printed
    else:
        assert (code, err) == (0, "")


@pytest.mark.parametrize("command", in_the_text())
def test_a_command_in_the_text_runs(files, capsys, command):
    assert main(shlex.split(command)[1:], "optlaws") == 0
    assert "points, steps" in capsys.readouterr().out


def test_there_are_commands_of_both_kinds():
    assert len(sessions()) >= 3 and len(in_the_text()) >= 2

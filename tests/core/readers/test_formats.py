"""The registry of log formats: each entry is complete, and its sample gives the runs that stand in it, bit for bit."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import pytest

from optlaws_core.errors import LogError
from optlaws_core.readers import FORMATS, Format, Source, formats, read_source
from optlaws_core.readers.files import logs_among
from optlaws_core.readers.format import Content
from pages.parts.runs.files import KINDS
from tests.fuzz.targets import TARGETS
from tests.knowledge.logs import READINGS, sample
from tests.places import ROOT

NAMES = [format.name for format in FORMATS]
MANIFEST = formats.manifest.FORMAT.name
LARGEST_SAMPLE = 5_000  # bytes


def lacks(format: Format) -> Iterator[str]:
    """What an entry of the registry still needs, in sentences."""
    file, curves = READINGS.get(format.name, ("", None))
    if curves is None:
        yield "tests/knowledge/logs.py: READINGS lacks it; add a file name for its sample and the runs that it holds."
    elif not curves and format.name != MANIFEST:
        yield "tests/knowledge/logs.py: READINGS must name at least one run of its sample."
    elif not logs_among([Source(file, format.sample)])[0]:
        yield f"a folder's logs called {file!r} would be ignored: no format has that suffix or gathers it."
    if not format.suffixes and not format.gather:
        yield "it has no suffixes, so that its logs in a folder would be ignored."
    if odd := [s for s in format.suffixes if s != s.lower() or not s.startswith(".")]:
        yield f"suffixes begin with a dot and are in lower case, got {odd}."
    if not 0 < len(format.sample) <= LARGEST_SAMPLE:
        yield f"its sample must have 1 to {LARGEST_SAMPLE:,} bytes, got {len(format.sample):,}."
    yield from faults_of_sample(format)
    if format.name not in TARGETS or TARGETS[format.name].seeds[0] != format.sample:
        yield "tests/fuzz/targets.py: no target starts from its sample."
    if f"\n| {format.name} |" not in (ROOT / "docs" / "log-formats.md").read_text(encoding="utf-8"):
        yield f"docs/log-formats.md: the table under Names of files lacks the row | {format.name} | … |."
    if format.name not in KINDS:
        yield "pages/parts/runs/files.py: the help of the uploaders does not name it."


def faults_of_sample(format: Format) -> Iterator[str]:
    """Why the sample is not read as what it is."""
    try:
        known = formats.format_of(Content.of(Source("a", format.sample)))
    except LogError as error:
        yield f"its sample is no log: {error}"
        return
    if known is not format:
        if NAMES.index(known.name) < NAMES.index(format.name):
            yield f"{known.name}, which stands before it in FORMATS, takes its sample."
        else:
            yield f"it does not recognise its sample, which {known.name} takes."
        return
    report = read_source(Source("a", format.sample))
    for text in (report.error, *(note.text for note in report.notes if note.level == "refused")):
        if text:
            yield f"its sample is refused: {text}"


@pytest.mark.parametrize("name", NAMES)
def test_a_format_lacks_nothing(name):
    format = next(format for format in FORMATS if format.name == name)
    assert not (found := [*lacks(format)]), f"{name}: {' '.join(found)}"


def test_every_format_that_a_module_defines_is_listed():
    modules = [import_module(f"{formats.__name__}.{entry.name}") for entry in iter_modules(formats.__path__)]
    found = [(value, module) for module in modules for value in vars(module).values() if isinstance(value, Format)]
    defined = {format.name: module.__name__ for format, module in found}
    lost = [
        f"{defined[name]}: add its record to FORMATS in readers/formats/__init__.py." for name in {*defined} - {*NAMES}
    ]
    lost += [f"tests/knowledge/logs.py: no format is called {name}." for name in {*READINGS} - {*NAMES} - {*defined}]
    assert not lost, " ".join(lost)


# ---- what stands in the samples


# What the samples of others lack is told by the first test.
READ = [format.name for format in FORMATS if format.name in READINGS and not [*faults_of_sample(format)]]


@pytest.mark.parametrize("name", READ)
def test_a_format_gives_the_runs_that_stand_in_its_sample(name):
    file, curves = READINGS[name]
    report = read_source(Source(file, sample(name)))
    assert (report.format, report.error) == (name, None)
    assert [run.name for run in report.runs] == [curve.run for curve in curves]
    for run, curve in zip(report.runs, curves, strict=True):
        series = run.series[curve.split]
        assert series.steps.tolist() == curve.steps and series.loss.tolist() == curve.loss
        assert run.last_step == curve.steps[-1]
        if curve.lr is None:
            assert run.lr_source == "missing"
        else:
            assert run.lr_source == "logged" and run.plan.schedule(curve.steps).tolist() == curve.lr
            assert run.plan.schedule.total == curve.total


@pytest.mark.parametrize("name", READ)
def test_a_file_is_known_by_its_content_not_by_its_name(name):
    assert read_source(Source("x.bin", sample(name))).format == name


@pytest.mark.parametrize("name", [name for name in READ if READINGS[name][1]])
def test_the_layout_found_can_be_given_back(name):
    source = Source(READINGS[name][0], sample(name))
    report = read_source(source)
    again = read_source(source, report.layout)
    for run, same in zip(report.runs, again.runs, strict=True):
        assert same.loss.tolist() == run.loss.tolist() and same.plan == run.plan
    assert set(report.layout.columns) - {report.layout.x} <= set(report.columns)


def test_the_sample_of_the_manifest_declares_its_runs():
    report = read_source(Source("manifest.csv", sample(MANIFEST)))
    assert [note.text for note in report.notes] == ["It declares 2 runs."]

"""The distribution: what is in its wheel, what it asks for, and what it does where nothing else is installed."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical
from ruamel.yaml import YAML
from streamlit.errors import StreamlitMissingAuthlibError

import optlaws_core
from optlaws_core.errors import MissingExtra, extra
from pages.parts.state import identity

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# botocore, beneath s3fs, holds python-dateutil below 3, so that it cannot be installed beside what is pinned.
APART = {"buckets"}
NEWEST = "3.14"  # the newest Python that is declared


# ---------------------------------------------------------------------------------------------------- requirements


def ranges(*texts: str) -> dict[str, Requirement]:
    """Requirements by the name of the package, without those on extras of this project."""
    found = {canonical(r.name): r for r in map(Requirement, texts)}
    return {name: r for name, r in found.items() if name != PROJECT["name"]}


def pins(file: str) -> dict[str, str]:
    """The versions that a file of requirements pins, by the name of the package."""
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines())
    found = {canonical(r.name): str(r.specifier) for r in map(Requirement, filter(None, lines))}
    assert all(re.fullmatch(r"==[\w.]+", pin) for pin in found.values()), found
    return {name: pin.removeprefix("==") for name, pin in found.items()}


@pytest.mark.parametrize(
    "file, declared",
    [
        ("requirements.txt", [t for e in ("app", "figures", "paper", "store") for t in EXTRAS[e]]),
        ("requirements-team.txt", [t for e in ("dask", "oidc", "postgres") for t in EXTRAS[e]]),
        ("requirements-train.txt", [*EXTRAS["torch"], *EXTRAS["train"]]),
        ("docs/requirements.txt", EXTRAS["docs"]),
        ("tests/requirements.txt", [t for e in ("lightning", "mcp", "test", "transformers") for t in EXTRAS[e]]),
    ],
)
def test_every_pin_is_of_a_declared_range_and_every_range_is_pinned(file, declared):
    pinned = pins(file)
    asked = ranges(*declared, *(PROJECT["dependencies"] if file == "requirements.txt" else ()))
    assert pinned.keys() == asked.keys()
    assert [name for name, version in pinned.items() if version not in asked[name].specifier] == []
    assert all(str(r.specifier).startswith(">=") and "," not in str(r.specifier) for r in asked.values())


def test_every_extra_is_pinned_somewhere():
    files = (
        "requirements.txt",
        "requirements-team.txt",
        "requirements-train.txt",
        "tests/requirements.txt",
        "docs/requirements.txt",
    )
    pinned = {name for file in files for name in pins(file)}
    assert {name for e in EXTRAS if e not in APART for name in ranges(*EXTRAS[e])} <= pinned


def test_the_app_is_installed_without_what_it_does_not_need():
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^app: \.venv/installed$", make, re.MULTILINE)
    assert re.search(
        r"^\.venv/installed: requirements\.txt\n(\t(?!.*(train|tests|team|docs)).*\n)+", make, re.MULTILINE
    )
    assert [*pins("requirements-train.txt")] == ["torch"]
    heavy = {"torch", "tensorboard", "scikit-learn", "dask", "distributed"}
    assert not heavy & closure(*(f"{name}=={version}" for name, version in pins("requirements.txt").items()))


def test_python_versions_are_said_alike():
    said = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    assert PROJECT["requires-python"] == f">={said[0]}" and said[-1] == NEWEST
    assert f"Python {said[0]} to {said[-1]}" in README


# ---------------------------------------------------------------------------------------------------- the wheel

BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel, built of a copy: setuptools leaves its own folders where it builds."""
    pytest.importorskip("setuptools", "77", reason="setuptools 77 or later builds the wheel, so it was not built")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    files = [ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")]
    for file in (*files, *(f for f in (ROOT / "optlaws_core").rglob("*") if f.suffix in (".py", ".typed", ".json"))):
        there = source / file.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(file.read_bytes())
    built = subprocess.run([sys.executable, "-c", BUILD, out], cwd=source, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    (found,) = out.iterdir()
    return zipfile.ZipFile(found)


def test_the_wheel_has_the_package_and_nothing_else(wheel):
    modules = {f.relative_to(ROOT).as_posix() for f in (ROOT / "optlaws_core").rglob("*.py")}
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == modules | {"optlaws_core/py.typed", "optlaws_core/fitting/priors.json"}
    told = {name.split(".dist-info/")[1] for name in wheel.namelist() if ".dist-info/" in name}
    assert told == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}


def test_the_wheel_says_what_the_project_says(wheel):
    folder = f"optlaws-{optlaws_core.__version__}.dist-info"
    facts = message_from_string(wheel.read(f"{folder}/METADATA").decode())
    assert (facts["Name"], facts["Version"]) == ("optlaws", optlaws_core.__version__)
    assert (facts["Requires-Python"], facts["License-Expression"]) == (PROJECT["requires-python"], "MIT")
    assert facts.get_payload() == README
    asked = [Requirement(text) for text in facts.get_all("Requires-Dist")]
    assert {r.name for r in asked if not r.marker} == {Requirement(t).name for t in PROJECT["dependencies"]}
    assert set(facts.get_all("Provides-Extra")) == {*EXTRAS}
    assert f"optlaws = {PROJECT['scripts']['optlaws']}" in wheel.read(f"{folder}/entry_points.txt").decode()


def test_the_version_stands_in_one_place():
    assert "version" not in PROJECT and PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", optlaws_core.__version__)


def test_the_citation_is_valid_and_says_what_the_project_says():
    file = ROOT / "CITATION.cff"
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format", file]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    said = YAML(typ="safe").load(file)
    assert (said["version"], said["license"]) == (optlaws_core.__version__, PROJECT["license"])
    assert said["keywords"] == PROJECT["keywords"]
    released = f"## {said['version']} - {said['date-released']}"
    assert released in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------- the core alone


def closure(*texts: str) -> set[str]:
    """Names of the packages that requirements install, with all that these ask for."""
    found, left = set(), [Requirement(text) for text in texts]
    while left:
        asked = left.pop()
        if canonical(asked.name) in found or (asked.marker and not asked.marker.evaluate({"extra": ""})):
            continue
        found.add(canonical(asked.name))
        try:
            left += [Requirement(text) for text in requires(asked.name) or ()]
        except PackageNotFoundError:  # for another system
            continue
    return found


def test_the_image_installs_what_the_app_pins_and_all_beneath_it_by_hashes():
    lock = (ROOT / "deploy" / "requirements.lock").read_text()
    held = re.findall(r"^([\w.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", lock, re.MULTILINE)
    assert "".join(f"{n}=={v} \\\n{hashes}" for n, v, hashes in held) == re.sub(r"^#.*\n", "", lock, flags=re.MULTILINE)
    locked = {canonical(name): version for name, version, _ in held}
    pinned = {**pins("requirements.txt"), **pins("requirements-team.txt")}
    assert pinned.items() <= locked.items(), "make lock"
    assert closure(*(f"{name}=={version}" for name, version in pinned.items())) <= locked.keys()
    assert not {"torch", "scikit-learn"} & locked.keys()


ALONE = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
sys.path.insert(0, {place!r})
"""
COMMANDS = """
import contextlib, io, json, sys
from optlaws_core.cli import main
for words in {commands!r}:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words, name="optlaws")
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


@pytest.fixture(scope="module")
def alone(wheel, tmp_path_factory):
    """`alone(code, *extras)`: a process that can import the wheel, and what it and these extras ask for."""
    place = tmp_path_factory.mktemp("installed")
    wheel.extractall(place)

    def run(code: str, *extras: str) -> subprocess.CompletedProcess:
        kept = closure(*PROJECT["dependencies"], *(t for name in extras for t in EXTRAS[name] if "optlaws" not in t))
        owners = packages_distributions().items()
        missing = {module for module, of in owners if not kept & {canonical(name) for name in of}}
        assert {"streamlit", "plotly", "torch", "dask"} & missing
        code = ALONE.format(missing=missing | {"data", "pages", "tests"}, place=str(place)) + code
        command = [sys.executable, "-P", "-c", code]  # -P: without this folder, which has the package, too
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)

    return run


@pytest.mark.slow
def test_every_public_name_and_the_first_example_of_the_python_page_work_with_the_core_alone(alone):
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    names = "import optlaws_core\nassert {place} in optlaws_core.__file__\n".format(place="'installed'")
    names += "assert all(getattr(optlaws_core, name) is not None for name in optlaws_core.__all__)\n"
    done = alone(names + example)
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("Converged. held-out RMSE 0.0") and "wsd(peak=8e-3" in last


@pytest.mark.slow
def test_a_chart_without_its_extra_says_what_is_missing(alone):
    code = "from optlaws_core import OptLawsError, parse\nconstant = parse('constant(peak=1e-3, total=9)')\n"
    code += "try:\n    print(constant.plot().data)\nexcept OptLawsError as fault:\n    print(fault)\n"
    assert alone(code).stdout.strip() == LACKS.format("A chart", "plotly", "figures")
    assert "Scatter" in alone(code, "figures").stdout


def commands(done: subprocess.CompletedProcess) -> list[list]:
    """Exit code, stdout and stderr of each of the commands."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


SELECT = (
    "select --runs data/examples.csv --split val --json select.json --cluster tcp://127.0.0.1:9 "
    "--train constant_4000 cosine10_4000 drop30_4000"
).split()
POSTGRES = ["share", "list", "--store", "postgresql://somebody@/nothing"]
LACKS = '{} needs the package {}, which is not installed: pip install "optlaws[{}]".'


@pytest.mark.slow
def test_what_an_extra_brings_is_missed_in_one_sentence(alone):
    asked = (["--version"], ["--help"], SELECT, ["share", "list"], ["mcp"])
    version, usage, *lacking = commands(alone(COMMANDS.format(commands=asked)))
    assert version == [0, f"optlaws {optlaws_core.__version__}\n", ""]
    assert usage[0] == 0 and usage[1].startswith("usage: optlaws [-h] [--version] COMMAND")
    lacking += commands(alone(COMMANDS.format(commands=(POSTGRES,)), "store"))
    assert lacking == [
        [1, "", LACKS.format("A Dask cluster", "distributed", "dask") + "\n"],
        [1, "", LACKS.format("A store of comparisons", "sqlalchemy", "store") + "\n"],
        [1, "", LACKS.format("The server for agents", "mcp", "mcp") + "\n"],
        [1, "", LACKS.format("A store in PostgreSQL", "psycopg", "postgres") + "\n"],
    ]


def test_the_training_program_says_where_torch_is_to_be_had():
    code = "import sys; sys.modules['torch'] = None; from data.train import main; sys.exit(main([]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (2, f"error: {LACKS.format('The training program', 'torch', 'train')}\n")


def test_log_in_says_where_authlib_is_to_be_had(monkeypatch):
    def login(provider):
        raise StreamlitMissingAuthlibError

    shown = []
    monkeypatch.setattr(identity.st, "login", login)
    monkeypatch.setattr(identity.st, "error", shown.append)
    identity._log_in(None)
    assert shown == [LACKS.format("Log-in", "Authlib", "oidc")]


def test_a_package_that_is_there_and_broken_is_no_missing_extra(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("raise ImportError('it cannot be loaded')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="^it cannot be loaded$"), extra("app", "This"):
        import broken_package  # noqa: F401
    with pytest.raises(MissingExtra, match="^This needs the package no_such_package, which is not installed: "):
        with extra("app", "This"):
            import no_such_package  # noqa: F401

"""Commands as tools for agents: the numbers of the command line, files of the roots alone, one sentence of errors."""

import json
import subprocess
import sys
from functools import partial

import pytest
from mcp import Client

from optlaws_core.cli import COMMANDS
from optlaws_core.cli.agents.allowed import MOST_SENT, Files
from optlaws_core.cli.agents.server import Desk, Job, server
from optlaws_core.cli.agents.tools import APART, MOST, bounded, tools
from optlaws_core.errors import OptLawsError
from tests.places import ROOT
from tests.support import loops
from tests.support.commands import CANDIDATES, TRAIN, told

LOG = "step,loss,lr\n" + "".join(f"{s},{3 - s / 100},1e-3\n" for s in range(0, 100, 5))


HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture(scope="module")
def all_tools():
    return tools()


@pytest.fixture
def files(tmp_path, fit_file):
    root = tmp_path / "root"
    root.mkdir()
    (root / "first.csv").write_text(LOG)
    (tmp_path / "secret.csv").write_text(LOG)
    (tmp_path / "fits").mkdir()
    return Files([root, ROOT / "data", fit_file.parent], tmp_path / "fits")


@pytest.fixture
def ask(files):
    desk = Desk(files)

    def answer(tool, /, **inputs):
        text, failed = desk.answer(tool, inputs, Job())
        return text if failed else json.loads(text)

    return answer


def test_every_command_is_a_tool_with_its_options(all_tools):
    assert {name.split("_")[0] for name in all_tools} == {*COMMANDS} - {*APART}
    for tool in all_tools.values():
        found = tool.schema
        assert set(found["required"]) <= set(found["properties"]) and tool.description.endswith(".")
        assert not {"json", "out", "figure", "as_json", "help", "store"} & set(found["properties"])
        assert all("--" not in json.dumps(one) for one in found["properties"].values()), tool.name
    assert {name for name, tool in all_tools.items() if tool.writes} == {"fit", "select"}
    assert all_tools["rank"].schema["properties"]["top"]["type"] == "integer"
    assert len(json.dumps([tool.schema for tool in all_tools.values()])) < 30_000  # every client's model reads it all


@pytest.mark.parametrize(
    "tool, inputs, argv",
    [
        ("read", {"paths": ["examples.csv"]}, ["read", f"{ROOT}/data/examples.csv"]),
        (
            "rank",
            {"fit": "{fit}", "schedule": CANDIDATES, "top": 2.0},
            ["rank", "--fit", "{fit}", *(w for s in CANDIDATES for w in ("--schedule", s)), "--top", "2"],
        ),
        ("predict", {"fit": "{fit}", "schedule": CANDIDATES[0], "at": [500, 3999]}, None),
        ("optimize", {"fit": "{fit}", "peak": "8e-3", "total": 4000, "warmup": 200, "family": "wsd"}, None),
        ("plan_rates", {"params": "1B", "tokens": 20e9, "family": "wsd"}, None),
        ("plan_batch", {"lr": 1e-3, "from": "500k", "to": "2M"}, None),
        ("plan_public", {"name": "deepseek_v3"}, ["plan", "public", "deepseek_v3"]),
        ("bound", {"schedule": CANDIDATES[:2]}, ["bound", *(w for s in CANDIDATES[:2] for w in ("--schedule", s))]),
        ("export", {"to": "megatron", "schedule": CANDIDATES[1]}, None),
        ("laws", {"of": "final"}, None),
    ],
)
def test_a_tool_says_what_the_command_says(ask, capsys, fit_file, tool, inputs, argv):
    inputs = {name: str(fit_file) if value == "{fit}" else value for name, value in inputs.items()}
    if argv is None:
        argv = tool.split("_")
        for name, value in inputs.items():
            argv += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    found = ask(tool, **inputs)
    code, said, err = told(capsys, *(word.format(fit=fit_file) for word in argv), "--json")
    assert code == 0 and found["result"] == json.loads(said)
    assert found["remarks"] == err.splitlines()


def test_no_command_writes_json_past_whoever_asked():
    written = {path.name for path in (ROOT / "optlaws_core/cli").glob("*.py") if "print_json" in path.read_text()}
    assert written == {"options.py"}


def test_a_fit_is_kept_for_the_tools_after_it(ask, files):
    made = ask("fit", law="annealing", runs="examples.csv", split="val", train=TRAIN)
    assert made["fit"] == "fit-1.json" and made["result"] == {
        key: value
        for key, value in json.loads((files.fits / "fit-1.json").read_text()).items()
        if key in made["result"]
    } | {"notes": made["result"]["notes"]}
    ranked = ask("rank", fit=made["fit"], schedule=CANDIDATES)
    assert len(ranked["result"]) == 3 and files.new_fit().name == "fit-2.json"


def test_contents_are_read_as_files_are(ask):
    sent = {"logs/a.csv": LOG, "logs/b.csv": LOG}
    assert [row["run"] for row in ask("read", paths=["logs"], files=sent)["result"]] == ["a", "b"]
    assert [row["run"] for row in ask("read", paths=["logs/b.csv"], files=sent)["result"]] == ["b"]
    assert [row["run"] for row in ask("read", paths=["."])["result"]] == ["first"]  # the root, where nothing is sent


@pytest.mark.parametrize("name", ["../secret.csv", "TMP/secret.csv", "link.csv", "inner/secret.csv", "/etc/passwd"])
def test_nothing_outside_of_the_roots_is_read(ask, files, tmp_path, name):
    (files.roots[0] / "link.csv").symlink_to(tmp_path / "secret.csv")
    (files.roots[0] / "inner").symlink_to(tmp_path)
    name = name.replace("TMP", str(tmp_path))
    for tool, inputs in (("read", {"paths": [name]}), ("rank", {"fit": name}), ("refine", {"path": name, "peak": 1})):
        assert "is outside the folders that may be read here" in ask(tool, **inputs)


def test_a_folder_with_a_link_out_of_the_roots_is_refused(ask, files, tmp_path):
    (files.roots[0] / "link.csv").symlink_to(tmp_path / "secret.csv")
    assert "this link leads out of the folders that may be read here" in ask("read", paths=["."])
    (files.roots[0] / "link.csv").unlink()
    (files.roots[0] / "link.csv").symlink_to("first.csv")  # a link that stays inside is none
    assert [row["run"] for row in ask("read", paths=["."])["result"]] == ["first"]


def test_a_value_is_never_taken_for_an_option(ask, files, fit_file):
    out = files.roots[0] / "out.tex"
    for said in (
        ask("rank", fit=str(fit_file), schedule=[CANDIDATES[0], f"--table={out}"]),
        ask("select", runs="examples.csv", train=[f"--table={out}"]),
        ask("read", paths=[f"--answer={out}"]),
        ask("plan_public", name=f"--json={out}"),
    ):
        assert isinstance(said, str) and not out.exists()


@pytest.mark.parametrize(
    "tool, inputs, found",
    [
        ("nosuch", {}, "There is no tool 'nosuch'. Tools: laws, schedules,"),
        ("rank", {"fits": "a"}, "rank takes no 'fits'; it takes fit, params,"),
        ("rank", {"fit": ["a", "b"]}, "fit takes one value, got a list of 2."),
        ("rank", {"fit": {"a": 1}}, 'fit takes a text or a number, got {"a": 1}.'),
        ("rank", {}, "the following arguments are required: fit"),
        ("rank", {"fit": "nosuch.json"}, "nosuch.json: there is no such file."),
        ("rank", {"fit": "fit.json", "top": "x", "schedule": CANDIDATES}, "argument top: invalid int value: 'x'"),
        ("optimize", {"fit": "fit.json", "peak": 1, "total": 9, "may_rise": 1}, "may_rise is either true or false"),
        ("fit", {"law": "annealing", "runs": "examples.csv"}, "train is needed: the runs to fit."),
        ("read", {"paths": ["a\0b"]}, "A path must name a file or a folder"),
        ("read", {"paths": [""]}, "A path must name a file or a folder, got ''"),
        ("read", {"paths": ["a.csv"], "files": {"../a.csv": ""}}, "files: a name must be that of a file"),
        ("read", {"paths": ["a.csv"], "files": ["a"]}, "files must be an object"),
        ("read", {"paths": ["a.csv"], "files": {"a": "x" * (MOST_SENT + 1)}}, "At most 33,554,432 characters of files"),
        ("read", {"paths": ["a"], "files": {"a": "\ud800"}}, "files: what 'a' holds is no text that UTF-8 can write."),
        ("export", {"to": "pytorch", "schedule": "wsd(peak=1)"}, "wsd"),
        ("laws", {"of": "final", "files": {}}, "laws takes no 'files'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(ask, tool, inputs, found):
    said = ask(tool, **inputs)
    assert isinstance(said, str) and found in said and "\n" not in said and "Traceback" not in said


def test_an_error_of_our_own_is_no_traceback(ask, monkeypatch):
    monkeypatch.setattr("optlaws_core.cli.agents.tools.Tool.run", lambda *_: 1 / 0)
    said = "An error in Opt-Laws, not in what was given; the server's stderr has it: "
    assert ask("laws") == f"{said}ZeroDivisionError('division by zero')."


def test_long_answers_are_cut_and_say_so():
    rows = [{"run": n, "text": "x" * 90} for n in range(2000)]
    cut = json.loads(text := bounded({"result": rows, "remarks": ["a"]}))
    assert len(text) < MOST + 500 and cut["result"] == rows[: len(cut["result"])] and len(cut["result"]) > 400
    assert cut["remarks"] == [
        "a",
        f"The first {len(cut['result'])} of 2000 are here, since an answer has at most 60,000 characters.",
    ]
    wide = json.loads(bounded({"result": {"text": "x" * MOST, "exact": True}, "remarks": []}))
    assert wide["result"] == {"exact": True} and "Left out" in wide["remarks"][0] and "text" in wide["remarks"][0]


def test_a_job_that_nobody_waits_for_ends(files):
    job = Job()
    job.gone.set()
    inputs = {"law": "annealing", "runs": "examples.csv", "split": "val", "train": TRAIN}
    assert Desk(files).answer("fit", inputs, job) == ("Stopped.", True) and not list(files.fits.iterdir())


def test_folders_must_be_there(tmp_path):
    with pytest.raises(OptLawsError, match="a folder is needed, and there is none"):
        Files([tmp_path / "nosuch"], tmp_path)


def test_the_protocol_lists_calls_and_opens(files, fit_file):
    seen = []

    async def heard(share, total, message):
        seen.append(share)

    async def talk():
        async with Client(server(files)) as client:
            listed = await client.list_tools()
            ranked = await client.call_tool("rank", {"fit": str(fit_file), "schedule": CANDIDATES})
            wrong = await client.call_tool("rank", {"fit": "/etc/passwd"})
            best = partial(client.call_tool, "optimize", progress_callback=heard)
            await best({"fit": str(fit_file), "peak": 8e-3, "total": 4000, "warmup": 200})
            return listed, ranked, wrong, await client.read_resource("optlaws://schedules")

    listed, ranked, wrong, opened = loops.run(talk())
    assert {tool.name for tool in listed.tools} == set(tools())
    assert [tool.name for tool in listed.tools if not tool.annotations.read_only_hint] == ["fit", "select"]
    assert not ranked.is_error and len(json.loads(ranked.content[0].text)["result"]) == 3
    assert wrong.is_error and "outside the folders that may be read" in wrong.content[0].text
    assert json.loads(opened.contents[0].text)["result"][0]["schedule"] == "constant"
    assert all(0 < share <= 1 for share in seen)


@pytest.mark.slow
def test_a_server_says_nothing_but_the_protocol(tmp_path):
    asked = [
        {"id": 1, "method": "initialize", "params": HELLO},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "laws", "arguments": {}}},
    ]
    argv = [sys.executable, "-m", "optlaws_core", "mcp", "--root", str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as served:
        for message in asked:
            served.stdin.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
        served.stdin.flush()
        said = [json.loads(served.stdout.readline()) for _ in range(2)]
        rest, _ = served.communicate()
    assert served.returncode == 0 and rest == "" and [message["id"] for message in said] == [1, 2]
    assert "Opt-Laws" in said[0]["result"]["instructions"]
    assert json.loads(said[1]["result"]["content"][0]["text"])["result"][0]["law"] == "opt_laws_curve"

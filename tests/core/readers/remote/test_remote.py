"""Runs by their address, from servers on loopback that answer as W&B, MLflow and the hub do, and as they should not."""

import json
import re
import time
from itertools import count
from types import SimpleNamespace

import pytest

from optlaws_core.cli import main
from optlaws_core.errors import Cancelled, LogError
from optlaws_core.readers import read_all
from optlaws_core.readers.formats import trainer_state
from optlaws_core.readers.remote import Bounds, buckets, is_address, kept, service, sources_at
from tests.support.services import Answer, running

SECRET = "s3cr3t-key"
STEPS = 2_500  # more than two pages of W&B's history


@pytest.fixture(scope="module")
def server():
    with running() as found:
        yield found


@pytest.fixture(autouse=True)
def place(server, tmp_path, monkeypatch):
    """Every service is the server, the cache is the test's own, and nobody waits."""
    server.asked.clear()
    for name in ("WANDB_BASE_URL", "HF_ENDPOINT", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, server.url)
    for name in ("WANDB_API_KEY", "HF_TOKEN", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("OPTLAWS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    waits: list[float] = []
    monkeypatch.setattr(service, "pause", waits.append)
    return waits


def loss(step: int) -> float:
    return 2 + 1 / (1 + step)


def wandb_run(name: str, state: str = "finished") -> dict:
    config = {"n_params": {"value": 1200}, "batch_size": {"value": 8}, "_wandb": {"value": {"cli": "x"}}}
    keys = {"lastStep": STEPS - 1, "keys": {}}
    return {"name": name, "displayName": f"shown {name}", "state": state, "config": json.dumps(config)} | {
        "historyKeys": keys,
        "historyLineCount": STEPS,
    }


def wandb(asked):
    """A project with three runs, listed one a page; histories are sampled where too few rows are asked for."""
    assert asked.path == "/graphql"
    given, query = asked.body["variables"], asked.body["query"]
    runs = [wandb_run("a"), wandb_run("b", "running"), wandb_run("c") | {"historyKeys": None}]
    assert (given["entity"], given["project"]) == ("team", "toy")
    if "HistoryPage" in query:
        rows = [{"_step": i, "iter": 10 * i, "train/loss": loss(i)} for i in range(given["minStep"], given["maxStep"])]
        return {"data": {"project": {"run": {"history": [json.dumps(r) for r in rows[: given["pageSize"]]]}}}}
    if "run(name" in query:
        return {"data": {"project": {"run": next((r for r in runs if r["name"] == given["run"]), None)}}}
    at = int(given["cursor"] or 0)
    page = {"edges": [{"node": runs[at]}], "pageInfo": {"endCursor": str(at + 1), "hasNextPage": at + 1 < len(runs)}}
    return {"data": {"project": {"runs": page}}}


def mlflow(asked):
    """An experiment with two runs, one a page, whose metric has two pages."""
    if asked.path.endswith("get-by-name"):
        found = asked.query["experiment_name"] == "toy runs"
        return (
            {"experiment": {"experiment_id": "7"}} if found else Answer({"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404)
        )
    if asked.path.endswith("runs/search"):
        assert asked.body["experiment_ids"] == ["7"]
        second = asked.body.get("page_token") == "2"
        info = {"run_id": "r2" if second else "r1", "run_name": "late" if second else "early", "status": "FINISHED"}
        data = {"metrics": [{"key": "loss", "step": 3}], "params": [{"key": "n_params", "value": "1200"}]}
        return {"runs": [{"info": info, "data": data}]} | ({} if second else {"next_page_token": "2"})
    begin = int(asked.query.get("page_token") or 0)
    points = [{"key": "loss", "value": loss(i), "step": i} for i in range(begin, begin + 2)]
    return {"metrics": points} | ({} if begin else {"next_page_token": "2"})


def hub(asked):
    """A repository with two checkpoints, weights, and an event file; its listing has two pages, files are elsewhere."""
    if asked.path == "/api/models/team/toy/tree/main":
        if "cursor" in asked.query:
            return [entry("checkpoint-9/trainer_state.json"), entry("model.safetensors")]
        more = f'<http://{asked.host}/api/models/team/toy/tree/main?cursor=2>; rel="next"'
        return Answer([entry("checkpoint-10/trainer_state.json"), entry("config.json")], headers={"Link": more})
    if asked.path.startswith("/team/toy/resolve/main/"):
        return Answer(code=302, headers={"Location": f"http://{asked.host.replace('127.0.0.1', 'localhost')}/blob"})
    assert asked.path == "/blob"
    return trainer_state.SAMPLE


def entry(path: str) -> dict:
    return {"type": "file", "path": path, "size": 100, "oid": path}


ADDRESSES = {"wandb:team/toy": wandb, "mlflow:#toy runs": mlflow, "hf:team/toy": hub}


def test_a_wandb_project_is_read_with_every_row_and_its_config(server):
    server.answer = wandb
    reading = read_all(sources_at("wandb:team/toy"))
    assert [run.name for run in reading.runs] == ["shown a", "shown b"]  # the third has logged nothing
    assert reading.runs[0].series["train"].loss.tolist() == [loss(i) for i in range(STEPS)]
    report = reading.files[0]
    assert report.format == "downloaded run" and "8 samples per update" in " ".join(n.text for n in report.notes)
    for address in ("wandb:team/toy/b", "wandb:team/toy/runs/b"):
        assert [s.name for s in sources_at(address)] == ["wandb:team/toy/b"]


def test_the_command_reads_an_address_like_a_path(server, capsys, monkeypatch):
    server.answer = wandb
    assert main(["read", "wandb:team/toy/a"]) == 0
    assert capsys.readouterr().out.startswith("shown a: 2,500 points, steps 0 to 24,990, downloaded run")
    monkeypatch.setenv("WANDB_API_KEY", "schlüssel")
    assert main(["read", "wandb:team/toy/a"]) == 1
    assert capsys.readouterr().err == "WANDB_API_KEY has characters in it that no key and no address has.\n"


def test_steps_that_lie_far_apart_are_asked_for_in_few_pages_and_all_are_there(server):
    steps = [10_000 * i for i in range(STEPS)] + list(range(10**8, 10**8 + 3_000))

    def answer(asked):
        given = asked.body["variables"]
        if "HistoryPage" not in asked.body["query"]:
            keys = {"historyKeys": {"lastStep": steps[-1]}, "historyLineCount": len(steps)}
            return {"data": {"project": {"run": wandb_run("a") | keys}}}
        rows = [s for s in steps if given["minStep"] <= s < given["maxStep"]]
        sample = rows[:: -(-len(rows) // given["pageSize"]) or 1]
        history = [json.dumps({"_step": s, "loss": loss(s)}) for s in sample]
        return {"data": {"project": {"run": {"history": history}}}}

    server.answer = answer
    (source,) = sources_at("wandb:team/toy/a")
    assert [row["_step"] for row in json.loads(source.read())["rows"]] == steps and len(server.asked) < 100


def test_an_mlflow_experiment_is_read_with_every_point(server):
    server.answer = mlflow
    reading = read_all(sources_at("mlflow:#toy runs"))
    assert sorted(run.name for run in reading.runs) == ["early", "late"]
    assert reading.runs[0].series["train"].loss.tolist() == [loss(i) for i in range(4)]


def test_of_a_repository_the_last_state_is_read_and_the_key_stays_with_the_hub(server):
    server.answer = hub
    found = sources_at("hf:team/toy")
    assert [(s.name, s.read()) for s in found] == [
        ("hf:team/toy/checkpoint-10/trainer_state.json", trainer_state.SAMPLE)
    ]
    keys = {asked.path: asked.key for asked in server.asked}
    assert keys.pop("/blob") is None and set(keys.values()) == {f"Bearer {SECRET}"}


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_finished_is_fetched_once_and_no_key_is_kept(server, address, tmp_path):
    server.answer = ADDRESSES[address]
    first = [s.read() for s in sources_at(address)]
    before = len(server.asked)
    assert [s.read() for s in sources_at(address)] == first
    again = server.asked[before:]
    assert len(again) < before and any(asked.key for asked in server.asked)
    assert {a.body["variables"]["run"] for a in again if a.body and "HistoryPage" in a.body.get("query", "")} <= {"b"}
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert files and all(p.stat().st_mode & 0o077 == 0 for p in files)
    assert not any(SECRET.encode() in data for data in [*first, *(p.read_bytes() for p in files)])


def test_a_cache_that_cannot_be_written_is_as_good_as_none(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPTLAWS_CACHE", str(tmp_path / "file"))
    assert kept.kept(["x"], lambda: b"data") == b"data"


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "answer, said",
    [
        (Answer(code=401), r"refuses the key that it was given \(401\); nothing was read\."),
        (Answer(code=404), r"has nothing of this name, or does not show it to this key \(404\); nothing was read\."),
        (
            Answer(code=429, headers={"Retry-After": "3600"}),
            r"asks for fewer requests for 3,600 s \(429\): try again later",
        ),
        (Answer(code=503), r"answered with the error 503; nothing was read\."),
        (Answer("<html>", 200), r"answered with something that is not JSON; nothing was read\."),
        (
            Answer({"data": {"project": {"runs": 3}}, "runs": 3}),
            r"(the answer is not in a form that is known here|no )",
        ),
        (Answer("[" * 20, cut=True), r"the connection to .* was cut; nothing was read\."),
    ],
)
def test_a_fault_is_one_sentence_and_nothing_is_read(server, address, answer, said, capsys):
    server.answer = lambda asked: answer
    assert main(["read", address]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and SECRET not in err
    assert err.startswith(address) and re.search(said, err), err


def one_metric(steps: list) -> object:
    """MLflow with one run, which logged its loss at these steps."""

    def answer(asked):
        if asked.path.endswith("runs/search"):
            return {"runs": [{"info": {"run_id": "r"}, "data": {"metrics": [{"key": "loss"}, {"key": "lr"}]}}]}
        if asked.query["metric_key"] == "lr":
            return {"metrics": [{"value": 0.5, "step": step} for step in dict.fromkeys(steps)]}
        return {"metrics": [{"value": loss(i), "step": step} for i, step in enumerate(steps)]}

    return answer


def test_points_of_mlflow_at_a_step_that_has_others_are_kept_and_spoken_of(server):
    server.answer = one_metric([0, 1, 2, 1, 2, 3])
    reading = read_all(sources_at("mlflow:#7"))
    assert reading.runs[0].series["train"].loss.tolist() == [loss(i) for i in (0, 3, 4, 5)]
    assert "train: 2 steps stood twice (first step 1); the last value of each was kept." in [
        note.text for note in reading.files[0].notes
    ]
    server.answer = one_metric([0, 0, 0])
    assert "all 3 points are at step 0; were they logged without steps?" in read_all(sources_at("mlflow:#7")).errors[0]


def test_steps_that_are_no_numbers_are_a_sentence(server):
    server.answer = one_metric([0, float("inf")])
    with pytest.raises(LogError, match="^mlflow:#7: the answer is not in a form that is known here"):
        sources_at("mlflow:#7")
    endless = wandb_run("a") | {"historyKeys": {"lastStep": float("inf")}}
    server.answer = lambda asked: {"data": {"project": {"run": endless}}}
    with pytest.raises(LogError, match="^wandb:team/toy/a: the answer is not in a form that is known here"):
        sources_at("wandb:team/toy/a")


@pytest.mark.parametrize("address", ADDRESSES)
def test_answers_that_go_on_and_on_are_bounded_in_time_and_together(server, address, monkeypatch):
    server.answer = ADDRESSES[address]
    with pytest.raises(LogError, match=r"has more than 0 MB at this address; nothing was read\.$"):
        sources_at(address, Bounds(most=500))
    monkeypatch.setattr(service, "PIECE", 1)
    clock = count(time.monotonic(), 100)  # a socket that drips is never silent
    monkeypatch.setattr(service, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    before = len(server.asked)
    with pytest.raises(LogError, match=r"took more than 15 minutes; nothing was read\.$"):
        sources_at(address)
    assert len(server.asked) == before + 1


def test_runs_that_are_kept_are_bounded_together_as_well(server, monkeypatch):
    server.answer = mlflow
    size = sum(source.size for source in sources_at("mlflow:#7"))
    monkeypatch.setattr(service.Service, "_go_on", lambda self: setattr(self, "received", 0))
    with pytest.raises(LogError, match="has more than 0 MB at this address"):
        sources_at("mlflow:#7", Bounds(most=size - 1))


@pytest.mark.parametrize("address", ADDRESSES)
def test_who_waits_is_told_how_much_has_come_and_may_end_it(server, address, tmp_path):
    server.answer = ADDRESSES[address]
    shares: list[float] = []
    assert sources_at(address, Bounds(most=2**20, keep=False), shares.append)
    assert not (tmp_path / "cache").exists() and 0 < shares[-1] < 1 and shares == sorted(shares)
    before = len(server.asked)
    with pytest.raises(Cancelled):
        sources_at(address, Bounds(), lambda share: share == 0)
    assert len(server.asked) == before + 1


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_fault_in_the_middle_leaves_nothing_half_read(server, address):
    calls = count()
    good = ADDRESSES[address]
    server.answer = lambda asked: good(asked) if next(calls) < 2 else Answer(code=500)
    with pytest.raises(LogError, match=r"error 500; nothing was read\.$"):
        sources_at(address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_who_asks_to_wait_is_waited_for(server, address, place):
    calls = count()
    good = ADDRESSES[address]
    server.answer = lambda asked: good(asked) if next(calls) else Answer(code=429, headers={"Retry-After": "7"})
    assert sources_at(address) and place == [7.0]


@pytest.mark.parametrize(
    "address, variable",
    [("wandb:team/toy", "WANDB_API_KEY"), ("mlflow:#toy", "MLFLOW_TRACKING_TOKEN"), ("hf:team/toy", "HF_TOKEN")],
)
def test_without_a_key_it_is_said_how_one_is_given(server, monkeypatch, address, variable):
    monkeypatch.delenv(variable)
    server.answer = lambda asked: Answer(code=401)
    with pytest.raises(LogError, match=rf"asks for a key: set {variable}"):
        sources_at(address)
    assert all(asked.key is None for asked in server.asked)


def test_a_server_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(
        LogError, match=r"^wandb:team/toy: W&B cannot be reached at 127\.0\.0\.1:9 \(.+\); nothing was read"
    ):
        sources_at("wandb:team/toy")


@pytest.mark.parametrize(
    "address, said",
    [
        ("wandb:team", "A W&B address reads like wandb:ENTITY/PROJECT or wandb:ENTITY/PROJECT/RUN, got 'wandb:team'"),
        ("mlflow:https://host", "An MLflow address reads like mlflow:https://HOST#EXPERIMENT, or"),
        ("mlflow:https://user:pass@host#x", "has a user or a password in it, which belong in environment variables"),
        ("mlflow:file:///etc#x", "must begin with https:// or http:// and a host, got 'mlflow:file://…'"),
        ("mlflow:htps://bob:hunter2@host#exp", "must begin with https:// or http:// and a host, got 'mlflow:htps://…@"),
        ("mlflow:https://bob:hun#ter2@host#exp", "and a host, got 'mlflow:https://…@host#exp'."),
        ("mlflow:https://bob:hunter2@host", "with MLFLOW_TRACKING_URI, got 'mlflow:https://…@host'."),
        ("mlflow:databricks://dapi-hunter2#exp", "and a host, got 'mlflow:databricks://…'."),
        ("wandb:https://bob:hunter2@api.wandb.ai/a/b", "got 'wandb:https://…@api.wandb.ai/a/b'."),
        ("mlflow:http://host:port#x", "must begin with https:// or http:// and a host"),
        ("mlflow:http://a b#x", "must begin with https:// or http:// and a host"),
        (
            "https://wandb.ai/a/b",
            "The address of runs must be one of wandb:ENTITY/PROJECT[/RUN], mlflow:URL#EXPERIMENT, hf:O",
        ),
        ("hf:teäm/toy", "An address of the hub reads like hf:OWNER/REPO"),
        ("hf:team", "An address of the hub reads like hf:OWNER/REPO, got 'hf:team'"),
        ("hf:team/..", "An address of the hub reads like hf:OWNER/REPO"),
        ("hf:team/toy@../../other/private", "An address of the hub reads like hf:OWNER/REPO"),
        ("hf:datasets/team/toy@refs/..", "An address of the hub reads like hf:OWNER/REPO"),
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_is_asked(server, address, said):
    with pytest.raises(LogError, match=re.escape(said)) as fault:
        sources_at(address)
    assert not server.asked and not re.search("hunter2|bob", str(fault.value))


@pytest.mark.parametrize(
    "address, variable",
    [("wandb:team/toy", "WANDB_BASE_URL"), ("mlflow:#toy", "MLFLOW_TRACKING_URI"), ("hf:team/toy", "HF_ENDPOINT")],
)
@pytest.mark.parametrize("value", ["bob:hunter2@host", "databricks://hunter2"])
def test_what_a_variable_holds_stands_in_no_message(monkeypatch, address, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(LogError) as fault:
        sources_at(address)
    assert str(fault.value) == f"{variable} must begin with https:// or http:// and a host, what it holds does not."


def test_the_key_of_mlflow_goes_to_no_other_server_than_that_of_the_variable(server, monkeypatch):
    server.answer = mlflow
    assert sources_at(f"mlflow:{server.url.upper()}/#toy runs") and {a.key for a in server.asked} == {
        f"Bearer {SECRET}"
    }
    server.asked.clear()
    server.answer = lambda asked: Answer(code=401)
    for own in ("https://mlflow.corp", server.url.replace("http:", "https:"), "", "file:///runs", "http://host:port"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", own)
        with pytest.raises(LogError, match="a key: none was sent, since that of MLflow goes to the server in MLFLOW_T"):
            sources_at(f"mlflow:{server.url}#7")
    assert len(server.asked) == 5 and {asked.key for asked in server.asked} == {None}


def test_a_redirect_on_the_same_server_keeps_the_key_and_its_own_body_is_not_read(server):
    def answer(asked):
        if asked.path.startswith("/old"):
            return Answer("moved", 302, {"Location": f"http://{asked.host}{asked.path.removeprefix('/old')}"}, cut=True)
        there, here = asked.host.replace("127.0.0.1", "localhost"), asked.host.replace("localhost", "127.0.0.1")
        if asked.path == "/away":
            return Answer(code=302, headers={"Location": f"http://{there}/back"})
        if asked.path == "/back":
            return Answer(code=302, headers={"Location": f"http://{here}/home"})
        return b"data"

    server.answer = answer
    found = service.Service("S", server.url, "s", "", SECRET)
    assert found.file("/old/new") == found.file("/away") == b"data"
    keys = [(asked.path, asked.key) for asked in server.asked]
    assert keys == [("/old/new", SECRET), ("/new", SECRET), ("/away", SECRET), ("/back", None), ("/home", None)]


def test_the_hub_may_not_send_us_to_files_or_to_other_hosts(server):
    server.answer = lambda asked: Answer(code=302, headers={"Location": "file:///etc/passwd"})
    with pytest.raises(LogError, match="answered with the error 302"):
        sources_at("hf:team/toy")
    server.answer = lambda asked: Answer([], headers={"Link": '<http://elsewhere.example/>; rel="next"'})
    with pytest.raises(LogError, match="names a further page on another host"):
        sources_at("hf:team/toy")


def test_a_bucket_is_read_as_a_folder(tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    store = fsspec.filesystem("memory")
    store.pipe({"/toy/a/trainer_state.json": trainer_state.SAMPLE, "/toy/a/weights.bin": b"0", "/toy/README.md": b""})
    try:
        found = buckets.sources("memory://toy", Bounds(), service.unheard)
        assert [(s.name, s.read()) for s in found] == [("memory://toy/a/trainer_state.json", trainer_state.SAMPLE)]
        assert read_all(found).runs
        with pytest.raises(LogError, match=r"^memory://none: (there is no such|no logs here)"):
            buckets.sources("memory://none", Bounds(), service.unheard)
    finally:
        store.rm("/toy", recursive=True)


def test_a_fault_of_a_stores_own_client_is_a_sentence_without_queries(monkeypatch):
    core = pytest.importorskip("fsspec.core", reason="fsspec is not installed")

    class EndpointConnectionError(Exception):
        """Like botocore's, no OSError."""

    def fail(url):
        raise EndpointConnectionError(f'Could not connect to the endpoint URL: "https://s3.example/toy?sig={SECRET}".')

    monkeypatch.setattr(core, "url_to_fs", fail)
    with pytest.raises(LogError) as fault:
        sources_at(f"s3://toy/runs?sig={SECRET}")
    assert str(fault.value) == (
        's3://toy/runs: the store failed (Could not connect to the endpoint URL: "https://s3.example/toy"); '
        "nothing was read."
    )


def test_only_what_begins_like_an_address_is_one():
    assert all(map(is_address, [*ADDRESSES, "s3://bucket/runs", "gs://bucket"]))
    assert not any(map(is_address, ["runs/a.csv", "wandb/run-1", "hf", "C:/runs", "./hf:x"]))


def bucket(asked):
    """A bucket as S3 shows it, with one log, and another that its key does not open."""
    if asked.path == "/shut":
        return Answer("<Error><Code>AccessDenied</Code><Message>no</Message></Error>", 403)
    if asked.path.endswith("trainer_state.json"):
        return trainer_state.SAMPLE
    found = f"<Key>toy/trainer_state.json</Key><Size>{len(trainer_state.SAMPLE)}</Size><ETag>x</ETag>"
    inside = f"<Contents>{found}<LastModified>2026-11-01T00:00:00Z</LastModified></Contents>"
    shown = inside if asked.query.get("prefix", "").startswith("toy") else ""
    return f"<ListBucketResult><Name>open</Name><IsTruncated>false</IsTruncated>{shown}</ListBucketResult>"


@pytest.mark.slow
def test_s3_is_asked_through_its_own_client(server, monkeypatch):
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "toy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    server.answer = bucket
    found = sources_at("s3://open/toy")
    assert [(s.name, s.read()) for s in found] == [("s3://open/toy/trainer_state.json", trainer_state.SAMPLE)]
    assert not any(SECRET in str(asked) for asked in server.asked)
    with pytest.raises(LogError, match=r"^s3://shut/toy: the store refuses access with this key; nothing was read\.$"):
        sources_at("s3://shut/toy")

"""MLflow: every point of every metric of an experiment's runs, by its REST API 2.0."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from urllib.parse import unquote

from ...errors import LogError
from ...text import counted, shortened
from ..base import MOST_FILES, MOST_ROWS, Source
from ..formats.tracker_run import as_download
from .service import Bounds, Heard, Service, base_url, credential, origin, without_secrets

API = "/api/2.0/mlflow"
RUNS, POINTS = 100, 25_000  # of a page
ENDED = ("FINISHED", "FAILED", "KILLED")


def sources(address: str, bounds: Bounds, heard: Heard) -> list[Source]:
    """A source for each run with metrics at `mlflow:URL#EXPERIMENT`, by name or number, or `mlflow:#EXPERIMENT`."""
    text, hash_, experiment = address.removeprefix("mlflow:").partition("#")
    if not hash_ or not experiment:
        raise LogError(
            f"An MLflow address reads like mlflow:https://HOST#EXPERIMENT, or mlflow:#EXPERIMENT with "
            f"MLFLOW_TRACKING_URI, got {without_secrets(address)!r}."
        )
    server = _server(address, text, bounds, heard)
    runs = _runs(server, _number(server, unquote(experiment)))
    if not (logged := server.bounded(_source(server, run) for run in runs if _metrics(run))):
        raise LogError(f"{address}: no run here has logged a metric.", address)
    return logged


def _server(address: str, url: str, bounds: Bounds, heard: Heard) -> Service:
    """The server at `url`, or where there is none at MLFLOW_TRACKING_URI, whose key is sent to no other server."""
    own = credential("MLFLOW_TRACKING_URI")
    if url:
        base = base_url(url, "The URL in an MLflow address", address)
    else:
        base = base_url(own, "MLFLOW_TRACKING_URI")
    key, asks = _key(), "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if key and origin(base) != origin(own):
        key, asks = "", "none was sent, since that of MLflow goes to the server in MLFLOW_TRACKING_URI alone"
    return Service("MLflow", base, address, asks, key, bounds, heard)


def _key() -> str:
    if token := credential("MLFLOW_TRACKING_TOKEN"):
        return f"Bearer {token}"
    if user := credential("MLFLOW_TRACKING_USERNAME"):
        return "Basic " + b64encode(f"{user}:{credential('MLFLOW_TRACKING_PASSWORD')}".encode()).decode()
    return ""


def _number(server: Service, experiment: str) -> str:
    """The experiment's own number."""
    if experiment.isdigit():
        return experiment
    found = server.json(f"{API}/experiments/get-by-name", {"experiment_name": experiment})
    number = found.get("experiment", {}).get("experiment_id") if isinstance(found, dict) else None
    return str(number) if number is not None else server.refuse(f"has no experiment {shortened(experiment)!r}")


def _runs(server: Service, experiment: str) -> list[dict]:
    token, found = "", []
    while True:
        body: dict[str, object] = {"experiment_ids": [experiment], "max_results": RUNS}
        body |= {"order_by": ["attributes.start_time ASC"]} | ({"page_token": token} if token else {})
        page = server.json(f"{API}/runs/search", body=body)
        found += page.get("runs", [])
        if len(found) > MOST_FILES:
            server.refuse(f"has more than {counted(MOST_FILES, 'run')} in this experiment")
        token, before = page.get("next_page_token", ""), token
        if not token or token == before:
            return found


def _metrics(run: dict) -> list[tuple[str, dict]]:
    """The last point of each metric, by name."""
    return sorted({m["key"]: m for m in run.get("data", {}).get("metrics", ())}.items())


def _source(server: Service, run: dict) -> Source:
    """The run with all of its metrics."""
    info, data, metrics = run["info"], run.get("data", {}), _metrics(run)
    name = str(info.get("run_name") or info["run_id"])

    def download() -> bytes:
        rows: dict[tuple[int, int], dict] = {}  # step, how often the metric stood there before
        for key, _ in metrics:
            stood = Counter[int]()
            for point in _points(server, info["run_id"], key):
                step = int(point.get("step", 0))
                rows.setdefault((step, stood[step]), {"step": step})[key] = point["value"]
                stood[step] += 1
        config = {p["key"]: p["value"] for p in data.get("params", ())}
        return as_download("MLflow", name, config, [rows[at] for at in sorted(rows)])

    last = [[key, m.get("step"), m.get("timestamp")] for key, m in metrics]
    what = ["mlflow", server.base, info["run_id"], name, info.get("end_time"), last]
    body = server.kept(what, download) if info.get("status") in ENDED else download()
    return Source(f"{server.subject}/{info['run_id']}", body)


def _points(server: Service, run: str, key: str) -> Iterator[dict]:
    token, number = "", 0
    while True:
        query: dict[str, object] = {"run_id": run, "metric_key": key, "max_results": POINTS}
        page = server.json(f"{API}/metrics/get-history", query | ({"page_token": token} if token else {}))
        points = page.get("metrics", [])
        number += len(points)
        if number > MOST_ROWS:
            server.refuse(f"has a metric of more than {MOST_ROWS:,} points")
        yield from points
        token, before = page.get("next_page_token", ""), token
        if not token or token == before:
            return

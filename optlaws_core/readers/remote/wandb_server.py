"""W&B: every row of a run's history, by the queries of W&B's own client, HistoryPage and Run of wandb 0.31."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from ...errors import LogError
from ...text import counted, shortened
from ..base import MOST_FILES, MOST_ROWS, Source
from ..formats.tracker_run import as_download
from .service import Bounds, Heard, Service, base_url, credential, without_secrets

ROWS = 1_000  # steps of a page; W&B samples where it is asked for fewer rows than there are
RUNS = 50  # of a page
ENDED = ("finished", "failed", "crashed", "killed")
_RUN = "name displayName state config historyKeys historyLineCount"
_LIST = f"""query Runs($entity: String!, $project: String!, $cursor: String, $perPage: Int!) {{
  project(name: $project, entityName: $entity) {{
    runs(after: $cursor, first: $perPage, order: "+created_at") {{
      edges {{ node {{ {_RUN} }} }} pageInfo {{ endCursor hasNextPage }} }} }} }}"""
_ONE = f"""query Run($entity: String!, $project: String!, $run: String!) {{
  project(name: $project, entityName: $entity) {{ run(name: $run) {{ {_RUN} }} }} }}"""
_PAGE = """query HistoryPage($entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!,
  $pageSize: Int!) { project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) } } }"""


def sources(address: str, bounds: Bounds, heard: Heard) -> list[Source]:
    """A source for each run that logged something at `wandb:ENTITY/PROJECT` or `wandb:ENTITY/PROJECT/RUN`."""
    parts = address.removeprefix("wandb:").strip("/").split("/")
    if len(parts) == 4 and parts[2] == "runs":  # as in the address of W&B's own page
        del parts[2]
    if len(parts) not in (2, 3) or not all(parts):
        raise LogError(
            "A W&B address reads like wandb:ENTITY/PROJECT or wandb:ENTITY/PROJECT/RUN, "
            f"got {without_secrets(address)!r}."
        )
    base = base_url(credential("WANDB_BASE_URL") or "https://api.wandb.ai", "WANDB_BASE_URL")
    key = credential("WANDB_API_KEY")
    sent = "Basic " + b64encode(f"api:{key}".encode()).decode() if key else ""
    service = Service("W&B", base, address, "set WANDB_API_KEY", sent, bounds, heard)
    project = _Project(service, parts[0], parts[1])
    runs = [project.run(parts[2])] if len(parts) == 3 else list(project.runs())
    logged = [run for run in runs if _last_step(run) >= 0]
    if not logged:
        raise LogError(f"{address}: no run here has logged anything.", address)
    return service.bounded(map(project.source, logged))


class _Project:
    """A project of W&B."""

    def __init__(self, service: Service, entity: str, name: str) -> None:
        self.service, self.named = service, {"entity": entity, "project": name}

    def run(self, name: str) -> dict:
        found = self._asked(_ONE, run=name).get("run")
        if not isinstance(found, dict):
            self.service.refuse(f"has no run {shortened(name)!r} in this project")
        return found

    def runs(self) -> Iterator[dict]:
        cursor, number = None, 0
        while True:
            page = self._asked(_LIST, cursor=cursor, perPage=RUNS).get("runs") or {}
            for edge in page.get("edges") or ():
                number += 1
                if number > MOST_FILES:
                    self.service.refuse(f"has more than {counted(MOST_FILES, 'run')} in this project: name one of them")
                yield edge["node"]
            after = page.get("pageInfo") or {}
            if not after.get("hasNextPage") or after.get("endCursor") in (None, cursor):
                return
            cursor = after["endCursor"]

    def source(self, run: dict) -> Source:
        """The run with its whole history, from the cache where it has ended."""
        where = [*self.named.values(), run["name"]]
        what = [self.service.base, *where, _last_step(run), run.get("historyLineCount"), run.get("displayName")]

        def download() -> bytes:
            config = {k: v for k, v in _config(run.get("config")).items() if k != "_wandb"}
            return as_download("W&B", str(run.get("displayName") or run["name"]), config, self._history(run))

        data = self.service.kept(["wandb", *what], download) if run.get("state") in ENDED else download()
        return Source("wandb:" + "/".join(where), data)

    def _history(self, run: dict) -> list[dict]:
        rows: list[dict] = []
        begin, end = 0, _last_step(run) + 1
        span = ROWS * max(end // (run.get("historyLineCount") or end), 1)  # steps may lie far apart
        while begin < end:
            stop = min(begin + span, end)
            found = self._asked(_PAGE, run=run["name"], minStep=begin, maxStep=stop, pageSize=ROWS).get("run") or {}
            page = found.get("history")
            if not isinstance(page, list):
                self.service.refuse("left out a part of the history")
            if len(page) > ROWS // 2 and span > ROWS:  # it may be a sample
                span = max(span // 2, ROWS)
                continue
            begin = stop
            rows += (json.loads(row) if isinstance(row, str) else row for row in page)
            if len(rows) > MOST_ROWS:
                self.service.refuse(f"has a run of more than {MOST_ROWS:,} rows")
        return rows

    def _asked(self, query: str, **variables: object) -> dict[str, Any]:
        """The project in the answer to a query."""
        answer = self.service.json("/graphql", body={"query": query, "variables": self.named | variables})
        if isinstance(answer, dict) and answer.get("errors"):
            said = answer["errors"][0] if isinstance(answer["errors"], list) else answer["errors"]
            text = said.get("message", said) if isinstance(said, dict) else said
            self.service.refuse(f"answered: {shortened(str(text), 200)}")
        found = (answer.get("data") or {}).get("project") if isinstance(answer, dict) else None
        if not isinstance(found, dict):
            self.service.refuse("has no such project, or does not show it to this key")
        return found


def _last_step(run: dict) -> int:
    keys = run.get("historyKeys")
    last = keys.get("lastStep") if isinstance(keys, dict) else None
    return int(last) if isinstance(last, (int, float)) else -1


def _config(value: object) -> dict:
    """W&B keeps {"lr": {"value": 1e-3, "desc": null}}, as JSON in a text."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    found = found if isinstance(found, dict) else {}
    return {k: v["value"] if isinstance(v, dict) and "value" in v else v for k, v in found.items()}

"""The Hugging Face hub: the logs in a repository, which are trainer_state.json, event files and trackio's databases."""

import re
from urllib.parse import quote

from ...errors import LogError
from ...text import counted, shortened
from ..base import MOST_FILES, Source
from .service import Bounds, Heard, Service, base_url, check_sizes, credential

KINDS = {"": "models", "datasets/": "datasets", "spaces/": "spaces"}
_PIECE = r"(?!\.+(?:[/@]|\Z))[\w.-]+"  # dots alone could lead to another repository
_NAME = re.compile(
    rf"(?P<kind>datasets/|spaces/)?(?P<repo>{_PIECE}/{_PIECE})(@(?P<revision>{_PIECE}(/{_PIECE})*))?", re.ASCII
)
_STATE = re.compile(r"(?P<folder>.*?)(checkpoint-(?P<step>\d+)/)?trainer_state\.json")
_LOG = re.compile(r"(.*/)?([^/]*tfevents[^/]*|[^/]*trackio[^/]*\.db)")


def sources(address: str, bounds: Bounds, heard: Heard) -> list[Source]:
    """The logs of `hf:OWNER/REPO`, `hf:datasets/OWNER/REPO` or `hf:spaces/OWNER/REPO`, perhaps `@REVISION`."""
    found = _NAME.fullmatch(address.removeprefix("hf:").strip("/"))
    if not found:
        raise LogError(f"An address of the hub reads like hf:OWNER/REPO, got {shortened(address)!r}.")
    base = base_url(credential("HF_ENDPOINT") or "https://huggingface.co", "HF_ENDPOINT")
    token = credential("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    hub = Service("The hub", base, address, "set HF_TOKEN", f"Bearer {token}" if token else "", bounds, heard)
    kind, repo, revision = found["kind"] or "", found["repo"], quote(found["revision"] or "main", safe="")
    listing = hub.pages(f"/api/{KINDS[kind]}/{repo}/tree/{revision}", {"recursive": "true"})
    files = {f["path"]: f for page in listing for f in page if f.get("type") == "file"}
    logs = _logs(list(files))
    if not logs:
        raise LogError(f"{address}: no trainer_state.json, event files or databases of trackio are here.", address)
    if len(logs) > MOST_FILES:
        hub.refuse(f"has more than {counted(MOST_FILES, 'log')} in this repository")
    check_sizes(address, {path: files[path].get("size") for path in logs}, bounds.most)

    def content(path: str) -> bytes:
        where = f"/{kind}{repo}/resolve/{revision}/{quote(path)}"
        return hub.kept(["hf", base, kind, repo, path, files[path]["oid"]], lambda: hub.file(where))

    return [Source(f"{address}/{path}", content(path)) for path in logs]


def _logs(paths: list[str]) -> list[str]:
    """The logs among files; of the states of one run's checkpoints, each with all before it, only the last one."""
    states: dict[str, tuple[float, str]] = {}
    for path in paths:
        if state := _STATE.fullmatch(path):
            step = float(state["step"] or "inf")  # beside the checkpoints lies that of the end
            states[state["folder"]] = max(states.get(state["folder"], (-1.0, "")), (step, path))
    return sorted([path for path in paths if _LOG.fullmatch(path)] + [path for _, path in states.values()])

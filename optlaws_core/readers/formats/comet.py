"""Comet's offline experiment, a ZIP with `experiment.json` and `messages.json`, one JSON object a line."""

import json
from base64 import b64decode
from collections.abc import Iterator

from ...errors import LogError
from ...text import counted
from .. import archives
from ..base import Note
from ..declared import facts_of
from ..format import Content, Format
from ..metric_curves import Curves, opened
from ..opened import Opened


def is_comet(content: Content) -> bool:
    """Whether a file is an offline experiment."""
    return archives.is_store(content.data)


def open_comet(content: Content) -> Opened:
    """The experiment, opened. Raises `LogError` when it logged nothing."""
    curves, params, name = Curves(), {}, ""
    bad: list[int] = []
    for kind, payload in _messages(archives.unzipped(content.data, archives.COMET[1]), bad):
        if kind == "metric_msg" and isinstance(metric := payload.get("metric"), dict):
            curves.add(str(metric.get("metricName")), metric.get("step"), metric.get("metricValue"))
        elif kind == "parameter_msg" and isinstance(param := payload.get("param"), dict):
            params[str(param.get("paramName"))] = param.get("paramValue")
        elif kind == "log_other" and payload.get("key") == "Name":
            name = str(payload.get("value"))
    if not curves.points:
        raise LogError("the experiment holds no metrics.")
    notes = (Note("repaired", f"{counted(len(bad), 'line')} without a JSON object dropped."),) if bad else ()
    name = name or content.source.stem
    return opened([curves.raw_run(name, *facts_of(params, name))], notes)


def _messages(data: bytes, bad: list[int]) -> Iterator[tuple[str, dict]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        payload = message.get("payload") if isinstance(message, dict) else None
        if isinstance(message, dict) and isinstance(payload, dict):
            yield str(message.get("type")), payload
        else:
            bad.append(number)


SAMPLE = b64decode(
    "UEsDBBQAAAAIAAAAIQBMCN0pFQAAABMAAAAPAAAAZXhwZXJpbWVudC5qc29uq1bKT0vLycxLjc9MUbJSUKpQqgUAUEsDBBQAAAAIAAAAIQAB+gDh"
    "xQAAAAcEAAANAAAAbWVzc2FnZXMuanNvbrWRQQ6CMBBF956CdK1YICbGQ7h0SyqOQGxtM60mSLi7BUQQMW7obtrfeS/NL4kpFJCdR7hMY2kyQLL0"
    "iGIFl+xk70tygaLO90xAHd0ZvzULZ5RilUgBhlTVonyDFEP71ADGQqdjWBP2UwO1O0dmkizW+QPaBRsdXp5t9UG3ZMyTKXSbDMYObpDl1zWXWtcr"
    "bdbRIz/c2EttQNkTdeoK/YEqcO0Khh8LXdto74pmc+G3ifqUBg4K+6+ar7AfLuqkr2nZuK0nUEsBAhQDFAAAAAgAAAAhAEwI3SkVAAAAEwAAAA8A"
    "AAAAAAAAAAAAAIABAAAAAGV4cGVyaW1lbnQuanNvblBLAQIUAxQAAAAIAAAAIQAB+gDhxQAAAAcEAAANAAAAAAAAAAAAAACAAUIAAABtZXNzYWdl"
    "cy5qc29uUEsFBgAAAAACAAIAeAAAADIBAAAAAA=="
)
FORMAT = Format("Comet offline experiment", (".zip",), is_comet, open_comet, SAMPLE)

"""Which addresses of runs the server reads for visitors: those that its operator names, and none unless one is named.

Whoever may visit reads with the operator's keys, from the operator's network. So an address is read where it begins
with one that was named, piece by piece of its path, and whatever could mean another place is refused.
"""

import re

from optlaws_core.errors import OptLawsError

from . import options

REMOTE = "OPTLAWS_REMOTE"  # environment variable or secret: what visitors' addresses may begin with
_WORD = re.compile(
    r"(wandb|hf)(:[\w.-]+(/[\w.-]+)*)?|mlflow(:https?://[\w.-]+(:\d{1,5})?(/[\w.-]+)*/?)?|(s3|gs)://[\w.-]+(/[\w.=-]+)*/?"
)
_ADDRESS = re.compile(r"(?P<service>(wandb|hf|mlflow)(?=:)|(s3|gs)(?=://)):(?P<rest>.*)")
_PIECE = re.compile(r"[\w .=@+-]+")
_KINDS = ("datasets", "spaces")  # of the hub's repositories, besides models, which have no word


def allowed() -> tuple[str, ...]:
    """What the operator lets addresses begin with: spaces or commas between. Raises `ValueError` for other words."""
    words = tuple(options.said(REMOTE).replace(",", " ").split())
    if wrong := next((word for word in words if not _WORD.fullmatch(word)), None):
        raise ValueError(
            f"{REMOTE} must be words such as wandb, wandb:ENTITY, hf:OWNER, mlflow, mlflow:https://HOST or s3://BUCKET,"
            f" with spaces between, got {wrong!r:.60}."
        )
    return words


def check(address: str) -> None:
    """Raises `OptLawsError` for an address that the operator does not let visitors read."""
    words = allowed()
    if not words:
        raise OptLawsError("This server reads no runs by their address.")
    if not any(_begins(address, word) for word in words):
        shown = (
            f"…@{address.rpartition('@')[2]}" if "@" in address else address
        )  # what stands before it may be a password
        raise OptLawsError(
            f"This server reads runs from addresses that begin with {', '.join(words)}, got {shown!r:.60}."
        )


def _begins(address: str, word: str) -> bool:
    """Whether an address lies at the place that a word of the operator's names, or below it."""
    service, pieces = _split(address)
    named, first = _split(word)
    if service != named or pieces is None or first is None:
        return False
    if service == "mlflow":  # one server is no part of another, and mlflow alone is that of MLFLOW_TRACKING_URI
        return pieces == first
    if service == "hf" and pieces and pieces[0] in _KINDS:
        if len(pieces) != 3:  # the hub would take it for a model of an owner of that name
            return False
        if first[:1] != pieces[:1]:  # a data set or a space of an owner is one of theirs
            pieces = pieces[1:]
    return len(pieces) > 0 and pieces[: len(first)] == first


def _split(text: str) -> tuple[str, tuple[str, ...] | None]:
    """The service of an address or a word, and the pieces of its path; None where they could mean another place."""
    found = _ADDRESS.fullmatch(text if ":" in text else f"{text}:")
    if found is None:
        return "", None
    service, rest = found["service"], found["rest"]
    if service == "mlflow":
        return service, tuple(rest.partition("#")[0].rstrip("/").split("/"))
    revision = ""
    if service == "hf":  # any revision is read, which may be a path of its own
        rest, _, revision = rest.strip("/").partition("@")
    pieces = rest.strip("/").split("/") if rest else []
    named = [*pieces, *(revision.split("/") if revision else [])]
    whole = all(_PIECE.fullmatch(piece) and piece.strip(".") for piece in named)
    return service, tuple(pieces) if whole else None

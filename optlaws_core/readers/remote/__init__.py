"""Runs by their address: of W&B, MLflow, the Hugging Face hub, and of buckets. Whoever calls this reaches out to them.

Keys come from the environment alone, are sent to their own service alone, and are nowhere in what is returned. A fault
anywhere is a `LogError` of one sentence, and then nothing of the address was read.
"""

from collections.abc import Callable
from pathlib import Path

from ...errors import LogError, OptLawsError, amiss
from ..base import Source
from . import buckets, hub, mlflow_server, wandb_server
from .service import Bounds, Heard, unheard, without_secrets

SERVICES: dict[str, Callable[[str, Bounds, Heard], list[Source]]] = {
    "wandb:": wandb_server.sources,
    "mlflow:": mlflow_server.sources,
    "hf:": hub.sources,
    **{f"{store}://": buckets.sources for store in buckets.STORES},
}
FORMS = "wandb:ENTITY/PROJECT[/RUN], mlflow:URL#EXPERIMENT, hf:OWNER/REPO, s3://BUCKET/FOLDER"


def is_address(path: str | Path) -> bool:
    """Whether a text is the address of runs elsewhere, not a path on disk."""
    return isinstance(path, str) and path.startswith(tuple(SERVICES))


def sources_at(address: str, bounds: Bounds | None = None, progress: Heard | None = None) -> list[Source]:
    """The logs at an address, in memory. `progress` is told the share of `bounds.most` that has come.

    Raises `LogError`, `MissingExtra` for buckets without their package, and `Cancelled` from `progress`.
    """
    find = next((find for opening, find in SERVICES.items() if address.startswith(opening)), None)
    if find is None:
        raise LogError(f"The address of runs must be one of {FORMS}, got {without_secrets(address)!r}.")
    try:
        return find(address, bounds or Bounds(), progress or unheard)
    except OptLawsError:
        raise
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as fault:
        raise LogError(
            f"{address}: the answer is not in a form that is known here ({amiss(fault)}).", address
        ) from None


__all__ = ["FORMS", "Bounds", "is_address", "sources_at"]

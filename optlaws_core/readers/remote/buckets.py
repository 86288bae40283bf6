"""Buckets, through fsspec: the logs in a folder, as on disk. fsspec finds keys where the store's own tools do."""

from typing import Any

from ...errors import LogError, extra
from ...text import counted
from ..base import MOST_FILES, Source
from ..files import is_log_name
from .service import check_sizes

STORES = ("s3", "gs")
MOST_LISTED = 100_000  # files of a folder


def sources(address: str) -> list[Source]:
    """The logs at `s3://BUCKET/FOLDER`, or the one file there. Raises `MissingExtra` without fsspec."""
    with extra("buckets", f"Reading {address}"):
        from fsspec.core import url_to_fs
    try:
        store, root = url_to_fs(address)
        found: dict[str, dict[str, Any]] = store.find(root, detail=True)
        return _read(address, store, root, found)
    except ImportError as fault:
        raise LogError(f"{address}: {fault}", address) from None
    except FileNotFoundError:
        raise LogError(f"{address}: there is no such file or folder.", address) from None
    except PermissionError:
        raise LogError(f"{address}: the store refuses it to this key; nothing was read.", address) from None
    except OSError as fault:
        raise LogError(f"{address}: the store failed ({fault.strerror or fault}); nothing was read.", address) from None


def _read(address: str, store: Any, root: str, found: dict[str, dict[str, Any]]) -> list[Source]:
    if len(found) > MOST_LISTED:
        raise LogError(f"{address}: a folder may have {MOST_LISTED:,} files, got {len(found):,}.", address)
    logs = [path for path in sorted(found) if path == root or is_log_name(path) or "tfevents" in path]
    if not logs:
        raise LogError(f"{address}: no logs here, of {counted(len(found), 'file')}.", address)
    if len(logs) > MOST_FILES:
        raise LogError(f"{address}: {MOST_FILES:,} logs can be read at once, got {len(logs):,}.", address)
    check_sizes(address, {path: found[path].get("size") for path in logs})
    return [Source(f"{address.partition('://')[0]}://{path.lstrip('/')}", store.cat_file(path)) for path in logs]

"""Buckets, through fsspec: the logs in a folder, as on disk. fsspec finds keys where the store's own tools do."""

import re
import time
from typing import Any

from ...errors import Cancelled, LogError, OptLawsError, extra
from ...text import counted, shortened
from ..base import MOST_FILES, Source
from ..files import is_log_name
from .service import Bounds, Heard, check_sizes

STORES = ("s3", "gs")
MOST_LISTED = 100_000  # files of a folder
_QUERY = re.compile(r"\?[^\s\"']+")


def sources(address: str, bounds: Bounds, heard: Heard) -> list[Source]:
    """The logs at `s3://BUCKET/FOLDER`, or the one file there. Raises `MissingExtra` without fsspec.

    The time is looked at between files; within one the store's own client says how long it waits.
    """
    url, address = address, _QUERY.sub("", address)
    with extra("buckets", f"Reading {address}"):
        from fsspec.core import url_to_fs
    try:
        store, root = url_to_fs(url)
        found: dict[str, dict[str, Any]] = store.find(root, detail=True)
        return _read(address, store, root, found, bounds, heard)
    except (OptLawsError, Cancelled):
        raise
    except ImportError as fault:
        raise LogError(f"{address}: {fault}", address) from None
    except FileNotFoundError:
        raise LogError(f"{address}: there is no such file or folder.", address) from None
    except PermissionError:
        raise LogError(f"{address}: the store refuses access with this key; nothing was read.", address) from None
    except Exception as fault:  # clients of stores have faults of their own, as botocore for keys that are not there
        raise LogError(f"{address}: the store failed ({_said(fault)}); nothing was read.", address) from None


def _said(fault: Exception) -> str:
    """What a store's client says, without the queries of URLs, which may be signed."""
    text = (fault.strerror if isinstance(fault, OSError) else None) or str(fault) or type(fault).__name__
    return shortened(_QUERY.sub("", text), 200).rstrip(".")


def _read(
    address: str, store: Any, root: str, found: dict[str, dict[str, Any]], bounds: Bounds, heard: Heard
) -> list[Source]:
    if len(found) > MOST_LISTED:
        raise LogError(f"{address}: a folder may have {MOST_LISTED:,} files, got {len(found):,}.", address)
    logs = [path for path in sorted(found) if path == root or is_log_name(path) or "tfevents" in path]
    if not logs:
        raise LogError(f"{address}: no logs here, of {counted(len(found), 'file')}.", address)
    if len(logs) > MOST_FILES:
        raise LogError(f"{address}: {MOST_FILES:,} logs can be read at once, got {len(logs):,}.", address)
    check_sizes(address, {path: found[path].get("size") for path in logs}, bounds.most)
    began, scheme, read, size = time.monotonic(), address.partition("://")[0], list[Source](), 0
    for path in logs:
        if time.monotonic() - began > bounds.seconds:
            raise LogError(f"{address}: the store took more than {bounds.seconds / 60:.0f} minutes; nothing was read.")
        if heard(size / bounds.most) is False:
            raise Cancelled
        read.append(Source(f"{scheme}://{path.lstrip('/')}", store.cat_file(path)))
        size += read[-1].size
    return read

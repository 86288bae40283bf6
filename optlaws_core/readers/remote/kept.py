"""Downloads that change no more, in the user's cache folder. A cache that fails is as good as none."""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def folder() -> Path:
    """Where downloads are kept: OPTLAWS_CACHE, or the place for such files on this system."""
    if own := os.environ.get("OPTLAWS_CACHE"):
        return Path(own)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or ("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    return Path(base).expanduser() / "optlaws" / "downloads"


def kept(key: object, download: Callable[[], bytes]) -> bytes:
    """What is kept under `key`, plain values that change with the content; else what `download` gives, kept."""
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    path = folder() / name[:2] / name
    with suppress(OSError):
        return path.read_bytes()
    data = download()
    with suppress(OSError):
        _write(path, data)
    return data


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing, for nobody else to read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, other = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(other, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(other)
        raise

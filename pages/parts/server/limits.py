"""How much visitors may upload, before it is in the server's memory: ASGI middleware for `st.App`.

Streamlit limits one file, by `server.maxUploadSize`, and keeps every upload in memory until it is read or its visitor
has gone. A script may send more files than any page asks for; the widgets' own limits hold in the browser alone.
"""

import asyncio
import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import Runtime

# Multiples of what the readers take at once, which are not imported: the server listens before pandas is loaded.
MOST_WAITING = 2**30  # bytes of one visitor's uploads that are not read yet: two files of the largest size
MOST_WAITING_FILES = 5000  # ten readings: a folder also brings files that are no logs
MOST_TOGETHER = 2**32  # bytes, over all visitors
PATIENCE = 60  # seconds that the next part of an upload may take
_UPLOAD = re.compile(r".*/_stcore/upload_file/([^/]+)/([^/]+)")
_refused: dict[str, list[str]] = {}  # session -> why uploads were not taken


class UploadLimits:
    """Refuses an upload that is too much, by its announced length and one sentence, before a byte of it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.coming: dict[tuple[str, str], int] = {}  # session and file -> bytes on their way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = _UPLOAD.fullmatch(scope.get("path", "")) if scope.get("method") == "PUT" else None
        if upload is None:
            await self.app(scope, receive, send)
            return
        headers, (session, file) = dict(scope["headers"]), upload.groups()
        length = headers.get(b"content-length", b"")
        size = int(length) if length.isdigit() and b"transfer-encoding" not in headers else -1
        if fault := self._fault(session, file, size):
            _remember(session, fault)
            await PlainTextResponse(fault, 413 if size >= 0 else 411)(scope, receive, send)
            return
        self.coming[session, file] = size

        async def received() -> Message:
            try:
                return await asyncio.wait_for(receive(), PATIENCE)
            except TimeoutError:
                return {"type": "http.disconnect"}  # as of a browser that went; its room is free again

        try:
            await self.app(scope, received, send)
        finally:
            self.coming.pop((session, file), None)

    def _fault(self, session: str, file: str, size: int) -> str | None:
        """Why an upload of `size` bytes is not taken; None where it is."""
        if size < 0:
            return "An upload must state its length in advance; this one does not."
        if (session, file) in self.coming:
            return "This file is already being uploaded; wait until that has ended."
        known = _stored() | self.coming
        known.pop((session, file), None)  # what it replaces
        own = [length for (owner, _), length in known.items() if owner == session]
        if len(own) >= MOST_WAITING_FILES:
            return f"At most {MOST_WAITING_FILES:,} files may be uploaded at once; this is one more."
        for most, waiting, whose in (
            (MOST_WAITING, sum(own), "at once"),
            (MOST_TOGETHER, sum(known.values()), "at once by all visitors"),
        ):
            if waiting + size > most:
                return f"{_mb(most)} {whose} may be uploaded, with this file it would be {_mb(waiting + size)}."
        return None


def refusals(session: str) -> str:
    """A sentence on the uploads of a session that were not taken since this was last asked; empty where all were."""
    from optlaws_core.text import counted

    faults = _refused.pop(session, [])
    return f"{counted(len(faults), 'file')} refused: {faults[0]}" if faults else ""


def _remember(session: str, fault: str) -> None:
    """Keep what a page of this session has to say; of sessions that have ended nothing is kept."""
    active = Runtime.instance().is_active_session
    for gone in [s for s in _refused if not active(s)]:
        del _refused[gone]
    if active(session):
        _refused.setdefault(session, []).append(fault)


def _stored() -> dict[tuple[str, str], int]:
    """Bytes of every upload in Streamlit's memory, by session and file."""
    sessions = Runtime.instance().uploaded_file_mgr.file_storage
    return {(s, f): len(record.data) for s, files in list(sessions.items()) for f, record in list(files.items())}


def _mb(size: int) -> str:
    return f"{-(-size // 2**20):,} MB"  # rounded up, so that what is too much also looks it

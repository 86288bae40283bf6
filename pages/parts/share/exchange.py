"""Comparisons as programs read and save them by HTTP, with the rights of the same visitor on the Shared page."""

from collections.abc import Mapping

from optlaws_core.errors import Missing, OptLawsError
from optlaws_core.saved import MOST_BYTES, Snapshot, from_bundle, versions
from optlaws_core.saved.record import WRAPPING, bundle_of
from optlaws_core.saved.rights import Viewer
from optlaws_core.saved.store import MISSING

from ..server import login
from ..server.api import Found
from ..state import identity, settings
from . import preview
from .common import kinds, usual

MOST = MOST_BYTES + WRAPPING  # bytes of a bundle


def viewer(cookies: Mapping[str, str], key: str) -> Viewer:
    """Who asks, by the cookies of a log-in and a browser's key; empty: a stranger."""
    return identity.viewer_of(login.of(cookies), key)


def found(id: str, who: Viewer, content: str = "") -> Found:
    """What may be had of a comparison; content: the digest of an earlier version. Raises like `Store.open`."""
    store = settings.store()
    entry = store.entry(id, who)
    digest, title = content or entry.digest, entry.title
    if digest != entry.digest:
        known = {version.digest: version.title for version in versions.history(store, id, who).versions}
        if digest not in known:
            raise Missing(MISSING)
        title = known[digest]

    def load() -> Snapshot:  # this content, whatever is the newest by then
        return versions.open_version(store, id, who, digest)

    def bundle() -> bytes:  # as it was saved: nothing is read of it and written anew
        return bundle_of(versions.content(store, id, who, digest))

    return Found(digest, title, bundle, lambda: preview.picture(digest, title, load))


def save(data: bytes, who: Viewer, opens: str) -> str:
    """Keep the comparison of a bundle; returns its id. Raises `OptLawsError` where it cannot be opened.

    opens: whom it lets in, the name of a `Visibility`; empty: as on the page.
    """
    offered = {kind.name: kind for kind in kinds(who)}
    if opens and opens not in offered:
        raise OptLawsError(f"for must be one of {', '.join(offered)}, got {opens[:40]!r}.")
    return settings.store().save(from_bundle(data), who, offered[opens] if opens else usual(who))


def delete(id: str, who: Viewer) -> None:
    """Remove a comparison of one's own. Raises `Missing`, and `OptLawsError` for one of others."""
    settings.store().delete(id, who)

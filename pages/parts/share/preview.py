"""What a chat may show of a link: the title and verdict of a comparison that anybody with the link may open."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from optlaws_core import OptLawsError
from optlaws_core.errors import Missing
from optlaws_core.saved import Snapshot, versions
from optlaws_core.saved.differences import differences
from optlaws_core.saved.rights import STRANGER, Visibility

from ..compare import ranking
from ..server import login
from ..server.previews import Preview
from ..state import settings
from . import kept
from .take_away import Taken

MOST = 300  # characters of a description; chats cut there anyway
NOTHING = "Learning-rate schedules side by side: the loss that a fitted law predicts for each."
T = TypeVar("T")
_lock = Lock()  # one is made at a time: pictures are for robots, pages for people


def of(id: str) -> Preview | None:
    """The preview of a link; None for all that a stranger with the link may not open, or may not without a log-in."""
    if login.required():
        return None
    store = settings.store()

    def load() -> Snapshot:  # the content that was asked for, whatever is the newest by then
        return versions.open_version(store, id, STRANGER, entry.digest)

    try:
        entry = store.entry(id, STRANGER)
        if entry.visibility is not Visibility.link:
            return None
        said = verdict(entry.digest, load) or NOTHING
    except OptLawsError:
        return None

    return Preview(
        entry.title,
        said if len(said) <= MOST else f"{said[: MOST - 1]}…",
        lambda: picture(entry.digest, entry.title, load),
    )


class _Kept(Generic[T]):
    """Answers by the content of a comparison, the latest of them; for whoever holds `_lock`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.answers: dict[object, T] = {}

    def get(self, key: object, make: Callable[[], T]) -> T:
        if key not in self.answers:
            self.answers[key] = make()
            while len(self.answers) > self.most:
                del self.answers[next(iter(self.answers))]
        return self.answers[key]


_verdicts: _Kept[str] = _Kept(256)
_changes: _Kept[tuple[str, ...]] = _Kept(256)
_pictures: _Kept[bytes] = _Kept(32)


def taken(found: Snapshot) -> Taken | None:
    """A comparison as it was saved, to be ranked and drawn; None where there is nothing to rank."""
    space = kept.workspace(found)
    if found.fit is None:
        return None
    first = Taken(
        space, [found.current, *found.also], kept.view(found), found.observed, found.risk, found.most_risk, -1
    )
    entries = first.entries
    if not entries:
        return None
    place = kept.baseline(found)
    if place not in {e.place for e in entries}:
        usual = ranking.usual(space, entries, found.risk, found.most_risk)
        place = next(e.place for e in entries if e.name == usual)
    return Taken(space, first.fits, first.view, first.observed, first.risk, first.most_risk, place)


def verdict(digest: str, load: Callable[[], Snapshot]) -> str:
    """The verdict of the comparison with this content, which `load` opens; empty where it holds runs alone."""

    def make() -> str:
        what = taken(load())
        return what.verdict() if what else ""

    with _lock:
        return _verdicts.get(digest, make)


def changes(before: str, after: str, load: Callable[[str], Snapshot]) -> tuple[str, ...]:
    """What differs between the versions with these contents, as phrases; `load` opens one of them."""
    with _lock:
        return _changes.get((before, after), lambda: differences(load(before), load(after)))


def picture(digest: str, title: str, load: Callable[[], Snapshot]) -> bytes:
    """The chart of the comparison with this content, a PNG. Raises `Missing` where there is nothing to draw."""

    def make() -> bytes:
        what = taken(load())
        if what is None:
            raise Missing("This comparison has no picture: it holds runs alone, without a fit or a candidate.")
        return what.figure("png", "double", title)

    with _lock:
        return _pictures.get((digest, title), make)

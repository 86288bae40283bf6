"""A saved comparison: everything it takes to show it again, with the same numbers, without the files it came from.

Predictions, rankings and bands follow from fits and schedules, which are kept in full; draws of the coefficients follow
from a fit's covariance. Observations are drawn, and no number hangs on them: they are thinned. So a copy shows what the
original showed, and a law that is fitted anew to the copy's runs may come out a little different.

A snapshot is plain values, stored as JSON in one canonical form; its `digest` is the SHA-256 of that form. Reading
checks every value: whatever a stranger sends is a snapshot or one clear error.
"""

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any, TypeVar

from ..errors import OptLawsError, unread
from ..fitting.result import Model, model_from_dict
from ..fitting.selection import Selection
from ..prediction.divergence import MOST_RISK, Risk
from ..runs import Run
from ..schedules import Schedule
from ..text import counted
from . import checks, plain
from .plain import Candidate

KIND = "optlaws snapshot"
UNREADABLE = "This is not a saved comparison that can be opened: "  # how errors begin
# Each makes the plain values of the next format of those of one: UPGRADES[0] of those of format 1. Append, never edit.
UPGRADES: tuple[Callable[[dict], dict], ...] = ()
WRAPPING = 200  # bytes that a bundle may have around its snapshot
VERSIONED = ("numpy", "scipy", "sympy")  # what the last digits of a prediction hang on

T = TypeVar("T")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A comparison and what it rests on. Two are the same when their `digest`s are.

    The constructor takes what it is given; `to_bytes` and `from_bytes`, and so saving, hold it to the rules.
    """

    title: str
    runs: tuple[Run, ...] = field(default=(), repr=False)  # thinned
    fits: Mapping[str, Model] = field(default_factory=dict, repr=False)  # by the name that they were kept under
    current: str | None = None  # name of the fit in use; None without fits
    candidates: tuple[Candidate, ...] = ()
    selections: Mapping[str, Selection] = field(default_factory=dict, repr=False)  # what a fit was judged beside
    risk: Risk | None = None  # of divergence, where the ranking heeds it
    most_risk: float = MOST_RISK  # above which a candidate is set apart
    also: tuple[str, ...] = ()  # names of fits that are drawn beside the one in use
    observed: tuple[str, ...] = ()  # names of runs that are drawn behind the candidates
    view: Mapping[str, checks.Setting] = field(default_factory=dict)  # settings of charts, by name
    note: str = ""
    tags: tuple[str, ...] = ()
    author: str = ""  # empty: not known
    parent: str | None = None  # digest of the snapshot that this one is a changed copy of; not its id, which is a key
    created: str = field(default_factory=_now)  # UTC, ISO 8601
    versions: Mapping[str, str] = field(default_factory=_versions)

    @property
    def fit(self) -> Model | None:
        """The fit in use."""
        return None if self.current is None else self.fits[self.current]

    @cached_property  # 10 to 25 ms for eight runs, and asked for several times a page
    def digest(self) -> str:
        """SHA-256 of the canonical form, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_dict(self) -> dict:
        """Plain values; `from_dict` reads them back."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "kind": KIND,
            "format": len(UPGRADES) + 1,
            "runs": [plain.run_to_dict(r) for r in self.runs],
            "fits": {name: model.to_dict() for name, model in self.fits.items()},
            "candidates": [c.to_dict() for c in self.candidates],
            "selections": {name: plain.selection_to_dict(s) for name, s in self.selections.items()},
            "risk": self.risk and self.risk.to_dict(),
            "view": dict(self.view),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, d: object) -> "Snapshot":
        """A snapshot from `to_dict`'s values, of this format or an older one. Raises `OptLawsError`."""
        try:
            with _each_of_its_kind("it"):
                return cls(**_read(_upgraded(checks.mapping(d, "it"))))
        except OptLawsError as fault:
            raise OptLawsError(f"{UNREADABLE}{checks.brief(fault, 300)}") from None

    def to_bytes(self) -> bytes:
        """The canonical form: JSON with sorted keys and without spaces, in UTF-8.

        Raises `OptLawsError` where it is too large, has a number that is not finite, or a text that is none.
        """
        try:
            data = _canonical(self.to_dict())
        except (ValueError, TypeError) as fault:  # JSON has no infinity, UTF-8 no half of a surrogate pair
            raise OptLawsError(f"This comparison cannot be saved: {checks.brief(fault, 120)}.") from None
        checks.size(data)
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> "Snapshot":
        """A snapshot from its JSON. Raises `OptLawsError` for anything else."""
        return cls.from_dict(_parsed(data))


def usual_title(schedules: Sequence[Schedule]) -> str:
    """What a comparison of schedules is called where nobody gave it a title."""
    lengths = {schedule.total for schedule in schedules}
    over = f" over {counted(lengths.pop(), 'update')}" if len(lengths) == 1 else ""
    return f"{counted(len(schedules), 'schedule')}{over}"


def is_usual(title: str) -> bool:
    """Whether nobody gave this title: it is one of `usual_title`."""
    return re.fullmatch(r"[\d,]+ schedules?( over [\d,]+ updates?)?", title) is not None


def to_bundle(snapshot: Snapshot) -> bytes:
    """The snapshot as a JSON file of its own, with its digest."""
    return bundle_of(snapshot.to_bytes())


def bundle_of(data: bytes) -> bytes:
    """The same of a canonical form, as `Snapshot.to_bytes` and the store have it."""
    return b'{"sha256":"%s","snapshot":%s}\n' % (hashlib.sha256(data).hexdigest().encode(), data)


def from_bundle(data: bytes) -> Snapshot:
    """The snapshot of such a file. Raises `OptLawsError` for anything else, and where it was changed on the way."""
    bundle = _parsed(data, room=WRAPPING)
    if not isinstance(bundle, dict) or set(bundle) != {"sha256", "snapshot"}:
        raise OptLawsError("A bundle of a saved comparison must have the keys sha256 and snapshot, and no others.")
    try:
        found = hashlib.sha256(_canonical(bundle["snapshot"])).hexdigest()
    except (ValueError, RecursionError) as fault:
        raise OptLawsError(f"A bundle must hold finite numbers and texts: {checks.brief(fault, 120)}.") from None
    if bundle["sha256"] != found:
        raise OptLawsError(
            "This bundle was changed after it was written: its content does not have the digest it names."
        )
    return Snapshot.from_dict(bundle["snapshot"])


def _canonical(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def _parsed(data: bytes, room: int = 0) -> object:
    """What a JSON text says. Raises `OptLawsError`."""
    checks.size(data, room)
    try:
        return json.loads(data, parse_constant=_refuse)
    except OptLawsError:
        raise
    except (ValueError, RecursionError) as fault:
        raise OptLawsError(f"A saved comparison must be a JSON text, but {unread(fault)}.") from None


def _refuse(word: str):
    raise OptLawsError(f"A saved comparison must be a JSON text, but {word} is not a JSON number.")


def _upgraded(d: dict) -> dict:
    """The values in this version's format."""
    if d.get("kind") != KIND:
        raise OptLawsError(f"its kind must be {KIND!r}, got {checks.brief(d.get('kind'))!r}.")
    known, found = len(UPGRADES) + 1, d.get("format")
    if type(found) is not int or found < 1:
        raise OptLawsError(f"its format must be a whole number of 1 or more, got {checks.brief(found)!r}.")
    if found > known:
        raise OptLawsError(f"its format is {checks.brief(found)}, from a newer version; this one knows up to {known}.")
    for upgrade in UPGRADES[found - 1 :]:
        d = upgrade(d)
    return d


@contextmanager
def _each_of_its_kind(what: str) -> Iterator[None]:
    """Raises `OptLawsError` that names the part, for whatever values of another kind raise within."""
    try:
        yield
    except OptLawsError:
        raise
    except KeyError as fault:
        said = f"an entry {checks.brief(fault, 80)} must be there, but it is missing."
    except (TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError):
        said = "each value must have the type that it was saved with, but one has another."
    else:
        return
    raise OptLawsError(f"in {what}, {said}")


def _within(what: str, read: Callable[[Any], T], d: object) -> T:
    """What `read` makes of a part of a snapshot. Raises `OptLawsError` that names the part."""
    try:
        with _each_of_its_kind(what):
            return read(d)
    except OptLawsError as fault:
        raise (fault if what in str(fault) else OptLawsError(f"in {what}, {fault}")) from None


def _read(d: dict) -> dict:
    """The fields of a snapshot, each checked."""
    known = {f.name for f in fields(Snapshot)} | {"kind", "format"}
    if set(d) != known:
        wrong = ", ".join(sorted(known ^ set(d)))
        raise OptLawsError(
            f"its fields must be {', '.join(sorted(known))}; missing or not known: {checks.brief(wrong)}."
        )
    runs = tuple(
        _within(f"run {i}", partial(plain.run_from_dict, place=i), r)
        for i, r in enumerate(checks.items(d["runs"], "runs", "runs"), 1)
    )
    checks.different([r.name for r in runs], "runs")
    models = checks.mapping(d["fits"], "fits", "fits").items()
    fits = {
        checks.name(n, "the name of a fit"): _within(f"the fit {checks.brief(n)!r}", model_from_dict, m)
        for n, m in models
    }
    if d["current"] not in (fits or (None,)):
        raise OptLawsError(f"the fit in use must be one of its {len(fits)}, got {checks.brief(d['current'])!r}.")
    selections = checks.mapping(d["selections"], "selections", "fits")
    checks.among(selections, fits, "selections")
    view = checks.mapping(d["view"], "view", "settings").items()
    versions = checks.mapping(d["versions"], "versions", "settings").items()
    return {
        "title": checks.printable_line(d["title"], "title", "title"),
        "runs": runs,
        "fits": fits,
        "current": d["current"],
        "candidates": tuple(
            _within(f"candidate {i}", Candidate.from_dict, c)
            for i, c in enumerate(checks.items(d["candidates"], "candidates", "candidates"), 1)
        ),
        "selections": {
            n: _within(f"the selection {checks.brief(n)!r}", plain.selection_from_dict, s)
            for n, s in selections.items()
        },
        "risk": None if d["risk"] is None else _within("risk", plain.risk_from_dict, d["risk"]),
        "most_risk": checks.share(d["most_risk"], "most_risk"),
        "also": checks.among(checks.items(d["also"], "also", "drawn"), fits, "also"),
        "observed": checks.among(checks.items(d["observed"], "observed", "runs"), {r.name for r in runs}, "observed"),
        "view": {
            checks.limited_text(k, "a setting", "setting"): checks.setting(v, f"the setting {k[:40]}") for k, v in view
        },
        "note": checks.printable(d["note"], "note", "note", "\n\t"),
        "tags": tuple(checks.printable_line(t, "a tag", "tag") for t in checks.items(d["tags"], "tags", "tags")),
        "author": checks.printable(d["author"], "author", "author"),
        "parent": None if d["parent"] is None else checks.digest(d["parent"], "parent"),
        "created": checks.time(d["created"], "created"),
        "versions": {
            checks.limited_text(k, "versions", "tag"): checks.limited_text(v, "versions", "tag") for k, v in versions
        },
    }

"""What one version of a comparison has that the one before it had not, in a few words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import OptLawsError
from ..fitting.result import Model
from ..runs import Run
from ..schedules import Schedule
from ..text import counted, format_number, listed, shortened
from .plain import Candidate, run_head
from .record import Snapshot

NAMED = 3  # of what came or went, by name
SIZES = {  # what all candidates may have in common, and how a value of it is told
    "total": ("length", lambda n: counted(n, "update")),
    "peak": ("peak rate", format_number),
    "warmup": ("warm-up", lambda n: counted(n, "update")),
}
SHOWN = ("observed", "also", "view", "risk", "most_risk")  # of charts and ranking, beside the candidates


def differences(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Phrases on what differs between two versions, the weightiest first; none where a reader sees the same."""
    said = [
        *_sizes(before.candidates, after.candidates),
        *_candidates(_with_sizes_of(after.candidates, before.candidates), after.candidates),
        *_runs(before.runs, after.runs),
        *_fit(before.fit, after.fit),
    ]
    if before.title != after.title:
        said.append(f"title, before “{shortened(before.title)}”")
    said += [name for name in ("note", "tags", "author") if getattr(before, name) != getattr(after, name)]
    if any(getattr(before, name) != getattr(after, name) for name in SHOWN):
        said.append("what charts and ranking show")
    if not said and _content(before) != _content(after):
        said.append("details that are not listed here")
    return tuple(said)


def _content(snapshot: Snapshot) -> dict[str, Any]:
    """All of a version but when it was saved, and of which one it is a copy."""
    return {name: value for name, value in snapshot.to_dict().items() if name not in ("created", "parent")}


# ---------------------------------------------------------------------------------------------------- candidates


def _common(candidates: Sequence[Candidate], name: str) -> Any:
    """The value that all candidates have in common; None where they have none."""
    values = {getattr(c.schedule, name) for c in candidates}
    return values.pop() if len(values) == 1 else None


def _sizes(before: Sequence[Candidate], after: Sequence[Candidate]) -> list[str]:
    """Length, peak and warm-up of all candidates, where they have others in common than before."""
    said = []
    for name, (word, told) in SIZES.items():
        old, new = _common(before, name), _common(after, name)
        if old is not None and new is not None and old != new:
            said.append(f"{word} {told(new)}, before {told(old)}")
    return said


def _with_sizes_of(after: Sequence[Candidate], before: Sequence[Candidate]) -> list[Candidate]:
    """The candidates of `before` with length, peak and warm-up that all of `after` have in common, shares kept."""
    wanted = {name: _common(after, name) for name in SIZES if _common(before, name) is not None}
    if all(size in (None, _common(before, name)) for name, size in wanted.items()):
        return list(before)

    def resized(schedule: Schedule) -> Schedule:
        with suppress(OptLawsError):  # no such schedule: then it counts as changed
            return schedule.resized(**wanted)
        return schedule

    return [replace(c, schedule=resized(c.schedule)) for c in before]


def _candidates(before: Sequence[Candidate], after: Sequence[Candidate]) -> list[str]:
    """What came, went or changed. One that went and one that came with its name or family are one that changed."""
    gone = list((Counter(map(_key, before)) - Counter(map(_key, after))).elements())
    come = list((Counter(map(_key, after)) - Counter(map(_key, before))).elements())
    changed, renamed = [], []
    for key in list(gone):
        if twin := next((k for k in come if k[2] == key[2]), None):
            gone.remove(key)
            come.remove(twin)
            if key[0] and twin[0]:  # else a page labelled it, so that its name stayed when others came or went
                renamed.append(f"{key[0]}, now {twin[0]}")
    for key in list(gone):
        twin = next((k for k in come if _name(k) == _name(key)), None)
        if twin:
            changed.append(_name(key))
            gone.remove(key)
            come.remove(twin)
    named = {
        "added": [_name(k) for k in come],
        "removed": [_name(k) for k in gone],
        "changed": changed,
        "renamed": renamed,
    }
    said = [_of("candidate", names, how) for how, names in named.items() if names]
    uses = [{_key(c): c.on for c in some} for some in (before, after)]
    for on, how in ((True, "switched on"), (False, "switched off")):
        switched = [_name(k) for k, now in uses[1].items() if now is on and uses[0].get(k, now) is not now]
        said += [_of("candidate", switched, how)] if switched else []
    return said


def _key(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.label, candidate.schedule.family, candidate.schedule.text


def _name(key: tuple[str, str, str]) -> str:
    return key[0] or key[1]


def _of(thing: str, names: Sequence[str], how: str) -> str:
    """`2 runs added (a, b)`."""
    return f"{counted(len(names), thing)} {how} ({listed(names, NAMED)})"


# ---------------------------------------------------------------------------------------------------- runs and fit


def _runs(before: Sequence[Run], after: Sequence[Run]) -> list[str]:
    """Runs that came, went, or have other losses or another plan under the same name."""
    old, new = ({run.name: run for run in runs} for runs in (before, after))
    named = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and not _alike(old[name], new[name])],
    }
    return [_of("run", names, how) for how, names in named.items() if names]


def _alike(one: Run, other: Run) -> bool:
    same = run_head(one) == run_head(other) and one.series.keys() == other.series.keys()
    return same and all(
        np.array_equal(s.steps, other.series[split].steps) and np.array_equal(s.loss, other.series[split].loss)
        for split, s in one.series.items()
    )


def _fit(before: Model | None, after: Model | None) -> list[str]:
    """Whether the answer rests on another law, on other runs, or on other coefficients."""
    if before is None or after is None:
        return [] if before is after else ["the first fit" if before is None else "no fit"]
    if _laws(before) != _laws(after):
        return [f"fit by {listed(_laws(after), NAMED)}, before by {listed(_laws(before), NAMED)}"]
    if set(before.train) != set(after.train):
        if len(after.train) == len(before.train):
            return ["fitted to other runs"]
        return [f"fitted to {counted(len(after.train), 'run')}, before to {len(before.train):,}"]
    return [] if _coefficients(before) == _coefficients(after) else ["fitted again"]


def _laws(model: Model) -> list[str]:
    return [fit.title for fit, weight in model.parts if weight > 0]


def _coefficients(model: Model) -> list[tuple[float, Mapping[str, float]]]:
    return [(weight, dict(fit.theta)) for fit, weight in model.parts if weight > 0]


__all__ = ["differences"]

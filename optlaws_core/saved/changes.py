"""Other versions of a snapshot: with fewer observations, with other names of runs, with no names at all."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..errors import extra
from ..fitting.interface import Rename
from ..fitting.result import Fit, Model
from ..fitting.selection import Selection
from ..prediction.observed import final_loss
from ..runs import Run, Series
from .checks import POINTS, different
from .record import Snapshot

ALL_POINTS = 200_000  # of all runs together, as long as every split keeps FEWEST
FEWEST = 40
M = TypeVar("M", bound=Model)
# Columns of manifests that tell of machines, people and folders, and values that do whatever their column is called.
_PLACE_COLUMN = re.compile(
    r"(^|[^a-z])(host(name)?|node(name|list)?|machine|server|ip|user(name)?|owner|author|e?mail|login|account|"
    r"path|dir(ectory)?|folder|file(name)?|cwd|home|command|cmd|args|argv|url|uri|entity)([^a-z]|$)",
    re.IGNORECASE,
)
_PLACE = re.compile(r"(^|[\s=:'\"])(/[^/\s]+/|~/|[a-z]:\\|\\\\|[a-z][a-z0-9+.-]*://)|\S@\S+\.\S", re.IGNORECASE)
OUTCOMES = ("finished", "diverged", "spiked")  # what a manifest may say of how a run ended


def thinned(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The runs with as many losses as a chart shows: first, last, lowest and highest of every split are among them."""
    runs = tuple(runs)
    most = max(FEWEST, min(POINTS, ALL_POINTS // max(1, sum(len(r.series) for r in runs))))
    return tuple(_thinned(r, most) for r in runs)


def without_places(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The runs without what a manifest says of machines, people and folders, which is nobody's business but theirs.

    By a column's name (host, user, path, command, …) or by a value that is a path or an address of mail.
    """
    return tuple(replace(r, about={k: v for k, v in r.about.items() if not _tells_places(k, v)}) for r in runs)


def _thinned(run: Run, most: int) -> Run:
    """A run of at most `most` losses a split; what a mean over its last updates was before, it says ever after."""
    ends = {split: final_loss(run, split) for split, s in run.series.items() if len(s) > most}
    return replace(
        run,
        series={split: _thin(s, most) for split, s in run.series.items()},
        ends={**run.ends, **{split: loss for split, loss in ends.items() if loss is not None}},
    )


def _thin(series: Series, most: int) -> Series:
    """M4 (Jugel et al. 2014): of each of equal stretches the first, last, lowest and highest."""
    if len(series) <= most:
        return series
    with extra("app", "Thinning losses for a chart"):
        from tsdownsample import M4Downsampler
    kept = np.unique(M4Downsampler().downsample(series.loss, n_out=most // 4 * 4))
    return Series(series.steps[kept], series.loss[kept])


def renamed(snapshot: Snapshot, names: Mapping[str, str]) -> Snapshot:
    """The snapshot with other names of runs, by their present ones. Raises `OptLawsError` where two would be the same.

    Sentences that name a run, such as a fit's message, keep the old name.
    """
    different([names.get(r.name, r.name) for r in snapshot.runs], "runs")
    return _mapped(snapshot, lambda name: names.get(name, name))


def anonymised(snapshot: Snapshot, keep_text: bool = False) -> Snapshot:
    """The snapshot without names, hosts and paths: runs become run-1, run-2, …; no author, no parent.

    Of what a manifest says of a run only its outcome and its parent stay; a fit's message, which may name runs, becomes
    that of its status. Title, note, tags, labels and names of fits are the visitor's own words and stay with
    `keep_text` alone; so do settings that are words.
    """
    runs, evals = _Numbered("run-{}"), _Numbered("eval-{}")
    for run in snapshot.runs:
        runs(run.name)
    fits = {name: name if keep_text else f"fit-{i}" for i, name in enumerate(snapshot.fits, 1)}
    bare = _mapped(snapshot, runs, lambda name: name if name in ("train", "val") else evals(name), _without_message)
    nameless = replace(
        bare,
        author="",
        parent=None,
        runs=tuple(replace(r, about={k: v for k, v in r.about.items() if _harmless(k, v)}) for r in bare.runs),
        fits={fits[n]: m for n, m in bare.fits.items()},
        current=bare.current and fits[bare.current],
        also=tuple(fits[n] for n in bare.also),
        selections={fits[n]: s for n, s in bare.selections.items()},
    )
    if keep_text:
        return nameless
    candidates = tuple(replace(c, label="") for c in nameless.candidates)
    return replace(
        nameless,
        title="Comparison",
        note="",
        tags=(),
        candidates=candidates,
        view={k: v for k, v in nameless.view.items() if not isinstance(v, str)},
    )


class _Numbered:
    """Names by what they stand for, made as they are asked for."""

    def __init__(self, form: str) -> None:
        self.form = form
        self.names: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        return self.names.setdefault(name, self.form.format(len(self.names) + 1))


def _tells_places(column: str, value: str) -> bool:
    return column != "parent" and bool(_PLACE_COLUMN.search(column) or _PLACE.search(value))


def _harmless(column: str, value: str) -> bool:
    return column == "parent" or column == "outcome" and value in OUTCOMES


def _without_message(fit: Fit) -> Fit:
    """The fit with the sentence of its status as its message, in which no log had a part."""
    return replace(fit, message=fit.status.value)


def _same(name: str) -> str:
    return name


def mapped_model(m: M, run: Rename, split: Rename = _same, change: Callable[[Fit], Fit] | None = None) -> M:
    """The model with `run` and `split` applied wherever one is named, and `change` to every fit in it."""
    found = m.renamed(run, split)
    return found if change is None else found.map_fits(change)


def mapped_selection(
    s: Selection, run: Rename, split: Rename = _same, change: Callable[[Fit], Fit] | None = None
) -> Selection:
    """The same of a selection and all its models; with `change` nothing is said of why laws failed either."""
    return Selection(
        fits=tuple(mapped_model(f, run, split, change) for f in s.fits),
        average=s.average and mapped_model(s.average, run, split, change),
        failed=dict.fromkeys(s.failed, "It could not be fitted.") if change else s.failed,
        trusted=mapped_model(s.trusted, run, split, change),
        advice=s.advice,
    )


def _mapped(
    snapshot: Snapshot, run: Rename, split: Rename = _same, change: Callable[[Fit], Fit] | None = None
) -> Snapshot:
    """The same of a snapshot."""

    def changed(r: Run) -> Run:
        about = {k: run(v) if k == "parent" and v else v for k, v in r.about.items()}
        series = {split(name): s for name, s in r.series.items()}
        ends = {split(name): loss for name, loss in r.ends.items()}
        return replace(r, name=run(r.name), split=split(r.split), series=series, about=about, ends=ends)

    return replace(
        snapshot,
        runs=tuple(map(changed, snapshot.runs)),
        fits={name: mapped_model(m, run, split, change) for name, m in snapshot.fits.items()},
        selections={name: mapped_selection(s, run, split, change) for name, s in snapshot.selections.items()},
        observed=tuple(map(run, snapshot.observed)),
    )

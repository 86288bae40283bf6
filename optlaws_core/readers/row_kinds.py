"""Columns that say what kind of row each row is: of which split its loss is, and of which run.

A loss of the rows of one split is a column of its own here, `loss (split=val)`, made of those that the file has; so are
several columns that name a run together, `model + seed`. A layout names them like any other.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import FloatArray, IntArray
from ..errors import LogError
from ..text import counted, listed, shortened
from .base import Layout, Note
from .header import is_number
from .layout import RUN, eval_name, is_lr, is_nameless, train_rank
from .opened import Numbers, Opened, RawRun
from .questions import Answer, Question

Read = Callable[[Sequence[str]], Mapping[str, Numbers]]
Names = Callable[[str], tuple[IntArray, list[str]]]  # the code of each row, −1 for an empty cell; and the names
Head = Callable[[], Mapping[str, Sequence[str]]]  # the first cells of each column

MOST_SPLITS = 40
MOST_RUNS = 2_000  # in one file
MOST_JOINED = 4  # columns that name a run together
NEAR = 0.1  # of its length from the start of all, and a run begins where the others do
SOME = 0.1  # of the steps that stand again may do so in a run that was resumed

_SPLITS = re.compile(
    r"(data_?|dataset_?|log_?|row_?|record_?|step_?|event_?|eval_?|run_?)?(split|phase|mode|event|type|stage|dataset|"
    r"set|subset|partition|message|msg|kind|loop|state|category|tag|section|prefix|task|train_or_(val|eval|test))"
    r"(_?(name|type))?"
)
_IS_TRAIN = re.compile(r"(is_?)?train(ing)?")
_IS_EVAL = re.compile(r"(is_?)?(eval|evaluation|val|valid|validation|test|dev)")
_SET = r"(?:eval|evaluation|evaluate|evaluating|val|valid|validation|validate|validating|test|testing|dev)"
_TAIL = re.compile(r"(?:[-_/ ](?:set|split|step|loop|epoch|data|loss|log|iter|iteration|metrics|results?))+$")
_TRAIN_VALUE = re.compile(r"(?:train(?:ing)?|trn)(?:_inner)?")
_EVAL_VALUE = re.compile(rf"{_SET}(?:[-_/ :.].+)?|.+[-_/ :.]{_SET}")
_TRUE, _FALSE = {"true", "1", "1.0", "yes", "t", "y"}, {"false", "0", "0.0", "no", "f", "n"}

# What tells runs apart, the likeliest first.
_APART = re.compile(
    r"(run|exp|experiment|trial|job|sweep|config|cfg|model|variant|setting|recipe|method|arm)(_?(id|name|no|num|nr|key))?|"
    r"name|id|uid|model_?size|size|arch|architecture|n_?params|num_?params|params|parameters|(random_?)?seed|"
    r"(optim|optimizer|optimiser|opt)(_?name)?|(lr_?)?sched(ule|uler)?(_?(name|type))?|(d_?|n_?)?(width|depth|model|embd|"
    r"embed|hidden|heads?|layers?|ff)|(num_|n_)?(hidden_)?layers?|(hidden|embed)_(size|dim)|(peak|max|base|init)_?lr|"
    r"lr_?(peak|max|base|init)|(peak|max|base)_learning_rate|(global_?)?batch_?size|bs|gbs|wd|weight_?decay|"
    r"warm_?up(_?(steps|iters|ratio|frac))?|beta_?[12]|momentum|dropout|precision|dtype|tokenizer|corpus|data|dataset|"
    r"context(_?length)?|seq_?len|ablation|group|condition|version|replicate|rep|fold"
)
# What comes with the rows of one run, and tells no runs apart.
_WITHIN = re.compile(
    r".*(epoch|time|date|elapsed|rank|gpu|device|worker|process|pid|node|loss_scale|level|logger|step|iter|shard|micro|"
    r"skipped|nan|progress|eta|status|checkpoint|ckpt|timestamp|hour|minute|second|remaining|duration).*"
)


@dataclass(frozen=True)
class View:
    """A column in the rows of one kind only: those in which `by` says one of `values`."""

    column: str
    by: str
    values: frozenset[str]


@dataclass(frozen=True)
class Kinds:
    """The columns that are made of those of the file."""

    views: Mapping[str, View] = field(default_factory=dict)
    joint: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # columns that name a run together

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.views, *self.joint)

    def stored(self, layout: Layout) -> Layout:
        """The layout in terms of the file's own columns, all runs together."""
        losses = tuple((split, self._of(column)) for split, column in layout.losses)
        return replace(layout, losses=losses, lr=None if layout.lr is None else self._of(layout.lr), run=None)

    def raw_runs(self, raw: RawRun, layout: Layout, names: Names) -> list[RawRun]:
        """The runs of a layout, out of the rows of all of them."""
        used = {c: self.views[c] for c in layout.columns if c in self.views}
        told = {by: names(by) for by in dict.fromkeys(view.by for view in used.values())}
        own = {c: _only(raw.columns[view.column], *told[view.by], view) for c, view in used.items()}
        asked = set(layout.columns)
        kept = {c: n for c, n in raw.columns.items() if c in asked}
        raw = replace(raw, columns={**kept, **own})
        if layout.run is None:
            return [raw]
        codes, labels = runs_by(self.joint.get(layout.run, (layout.run,)), names)
        if len(labels) > MOST_RUNS:
            text = f"but the column {shortened(layout.run)!r} names {len(labels):,}."
            raise LogError(f"a file may hold {counted(MOST_RUNS, 'run')}, {text}")
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(len(labels) + 1))
        groups = (order[a:b] for a, b in zip(bounds, bounds[1:], strict=False))
        return [raw.taken(rows, label) for label, rows in zip(labels, groups, strict=True)]

    def _of(self, column: str) -> str:
        return self.views[column].column if column in self.views else column


def with_kinds(opened: Opened, read: Read, names: Names, head: Head) -> Opened:
    """A table with the splits and runs that its columns tell apart."""
    layout = opened.layout
    if not layout.losses:
        return opened
    try:
        views, notes = _splits(opened, read, names, head)
        found = _changed(opened, views)
        joint, run, more, asked = _runs(found, views, read, names, head)
    except LogError:
        return opened  # reading the file tells the fault
    kinds = Kinds(views, joint)
    layout = found.layout if run is None else replace(found.layout, run=run)

    def runs(chosen: Layout) -> list[RawRun]:
        named = chosen.run is None or _key(chosen.run) in RUN
        if named and not any(c in kinds.columns for c in chosen.columns):
            return opened.runs(chosen)
        (raw,) = opened.runs(kinds.stored(chosen))
        return kinds.raw_runs(raw, chosen, names)

    return Opened(
        (*opened.columns, *kinds.columns),
        layout,
        runs,
        (*opened.notes, *notes, *more),
        (*asked, *found.questions),
    )


def may_name_splits(column: str) -> bool:
    """Whether a column is called as those are that name the split of each row."""
    return any(names.fullmatch(_key(column)) for names in (_SPLITS, _IS_TRAIN, _IS_EVAL))


def split_of(value: str, column: str = "split") -> str | None:
    """The split that a cell names, "train" or that of an evaluation; None for any other cell."""
    cell, key = " ".join(value.lower().split()), _key(column)
    for pattern, yes, no in ((_IS_TRAIN, "train", "val"), (_IS_EVAL, "val", "train")):
        if pattern.fullmatch(key) and cell in _TRUE | _FALSE:
            return yes if cell in _TRUE else no
    if _TRAIN_VALUE.fullmatch(_TAIL.sub("", cell)):
        return "train"
    bare = _TAIL.sub("", cell)
    return bare if _EVAL_VALUE.fullmatch(bare) else None


def runs_by(columns: Sequence[str], names: Names) -> tuple[IntArray, list[str]]:
    """The run of each row by one or several columns, −1 where one is empty; and the runs' names as they appear."""
    (codes, cells), *others = [names(column) for column in columns]
    labels = [_label(columns[0], cell) for cell in cells]
    for column, (more, cells) in zip(columns[1:], others, strict=True):
        both = np.where((codes < 0) | (more < 0), -1, codes * len(cells) + more)
        kinds, first, whose = np.unique(both, return_index=True, return_inverse=True)
        order = [kind for kind in np.argsort(first) if kinds[kind] >= 0]
        place = np.full(len(kinds), -1, np.int64)
        place[order] = np.arange(len(order))
        pairs = (divmod(int(kinds[kind]), len(cells)) for kind in order)
        codes, labels = place[whose], [f"{labels[a]}, {_label(column, cells[b])}" for a, b in pairs]
    return codes, labels


def _label(column: str, cell: str) -> str:
    bare = _key(column) in RUN or not (is_number(cell) or cell.lower() in _TRUE | _FALSE)
    return cell if bare else f"{column}={cell}"


def _key(column: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.strip())
    return re.sub(r"[\s./-]+", "_", words).lower()


def _only(numbers: Numbers, codes: IntArray, names: Sequence[str], view: View) -> Numbers:
    """A column in the rows of a view, empty in all others."""
    kept = np.isin(codes, [i for i, name in enumerate(names) if name in view.values])
    nans, words = numbers.nans[kept[numbers.nans]], numbers.words[kept[numbers.words]]
    return Numbers(np.where(kept, numbers.values, np.nan), nans, words, numbers.word if len(words) else "")


# ---- splits


def _splits(opened: Opened, read: Read, names: Names, head: Head) -> tuple[dict[str, View], tuple[Note, ...]]:
    """The views of the training loss and of the rate by split, the training first; and a note on them."""
    layout = opened.layout
    loss, used = dict(layout.losses).get("train"), set(layout.columns)
    if loss is None:
        return {}, ()
    for by in opened.columns:
        if by in used or not may_name_splits(by):
            continue
        if not any(split_of(cell, by) for cell in head().get(by, ())):
            continue
        codes, cells = names(by)
        columns = [loss] if layout.lr is None else [loss, layout.lr]
        numbers = read(columns)
        values = [np.isfinite(numbers[c].values) for c in columns]
        if len(codes) != len(values[0]) or len(cells) > MOST_SPLITS:
            continue
        held = [set(codes[v].tolist()) for v in values]
        splits: dict[str, set[str]] = {}
        for code in sorted(held[0] - {-1}):
            splits.setdefault(split_of(cells[code], by) or "", set()).add(cells[code])
        if "" in splits or not set(splits) - {"train"} or -1 in held[0]:
            continue
        views = {_shown(loss, by, s): View(loss, by, frozenset(v)) for s, v in _train_first(splits)}
        train = {c for c, cell in enumerate(cells) if split_of(cell, by) == "train"}
        if layout.lr is not None and "train" in splits and train & held[1] and held[1] - train - {-1}:
            rates = View(layout.lr, by, frozenset(cells[c] for c in train))
            views[_shown(layout.lr, by, "train")] = rates
        if set(views) & set(opened.columns):
            continue
        text = f"The column {shortened(by)!r} tells splits apart: {listed([s for s, _ in _train_first(splits)])}."
        return views, (Note("info", text),)
    return {}, ()


def _train_first(splits: Mapping[str, set[str]]) -> list[tuple[str, set[str]]]:
    return sorted(splits.items(), key=lambda pair: pair[0] != "train")


def _shown(column: str, by: str, split: str) -> str:
    return f"{column} ({by}={split})"


def _changed(opened: Opened, views: Mapping[str, View]) -> Opened:
    """A table under the views of its training loss and rate, in its layout and in the answers to its questions."""
    if not views:
        return opened
    by = next(iter(views.values())).by
    (loss,) = {v.column for n, v in list(views.items())[:1]}
    own = [(n.removeprefix(f"{loss} ({by}=").removesuffix(")"), n) for n, v in views.items() if v.column == loss]
    rates = {v.column: n for n, v in views.items() if v.column != loss}

    def change(losses: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        losses = tuple(losses)
        if dict(losses).get("train") != loss:
            return losses
        others = {split: column for split, column in losses if split != "train"}
        mine = [(f"{s} ({by})" if s in others else s, n) for s, n in own]
        return (*mine, *others.items())

    def answer(old: Answer) -> Answer:
        changed = dict(old.change)
        if "losses" in changed:
            changed["losses"] = change(changed["losses"])  # type: ignore[arg-type]
        if changed.get("lr") in rates:
            changed["lr"] = rates[str(changed["lr"])]
        return replace(old, change=changed)

    questions = tuple(replace(q, answers=tuple(map(answer, q.answers))) for q in opened.questions)
    lr = opened.layout.lr
    layout = replace(opened.layout, losses=change(opened.layout.losses), lr=rates.get(lr, lr) if lr else lr)
    return replace(opened, layout=layout, questions=questions)


# ---- runs


@dataclass(frozen=True)
class _Told:
    """How columns take the rows apart."""

    columns: tuple[str, ...]
    runs: int
    strict: bool  # the steps rise strictly in every run
    aligned: bool  # the runs begin together, or their rows alternate
    named: bool  # such columns are known to tell runs apart
    labels: tuple[str, ...]


_Found = tuple[dict[str, tuple[str, ...]], str | None, tuple[Note, ...], tuple[Question, ...]]
_NOTHING: _Found = ({}, None, (), ())


def _runs(opened: Opened, views: Mapping[str, View], read: Read, names: Names, head: Head) -> _Found:
    """Columns made of several, the run column, if one was found, and what is said and asked about it."""
    layout, nothing = opened.layout, _NOTHING
    first = layout.losses[0][1]
    loss, x = (views[first].column if first in views else first), layout.x
    if x is None or layout.x_unit == "epochs":
        return nothing
    candidates = _candidates(opened, views, head)
    if not candidates:
        return nothing
    numbers = read([x, loss])
    steps, values = numbers[x].values, numbers[loss].values
    if first in views:
        values = _only(numbers[loss], *names(views[first].by), views[first]).values
    rows = np.flatnonzero(np.isfinite(steps) & np.isfinite(values))
    steps = steps[rows]
    fixed = () if layout.run is None else (layout.run,)
    if len(rows) < 4 or not (np.diff(steps) <= 0).any():
        return nothing
    if fixed and (whole := _told(fixed, steps, rows, names)) and whole.strict:
        return nothing
    found = _best(candidates, fixed, steps, rows, names)
    if found is None:
        return nothing
    column = found.columns[0] if len(found.columns) == 1 else " + ".join(found.columns)
    joint = {} if len(found.columns) == 1 else {column: found.columns}
    if column in opened.columns and joint:
        return nothing
    said = listed([shortened(label) for label in found.labels], 4)
    if found.named and found.strict and found.aligned:
        text = f"Steps occur several times: the rows were taken apart as runs by {shortened(column)!r} ({said})."
        return joint, column, (Note("info", text),), ()
    text = (
        f"Steps occur several times, with different values of {shortened(column)!r} ({said}): "
        "is each of these a run of its own?"
    )
    answers = (
        Answer("apart", "Yes: the rows are taken apart by it.", {"run": column}),
        Answer("one", "No: they belong to one run.", {"run": layout.run}),
    )
    if not found.aligned:
        answers = (answers[1], answers[0])
    return joint, column if found.aligned else None, (), (Question("runs", text, answers),)


def _candidates(opened: Opened, views: Mapping[str, View], head: Head) -> list[str]:
    """Columns that may tell runs apart, the likeliest first, by their names and first cells."""
    layout = opened.layout
    taken = {*layout.columns, *(v.by for v in views.values()), *(v.column for v in views.values())}
    lr = next((v.column for v in views.values() if v.column != next(iter(views.values())).column), layout.lr)
    cells: Mapping[str, Sequence[str]] | None = None
    ranked: list[tuple[int, str]] = []
    for column in opened.columns:
        key = _key(column)
        if (column in taken and column != lr) or is_nameless(column) or column == layout.x:
            continue
        known = bool(_APART.fullmatch(key))
        if not known and (_WITHIN.fullmatch(key) or train_rank(column) is not None or eval_name(column)):
            continue
        cells = head() if cells is None else cells
        here = [cell for cell in cells.get(column, ()) if cell]
        if not here or 2 * len(set(here)) > max(len(here), 4):
            continue
        texts = sum(not is_number(cell) for cell in here)
        if known or 2 * texts > len(here):
            ranked.append((0 if known and texts else 1 if known else 2, column))
        elif len(set(here)) > 1:
            ranked.append((3 if column == lr or is_lr(column) else 4, column))
    return [column for _, column in sorted(ranked, key=lambda pair: pair[0])]


def _best(
    candidates: Sequence[str], fixed: tuple[str, ...], steps: FloatArray, rows: IntArray, names: Names
) -> _Told | None:
    """The column that takes the rows apart into runs, or the few ones that do so together."""
    cached: dict[str, tuple[IntArray, list[str]]] = {}

    def known(column: str) -> tuple[IntArray, list[str]]:
        if column not in cached:
            cached[column] = names(column)
        return cached[column]

    alone = [told for c in candidates if (told := _told((*fixed, c), steps, rows, known))]
    for some in ([t for t in alone if t.strict and t.named], [t for t in alone if t.strict]):
        if some:
            return min(some, key=lambda t: t.runs)  # the first of those with as many
    together = [c for c in candidates if _APART.fullmatch(_key(c)) and len(known(c)[1]) > 1][:MOST_JOINED]
    told = _told((*fixed, *together), steps, rows, known) if len(together) > 1 else None
    if told is not None and told.strict:
        for column in reversed(together):
            fewer = tuple(c for c in told.columns if c != column)
            if len(fewer) > 1 and (less := _told(fewer, steps, rows, known)) and less.strict:
                told = less
        return told
    return min(alone, key=lambda t: t.runs) if alone else None


def _told(columns: tuple[str, ...], steps: FloatArray, rows: IntArray, names: Names) -> _Told | None:
    """How columns take the rows of `steps` apart; None where they do not make runs of them."""
    codes, labels = runs_by(columns, names)
    if len(codes) <= rows[-1] or (codes[rows] < 0).any():
        return None
    codes = codes[rows]
    present = np.unique(codes)
    lone = np.bincount(codes)[present] < 2  # of a run that has just begun
    if not 2 <= len(present) <= MOST_RUNS or (~lone).sum() < 2 or 2 * lone.sum() > len(present):
        return None
    order = np.argsort(codes, kind="stable")
    again = (np.diff(steps[order]) <= 0) & (np.diff(codes[order]) == 0)
    all_again = _standing_again(steps)
    if again.sum() > SOME * all_again:
        return None
    starts = np.searchsorted(codes[order], present)
    lows, highs = np.minimum.reduceat(steps[order], starts), np.maximum.reduceat(steps[order], starts)
    together = (lows <= lows.min() + NEAR * (highs - lows)).all()
    alternate = (np.diff(codes) != 0).sum() >= 2 * len(present)
    overlap = len(np.unique(steps)) < len(steps)
    named = all(_key(c) in RUN or (_APART.fullmatch(_key(c)) and not _SPLITS.fullmatch(_key(c))) for c in columns)
    return _Told(
        columns,
        len(present),
        not again.any(),
        bool(together or (alternate and overlap)),
        named,
        tuple(labels[c] for c in present),
    )


def _standing_again(steps: FloatArray) -> int:
    """How many rows stand at a step that another one had before."""
    return max(len(steps) - len(np.unique(steps)), int((np.diff(steps) <= 0).sum()))

"""The layout that columns suggest, by their names and, where several fit, by their numbers; and what it leaves open."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import LogError
from ..text import counted, listed, shortened
from .base import Layout, Note
from .layout import COARSE, LOSS, guess_layout, is_nameless, lr_rank, train_rank
from .opened import Numbers
from .questions import EPOCHS, LOG_CALLS, MICRO_BATCHES, SAMPLES, Answer, Question

Read = Callable[[Sequence[str]], Mapping[str, Numbers]]
LITGPT = {"iter", "iter_time", "epoch", "loss"}  # columns of its metrics.csv that others do not have together
MOST_RIVALS = 12  # columns that may be one thing and are compared
WIDER = 2.0  # times as far over x: then it is the loss of the run, and the other one that of its beginning
_PURE = LOSS.index("loss")  # names before it say cross entropy: preferred to a total without asking


@dataclass(frozen=True)
class _Span:
    """What a column holds: its points, and where they begin and end."""

    column: str
    values: np.ndarray
    points: int
    first: float
    last: float

    @property
    def said(self) -> str:
        return f"{shortened(self.column)!r} ({counted(self.points, 'point')}, {self.first:,.6g} to {self.last:,.6g})"


def suggested(columns: Sequence[str], read: Read) -> tuple[Layout, tuple[Note, ...], tuple[Question, ...]]:
    """The likely layout, notes, and questions. `read` gives columns as numbers, for those that rival each other."""
    layout = guess_layout(columns)
    notes: list[Note] = []
    questions: list[Question] = []
    if not layout.losses:
        return layout, (), ()
    layout = _with_index(layout, columns, questions)
    layout = _with_train_loss(layout, columns, read, notes, questions)
    layout, rates = with_rate(layout, columns, read)
    questions += rates
    notes += _by_part_of_name(layout, columns)
    if layout.x_unit == "epochs":
        text = f"The x axis {layout.x!r} counts epochs: how many updates does one epoch have?"
        questions.append(Question("x", text, (EPOCHS,)))
    if layout.x == "_step":
        text = "Does '_step', which counts calls of wandb.log, count updates, too?"
        questions.append(Question("x", text, (Answer("updates", "Yes, each call was an update."), LOG_CALLS)))
    if LITGPT <= {c.strip().lower() for c in columns} and layout.x_unit == "step":
        text = f"litgpt counts micro-batches in {layout.x!r}: how many make one update?"
        questions.append(Question("x", text, (Answer("updates", "One: nothing is accumulated."), MICRO_BATCHES)))
    return layout, tuple(notes), tuple(questions)


def about_commas(
    decimal: Mapping[str, str], unsure: Mapping[str, str], layout: Layout
) -> tuple[tuple[Note, ...], tuple[Question, ...]]:
    """What to say of columns with decimal commas, and to ask of those whose commas may separate thousands."""
    notes: tuple[Note, ...] = ()
    if decimal:
        column, cell = next(iter(decimal.items()))
        text = f"Commas were read as decimal points in the columns {listed(decimal)}"
        notes = (Note("info", f"{text} (first {shortened(column)!r}: {shortened(cell)})."),)
    if not unsure:
        return notes, ()
    column, cell = next(iter(unsure.items()))
    point, whole = cell.replace(",", "."), cell.replace(",", "")
    yes = Answer("decimal", f"It is a decimal comma: {point}.", {"commas": "decimal"})
    no = Answer("thousands", f"It separates thousands: {whole}.", {"commas": "thousands"})
    text = f"The column {shortened(column)!r} holds {shortened(cell)}: is that {point} or {whole}?"
    likely = (no, yes) if column in (layout.x, layout.tokens) else (yes, no)
    return notes, (Question("commas", text, likely),)


def _with_index(layout: Layout, columns: Sequence[str], questions: list[Question]) -> Layout:
    """A first column without a name, as pandas writes its index, as the likely steps where nothing else counts them."""
    if layout.x is not None or not is_nameless(columns[0]) or columns[0] in layout.columns:
        return layout
    answers = (
        Answer("updates", "They count updates."),
        Answer("rows", "They only number the rows.", {"x": None}),
        MICRO_BATCHES,
        SAMPLES,
        EPOCHS,
    )
    questions.append(Question("x", "The first column has no name: what do its numbers count?", answers))
    return replace(layout, x=columns[0])


def _with_train_loss(
    layout: Layout, columns: Sequence[str], read: Read, notes: list[Note], questions: list[Question]
) -> Layout:
    """The layout with the likely one of several training losses."""
    own = [c for c in columns if c not in (layout.x, layout.tokens)]
    chosen = dict(layout.losses).get("train")
    named = [c for c in own if (rank := train_rank(_once(c))) is not None and (rank < COARSE or c == chosen)]
    if layout.loss_unit != "nats" or chosen not in named or len(named) < 2:
        return layout
    spans = _different(_spans(layout, [chosen, *(c for c in named if c != chosen)][:MOST_RIVALS], read))
    if len(spans) < 2:
        return replace(layout, losses=_train(layout, spans[0].column)) if spans else layout
    if (train_rank(spans[0].column) or 0) < _PURE:
        text = (
            f"The training loss was taken from {spans[0].column!r}, not from {listed([s.column for s in spans[1:]])}."
        )
        notes.append(Note("info", text))
        return layout
    widest = max(spans, key=lambda s: s.last - s.first)
    if widest.last - widest.first > WIDER * (spans[0].last - spans[0].first):
        spans.insert(0, spans.pop(spans.index(widest)))
    answers = tuple(
        Answer(key, f"It is {s.said}.", {"losses": _train(layout, s.column)})
        for s, key in zip(spans, _keys(spans), strict=True)
    )
    text = f"Which column is the training loss: {' or '.join(s.said for s in spans[:4])}?"
    questions.append(Question("loss", text, answers))
    return replace(layout, losses=_train(layout, spans[0].column))


def with_rate(layout: Layout, columns: Sequence[str], read: Read) -> tuple[Layout, tuple[Question, ...]]:
    """The layout with the likely one of several learning rates, and the question which."""
    named = sorted(
        (c for c in columns if lr_rank(_once(c)) is not None),
        key=lambda c: (c != layout.lr, lr_rank(_once(c))),
    )
    if layout.lr is None or len(named) < 2:
        return layout, ()
    spans = _different(_spans(layout, named[:MOST_RIVALS], read))
    if not spans:
        return layout, ()
    questions: tuple[Question, ...] = ()
    if len(spans) > 1:
        answers = tuple(
            Answer(key, f"It is {s.said}.", {"lr": s.column}) for s, key in zip(spans, _keys(spans), strict=True)
        )
        text = f"Which column is the learning rate: {listed([s.column for s in spans], 4)}?"
        questions = (Question("lr", text, answers),)
    return replace(layout, lr=spans[0].column), questions


def _once(column: str) -> str:
    """The name without what `unique_names` puts behind the second of its kind."""
    return re.sub(r" \(\d+\)$", "", column)


def _train(layout: Layout, column: str) -> tuple[tuple[str, str], ...]:
    return (("train", column), *(pair for pair in layout.losses if pair[0] != "train"))


def _keys(spans: Sequence[_Span]) -> list[str]:
    """Keys of answers: the columns' names without what a key may not have."""
    keys = [re.sub(r"[^a-z0-9./_()-]+", "-", s.column.lower()) or "column" for s in spans]
    return [key if keys.index(key) == i else f"{key}-{i + 1}" for i, key in enumerate(keys)]


def _spans(layout: Layout, columns: Sequence[str], read: Read) -> list[_Span]:
    """What the columns hold; those with fewer than two points are left out. Nothing where they cannot be read."""
    try:
        found = read([*([layout.x] if layout.x is not None else []), *columns])
    except LogError:
        return []  # reading the file tells the fault
    spans = []
    for column in columns:
        y = found[column].values
        x = found[layout.x].values if layout.x is not None and layout.x in found else np.arange(len(y), dtype=float)
        at = x[np.isfinite(y) & np.isfinite(x)] if len(x) == len(y) else np.empty(0)
        if len(at) > 1:
            spans.append(_Span(column, y, len(at), float(at.min()), float(at.max())))
    return spans


def _different(spans: list[_Span]) -> list[_Span]:
    """Those of which no other one says the same; of two that agree wherever both stand, the one with more points."""
    kept: list[_Span] = []
    for span in spans:
        twin = next((i for i, k in enumerate(kept) if _agree(k.values, span.values)), None)
        if twin is None:
            kept.append(span)
        elif span.points > kept[twin].points:
            kept[twin] = span
    return kept


def _agree(a: np.ndarray, b: np.ndarray) -> bool:
    both = np.isfinite(a) & np.isfinite(b)
    return bool(both.any() and (a[both] == b[both]).all())


def _by_part_of_name(layout: Layout, columns: Sequence[str]) -> list[Note]:
    """What to say of a training loss known by a part of its name only, and of a log without one."""
    train = dict(layout.losses).get("train")
    if train is None:
        others = [c for c in columns if c not in layout.columns and not is_nameless(c)]
        text = f"No column is known as the training loss; columns left out: {listed(others)}."
        return [Note("info", text)] if others else []
    if layout.loss_unit == "nats" and train_rank(train) is None:
        return [Note("info", f"The column {shortened(train)!r} was taken for the training loss.")]
    return []

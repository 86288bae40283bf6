"""From columns to a `Run`: losses in nats over steps, and a plan where the learning rate is known."""

import math
from dataclasses import dataclass, replace

import numpy as np

from ..errors import LogError
from ..runs import Plan, Run, Series
from ..text import counted, listed, shortened
from .base import Facts, Layout, Note
from .clean import Points, checked_losses, points
from .opened import Numbers, RawRun
from .questions import Question
from .rates import rates_of

STEADY = 1e-3  # tokens per step may vary this much, relative, and still give one batch size


@dataclass(frozen=True, eq=False)
class Assembled:
    """A run, what to say about it, all that is declared about it, and what its log leaves open."""

    run: Run
    notes: tuple[Note, ...]
    facts: Facts
    questions: tuple[Question, ...]


def assemble(raw: RawRun, layout: Layout, declared: Facts) -> Assembled:
    """A run out of its columns. Raises `LogError` when it gives no curve, `Unanswered` for want of an answer."""
    facts = declared.over(raw.facts)
    per_step = _per_step(layout, facts)
    losses, notes = _losses(raw, layout, per_step)
    split = next(iter(losses))
    checked_losses(losses[split], split)
    rates, facts = _logged_rates(raw, layout, per_step, notes), _with_batch(raw, layout, facts, notes)
    ends = [int(p.steps[-1]) for p in (*losses.values(), rates) if p is not None and len(p.steps)]
    found = rates_of(raw.name, rates, facts, max(ends))
    plan = None if found.schedule is None else Plan(found.schedule, facts.params, facts.batch_tokens)
    series = {name: Series(p.steps, p.values) for name, p in losses.items()}
    run = Run(raw.name, plan, series, split, found.source, max(ends), facts.about or {})
    return Assembled(run, (*notes, *found.notes), facts, raw.questions)


def _losses(raw: RawRun, layout: Layout, per_step: float | None) -> tuple[dict[str, Points], list[Note]]:
    """Points of every split, the one to use first; and notes. Raises `LogError` when that one is faulty."""
    columns = {split: c for split, c in layout.losses if c in raw.columns}
    found: dict[str, Points] = {}
    notes = list(raw.notes)
    for split in sorted(columns, key=lambda name: name != "train"):
        try:
            curve = _in_nats(_points(raw, layout, columns[split], split, per_step), layout.loss_unit)
        except LogError as error:
            if not found:
                raise
            notes.append(Note("refused", f"{str(error).rstrip('.')}; this split was left out.", raw.name))
            continue
        if len(curve.steps):
            found[split] = curve
            notes += curve.notes
    if not found:
        raise LogError(f"no finite loss in the columns {listed([c for _, c in layout.losses])}.")
    return found, notes


def _points(raw: RawRun, layout: Layout, column: str, what: str, per_step: float | None) -> Points:
    y = raw.columns[column]
    return points(raw, _x(raw, layout, column), y, what, per_step)


def _x(raw: RawRun, layout: Layout, column: str) -> Numbers:
    """The x of a column: its own, the layout's, or the row number."""
    if column in raw.own_x:
        return raw.own_x[column]
    if layout.x is None:
        return Numbers(np.arange(len(raw.columns[column]), dtype=float))
    if layout.x not in raw.columns:
        raise LogError(f"the x axis {shortened(layout.x)!r} is missing; columns found: {listed(raw.columns)}.")
    return raw.columns[layout.x]


def _per_step(layout: Layout, facts: Facts) -> float | None:
    """What one update adds to x; None when x counts steps."""
    if layout.x_unit == "step":
        return None
    known = facts.batch_tokens if layout.x_unit == "tokens" else facts.batch_size
    per_step = layout.batch or known
    if not per_step:
        raise LogError(
            f"the x axis {shortened(str(layout.x))!r} counts {layout.x_unit}; declare the batch size "
            f"({layout.x_unit} per update) to turn it into steps."
        )
    return per_step


def _in_nats(found: Points, unit: str) -> Points:
    """The same points with losses in nats. Raises `LogError` for a perplexity of 0 or less."""
    if unit == "bits":
        return replace(found, values=found.values * math.log(2))
    if unit == "perplexity":
        if len(found.values) and found.values.min() <= 0:
            raise LogError(f"a perplexity must be above 0, got {found.values.min():g}; choose another loss unit.")
        return replace(found, values=np.log(found.values))
    return found


def _logged_rates(raw: RawRun, layout: Layout, per_step: float | None, notes: list[Note]) -> Points | None:
    """The logged learning rates; None where the log has none. Faults that the losses share are not told twice."""
    if layout.lr is None or layout.lr not in raw.columns:
        return None
    known = {n.text.partition(": ")[2] for n in notes}
    try:
        found = _points(raw, layout, layout.lr, "learning rate", per_step)
    except LogError as error:
        notes.append(Note("refused", f"{str(error).rstrip('.')}; the learning rate was not used.", raw.name))
        return None
    notes += [n for n in found.notes if n.text.partition(": ")[2] not in known]
    return found


def _with_batch(raw: RawRun, layout: Layout, facts: Facts, notes: list[Note]) -> Facts:
    """The facts, with the batch size that a column of tokens beside the steps shows, where none is declared."""
    if facts.batch_tokens is not None:
        return facts
    if layout.x_unit == "tokens":
        return replace(facts, batch_tokens=layout.batch)
    if layout.tokens is None or layout.tokens not in raw.columns or layout.x is None:
        return facts
    x, tokens = raw.columns.get(layout.x, _x(raw, layout, layout.tokens)).values, raw.columns[layout.tokens].values
    if len(x) != len(tokens):
        return facts
    fine = np.isfinite(x) & np.isfinite(tokens) & (x > 0) & (tokens > 0)
    if fine.sum() < 2:
        return facts
    i, j = np.argmin(np.where(fine, x, np.inf)), np.argmax(np.where(fine, x, -np.inf))
    if x[i] == x[j]:
        return facts
    batch = (tokens[j] - tokens[i]) / (x[j] - x[i])
    predicted = tokens[i] + batch * (x[fine] - x[i])
    if not (batch > 0 and (np.abs(predicted - tokens[fine]) <= STEADY * tokens[fine] + 1).all()):
        notes.append(
            Note(
                "info", "The tokens do not grow evenly with the steps, so no batch size was taken from them.", raw.name
            )
        )
        return facts
    size = counted(round(batch), "token")
    text = f"The batch size, {size} per update, was taken from the column {shortened(layout.tokens)!r}."
    notes.append(Note("info", text, raw.name))
    return replace(facts, batch_tokens=float(round(batch)))

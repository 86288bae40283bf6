"""Runs of which only the end is known: one row of a table each, checked for their units, and cut into parts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DesignError, LogError, OptLawsError, ScheduleError, UnlikelyUnit
from ..readers.frames import read_frame
from ..readers.numbers import from_cells
from ..runs import Plan, Run
from ..runs.noise import DIVERGED, SPIKED
from ..schedules import Joint, parse
from ..schedules.chain import Chain
from ..text import counted, listed, one_line, shortened

COLUMNS = ("run", "params", "batch_tokens", "tokens", "schedule", "final_loss")
OPTIONAL = ("outcome", "parent", "text")  # how a run ended, the run that it started from, and what it learned
# What others call these columns. Letters' case does not matter, and names of one's own can be mapped.
ALIASES = {
    "run": ("name", "run_name", "run_id"),
    "params": ("n_params", "parameters", "model_size"),
    "batch_tokens": ("tokens_per_update", "tokens_per_step", "batch_size_tokens"),
    "tokens": ("total_tokens", "train_tokens"),
    "schedule": ("lr_schedule",),
    "final_loss": ("final_val_loss", "val_loss", "loss"),
    "text": ("dataset", "dataset_name", "corpus", "data"),
}
HIGHEST_PEAK, FEWEST_PARAMS, FEWEST_TOKENS = 1.0, 1_000, 1_000  # beyond these the unit is more likely to be wrong
MOST = 1e18  # parameters or tokens: beyond it nothing can be meant
MOST_PARENTS = 50  # runs behind a run, one before the other
FAR = 1.5  # final loss over the median of its size, from which a run counts as diverged where no column tells
FOLDS = 10


@dataclass(frozen=True)
class TableRun:
    """A run of which only the end is known."""

    name: str
    plan: Plan  # of a run that starts from another one's end, with both schedules in a `Chain`
    final_loss: float  # nats per token or the table's unit; NaN for a run that gave none
    diverged: bool = False
    spiked: bool = False  # it came back from a spike, which speaks for the risk of divergence and against its end
    parent: str | None = None  # the run that it starts from
    text: str = ""  # what a child learns, where that is not what the first run behind it learned
    first_text: str = ""  # what the first run behind it learned, or it itself from a random start; empty: not told

    @property
    def stable(self) -> bool:
        """Whether it neither diverged nor spiked."""
        return not (self.diverged or self.spiked)

    @property
    def family(self) -> str:
        """The schedule's family, with the shape of its cooldown where it has one: constant, cosine, wsd-1-sqrt, …"""
        return family(self.plan)

    @property
    def configuration(self) -> tuple[float | None, float | None, int]:
        """What is decided before a schedule is chosen: model size, tokens per update, horizon."""
        return self.plan.params, self.plan.batch_tokens, self.plan.schedule.total


def family(plan: Plan) -> str:
    """The kind of the plan's schedule, of the last part if it has several, with the shape of its cooldown."""
    schedule = plan.schedule.last
    shape = getattr(schedule, "shape", None)
    return f"{schedule.family}-{shape}" if shape else schedule.family


def columns_of(names: Iterable[str]) -> dict[str, str]:
    """Which of a table's columns are taken for ours, ours first: those of our names, else those of usual others."""
    known = {str(name).strip().lower(): name for name in names}
    wanted = {ours: (ours, *ALIASES.get(ours, ())) for ours in (*COLUMNS, *OPTIONAL)}
    return {ours: known[n] for ours, some in wanted.items() if (n := next((a for a in some if a in known), None))}


def read_table(
    table: Path | str | pd.DataFrame, sure: bool = False, columns: Mapping[str, str] | None = None
) -> list[TableRun]:
    """Runs of a CSV file or a frame with the columns run, params, batch_tokens, tokens, schedule, final_loss.

    One of batch_tokens and tokens may be missing, or empty in a row; the schedule's updates give the other. Optional
    columns: `outcome` ("diverged", "spiked" for a run that came back from a spike, or anything else), `parent` (name of
    the run whose last weights a run starts from; its `schedule` is then its own part alone) and `text` (the text that
    it learns, also called `dataset`, `corpus` or `data`; left empty it is the parent's).
    Without `outcome`, runs diverged that ended with nan, inf or more than 1.5 times the median of their size.
    A run without a final loss is kept, with NaN. `columns`: the table's names by ours, where they differ.
    `sure`: units were looked at, so unlikely values are taken as they are.
    Raises `LogError` that names the column or the run, the rule and what was found.
    """
    what = "The table" if isinstance(table, pd.DataFrame) else str(table)
    frame = table if isinstance(table, pd.DataFrame) else read_frame(table, what)
    names = [str(c).strip().lower() for c in frame.columns]
    if twice := next((c for c in names if names.count(c) > 1), None):
        raise LogError(f"{what} must have each column once, got {shortened(twice)!r} more than once.", what)
    named = columns_of(frame.columns) | _mapped(columns or {}, frame, what)
    missing = [c for c in COLUMNS if c not in named]
    if len(set(missing) & {"batch_tokens", "tokens"}) == 1:
        missing = [c for c in missing if c not in ("batch_tokens", "tokens")]
    if missing:
        raise LogError(f"{what} must have the column {missing[0]!r}, got {listed(frame.columns)}.", what)
    if not len(frame):
        raise LogError(f"{what} must have at least 1 run, got none.", what)
    frame = frame[list(named.values())].set_axis(list(named), axis=1)
    names = [one_line(_text(cell)) for cell in frame["run"]]
    if "" in names:
        raise LogError(f"{what}, row {names.index('') + 1:,}: run must hold a name, got none.", what)
    runs, against = [], []
    for name, row in zip(names, frame.to_dict("records"), strict=True):
        try:
            runs.append(_row(name, row, sure))
        except _Contradiction as fault:
            against.append(fault)
    if against:
        raise _told_once(against)
    if twice := next((n for n, times in Counter(names).items() if times > 1), None):
        raise LogError(f"{what}: runs must have different names, got {shortened(twice, 100)!r} more than once.", what)
    return _with_parents(_judged(runs) if "outcome" not in named else runs)


def table_runs(runs: Iterable[Run]) -> list[TableRun]:
    """Loaded runs with their last losses. Left out: those whose schedule, model size or batch is not known, and those
    that schedule their batch, of which final-loss laws know nothing.

    A log that breaks off before its schedule ends gives no final loss; it diverged if its manifest says so.
    """
    found = []
    for run in runs:
        if run.plan is None or run.plan.params is None or run.plan.batch_tokens is None or not len(run.loss):
            continue
        if isinstance(run.plan.schedule, Joint):
            continue
        outcome = run.about.get("outcome")
        gap = np.median(np.diff(run.steps)) if len(run.steps) > 1 else 1
        ended = run.steps[-1] >= run.plan.schedule.total - 1 - gap
        loss = float(run.loss[-1]) if ended and run.loss[-1] > 0 else np.nan
        parent = run.about.get("parent") or None
        text = next((run.about[name] for name in ("text", *ALIASES["text"]) if run.about.get(name)), "")
        found.append(TableRun(run.name, run.plan, loss, outcome == DIVERGED, outcome == SPIKED, parent, text))
    while True:  # whoever goes on from a run that was left out is left out, too
        known = {None, *(r.name for r in found)}
        if all(r.parent in known for r in found):
            break
        found = [r for r in found if r.parent in known]
    return _with_parents(found)


class _Contradiction(LogError):
    """Tokens of a row that are not its batch times its updates."""


def _told_once(against: Sequence[_Contradiction]) -> LogError:
    """One sentence on all rows whose tokens contradict the rest of the row."""
    first, more = against[0], against[1:]
    if not more:
        return LogError(str(first), first.source)
    others = listed((fault.source for fault in more), 5)
    return LogError(
        f"{str(first).removesuffix('.')}; the same holds for {counted(len(more), 'more run')}: {others}.", first.source
    )


def _mapped(columns: Mapping[str, str], frame: pd.DataFrame, what: str) -> dict[str, str]:
    for ours, theirs in columns.items():
        if ours not in (*COLUMNS, *OPTIONAL):
            raise LogError(f"{what}: a column is one of {', '.join((*COLUMNS, *OPTIONAL))}, got {ours!r}.", what)
        if theirs not in frame:
            raise LogError(f"{what} has no column {shortened(str(theirs))!r}; it has {listed(frame.columns)}.", what)
    return dict(columns)


def _row(name: str, row: Mapping, sure: bool) -> TableRun:
    at = f"Run {shortened(name, 100)!r}"
    try:
        schedule = parse(_text(row["schedule"]))
    except ScheduleError as fault:
        raise LogError(f"{at}: {fault}", name) from None
    if isinstance(schedule, Joint):
        raise LogError(
            f"{at}: schedule must be a learning rate alone, as final-loss laws cannot predict batch schedules, "
            f"averages and weight decay, got {shortened(schedule.text, 100)}.",
            name,
        )
    params = _size(name, "params", row["params"])
    batch, tokens = _tokens(name, row, schedule.total)
    if not sure:
        for what, unlikely, rule, found in (
            ("a peak learning rate", schedule.peak > HIGHEST_PEAK, f"above {HIGHEST_PEAK:g}", schedule.peak),
            ("params", params < FEWEST_PARAMS, f"below {FEWEST_PARAMS:,} (of millions or billions?)", params),
            ("tokens", tokens < FEWEST_TOKENS, f"below {FEWEST_TOKENS:,} (of millions or billions?)", tokens),
        ):
            if unlikely:
                raise UnlikelyUnit(f"{at}: is the unit right? {what} {rule} is unlikely, got {found:g}.", name)
    if abs(tokens / (batch * schedule.total) - 1) > 0.05:
        raise _Contradiction(
            f"{at}: tokens must be batch_tokens × updates = {batch * schedule.total:g}, got {tokens:g}.", name
        )
    cell = row["final_loss"]
    loss = _number(cell)
    if _text(cell) and np.isnan(loss) and _text(cell).lower() != "nan":
        raise LogError(f"{at}: final_loss must be a number, got {_text(cell)[:40]!r}.", name)
    if loss <= 0:
        raise LogError(f"{at}: final_loss must be above 0, got {loss:g}.", name)
    outcome = _text(row.get("outcome")).lower()
    gone = outcome == DIVERGED
    if "outcome" not in row:
        gone = np.isinf(loss) or (isinstance(cell, str) and cell.strip().lower() == "nan")
    parent = one_line(_text(row.get("parent"))) or None
    final = loss if np.isfinite(loss) else np.nan
    plan = Plan(schedule, params, batch)
    return TableRun(name, plan, final, gone, outcome == SPIKED, parent, one_line(_text(row.get("text"))))


def _tokens(name: str, row: Mapping, updates: int) -> tuple[float, float]:
    """Tokens of an update and in all; where one cell is empty, or one column missing, the other gives it.

    Raises `LogError` for a row that tells neither.
    """
    given = {what: row[what] for what in ("batch_tokens", "tokens") if not _empty(row.get(what))}
    if not given:
        both = "batch_tokens" in row and "tokens" in row
        what = "batch_tokens or tokens" if both else "batch_tokens" if "batch_tokens" in row else "tokens"
        raise LogError(f"Run {shortened(name, 100)!r}: {what} must be a number above 0, got an empty cell.", name)
    sizes = {what: _size(name, what, cell) for what, cell in given.items()}
    batch = sizes["batch_tokens"] if "batch_tokens" in sizes else sizes["tokens"] / updates
    return batch, sizes.get("tokens", batch * updates)


def _empty(cell: object) -> bool:
    return _text(cell).lower() in ("", "nan")


def _text(cell: object) -> str:
    return "" if cell is None or isinstance(cell, float) and np.isnan(cell) else str(cell).strip()


def _number(cell: object) -> float:
    """The number in a cell; NaN where it holds none."""
    return float(from_cells([cell]).values[0])


def _size(name: str, what: str, value: object) -> float:
    number, at = _number(value), f"Run {shortened(name, 100)!r}"
    if not 0 < number < np.inf:
        raise LogError(f"{at}: {what} must be a number above 0, got {str(value)[:40]!r}.", name)
    if number > MOST:
        raise LogError(f"{at}: {what} may be at most {MOST:g}, got {number:g}.", name)
    return number


def _judged(runs: Sequence[TableRun]) -> list[TableRun]:
    """Runs that ended far above others of their size count as diverged."""
    ends: dict[tuple, list[float]] = {}
    for r in runs:
        if np.isfinite(r.final_loss):
            ends.setdefault((r.plan.params, r.text), []).append(r.final_loss)
    usual = {key: float(np.median(values)) for key, values in ends.items()}
    return [
        replace(r, diverged=True)
        if np.isfinite(r.final_loss) and r.final_loss > FAR * usual[r.plan.params, r.text]
        else r
        for r in runs
    ]


def _with_parents(runs: Sequence[TableRun]) -> list[TableRun]:
    """Runs that start from another one's end, with that one's schedule before their own.

    A text is named only where it is another than that of the first run behind it.
    """
    by_name = {r.name: r for r in runs}
    done: dict[str, tuple[TableRun, str, str]] = {}  # with its text and that of the first run

    def whole(run: TableRun, below: tuple[str, ...]) -> tuple[TableRun, str, str]:
        if run.name in done:
            return done[run.name]
        if run.parent is None:
            done[run.name] = replace(run, text="", first_text=run.text), run.text, run.text
            return done[run.name]
        at = f"Run {shortened(run.name, 100)!r}"
        if run.parent not in by_name:
            parent = shortened(run.parent, 100)
            raise LogError(f"{at}: its parent must be a run of the table, got {parent!r}.", run.name)
        if run.parent in below:
            raise LogError(f"{at}: parents must lead back to a first run, got a circle.", run.name)
        if len(below) > MOST_PARENTS:
            raise LogError(f"{at}: a run may have at most {MOST_PARENTS} ancestors, got more.", run.name)
        before, learned, first = whole(by_name[run.parent], (*below, run.name))
        plan = replace(run.plan, schedule=Chain(before.plan.schedule, run.plan.schedule))
        text = run.text or learned
        own = "" if text == first else text
        done[run.name] = replace(run, plan=plan, text=own, first_text=first), text, first
        return done[run.name]

    return [whole(r, (r.name,))[0] for r in runs]


def chosen(runs: Sequence[TableRun], names: Sequence[str]) -> list[TableRun]:
    """The runs of these names, in their order. Raises `DesignError` for a name that the table lacks."""
    by_name = {r.name: r for r in runs}
    if unknown := next((n for n in names if n not in by_name), None):
        raise DesignError(f"The table has no run {unknown!r}; it has {len(runs)}, {', '.join(list(by_name)[:5])}, …")
    return [by_name[n] for n in names]


def fold(runs: Sequence[TableRun], by: str, k: int = FOLDS, seed: int = 0) -> list[NDArray[np.intp]]:
    """Parts of the runs' indices: `by` "random" into k parts, or one for each value of what it names.

    "family" of the schedule, "params" (model size), or "configuration": size, tokens per update and horizon, which
    are what a user has decided before choosing a schedule.
    """
    if by == "random":
        order = np.random.default_rng(seed).permutation(len(runs))
        return [np.sort(order[i::k]) for i in range(min(k, len(runs)))]
    keys: dict[str, list] = {
        "family": [r.family for r in runs],
        "params": [r.plan.params for r in runs],
        "configuration": [r.configuration for r in runs],
    }
    if by not in keys:
        raise OptLawsError(f"Runs are left out by random, {' or '.join(keys)}, got {by!r}.")
    return [np.flatnonzero([v == key for v in keys[by]]) for key in dict.fromkeys(keys[by])]


__all__ = ["TableRun", "chosen", "columns_of", "family", "fold", "read_table", "table_runs"]

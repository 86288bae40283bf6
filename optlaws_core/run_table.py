"""Runs of which only the end is known: one row of a table each, checked for their units, and cut into parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import LogError, OptLawsError, ScheduleError
from .runs import Plan
from .schedules import parse

COLUMNS = ("run", "params", "batch_tokens", "tokens", "schedule", "final_loss")
HIGHEST_PEAK, FEWEST_PARAMS, FEWEST_TOKENS = 1.0, 1_000, 1_000  # beyond these the unit is more likely to be wrong
FOLDS = 10


@dataclass(frozen=True)
class TableRun:
    """A run of which only the end is known."""

    name: str
    plan: Plan
    final_loss: float  # nats per token or the table's unit; NaN for a run that gave none

    @property
    def family(self) -> str:
        """The schedule's family, with the shape of its cooldown where it has one: constant, cosine, wsd-1-sqrt, …"""
        shape = getattr(self.plan.schedule, "shape", None)
        return f"{self.plan.schedule.family}-{shape}" if shape else self.plan.schedule.family


def read_table(table: Path | str | pd.DataFrame, sure: bool = False) -> list[TableRun]:
    """Runs of a CSV file or a frame with the columns run, params, batch_tokens, tokens, schedule, final_loss.

    One of batch_tokens and tokens may be missing; the schedule's updates give the other. A run without a final loss
    is kept, with NaN. `sure`: units were looked at, so unlikely values are taken as they are.
    Raises `LogError` that names the column or the run, the rule and what was found.
    """
    what = "The table" if isinstance(table, pd.DataFrame) else str(table)
    if not isinstance(table, pd.DataFrame):
        try:
            table = pd.read_csv(table)
        except FileNotFoundError:
            raise LogError(f"{what}: there is no such file.", what) from None
        except (OSError, ValueError) as fault:
            raise LogError(f"{what} must be a CSV table, got {str(fault)[:80]!r}.", what) from None
    missing = [c for c in COLUMNS if c not in table]
    if set(missing) & {"batch_tokens", "tokens"} and len(set(missing) & {"batch_tokens", "tokens"}) == 1:
        missing = [c for c in missing if c not in ("batch_tokens", "tokens")]
    if missing:
        raise LogError(f"{what} must have the column {missing[0]!r}, got {', '.join(map(str, table.columns))}.", what)
    if not len(table):
        raise LogError(f"{what} must have at least 1 run, got none.", what)
    return [_row(row, sure) for row in table.to_dict("records")]


def _row(row: Mapping, sure: bool) -> TableRun:
    name = str(row["run"])
    try:
        schedule = parse(str(row["schedule"]))
    except ScheduleError as fault:
        raise LogError(f"Run {name!r}: {fault}", name) from None
    params = _positive(name, "params", row["params"])
    tokens = None if "tokens" not in row else _positive(name, "tokens", row["tokens"])
    batch = (
        tokens / schedule.total if "batch_tokens" not in row else _positive(name, "batch_tokens", row["batch_tokens"])
    )
    if tokens is None:
        tokens = batch * schedule.total
    if not sure:
        for what, unlikely, rule, found in (
            ("a peak learning rate", schedule.peak > HIGHEST_PEAK, f"above {HIGHEST_PEAK:g}", schedule.peak),
            ("params", params < FEWEST_PARAMS, f"below {FEWEST_PARAMS:,} (of millions or billions?)", params),
            ("tokens", tokens < FEWEST_TOKENS, f"below {FEWEST_TOKENS:,} (of millions or billions?)", tokens),
        ):
            if unlikely:
                raise LogError(f"Run {name!r}: is the unit right? {what} {rule} is unlikely, got {found:g}.", name)
    if abs(tokens / (batch * schedule.total) - 1) > 0.05:
        raise LogError(
            f"Run {name!r}: tokens must be batch_tokens × updates = {batch * schedule.total:g}, got {tokens:g}.", name
        )
    loss = pd.to_numeric(row["final_loss"], errors="coerce")
    if loss <= 0:
        raise LogError(f"Run {name!r}: final_loss must be above 0, got {loss:g}.", name)
    return TableRun(name, Plan(schedule, params, batch), float(loss) if np.isfinite(loss) else np.nan)


def _positive(name: str, what: str, value: object) -> float:
    number = pd.to_numeric(value, errors="coerce")
    if not 0 < number < np.inf:
        raise LogError(f"Run {name!r}: {what} must be a number above 0, got {str(value)[:40]!r}.", name)
    return float(number)


def fold(runs: Sequence[TableRun], by: str, k: int = FOLDS, seed: int = 0) -> list[NDArray[np.intp]]:
    """Parts of the runs' indices: `by` "random" into k parts, or one for each "family" or "params" (model size)."""
    if by == "random":
        order = np.random.default_rng(seed).permutation(len(runs))
        return [np.sort(order[i::k]) for i in range(min(k, len(runs)))]
    keys = {"family": [r.family for r in runs], "params": [r.plan.params for r in runs]}
    if by not in keys:
        raise OptLawsError(f"Runs are left out by random, family or params, got {by!r}.")
    return [np.flatnonzero([v == key for v in keys[by]]) for key in dict.fromkeys(keys[by])]


__all__ = ["TableRun", "fold", "read_table"]

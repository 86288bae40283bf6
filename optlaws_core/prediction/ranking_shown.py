"""How a ranking and its candidates show themselves: as a table, a line of text, and a few lines in a notebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..fitting.result import Model
from ..markup import Cell, Table
from ..schedules import Schedule
from ..schedules.schedule_shown import brief
from ..text import counted, percent
from .bands import with_bands

if TYPE_CHECKING:
    import pandas as pd

    from .ranking import Ranked, Ranking

COLUMNS = ["schedule", "final_loss", "low", "high", "delta", "saved_updates", "risk", "apart", "reasons"]


def line_of_ranked(row: "Ranked") -> str:
    """A candidate in a line: its schedule, its final loss, how far it is behind, whether to trust that."""
    behind = f", {row.delta:+.4f}" if row.delta else ""
    marks = [", set apart" if row.apart else "", ", beyond the training runs" if row.reasons else ""]
    return f"Ranked({brief(row.schedule)}: {row.final_loss:.4f}{behind}{''.join(marks)})"


def frame_of_ranking(ranking: "Ranking") -> "pd.DataFrame":
    """See `Ranking.to_frame`."""
    import pandas as pd  # a ranking does not need it

    rows = []
    for r, (low, high) in zip(ranking, _bands(ranking.model, [r.schedule for r in ranking]), strict=True):
        last = (r.delta, r.saved_updates, r.risk, r.apart, "; ".join(r.reasons))
        rows.append((r.schedule.text, r.final_loss, low, high, *last))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    numbers = dict.fromkeys(("final_loss", "low", "high", "delta", "risk"), float)
    return frame.astype({**numbers, "saved_updates": "Int64", "apart": bool})


def table_of(ranking: "Ranking") -> Table:
    """The candidates, best first; columns of which nothing is known are left out."""
    rows: list[tuple[Cell, ...]] = []
    for place, (r, (low, high)) in enumerate(
        zip(ranking, _bands(ranking.model, [r.schedule for r in ranking]), strict=True), 1
    ):
        rows.append(
            (
                f"{place}",
                brief(r.schedule),
                f"{r.final_loss:.4f}",
                "" if np.isnan(low) else f"{low:.4f} to {high:.4f}",
                f"{r.delta:+.4f}" if place > 1 else "",
                "" if r.saved_updates is None else f"{r.saved_updates:,}",
                "" if r.risk is None else percent(r.risk, 1),
                "; ".join(r.reasons),
            )
        )
    heads = (
        "",
        "Schedule",
        "Final loss",
        "90 % band",
        "Above the best",
        "Updates saved",
        "P(diverges)",
        "Beyond the training runs",
    )
    kept = [i for i in range(len(heads)) if i < 3 or any(row[i] for row in rows)]
    return Table(tuple(heads[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows))


def html_of_ranking(ranking: "Ranking") -> str:
    """The candidates, best first."""
    notes = ["Updates saved: how many fewer the best candidate's shape needs for the same loss."]
    table = table_of(ranking)
    title = f"{counted(len(ranking), 'candidate')} by final loss: {ranking.model.title}"
    return table.html(title, notes if "Updates saved" in table.heads else ())


def _bands(model: Model, schedules: Sequence[Schedule]) -> list[tuple[float, float]]:
    """90 % prediction bands of the final losses; nan where the model has none."""
    found = []
    for schedule in schedules:
        end = with_bands(model, schedule)
        if end.prediction is None:
            found.append((np.nan, np.nan))
        else:
            low, high = end.band(end.prediction)
            found.append((float(low[0]), float(high[0])))
    return found

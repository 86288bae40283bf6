"""How what was read shows itself: a row a run, and a sentence for each file that gave nothing."""

from typing import TYPE_CHECKING

from ..markup import Cell, Table
from ..schedules.schedule_shown import brief
from ..text import counted

if TYPE_CHECKING:
    import pandas as pd

    from .base import Reading

HEADS = ("Run", "Format", "Losses", "Points", "Last step", "Last loss", "Learning rate", "Notes")
COLUMNS = (  # of the frame
    "run format split points first_step last_step last_loss lr_source schedule params batch_tokens notes questions"
).split()


def frame_of(reading: "Reading") -> "pd.DataFrame":
    """See `Reading.to_frame`."""
    import pandas as pd  # not every format needs it

    rows = []
    for row, run in zip(reading.rows(), reading.runs, strict=True):
        plan = run.plan
        rows.append(
            {
                "run": row["run"],
                "format": row["format"],
                "split": run.split,
                "points": row["points"],
                "first_step": row["first_step"],
                "last_step": int(run.steps[-1]),
                "last_loss": float(run.loss[-1]),
                "lr_source": row["lr_source"],
                "schedule": None if plan is None else plan.schedule.text,
                "params": None if plan is None else plan.params,
                "batch_tokens": None if plan is None else plan.batch_tokens,
                "notes": "\n".join(row["notes"]),
                "questions": "\n".join(question["text"] for question in row["questions"]),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def line_of(reading: "Reading") -> str:
    """What was read, counted."""
    failed = f", {counted(len(reading.errors), 'file')} gave nothing" if reading.errors else ""
    return f"Reading({counted(len(reading.runs), 'run')} from {counted(len(reading.files), 'file')}{failed})"


def html_of(reading: "Reading") -> str:
    """A row a run; beneath, open questions and why files gave nothing."""
    rows: list[tuple[Cell, ...]] = []
    for row, run in zip(reading.rows(), reading.runs, strict=True):
        rate = "not known" if run.plan is None else f"{brief(run.plan.schedule)}, {run.lr_source}"
        end, notes = (f"{run.steps[-1]:,}", f"{run.loss[-1]:.4f}"), str(len(row["notes"]) or "")
        rows.append((run.name, row["format"], run.split, f"{row['points']:,}", *end, rate, notes))
    questions = dict.fromkeys(f"Open: {q.text}" for report in reading.files for q in report.questions)
    title = line_of(reading).removeprefix("Reading(").removesuffix(")")
    return Table(HEADS, tuple(rows)).html(title[0].upper() + title[1:], [*questions, *reading.errors])

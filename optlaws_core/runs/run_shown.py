"""How a run shows itself: its losses as a table, a line of text, and a few lines in a notebook."""

from typing import TYPE_CHECKING

import numpy as np

from ..markup import facts, sparkline
from ..schedules import tokens_before
from ..schedules.schedule_shown import brief
from ..text import format_amount, shortened

if TYPE_CHECKING:
    import pandas as pd

    from .run import Run


def frame_of(run: "Run") -> "pd.DataFrame":
    """See `Run.to_frame`."""
    import pandas as pd  # takes longer to load than runs do

    parts = []
    for split, series in run.series.items():
        rates, tokens = np.full(len(series), np.nan), None
        if run.plan is not None:
            rates = run.plan.schedule(series.steps)
            tokens = tokens_before(run.plan.schedule, series.steps + 1, run.plan.batch_tokens)
        columns = {"step": series.steps, "split": split, "loss": series.loss, "lr": rates}
        parts.append(pd.DataFrame(columns | {"tokens": np.nan if tokens is None else tokens}))
    return pd.concat(parts, ignore_index=True)


def line_of(run: "Run") -> str:
    """A run in a line: its name, its losses in use, its schedule."""
    plan = "no learning rate" if run.plan is None else f"{brief(run.plan.schedule)}, {run.lr_source}"
    return f"Run({shortened(run.name, 60)!r}, {_losses(run)}, {plan})"


def html_of(run: "Run") -> str:
    """Losses and plan, with a small picture of the losses in use."""
    plan = run.plan
    others = [f"{name} ({len(series):,})" for name, series in run.series.items() if name != run.split]
    known = [
        ("losses", _losses(run)),
        ("other losses", ", ".join(others)),
        ("learning rate", "not known" if plan is None else f"{brief(plan.schedule)}, {run.lr_source}"),
        ("parameters", format_amount(plan.params) if plan is not None and plan.params else ""),
        ("tokens per update", format_amount(plan.batch_tokens) if plan is not None and plan.batch_tokens else ""),
    ]
    return facts(known).html(f"Run {run.name}", [f"Open: {q}" for q in run.open_questions], sparkline(run.loss))


def _losses(run: "Run") -> str:
    n, split = len(run.loss), shortened(run.split)
    if not n:
        return f"no {split} losses"
    return f"{n:,} {split} {'loss' if n == 1 else 'losses'} to {run.loss[-1]:.4f} at step {run.steps[-1]:,}"

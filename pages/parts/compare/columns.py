"""The columns of a ranking, once for the Decide page, a saved comparison and its report. No Streamlit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from optlaws_core import Ranked, Schedule
from optlaws_core.prediction.observed import Observed
from optlaws_core.prediction.pairs import Compared
from optlaws_core.schedules import parts, token_ratio, tokens_before
from optlaws_core.text import chance, percent

LONGEST = 300  # characters of a cell in a report
PAIRED = (  # of intervals of differences
    "Errors of the law that both schedules share cancel, so it widens less than the bands beyond the training "
    "runs. On public runs, with laws fitted to a single WSD, it held 82 % of the differences, not 90 %."
)


@dataclass(frozen=True)
class Column:
    """A column of the ranking."""

    key: str
    title: str
    help: str = ""
    width: int = 110  # pixels on a page
    form: str = ""  # how Streamlit formats its numbers; empty: text, whole numbers, or as in a report
    in_text: str | Callable[[float], str] = ""  # how Python formats them in a report
    in_report: str = ""  # the title there, where it is another

    def text(self, value: object) -> str:
        """A cell in a report."""
        if value is None or value is pd.NA or value != value:
            return "–"
        text = self.in_text(value) if callable(self.in_text) else format(value, self.in_text)
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


COLUMNS = (
    Column("rank", "Rank", width=50),
    Column("name", "Schedule", width=170),
    Column("final_loss", "Final loss", "Predicted, after the last update.", 100, "%.5f", ".5f", "Predicted final loss"),
    Column(
        "observed",
        "Observed",
        "Final loss of loaded runs with these learning rates, also one update longer or shorter: the mean loss over "
        "the last 1 % of the updates, and over the runs where there are several.",
        100,
        "%.5f",
        ".5f",
        "Observed final loss",
    ),
    Column(
        "plus_minus",
        "± at end",
        "Half the width of the 90 % prediction band of the final loss. Candidates share part of the law's error, so "
        "a difference between two of them is more certain than their bands suggest.",
        100,
        "%.4f",
        ".4f",
        "± at the end",
    ),
    Column(
        "difference",
        "Difference",
        "Predicted final loss minus that of the baseline; negative is better.",
        115,
        "%+.5f",
        "+.5f",
        "To the baseline",
    ),
    Column(
        "low",
        "from",
        f"Lower end of the 90 % interval of the difference. {PAIRED}",
        85,
        "%+.5f",
        "+.5f",
        "90 % from",
    ),
    Column(
        "high",
        "to",
        "Its upper end. Where 0 lies inside the interval, the two are not told apart.",
        85,
        "%+.5f",
        "+.5f",
    ),
    Column("p_below", "P(below)", "Probability of ending below the baseline.", 100, "", chance, "Ends below it"),
    Column("p_best", "P(best)", "Probability of being the best of all candidates.", 90, "", chance, "Best of all"),
    Column("regret", "Regret", "Expected loss above the best of all candidates.", 80, "%.5f", ".5f"),
    Column("delta", "To best", "Predicted final loss minus the best one.", 90, "%.5f", ".5f", "Above the best"),
    Column("delta_percent", "in %", "The same as a share of the best loss.", 80, "%.3f %%", ".3f"),
    Column(
        "tokens",
        "Tokens",
        "Tokens read in total, where a candidate schedules its batch. Losses after different numbers of tokens do "
        "not compare at equal cost: the menu of a row sets its length to the baseline's tokens.",
        90,
        "compact",
        ",.0f",
        "Tokens in total",
    ),
    Column(
        "tokens_times", "of the baseline's", "The same as a multiple of the baseline's tokens.", 120, "%.3gx", ".3g"
    ),
    Column(
        "risk",
        "Diverges",
        "Probability of divergence, learned from the labelled runs named above. None: a model of another size.",
        90,
        "",
        lambda risk: percent(risk, 1),
    ),
    Column(
        "saved_updates",
        "Saved",
        "Updates saved: how many fewer the best schedule needs to end at this row's loss, with everything after its "
        "warm-up shortened in proportion. Negative: it would need more, and leads only because it is longer. Its own "
        "curve does not show this, since it has not decayed by then.",
        100,
        "localized",
        ",.0f",
        "Updates saved",
    ),
    Column("saved_percent", "of its own", "As a share of this row's horizon.", 90, "%.1f %%", ".1f", "of its own, %"),
    Column(
        "saved_tokens",
        "In tokens",
        "The same in tokens: how many fewer the shortened one reads.",
        100,
        "compact",
        ",.0f",
        "Tokens saved",
    ),
    Column(
        "extrapolates",
        "Extrapolates",
        "Beyond the training runs, in peak, horizon, model size or batch: the law was never checked there.",
        380,
    ),
    Column("schedule", "Text form", "For the command line and links.", 420),
)
BESIDE = ("difference", "low", "high", "p_below", "p_best", "regret")
# Numbers that need not be known.
MAY_LACK = (
    "observed",
    "plus_minus",
    *BESIDE,
    "tokens",
    "tokens_times",
    "risk",
    "saved_updates",
    "saved_percent",
    "saved_tokens",
)


def rows(
    ranked: Sequence[Ranked],
    names: Sequence[str],
    batch_tokens: float | None,
    halves: Sequence[float | None] | None = None,
    beside: Sequence[Compared] | None = None,
    seen: Sequence[Observed | None] | None = None,
    baseline: Schedule | None = None,
) -> pd.DataFrame:
    """The ranking as a table, numbers in full precision.

    `names`, `halves` of bands, `beside`, and what was `seen` of candidates that were run go with `ranked`.
    """
    best = ranked[0].final_loss if ranked else float("nan")
    none = [None] * len(ranked)
    batched = any(parts(r.schedule)[1] is not None for r in ranked)
    made = [
        {
            "rank": i,
            "name": name,
            "final_loss": r.final_loss,
            "observed": told and told.loss,
            "plus_minus": half,
            **_beside(c),
            "delta": r.delta,
            "delta_percent": 100 * r.delta / best,
            **_tokens(r.schedule, baseline, batch_tokens, batched),
            "risk": r.risk,
            "saved_updates": r.saved_updates,
            "saved_percent": None if r.saved_updates is None else 100 * r.saved_updates / r.schedule.total,
            "saved_tokens": _saved_tokens(ranked[0].schedule, r, batch_tokens),
            "extrapolates": "; ".join(r.reasons),
            "schedule": r.schedule.text,
        }
        for i, (r, name, half, c, told) in enumerate(
            zip(ranked, names, halves or none, beside or none, seen or none, strict=True), 1
        )
    ]
    table = pd.DataFrame(made)
    for column in MAY_LACK:
        if column in table:
            table[column] = table[column].astype("Int64" if column == "saved_updates" else "Float64")
    return table


def _tokens(
    schedule: Schedule, baseline: Schedule | None, batch_tokens: float | None, batched: bool
) -> dict[str, float | None]:
    """What a schedule reads, and how many times what the baseline reads; nothing where no batch is scheduled."""
    if not batched:
        return {"tokens": None, "tokens_times": None}
    read = tokens_before(schedule, schedule.total, batch_tokens)
    times = None if baseline is None else token_ratio(schedule, baseline, batch_tokens)
    return {"tokens": None if read is None else float(read), "tokens_times": times}


def _saved_tokens(best: Schedule, other: Ranked, batch_tokens: float | None) -> float | None:
    """What the best one, shortened until it ends at the loss of another, reads less than that; None: not known."""
    if other.saved_updates is None:
        return None
    shortened = best.rescaled(other.schedule.total - other.saved_updates)
    read = [tokens_before(s, s.total, batch_tokens) for s in (other.schedule, shortened)]
    return None if read[0] is None or read[1] is None else float(read[0] - read[1])


def _beside(c: Compared | None) -> dict[str, float | None]:
    """The columns of `BESIDE`. Of the baseline itself only that its difference is 0."""
    pair = c.pair if c else None
    found = (pair.difference, pair.low, pair.high, pair.p_below) if pair else (None,) * 4
    if pair and pair.itself:
        found = (pair.difference, None, None, None)
    return dict(zip(BESIDE, (*found, c.p_best if c else None, c.regret if c else None), strict=True))

"""The answer: one sentence with a number, an interval and a probability; what it rests on; what would make it surer."""

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from optlaws_core.figures import chart_style
from optlaws_core.fitting.result import Model
from optlaws_core.prediction import evidence
from optlaws_core.prediction.divergence import Risk
from optlaws_core.prediction.next_run import surer
from optlaws_core.prediction.verdict import Yardstick, of_pair
from optlaws_core.text import chance, counted, percent, relative_error

from ..compare import predicted, ranking
from ..compare.columns import PAIRED
from ..compare.predicted import Entry
from ..compare.ranking import Result
from ..state import address, session
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from . import further

KEY = "Key"  # column of the dots: their colours are those of the chart
ROWS = 9  # of the small ranking, before it scrolls
PAIR, KEPT_PAIR = "pair", "decide_pair_kept"  # in the address, and in the session


def verdict(space: Workspace, made: Result, left_out: Sequence[str]) -> None:
    """The answer on top, and beneath it what else there is to know before acting on it.

    left_out: a sentence for each candidate in use that could not be compared.
    """
    ranking.say(made, _rests_on(space.fit))
    selection = space.selections.get(space.current)
    warned = evidence.warnings(space.fit, space.runs.values(), selection)
    doubts([*left_out, *warned, *predicted.beyond(space, made.order, space.big_run)])
    if further.possible(space, made):
        further.section(space, made)
    elif wanted := surer(space.fit, made.ranked, [e.spoken for e in made.order], made.beside, made.baseline):
        st.markdown(f":material/lightbulb: It would be more certain with {literal('; or '.join(wanted))}.")


def doubts(sentences: Sequence[str]) -> None:
    """What speaks against an answer, a line each."""
    for sentence in sentences:
        st.markdown(f":material/warning: {literal(sentence)}")


def _rests_on(model: Model) -> str:
    """How many runs and which error an answer rests on; the rest is on the Evidence page."""
    runs = counted(len(model.train), "run")
    if model.test:
        return f"The answer rests on {runs}. {Yardstick.of(model).sentence}"
    if model.left_out is not None:
        error = f"off by {relative_error(model.left_out)} on runs left out of it"
    elif model.misfit is not None:
        error = f"off by {relative_error(model.misfit)} on them; none was left out"
    else:
        error = "whose error is not known"
    return f"The answer rests on {runs} and a fit {error}."


def small(made: Result) -> None:
    """The ranking in a few columns, each candidate in its colour; on a telephone in those that its width holds."""
    shown = pd.DataFrame([_row(made, i) for i in range(len(made.order))])
    colors = [chart_style.color(entry.color) for entry in made.order]
    with st.container(key="decide_ranking_wide"):  # page.css shows one of the two
        _wide(shown, colors)
    with st.container(key="decide_ranking_narrow"):
        st.html(narrow(shown, colors))


def narrow(shown: pd.DataFrame, colors: Sequence[str]) -> str:
    """The ranking as HTML that needs no more than 320 pixels: the interval stands beneath its difference."""

    def line(row: pd.Series, color: str) -> str:
        apart = "" if pd.isna(row["To baseline"]) else f"{row['To baseline']:+.4f}<br>"
        cells = (
            f'<span style="color: {color}">●</span> {escape(row["Schedule"])}',
            f"{row['Loss']:.4f}",
            f"{apart}<small>{escape(row['90 % interval'])}</small>",
            escape(row["P(best)"]),
        )
        return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"

    heads = ("Schedule", "Loss", "To baseline<br><small>90&nbsp;% interval</small>", "P(best)")
    head = "".join(f"<th>{name}</th>" for name in heads)
    lines = (line(row, color) for (_, row), color in zip(shown.iterrows(), colors, strict=True))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _wide(shown: pd.DataFrame, colors: Sequence[str]) -> None:
    showing.table(
        shown.drop(columns=KEY),
        "decide-ranking",
        shown=showing.dotted(shown, KEY, colors),
        hide_index=True,
        rows=ROWS,
        column_config={
            KEY: st.column_config.TextColumn(width=40, help="The colour of the curve in the chart"),
            "Schedule": st.column_config.TextColumn(width=showing.name_width(shown["Schedule"])),
            "Loss": st.column_config.NumberColumn(format="%.4f", width=62, help="Predicted, after the last update"),
            "To baseline": st.column_config.NumberColumn(format="%+.4f", width=84, help="Negative is better"),
            "P(below)": st.column_config.TextColumn(width=66, help="Probability of ending below the baseline"),
            "90 % interval": st.column_config.TextColumn(
                width=126, help=f"Of the difference to the baseline. {PAIRED}"
            ),
            "P(best)": st.column_config.TextColumn(width=60, help="Probability of being the best of all candidates"),
            "Tokens": st.column_config.TextColumn(
                width=60, help="Tokens read in total, as a multiple of the baseline's"
            ),
            "Observed": st.column_config.NumberColumn(format="%.4f", width=66, help="Of a loaded run with these rates"),
        },
        placeholder="–",
    )


def pair(space: Workspace, made: Result, risk: Risk | None, most_risk: float, batch_tokens: float | None) -> None:
    """One candidate against the baseline, or two against each other, as the visitor asks."""
    names = [entry.name for entry in made.order]
    if len(names) < 2:
        return
    kept = session.state().get(KEPT_PAIR)
    first = address.read_several(PAIR, names, [], "candidate", most=2) if kept is None else kept
    asked = st.multiselect(
        "One or the other?",
        names,
        [name for name in first if name in names],
        key=f"decide_pair {sorted(names)}",
        max_selections=2,
        placeholder="Choose one or two candidates",
        help="One is held against the candidate that all are compared with, two against each other.",
    )
    session.state()[KEPT_PAIR] = asked  # for when a candidate has another name, and the list is a new one
    address.write(PAIR, asked, [])
    if asked:
        one, other = ([names.index(name) for name in asked] + [made.baseline])[:2]
        st.markdown(literal(_about(space, made, one, other, risk, most_risk, batch_tokens)))


def _about(
    space: Workspace,
    made: Result,
    one: int,
    other: int,
    risk: Risk | None,
    most_risk: float,
    batch_tokens: float | None,
) -> str:
    """What is said of the candidates at two places in the order."""
    baseline, beside = made.order[other], made.beside
    if other != made.baseline:
        schedules = tuple(e.schedule for e in made.order)
        beside = predicted.beside(predicted.Known.of(space.fit), schedules, risk, most_risk, baseline.schedule)
    found = beside[one].pair
    if found is None or one == other:
        return f"“{baseline.name}” is what all are compared with; choose another one beside it."
    two = made.ranked[one], made.ranked[other]
    return of_pair(found, made.order[one].spoken, baseline.spoken, two, batch_tokens)


def _row(made: Result, i: int) -> dict:
    row = made.table.iloc[i]
    low, high = row["low"], row["high"]
    unknown = pd.isna(low) or pd.isna(high)
    read = {} if made.table["tokens_times"].isna().all() else {"Tokens": _times(row["tokens_times"])}
    seen = {} if made.table["observed"].isna().all() else {"Observed": row["observed"]}
    return {
        KEY: "●",
        "Schedule": row["name"],
        "Loss": row["final_loss"],
        "To baseline": None if i == made.baseline else row["difference"],
        "P(below)": "" if pd.isna(row["p_below"]) else chance(row["p_below"]),
        "90 % interval": "baseline" if i == made.baseline else "" if unknown else f"{low:+.4f} to {high:+.4f}",
        "P(best)": "" if pd.isna(row["p_best"]) else chance(row["p_best"]),
        **read,
        **seen,
    }


def _times(ratio: float) -> str:
    """Tokens as a multiple of the baseline's; nothing where nobody knows."""
    return "" if pd.isna(ratio) else f"{ratio:.3g}x"


def under_each_law(space: Workspace, order: Sequence[Entry]) -> None:
    """Rank and loss of every candidate, in this order, under each law of the fit in use; nothing for a single law."""
    parts = [(fit, weight) for fit, weight in space.fit.parts if weight > 0]
    if len(parts) < 2:
        return
    schedules = tuple(e.schedule for e in order)
    table: dict[str, list] = {"Schedule": [e.name for e in order]}
    said: list[str] = []
    for fit, weight in parts:
        ranked = predicted.ranked(predicted.Known.of(fit), schedules, None, 1.0)
        places = [next(k for k, r in enumerate(ranked, 1) if r.schedule == e.schedule) for e in order]
        said.append(f"{len(said) + 1}: {fit.title}, weight {percent(weight)}")
        table[f"Rank under {len(said)}"] = places
        table[f"Loss under {len(said)}"] = [ranked[k - 1].final_loss for k in places]
    st.caption(literal(f"Under each law. {'; '.join(said)}. Where they rank differently, the choice of law decides."))
    loss = st.column_config.NumberColumn(format="%.4f")
    name = st.column_config.TextColumn(width=showing.name_width(table["Schedule"]))
    showing.table(
        pd.DataFrame(table),
        "decide-laws",
        hide_index=True,
        column_config={"Schedule": name} | {name: loss for name in table if name.startswith("Loss")},
    )

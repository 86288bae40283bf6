"""The second half of the Pre-select page: the target, candidates ranked for it, and what the choice rests on."""

import functools
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core import OptLawsError, Schedule, parse
from optlaws_core.figures import preselect_charts as charts
from optlaws_core.final_loss import SHAPES, TERMS, FinalFit, FinalRanking, TableRun, candidates, rank_final, shares
from optlaws_core.final_loss.final_laws import LOG_LINEAR
from optlaws_core.final_loss.preselection import MOST, MOST_RISK, FinalRanked
from optlaws_core.hyper.fine_tuning import RANKED_BY_LOSS
from optlaws_core.text import (
    chance,
    counted,
    format_amount,
    format_number,
    parse_amount,
    parse_amounts,
    percent,
)

from ..state import address, jobs
from ..state import candidates as c
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal

PEAKS = 11  # of the grid that is offered
HANDED = 6  # candidates that Compare gets at once, where no rows are ticked
CHANCES = {  # columns of probabilities
    "Best": "Probability that no other ends lower.",
    "Top 2": "Probability that at most one ends lower.",
    "Diverges": "Risk of divergence.",
}
SHOWN_TERMS = 8  # bars, where no rows are ticked


@dataclass(frozen=True)
class Target:
    """What to train, and among what to choose."""

    params: float
    batch_tokens: float
    tokens: tuple[float, ...]
    peaks: tuple[float, ...]
    shapes: tuple[str, ...]
    warmups: tuple[float, ...]
    most_risk: float
    parent: Schedule | None
    text: str  # what is gone on to from the parent's end
    first: str  # what is learned from a random start

    @property
    def count(self) -> int:
        """Combinations."""
        return len(self.tokens) * len(self.peaks) * len(self.shapes) * len(self.warmups)


def target(fit: FinalFit, runs: Sequence[TableRun]) -> Target | None:
    """The form. None, with a sentence, while it cannot be read."""
    with st.container(border=True):
        first = st.columns(3)
        second = st.columns([2, 1])
        third = st.columns([2, 1])
        usual = _usual(fit, runs)
        texts = {
            name: place.text_input(
                label, key=f"final_{name}", bind="query-params", placeholder=usual[name], help=meaning
            ).strip()
            or usual[name]
            for name, label, place, meaning in (
                ("params", "Model size", first[0], "Trainable parameters: 123M, 7B, 1.2e9."),
                ("batch_tokens", "Tokens per update", first[1], "The batch size times the length of a sequence."),
                (
                    "tokens",
                    "Tokens in total",
                    first[2],
                    "Length of training; several with spaces between: 20B 50B 100B.",
                ),
                (
                    "peaks",
                    "Peak learning rates",
                    second[0],
                    "Several with spaces between. By default the range of nine in ten training runs.",
                ),
                (
                    "warmups",
                    "Warm-ups",
                    second[1],
                    "Several with spaces between: a share of the length (2 %) or updates "
                    "(300). The law sees a warm-up in its summed rate and noise alone; its other benefits show in "
                    "the risk of divergence.",
                ),
            )
        }
        shapes = address.bound_widget(
            third[0].multiselect,
            "Shapes",
            list(SHAPES),
            default=list(SHAPES),
            key="final_shapes",
            wrap=True,
            help="Percentages are the share of the length that the cooldown takes, or the final rate as a share "
            "of the peak.",
        )
        most_risk = address.share_slider(
            third[1],
            "Most risk of divergence",
            MOST_RISK,
            key="final_risk",
            disabled=fit.risk is None,
            help="Candidates above it are set apart. "
            + ("Learned from the runs that diverged." if fit.risk else "Not known: too few of the runs diverged."),
        )
        first_text = _first_text(fit)
        parent, text = _checkpoint(fit)
    try:
        asked = Target(
            parse_amount(texts["params"], "The model size", examples="123M or 7B"),
            parse_amount(texts["batch_tokens"], "The number of tokens per update", examples="4M or 524288"),
            parse_amounts(texts["tokens"], "The number of tokens in total", "20B or 100B"),
            parse_amounts(texts["peaks"], "A peak learning rate", "3e-4"),
            tuple(shapes),
            _warmups(texts["warmups"]),
            most_risk,
            parse(parent) if parent else None,
            text,
            first_text,
        )
        if not shapes:
            raise OptLawsError("Choose at least one shape.")
        if asked.count > MOST:
            raise OptLawsError(f"A ranking takes {MOST:,} candidates at most; these are {asked.count:,} combinations.")
        return asked
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return None


def _usual(fit: FinalFit, runs: Sequence[TableRun]) -> dict[str, str]:
    """What is taken where nothing is typed: the largest model as it was trained longest."""
    fitted = [r.plan for r in runs if r.name in fit.train]
    low, high = np.quantile([p.schedule.peak for p in fitted], (0.05, 0.95), method="nearest")
    peaks = np.geomspace(low, high, PEAKS) if high > low * 1.01 else [low]
    plans = [p for p in fitted if p.params == fit.coverage.params[1]]
    batch = Counter(p.batch_tokens for p in plans).most_common(1)[0][0]
    return {
        "params": format_amount(fit.coverage.params[1]),
        "batch_tokens": format_amount(batch),
        "tokens": format_amount(max(p.tokens for p in plans if p.batch_tokens == batch)),
        "peaks": " ".join(f"{p:.2g}" if low < p < high else format_number(p) for p in peaks),
        "warmups": f"{100 * float(np.median([p.schedule.warmup_end / p.schedule.total for p in fitted])):.2g}%",
    }


def _warmups(text: str) -> tuple[float, ...]:
    found = []
    for word in re.sub(r"\s+%", "%", text).replace(";", " ").split():
        number, shared = word.removesuffix("%"), word.endswith("%")
        value = parse_amount(number, "A warm-up", zero=True, examples="2 % or 300")
        if shared and value >= 100:
            raise OptLawsError(f"A warm-up takes less than 100 % of the length, got {value:g} %.")
        if not shared and 0 < value < 1:
            share = percent(value)
            raise OptLawsError(f"A warm-up in updates is at least 1, got {value:g}; a share is written as {share}.")
        found.append(value / 100 if shared else value)
    if not found:
        raise OptLawsError("A warm-up reads like 2 % or 300; 0 for none.")
    return tuple(dict.fromkeys(found))


def _first_text(fit: FinalFit) -> str:
    """Which of the table's texts is learned; empty, and not asked, where its runs learned one."""
    if not fit.steps:
        return ""
    usual = fit.text or "the text that is not named"
    found = address.bound_widget(
        st.selectbox,
        "Text",
        [usual, *fit.steps],
        key="final_first",
        width=380,
        help="What is learned from a random start. Each text but that of most runs has its own offset in the law, "
        "whose uncertainty is part of the bands.",
    )
    return "" if found == usual else found


def _checkpoint(fit: FinalFit) -> tuple[str, str]:
    """Continual training and fine-tuning: what was trained before, and on what it goes on."""
    with st.expander("Start from a checkpoint", icon=":material/call_split:"):
        left, right = st.columns([2, 1])
        parent = left.text_input(
            "Schedule of the checkpoint",
            key="final_parent",
            bind="query-params",
            placeholder="wsd(peak=8e-3, warmup=200, total=4000, decay=800)",
            help="The schedule trained so far, with the same model and batch. Lengths and warm-ups above are then "
            "those of the continuation; the law sees both, one after the other.",
        )
        texts = ["the same text", *fit.transfers]
        text = address.bound_widget(
            right.selectbox,
            "Going on with",
            texts,
            key="final_text",
            disabled=len(texts) < 2,
            help="Another text needs runs in the table that went on to it (columns parent and text): how losses carry "
            "over is learned from them, and three or four are enough to begin with.",
        )
        if text != texts[0] and not parent.strip():
            st.caption("Give the checkpoint's schedule, too.")
        elif text != texts[0]:
            st.warning(literal(RANKED_BY_LOSS), icon=":material/warning:")
    return parent.strip(), "" if text == texts[0] or not parent.strip() else text


def ranked(fit: FinalFit, asked: Target | None) -> FinalRanking | None:
    """The candidates' ranking; None with a sentence where there is none."""
    if asked is None:
        return None
    try:
        return _ranked(hashlib.sha256(json.dumps(fit.to_dict()).encode()).hexdigest(), asked, fit)
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return None


@st.cache_resource(show_spinner="Ranking the candidates", max_entries=32)
def _ranked(content: str, asked: Target, _fit: FinalFit) -> FinalRanking:
    plans = candidates(
        asked.params, asked.batch_tokens, asked.tokens, asked.peaks, asked.shapes, asked.warmups, asked.parent
    )
    rank = functools.partial(rank_final, first=asked.first)
    return jobs.awaited("candidates", rank, _fit, plans, asked.text, asked.most_risk)


def verdict(found: FinalRanking) -> None:
    """Which two to train, and what is left to lose."""
    best = found.rows[0]
    if best.apart:
        st.error("Every candidate is likely to diverge: lower peaks are needed, or runs that show how far one can go.")
    lines = [f"1. **{literal(charts.long_name(found.pair[0]))}**"]
    if len(found.pair) > 1:
        lines.append(f"2. **{literal(charts.long_name(found.pair[1]))}**")
    st.markdown("Train first:\n" + "\n".join(lines))
    boxes = st.columns(4)
    band = f" 90 % prediction band {best.low:.4f} to {best.high:.4f}." if np.isfinite(best.low) else ""
    boxes[0].metric("Predicted final loss", f"{best.loss:.4f}", help=f"Of the first.{band}")
    boxes[1].metric(
        "One of the two is best",
        chance(found.hit),
        help="Probability under the law's uncertainty. Near-duplicates share it, so a finer grid lowers it; the "
        "expected regret is the better guide.",
    )
    boxes[2].metric(
        "Expected regret of the two",
        f"{100 * found.regret:.2f} %",
        help="How far the better of the two is expected to end above the best of all candidates.",
    )
    boxes[3].metric(
        "Expected regret of the first", f"{100 * found.regret_one:.2f} %", help="The same if only one is trained."
    )
    if best.reasons:
        st.warning(literal(f"Beyond the training runs: {'; '.join(best.reasons)}."), icon=":material/explore:")


def answers(found: FinalRanking) -> None:
    """Peak, warm-up and shape as answers of their own."""
    said = []
    for what, of, form in (
        ("Peak", lambda p: p.schedule.last.peak, lambda v: format_amount(v, 3)),
        ("Warm-up", lambda p: p.schedule.last.warmup, lambda v: f"{v:,} updates"),
        ("Shape", charts.name_of, str),
        ("Length", lambda p: p.batch_tokens * p.schedule.last.total, lambda v: f"{format_amount(v, 3)} tokens"),
    ):
        chances = sorted(found.answers(of).items(), key=lambda pair: -pair[1])
        if len({of(row.plan) for row in found.rows}) < 2 or not chances:
            continue
        said.append(f"**{what}**: " + ", ".join(f"{literal(form(v))} ({chance(share)})" for v, share in chances[:3]))
    peaks = sorted({row.plan.schedule.last.peak for row in found.rows})
    if said:
        st.markdown(" · ".join(said), help="Probability that the best candidate has this value, three highest each.")
    first = found.pair[0].schedule.last.peak
    if len(peaks) > 2 and first in (peaks[0], peaks[-1]):
        side = "lowest" if first == peaks[0] else "highest"
        st.caption(f"The best peak is the {side} of those asked for: the optimum may lie beyond.")


def over_peaks(found: FinalRanking) -> None:
    """Predicted losses over the peak."""
    showing.chart(charts.over_peaks(found.rows), "preselect-peaks")
    st.caption("The lowest loss of each shape over warm-ups and lengths; crosses are set apart as likely to diverge.")


def table(found: FinalRanking) -> list[FinalRanked]:
    """All candidates as rows. Returns the ticked ones."""
    rows = frame(found)
    shown = showing.table(
        rows,
        "preselect-candidates",
        shown=rows.style.format(dict.fromkeys(CHANCES, chance), na_rep="–"),
        hide_index=True,
        placeholder="–",
        height=420,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"final_rows_{digest(found)}",
        column_config={
            "Candidate": st.column_config.TextColumn(width="large", pinned=True),
            "Final loss": st.column_config.NumberColumn(format="%.4f"),
            "From": st.column_config.NumberColumn(format="%.4f", help="Lower end of the 90 % prediction band."),
            "To": st.column_config.NumberColumn(format="%.4f", help="Upper end of the 90 % prediction band."),
            **{name: st.column_config.NumberColumn(help=said) for name, said in CHANCES.items()},
            "Saved tokens": st.column_config.NumberColumn(
                format="compact", help="How many fewer tokens the best candidate's shape needs to end at this loss."
            ),
            "Saved from": st.column_config.NumberColumn(format="compact", help="Lower end of its 90 % interval."),
            "Saved to": st.column_config.NumberColumn(format="compact", help="Upper end of its 90 % interval."),
            "Beyond the runs": st.column_config.TextColumn(help="How far it lies outside of the training runs."),
            "Schedule": st.column_config.TextColumn(width="large"),
        },
    )
    return [found.rows[i] for i in shown.selection.rows if i < len(found.rows)]


def digest(found: FinalRanking) -> str:
    """What a set of candidates is known by, so that ticks stay with them."""
    return hashlib.sha256(repr([row.plan for row in found.rows]).encode()).hexdigest()[:16]


def frame(found: FinalRanking) -> pd.DataFrame:
    """The ranking as a table, numbers in full."""
    return pd.DataFrame(
        {
            "Candidate": charts.long_name(row.plan) + (" (set apart)" if row.apart else ""),
            "Final loss": row.loss,
            "From": row.low,
            "To": row.high,
            "Best": row.best,
            "Top 2": row.top2,
            "Diverges": row.risk,
            "Saved tokens": row.saved,
            "Saved from": row.saved_low,
            "Saved to": row.saved_high,
            "Beyond the runs": "; ".join(row.reasons),
            "Schedule": row.plan.schedule.text,
        }
        for row in found.rows
    ).astype({name: "Float64" for name in ("Diverges", "Saved tokens", "Saved from", "Saved to")})


def hand_over(space: Workspace, found: FinalRanking, ticked: Sequence[FinalRanked]) -> None:
    """Download the table; compare the curves of candidates."""
    wanted = list(ticked) or [row for row in found.rows if not row.apart][:HANDED]
    own = [row for row in wanted if row.plan.schedule.last is row.plan.schedule]
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            f"Compare {counted(min(len(own), c.MOST), 'curve')}",
            icon=":material/leaderboard:",
            disabled=not own,
            help="Put the ticked candidates, or the first six, on the Decide page, where a law of whole curves draws "
            "them. They replace its candidates.",
        )
        if pressed:
            space.candidates = [c.Candidate(row.plan.schedule.text) for row in own[: c.MOST]]
            st.success(f"{counted(len(space.candidates), 'candidate')} on the Decide page.")


def where_from(fit: FinalFit, asked: Target | None, found: FinalRanking, ticked: Sequence[FinalRanked]) -> None:
    """Convergence, noise, model size and peak price of the ticked candidates, or of the best of each shape."""
    if fit.law == LOG_LINEAR:
        st.info("The log-linear law is no sum of terms; choose another law to see where the loss comes from.")
        return
    some = list(ticked)
    if not some:
        by_shape: dict[str, FinalRanked] = {}
        for row in found.rows:
            if not row.apart:
                by_shape.setdefault(charts.name_of(row.plan), row)
        some = list(by_shape.values())
    some = some[:SHOWN_TERMS]
    parts = {charts.long_name(row.plan): shares(fit, row.plan, asked.first if asked else "") for row in some}
    if not parts:
        return
    one = next(iter(parts.values()))
    st.caption(
        f"Of the predicted loss, {one['floor']:.4f} is the {TERMS['floor']}, and {one['size']:.4f} is the price of the "
        "model's size; the rest depends on the schedule. A high rate for long brings convergence, a low rate at the "
        "end lets the noise be forgotten. "
        + ("Shown are the ticked candidates." if ticked else "Shown is the best candidate of each shape.")
    )
    showing.chart(charts.terms(parts), "preselect-shares")
    if found.rows and found.rows[0].plan.schedule.last is not found.rows[0].plan.schedule:
        st.caption("On the text of the first runs: the offset of another text is added to them.")

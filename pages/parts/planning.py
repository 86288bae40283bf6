"""The Plan page: what laws recommend for N and D, how a budget is split, other batches, and laws from a sweep."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core.amounts import amount, written
from optlaws_core.errors import LogError, OptLawsError
from optlaws_core.hyper import HYPER_LAWS, SweepCell, SweepFit, fit_sweep, read_sweep, recommend, scaling
from optlaws_core.hyper.fit import COLUMNS, columns_of
from optlaws_core.hyper.laws import Recommended

from .charts import planning as charts
from .session import literal

MOST_MB, MOST_RUNS, MOST_CELLS = 20, 20_000, 60
USUAL = {"params": "1B", "tokens": "20B", "compute": "1e21", "lr": "1e-3", "batch": "500k", "other": "2M"}
SURE = (
    "Where the constants come from: read in the source's text, code or data; second-hand, in works that quote it; or "
    "from memory, which is to be checked before money depends on it."
)
MEANINGS = {
    "params": "parameters of the model",
    "tokens": "tokens of the whole training",
    "lr": "peak learning rate",
    "batch": "batch of one update, in tokens or in the unit given above",
    "loss": "loss at the end; empty or nan where a run diverged",
}


@dataclass(frozen=True)
class Asked:
    """What is to be trained."""

    params: float
    tokens: float
    batch: float | None
    loss: float | None


def setting() -> Asked | None:
    """The form. None, with a sentence, while it cannot be read."""
    places = st.columns(4)
    fields = (
        ("params", "Model size N", USUAL["params"], "Parameters, without embeddings: 123M, 7B, 1.2e9."),
        ("tokens", "Training tokens D", USUAL["tokens"], "Tokens of the whole training: 300B tokens, 2T, 1e11."),
        ("batch", "Batch in tokens, if fixed", "the Step Law's", "Only the Power Scheduler looks at it: its rate grows "
         "with the batch."),
        ("loss", "Final loss, if known", "a law's guess", "Nats per token. MiniCPM's and Kaplan's batches go with it; "
         "by default it is that of the refitted Chinchilla law."),
    )  # fmt: skip
    texts = {
        name: place.text_input(label, key=f"plan_{name}", bind="query-params", placeholder=usual, help=meaning).strip()
        for place, (name, label, usual, meaning) in zip(places, fields, strict=True)
    }
    try:
        return Asked(
            amount(texts["params"] or USUAL["params"], "The model size"),
            amount(texts["tokens"] or USUAL["tokens"], "The number of training tokens"),
            amount(texts["batch"], "The batch") if texts["batch"] else None,
            amount(texts["loss"], "The final loss") if texts["loss"] else None,
        )
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return None


def recommendations(asked: Asked) -> tuple[Recommended, ...]:
    """Every law's learning rate and batch, with source, range and a flag outside it."""
    found = recommend(asked.params, asked.tokens, asked.batch, asked.loss)
    st.dataframe(
        frame(found), hide_index=True, width="stretch", placeholder="–",
        column_config={
            "Law": st.column_config.TextColumn(pinned=True),
            "Peak learning rate": st.column_config.NumberColumn(format="%.2e"),
            "90 %": st.column_config.TextColumn(
                width="medium", help="Where nine of ten of the Step Law's 1,000 published bootstrap fits put it."
            ),
            "Batch, 90 %": st.column_config.TextColumn(help="The same, for the batch."),
            "Batch": st.column_config.TextColumn(help="Tokens in one update."),
            "Beyond its range": st.column_config.TextColumn(help="How far N, D or the compute C = 6ND lie outside what "
                                                            "the law was fitted on. Outside, it is a guess."),
            "How sure": st.column_config.TextColumn(help=SURE),
        },
    )  # fmt: skip
    inside = [r for r in found if r.lr and not r.outside and r.law.range != "not known"]
    if inside:
        names = ", ".join(r.law.title for r in inside)
        lrs = [r.lr for r in inside]
        said = f"{min(lrs):.2g}" if len(lrs) == 1 else f"{min(lrs):.2g} to {max(lrs):.2g}"
        st.caption(literal(f"Fitted where you are: {names}; peak learning rate {said}."))
    else:
        st.warning("No law for the learning rate was fitted where you are: all of the rates are extrapolated.")
    with st.expander("Formulas", icon=":material/function:"):
        for law in HYPER_LAWS.values():
            st.markdown(f"**{literal(law.title)}**: ${law.formula}$  \n{literal(law.note)}")
    return found


def frame(found: Sequence[Recommended]) -> pd.DataFrame:
    """The recommendations as a table."""
    rows = []
    for r in found:
        flag = ", ".join(r.outside) or ("range not known" if r.law.range == "not known" else "inside")
        lr, batch = r.lr_interval, r.batch_interval
        rows.append(
            {
                "Law": r.law.title,
                "Peak learning rate": r.lr,
                "90 %": f"{lr[0]:.2e} to {lr[1]:.2e}" if lr else "",
                "Batch": written(r.batch, 3) if r.batch else "",
                "Batch, 90 %": f"{written(batch[0], 3)} to {written(batch[1], 3)}" if batch else "",
                "Beyond its range": flag,
                "Fitted on": r.law.range,
                "How sure": r.law.sure,
                "Source": r.law.reference,
                "Note": r.law.note,
            }
        )
    return pd.DataFrame(rows)


def over_sizes(asked: Asked, found: Sequence[Recommended]) -> None:
    """The laws over N, over D, or one of them over both."""
    kinds = {"tokens": "Over D", "params": "Over N", "both": "One law over both"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Chart", list(kinds), format_func=kinds.get, default="tokens", required=True, key="plan_chart",
            bind="query-params",
        )  # fmt: skip
        name = "step_law"
        if kind == "both":
            name = st.selectbox(
                "Law", list(HYPER_LAWS), format_func=lambda n: HYPER_LAWS[n].title, key="plan_law", bind="query-params",
                width=260,
            )  # fmt: skip
    if kind == "both":
        figure = charts.maps(HYPER_LAWS[name], asked.params, asked.tokens, asked.batch, asked.loss)
        st.plotly_chart(figure, key="plan_maps", config={"displaylogo": False})
        return
    figure = charts.over(asked.params, asked.tokens, kind, asked.batch, asked.loss)
    st.plotly_chart(figure, key="plan_over", config={"displaylogo": False})
    st.caption("Solid where a law was fitted, dotted beyond that or where its range is unknown. Dashed: your setting.")


def companions(asked: Asked) -> None:
    """Critical batch, weight decay, quantisation-aware training for the Step Law's setting."""
    step = recommend(asked.params, asked.tokens, asked.batch, asked.loss)[0]
    batch = asked.batch or step.batch
    boxes = st.columns(4)
    boxes[0].metric(
        "Critical batch", written(scaling.critical_batch_of_tokens(asked.tokens), 3), border=True,
        help="Tokens in an update beyond which a larger batch hardly saves updates. Power Lines, arXiv 2505.13738; "
        "constants from memory.",
    )  # fmt: skip
    boxes[1].metric(
        "Weight decay", f"{scaling.weight_decay(asked.params, asked.tokens, step.lr, batch):.2g}", border=True,
        help=f"AdamW's, for the Step Law's learning rate and a batch of {written(batch, 3)} tokens, so that it "
        f"averages over {100 * scaling.timescale(asked.params, asked.tokens):.2g} % of the training. Power Lines; "
        "constants from memory.",
    )  # fmt: skip
    bits = boxes[2].selectbox(
        "Bits of a quantised weight", [2, 3, 4, 6, 8], index=2, key="plan_bits", bind="query-params",
        help="For quantisation-aware training: the last part of training, with weights rounded to so many bits.",
    )  # fmt: skip
    boxes[3].metric(
        "Share of tokens for it", f"{100 * scaling.qat_fraction(asked.params, asked.tokens, bits):.1f} %", border=True,
        help="The compute-optimal share of quantisation-aware training, arXiv 2509.22935; constant second-hand, mean "
        "error 9 points.",
    )  # fmt: skip


def allocation() -> None:
    """Model size and tokens that a compute budget buys."""
    text = st.text_input(
        "Compute in FLOP", key="plan_compute", bind="query-params", placeholder=USUAL["compute"], width=280,
        help="Floating-point operations of the whole training, 6 times parameters times tokens.",
    ).strip()  # fmt: skip
    try:
        compute = amount(text or USUAL["compute"], "The compute")
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return
    rows = []
    for way in scaling.ALLOCATIONS.values():
        params, tokens = way.split(compute)
        rows.append(
            {
                "Law": way.title, "Parameters": written(params, 3), "Tokens": written(tokens, 3),
                "Tokens a parameter": tokens / params, "Loss": scaling.BESIROGLU.loss(params, tokens),
                "How sure": way.sure, "Source": way.reference,
            }
        )  # fmt: skip
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, width="stretch", placeholder="–",
        column_config={
            "Tokens a parameter": st.column_config.NumberColumn(format="%.1f"),
            "Loss": st.column_config.NumberColumn(format="%.4f", help="Of the refitted Chinchilla law, for all rows: "
                                                  "what the other splits would lose if it is right."),
            "How sure": st.column_config.TextColumn(help=SURE),
        },
    )  # fmt: skip


def another_batch() -> None:
    """The learning rate at another batch, by several rules."""
    places = st.columns(4)
    fields = (
        ("lr", "A good learning rate", USUAL["lr"], "One that you know to be good."),
        ("from", "At batch", USUAL["batch"], "Tokens (or samples) in one update, at that rate."),
        ("to", "Other batch", USUAL["other"], "The batch that you want to use, in the same unit."),
        ("noise", "Noise scale, if known", "not known", "The batch at which gradient noise is as large as the "
         "gradient, often called the critical batch. Two of the rules need it."),
    )  # fmt: skip
    texts = {
        name: place.text_input(
            label, key=f"plan_batch_{name}", bind="query-params", placeholder=usual, help=meaning
        ).strip()
        for place, (name, label, usual, meaning) in zip(places, fields, strict=True)
    }
    try:
        lr = amount(texts["lr"] or USUAL["lr"], "The learning rate")
        batch = amount(texts["from"] or USUAL["batch"], "The batch")
        other = amount(texts["to"] or USUAL["other"], "The other batch")
        noise = amount(texts["noise"], "The noise scale") if texts["noise"] else None
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return
    rows = []
    for name, rule in scaling.BATCH_RULES.items():
        known = noise is not None or not rule.needs_noise
        rows.append(
            {
                "Rule": rule.title, "Learning rate": scaling.rescale(name, lr, batch, other, noise) if known else None,
                "Meaning": rule.meaning + ("" if known else " Needs the noise scale."), "How sure": rule.sure,
                "Source": rule.reference,
            }
        )  # fmt: skip
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, width="stretch", placeholder="–",
        column_config={
            "Learning rate": st.column_config.NumberColumn(format="%.2e"),
            "How sure": st.column_config.TextColumn(help=SURE),
        },
    )  # fmt: skip
    try:
        beta1, beta2, eps = scaling.adam_at(batch, other, 0.9, 0.95, 1e-8)
        st.caption(
            f"The square-root rule also moves Adam's settings: betas 0.9 and 0.95 become {beta1:.3g} and {beta2:.3g}, "
            f"an epsilon of 1e-8 becomes {eps:.2g}."
        )
    except OptLawsError:
        st.caption(
            "The square-root rule would also move Adam's betas, from 0.9 and 0.95 below 0: the step is too large."
        )
    if noise:
        steps, tokens = scaling.tradeoff(other, noise)
        st.caption(
            f"At the other batch a loss takes {steps:.2f} times the fewest possible updates and {tokens:.2f} times the "
            "fewest possible tokens."
        )


def sparsity(asked: Asked | None) -> None:
    """What zero weights, or idle experts, are worth by the laws."""
    asked = asked or Asked(amount(USUAL["params"]), amount(USUAL["tokens"]), None, None)
    share = st.slider(
        "Share of weights that are zero, or idle at a token", 0.0, 0.95, 0.5, 0.05, key="plan_sparse",
        bind="query-params",
    )  # fmt: skip
    boxes = st.columns(3)
    boxes[0].metric(
        "Weight sparsity: as good as a dense model of", written(asked.params * scaling.SPARSITY["t5"].worth(share), 3),
        border=True,
        help=f"A model with {written(asked.params, 3)} weights that are not zero. Frantar et al. 2023, arXiv "
        "2309.08520, T5 on C4; constants from memory.",
    )  # fmt: skip
    dense = scaling.moe_loss(asked.params, asked.tokens, 0)
    mixed = scaling.moe_loss(asked.params, asked.tokens, share)
    boxes[1].metric(
        "Mixture of experts: loss", f"{mixed:.4f}", f"{mixed - dense:+.4f} against all active", delta_color="inverse",
        border=True,
        help=f"With {written(asked.params, 3)} parameters in all and {written(asked.tokens, 3)} tokens. Abnar et al. "
        "2025, arXiv 2501.12370; constants second-hand.",
    )  # fmt: skip
    boxes[2].metric(
        "Best idle share at this size", f"{100 * scaling.moe_sparsity(asked.params):.0f} %", border=True,
        help="Lowest loss for so many parameters in all, by the same law. It grows with the model.",
    )  # fmt: skip


def sweep() -> tuple[SweepFit | None, list[SweepCell]]:
    """An uploaded sweep and the laws through its optima; None, with a sentence, where there are none."""
    st.caption(
        "For each model size and length, runs over several learning rates and batches. Three such grids give a law in "
        "one of the two; five at different sizes and lengths give one in both."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        file = st.file_uploader(
            "Table of the sweep", type=["csv"], max_upload_size=MOST_MB, key="plan_sweep",
            help="CSV, one row a run. Columns: " + "; ".join(f"**{n}**: {m}" for n, m in MEANINGS.items())
            + ". Short names such as N, D and bs are known, too.",
        )  # fmt: skip
        unit = st.text_input(
            "Tokens in one unit of batch", key="plan_unit", bind="query-params", placeholder="1", width=220,
            help="1 where the batch column counts tokens; the length of a sequence where it counts sequences.",
        ).strip()  # fmt: skip
        st.download_button(
            "Example", data=example, file_name="sweep.csv", mime="text/csv", icon=":material/download:",
            help="A made-up sweep, to see what one looks like.",
        )  # fmt: skip
    if file is None:
        st.info("Upload a sweep to see its optima and the power laws through them; the example shows the columns.")
        return None, []
    try:
        content = file.getvalue()
        if len(content) > MOST_MB * 2**20:
            raise LogError(f"{file.name}: a sweep may have {MOST_MB} MB, this one has {len(content) / 2**20:.0f}.")
        table = _table(file.name, content)
        columns = _columns(table)
        size = amount(unit or "1", "The tokens in one unit of batch")
        key = hashlib.sha256(content + json.dumps([columns, size]).encode()).hexdigest()
        return _fitted(key, table, columns, size)
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return None, []


def _table(name: str, content: bytes) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.BytesIO(content))
    except (ValueError, OSError) as fault:
        raise LogError(f"{name} must be a CSV table, got {str(fault)[:80]!r}.") from None
    if len(table) > MOST_RUNS:
        raise LogError(f"{name}: a sweep may have {MOST_RUNS:,} runs, this one has {len(table):,}.")
    return table


def _columns(table: pd.DataFrame) -> dict[str, str]:
    """Which column is which: recognised names, and a choice for the others."""
    known, names = columns_of(table.columns), ["–", *map(str, table.columns)]
    chosen = {}
    with st.expander("Columns", expanded=len(known) < len(COLUMNS), icon=":material/view_column:"):
        for place, ours in zip(st.columns(len(COLUMNS)), COLUMNS, strict=True):
            chosen[ours] = place.selectbox(
                ours, names, index=names.index(known[ours]) if ours in known else 0, help=MEANINGS[ours],
                key=f"sweep column {ours} {hash(tuple(names))}",
            )  # fmt: skip
    if lacking := [ours for ours, theirs in chosen.items() if theirs == "–"]:
        raise LogError(f"Say which column holds {', '.join(lacking)}: the table calls it something else, or lacks it.")
    return chosen


@st.cache_resource(show_spinner="Fitting the loss surfaces", max_entries=16)
def _fitted(
    content: str, _table: pd.DataFrame, _columns: Mapping[str, str], _unit: float
) -> tuple[SweepFit, list[SweepCell]]:
    cells = read_sweep(_table, _columns, _unit)
    if len(cells) > MOST_CELLS:
        raise LogError(f"A sweep may have {MOST_CELLS} pairs of model size and length, this one has {len(cells)}.")
    return fit_sweep(cells), cells


@st.cache_data(show_spinner=False, max_entries=1)
def example() -> str:
    """A sweep drawn from known laws with a little noise, as text."""
    rng, rows = np.random.default_rng(7), ["N,D,lr,batch,loss"]
    for params, tokens in ((1e8, 2e9), (1e8, 8e9), (2e8, 4e9), (2e8, 1.6e10), (4e8, 8e9), (4e8, 3.2e10)):
        best = np.log([2 * params**-0.72 * tokens**0.31, 0.6 * tokens**0.57])
        for lr in np.geomspace(2.5e-4, 1.6e-2, 9):
            for batch in 2.0 ** np.arange(15, 23):
                a, b = np.log([lr, batch]) - best
                height = 0.009 * a * a - 0.007 * a * b + 0.006 * b * b + 0.001 * max(a, -3.0) ** 3
                loss = scaling.BESIROGLU.loss(params, tokens) * np.exp(height + rng.normal(0, 5e-4))
                rows.append(f"{params:.0f},{tokens:.0f},{lr:.4e},{batch:.0f},{loss:.5f}")
    return "\n".join(rows) + "\n"


def optima(fit: SweepFit) -> None:
    """The minimum of each cell's surface."""
    rows = []
    for o in fit.optima:
        low, high = np.exp(o.low), np.exp(o.high)
        rows.append(
            {
                "Model size": written(o.params, 3), "Tokens": written(o.tokens, 3),
                "Best learning rate": None if o.trouble else o.lr,
                "90 %": "" if o.trouble else f"{low[0]:.2e} to {high[0]:.2e}",
                "Best batch": "" if o.trouble else written(o.batch, 3),
                "Batch, 90 %": "" if o.trouble else f"{written(low[1], 3)} to {written(high[1], 3)}",
                "Loss there": o.loss, "Runs near it": o.used,
                "Use": f"left out: {o.trouble}" if o.trouble else "in the law",
            }
        )  # fmt: skip
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, width="stretch", placeholder="–",
        column_config={
            "Best learning rate": st.column_config.NumberColumn(format="%.2e"),
            "90 %": st.column_config.TextColumn(help="From refits to runs drawn with replacement."),
            "Loss there": st.column_config.NumberColumn(format="%.4f"),
        },
    )  # fmt: skip


def own_law(fit: SweepFit, asked: Asked | None) -> None:
    """The power laws, and what they say of the setting above."""
    said = []
    for what, name in (("lr", "learning rate"), ("batch", "batch")):
        found = [(t, *fit.exponent(what, t)) for t in fit.terms[what]]
        parts = [f"{'N' if t == 'params' else 'D'} to the power {v:.2f} ± {h:.2f}" for t, v, h in found]
        said.append(f"the best {name} goes with {' times '.join(parts)}")
    st.markdown(literal(f"In this sweep {', and '.join(said)} (90 % intervals)."))
    if asked is None:
        return
    own = fit.predict(asked.params, asked.tokens)
    boxes = st.columns(3)
    boxes[0].metric(
        "Learning rate for your N and D",
        f"{own.lr:.2e}",
        border=True,
        help=f"90 %: {own.lr_low:.2e} to {own.lr_high:.2e}.",
    )
    boxes[1].metric(
        "Batch for your N and D", written(own.batch, 3), border=True,
        help=f"90 %: {written(own.batch_low, 3)} to {written(own.batch_high, 3)} tokens.",
    )  # fmt: skip
    boxes[2].metric(
        "Expected cost", f"{100 * own.cost:.2f} %", border=True,
        help="Loss above that of the true optimum, on average, for how uncertain the law is there.",
    )  # fmt: skip
    if own.beyond:
        st.caption(literal(f"Extrapolated: {own.beyond}."))


def surfaces(fit: SweepFit, cells: Sequence[SweepCell]) -> None:
    """A heat map of one cell's losses, with its optimum and what the law and the Step Law say."""
    i = st.selectbox(
        "Losses of", range(len(cells)), key="plan_cell", width=380,
        format_func=lambda i: f"{written(cells[i].params, 3)} parameters, {written(cells[i].tokens, 3)} tokens",
    )  # fmt: skip
    cell = cells[i]
    own, step = fit.predict(cell.params, cell.tokens), recommend(cell.params, cell.tokens)[0]
    marks = [("law of this sweep", own.lr, own.batch), ("Step Law", step.lr, step.batch)]
    st.plotly_chart(charts.surface(cell, fit.optima[i], marks), key="plan_surface", config={"displaylogo": False})

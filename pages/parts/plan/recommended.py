"""The Plan page's first part: what laws recommend for a model size and a length."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from optlaws_core.errors import OptLawsError
from optlaws_core.figures import plan_charts as charts
from optlaws_core.hyper import HYPER_LAWS, Recommended, in_common, recommend, standing, unlikely
from optlaws_core.hyper import companions as what_goes_with
from optlaws_core.hyper.advice import NONE_FITTED
from optlaws_core.hyper.fine_tuning import ADVICE, SCOPE
from optlaws_core.text import format_amount, parse_amount

from ..state import address
from ..widgets import showing
from ..widgets.markdown import literal

USUAL = {"params": "1B", "tokens": "20B"}
SURE = (
    "Where the constants come from: read in the source's text, code or data; or second-hand, in works that quote it. "
    "docs/sources.md says where, one by one."
)


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
        (
            "batch",
            "Batch in tokens, if fixed",
            "the Step Law's",
            "Only the Power Scheduler uses it: its rate grows with the batch.",
        ),
        (
            "loss",
            "Final loss, if known",
            "a law's guess",
            "Nats per token. MiniCPM's and Kaplan's batches go with it; "
            "by default it is that of the refitted Chinchilla law.",
        ),
    )
    texts = {
        name: place.text_input(label, key=f"plan_{name}", bind="query-params", placeholder=usual, help=meaning).strip()
        for place, (name, label, usual, meaning) in zip(places, fields, strict=True)
    }
    try:
        asked = Asked(
            parse_amount(texts["params"] or USUAL["params"], "The model size", examples="123M or 7B"),
            parse_amount(texts["tokens"] or USUAL["tokens"], "The number of training tokens", examples="300B or 2T"),
            parse_amount(texts["batch"], "The batch", examples="4M or 524288") if texts["batch"] else None,
            parse_amount(texts["loss"], "The final loss", examples="2.5") if texts["loss"] else None,
        )
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return None
    if odd := unlikely(asked.params, asked.tokens, asked.batch):
        st.warning(literal(f"Is the unit right? {odd[0].upper()}{odd[1:]}."), icon=":material/help:")
        return None
    return asked


def recommendations(asked: Asked) -> None:
    """Every law's learning rate and batch, with source, range and a flag outside it."""
    found = recommend(asked.params, asked.tokens, asked.batch, asked.loss)
    showing.table(
        frame(found),
        "plan-laws",
        hide_index=True,
        width="stretch",
        placeholder="–",
        column_config={
            "Law": st.column_config.TextColumn(pinned=True),
            "Peak learning rate": st.column_config.NumberColumn(format="%.2e"),
            "Rate for": st.column_config.TextColumn(
                help="µP's rates are those of a base model: hidden matrices take them divided by the width multiplier, "
                "so they are not to be compared with the other laws' rates. See “Another width” below."
            ),
            "90 %": st.column_config.TextColumn(
                width="medium", help="Where nine of ten of the Step Law's 1,000 published bootstrap fits put it."
            ),
            "Batch, 90 %": st.column_config.TextColumn(help="The same, for the batch."),
            "Batch": st.column_config.TextColumn(help="Tokens per update."),
            "Beyond its range": st.column_config.TextColumn(
                help="How far N, D or the compute C = 6ND lie outside what "
                "the law was fitted on. Outside, it is a guess."
            ),
            "How sure": st.column_config.TextColumn(help=SURE),
        },
    )
    if said := in_common(found):
        st.caption(literal(said))
    else:
        st.warning(NONE_FITTED)
    with st.expander("Formulas", icon=":material/function:"):
        for law in HYPER_LAWS.values():
            st.markdown(f"**{literal(law.title)}**: ${law.formula}$  \n{literal(law.note)}")


def frame(found: Sequence[Recommended]) -> pd.DataFrame:
    """The recommendations as a table."""
    rows = []
    for r in found:
        lr, batch = r.lr_interval, r.batch_interval
        rows.append(
            {
                "Law": r.law.title,
                "Peak learning rate": r.lr,
                "Batch": format_amount(r.batch, 3) if r.batch else "",
                "Rate for": r.law.parametrisation,
                "90 %": f"{lr[0]:.2e} to {lr[1]:.2e}" if lr else "",
                "Batch, 90 %": f"{format_amount(batch[0], 3)} to {format_amount(batch[1], 3)}" if batch else "",
                "Beyond its range": standing(r),
                "Fitted on": r.law.range,
                "How sure": r.law.sure,
                "Source": r.law.reference,
                "Note": r.law.note,
            }
        )
    return pd.DataFrame(rows)


def over_sizes(asked: Asked) -> None:
    """The laws over N, over D, or one of them over both."""
    kinds = {"tokens": "Over D", "params": "Over N", "both": "One law over both"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = address.bound_widget(
            st.segmented_control,
            "Chart",
            list(kinds),
            format_func=kinds.get,
            default="tokens",
            required=True,
            key="plan_chart",
        )
        name = "step_law"
        if kind == "both":
            name = address.bound_widget(
                st.selectbox,
                "Law",
                list(HYPER_LAWS),
                format_func=lambda n: HYPER_LAWS[n].title,
                key="plan_law",
                width=260,
            )
    if kind == "both":
        figure = charts.maps(HYPER_LAWS[name], asked.params, asked.tokens, asked.batch, asked.loss)
        showing.chart(figure, "plan-map")
        return
    figure = charts.over(asked.params, asked.tokens, kind, asked.batch, asked.loss)
    showing.chart(figure, "plan-laws")
    st.caption("Solid where a law was fitted, dotted beyond that or where its range is unknown. Dashed: your setting.")


def companions(asked: Asked) -> None:
    """Critical batch, weight decay, quantisation-aware training for the Step Law's setting."""
    boxes = st.columns(4)
    bits = address.bound_widget(
        boxes[2].selectbox,
        "Bits of a quantised weight",
        [1, 2, 3, 4, 6, 8],
        index=3,
        key="plan_bits",
        help="For quantisation-aware training: the last part of training, with weights rounded to so many bits.",
    )
    found = what_goes_with(asked.params, asked.tokens, asked.batch, asked.loss, bits)
    boxes[0].metric(
        "Critical batch",
        format_amount(found.critical_batch, 3),
        border=True,
        help="Tokens per update beyond which a larger batch hardly saves updates, at the final loss. Kaplan et al. "
        "2020, arXiv 2001.08361; constants second-hand.",
    )
    boxes[1].metric(
        "Weight decay",
        f"{found.weight_decay:.2g}",
        border=True,
        help=f"AdamW's, for the Step Law's learning rate and a batch of {format_amount(found.batch, 3)} tokens, so "
        f"that it averages over {100 * found.memory:.2g} % of the training. Power Lines, arXiv "
        "2505.13738; constants second-hand.",
    )
    boxes[3].metric(
        "Share of tokens for it",
        f"{100 * found.quantised:.1f} %",
        border=True,
        help="The compute-optimal share of quantisation-aware training, arXiv 2509.22935; constant second-hand, mean "
        "error 9 points.",
    )
    if found.quantised_outside:
        st.caption(literal(f"The share of quantised training is extrapolated: {', '.join(found.quantised_outside)}."))
    if found.fused:
        st.caption(
            "Cooldown and quantised training in one (arXiv 2509.22935): quantise from the peak on, while the rate "
            "falls. As a candidate for the Decide page:"
        )
        st.code(found.fused, language=None, wrap_lines=True)


def fine_tuning() -> None:
    """What is known of fine-tuning, which no law above is for."""
    with st.expander("Fine-tuning", icon=":material/tune:"):
        st.markdown("\n".join(f"- {literal(said)}" for said in ADVICE))
        st.caption(literal(SCOPE))

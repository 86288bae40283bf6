"""The Plan page's rules of scaling: the split of a compute budget, other batches, sparse models."""

import pandas as pd
import streamlit as st

from optlaws_core import parse
from optlaws_core.errors import OptLawsError
from optlaws_core.hyper import bound, compute_splits, other_batch, sparse_models, transfers
from optlaws_core.hyper.scaling import width_said
from optlaws_core.text import format_amount, parse_amount

from ..state import address
from ..widgets import showing
from ..widgets.markdown import literal
from .recommended import SURE, USUAL, Asked

COMPUTE, LR, BATCH, OTHER = "1e21", "1e-3", "500k", "2M"  # where nothing is typed
WIDTH_LR, WIDTH, OTHER_WIDTH = "0.02", "256", "2304"
TUNED = "cosine(peak=1e-3, warmup=200, total=10000)"
NEXT = "wsd(peak=1e-3, warmup=200, total=40000, decay=8000)"


def allocation() -> None:
    """Model size and tokens that a compute budget buys."""
    with st.container(horizontal=True):
        text = st.text_input(
            "Compute in FLOP",
            key="plan_compute",
            bind="query-params",
            placeholder=COMPUTE,
            width=280,
            help="Floating-point operations of the whole training, 6 times parameters times tokens.",
        ).strip()
        known = st.text_input(
            "Unique tokens, if limited",
            key="plan_unique",
            bind="query-params",
            placeholder="no limit",
            width=280,
            help="Beyond them text is repeated, which is worth less than fresh text (Muennighoff et al. 2023, arXiv "
            "2305.16264).",
        ).strip()
    try:
        compute = parse_amount(text or COMPUTE, "The compute", examples="1e21")
        unique = parse_amount(known, "The number of unique tokens", examples="300B") if known else None
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return
    rows = []
    for split in compute_splits(compute, unique):
        worth = {} if split.fresh is None else {"In fresh tokens": format_amount(split.fresh, 3)}
        rows.append(
            {
                "Law": split.way.title,
                "Parameters": format_amount(split.params, 3),
                "Tokens": format_amount(split.tokens, 3),
                **worth,
                "Tokens per parameter": split.ratio,
                "Loss": split.loss,
                "How sure": split.way.sure,
                "Source": split.way.reference,
            }
        )
    showing.table(
        pd.DataFrame(rows),
        "plan-splits",
        hide_index=True,
        width="stretch",
        placeholder="–",
        column_config={
            "Tokens per parameter": st.column_config.NumberColumn(format="%.1f"),
            "In fresh tokens": st.column_config.TextColumn(help="What these tokens are worth, repeats counted."),
            "Loss": st.column_config.NumberColumn(
                format="%.4f",
                help="Of the refitted Chinchilla law, for all rows: "
                "what the other splits would lose if it is right. It ignores repeats.",
            ),
            "How sure": st.column_config.TextColumn(help=SURE),
        },
    )


def another_batch() -> None:
    """The learning rate at another batch, by several rules."""
    places = st.columns(4)
    fields = (
        ("lr", "A good learning rate", LR, "One that you know to be good."),
        ("from", "At batch", BATCH, "Tokens (or samples) per update, at that rate."),
        ("to", "Other batch", OTHER, "The batch that you want to use, in the same unit."),
        (
            "noise",
            "Noise scale, if known",
            "not known",
            "The batch at which gradient noise is as large as the "
            "gradient, often called the critical batch. Two of the rules need it.",
        ),
    )
    texts = {
        name: place.text_input(
            label, key=f"plan_batch_{name}", bind="query-params", placeholder=usual, help=meaning
        ).strip()
        for place, (name, label, usual, meaning) in zip(places, fields, strict=True)
    }
    try:
        lr = parse_amount(texts["lr"] or LR, "The learning rate", examples="3e-4")
        batch = parse_amount(texts["from"] or BATCH, "The batch", examples="4M or 524288")
        other = parse_amount(texts["to"] or OTHER, "The other batch", examples="4M or 524288")
        noise = parse_amount(texts["noise"], "The noise scale", examples="4M or 524288") if texts["noise"] else None
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return
    found = other_batch(lr, batch, other, noise)
    if found.doubt:
        st.warning(literal(found.doubt))
    rows = [
        {
            "Rule": row.rule.title,
            "Learning rate": row.lr,
            "Meaning": row.rule.meaning + ("" if row.lr is not None else " Needs the noise scale."),
            "How sure": row.rule.sure,
            "Source": row.rule.reference,
        }
        for row in found.rates
    ]
    showing.table(
        pd.DataFrame(rows),
        "plan-batch",
        hide_index=True,
        width="stretch",
        placeholder="–",
        column_config={
            "Learning rate": st.column_config.NumberColumn(format="%.2e"),
            "How sure": st.column_config.TextColumn(help=SURE),
        },
    )
    st.caption(found.adam_said)
    if found.cost_said:
        st.caption(found.cost_said)


def another_width() -> None:
    """The rate of hidden matrices at another width, by µP."""
    fields = (
        ("A good learning rate", "plan_width_lr", WIDTH_LR, "One that you know to be good, or a rate for µP above."),
        ("At width", "plan_width_from", WIDTH, "The model's width (embedding size) at that rate, or the base width."),
        ("Other width", "plan_width_to", OTHER_WIDTH, "The width that you want to train."),
    )
    texts = [
        place.text_input(label, key=key, bind="query-params", placeholder=usual, help=meaning).strip() or usual
        for place, (label, key, usual, meaning) in zip(st.columns(3), fields, strict=True)
    ]
    try:
        lr, width, other = (
            parse_amount(text, label, examples=usual) for text, (label, _, usual, _) in zip(texts, fields, strict=True)
        )
        st.caption(literal(width_said(lr, width, other)))
    except OptLawsError as fault:
        st.error(literal(str(fault)))


def another_schedule() -> None:
    """The best peak for one schedule from that of another, by the convex last-iterate bound."""
    texts = [
        place.text_input(label, key=key, bind="query-params", placeholder=usual, help=meaning).strip() or usual
        for place, (label, key, usual, meaning) in zip(
            st.columns(2),
            (
                (
                    "A tuned schedule",
                    "plan_tuned",
                    TUNED,
                    "One whose peak was found to be the best for its shape and length.",
                ),
                (
                    "Other schedule",
                    "plan_next",
                    NEXT,
                    "The shape and length that you want to train; its own peak does not matter.",
                ),
            ),
            strict=True,
        )
    ]
    try:
        tuned, other = map(parse, texts)
        found = [(t, bound(t.schedule)) for t in transfers(tuned, (tuned, other))]
    except (OptLawsError, OverflowError) as fault:
        st.error(literal(str(fault)))
        return
    rows = [
        {
            "Schedule": t.schedule.text,
            "Best peak": t.peak,
            "Factor on its rates": t.factor,
            "Bound, over the tuned one's": t.bound,
            "Best factor, D = G = 1": b.best_factor,
            "Lowest bound, D = G = 1": b.lowest,
        }
        for t, b in found
    ]
    showing.table(
        pd.DataFrame(rows),
        "plan-bound",
        hide_index=True,
        width="stretch",
        column_config={
            "Schedule": st.column_config.TextColumn(width="large"),
            "Best peak": st.column_config.NumberColumn(
                format="%.3e", help="What does for this schedule what its peak does for the tuned one."
            ),
            "Factor on its rates": st.column_config.NumberColumn(format="%.4g"),
            "Bound, over the tuned one's": st.column_config.NumberColumn(
                format="%.4f", help="Each schedule at its best peak. Below 1 the bound is lower than the tuned one's."
            ),
            "Best factor, D = G = 1": st.column_config.NumberColumn(
                format="%.5g",
                help="What the rates are to be multiplied with where the start lies at a distance of 1 from the "
                "minimum and gradients have norms of 1.",
            ),
            "Lowest bound, D = G = 1": st.column_config.NumberColumn(format="%.5g"),
        },
    )
    st.caption(
        "By the last-iterate bound of convex optimisation (Defazio et al. 2023, arXiv 2310.07831; Schaipp et al. 2025, "
        "arXiv 2501.18965), which language models were found to follow. The unknown distance D from the start to the "
        "minimum and the unknown gradient norms G drop out."
    )


def sparsity(asked: Asked | None) -> None:
    """What laws say of weights that are zero, and of experts that are idle."""
    params, tokens = (
        (asked.params, asked.tokens) if asked else (parse_amount(USUAL["params"]), parse_amount(USUAL["tokens"]))
    )
    places = st.columns([3, 1])
    share = address.bound_widget(
        places[0].slider,
        "Share of weights that are zero, or idle at a token",
        0.0,
        0.95,
        0.5,
        0.05,
        key="plan_sparse",
    )
    fine = address.bound_widget(
        places[1].selectbox,
        "Granularity of experts",
        [1, 2, 4, 8, 16, 32],
        key="plan_fine",
        help="Into how many parts an expert of the usual size is split.",
    )
    rows = [
        (row.title, row.says, row.given, row.standing, row.sure, row.reference)
        for row in sparse_models(params, tokens, share, float(fine))
    ]
    showing.table(
        pd.DataFrame(rows, columns=["Law", "Says", "For", "Beyond its range", "How sure", "Source"]),
        "plan-sparsity",
        hide_index=True,
        width="stretch",
        column_config={"How sure": st.column_config.TextColumn(help=SURE)},
    )

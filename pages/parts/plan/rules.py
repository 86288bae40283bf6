"""The Plan page's rules of scaling: the split of a compute budget, other batches, sparse models."""

import pandas as pd
import streamlit as st

from optlaws_core.errors import OptLawsError
from optlaws_core.hyper import scaling
from optlaws_core.hyper.sweep_cells import HIGHEST_LR
from optlaws_core.text import format_amount, parse_amount

from ..state import address
from ..widgets import showing
from ..widgets.markdown import literal
from .recommended import SURE, USUAL, Asked

COMPUTE, LR, BATCH, OTHER = "1e21", "1e-3", "500k", "2M"  # where nothing is typed


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
            "2305.16264; constant second-hand).",
        ).strip()
    try:
        compute = parse_amount(text or COMPUTE, "The compute")
        unique = parse_amount(known, "The number of unique tokens") if known else None
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return
    rows = []
    for way in scaling.ALLOCATIONS.values():
        params, tokens = way.split(compute)
        worth = (
            {} if unique is None else {"In fresh tokens": format_amount(scaling.effective_tokens(unique, tokens), 3)}
        )
        rows.append(
            {
                "Law": way.title,
                "Parameters": format_amount(params, 3),
                "Tokens": format_amount(tokens, 3),
                **worth,
                "Tokens a parameter": tokens / params,
                "Loss": scaling.BESIROGLU.loss(params, tokens),
                "How sure": way.sure,
                "Source": way.reference,
            }
        )
    showing.table(
        pd.DataFrame(rows),
        "plan-splits",
        hide_index=True,
        width="stretch",
        placeholder="–",
        column_config={
            "Tokens a parameter": st.column_config.NumberColumn(format="%.1f"),
            "In fresh tokens": st.column_config.TextColumn(help="What these tokens are worth, repeats counted."),
            "Loss": st.column_config.NumberColumn(
                format="%.4f",
                help="Of the refitted Chinchilla law, for all rows: "
                "what the other splits would lose if it is right. Knows no repeats.",
            ),
            "How sure": st.column_config.TextColumn(help=SURE),
        },
    )


def another_batch() -> None:
    """The learning rate at another batch, by several rules."""
    places = st.columns(4)
    fields = (
        ("lr", "A good learning rate", LR, "One that you know to be good."),
        ("from", "At batch", BATCH, "Tokens (or samples) in one update, at that rate."),
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
        lr = parse_amount(texts["lr"] or LR, "The learning rate")
        batch = parse_amount(texts["from"] or BATCH, "The batch")
        other = parse_amount(texts["to"] or OTHER, "The other batch")
        noise = parse_amount(texts["noise"], "The noise scale") if texts["noise"] else None
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return
    if lr > HIGHEST_LR:
        st.warning(literal(f"Is the unit right? A learning rate above {HIGHEST_LR:g} is unlikely, got {lr:g}."))
    rows = []
    for name, rule in scaling.BATCH_RULES.items():
        known = noise is not None or not rule.needs_noise
        rows.append(
            {
                "Rule": rule.title,
                "Learning rate": scaling.rescale(name, lr, batch, other, noise) if known else None,
                "Meaning": rule.meaning + ("" if known else " Needs the noise scale."),
                "How sure": rule.sure,
                "Source": rule.reference,
            }
        )
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
    size, length = format_amount(params, 3), format_amount(tokens, 3)
    rows = [
        (
            f"Weight sparsity, {law.title}",
            f"as good as a dense model of {format_amount(params * law.worth(share), 3)}",
            f"{size} weights that are not zero",
            law.sure,
            scaling.WEIGHT_SPARSITY,
        )
        for law in scaling.SPARSITY.values()
    ]
    dense, mixed = (scaling.moe_loss(params, tokens, s) for s in (0, share))
    rows += [
        (
            "Mixture of experts",
            f"loss {mixed:.4f}, {mixed - dense:+.4f} against all active",
            f"{size} parameters in all, {length} tokens",
            *scaling.MIXTURES["share"],
        ),
        (
            "Mixture of experts, best idle share",
            f"{100 * scaling.moe_sparsity(params):.0f} %",
            f"{size} parameters in all",
            *scaling.MIXTURES["share"],
        ),
        (
            "Fine-grained experts",
            f"loss {scaling.granular_loss(params, tokens, fine):.4f}, "
            f"{scaling.granular_loss(params, tokens, fine) - scaling.granular_loss(params, tokens):+.4f} against 1",
            f"{size} parameters, {length} tokens, granularity {fine}",
            *scaling.MIXTURES["granularity"],
        ),
    ]
    showing.table(
        pd.DataFrame(rows, columns=["Law", "Says", "For", "How sure", "Source"]),
        "plan-sparsity",
        hide_index=True,
        width="stretch",
        column_config={"How sure": st.column_config.TextColumn(help=SURE)},
    )

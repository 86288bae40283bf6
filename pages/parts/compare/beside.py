"""Fields for what a candidate has beside its learning rate."""

from dataclasses import fields

import streamlit as st

from optlaws_core.schedules.batch import BY

from ..state import session
from ..state.beside import NONE, Fields

SHAPES = {NONE: "One batch", "steps": "Steps", "ramp": "Ramps"}
AVERAGES = {NONE: "The last weights", "ema": "Moving average (EMA)", "merge": "Mean of checkpoints"}
COUNTED = dict(zip(BY, ("Updates, or %", "Tokens read"), strict=True))
TITLE = "Batch schedule, average of the weights, weight decay, auxiliary rate, stages"
UNKNOWN = "No law covers it: it is kept with the plan and exported, but does not change predictions."
TYPED = {
    "weight_decay": (
        "Weight decay",
        "AdamW's, such as 0.1, or one that changes, such as ramp([0, 100%], [0.1, 0]).",
    ),
    "auxiliary": (
        "Auxiliary rate",
        "That of the parameters beside the main ones, such as embeddings, norms and head under AdamW beside Muon: a "
        "schedule of as many updates, such as wsd(peak=3e-3, warmup=2%, total=24000, decay=20%).",
    ),
    "text": (
        "Text",
        "The name of the text or mix that is read, such as web, or one for each stage, such as "
        "steps([0, 80%], [web, code]).",
    ),
    "sequence": (
        "Sequence length, tokens",
        "Such as 4096, or one for each stage, such as steps([0, 80%], [4096, 32768]).",
    ),
}
USE = {
    "shape": "Whether the batch changes during the run. Steps: each size from its start on. Ramps: evenly from each "
    "size to the next, and the last one to the end. Only the noisy quadratic predicts its effect, so that law is "
    "then fitted.",
    "by": "Unit of the starts. With starts in tokens, sizes must be in tokens, too.",
    "average": "Which weights the run is judged by: those after the last update, or an average of them, which acts "
    "like a decay of the learning rate. Every law predicts it.",
}


def ask(text: str, key: str) -> None:
    """The fields of a candidate's text; `key` begins their keys. Closed until one of them is in use."""
    first = Fields.of(text)
    used = bool(first.parts)
    with st.expander(TITLE, icon=":material/stacks:", expanded=used):
        left, *right = st.columns(4, vertical_alignment="bottom")
        if _choose(left, "Batch schedule", "shape", SHAPES, first, key) != NONE:
            _type(
                right[0],
                "Sizes begin at",
                "starts",
                first,
                key,
                "Where each size begins, the first at 0, with commas between: updates, such as 0, 12000, shares of "
                "them, such as 0, 50%, or tokens read, such as 0, 20B.",
            )
            _type(
                right[1],
                "Sizes of the batch",
                "sizes",
                first,
                key,
                "One for each start: multiples of the training runs' batch, such as 1x, 4x, or tokens per update, "
                "such as 4M, 16M.",
            )
            _choose(right[2], "Starts are in", "by", COUNTED, first, key)
        left, *right = st.columns(4, vertical_alignment="bottom")
        average = _choose(left, "Average of the weights", "average", AVERAGES, first, key)
        if average == "ema":
            meaning = "Number of updates after which the weight of an update in the average has halved."
            _type(right[0], "Half-life, updates", "half_life", first, key, meaning)
        elif average == "merge":
            _type(right[0], "Checkpoints", "count", first, key, "How many of the last checkpoints are averaged.")
            _type(right[1], "Updates apart", "every", first, key, "Updates between two checkpoints.")
        places = (*st.columns(2), *st.columns(2))
        for place, (name, (label, meaning)) in zip(places, TYPED.items(), strict=True):
            _type(place, label, name, first, key, f"{meaning} {UNKNOWN}")


def typed(key: str) -> dict[str, str]:
    """What the fields under a key say, as texts of the parts by name."""
    memory = session.state()
    found = {f.name: memory.get(f"{key}_{f.name}") for f in fields(Fields)}
    return Fields(**{name: value.strip() for name, value in found.items() if value is not None}).parts


def _choose(place, label: str, name: str, options: dict[str, str], first: Fields, key: str) -> str:
    known = list(options)
    value = getattr(first, name)
    return place.selectbox(
        label,
        known,
        known.index(value) if value in known else 0,
        format_func=options.get,
        key=f"{key}_{name}",
        help=USE.get(name),
    )


def _type(place, label: str, name: str, first: Fields, key: str, meaning: str) -> None:
    place.text_input(label, getattr(first, name), key=f"{key}_{name}", help=meaning)

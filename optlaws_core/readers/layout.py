"""Which column is what, by the names that training programs give them.

Names are compared in lower case and without the prefixes train/, metrics/, optim/ and the like. Losses are looked for
in nats first; bits and perplexity count only where there is no loss in nats, so that units never mix.
"""

import re
from collections.abc import Sequence

from .base import Layout

STEP = (
    "step",
    "global_step",
    "steps",
    "trainer/global_step",
    "iteration",
    "iterations",
    "iter",
    "iters",
    "time/batch",
    "batch",
    "s",
    "update",
    "updates",
    "num_updates",
    "training_step",
    "optimizer_step",
    "_step",
)
TOKENS = (
    "tokens",
    "consumed_tokens",
    "consumed tokens",
    "num_input_tokens_seen",
    "time/token",
    "throughput/total_tokens",
    "total_tokens",
    "tokens_seen",
    "token",
)
SAMPLES = ("samples", "consumed_samples", "consumed samples", "time/sample", "samples_seen")
# Earlier names win: a cross entropy is preferred to a total that may contain auxiliary losses.
LOSS = (
    "languagecrossentropy",
    "crossentropyloss",
    "ce loss",
    "ce_loss",
    "cross_entropy",
    "lm loss",
    "lm_loss",
    "loss",
    "global_avg_loss",
    "reduced_train_loss",
    "loss_step",
    "trl",
    "training_loss",
    "training loss",
    "train loss",
    "loss/train",
    "nll",
    "ce",
    "loss/train/total",
)
RUN = ("run", "run_id", "run_name", "run name", "experiment", "experiment_name")

_PREFIX = re.compile(r"^(train|training|metrics|loss_metrics|optim)[/_]")
_LR = re.compile(r"(lr|learning[ _-]?rate)([-_/ (].*)?")
_EVAL_SET = r"(?:final[-_ ])?(?:eval|evaluation|val|valid|validation|test|dev)"
_LOSS_WORD = r"(?:loss|nll|ce|ce loss|ce_loss|lm loss|lm_loss|cross_?entropy(?:_?loss)?|languagecrossentropy)"
_EVAL = re.compile(rf"({_EVAL_SET}(?:[-_/ ].+?)?)[-_/ ]{_LOSS_WORD}")
_EVAL_LAST = re.compile(rf"{_LOSS_WORD}[-_/ ]({_EVAL_SET})")
_OTHER_UNITS = {
    "bits": re.compile(r"bpb|bpc|bpt|bits[_ ]per[_ ](?:byte|char|token)"),
    "perplexity": re.compile(r"perplexity|ppl"),
}
_NO_MODEL_LOSS = re.compile(r"aux|router|moe|z_?loss|scale|best|grad|balanc")


def guess_layout(columns: Sequence[str]) -> Layout:
    """The layout that the names suggest. Without a known loss column its `losses` are empty."""
    x, x_unit = _x(columns)
    tokens = _first(columns, TOKENS) if x_unit == "step" else None
    losses, loss_unit = _losses([c for c in columns if c not in (x, tokens)])
    return Layout(x, x_unit, losses, _lr(columns), _first(columns, RUN), tokens, loss_unit)


def eval_name(column: str) -> str | None:
    """The eval set that a loss column belongs to ("eval_wikitext_loss" -> "eval_wikitext"), or None."""
    key = _key(column)
    if key == "tel":  # llm.c's test loss
        return "val"
    found = _EVAL.fullmatch(key) or _EVAL_LAST.fullmatch(key)
    if not found or _NO_MODEL_LOSS.search(key):
        return None
    return re.sub(r"_metrics$", "", found.group(1).strip("-_/ "))


def train_rank(column: str) -> int | None:
    """How well a name fits the training loss: 0 is best, None not at all."""
    key = _key(column)
    return LOSS.index(key) if key in LOSS else None


def is_lr(column: str) -> bool:
    """Whether a name stands for a learning rate (`lrm`, a multiplier, does not)."""
    return bool(_LR.fullmatch(_key(column)))


def _x(columns: Sequence[str]) -> tuple[str | None, str]:
    for unit, names in (("step", STEP), ("tokens", TOKENS), ("samples", SAMPLES)):
        column = _first(columns, names)
        if column is not None:
            return column, unit
    return None, "step"


def _lr(columns: Sequence[str]) -> str | None:
    return next((c for c in columns if is_lr(c)), None)


def _losses(columns: Sequence[str]) -> tuple[tuple[tuple[str, str], ...], str]:
    """((split, column), …) and the unit."""
    for unit in ("nats", "bits", "perplexity"):
        renamed = {c: _as_loss(c, unit) for c in columns}
        found = _named_losses({c: name for c, name in renamed.items() if name is not None})
        if found:
            return found, unit
    rest = [c for c in columns if "loss" in c.lower() and not _NO_MODEL_LOSS.search(c.lower())]
    return ((("train", rest[0]),) if len(rest) == 1 else ()), "nats"


def _as_loss(column: str, unit: str) -> str | None:
    """The name as if its loss were in nats (`val/bpb` -> `val/loss`); None when the column has another unit."""
    if unit == "nats":
        return column
    name, hits = _OTHER_UNITS[unit].subn("loss", column.lower())
    return name if hits else None


def _named_losses(names: dict[str, str]) -> tuple[tuple[str, str], ...]:
    ranked = [(rank, c) for c, name in names.items() if (rank := train_rank(name)) is not None]
    train = [("train", min(ranked, key=lambda pair: pair[0])[1])] if ranked else []
    evals: dict[str, str] = {}
    for column, name in names.items():
        split = eval_name(name)
        if split:
            evals.setdefault(split, column)
    return (*train, *evals.items())


def _first(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column whose name comes first in `names`."""
    ranked = [(names.index(key), c) for c in columns for key in (_key(c), c.strip().lower()) if key in names]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _key(column: str) -> str:
    """A name for comparison: lower case, single spaces, known prefixes off."""
    key = " ".join(column.lower().split())
    while (bare := _PREFIX.sub("", key)) != key and bare:
        key = bare
    return key

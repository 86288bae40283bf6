"""Which column is what, by the names that training programs give them.

Names are compared in lower case and without the prefixes train/, metrics/, optim/ and the like. Losses are looked for
in nats first; bits and perplexity count only where there is no loss in nats, so that units never mix.
"""

import re
from collections.abc import Sequence

from .base import Layout
from .declared import UPDATE_TOKENS

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
    "current_steps",
    "current_step",
    "train_step",
    "train_steps",
    "opt_step",
    "optim_step",
    "step_num",
    "iter_num",
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
    "track_tokens_seen",
    "num_tokens",
    "train_tokens",
    "total_tokens_seen",
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
    "losses",
    "loss_epoch",
    "epoch_loss",
    "avg_loss",
    "mean_loss",
    "total_loss",
)
COARSE = LOSS.index("loss_epoch")  # from here on: means of an epoch and totals, which count where there is no other
EPOCHS = ("epoch", "epochs")
RUN = ("run", "run_id", "run_name", "run name", "experiment", "experiment_name")

_PREFIX = re.compile(r"^((train|training|metrics|loss_metrics|optim)[/_]|(learning|log|logs|trainer)/)")
_LR = re.compile(r"(?:current[ _-])?(?:lr|learning[ _-]?rate)([-_/ (\[].*)?")
# What follows "lr" in the names of settings and of other things that go with a rate: lr_decay_iters, lr-AdamW-momentum.
_NO_RATE = re.compile(
    r"decay|mult|iter|step|warm|sched|ratio|scal|factor|final|end|min|max|peak|init|start|conf|gamma|power|policy|type"
    r"|momentum|beta|wd|weight|log|find|patience|1e|10\^|[*×%]"
)
# Units that a name may carry and that change nothing: "loss (nats)", "step [updates]".
_UNIT = re.compile(r"\s*[(\[](?:nats?(?:[ /]+(?:per )?tok(?:en)?s?)?|steps?|updates?|iterations?)[)\]]$")
_EVAL_SET = r"(?:final[-_ ])?(?:eval|evaluation|val|valid|validation|test|dev)"
_LOSS_WORD = r"(?:loss(?:es)?|nll|ce|ce loss|ce_loss|lm loss|lm_loss|cross_?entropy(?:_?loss)?|languagecrossentropy)"
_EVAL = re.compile(rf"({_EVAL_SET}(?:[-_/ ].+?)?)[-_/ ]{_LOSS_WORD}")
_EVAL_LAST = re.compile(rf"{_LOSS_WORD}[-_/ ]({_EVAL_SET})")
# With the name of the text behind: val_loss_c4, val_loss/c4, loss/val/c4.
_OF_TEXT = r"([-_/](?=[\w.+-]*[a-z])\w[\w.+-]*)"
_EVAL_OF_TEXT = re.compile(rf"({_EVAL_SET})[-_/]{_LOSS_WORD}{_OF_TEXT}|{_LOSS_WORD}[-_/]({_EVAL_SET}){_OF_TEXT}")
_NO_TEXT = re.compile(  # what else may stand there: a statistic, a setting, another quantity
    r"(?<![a-z0-9])(?:mean|avg|average|median|std|stddev|stdev|var|sem|min|max|best|lowest|last|final|prev|previous|old|new"
    r"|initial|start|end|step|steps|epoch|epochs|iter|batch|batches|ema|smooth|smoothed|running|moving|sum|total|count|n|num"
    r"|diff|delta|change|ratio|norm|scaled?|weight|weighted|target|per|mse|mae|l1|l2|kl|kld|reg|acc|accuracy|ppl|perplexity"
    r"|time|tokens?|lr|ci|err|error|lower|upper|low|high|raw|log|history|list|curve|name|id)(?![a-z0-9])"
)
# What a counter counts in: "Tokens (B)", "tokens_B", "tokens in billions", "step (k)".
_BIG = r"thousands?|millions?|billions?|trillions?"
_MULTIPLE = re.compile(rf"(.+?)(?:\s*[(\[](?:in )?([kmbt]|{_BIG})[)\]]|[ _]in[ _]({_BIG})|[ _]({_BIG}))")
_SHORT_MULTIPLE = re.compile(r"(.+)_([kmbt])")
_SIZES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_OTHER_UNITS = {
    "bits": re.compile(
        r"bpb|bpc|bpt|bits[_ ]per[_ ](?:byte|char|token)|loss[_ ]*[(\[]?(?:in[_ ])?bits?(?:/\w+)?[)\]]?$"
    ),
    "perplexity": re.compile(r"perplexity|ppl"),
}
_NO_MODEL_LOSS = re.compile(r"aux|router|moe|z_?loss|scale|best|grad|balanc")


def guess_layout(columns: Sequence[str]) -> Layout:
    """The layout that the names suggest. Without a known loss column its `losses` are empty."""
    x, x_unit = _x(columns)
    tokens = _first(columns, TOKENS, multiples=True) or _first(columns, UPDATE_TOKENS) if x_unit == "step" else None
    losses, loss_unit = _losses([c for c in columns if c not in (x, tokens)])
    if x is None and losses and (epochs := _first(columns, EPOCHS)) is not None:
        x, x_unit = epochs, "epochs"
    return Layout(x, x_unit, losses, _lr(columns), _first(columns, RUN), tokens, loss_unit)


def eval_name(column: str) -> str | None:
    """The eval set that a loss column belongs to ("eval_wikitext_loss" -> "eval_wikitext"), or None."""
    key = _key(re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", column) if " " not in column else column)
    if key == "tel":  # llm.c's test loss
        return "val"
    found = _EVAL.fullmatch(key) or _EVAL_LAST.fullmatch(key)
    if _NO_MODEL_LOSS.search(key):
        return None
    if not found:
        return _eval_of_text(key)
    return re.sub(r"_metrics$", "", found.group(1).strip("-_/ "))


def _eval_of_text(key: str) -> str | None:
    """The eval set of a loss that names its text last ("val_loss_c4" -> "val_c4"), or None."""
    found = _EVAL_OF_TEXT.fullmatch(key)
    if not found or _NO_TEXT.search(text := found[2] or found[4]):
        return None
    return f"{found[1] or found[3]}{text}"


def multiple(column: str) -> tuple[str, float]:
    """The name of a counter without the multiple that it counts in, and that: "Tokens (B)" -> ("tokens", 1e9)."""
    key = _key(column)
    found = _MULTIPLE.fullmatch(key)
    if found:
        return found[1], _SIZES[(found[2] or found[3] or found[4]).rstrip("s")]
    short = _SHORT_MULTIPLE.fullmatch(_plain(column))
    return (short[1], _SIZES[short[2]]) if short and short[1] in TOKENS else (key, 1.0)


def train_rank(column: str) -> int | None:
    """How well a name fits the training loss: 0 is best, None not at all."""
    return next((LOSS.index(key) for key in (_key(column), _plain(column)) if key in LOSS), None)


def is_lr(column: str) -> bool:
    """Whether a name stands for a learning rate (`lrm`, a multiplier, and `lr_decay_iters`, a setting, do not)."""
    return lr_rank(column) is not None


def lr_rank(column: str) -> int | None:
    """How well a name fits the learning rate: 0 as such, 1 that of a part of the parameters, None not at all."""
    found = _LR.fullmatch(_key(column))
    if not found or (found[1] and _NO_RATE.search(found[1])):
        return None
    return 1 if found[1] else 0


def is_batch(column: str) -> bool:
    """Whether a name stands for the tokens of an update, and not for those seen so far."""
    return _first([column], UPDATE_TOKENS) is not None


def is_nameless(column: str) -> bool:
    """Whether a column has no name of its own: an empty one as `unique_names` shows it, or pandas' name for it."""
    return bool(re.fullmatch(r"(column|unnamed:) \d+|unnamed: 0\.1", column.lower()))


def _x(columns: Sequence[str]) -> tuple[str | None, str]:
    for unit, names in (("step", STEP), ("tokens", TOKENS), ("samples", SAMPLES)):
        column = _first(columns, names, multiples=True)
        if column is not None:
            return column, unit
    return None, "step"


def _lr(columns: Sequence[str]) -> str | None:
    ranked = [(rank, c) for c in columns if (rank := lr_rank(c)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _losses(columns: Sequence[str]) -> tuple[tuple[tuple[str, str], ...], str]:
    """((split, column), …) and the unit."""
    for unit in ("nats", "bits", "perplexity"):
        renamed = {c: _as_loss(c, unit) for c in columns}
        found = _named_losses({c: name for c, name in renamed.items() if name is not None})
        if found:
            return found, unit
    rest = [c for c in columns if "loss" in c.lower() and not _NO_MODEL_LOSS.search(c.lower())]
    rest = [c for c in rest if "=" not in c]
    return ((("train", rest[0]),) if len(rest) == 1 else ()), "nats"


def _as_loss(column: str, unit: str) -> str | None:
    """The name as if its loss were in nats (`val/bpb` -> `val/loss`); None when the column has another unit."""
    if unit == "nats":
        return None if _OTHER_UNITS["bits"].search(column.lower()) else column
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


def _first(columns: Sequence[str], names: Sequence[str], multiples: bool = False) -> str | None:
    """The column whose name comes first in `names`; one that counts in `multiples` only where there is no other."""
    ranked = [(names.index(key), c) for c in columns for key in (_key(c), c.strip().lower(), _plain(c)) if key in names]
    if not ranked and multiples:
        ranked = [(names.index(key), c) for c in columns if (key := multiple(c)[0]) in names]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _key(column: str) -> str:
    """A name for comparison: lower case, single spaces, known prefixes off."""
    key = " ".join(column.lower().split())
    while (bare := _PREFIX.sub("", key)) != key and bare:
        key = bare
    return _UNIT.sub("", key)


def _plain(column: str) -> str:
    """A name in the spelling of most: `trainLoss` and `Train-Loss` are `train_loss`, known prefixes off."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.strip())
    return _key(re.sub(r"[\s.-]+", "_", words))

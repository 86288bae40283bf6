"""The rules of `scaling` for one question each, as rows: a compute budget, another batch, sparse models.

These are the numbers of the Plan page and of `optlaws plan compute`, `plan batch` and `plan sparse`. Losses are in nats
per token, shares are of 1.
"""

from dataclasses import dataclass

from ..errors import OptLawsError
from ..fitting.coverage import times_outside
from ..text import format_amount
from .scaling import (
    ALLOCATIONS,
    BATCH_RULES,
    BESIROGLU,
    GRANULAR_PARAMS,
    GRANULAR_TOKENS,
    GRANULARITY,
    MIXTURES,
    REASONING_LENGTH,
    REASONING_TOKENS,
    SPARSITY,
    WEIGHT_SPARSITY,
    Allocation,
    BatchRule,
    adam_at,
    effective_tokens,
    granular_loss,
    moe_loss,
    moe_params_for_reasoning,
    moe_sparsity,
    rescale,
    tradeoff,
)
from .sweep_cells import HIGHEST_LR

ADAM = (0.9, 0.95, 1e-8)  # betas and epsilon that another batch moves


@dataclass(frozen=True)
class Split:
    """What one way of splitting a compute budget buys."""

    name: str
    way: Allocation
    params: float
    tokens: float
    fresh: float | None  # what the tokens are worth in fresh ones; None where all are
    loss: float  # of the refitted Chinchilla law, which knows no repeats

    @property
    def ratio(self) -> float:
        """Tokens per parameter."""
        return self.tokens / self.params


@dataclass(frozen=True)
class Rescaled:
    """One rule's learning rate at another batch; None where the rule needs a noise scale that is not known."""

    name: str
    rule: BatchRule
    lr: float | None


@dataclass(frozen=True)
class OtherBatch:
    """What goes with another batch."""

    rates: tuple[Rescaled, ...]  # one a rule
    adam: tuple[float, float, float] | None  # betas and epsilon of the square-root rule; None: a beta would be below 0
    steps: float | None  # updates over the fewest possible, at the other batch; None without a noise scale
    tokens: float | None  # tokens over the fewest possible, likewise
    doubt: str  # what may have the wrong unit, as a sentence; empty where nothing is odd

    @property
    def adam_said(self) -> str:
        """What the square-root rule does to Adam's settings, as a sentence."""
        beta1, beta2, eps = ADAM
        if self.adam is None:
            return (
                f"The square-root rule would also move Adam's betas, from {beta1:g} and {beta2:g} below 0: the step is "
                "too large."
            )
        return (
            f"The square-root rule also moves Adam's settings: betas {beta1:g} and {beta2:g} become {self.adam[0]:.3g} "
            f"and {self.adam[1]:.3g}, an epsilon of 1e-8 becomes {self.adam[2]:.2g}."
        )

    @property
    def cost_said(self) -> str:
        """What the other batch costs, as a sentence; empty without a noise scale."""
        if self.steps is None or self.tokens is None:
            return ""
        return (
            f"At the other batch a loss takes {self.steps:.2f} times the fewest possible updates and {self.tokens:.2f} "
            "times the fewest possible tokens."
        )


@dataclass(frozen=True)
class Sparse:
    """What one law says of weights that are zero, or of experts that are idle."""

    title: str
    quantity: str  # "dense parameters", "parameters", "loss", "zero share" or "idle share"
    value: float
    difference: float | None  # of a loss to that of the model that is not sparse; None for another quantity
    given: str  # what it is said for
    sure: str  # of the constants
    reference: str
    against: str = ""  # what the difference is to
    outside: tuple[str, ...] | None = ()  # of the fitted range, in words; None where that is not known

    @property
    def says(self) -> str:
        """The value in words."""
        if self.quantity == "dense parameters":
            return f"as good as a dense model of {format_amount(self.value, 3)}"
        if self.quantity == "parameters":
            return f"about {format_amount(self.value, 3)} parameters in all"
        if self.difference is None:
            return f"{100 * self.value:.0f} %"
        if self.difference == 0:
            return f"loss {self.value:.4f}"
        return f"loss {self.value:.4f}, {self.difference:+.3g} against {self.against}"

    @property
    def standing(self) -> str:
        """Where the setting stands to the law's fitted range, in a few words."""
        return "range not known" if self.outside is None else ", ".join(self.outside) or "inside"


def compute_splits(compute: float, unique: float | None = None) -> tuple[Split, ...]:
    """Parameters and tokens that 6ND = `compute` floating-point operations buy, by every way of `ALLOCATIONS`.

    `unique`: tokens that are not repeats, where they are limited; those beyond them are worth less (Muennighoff et al.
    2023, arXiv:2305.16264). Raises `OptLawsError` for what is not above 0.
    """
    _check("The compute", compute)
    if unique is not None:
        _check("The number of unique tokens", unique)
    found = []
    for name, way in ALLOCATIONS.items():
        params, tokens = way.split(compute)
        fresh = None if unique is None else float(effective_tokens(unique, tokens))
        found.append(Split(name, way, params, tokens, fresh, BESIROGLU.loss(params, tokens)))
    return tuple(found)


def other_batch(lr: float, batch: float, other: float, noise: float | None = None) -> OtherBatch:
    """The learning rate at batch `other` by every rule of `BATCH_RULES`, from `lr`, which is good at `batch`.

    Batches are in tokens or samples, both in the same unit. `noise`: the noise scale in that unit, the batch at which
    gradient noise equals the gradient; two rules need it. Raises `OptLawsError` for what is not above 0.
    """
    for what, value in (
        ("The learning rate", lr),
        ("The batch", batch),
        ("The other batch", other),
        ("The noise scale", noise),
    ):
        if value is not None:
            _check(what, value)
    rates = tuple(
        Rescaled(
            name, rule, None if rule.needs_noise and noise is None else float(rescale(name, lr, batch, other, noise))
        )
        for name, rule in BATCH_RULES.items()
    )
    try:
        adam = adam_at(batch, other, *ADAM)
    except OptLawsError:
        adam = None
    steps, tokens = (None, None) if noise is None else tradeoff(other, noise)
    above = f"Is the unit right? A learning rate above {HIGHEST_LR:g} is unlikely, got {lr:g}."
    return OtherBatch(rates, adam, steps, tokens, above if lr > HIGHEST_LR else "")


def sparse_models(params: float, tokens: float, share: float = 0.5, granularity: float = 1.0) -> tuple[Sparse, ...]:
    """What laws say of a model whose weights are zero, or whose experts are idle, to a `share` of 1.

    N = `params` are the weights that are not zero, or all parameters of a mixture; `granularity`: into how many parts
    an expert of the usual size is split. Raises `OptLawsError` for a share that is not from 0 to below 1, and for any
    other number that is not above 0.
    """
    for what, value in (
        ("The model size", params),
        ("The number of training tokens", tokens),
        ("The granularity of experts", granularity),
    ):
        _check(what, value)
    if not 0 <= share < 1:
        raise OptLawsError(f"The share of weights that are zero, or idle, is at least 0 and below 1, got {share:g}.")
    size, length = format_amount(params, 3), format_amount(tokens, 3)
    rows = [
        Sparse(
            f"Weight sparsity, {law.title}",
            "dense parameters",
            params * law.worth(share),
            None,
            f"{size} weights that are not zero",
            law.sure,
            WEIGHT_SPARSITY,
            outside=None,
        )
        for law in SPARSITY.values()
    ]
    rows += [
        Sparse(
            f"Weight sparsity, {law.title}, best share",
            "zero share",
            law.best_sparsity(params, 6 * params * tokens),
            None,
            f"{size} weights that are not zero, the compute of {length} tokens at that size, zeros "
            "costing as much as weights",
            law.sure,
            WEIGHT_SPARSITY,
            outside=None,
        )
        for law in SPARSITY.values()
    ]
    mixed, fine = moe_loss(params, tokens, share), granular_loss(params, tokens, granularity)
    return (
        *rows,
        Sparse(
            "Mixture of experts",
            "loss",
            mixed,
            mixed - moe_loss(params, tokens, 0),
            f"{size} parameters in all, {length} tokens",
            *MIXTURES["share"],
            "all active",
            outside=None,
        ),
        Sparse(
            "Mixture of experts, best idle share",
            "idle share",
            moe_sparsity(params),
            None,
            f"{size} parameters in all, by the loss alone",
            *MIXTURES["share"],
            outside=None,
        ),
        Sparse(
            "Mixture of experts, reasoning",
            "parameters",
            moe_params_for_reasoning(tokens),
            None,
            f"{length} tokens, {REASONING_TOKENS:g} for each parameter, idle or not; facts are recalled better with "
            "fewer for each, and at equal loss more active operations reason better",
            *MIXTURES["reasoning"],
            outside=_far("D", tokens, (REASONING_LENGTH, REASONING_LENGTH)),
        ),
        Sparse(
            "Fine-grained experts",
            "loss",
            fine,
            fine - granular_loss(params, tokens),
            f"{size} parameters, {length} tokens, granularity {granularity:g}",
            *MIXTURES["granularity"],
            "granularity 1",
            outside=(
                *_far("N", params, GRANULAR_PARAMS),
                *_far("D", tokens, GRANULAR_TOKENS),
                *_far("granularity", granularity, GRANULARITY),
            ),
        ),
    )


def _far(what: str, value: float, known: tuple[float, float]) -> tuple[str, ...]:
    """What lies outside a fitted range, in words; empty where nothing does."""
    far = times_outside(known, value)
    return (f"{what} {far} the fitted range",) if far else ()


def _check(what: str, value: float) -> None:
    """Raises `OptLawsError` for a number that is not above 0."""
    if not 0 < value < float("inf"):
        raise OptLawsError(f"{what} must be a number above 0, got {value:g}.")


__all__ = ["OtherBatch", "Rescaled", "Sparse", "Split", "other_batch", "sparse_models", "compute_splits"]

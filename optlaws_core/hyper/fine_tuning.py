"""What is known of the hyper-parameters of supervised fine-tuning, in sentences; no law gives numbers for it.

Pareja et al. 2024, arXiv:2412.13337: instruction tuning of language models of 3 to 7 billion parameters. Read in the
source's abstract; docs/sources.md.
"""

REFERENCE = "Pareja et al. 2024, arXiv 2412.13337"
ADVICE = (
    "A larger batch with a lower learning rate did better on benchmarks than a small batch with a high one.",
    "A constant rate without warm-up did as well as a warm-up with a decay.",
    "Early in the run a lower gradient norm together with a higher loss marks the better run, so that others can be "
    "stopped early.",
)
SCOPE = (
    f"Supervised fine-tuning of models of 3 to 7 billion parameters ({REFERENCE}); laws of pre-training say nothing of "
    "it."
)
RANKED_BY_LOSS = (
    "Fine-tunes are ranked by loss here, and in fine-tuning a lower loss need not be the better model: runs with the "
    f"higher loss early on did better on benchmarks ({REFERENCE}). Judge the candidates by an evaluation of your own."
)

"""A risk of divergence with round numbers: an exact stand-in, learned from nothing."""

from optlaws_core.prediction.divergence import FEATURES, Risk

RISK = Risk(
    weights=(1.0,) * len(FEATURES),
    offset=-3.0,
    mean=(0.0,) * len(FEATURES),
    scale=(1.0,) * len(FEATURES),
    mu=0.3,
    kappa=0.01,
    ridge=0.03,
    threshold=0.5,
    runs=20,
    diverged=8,
    params=(1e6, 1e8),
)

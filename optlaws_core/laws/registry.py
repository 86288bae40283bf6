"""The registry of loss-curve laws. To add one: a file with its formula and parameters, and a line in `LAWS`."""

from ..errors import by_name
from .annealing import ANNEALING
from .base import Law
from .chinchilla import CHINCHILLA
from .convex_bound import CONVEX_BOUND
from .convex_dominance import CONVEX_DOMINANCE
from .forcing_memory import FORCING_MEMORY
from .forward_momentum import FORWARD_MOMENTUM
from .functional import FUNCTIONAL
from .multi_power import MULTI_POWER
from .noisy_quadratic import NOISY_QUADRATIC
from .opt_laws_curve import OPT_LAWS_CURVE
from .opt_laws_sublinear import OPT_LAWS_SUBLINEAR
from .power_law import POWER_LAW
from .scaling_collapse import SCALING_COLLAPSE

LAWS: dict[str, Law] = by_name(
    "laws",
    lambda law: law.name,
    (
        OPT_LAWS_CURVE,
        OPT_LAWS_SUBLINEAR,
        MULTI_POWER,
        FUNCTIONAL,
        FORCING_MEMORY,
        ANNEALING,
        SCALING_COLLAPSE,
        FORWARD_MOMENTUM,
        NOISY_QUADRATIC,
        CONVEX_BOUND,
        CONVEX_DOMINANCE,
        CHINCHILLA,
        POWER_LAW,
    ),
)


__all__ = ["LAWS"]

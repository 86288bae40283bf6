"""Loss-curve laws and their registry. To add one: a file with its formula and parameters, and a line in `LAWS`."""

from ..errors import OptLawsError
from .annealing import ANNEALING
from .base import FEATURES, HistorySum, Law, Param
from .opt_laws_curve import OPT_LAWS_CURVE
from .power_law import POWER_LAW

LAWS: dict[str, Law] = {law.name: law for law in (OPT_LAWS_CURVE, ANNEALING, POWER_LAW)}


def law_named(name: str) -> Law:
    """The law registered under `name`. Raises `OptLawsError` with the known names."""
    try:
        return LAWS[name]
    except KeyError:
        raise OptLawsError(f"Unknown law {name!r}. Known laws: {', '.join(LAWS)}.") from None


__all__ = ["FEATURES", "LAWS", "HistorySum", "Law", "Param", "law_named"]

"""Loss-curve laws; `registry` lists them. Their formulas are made when a law is first asked for."""

from typing import TYPE_CHECKING

from ..errors import OptLawsError
from .base import FEATURES, HistorySum, Law, Param

if TYPE_CHECKING:
    from .registry import LAWS


def __getattr__(name: str) -> object:
    if name != "LAWS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .registry import LAWS  # its formulas take longer to make than all the rest of laws

    return LAWS


def law_named(name: str) -> Law:
    """The law registered under `name`. Raises `OptLawsError` with the known names."""
    from .registry import LAWS

    try:
        return LAWS[name]
    except KeyError:
        raise OptLawsError(f"Unknown law {name!r:.60}. Known laws: {', '.join(LAWS)}.") from None


__all__ = ["FEATURES", "LAWS", "HistorySum", "Law", "Param", "law_named"]

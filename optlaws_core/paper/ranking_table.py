"""A ranking as a table for a paper, of which LaTeX (booktabs) and Markdown are made."""

from collections.abc import Sequence

from ..markup import Table
from ..prediction.observed import Observed
from ..prediction.pairs import Compared, Pair
from ..prediction.ranking import Ranked
from ..text import chance, percent


def paper_table(
    ranked: Sequence[Ranked],
    names: Sequence[str],
    halves: Sequence[float | None],
    beside: Sequence[Compared],
    seen: Sequence[Observed | None],
) -> Table:
    """The ranking, best first; columns of which nothing is known are left out.

    names, halves of prediction bands, what each is beside the baseline, and what was seen of it: (n,), as `ranked`.
    """
    rows = []
    for r, name, half, c, told in zip(ranked, names, halves, beside, seen, strict=True):
        p = c.pair
        rows.append(
            (
                f"{name}*" if r.reasons else name,
                f"{r.final_loss:.4f}" + ("" if half is None else f" ± {half:.4f}"),
                "" if told is None else f"{told.loss:.4f}",
                "" if p is None else "baseline" if _itself(p) else _signed(p.difference),
                "" if p is None or p.itself or p.low is None or p.high is None else _between(p.low, p.high),
                "" if p is None or p.itself or p.p_below is None else chance(p.p_below),
                "" if c.p_best is None else chance(c.p_best),
                "" if r.risk is None else percent(r.risk, 1),
            )
        )
    heads = ("Schedule", "Final loss", "Observed", "Difference", "90 % interval", "P(below)", "P(best)", "P(diverges)")
    filled = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    return Table(tuple(heads[i] for i in filled), tuple(tuple(row[i] or "–" for i in filled) for row in rows))


def _itself(p: Pair) -> bool:
    """Whether it is the baseline, or the same run; also where the model does not know its error."""
    return p.itself or (p.low is None and p.difference == 0)


def _between(low: float, high: float) -> str:
    return f"{_signed(low)} to {_signed(high)}"


def _signed(x: float) -> str:
    return f"{x:+.5f}".replace("-", "−")


__all__ = ["paper_table"]

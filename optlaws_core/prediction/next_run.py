"""What would make a comparison surer: the runs that its doubts ask for, in words. No costs, no promises of width."""

from collections.abc import Sequence

from ..fitting.result import Model
from .pairs import Compared
from .ranking import Ranked


def surer(
    model: Model, ranked: Sequence[Ranked], names: Sequence[str], beside: Sequence[Compared], baseline: int
) -> list[str]:
    """Sentences on which further runs speak to the doubts about a ranking; empty where there is none.

    ranked, names, beside: (n,), best first, as for `verdict`. baseline: place in the ranking of what it is compared
    with. What is asked for is what no training run shows: a curve of the candidate's own shape, a second schedule at
    all, a peak or length in reach of the candidates.
    """
    stay = [i for i, r in enumerate(ranked) if not r.apart]
    if not stay:
        return []
    said = []
    if len(model.train) == 1:
        said.append("a second run with another schedule, so that laws can be judged on a run that they have not seen")
    other = baseline if baseline in stay[1:] else next(iter(stay[1:]), None)
    if other is not None and beside and beside[other].to_best.told_apart is False:
        shortest = model.coverage.total[0]
        said.append(
            f"short runs of {names[0]} and of {names[other]} themselves, of {shortest:,} updates for instance, as your "
            "shortest one has"
        )
    if ranked[0].reasons:
        said.append("a run nearer to the candidates")
    return said

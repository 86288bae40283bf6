"""A model of a run in progress from nothing but its own losses so far, under the learned priors.

Where there is no finished run of the setting to fit a law to, what public curves have in common says how this one is
likely to go on: the laws that have a prior, fitted to the run so far, averaged in equal parts.
"""

from ..errors import DesignError
from ..fitting.priors import learned
from ..fitting.result import Model
from ..fitting.selection import POOL, select
from ..runs import Run

FEWEST = 10  # losses past the warm-up, below which a fit would be the prior and nothing else


def from_itself(run: Run) -> Model:
    """The average of the laws with priors, fitted to the losses of `run` so far.

    Raises `DesignError` for a run without a plan, or with fewer than `FEWEST` losses past its warm-up.
    """
    plan = run.known_plan
    past = int((run.steps >= plan.schedule.warmup_end).sum())
    if past < FEWEST:
        raise DesignError(
            f"A forecast of run {run.name!r} from itself needs {FEWEST} losses past its warm-up, got {past}."
        )
    return select(POOL, [run], priors={law: known for law in POOL if (known := learned(law))}, processes=1).trusted


__all__ = ["from_itself"]

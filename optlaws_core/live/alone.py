"""A model of a run in progress from nothing but its own losses so far, under the learned priors.

Where there is no finished run of the setting to fit a law to, what public curves have in common says how this one is
likely to go on: the laws that have a prior, fitted to the run so far, averaged in equal parts. Priors were learned at
the horizons of finished runs, so they are carried from the planned horizon to where the run is.
"""

from collections.abc import Mapping

from ..errors import DesignError
from ..fitting.priors import Prior, carried, learned
from ..fitting.result import Model
from ..fitting.selection import POOL, select
from ..laws.scale_free import Scale
from ..runs import Run

FEWEST = 10  # losses past the warm-up, below which a fit would be the prior and nothing else


def from_itself(run: Run, priors: Mapping[str, Prior] | None = None) -> Model:
    """The average of the laws with priors, fitted to the losses of `run` so far.

    priors: by law, in coordinates of finished runs; by default the learned ones. Raises `DesignError` for a run without
    a plan, or with fewer than `FEWEST` losses past its warm-up.
    """
    schedule = run.known_plan.schedule
    past = int((run.steps >= schedule.warmup_end).sum())
    if past < FEWEST:
        raise DesignError(
            f"A forecast of run {run.name!r} from its own losses needs {FEWEST} losses past its warm-up, got {past}."
        )
    told = priors or {law: known for law in POOL if (known := learned(law))}
    now = Scale.of([run])
    whole = Scale(now.peak, max(now.updates, float(schedule.total)), now.loss)
    here = {law: carried(prior, whole, now) for law, prior in told.items()}
    return select(list(here), [run], priors=here, processes=1).trusted


__all__ = ["from_itself"]

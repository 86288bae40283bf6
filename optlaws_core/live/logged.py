"""A run that is logged while it trains: where it will end as planned."""

from pathlib import Path

from ..errors import LogError
from ..fitting.result import Model
from ..runs import Run
from .alone import from_itself
from .forecasting import Outcome, outcomes
from .growing import reread


def planned_end(path: Path) -> tuple[int, Outcome]:
    """The last step of the run in a log, or in a manifest that declares one, and its end as planned, from itself.

    Raises `LogError` for what cannot be read or holds more than one run, and what `from_itself` and `outcomes` raise.
    """
    reading = reread(path)
    if len(reading.runs) != 1:
        raise LogError(next(iter(reading.errors), f"{path.name}: one run is needed, got {len(reading.runs)}."))
    (run,) = reading.runs
    return int(run.steps[-1]), end_as_planned(run)


def end_as_planned(run: Run, model: Model | None = None) -> Outcome:
    """The final loss of a run whose plan is kept to: by a model of finished runs, or from its own losses so far.

    Raises what `from_itself` and `outcomes` raise.
    """
    (end,) = outcomes(model or from_itself(run), run, [("as planned", run.known_plan.schedule)])
    return end


__all__ = ["end_as_planned", "planned_end"]

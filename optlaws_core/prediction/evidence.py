"""What a prediction rests on, for whoever judges it without the logs: warnings, errors of laws, runs as they ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import OptLawsError
from ..fitting.result import Model
from ..fitting.selection import Selection
from ..fitting.single import doubts as design_doubts
from ..laws import LAWS
from ..runs import Plan, Run
from .losses import predict
from .observed import final_loss, final_steps
from .verdict import doubts

TRAINING, HELD_OUT, OTHER = "training", "held out", "not in the fit"


@dataclass(frozen=True)
class Ended:
    """A run of a comparison, and how what is predicted for its end agrees with what was observed there."""

    run: Run
    role: str  # TRAINING, HELD_OUT or OTHER
    last: float | None  # last loss that was logged, in the split of the fit; None without one
    observed: float | None  # mean loss over the last 1 % of the updates; None for a run that ended early
    predicted: float | None  # mean loss over the same updates, of the last one without them; None where there is none

    @property
    def error(self) -> float | None:
        """(predicted − observed) / observed; None where either is not known."""
        if self.observed is None or self.predicted is None:
            return None
        return (self.predicted - self.observed) / self.observed


@dataclass(frozen=True)
class LawErrors:
    """A law's errors. Relative ones are shares of the loss, root mean square; None where nothing tells."""

    title: str
    weight: float | None  # in the average; None for a law that is not averaged, and for the average itself
    misfit: float | None  # on the training runs themselves
    left_out: float | None  # on each training run when it was left out of the fit
    held_out_rmse: float | None  # in the loss's unit, mean over held-out runs
    status: str  # how its search ended; empty for an average


def endings(model: Model, runs: Iterable[Run]) -> list[Ended]:
    """Every run, those of the fit first: training, held out, others."""
    order = (TRAINING, HELD_OUT, OTHER)
    return sorted((_ended(model, run) for run in runs), key=lambda e: order.index(e.role))


def _ended(model: Model, run: Run) -> Ended:
    role = TRAINING if run.name in model.train else HELD_OUT if run.name in model.test else OTHER
    split = model.split if model.split in run.series else run.split
    losses = run.series[split].loss
    predicted = None
    if run.plan is not None:
        try:
            predicted = float(predict(model, run.plan, final_steps(run, split)).mean())
        except OptLawsError:  # no finite loss, or a size that the law needs and nobody tells
            predicted = None
    return Ended(run, role, float(losses[-1]) if len(losses) else None, final_loss(run, split), predicted)


def law_errors(model: Model, selection: Selection | None = None) -> list[LawErrors]:
    """The laws that were fitted together with `model`, the average first; without a selection those of its parts."""
    fits = selection.fits if selection else tuple(f for f, _ in model.parts)
    average = selection.average if selection else model if model.single is None else None
    weights = {f.law: w for f, w in average.parts} if average else {}
    rows = [LawErrors(f.title, weights.get(f.law), *_errors(f), f.status.value) for f in fits]
    return [*([LawErrors(average.title, None, *_errors(average), "")] if average else []), *rows]


def _errors(model: Model) -> tuple[float | None, float | None, float | None]:
    return model.misfit, model.left_out, model.held_out_rmse


def warnings(model: Model, runs: Iterable[Run], selection: Selection | None = None) -> list[str]:
    """All that speaks against a fit, each sentence once.

    How the searches ended and what has become outdated; laws that could not be fitted; what the training runs cannot
    identify; open questions on their logs. `runs`: those at hand, training runs that are not among them say nothing.
    """
    said = doubts(model)
    if selection is not None:
        said += [f"{LAWS[law].title} could not be fitted. {why}" for law, why in selection.failed.items()]
    fits = selection.fits if selection else tuple(f for f, _ in model.parts)
    informed = {f.law: f.informed is not None for f in fits}
    failed = dict.fromkeys(selection.failed if selection else (), any(informed.values()))
    prior = {law: told and LAWS[law].coordinates is not None for law, told in (informed | failed).items()}
    known = {r.name: r for r in runs if r.plan is not None}
    train = [known[name] for name in model.train if name in known]
    train = [r.on(model.split) if model.split in r.series else r for r in train]
    alike: dict[str, str] = {}  # laws differ in the numbers of a sentence alone: the longest law's stands for all
    for law in sorted(prior, key=lambda name: -len(LAWS[name].params)):
        for sentence in design_doubts(LAWS[law], train, prior[law]) if train else ():
            alike.setdefault("".join(c for c in sentence if not c.isdigit()), sentence)
    return list(dict.fromkeys([*said, *alike.values()]))


def beyond(model: Model, plans: Sequence[tuple[str, Plan]]) -> list[str]:
    """How named plans leave what the training runs cover, in one sentence for all of them; none where all stay inside.

    What holds for every plan is said of all, the rest with the names.
    """
    of: dict[str, list[str]] = {}
    for name, plan in plans:
        for reason in model.reasons(plan):
            of.setdefault(reason, []).append(name)
    said = [reason if len(names) == len(plans) else f"{', '.join(names)}: {reason}" for reason, names in of.items()]
    return [f"Beyond the training runs, where the law was never checked: {'; '.join(said)}."] if said else []


__all__ = ["HELD_OUT", "OTHER", "TRAINING", "Ended", "LawErrors", "beyond", "endings", "law_errors", "warnings"]

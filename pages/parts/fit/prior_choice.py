"""What a fit knows beforehand: priors learned from public curves, one's own kept fits, or nothing."""

from collections.abc import Iterable, Sequence

from optlaws_core import Fit
from optlaws_core.fitting.priors import LEARNED, Prior, from_fits, learned
from optlaws_core.fitting.result import Model

from ..state.workspace import Workspace

TITLES = {
    "learned": "What public training curves showed",
    "own": "What your earlier fits showed",
    "none": "Nothing",
}


def able(laws: Iterable[str]) -> bool:
    """Whether any of these laws has a prior."""
    return any(learned(name) is not None for name in laws)


def offered(space: Workspace, laws: Sequence[str], train: Sequence[str]) -> list[str]:
    """What can be chosen for these laws and training runs."""
    own = any(_earlier(space, law, train) for law in laws)
    return [name for name in TITLES if name != "own" or own]


def priors(space: Workspace, laws: Sequence[str], train: Sequence[str], wanted: str) -> dict[str, Prior]:
    """The priors of those laws that have one, by name; the learned one where no earlier fit is at hand."""
    found = {}
    for law in laws if wanted != "none" else ():
        usual, own = learned(law), _earlier(space, law, train)
        if usual is not None:
            found[law] = from_fits(law, own) if wanted == "own" and own else usual
    return found


def kind(model: Model) -> str:
    """What a model was fitted with: a key of `TITLES`."""
    fits = [fit for fit, _ in model.parts]
    sources = {fit.informed.source for fit in fits if fit.informed is not None}
    if not sources:
        return "none" if able(fit.law for fit in fits) else "learned"
    return "learned" if sources == {LEARNED} else "own"


def _earlier(space: Workspace, law: str, train: Sequence[str]) -> list[Fit]:
    """Kept fits of a law under a prior to none of these runs, each set of runs once."""
    found: dict[tuple[str, ...], Fit] = {}
    for model in space.fits.values():
        for fit, _ in model.parts:
            if fit.law == law and fit.informed is not None and fit.covariance and not set(fit.train) & set(train):
                found.setdefault(tuple(sorted(fit.train)), fit)
    return list(found.values())

"""The fit that an address speaks of: laws, runs, and which of the models is in use. For Decide, Evidence and Live.

An address that names the model in use (`fit=`) was taken from a page that showed one, so the fit starts by itself;
without, the choice alone is taken over. What is usual to a new visitor is left out of addresses.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from optlaws_core import LAWS, Status
from optlaws_core.fitting import first_split
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.selection import POOL

from ..state import address, session
from ..state.bundled import example_runs
from ..state.kept_fits import Choice
from ..state.workspace import Workspace
from . import choice as choosing
from . import job, prior_choice

AVERAGE, USUAL_PRIOR = "average", "learned"
MOST_FITS = 60  # of one law, that an address may start by itself; more take a press
LAST_STEP = 10**12


@dataclass
class Wanted:
    """What an address asked for, missing runs included, until the visitor chooses otherwise."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    fit: str  # law, `AVERAGE`, or empty where no fit is waited for
    started: bool = False
    found: tuple = ()  # those of the runs that were loaded at the last look

    def at_hand(self, space: Workspace) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The runs that are loaded."""
        train, test = (tuple(n for n in names if n in space.fittable) for names in (self.train, self.test))
        return train, tuple(n for n in test if n not in train)


def read_address(space: Workspace) -> None:
    """Take over what the address asks for, when the page is opened; fit by itself what it shows; use that fit."""
    memory = session.state()
    address.load_named_runs(space, "train", "test")
    given = {key: address.read(key) for key in ("law", "laws", "train", "test", "split", "from", "prior", "fit")}
    if any(values is not None for values in given.values()):
        memory["wanted"] = _taken(space, given)
    wanted = memory.get("wanted")
    if wanted is None:
        return
    absent = address.warn_of_missing_runs("train", [*wanted.train, *wanted.test], space.runs)
    if (at_hand := wanted.at_hand(space)) != wanted.found:  # when the link was opened, or logs were loaded since
        wanted.found = at_hand
        space.choice = replace(space.choice, train=at_hand[0], test=at_hand[1])
    if wanted.fit and not set(absent) & set(wanted.train):
        _settle(space, wanted)


def _taken(space: Workspace, given: dict[str, list[str] | None]) -> Wanted:
    titles = {law.title: name for name, law in LAWS.items()}
    asked = [titles.get(text, text) for text in (*(given["law"] or ()), *(given["laws"] or ()))]
    laws = tuple(dict.fromkeys(name for name in asked if name in LAWS))
    address.warn_of_refused("law", [name for name in asked if name not in LAWS], f"known laws are {', '.join(LAWS)}")
    first = usual(space) or first_split.split(space.runs)
    train, test = (
        tuple(dict.fromkeys(names)) if (names := given[key]) is not None else usually
        for key, usually in zip(("train", "test"), first, strict=True)
    )
    splits = {split for run in space.runs.values() for split in run.series}
    split = next(iter(given["split"] or ()), None)
    if split is not None and split not in splits:
        address.warn_of_refused("split", [split], f"the loaded runs have losses called {', '.join(sorted(splits))}")
        split = None
    space.choice = Choice(laws or POOL, split=split, from_step=_step(given["from"]), prior=_prior(given["prior"]))
    fit = next(iter(given["fit"] or ()), "")
    if fit not in ("", AVERAGE, *LAWS):
        address.warn_of_refused("fit", [fit], f"a fit is called {AVERAGE} or by its law")
        fit = ""
    return Wanted(train, test, fit)


def _step(given: list[str] | None) -> int | None:
    for text in given or ():
        if text.isascii() and text.isdigit() and int(text) <= LAST_STEP:
            return int(text)
        address.warn_of_refused("from", [text], f"a step is a whole number from 0 to {LAST_STEP:,}")
    return None


def _prior(given: list[str] | None) -> str:
    wrong = [text for text in given or () if text not in prior_choice.TITLES]
    address.warn_of_refused("prior", wrong, f"it is one of {', '.join(prior_choice.TITLES)}")
    return next((text for text in given or () if text in prior_choice.TITLES), USUAL_PRIOR)


def usual(space: Workspace) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Training and held-out runs of a new visitor; None for someone who works on other runs."""
    bundled = {run.name: run for run in example_runs()}
    return first_split.split(bundled) if space.example and bundled.keys() <= space.runs.keys() else None


def _settle(space: Workspace, wanted: Wanted) -> None:
    """Use the fit that was asked for, or start it."""
    if space.job:
        return
    found = named(space, space.choice).get(wanted.fit)
    fits = len(space.choice.laws) * (len(space.choice.train) + 1)
    if found is not None:
        space.current = found
    elif not wanted.started and space.choice.train and fits <= MOST_FITS:
        wanted.started = True
        job.begin(space, space.choice)
        return
    wanted.fit = ""  # it is there, was stopped, or cannot be; from now on the visitor chooses


def named(space: Workspace, choice: Choice) -> dict[str, str]:
    """Kept fits of a choice, by what they are called in addresses. Coefficients set by hand do not travel."""
    found = {}
    for name, model in space.fits.items():
        called = address_word(model)
        if called and _alike(choice, described(space, name)):
            found[called] = name
    return found


def _alike(one: Choice, other: Choice) -> bool:
    """Whether a fit of one choice is one of the other. Of a split, None is each run's own."""
    if one.prior != other.prior and prior_choice.able(one.laws):
        return False
    same = set(one.laws) == set(other.laws) and set(one.train) == set(other.train) and set(one.test) == set(other.test)
    return same and one.from_step == other.from_step and (one.split is None or one.split == other.split)


def address_word(model: Model) -> str:
    """What a model is called in an address; empty for one that an address cannot bring back."""
    single = model.single
    if single is None:
        return AVERAGE
    return "" if single.locked or single.status is Status.tuned else single.law


def described(space: Workspace, name: str) -> Choice:
    """The choice that a kept fit came from."""
    model, selection = space.fits[name], space.selections.get(name)
    if selection is not None:
        laws = (*(fit.law for fit in selection.fits), *selection.failed)
    else:
        laws = job.laws_of(model)
    kinds = [prior_choice.kind(fit) for fit in (selection.fits if selection is not None else (model,))]
    prior = next((kind for kind in kinds if kind != "learned"), "learned")
    return Choice(laws, tuple(model.train), tuple(model.test), model.split, model.from_step, prior)


def write_address(space: Workspace, choice: Choice | None = None) -> None:
    """Put the fit in use into the address; while there is none that can be, the choice.

    Runs that an address asked for in vain stay in it, for whoever has them.
    """
    memory, fit = session.state(), address_word(space.fit) if space.fit else ""
    if fit or choice is None:
        choice = described(space, space.current)
    wanted = memory.get("wanted")
    if wanted is not None and not wanted.fit and (choice.train, choice.test) != wanted.found:
        del memory["wanted"]  # the visitor has chosen otherwise
        address.warn("train")
        wanted = None
    train, test = usual(space) or (None, None)
    address.write("law", _in_order(choice.laws), _in_order(POOL))
    address.write("train", wanted.train if wanted else choice.train, train)
    address.write("test", wanted.test if wanted else choice.test, test)
    address.write("split", choice.split, choosing.common_split(space))
    address.write("from", choice.from_step)
    address.write("prior", choice.prior, USUAL_PRIOR)
    address.write("fit", fit or wanted and wanted.fit or None)


def _in_order(laws: Iterable[str]) -> list[str]:
    return [name for name in LAWS if name in laws]

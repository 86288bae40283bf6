"""Fits in the background: how they begin, how they go on, and what is kept of them."""

import functools
from collections.abc import Mapping, Sequence

from optlaws_core import LAWS, Fit, FitError, OptLawsError, Run, Selection, Status, select
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.selection import POOL
from optlaws_core.fitting.single import fit

from ..server import libraries
from ..state import jobs, settings
from ..state.jobs import Job, Progress
from ..state.kept_fits import Choice, content
from ..state.workspace import Workspace
from . import prior_choice


def chosen(space: Workspace, names: Sequence[str], split: str | None) -> list[Run]:
    """Runs by name, judged on `split` where they have it (None: on their own)."""
    runs = [space.runs[n] for n in names if n in space.runs]
    return [r.on(split) if split in r.series else r for r in runs]


def begin(space: Workspace, choice: Choice) -> None:
    """Start the fits of the chosen laws in the background."""
    train, test = (chosen(space, names, choice.split) for names in (choice.train, choice.test))
    laws = choice.laws or POOL
    # One process rather than joblib's pool of them: the pool is one for all visitors, so that a second one would wait
    # at 0 %, and starting it takes as long (1 to 3 s) as all fits of two laws to three runs. Many fits to many runs are
    # what a cluster is for, which this process talks to.
    if settings.cluster():
        libraries.load_where_installed(libraries.CLUSTER)
    work = functools.partial(
        select,
        laws,
        train,
        test=test,
        from_step=choice.from_step,
        priors=prior_choice.priors(space, laws, choice.train or (), choice.prior),
        cluster=settings.cluster(),
        processes=1,
    )
    title = LAWS[laws[0]].title if len(laws) == 1 else f"{len(laws)} laws"
    parts = () if settings.cluster() else _parts(laws, train)  # a cluster fits them in any order
    space.start(title, work, _basis(train, choice.split), parts, apart=not settings.cluster())


def _parts(laws: Sequence[str], train: Sequence[Run]) -> tuple[str, ...]:
    """What `select` fits one after the other: each law to all runs, then to all but those of one schedule."""
    n = len({run.plan for run in train})
    left_out = [f", schedule {i} of {n} left out" for i in range(1, n + 1)] if n > 1 else []
    return tuple(f"{LAWS[law].title}{said}" for said in ("", *left_out) for law in laws)


def refit(space: Workspace, base: Fit, start: Mapping[str, float], locked: Sequence[str]) -> None:
    """Start a fit of one law with some coefficients held, in the background."""
    train, test = (chosen(space, tuple(names), base.split) for names in (base.train, base.test))
    held = {name: start[name] for name in locked}
    prior = prior_choice.priors(space, [base.law], tuple(base.train), prior_choice.kind(base)).get(base.law)
    work = functools.partial(
        fit, base.law, train, test=test, from_step=base.from_step, locked=held, start=dict(start), prior=prior
    )
    space.start(LAWS[base.law].title, work, _basis(train, base.split))


def _basis(train: Sequence[Run], split: str | None) -> dict[str, str]:
    """What the training runs are as the fit begins: they may change while it goes on."""
    return {run.name: content(run, split or train[0].split) for run in train}


def watch(space: Workspace) -> None:
    """Progress of the fit that runs, a cancel button, and the result's way into the workspace."""
    title, parts = space.job.title, space.job_parts

    def said(progress: Progress) -> str:
        best = "" if progress.best is None else f", best objective {progress.best:.3g}"
        return f"Fitting {at_work(parts, progress.share) or title}{best}"

    def ended(job: Job[Fit | Selection]) -> None:
        space.job = None
        try:
            found = job.result()
        except (OptLawsError, FitError) as fault:
            space.failure = str(fault)
        else:
            if found is not None:
                keep(space, found)

    jobs.watch(space.job, said, ended, "fit_cancel")


def at_work(parts: Sequence[str], share: float) -> str:
    """Which of the equal parts of a job is being done when `share` of it is done; nothing for a job without parts."""
    return parts[min(int(share * len(parts) + 1e-9), len(parts) - 1)] if parts else ""


def keep(space: Workspace, found: Fit | Selection) -> None:
    """Put what was fitted among the kept fits, and use what is to be trusted."""
    if not isinstance(found, Selection):
        space.keep(_name_of(space, found), found, basis=space.basis)
        return
    models = (*([found.average] if found.average else ()), *found.fits)
    names = [_name_of(space, model) for model in models]
    for name, model in zip(names, models, strict=True):
        space.keep(name, model, found, space.basis)
    space.current = names[models.index(found.trusted)]


def _name_of(space: Workspace, found: Model) -> str:
    """Where to keep a fit: in the place of one of the same law, runs and locks, else under a name of its own."""
    before = (name for name, model in space.fits.items() if _setting(model) == _setting(found))
    return next(before, None) or space.free_name(found.title)


def _setting(model: Model) -> tuple:
    single = model.single
    own = () if single is None else (single.locked, single.status is Status.tuned)
    runs = tuple(model.train), tuple(model.test)
    return tuple(sorted(laws_of(model))), *runs, model.split, model.from_step, prior_choice.kind(model), own


def laws_of(model: Model) -> tuple[str, ...]:
    """Names of the laws that were fitted for a model, of an average also those that came to weigh nothing."""
    return tuple(f.law for f in model.fits) if model.single is None else (model.single.law,)

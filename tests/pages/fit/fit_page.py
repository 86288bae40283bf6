"""The Evidence page for tests: opened alone, fitted, read."""

import functools
import json
import time
from concurrent import futures

from streamlit.testing.v1 import AppTest

from optlaws_core import Run, read, select
from optlaws_core.fitting import first_split
from optlaws_core.fitting.priors import Prior, learned
from pages.parts.fit import job
from pages.parts.state.workspace import Workspace
from tests.places import ROOT

PATIENCE = 60  # seconds for a fit on a busy machine
CURVE, SUBLINEAR = "opt_laws_curve", "opt_laws_sublinear"
AVERAGE = "Average of 2 laws"
FAST = ("power_law", "forward_momentum")  # laws that are fitted in hundredths of a second


def opened() -> AppTest:
    """The page as the first thing that is opened."""
    return AppTest.from_file(str(ROOT / "pages" / "evidence.py"), default_timeout=60).run()


def until(at, done) -> None:
    """Run the page again until `done()`, each time when the fit that runs has ended."""
    deadline = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < deadline:
        job = at.session_state.workspace.job
        if job is None:
            time.sleep(0.05)
        else:  # a page that is run meanwhile takes half of what the fit could use
            futures.wait([job.future], PATIENCE)
        at.run()
    at.run()
    assert done(), [e.value for e in at.error]


def fitted(at, *laws):
    """Choose laws, press Fit and come back when the report stands."""
    if laws:
        at.multiselect(key="laws").set_value(list(laws)).run()
    space = at.session_state.workspace
    before = dict(space.fits)
    next(b for b in at.button if b.label == "Fit").click().run()
    until(at, lambda: at.error or (space.job is None and space.fits != before and at.metric))
    assert at.metric and not at.exception, [e.value for e in at.error]
    return at


@functools.cache
def _known() -> dict:
    return {}


def select_once(laws, train, *, test, from_step, **how):
    """`select` as the Evidence page calls it, once for the same question: for tests of what is done with fits."""

    def content(runs):
        return tuple((run.name, run.split, run.steps.tobytes(), run.loss.tobytes()) for run in runs)

    key = (tuple(laws), content(train), content(test), from_step, tuple(how["priors"].items()))
    if key not in _known():
        _known()[key] = select(laws, train, test=test, from_step=from_step, **how)
    return _known()[key]


def texts(at) -> str:
    """All that the page says in words."""
    kinds = (at.caption, at.markdown, at.info, at.warning, at.error, at.success)
    return "\n".join(x.value for kind in kinds for x in kind).replace("\u00a0", " ")


def figure(at) -> dict:
    """The picture of the curves."""
    return json.loads(at.get("plotly_chart")[0].proto.spec)


@functools.cache
def examples() -> dict[str, Run]:
    return {r.name: r.on("val") for r in read(ROOT / "data" / "examples.csv").runs}


@functools.cache
def selected(*laws: str):
    """Laws fitted to the runs that a new visitor is offered."""
    train, test = ([examples()[n] for n in names] for names in first_split.split(examples()))
    return select(laws, train, test=test, priors=known(laws), processes=1)


def known(laws) -> dict[str, Prior]:
    """The learned priors of those laws that have one: what the page begins from."""
    return {name: prior for name in laws if (prior := learned(name)) is not None}


def reported(*laws: str) -> AppTest:
    """The page on fits that are there already."""
    at = AppTest.from_file(str(ROOT / "pages" / "evidence.py"), default_timeout=60)
    space = Workspace()
    space.load_example()
    job.keep(space, selected(*laws))
    at.session_state.workspace = space
    at.run()
    assert not at.exception, at.exception[0].message
    return at

"""The Decide page for tests: a fit and a run that are exact, the page opened on them, read."""

import re

from streamlit.testing.v1 import AppTest

from optlaws_core import LAWS, Coverage, Fit, Plan, Run, Scores, Series, Status, parse, predict
from pages.parts.decide import board
from pages.parts.state.workspace import Workspace
from tests.places import ROOT

PAGE = ROOT / "pages" / "decide.py"
THREE = [
    "cosine(peak=1e-3, warmup=50, total=1000, final=1e-4)",
    "wsd(peak=1e-3, warmup=50, total=1000, decay=200, shape=1-sqrt)",
    "constant(peak=2e-3, warmup=50, total=1500)",
]


def a_fit(**changes: float) -> Fit:
    """A fit record with round coefficients: an exact stand-in, not a fit of anything."""
    theta = {"L_inf": 2.6, "A": 0.2, "q": 0.5, "A0": 3e4, "A1": 3e4, "c": 1e3, "rho": 1.2, "D": 0.0} | changes
    return Fit(
        law="opt_laws_curve",
        theta=theta,
        interval=dict.fromkeys(LAWS["opt_laws_curve"].names),
        objective=0.0,
        status=Status.converged,
        message="",
        train={"long": Scores(9, 1e-3, 1e-3, 1, 0, 0)},
        test={"other": Scores(9, 2e-3, 2e-3, 1, 0, 0)},
        coverage=Coverage((1e-3, 1e-3), (500, 1000)),
    )


def a_run(name: str = "long", batch: float | None = 512.0) -> Run:
    """A run whose losses are those of `a_fit`, exactly."""
    plan = Plan(parse(THREE[0]), batch_tokens=batch)
    steps = range(50, 1000, 10)
    return Run(name, plan, {"train": Series(list(steps), predict(a_fit(), plan, list(steps)))}, lr_source="declared")


def space_with(*fits: Fit, candidates=(), runs=True) -> Workspace:
    space = Workspace(runs={"long": a_run()} if runs else {}, candidates=list(candidates))
    for i, fit in enumerate(fits):
        space.keep(f"fit {i}", fit)
    return space


def opened(space: Workspace, link: list[str] | None = None) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space
    app.session_state[board.IN_FULL] = True
    if link is not None:
        app.query_params["s"] = link
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def texts(app: AppTest) -> list[str]:
    """All that is said, as it is read: without what keeps Markdown from it."""
    kinds = (app.text, app.info, app.caption, app.error, app.subheader, app.markdown, app.warning)
    return [re.sub(r"\\(?=\W)|\u2060", "", x.value).replace("\u00a0", " ") for kind in kinds for x in kind]

"""Kept fits: what they were trained on, whether that is still so, fitting again, other names, deleting."""

from dataclasses import replace

import pytest

from optlaws_core import Plan, Series, parse
from pages.parts.fit import job
from pages.parts.state import undo
from pages.parts.state.kept_fits import changed, content, stale
from tests.pages.compare.compare_page import a_fit, a_run, space_with
from tests.pages.fit.fit_page import FAST, fitted, opened, select_once, texts, until

OTHER = Series([10, 20], [3.0, 2.9])


@pytest.fixture
def space():
    return space_with(a_fit(), a_fit(L_inf=2.5))


def test_a_fit_is_up_to_date_while_its_training_runs_are_what_they_were(space):
    assert stale(space, space.runs, "fit 0") == ""
    space.rename("long", "another name")
    space.runs["other"] = a_run("other")  # held out: the fit has not seen it
    assert stale(space, space.runs, "fit 0") == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda run: replace(run, series={"train": OTHER}),
        lambda run: run.declared(Plan(parse("constant(peak=1e-3, total=1000)"), batch_tokens=512)),
        lambda run: replace(run, plan=replace(run.plan, params=1e6)),
        lambda run: replace(run, plan=replace(run.plan, batch_tokens=7)),
    ],
    ids=["losses", "schedule", "model size", "batch"],
)
def test_a_changed_training_run_makes_it_stale(space, change):
    space.change({"long": change(space.runs["long"])})
    assert changed(space, space.runs, "fit 0") == ([], ["long"])
    assert stale(space, space.runs, "fit 0") == (
        "This fit is out of date: since it was made, the training run long has changed."
    )


def test_a_removed_training_run_makes_it_stale(space):
    space.remove(["long"])
    assert stale(space, space.runs, "fit 0").endswith("the training run long is no longer loaded.")


def test_a_split_that_the_fit_did_not_use_is_none_of_its_business():
    run = a_run()
    assert content(run, "train") == content(replace(run, series={**run.series, "val": OTHER}), "train")
    assert content(run, "train") != content(replace(run, series={**run.series, "val": OTHER}), "val")


def test_names_and_deleting(space):
    basis = space.bases["fit 1"]
    space.rename_fit("fit 1", "mine")
    assert list(space.fits) == ["fit 0", "mine"] and space.current == "mine" and space.bases["mine"] == basis
    for taken, said in (("fit 0", "Another fit has this name"), ("", "A fit needs a name")):
        with pytest.raises(Exception, match=said):
            space.rename_fit("mine", taken)
    space.delete_fit("mine")
    assert list(space.fits) == ["fit 0"] and space.current == "fit 0"
    space.delete_fit("fit 0")
    assert space.current is None and not space.bases


def button(at, key: str):
    return next((b for b in at.button if b.key == key), None)


def test_on_the_page(monkeypatch):
    monkeypatch.setattr(job, "select", select_once)
    at = fitted(opened(), *FAST[:1])
    space = at.session_state.workspace
    (name,) = space.fits
    train = list(space.fits[name].train)
    kept = at.dataframe[-1].value
    assert kept["trained on"][0] == ", ".join(train) and kept["state"][0] == "up to date"
    assert button(at, "fit_again") is None
    # declared anew while nobody looks
    plan = space.runs[train[0]].plan
    space.change({train[0]: space.runs[train[0]].declared(replace(plan, params=2 * (plan.params or 1)))})
    at.run()
    assert f"the training run {train[0]} has changed" in texts(at).replace("\\", "")
    assert at.dataframe[-1].value["state"][0] == "out of date"
    button(at, "fit_again").click().run()
    until(at, lambda: space.job is None)
    assert list(space.fits) == [name] and stale(space, space.runs, name) == ""
    assert button(at, "fit_again") is None and not at.exception
    button(at, "kept_delete").click().run()
    assert not space.fits and not at.exception
    undo.bring_back(space)
    assert list(space.fits) == [name]


def test_what_changes_while_a_fit_goes_on_counts(monkeypatch):
    monkeypatch.setattr(job, "select", select_once)
    at = opened()
    space = at.session_state.workspace
    at.multiselect(key="laws").set_value(list(FAST[:1])).run()
    begun = {n: content(space.runs[n], space.choice.split) for n in space.choice.train}
    next(b for b in at.button if b.label == "Fit").click().run()
    first = space.choice.train[0]
    if space.job is not None:  # else the fit was faster than this line
        assert space.basis == begun
    plan = space.runs[first].plan
    space.change({first: space.runs[first].declared(replace(plan, params=3 * (plan.params or 1)))})
    until(at, lambda: space.job is None and space.fits)
    assert stale(space, space.runs, next(iter(space.fits)))

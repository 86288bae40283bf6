"""`--prior`: learned from public curves, none, or one's own earlier fits; `--horizon`: what fits are to compare."""

import pytest

from optlaws_core import fit, read
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.fitting.priors import learned
from optlaws_core.fitting.selection import POOL
from tests.support.commands import BUNDLED, TRAIN, told

MADE_FOR = (
    "Made to compare schedules of 50,000 updates: runs of other lengths count less, and the losses themselves are "
    "further off."
)

ONE = ["--runs", BUNDLED, "--split", "val", "--train", TRAIN[0]]
CURVE = ["fit", "--law", "opt_laws_curve", *ONE, "--test", TRAIN[1]]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A fit under the learned prior, as the command writes it."""
    from optlaws_core.cli import main

    out = tmp_path_factory.mktemp("prior") / "earlier.json"
    assert main([*CURVE, "--json", str(out)]) == 0
    return out


def test_the_learned_prior_is_the_usual_one(earlier, capsys, tmp_path):
    runs = {r.name: r.on("val") for r in read(BUNDLED).runs}
    same = fit("opt_laws_curve", [runs[TRAIN[0]]], prior=learned("opt_laws_curve"))
    found = load_fit(earlier)
    assert found.theta == same.theta and found.informed == same.informed
    said = told(capsys, *CURVE, "--json", str(tmp_path / "again.json"))[1]
    assert "\nPrior learned from public curves: the runs moved it by up to" in said
    assert f"\nThe fit uses losses from step {found.begin:,}" in said


def test_without_prior_the_fit_is_the_runs_alone(capsys, tmp_path):
    out = tmp_path / "fit.json"
    assert told(capsys, *CURVE, "--prior", "none", "--json", str(out))[0] == 0
    runs = {r.name: r.on("val") for r in read(BUNDLED).runs}
    assert load_fit(out).theta == fit("opt_laws_curve", [runs[TRAIN[0]]]).theta
    assert load_fit(out).informed is None and load_fit(out).begin is None


def test_ones_own_fit_becomes_a_prior(capsys, tmp_path, earlier):
    out = tmp_path / "fit.json"
    argv = ["fit", "--law", "opt_laws_curve", "--runs", BUNDLED, "--split", "val", "--train", TRAIN[2], "--test"]
    assert told(capsys, *argv, TRAIN[1], "--prior", str(earlier), "--json", str(out))[0] == 0
    assert load_fit(out).informed.source == "from an earlier fit of yours"


def test_a_law_without_a_prior_is_fitted_as_before(capsys, tmp_path):
    out = tmp_path / "fit.json"
    argv = ["fit", "--law", "power_law", *ONE, "--test", TRAIN[1], "--json", str(out)]
    assert told(capsys, *argv)[0] == 0
    assert load_fit(out).informed is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["learned", "none"], "--prior takes learned, none, or files of fits, one of the three."),
        (["missing.json"], "missing.json: there is no such file."),
    ],
)
def test_a_prior_that_cannot_be_is_one_sentence(capsys, tmp_path, given, said):
    code, _, err = told(capsys, *CURVE, "--prior", *given, "--json", str(tmp_path / "fit.json"))
    assert (code, err) == (1, said + "\n")


def test_a_prior_of_files_needs_a_law_that_takes_one(capsys, tmp_path, earlier):
    argv = ["fit", "--law", "power_law", *ONE, "--test", TRAIN[1], "--prior", str(earlier)]
    code, _, err = told(capsys, *argv, "--json", str(tmp_path / "fit.json"))
    assert (code, err) == (1, "--prior: none of these laws takes one: power_law.\n")


def test_a_fit_for_schedules_of_one_length(capsys, tmp_path):
    out = tmp_path / "fit.json"
    code, said, _ = told(capsys, *CURVE, "--horizon", "50000", "--json", str(out))
    assert code == 0 and load_fit(out).informed.horizon == 50_000
    assert f"\n{MADE_FOR}" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--prior", "none"],
            "A horizon says how much runs of other lengths count beside a prior, and none is given for opt_laws_curve;",
        ),
        (["--joint"], "--horizon does not apply to several sizes at once"),
    ],
)
def test_a_horizon_that_would_do_nothing_is_refused(capsys, tmp_path, more, said):
    code, _, err = told(capsys, *CURVE, "--horizon", "50000", *more, "--json", str(tmp_path / "fit.json"))
    assert code == 1 and err.startswith(said) and err.count("\n") == 1


@pytest.mark.parametrize("bad", ["8k", "0", "-5", "1.5", "1000000001", "1" + "0" * 5000])
def test_what_is_no_horizon_is_told_so(capsys, bad):
    code, _, err = told(capsys, *CURVE, "--horizon", bad, "--json", "fit.json")
    assert code == 1 and "a number of updates from 1 to 1,000,000,000 is needed, got" in err and err.count("\n") == 1


def test_select_for_one_length_takes_the_laws_with_a_prior(capsys, tmp_path):
    out = tmp_path / "average.json"
    assert told(capsys, "select", *ONE, "--horizon", "50000", "--processes", "1", "--json", str(out))[0] == 0
    fits = load_fit(out).fits
    assert {f.law for f in fits} >= set(POOL) and {f.informed.horizon for f in fits} == {50_000}

"""The command `fit` of curve laws: its file, locks, and bad input of any command as one sentence on stderr."""

import json
import os
from dataclasses import replace

import pytest

from optlaws_core import LAWS, fit, read
from optlaws_core.final_loss.loading import load_fit
from tests.support.commands import BUNDLED, CANDIDATES, TRAIN, told


def test_fit(fit_file):
    found = json.loads(fit_file.read_text())
    keys = ["law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds"]
    assert list(found)[:9] == keys and set(found["theta"]) == set(LAWS["annealing"].names) == set(found["interval"])
    assert list(found["train"]) == TRAIN
    runs = [r.name for r in read(BUNDLED).runs]
    assert set(found["test"]) == set(runs) - set(TRAIN)  # every other run is held out
    assert set(found["train"][TRAIN[0]]) == {"n", "mae", "rmse", "r2", "mean_rel", "worst_rel"}


def test_fit_says_what_python_says(fit_file):
    runs = {r.name: r.on("val") for r in read(BUNDLED).runs}
    same = fit("annealing", [runs[n] for n in TRAIN], test=[r for n, r in runs.items() if n not in TRAIN])
    told_by_file = load_fit(fit_file)
    assert told_by_file.theta == pytest.approx(same.theta) and told_by_file.test == same.test


def test_scores_without_a_value_are_not_written(capsys, tmp_path, monkeypatch):
    def exploding(*args, **how):
        made = fit(*args, **how)
        return replace(made, test={n: replace(s, rmse=float("inf")) for n, s in made.test.items()})

    monkeypatch.setattr("optlaws_core.cli.fit.fit", exploding)
    out = tmp_path / "fit.json"
    argv = ["fit", "--law", "power_law", "--runs", BUNDLED, "--train", *TRAIN, "--test", "wsd20_4000"]
    code, _, err = told(capsys, *argv, "--json", str(out))
    assert (code, out.exists()) == (1, False)
    assert err == f"{out}: the fit has scores that are not finite numbers, so it was not written.\n"


def test_locks_and_first_step(capsys, tmp_path):
    out = tmp_path / "fit.json"
    base = [
        "fit",
        "--law",
        "annealing",
        "--runs",
        BUNDLED,
        "--train",
        *TRAIN,
        "--test",
        "wsd20_4000",
        "--json",
        str(out),
    ]
    assert told(capsys, *base, "--lock", "lam=0.99", "alpha=0.5", "--from-step", "600")[0] == 0
    found = json.loads(out.read_text())
    assert (
        found["theta"]["lam"] == 0.99 and found["locked"] == ["lam", "alpha"] and list(found["test"]) == ["wsd20_4000"]
    )
    assert found["from_step"] == 600


@pytest.mark.parametrize(
    "argv, found",
    [
        (["read", "/no/such/file.csv"], "no such file"),
        (["fit", "--law", "magic", "--runs", BUNDLED, "--train", *TRAIN, "--json", "{tmp}/x"], "Unknown law 'magic'"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", "none", "--json", "{tmp}/x"], "no run 'none'"),
        (
            [
                "fit",
                "--law",
                "annealing",
                "--runs",
                BUNDLED,
                "--train",
                *TRAIN,
                "--test",
                TRAIN[0],
                "--json",
                "{tmp}/x",
            ],
            "either trained on or held out",
        ),
        (
            ["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--lock", "lam", "--json", "{tmp}/x"],
            "--lock takes NAME=VALUE",
        ),
        (
            ["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--split", "zzz", "--json", "{tmp}/x"],
            "has no split 'zzz'",
        ),
        (
            ["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", "/no/such/folder/x"],
            "/no/such/folder/x: there is no folder '/no/such/folder'",
        ),
        (
            ["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, TRAIN[0], "--json", "{tmp}/x"],
            f"--train: a run counts once, got {TRAIN[0]!r} 2 times",
        ),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", "{tmp}"], "this is a folder"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", ""], "path must not be empty"),
        (
            [
                "fit",
                "--law",
                "annealing",
                "--runs",
                BUNDLED,
                "--train",
                *TRAIN,
                "--from-step",
                "x",
                "--json",
                "{tmp}/x",
            ],
            "--from-step: a step is a whole number, got 'x'",
        ),
        (["read", ""], "A path must name a file or a folder, got ''"),
        (["predict", "--fit", "", "--schedule", CANDIDATES[0]], "path must not be empty"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--at", "abc"], "a whole number, got 'abc'"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--at", "9" * 20], "at most 1e+15, got '9999"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--at", "9" * 9000], "a whole number, got '9999"),
        (
            ["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--params", "0"],
            "--params: a number above 0 is needed, got '0'",
        ),
        (["rank", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--params", "inf"], "above 0 is needed, got 'inf'"),
        (
            ["rank", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--batch-tokens", "-1"],
            "--batch-tokens: a number above 0 is needed, got '-1'",
        ),
        (
            ["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--batch-tokens", "many"],
            "a number above 0 is needed, got 'many'",
        ),
        (["predict", "--fit", "{fit}", "--schedule", "constant(peak=1e-3, total=" + "9" * 9000 + ")"], "total must be"),
        ([], "arguments are required: COMMAND"),
        (["predict"], "arguments are required: --fit"),
        (["no-such\ncommand"], "invalid choice"),
        (["laws", "two\nlines"], "unrecognized arguments: two lines"),
        (["predict", "--fit", "/no/fit.json", "--schedule", CANDIDATES[0]], "no such file"),
        (["predict", "--fit", "{fit}", "--schedule", "cosine(peak=1"], "reads like"),
        (
            ["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--at", "9999"],
            "between 0 and the schedule's total",
        ),
        (["rank", "--fit", BUNDLED, "--schedule", CANDIDATES[0]], "a fit is a JSON file"),
    ],
)
def test_bad_input_is_one_sentence(capsys, tmp_path, fit_file, argv, found):
    code, out, err = told(capsys, *(a.format(tmp=tmp_path, fit=fit_file) for a in argv))
    assert code == 1 and found in err and len(err.strip().splitlines()) == 1 and "Traceback" not in err


def test_a_fit_is_not_begun_when_it_cannot_be_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "optlaws_core.cli.read.read_all", lambda *paths: pytest.fail("read before the file was checked")
    )
    sealed = tmp_path / "sealed.json"
    sealed.write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: path != sealed)
    for out in (str(tmp_path), str(tmp_path / "no" / "fit.json"), str(sealed), "", str(tmp_path / ("x" * 300))):
        argv = ["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", out]
        code, _, err = told(capsys, *argv)
        assert code == 1 and err.count("\n") == 1 and (out in err if out else "--json: a path must not be empty" in err)
    assert sealed.read_text() == "old"

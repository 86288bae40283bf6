"""The command line: words, JSON keys, exit codes, one sentence on stderr."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from optlaws_core import LAWS, SCHEDULES, Fit, fit, parse, predict, rank, read
from optlaws_core.cli import main

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = str(ROOT / "data" / "manifest.csv")
TRAIN = ["constant_2400", "cosine10_2400", "drop_2400"]
CANDIDATES = [
    "cosine(peak=6e-3, warmup=300, total=2400, final=6e-4)",
    "wsd(peak=6e-3, warmup=300, total=2400, decay=480)",
    "constant(peak=12e-3, warmup=300, total=4800)",
]


def told(capsys, *argv):
    """Exit code, stdout, stderr of one command."""
    code = main(list(argv))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The JSON that `fit` writes for the bundled runs."""
    out = tmp_path_factory.mktemp("cli") / "fit.json"
    argv = ["fit", "--law", "annealing", "--runs", BUNDLED, "--split", "val", "--train", *TRAIN, "--json", str(out)]
    assert main(argv) == 0
    return out


def test_lists(capsys):
    code, out, _ = told(capsys, "laws", "--json")
    assert code == 0 and [row["law"] for row in json.loads(out)] == list(LAWS)
    code, out, _ = told(capsys, "schedules", "--json")
    assert code == 0 and [row["schedule"] for row in json.loads(out)] == list(SCHEDULES)
    for command, names in (("laws", LAWS), ("schedules", SCHEDULES)):
        code, out, _ = told(capsys, command)
        assert code == 0 and all(name in out for name in names)


def test_read(capsys):
    code, out, _ = told(capsys, "read", BUNDLED, "--json")
    rows = json.loads(out)
    assert code == 0 and len(rows) >= 12
    assert list(rows[0]) == ["run", "format", "points", "first_step", "last_step", "lr_source", "notes"]
    assert {row["lr_source"] for row in rows} == {"logged"}
    code, out, _ = told(capsys, "read", BUNDLED)
    assert code == 0 and all(row["run"] in out for row in rows)


def test_fit(fitted):
    found = json.loads(fitted.read_text())
    keys = ["law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds"]
    assert list(found)[:9] == keys and set(found["theta"]) == set(LAWS["annealing"].names) == set(found["interval"])
    assert list(found["train"]) == TRAIN
    runs = [r.name for r in read(BUNDLED).runs]
    assert set(found["test"]) == set(runs) - set(TRAIN)  # every other run is held out
    assert set(found["train"][TRAIN[0]]) == {"n", "mae", "rmse", "r2", "mean_rel", "worst_rel"}


def test_fit_says_what_python_says(fitted):
    runs = {r.name: r.on("val") for r in read(BUNDLED).runs}
    same = fit("annealing", [runs[n] for n in TRAIN], test=[r for n, r in runs.items() if n not in TRAIN])
    told_by_file = Fit.load(fitted)
    assert told_by_file.theta == pytest.approx(same.theta) and told_by_file.test == same.test


def test_predict_and_rank(capsys, fitted):
    law = Fit.load(fitted)
    code, out, _ = told(
        capsys, "predict", "--fit", str(fitted), "--schedule", CANDIDATES[0], "--at", "400", "2400", "--json"
    )
    told_losses = [row["loss"] for row in json.loads(out)["predictions"]]
    assert code == 0 and told_losses == predict(law, parse(CANDIDATES[0]), [400, 2400]).tolist()
    argv = ["rank", "--fit", str(fitted), "--json"]
    code, out, _ = told(capsys, *argv, *(word for c in CANDIDATES for word in ("--schedule", c)))
    rows, same = json.loads(out), rank(law, [parse(c) for c in CANDIDATES])
    assert code == 0 and list(rows[0])[:4] == ["schedule", "final_loss", "delta", "extrapolates"]
    assert [r["final_loss"] for r in rows] == [r.final_loss for r in same] == sorted(r["final_loss"] for r in rows)
    assert rows[0]["delta"] == 0 and {r["schedule"]: r["extrapolates"] for r in rows}[parse(CANDIDATES[2]).text]
    for command in ("predict", "rank"):
        code, out, _ = told(capsys, command, "--fit", str(fitted), "--schedule", CANDIDATES[0])
        assert code == 0 and out.strip()


def test_locks_and_first_step(capsys, tmp_path):
    out = tmp_path / "fit.json"
    base = ["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--test", "wsd_2400", "--json", str(out)]
    assert told(capsys, *base, "--lock", "lam=0.99", "alpha=0.5", "--from-step", "600")[0] == 0
    found = json.loads(out.read_text())
    assert found["theta"]["lam"] == 0.99 and found["locked"] == ["lam", "alpha"] and list(found["test"]) == ["wsd_2400"]
    assert found["from_step"] == 600


@pytest.mark.parametrize(
    "argv, found",
    [
        (["read", "/no/such/file.csv"], "no such file"),
        (["fit", "--law", "magic", "--runs", BUNDLED, "--train", *TRAIN, "--json", "{tmp}/x"], "Unknown law 'magic'"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", "none", "--json", "{tmp}/x"], "no run 'none'"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--test", TRAIN[0], "--json", "{tmp}/x"],
         "either trained on or held out"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--lock", "lam", "--json", "{tmp}/x"],
         "--lock takes NAME=VALUE"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--split", "zzz", "--json", "{tmp}/x"],
         "has no split 'zzz'"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", "/no/such/folder/x"],
         "No such file or directory"),
        (["predict", "--fit", "/no/fit.json", "--schedule", CANDIDATES[0]], "no such file"),
        (["predict", "--fit", "{fit}", "--schedule", "cosine(peak=1"], "reads like"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--at", "9999"],
         "between 0 and the schedule's total"),
        (["rank", "--fit", BUNDLED, "--schedule", CANDIDATES[0]], "a fit is a JSON file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(capsys, tmp_path, fitted, argv, found):
    code, out, err = told(capsys, *(a.format(tmp=tmp_path, fit=fitted) for a in argv))
    assert code == 1 and found in err and len(err.strip().splitlines()) == 1 and "Traceback" not in err


def test_the_module_runs_from_a_shell():
    done = subprocess.run(
        [sys.executable, "-m", "optlaws_core", "laws"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "opt_laws_curve" in done.stdout
    done = subprocess.run([sys.executable, "-m", "optlaws_core"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "usage" in done.stderr

"""Runs in progress, from the command line: where they will end, and which of them are left out, with the reason."""

import json

import pytest

from optlaws_core import read
from optlaws_core.cli.forecast import add, run
from optlaws_core.cli.options import Parser
from optlaws_core.errors import Cancelled
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.live import cut, end_as_planned
from tests.support.commands import BUNDLED, told

ASK = ("forecast", "--runs", BUNDLED, "--split", "val", "--until", "2000")
NAMES = ("wsd20_4000", "constant_4000", "cosine10_8000")


@pytest.fixture(scope="module")
def runs():
    return {run.name: cut(run.on("val"), 2000) for run in read(BUNDLED).runs}


def test_runs_stand_in_the_order_of_the_ends_that_live_forecasts(fit_file, runs, capsys):
    model = load_fit(fit_file)
    code, out, err = told(capsys, *ASK, "--fit", str(fit_file), "--run", *NAMES, "--json")
    rows = json.loads(out)
    ends = {name: end_as_planned(runs[name], model) for name in NAMES}
    assert code == 0
    long = "8,000 updates, the longest training run had 4,000"
    assert err.splitlines() == [
        f"The forecast of run 'cosine10_8000' extrapolates: {long}.",
        "The runs end after different numbers of updates (4,000: wsd20_4000, constant_4000; 8,000: cosine10_8000).",
    ]
    assert {row["run"]: row["reasons"] for row in rows} == {name: [long] * ("8000" in name) for name in NAMES}
    assert [row["run"] for row in rows] == sorted(NAMES, key=lambda name: ends[name].loss)
    for row in rows:
        end, seen = ends[row["run"]], runs[row["run"]]
        assert (row["loss"], row["updates"]) == (end.loss, end.updates)
        assert (row["prediction_low"], row["prediction_high"]) == (end.low, end.high)
        assert (row["step"], row["seen"], row["split"]) == (seen.steps[-1], seen.loss[-1], "val")
    code, out, _ = told(capsys, *ASK, "--fit", str(fit_file), "--run", *NAMES)
    assert [line.split()[-9].rstrip(",") for line in out.splitlines()] == [row["run"] for row in rows]


def test_without_a_fit_a_run_is_forecast_from_itself(runs, capsys):
    code, out, _ = told(capsys, *ASK, "--run", NAMES[0], "--json")
    (row,) = json.loads(out)
    assert code == 0 and row["loss"] == end_as_planned(runs[NAMES[0]]).loss and row["reasons"] == []


def test_losses_of_different_splits_are_not_ranked_without_a_word(tmp_path, capsys, fit_file):
    for name, column in (("a", "loss"), ("b", "val_loss")):
        rows = [f"{t},{3 - 1e-4 * t:.4f}" for t in range(250, 2000, 50)]
        (tmp_path / f"{name}.csv").write_text("\n".join([f"step,{column}", *rows]))
    plan = '"constant(peak=8e-3, warmup=200, total=4000)"'
    (tmp_path / "manifest.csv").write_text(f"file,run,schedule\na.csv,a,{plan}\nb.csv,b,{plan}\n")
    code, _, err = told(capsys, "forecast", "--runs", str(tmp_path / "manifest.csv"), "--fit", str(fit_file))
    assert code == 0
    assert "different splits, which do not compare (train: a; val: b); --split says which to use." in err


def test_runs_that_cannot_be_forecast_are_left_out_with_the_reason(fit_file, capsys):
    finished = ("forecast", "--runs", BUNDLED, "--fit", str(fit_file))
    code, out, err = told(capsys, *finished, "--run", "wsd20_4000")
    assert code == 1 and not out and "nothing left to forecast" in err
    code, out, err = told(capsys, *finished, "--until", "4000")
    assert code == 0 and {line.split()[-9].rstrip(",") for line in out.splitlines()} == {"cosine10_8000", "wsd20_8000"}
    assert err.count("Left out: ") == 7
    assert "There is no run 'nosuch'" in told(capsys, *ASK, "--run", "nosuch")[2]


def test_a_run_whose_loss_has_risen_is_told(tmp_path, capsys):
    rows = [f"{t},{(3.0 if t < 3000 else 6.0) + 0.01 * (t % 7):.3f},1e-3" for t in range(100, 5000, 100)]
    (tmp_path / "up.csv").write_text("\n".join(["step,loss,lr", *rows]))
    (tmp_path / "manifest.csv").write_text('file,run,schedule\nup.csv,up,"constant(peak=1e-3, total=9000)"\n')
    code, _, err = told(capsys, "forecast", "--runs", str(tmp_path / "manifest.csv"))
    assert code == 0 and "its loss has risen" in err


def test_whoever_stops_waiting_ends_it(fit_file):
    parser = Parser()
    add(parser)
    args = parser.parse_args([*ASK[1:], "--fit", str(fit_file)])
    args.watch = lambda share: share < 0.3
    with pytest.raises(Cancelled):
        run(args)

"""The command line on a fit: predictions and rankings with their bands, and what speaks against them."""

import json
from dataclasses import replace

import pytest

from optlaws_core import parse, predict, rank, read, with_bands
from optlaws_core.cli.rank import _share
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.fitting.result import Status
from optlaws_core.prediction.joint_losses import joint
from optlaws_core.prediction.losses import sized
from optlaws_core.prediction.pairs import against, chances
from optlaws_core.prediction.why import why
from optlaws_core.saved import from_bundle, usual_title
from tests.places import ROOT
from tests.support.commands import BUNDLED, CANDIDATES, TRAIN, told


def test_predict_and_rank(capsys, fit_file):
    law = load_fit(fit_file)
    code, out, _ = told(
        capsys, "predict", "--fit", str(fit_file), "--schedule", CANDIDATES[0], "--at", "400", "2400", "--json"
    )
    told_losses = [row["loss"] for row in json.loads(out)["predictions"]]
    assert code == 0 and told_losses == predict(law, parse(CANDIDATES[0]), [400, 2400]).tolist()
    argv = ["rank", "--fit", str(fit_file), "--json"]
    code, out, _ = told(capsys, *argv, *(word for c in CANDIDATES for word in ("--schedule", c)))
    rows, same = json.loads(out), rank(law, [parse(c) for c in CANDIDATES])
    assert code == 0 and list(rows[0])[:4] == ["schedule", "final_loss", "delta", "extrapolates"]
    assert [r["final_loss"] for r in rows] == [r.final_loss for r in same] == sorted(r["final_loss"] for r in rows)
    assert rows[0]["delta"] == 0 and {r["schedule"]: r["extrapolates"] for r in rows}[parse(CANDIDATES[2]).text]
    for command in ("predict", "rank"):
        code, out, _ = told(capsys, command, "--fit", str(fit_file), "--schedule", CANDIDATES[0])
        assert code == 0 and out.strip()


@pytest.mark.slow
def test_what_lies_beyond_the_training_runs_is_told_by_every_command(capsys, fit_file):
    fit, beyond = ["--fit", str(fit_file)], "This extrapolates: "
    far = "cosine(peak=5, warmup=200, total=8000)"
    reasons = ["peak 5, the training runs had 8e-3", "8,000 updates, the longest training run had 4,000"]
    best, stages = ["optimize", "--family", "linear", "--peak", "8e-3"], ["autolrs", "--low", "1e-3", "--high", "8e-3"]
    for ask, expected in (
        (["predict", "--schedule", CANDIDATES[0]], []),
        (["predict", "--schedule", far], reasons),
        (["predict", "--schedule", CANDIDATES[0], "--params", "7B"], ["7B parameters, the training runs had 123k"]),
        ([*best, "--total", "8000", "--warmup", "200"], reasons[1:]),
        ([*best, "--total", "4000", "--warmup", "200"], []),
        ([*best, "--total", "4000"], []),  # with their warm-up
        ([*best, "--total", "4000", "--warmup", "0"], ["no warm-up, the training runs had one of 200 updates"]),
        ([*stages, "--total", "8000", "--warmup", "200", "--first", "4000"], reasons[1:]),
    ):
        code, _, err = told(capsys, *ask, *fit)
        assert code == 0 and (f"{beyond}{'; '.join(expected)}." in err if expected else beyond not in err), ask
        assert json.loads(told(capsys, *ask, *fit, "--json")[1])["reasons"] == expected
    assert (
        "Losses before step 200 were not fitted."
        in told(capsys, "predict", *fit, "--schedule", CANDIDATES[0], "--at", "0", "300")[2]
    )


def test_an_average_predicts_and_ranks_with_bands(capsys, select_files):
    out, model = str(select_files[0]), load_fit(select_files[0])
    steps = [0, 400, 3999]
    code, said, _ = told(
        capsys, "predict", "--fit", out, "--schedule", CANDIDATES[0], "--json", "--at", *map(str, steps)
    )
    rows, bands = json.loads(said)["predictions"], with_bands(model, parse(CANDIDATES[0]), steps)
    assert code == 0 and [row["loss"] for row in rows] == predict(model, parse(CANDIDATES[0]), steps).tolist()
    keys = ["step", "loss", "parameter_low", "parameter_high", "prediction_low", "prediction_high"]
    assert list(rows[0]) == keys
    for kind in ("parameter", "prediction"):
        ends = bands.band(getattr(bands, kind))
        assert [[row[f"{kind}_{end}"] for row in rows] for end in ("low", "high")] == [e.tolist() for e in ends]
    code, said, _ = told(
        capsys, "rank", "--fit", out, "--json", "--schedule", CANDIDATES[0], "--schedule", CANDIDATES[2]
    )
    for row in json.loads(said):
        assert list(row)[6:8] == ["prediction_low", "prediction_high"]
        half = with_bands(model, parse(row["schedule"])).prediction[0]
        assert row["prediction_high"] / row["final_loss"] == pytest.approx(row["final_loss"] / row["prediction_low"])
        assert row["prediction_high"] == pytest.approx(row["final_loss"] * 2.718281828459045**half)
    for command in ("predict", "rank"):
        said = told(capsys, command, "--fit", out, "--schedule", CANDIDATES[0])[1]
        low, high = (rows[-1][f"prediction_{end}"] for end in ("low", "high"))
        assert f"{rows[-1]['loss']:.6f}   90 % prediction band {low:.6f} to {high:.6f}" in said


def test_what_is_not_certain_is_not_said_to_be():
    told_so = [" <1 %", " <1 %", "  1 %", " 50 %", " 99 %", ">99 %", ">99 %"]
    assert [_share(p) for p in (0.0, 0.004, 0.01, 0.5, 0.994, 0.9999, 1.0)] == told_so


PAIR = ["baseline", "difference", "low", "high", "p_below", "p_best", "regret"]


def test_candidates_are_compared_with_a_baseline(capsys, select_files):
    ask, model = ["rank", "--fit", str(select_files[0])], load_fit(select_files[0])
    ask += [word for c in CANDIDATES for word in ("--schedule", c)]
    order = [r.schedule for r in rank(model, [parse(c) for c in CANDIDATES])]
    for more, baseline in (([], order[1]), (["--baseline", CANDIDATES[0]], parse(CANDIDATES[0]))):
        rows = json.loads(told(capsys, *ask, *more, "--json")[1])
        assert [list(row)[-7:] for row in rows] == [PAIR] * len(order)
        same, best = joint(model, order), chances(joint(model, order))
        for row, pair in zip(rows, against(same, order.index(baseline)), strict=True):
            assert row["baseline"] == baseline.text
            assert [row[k] for k in PAIR[1:5]] == [pair.difference, pair.low, pair.high, pair.p_below]
            by_loss = next(r for r in rows if r["schedule"] == baseline.text)["final_loss"]
            assert row["difference"] == pytest.approx(row["final_loss"] - by_loss, abs=1e-12)
        assert [row["p_best"] for row in rows] == best.p_best.tolist()
        assert [row["regret"] for row in rows] == best.regret.tolist()
        said = told(capsys, *ask, *more)[1].splitlines()
        first = rows[0]
        assert f"vs baseline {first['difference']:+.6f} ({first['low']:+.6f} to {first['high']:+.6f})" in said[0]
        assert f"best {_share(first['p_best'])}, regret {first['regret']:.6f}" in said[0]
        assert ["the baseline" in line for line in said[: len(order)]] == [s == baseline for s in order]
        legend, *more_said = said[len(order) :]
        assert legend.startswith(f"Baseline: {baseline.text}. Differences are negative where a candidate ends lower")
        told_by = ("the second", order[1]) if baseline == order[0] else ("the baseline", baseline)
        reasons = why(model, order[0], told_by[1], told_by[0])
        assert more_said == ([f"Why the first one: {' '.join(reasons)}"] if reasons else [])


def test_a_baseline_that_is_no_candidate_is_one_more(capsys, select_files):
    ask = ["rank", "--fit", str(select_files[0]), "--schedule", CANDIDATES[0], "--baseline", CANDIDATES[1], "--json"]
    rows = json.loads(told(capsys, *ask)[1])
    assert sorted(row["schedule"] for row in rows) == sorted(parse(c).text for c in CANDIDATES[:2])
    (itself,) = [row for row in rows if row["schedule"] == row["baseline"] == parse(CANDIDATES[1]).text]
    assert [itself[k] for k in PAIR[1:5]] == [0.0, 0.0, 0.0, 0.5]
    code, out, err = told(capsys, *ask[:-2], "", "--json")
    assert (code, out) == (1, "") and "A schedule reads like" in err


def test_a_candidate_that_was_run_shows_what_was_observed(capsys, fit_file):
    ask = ["rank", "--fit", str(fit_file), "--observed", BUNDLED]
    (run,) = [r for r in read(BUNDLED).runs if r.name == TRAIN[1]]
    split = load_fit(fit_file).split
    last = run.series[split].steps >= 0.99 * run.known_plan.schedule.total
    expected = float(run.series[split].loss[last].mean())
    text = run.known_plan.schedule.text
    named = ["--schedule", text, "--schedule", CANDIDATES[2]]
    rows = {row["schedule"]: row["observed"] for row in json.loads(told(capsys, *ask, *named, "--json")[1])}
    assert rows == {text: pytest.approx(expected), parse(CANDIDATES[2]).text: None}
    assert f"observed {rows[text]:.6f} ({run.name}" in told(capsys, *ask, *named)[1]


def test_one_candidate_is_compared_with_none(capsys, select_files):
    ask = ["rank", "--fit", str(select_files[0]), "--schedule", CANDIDATES[0]]
    (row,) = json.loads(told(capsys, *ask, "--json")[1])
    assert [row[k] for k in PAIR] == [None] * 5 + [1.0, 0.0]
    assert "aseline" not in told(capsys, *ask)[1]


def test_a_fit_that_does_not_know_its_error_tells_differences_alone(capsys, fit_file):
    ask = ["rank", "--fit", str(fit_file), "--schedule", CANDIDATES[0], "--schedule", CANDIDATES[1]]
    rows = json.loads(told(capsys, *ask, "--json")[1])
    assert rows[0]["difference"] == pytest.approx(rows[0]["final_loss"] - rows[1]["final_loss"])
    assert [row[k] for row in rows for k in PAIR[2:]] == [None] * 10
    said = told(capsys, *ask)[1]
    assert "their uncertainty is known only for a fit that was tried on left-out runs" in said and "best" not in said


def test_a_fit_without_left_out_runs_has_a_parameter_band_only(capsys, fit_file, tmp_path):
    ask = ["--schedule", CANDIDATES[0], "--json"]
    (row,) = json.loads(told(capsys, "predict", "--fit", str(fit_file), *ask)[1])["predictions"]
    assert row["prediction_low"] is row["prediction_high"] is None
    assert row["parameter_low"] < row["loss"] < row["parameter_high"]
    (ranked,) = json.loads(told(capsys, "rank", "--fit", str(fit_file), *ask)[1])
    assert ranked["prediction_low"] is ranked["prediction_high"] is None
    band = f"{row['loss']:.6f}   90 % parameter band {row['parameter_low']:.6f} to {row['parameter_high']:.6f}"
    for command in ("predict", "rank"):
        assert band in told(capsys, command, "--fit", str(fit_file), *ask[:2])[1]
    old = json.loads(fit_file.read_text())
    for key in ("free", "covariance", "misfit", "left_out"):
        del old[key]
    (tmp_path / "old.json").write_text(json.dumps(old))
    (bare,) = json.loads(told(capsys, "predict", "--fit", str(tmp_path / "old.json"), *ask)[1])["predictions"]
    assert bare["loss"] == row["loss"] and bare["parameter_low"] is bare["parameter_high"] is None
    for command in ("predict", "rank"):
        assert "band" not in told(capsys, command, "--fit", str(tmp_path / "old.json"), *ask[:2])[1]


def test_a_band_that_is_not_known_is_none(capsys, fit_file, monkeypatch):
    monkeypatch.setattr(
        "optlaws_core.cli.predict.with_bands", lambda *a: replace(with_bands(*a), parameter=None, prediction=None)
    )
    ask = ["predict", "--fit", str(fit_file), "--schedule", CANDIDATES[0]]
    (row,) = json.loads(told(capsys, *ask, "--json")[1])["predictions"]
    assert [row[f"{kind}_{end}"] for kind in ("parameter", "prediction") for end in ("low", "high")] == [None] * 4
    assert told(capsys, *ask)[1] == f"{3999:>12,}  {row['loss']:.6f}\n"


def test_a_band_without_end_is_none(capsys, fit_file, tmp_path):
    vast = json.loads(fit_file.read_text())
    vast["covariance"] = [[1e9 * v for v in row] for row in vast["covariance"]]
    (tmp_path / "vast.json").write_text(json.dumps(vast))
    argv = ["predict", "--fit", str(tmp_path / "vast.json"), "--schedule", CANDIDATES[0], "--json", "--at", "0"]
    code, said, _ = told(capsys, *argv)
    assert code == 0 and json.loads(said)["predictions"][0]["parameter_high"] is None


@pytest.mark.parametrize("command", ["predict", "rank"])
def test_a_fit_in_doubt_is_told_once(capsys, fit_file, select_files, tmp_path, command):
    doubtful = tmp_path / "doubtful.json"
    ask = [command, "--fit", str(doubtful), "--schedule", CANDIDATES[0]]
    if command == "rank":
        ask += ["--schedule", CANDIDATES[1]]
    found = json.loads(fit_file.read_text())
    for status in Status:
        doubtful.write_text(json.dumps(found | {"status": status.name}))
        said = "" if status in (Status.converged, Status.tuned) else f"Annealing law: {status.value}\n"
        for extra in ([], ["--json"]):
            code, out, err = told(capsys, *ask, *extra)
            assert (code, err) == (0, said) and out
    average = json.loads(select_files[0].read_text())
    for part, weight, status in zip(average["fits"], (0.7, 0.3, 0.0), ("converged", "weak", "at_bound"), strict=True):
        part["status"] = status
        average["weights"][average["fits"].index(part)] = weight
    doubtful.write_text(json.dumps(average))
    code, _, err = told(capsys, *ask)
    assert (code, err) == (0, f"Power law in steps: {Status.weak.value}\n")


SIZES = [f"{size}_{name}_4000_8e-3" for size in ("tiny", "small") for name in ("constant", "cosine10")]


@pytest.mark.slow
@pytest.mark.parametrize("law", ["annealing", "chinchilla"])
def test_a_fit_to_several_sizes_is_told_which_one(capsys, tmp_path, law):
    out = tmp_path / "fit.json"
    argv = ["fit", "--law", law, "--runs", str(ROOT / "data" / "manifest.csv"), "--split", "val", "--train", *SIZES]
    assert told(capsys, *argv, "--test", "tiny_wsd20_4000_8e-3", "--json", str(out))[0] == 0
    ask = ["--fit", str(out), "--schedule", CANDIDATES[0], "--json"]
    for command in ("predict", "rank"):
        code, said, err = told(capsys, command, *ask)
        assert (code, said) == (1, "") and "fitted to several model sizes; say which one" in err
        assert err.count("\n") == 1
    finals = []
    for size in (37024, 123200):
        model = sized(load_fit(out), params=size, batch_tokens=2048)
        how = ["--params", str(size), "--batch-tokens", "2048"]
        (row,) = json.loads(told(capsys, "predict", *ask, *how)[1])["predictions"]
        assert row["loss"] == predict(model, parse(CANDIDATES[0]))[0]
        (ranked,) = json.loads(told(capsys, "rank", *ask, *how)[1])
        assert ranked["final_loss"] == row["loss"]
        finals.append(row["loss"])
    assert finals[0] > finals[1]


def test_no_overflow_escapes(capsys, fit_file, monkeypatch):
    def overflow(*_):
        raise OverflowError("int too big to convert")

    monkeypatch.setattr("optlaws_core.cli.predict.with_bands", overflow)
    code, _, err = told(capsys, "predict", "--fit", str(fit_file), "--schedule", CANDIDATES[0])
    assert (code, err) == (1, "A number is too large to be worked with (int too big to convert).\n")


def test_a_ranking_is_written_as_a_comparison_that_opens_with_its_numbers(capsys, fit_file, tmp_path, monkeypatch):
    out, law = tmp_path / "comparison.json", load_fit(fit_file)
    asked = ["rank", "--fit", str(fit_file), *(word for c in CANDIDATES for word in ("--schedule", c))]
    logs = ["--observed", str(BUNDLED), "--baseline", CANDIDATES[1], "--params", "7B"]
    code, _, err = told(capsys, *asked, *logs, "--bundle", str(out), "--title", "Which decay?")
    assert code == 0, err
    made = from_bundle(out.read_bytes())
    assert (made.title, made.fit) == ("Which decay?", law) and len(made.runs) == len(made.observed) == 9
    assert [c.schedule for c in made.candidates] == [parse(c) for c in CANDIDATES]
    assert made.view == {"params": 7e9, "baseline": 1} and {r.split for r in made.runs} == {law.split} == {"val"}
    schedules = [c.schedule for c in made.candidates]
    assert [r.final_loss for r in rank(made.fit, schedules)] == [r.final_loss for r in rank(law, schedules)]
    assert told(capsys, *asked, "--bundle", str(out))[0] == 0
    bare = from_bundle(out.read_bytes())
    assert bare.title == usual_title(schedules) and not bare.runs and not bare.view
    logs_at = tmp_path / "logs"
    logs_at.mkdir()
    risk = logs_at / "risk.csv"
    risk.write_text("kept")
    monkeypatch.setattr("optlaws_core.cli.rank.load_model", None)  # all are refused before anything is computed
    for wrong, said in (
        (["--title", "x"], "--title needs --bundle, the file of the comparison"),
        (["--bundle", str(fit_file)], "this file is read"),
        (["--bundle", str(out), "--title", "x" * 201], "--title must be a text of at most 200 characters"),
        (["--bundle", str(risk), "--risk-from", str(risk)], "this file is read"),
        (["--bibtex", str(risk), "--risk-from", str(risk)], "this file is read"),
        (["--bundle", str(risk), "--observed", str(logs_at)], "the folder around it is read"),
        (["--table", str(logs_at / "new.md"), "--observed", str(logs_at)], "the folder around it is read"),
        (["--bundle", str(out), "--bibtex", str(out)], f"--bundle {out}: --bibtex writes this file"),
        (["--table", str(out.with_suffix(".md")), "--bibtex", str(out.with_suffix(".md"))], "--table writes this"),
        (["--bundle", str(out), *(["--schedule", CANDIDATES[0]] * 98)], "holds at most 100 candidates, got 101."),
    ):
        code, _, err = told(capsys, *asked, *wrong)
        assert code == 1 and said in err
    assert risk.read_text() == "kept"

"""The command line: words, JSON keys, exit codes, one sentence on stderr."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from optlaws_core import LAWS, SCHEDULES, Average, fit, fit_sizes, parse, predict, rank, read, select, with_bands
from optlaws_core.cli import main
from optlaws_core.final_loss import FINAL_LAWS
from optlaws_core.fits import Status, load_fit
from optlaws_core.prediction import sized
from tests.test_fitting import HELD_OUT, PLANTED, TRAINING, twin_run

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = str(ROOT / "data" / "examples.csv")
TRAIN = ["constant_4000", "cosine10_4000", "drop30_4000"]
CANDIDATES = [
    "cosine(peak=8e-3, warmup=200, total=4000, final=8e-4)",
    "wsd(peak=8e-3, warmup=200, total=4000, decay=800)",
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
    code, out, _ = told(capsys, "laws", "--of", "final", "--json")
    assert code == 0 and [row["law"] for row in json.loads(out)] == list(FINAL_LAWS)
    code, out, _ = told(capsys, "schedules", "--json")
    assert code == 0 and [row["schedule"] for row in json.loads(out)] == list(SCHEDULES)
    for command, names in (("laws", LAWS), ("schedules", SCHEDULES)):
        code, out, _ = told(capsys, command)
        assert code == 0 and all(name in out for name in names)


def test_read(capsys):
    code, out, _ = told(capsys, "read", BUNDLED, "--json")
    rows = json.loads(out)
    assert code == 0 and len(rows) >= 6
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
    told_by_file = load_fit(fitted)
    assert told_by_file.theta == pytest.approx(same.theta) and told_by_file.test == same.test


def test_predict_and_rank(capsys, fitted):
    law = load_fit(fitted)
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


SELECT = ["select", "--runs", BUNDLED, "--split", "val", "--train", *TRAIN, "--processes", "1"]
CHOSEN = ["annealing", "power_law", "convex_bound"]


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    """The two files that `select` writes for the bundled runs."""
    folder = tmp_path_factory.mktemp("select")
    out, table = folder / "average.json", folder / "table.json"
    assert main([*SELECT, "--laws", *CHOSEN, "--json", str(out), "--table", str(table)]) == 0
    return out, table


def same_selection(pool=None):
    runs = {r.name: r.on("val") for r in read(BUNDLED).runs}
    others = [r for n, r in runs.items() if n not in TRAIN]
    return select(CHOSEN, [runs[n] for n in TRAIN], test=others, pool=pool, processes=1)


def timeless(model):
    d = model.to_dict()
    for part in (d, *d.get("fits", ())):
        part.pop("seconds", None)
    return d


def test_select_says_what_python_says(selected):
    out, table = selected
    same, found = same_selection(), load_fit(out)
    assert isinstance(found, Average) and timeless(found) == timeless(same.trusted)
    rows = {row["law"]: row for row in json.loads(table.read_text())}
    assert list(rows) == [f.law for f in same.fits] + ["average"]
    keys = ["law", "left_out", "misfit", "held_out_rmse", "held_out_mean_rel", "weight", "status", "message"]
    assert all(list(row) == keys for row in rows.values())
    for f, w in zip(same.average.fits, same.average.weights, strict=True):
        row = rows[f.law]
        assert (row["left_out"], row["misfit"], row["weight"]) == (same[f.law].left_out, same[f.law].misfit, w)
        assert (row["held_out_rmse"], row["status"], row["message"]) == (f.held_out_rmse, f.status.name, f.message)
        assert row["held_out_mean_rel"] == pytest.approx(sum(s.mean_rel for s in f.test.values()) / len(f.test))
    assert rows["average"]["message"] == same.advice and rows["average"]["weight"] is None


def test_select_tells_its_table_and_which_to_trust(capsys, tmp_path):
    out = tmp_path / "fit.json"
    argv = [*SELECT, "--laws", *CHOSEN, "--test", "wsd20_4000", "--json", str(out)]
    code, said, err = told(capsys, *argv)
    lines = said.splitlines()
    assert code == 0 and err == "" and lines[0].split()[:2] == ["law", "left"]
    same = same_selection()
    assert [line.split()[0] for line in lines[1:5]] == [*(f.law for f in same.fits), "average"]
    assert lines[5:] == [same.advice, f"The average is in {out}."]
    assert f"{100 * same.fits[0].left_out:.2f} %" in lines[1] and "converged" in lines[1]
    assert isinstance(load_fit(out), Average) and list(load_fit(out).test) == ["wsd20_4000"]
    pool = ["power_law", "convex_bound"]  # their average is worse than the law that is not in it
    code, said, err = told(capsys, *argv, "--pool", *pool)
    same = same_selection(pool)
    assert code == 0 and err == "" and same.average and same.trusted is same["annealing"]
    assert said.splitlines()[-2:] == [same.advice, f"Annealing law is in {out}."]
    assert load_fit(out).law == "annealing"


def test_select_names_laws_that_failed(capsys, planted):
    out, table = planted / "out.json", planted / "table.json"
    argv = ["select", "--runs", str(planted / "bare.csv"), "--train", "a", "b", "c", "--processes", "1"]
    argv += ["--laws", "power_law", "chinchilla", "--json", str(out), "--table", str(table)]
    code, said, err = told(capsys, *argv)
    assert code == 0 and err == "" and "chinchilla could not be fitted: This law needs the batch size" in said
    good, bad = json.loads(table.read_text())
    assert (good["law"], good["weight"], good["held_out_rmse"]) == ("power_law", None, None)
    assert (bad["law"], bad["status"], bad["left_out"]) == ("chinchilla", "failed", None)
    assert "batch size in tokens" in bad["message"] and load_fit(out).law == "power_law"
    code, said, err = told(capsys, *argv[:7], *["--laws", "chinchilla", "--processes", "1", "--json", str(out)])
    assert code == 1 and "needs the batch size" in err and err.count("\n") == 1


def test_select_tells_its_progress_to_a_terminal_only(capsys, tmp_path, monkeypatch):
    argv = [*SELECT, "--laws", "power_law", "--test", "wsd20_4000", "--json", str(tmp_path / "fit.json")]
    assert told(capsys, *argv)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(argv) == 0
    assert capsys.readouterr().err == " 25%\r 50%\r 75%\r    \r"


def test_select_on_a_cluster_gives_the_same_bits(capsys, tmp_path, selected, cluster):
    address, _ = cluster
    out = tmp_path / "average.json"
    argv = [*SELECT[:-2], "--laws", *CHOSEN, "--cluster", address, "--json", str(out)]
    assert told(capsys, *argv)[0] == 0
    assert timeless(load_fit(out)) == timeless(load_fit(selected[0]))


def test_an_average_predicts_and_ranks_with_bands(capsys, selected):
    out, model = str(selected[0]), load_fit(selected[0])
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
        assert list(row)[-2:] == ["prediction_low", "prediction_high"]
        half = with_bands(model, parse(row["schedule"])).prediction[0]
        assert row["prediction_high"] / row["final_loss"] == pytest.approx(row["final_loss"] / row["prediction_low"])
        assert row["prediction_high"] == pytest.approx(row["final_loss"] * 2.718281828459045**half)
    for command in ("predict", "rank"):
        said = told(capsys, command, "--fit", out, "--schedule", CANDIDATES[0])[1]
        low, high = (rows[-1][f"prediction_{end}"] for end in ("low", "high"))
        assert f"{rows[-1]['loss']:.6f}   90 % prediction band {low:.6f} to {high:.6f}" in said


def test_a_fit_without_left_out_runs_has_a_parameter_band_only(capsys, fitted, tmp_path):
    ask = ["--schedule", CANDIDATES[0], "--json"]
    (row,) = json.loads(told(capsys, "predict", "--fit", str(fitted), *ask)[1])["predictions"]
    assert row["prediction_low"] is row["prediction_high"] is None
    assert row["parameter_low"] < row["loss"] < row["parameter_high"]
    (ranked,) = json.loads(told(capsys, "rank", "--fit", str(fitted), *ask)[1])
    assert ranked["prediction_low"] is ranked["prediction_high"] is None
    band = f"{row['loss']:.6f}   90 % parameter band {row['parameter_low']:.6f} to {row['parameter_high']:.6f}"
    for command in ("predict", "rank"):
        assert band in told(capsys, command, "--fit", str(fitted), *ask[:2])[1]
    old = json.loads(fitted.read_text())
    for key in ("free", "covariance", "misfit", "left_out"):
        del old[key]
    (tmp_path / "old.json").write_text(json.dumps(old))
    (bare,) = json.loads(told(capsys, "predict", "--fit", str(tmp_path / "old.json"), *ask)[1])["predictions"]
    assert bare["loss"] == row["loss"] and bare["parameter_low"] is bare["parameter_high"] is None
    for command in ("predict", "rank"):
        assert "band" not in told(capsys, command, "--fit", str(tmp_path / "old.json"), *ask[:2])[1]


def test_a_band_that_is_not_known_is_none(capsys, fitted, monkeypatch):
    monkeypatch.setattr(
        "optlaws_core.cli.curves.with_bands", lambda *a: replace(with_bands(*a), parameter=None, prediction=None)
    )
    ask = ["predict", "--fit", str(fitted), "--schedule", CANDIDATES[0]]
    (row,) = json.loads(told(capsys, *ask, "--json")[1])["predictions"]
    assert [row[f"{kind}_{end}"] for kind in ("parameter", "prediction") for end in ("low", "high")] == [None] * 4
    assert told(capsys, *ask)[1] == f"{3999:>12,}  {row['loss']:.6f}\n"


@pytest.mark.parametrize("command", ["predict", "rank"])
def test_a_fit_in_doubt_is_told_once(capsys, fitted, selected, tmp_path, command):
    doubtful = tmp_path / "doubtful.json"
    ask = [command, "--fit", str(doubtful), "--schedule", CANDIDATES[0]]
    if command == "rank":
        ask += ["--schedule", CANDIDATES[1]]
    found = json.loads(fitted.read_text())
    for status in Status:
        doubtful.write_text(json.dumps(found | {"status": status.name}))
        said = "" if status in (Status.converged, Status.tuned) else f"Annealing law: {status.value}\n"
        for extra in ([], ["--json"]):
            code, out, err = told(capsys, *ask, *extra)
            assert (code, err) == (0, said) and out
    average = json.loads(selected[0].read_text())
    for part, weight, status in zip(average["fits"], (0.7, 0.3, 0.0), ("converged", "weak", "at_bound"), strict=True):
        part["status"] = status
        average["weights"][average["fits"].index(part)] = weight
    doubtful.write_text(json.dumps(average))
    code, _, err = told(capsys, *ask)
    assert (code, err) == (0, f"Power law in steps: {Status.weak.value}\n")


SIZES = [f"{size}_{name}_4000_8e-3" for size in ("tiny", "small") for name in ("constant", "cosine10")]


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


def test_scores_without_a_value_are_not_written(capsys, tmp_path, monkeypatch):
    def exploding(*args, **how):
        made = fit(*args, **how)
        return replace(made, test={n: replace(s, rmse=float("inf")) for n, s in made.test.items()})

    monkeypatch.setattr("optlaws_core.cli.curves.fit", exploding)
    out = tmp_path / "fit.json"
    argv = ["fit", "--law", "power_law", "--runs", BUNDLED, "--train", *TRAIN, "--test", "wsd20_4000"]
    code, _, err = told(capsys, *argv, "--json", str(out))
    assert (code, out.exists()) == (1, False)
    assert err == f"{out}: the fit has scores that are not finite numbers, so it was not written.\n"


def test_a_band_without_end_is_none(capsys, fitted, tmp_path):
    vast = json.loads(fitted.read_text())
    vast["covariance"] = [[1e9 * v for v in row] for row in vast["covariance"]]
    (tmp_path / "vast.json").write_text(json.dumps(vast))
    argv = ["predict", "--fit", str(tmp_path / "vast.json"), "--schedule", CANDIDATES[0], "--json", "--at", "0"]
    code, said, _ = told(capsys, *argv)
    assert code == 0 and json.loads(said)["predictions"][0]["parameter_high"] is None


@pytest.fixture
def planted(tmp_path):
    """A folder of planted runs: `sizes.csv` with two model sizes, `bare.csv` without any declared size or batch."""
    rows = []
    for size in (2.5e7, 1e8):
        for i, (name, text) in enumerate(zip("abcd", (*TRAINING, HELD_OUT), strict=True)):
            run = twin_run("annealing", text, PLANTED["annealing"] | {"L0": 2.6 if size == 1e8 else 3.0}, 1e-3, i)
            file = f"{name}{size:g}.csv"
            losses = "".join(f"{t},{y:.6f}\n" for t, y in zip(run.steps, run.loss, strict=True))
            (tmp_path / file).write_text("step,loss\n" + losses)
            rows.append((name if size == 1e8 else f"small_{name}", file, f"{size:g}", f'"{text}"'))
    (tmp_path / "sizes.csv").write_text("run,file,params,schedule\n" + "".join(",".join(r) + "\n" for r in rows))
    bare = [(n, f, s) for n, f, _, s in rows if n in "abc"]
    (tmp_path / "bare.csv").write_text("run,file,schedule\n" + "".join(",".join(r) + "\n" for r in bare))
    return tmp_path


def test_several_sizes_are_fitted_together(capsys, planted):
    out = planted / "fit.json"
    base = ["fit", "--joint", "--law", "annealing", "--runs", str(planted / "sizes.csv"), "--json", str(out)]
    code, said, err = told(capsys, *base, "--train", "a", "b", "c", "small_a", "small_b")
    assert code == 0 and err == "" and not out.exists()
    small, large = (load_fit(planted / f"fit-{size}.json") for size in ("2.5e7", "1e8"))
    assert f"2.5e7 parameters: {planted / 'fit-2.5e7.json'}" in said and "lam is shared with the runs of 1e8" in said
    assert small.theta["lam"] == large.theta["lam"] and set(small.test) == {"small_c", "small_d"}
    runs = {r.name: r for r in read(planted / "sizes.csv").runs}
    same = fit_sizes("annealing", [runs[n] for n in ("a", "b", "c", "small_a", "small_b")])
    assert {1e8: large.theta, 2.5e7: small.theta} == {n: f.theta for n, f in same.items()}
    code, _, err = told(capsys, *base, "--train", "a", "b", "c", "--lock", "lam=0.99")
    assert code == 0 and err.count("\n") == 4 and "'small_a' has no model size, or one that no training run has" in err


@pytest.mark.parametrize(
    "argv, found",
    [
        (["fit", "--joint", "--runs", "{planted}/bare.csv", "--train", "a", "--law", "annealing"],
         "Run 'a' has no model size"),
        (["fit", "--joint", "--runs", "{planted}/sizes.csv", "--train", "a", "--test", "small_a", "--law", "annealing"],
         "'small_a' has 2.5e7 parameters; no training run has, but 1e8"),
        (["fit", "--joint", "--runs", "{planted}/sizes.csv", "--train", "a", "--law", "annealing", "--lock", "x=1"],
         "annealing has no coefficient 'x'"),
        (["select", "--laws", "magic", "--runs", BUNDLED, "--train", *TRAIN], "Unknown law 'magic'"),
        (["select", "--laws", "power_law", "--pool", "annealing", "--runs", BUNDLED, "--train", *TRAIN],
         "Laws to average must be among those that are fitted (power_law), got annealing"),
        (["select", "--pool", "annealing", "--runs", BUNDLED, "--train", *TRAIN],
         "An average needs two laws at least, got annealing alone"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--cluster", "tcp://a:1", "--processes", "2"],
         "--processes: not allowed with argument --cluster"),
        (["select", "--runs", BUNDLED, "--train", "none"], "no run 'none'"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--test", TRAIN[0]], "either trained on or held out"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, TRAIN[0]], "--train: a run counts once"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--processes", "0"], "must be at least 1, got 0"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--processes", "x"], "--processes: invalid int value: 'x'"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--cluster", "here"], "reads tcp://host:port, got 'here'"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--split", "zzz"], "has no split 'zzz'"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--table", "{planted}"], "--table {planted}: what is found"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--table", "{planted}/out.json"], "a file of its own"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--table", "/no/such/x"], "there is no folder '/no/such'"),
    ],
)  # fmt: skip
def test_bad_selections_are_one_sentence(capsys, planted, argv, found):
    given = [a.format(planted=planted) for a in argv]
    code, out, err = told(capsys, *given, "--json", str(planted / "out.json"))
    assert code == 1 and out == "" and found.format(planted=planted) in err and err.count("\n") == 1
    assert not (planted / "out.json").exists()


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
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--test", TRAIN[0], "--json", "{tmp}/x"],
         "either trained on or held out"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--lock", "lam", "--json", "{tmp}/x"],
         "--lock takes NAME=VALUE"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--split", "zzz", "--json", "{tmp}/x"],
         "has no split 'zzz'"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", "/no/such/folder/x"],
         "/no/such/folder/x: there is no folder '/no/such/folder'"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, TRAIN[0], "--json", "{tmp}/x"],
         f"--train: a run counts once, got {TRAIN[0]!r} 2 times"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", "{tmp}"], "this is a folder"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", ""], "path must not be empty"),
        (["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--from-step", "x", "--json", "{tmp}/x"],
         "--from-step: a step is a whole number, got 'x'"),
        (["read", ""], "A path must name a file or a folder, got ''"),
        (["predict", "--fit", "", "--schedule", CANDIDATES[0]], "path must not be empty"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--at", "abc"], "a whole number, got 'abc'"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--at", "9" * 20], "at most 1e+15, got '9999"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--at", "9" * 9000], "a whole number, got '9999"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--params", "0"],
         "--params: a number above 0 is needed, got '0'"),
        (["rank", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--params", "inf"], "above 0 is needed, got 'inf'"),
        (["rank", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--batch-tokens", "-1"],
         "--batch-tokens: a number above 0 is needed, got '-1'"),
        (["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--batch-tokens", "many"],
         "a number above 0 is needed, got 'many'"),
        (["predict", "--fit", "{fit}", "--schedule", "constant(peak=1e-3, total=" + "9" * 9000 + ")"], "total must be"),
        ([], "arguments are required: COMMAND"),
        (["predict"], "arguments are required: --fit"),
        (["no-such\ncommand"], "invalid choice"),
        (["laws", "two\nlines"], "unrecognized arguments: two lines"),
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
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "required: COMMAND" in done.stderr


def test_ctrl_c_stops_in_one_line(capsys, monkeypatch):
    def stopped(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("optlaws_core.cli._laws", stopped)
    assert told(capsys, "laws") == (130, "", "Stopped.\n")
    script = (
        "import runpy, signal, sys\n"
        "import optlaws_core.cli as cli\n"
        "cli._laws = lambda args: signal.default_int_handler(signal.SIGINT, None)\n"
        "sys.argv = ['optlaws_core', 'laws']\n"
        "runpy.run_module('optlaws_core', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped.\n")


ODD = "odd \ud800 näme\n\x1b[31m"


@pytest.fixture
def odd_log(tmp_path):
    """A W&B history whose run has half a character, a line break and an escape sequence in its name."""
    table = {"iter": [0, 10, 20], "train_loss": [3.0, 2.5, 2.0], "train_lr": [1e-3] * 3}
    log = tmp_path / "odd.json"
    log.write_text(json.dumps({"name": ODD, "config": {}, "history": {"train": table}}))
    return log


@pytest.mark.parametrize(
    "encoding, shown", [("ascii", b"odd n\\xe4me [31m: 3 points"), ("utf-8", "odd näme [31m: 3 points".encode())]
)
def test_any_encoding_can_show_any_name(odd_log, encoding, shown):
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    argv = [sys.executable, "-m", "optlaws_core", "read", str(odd_log)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, env=env, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith(shown) and done.stderr == b""


@pytest.mark.parametrize(
    "words, code, err",
    [
        ("laws >&-", 0, 0),
        ("nothing 2>&-", 1, 0),
        ("nothing >&- 2>&-", 1, 0),
        ("laws --json | head -c 1", 0, 0),
        pytest.param(
            "laws > /dev/full", 1, 1, marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
        ),
    ],
)
def test_streams_may_be_closed_or_full(words, code, err):
    argv = ["bash", "-c", f'set -o pipefail; "{sys.executable}" -m optlaws_core {words}']
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == code and done.stderr.count("\n") == err and "invalid choice" not in done.stdout


def test_an_ascii_terminal_can_show_a_fit(tmp_path):
    argv = [sys.executable, "-m", "optlaws_core", "fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    argv += ["--test", "wsd20_4000", "--json", str(tmp_path / "fit.json")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0 and "R\\xb2" in done.stdout


LOG = "step,loss,lr\n" + "".join(f"{s},{3 - s / 100},1e-3\n" for s in range(0, 100, 5))


@pytest.fixture
def folder(tmp_path):
    """Three usable runs with a val loss; a short one, one without val, one without a rate; and a file that is none."""
    for name, peak in (("a", 1e-3), ("b", 5e-4), ("c", 2e-4)):
        rows = "".join(f"{s},{3 - s / 100},{3.1 - s / 100},{peak if s < 60 else peak / 3}\n" for s in range(0, 100, 5))
        (tmp_path / f"{name}.csv").write_text("step,loss,val_loss,lr\n" + rows)
    (tmp_path / "short.csv").write_text("step,loss,val_loss,lr\n0,3,3,1e-3\n5,2.9,2.9,1e-3\n10,2.8,2.8,1e-3\n")
    (tmp_path / "train_only.csv").write_text(LOG)
    (tmp_path / "no_rate.csv").write_text("step,loss,val_loss\n0,3,3\n50,2.9,2.9\n90,2.8,2.8\n")
    (tmp_path / "bad.csv").write_text("neither,nor\n1,2\n")
    return tmp_path


def test_unsuitable_bystanders_do_not_block_a_fit(capsys, folder):
    out = folder / "out" / "fit.json"
    out.parent.mkdir()
    base = ["fit", "--law", "annealing", "--runs", str(folder), "--json", str(out)]
    argv = [*base, "--train", "a", "b", "--split", "val", "--from-step", "30"]
    code, _, err = told(capsys, *argv)
    assert code == 0 and list(json.loads(out.read_text())["test"]) == ["c"]
    lines = err.strip().splitlines()
    reasons = ("bad.csv: no column is known as a loss", "'no_rate' has no learning rate", "'short' needs at least 2",
               "'train_only' has no split 'val'")  # fmt: skip
    for reason in reasons:
        assert len([line for line in lines if reason in line]) == 1
    assert sum(line.startswith("Not held out: ") for line in lines) == 3
    out.unlink()
    for named in ("--train", "--test"):  # what is named must be usable
        names = ["--train", "a", "train_only"] if named == "--train" else ["--train", "a", "--test", "train_only"]
        code, _, err = told(capsys, *base, *names, "--split", "val")
        assert code == 1 and "'train_only' has no split 'val'" in err and len(err.splitlines()) == 1


def test_what_was_not_read_is_told_on_stderr(capsys, folder):
    code, out, err = told(capsys, "read", str(folder), "--json")
    assert code == 0 and len(json.loads(out)) == 6
    assert "bad.csv: no column is known as a loss" in err and len(err.splitlines()) == 1
    manifest = folder / "manifest.csv"
    manifest.write_text("run,file,params\nx,a.csv,1e6\ny,gone.csv,1e6\n")
    code, out, err = told(capsys, "read", str(manifest), "--json")
    assert code == 0 and [row["run"] for row in json.loads(out)] == ["x"]
    assert err == f"{manifest}: files that it names are not beside it: gone.csv.\n"
    argv = ["fit", "--law", "annealing", "--runs", str(manifest), "--train", "y", "--json", str(folder / "fit.json")]
    code, _, err = told(capsys, *argv)
    assert code == 1 and "There is no run 'y'. Known runs: x." in err and "gone.csv" in err and err.count("\n") == 1
    manifest.write_text("run,file,params\ny,gone.csv,1e6\n")
    code, _, err = told(capsys, "read", str(manifest))
    assert code == 1 and "no runs were found" in err and "gone.csv" in err and err.count("\n") == 1


def test_a_fit_is_not_begun_when_it_cannot_be_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("optlaws_core.cli.logs.read", lambda *paths: pytest.fail("read before the file was checked"))
    sealed = tmp_path / "sealed.json"
    sealed.write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: path != sealed)
    for out in (str(tmp_path), str(tmp_path / "no" / "fit.json"), str(sealed), "", str(tmp_path / ("x" * 300))):
        argv = ["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", out]
        code, _, err = told(capsys, *argv)
        assert code == 1 and err.count("\n") == 1 and (out in err if out else "--json: a path must not be empty" in err)
    assert sealed.read_text() == "old"


def test_no_overflow_escapes(capsys, fitted, monkeypatch):
    def overflow(*_):
        raise OverflowError("int too big to convert")

    monkeypatch.setattr("optlaws_core.cli.curves.with_bands", overflow)
    code, _, err = told(capsys, "predict", "--fit", str(fitted), "--schedule", CANDIDATES[0])
    assert (code, err) == (1, "A number is too large to be worked with (int too big to convert).\n")

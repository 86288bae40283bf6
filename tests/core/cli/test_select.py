"""The command line on several laws and sizes: `select`, its table and advice, and `fit --joint`."""

import json
import sys

import pytest

from optlaws_core import Average, fit_sizes, read, select
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.text import relative_error
from tests.knowledge.planted import HELD_OUT, PLANTED, TRAINING, twin_run
from tests.support.commands import BUNDLED, CHOSEN, SELECT, TRAIN, command, told


def same_selection(pool=None):
    runs = {r.name: r.on("val") for r in read(BUNDLED).runs}
    others = [r for n, r in runs.items() if n not in TRAIN]
    return select(CHOSEN, [runs[n] for n in TRAIN], test=others, pool=pool, processes=1)


def timeless(model):
    d = model.to_dict()
    for part in (d, *d.get("fits", ())):
        part.pop("seconds", None)
    return d


def test_select_says_what_python_says(select_files):
    out, table = select_files
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


@pytest.mark.slow
def test_select_tells_its_table_and_which_to_trust(capsys, tmp_path):
    out = tmp_path / "fit.json"
    argv = [*SELECT, "--laws", *CHOSEN, "--test", "wsd20_4000", "--json", str(out)]
    code, said, err = told(capsys, *argv)
    lines = said.splitlines()
    assert code == 0 and err == "" and lines[0].split()[:2] == ["law", "left"]
    same = same_selection()
    assert [line.split()[0] for line in lines[1:5]] == [*(f.law for f in same.fits), "average"]
    assert lines[5:] == [same.advice, f"The average is in {out}."]
    assert f"{relative_error(same.fits[0].left_out)} " in lines[1] and "converged" in lines[1]
    assert isinstance(load_fit(out), Average) and list(load_fit(out).test) == ["wsd20_4000"]
    pool = ["power_law", "convex_bound"]  # their average is worse than the law that is not in it
    code, said, err = told(capsys, *argv, "--pool", *pool)
    same = same_selection(pool)
    assert code == 0 and err == "" and same.average and same.trusted is same["annealing"]
    assert said.splitlines()[-2:] == [same.advice, f"Annealing law is in {out}."]
    assert load_fit(out).law == "annealing"


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
    assert command(*argv) == 0
    assert capsys.readouterr().err == " 25 %\r 50 %\r 75 %\r     \r"


@pytest.mark.slow
def test_select_on_a_cluster_gives_the_same_bits(capsys, tmp_path, select_files, cluster):
    address, _ = cluster
    out = tmp_path / "average.json"
    argv = [*SELECT[:-2], "--laws", *CHOSEN, "--cluster", address, "--json", str(out)]
    assert told(capsys, *argv)[0] == 0
    assert timeless(load_fit(out)) == timeless(load_fit(select_files[0]))


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
        (
            ["fit", "--joint", "--runs", "{planted}/bare.csv", "--train", "a", "--law", "annealing"],
            "Run 'a' has no model size",
        ),
        (
            [
                "fit",
                "--joint",
                "--runs",
                "{planted}/sizes.csv",
                "--train",
                "a",
                "--test",
                "small_a",
                "--law",
                "annealing",
            ],
            "'small_a' has 2.5e7 parameters; the training runs have 1e8",
        ),
        (
            ["fit", "--joint", "--runs", "{planted}/sizes.csv", "--train", "a", "--law", "annealing", "--lock", "x=1"],
            "annealing has no coefficient 'x'",
        ),
        (["select", "--laws", "magic", "--runs", BUNDLED, "--train", *TRAIN], "Unknown law 'magic'"),
        (
            ["select", "--laws", "power_law", "--pool", "annealing", "--runs", BUNDLED, "--train", *TRAIN],
            "Laws to average must be among those that are fitted (power_law), got annealing",
        ),
        (
            ["select", "--pool", "annealing", "--runs", BUNDLED, "--train", *TRAIN],
            "An average needs at least two laws, got annealing alone",
        ),
        (
            ["select", "--runs", BUNDLED, "--train", *TRAIN, "--cluster", "tcp://a:1", "--processes", "2"],
            "--processes: not allowed with argument --cluster",
        ),
        (["select", "--runs", BUNDLED, "--train", "none"], "no run 'none'"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--test", TRAIN[0]], "either trained on or held out"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, TRAIN[0]], "--train: a run counts once"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--processes", "0"], "must be at least 1, got 0"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--processes", "x"], "--processes: invalid int value: 'x'"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--cluster", "here"], "reads tcp://host:port, got 'here'"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--split", "zzz"], "has no split 'zzz'"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--table", "{planted}"], "--table {planted}: the result"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--table", "{planted}/out.json"], "a file of its own"),
        (["select", "--runs", BUNDLED, "--train", *TRAIN, "--table", "/no/such/x"], "there is no folder '/no/such'"),
    ],
)
def test_bad_selections_are_one_sentence(capsys, planted, argv, found):
    given = [a.format(planted=planted) for a in argv]
    code, out, err = told(capsys, *given, "--json", str(planted / "out.json"))
    assert code == 1 and out == "" and found.format(planted=planted) in err and err.count("\n") == 1
    assert not (planted / "out.json").exists()

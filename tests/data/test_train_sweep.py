"""The training program's sweeps: what they declare, what survives a kill, and what is refused."""

import csv
import random
import subprocess
import sys
import time
from io import StringIO
from multiprocessing import Pipe
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch", reason="the training program needs torch; nothing else does")

from data import train  # noqa: E402
from data.sweep import Manifest, SweepError, as_parquet, filled, read_sweep  # noqa: E402
from optlaws_core.readers import Source, read_source  # noqa: E402
from tests.data.training import ROOT, corpus, finished, rows_of, spec  # noqa: E402

pytestmark = pytest.mark.slow

SWEEP = """
[sizes.tiny]
d_model = 16
layers = 1
heads = 2
context = 32

[shapes]
cosine10 = "cosine(peak=P, warmup=W, total=T, final=0.1P)"
linear = "linear(peak=P, warmup=W, total=T)"
late = "wsd(peak=P, warmup=W, total=T, decay=2T)"
fast = "fast"

[defaults]
name = "x"
size = "tiny"
shape = "cosine10"
text = "topics"
batch = 4
peak = 1e-2
warmup = 10
total = 230
validate_every = 50
"""


def declare(folder: Path, more: str) -> Path:
    path = folder / "sweep.toml"
    path.write_text(SWEEP + more, encoding="utf-8")
    return path


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_entry_with_lists_is_a_run_for_every_combination(tmp_path):
    entry = """[[runs]]
    name = "{shape}-{peak}-{total}"
    shape = ["cosine10", "linear"]
    peak = [8e-3, 16e-3]
    """
    specs = read_sweep(declare(tmp_path, entry))
    assert [s.name for s in specs] == ["cosine10-8e-3-230", "cosine10-0.016-230", "linear-8e-3-230", "linear-0.016-230"]
    assert specs[1].schedule.text == "cosine(peak=0.016, warmup=10, total=230, final=0.0016)"


@pytest.mark.parametrize(
    "shape, text",
    [
        ("wsd(peak=P, warmup=W, total=T, decay=0.15T, final=0.1P)", "peak=8e-3, warmup=200, total=1000, decay=150, fi"),
        ("step(peak=P, total=T, boundaries=[.8T, 0.9T], values=[0.3P, .1P])", "[800, 900], values=[0.0024, 8e-4]"),
        ("wsd(peak=2P, total=T, decay=7, shape=1-sqrt)", "wsd(peak=0.016, total=1000, decay=7, shape=1-sqrt)"),
    ],
)
def test_a_shape_is_filled_with_shares_of_peak_and_horizon(shape, text):
    assert text in filled(shape, 8e-3, 200, 1000)


def test_a_second_start_makes_only_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "load_texts", lambda names: dict.fromkeys(names, corpus()))
    logs = tmp_path / "runs"
    Manifest(logs).add(spec(name="c", text="topics"), *finished(), order=["c"])
    first = (logs / "c.parquet").stat().st_mtime_ns, Manifest(logs).rows["c"]

    sweep = declare(tmp_path, '[[runs]]\nname = ["a", "b", "c"]')
    command = ["--sweep", str(sweep), "--out", str(logs), "--jobs", "2"]
    assert train.main(command) == 0
    assert "1 of 3 runs are there already" in capsys.readouterr().err
    assert ((logs / "c.parquet").stat().st_mtime_ns, Manifest(logs).rows["c"]) == first
    assert list(Manifest(logs).rows) == ["a", "b", "c"]  # in the order of the sweep, not of the making
    # Side by side or alone, in this process or another: the same digits.
    assert {(logs / f"{name}.parquet").read_bytes() for name in "abc"} == {as_parquet(finished()[0])}

    monkeypatch.setattr(train, "_start", None)  # a third start starts nothing
    assert train.main(command) == 0


def test_a_sweep_killed_at_a_random_moment_ends_with_the_same_files(tmp_path):
    """Killed over and over, each time at another moment, until it comes to its end; then beside one left alone."""
    entries = """
    [[runs]]
    name = "parent-{seed}"
    seed = [1, 2]
    [[runs]]
    name = "child-{peak}"
    parent = "parent-2"
    peak = [1e-3, 1e-2]
    """
    command = [sys.executable, "-m", "data.train", "--jobs", "2", "--sweep", str(declare(tmp_path, entries)), "--out"]
    started = time.monotonic()
    subprocess.run([*command, str(tmp_path / "calm" / "runs")], cwd=ROOT, check=True, capture_output=True)
    whole, chance = time.monotonic() - started, random.Random()
    kills = 0
    while kills < 4:
        process = subprocess.Popen([*command, str(tmp_path / "killed" / "runs")], cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            process.wait(chance.uniform(0.6, 1.0) * whole)  # before, torch is loaded
            break  # it came to its end
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    before = {n: row for n, row in Manifest(tmp_path / "killed" / "runs").rows.items()}
    subprocess.run([*command, str(tmp_path / "killed" / "runs")], cwd=ROOT, check=True, capture_output=True)

    calm, killed = (Manifest(tmp_path / way / "runs") for way in ("calm", "killed"))
    assert {n: killed.rows[n] for n in before} == before  # nothing that was finished was made again
    assert list(killed.rows) == list(calm.rows) == ["parent-1", "parent-2", "child-1e-3", "child-0.01"]
    for name, row in calm.rows.items():
        same = {key: value for key, value in row.items() if not key.endswith("_seconds")}
        assert {key: killed.rows[name][key] for key in same} == same
        log = f"{name}.parquet"
        assert (killed.logs / log).read_bytes() == (calm.logs / log).read_bytes()
    assert (
        files_in(tmp_path / "killed")
        == files_in(tmp_path / "calm")
        == {
            "manifest.csv",
            "checkpoints/parent-2.pt",
            *(f"runs/{name}.parquet" for name in calm.rows),
        }
    )


def test_a_finished_parent_is_made_again_when_its_weights_are_gone(tmp_path, capsys):
    entries = '[[runs]]\nname = "p"\ntotal = 50\n[[runs]]\nname = "c"\nparent = "p"\ntotal = 50\n'
    command = ["--sweep", str(declare(tmp_path, entries)), "--out", str(tmp_path / "runs")]
    assert train.main(command) == 0
    kept, child = Manifest(tmp_path / "runs").rows["p"], (tmp_path / "runs" / "c.parquet").read_bytes()
    (tmp_path / "checkpoints" / "p.pt").unlink()
    assert train.main(command) == 0  # all logs are there, so nothing is made
    assert not (tmp_path / "checkpoints" / "p.pt").exists()
    (tmp_path / "runs" / "c.parquet").unlink()
    assert train.main(command) == 0
    assert (tmp_path / "runs" / "c.parquet").read_bytes() == child
    assert Manifest(tmp_path / "runs").rows["p"] == kept
    assert "rounds otherwise" not in capsys.readouterr().err


def test_a_parent_that_is_made_anew_leaves_no_child_of_the_old_one(tmp_path):
    entries = '[[runs]]\nname = "p"\ntotal = 50\npeak = {peak}\n[[runs]]\nname = "c"\nparent = "p"\ntotal = 50\n'
    command = ["--sweep", str(declare(tmp_path, entries.format(peak=1e-2))), "--out", str(tmp_path / "runs")]
    assert train.main(command) == 0
    weights, child = ((tmp_path / name).read_bytes() for name in ("checkpoints/p.pt", "runs/c.parquet"))
    declare(tmp_path, entries.format(peak=2e-2))
    (tmp_path / "runs" / "p.parquet").unlink()
    assert train.main(command) == 0
    assert (tmp_path / "checkpoints" / "p.pt").read_bytes() != weights
    assert (tmp_path / "runs" / "c.parquet").read_bytes() != child


def test_a_run_that_dies_is_named_and_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    def start(task):
        mine, theirs = Pipe()
        if task.spec.name != "a":
            theirs.send(20)
            theirs.send(finished())
        theirs.close()
        return mine

    monkeypatch.setattr(train, "load_texts", lambda names: dict.fromkeys(names, corpus()))
    monkeypatch.setattr(train, "_start", start)
    entries = '[[runs]]\nname = ["a", "b"]\n[[runs]]\nname = "child"\nparent = "a"\n'
    assert train.main(["--sweep", str(declare(tmp_path, entries)), "--out", str(tmp_path / "runs")]) == 1
    said = capsys.readouterr().err
    assert "Run 'a' ended without a log" in said and "Run 'child' ended without a log" in said
    assert list(Manifest(tmp_path / "runs").rows) == ["b"]


def test_the_time_left_weighs_runs_by_their_cost():
    short, long = spec("constant(peak=1, total=100)", "short"), spec("constant(peak=1, total=300)", "long")
    progress = train.Progress(5, [short, long], StringIO(), started=time.perf_counter() - 60)
    progress.update(short, 100)
    assert progress.line() == "3 of 5 runs · 25% · 3 min left"
    progress.update(long, 150)
    assert progress.line() == "3 of 5 runs · 62% · 36 s left · long 150/300"
    assert [train.duration(s) for s in (59, 840, 7500)] == ["59 s", "14 min", "2 h 5 min"]


def test_a_finished_run_is_not_passed_off_as_another(tmp_path):
    manifest = Manifest(tmp_path / "runs")
    manifest.add(spec(), *finished(), order=["x"])
    assert Manifest(tmp_path / "runs").unfinished([spec()]) == []
    with pytest.raises(SweepError, match=r"'x' is finished with seed 1, but the sweep now says 2"):
        manifest.unfinished([spec(seed=2)])
    manifest.check_corpus("tests", "0" * 64)  # another text, so it may differ
    with pytest.raises(SweepError, match="use another --out"):
        manifest.check_corpus("library", "0" * 64)
    (tmp_path / "runs" / "x.parquet").unlink()
    assert manifest.unfinished([spec(seed=2)]) == [spec(seed=2)]  # deleting the log frees the name


def test_a_foreign_manifest_is_left_alone(tmp_path):
    (tmp_path / "manifest.csv").write_text("run,file\n")
    with pytest.raises(SweepError, match="not a manifest of this program"):
        Manifest(tmp_path / "runs")


def test_the_logs_are_read_like_a_users_own(tmp_path):
    Manifest(tmp_path / "runs").add(spec(), *finished(), order=["x"])
    log = tmp_path / "runs" / "x.parquet"
    (run,) = read_source(Source("x.parquet", log.read_bytes())).runs
    assert run.lr_source == "logged" and set(run.series) == {"train", "val"}
    assert run.on("val").loss.tolist() == [v for v in rows_of(pq.read_table(log))["val_loss"] if v is not None]
    with (tmp_path / "manifest.csv").open(newline="") as lines:
        assert [row["file"] for row in csv.DictReader(lines)] == ["runs/x.parquet"]


def entry(more: str = "") -> str:
    return SWEEP + f"[[runs]]\n{more}\n"


BAD_SWEEPS = {
    "not TOML": ("[[runs]", "is not valid TOML"),
    "no runs": (SWEEP, r"at least one \[\[runs\]\] entry, got none"),
    "unknown table": (SWEEP + "[size]", r"holds \[sizes.…\], \[shapes\], \[defaults\] and \[\[runs\]\], got size"),
    "missing field": (entry().replace("peak = 1e-2", ""), "Entry 1: a run has exactly seed, .*, got peak missing"),
    "unknown field": (entry("lr = 1"), "Entry 1: .*, got lr unknown"),
    "bad schedule": (entry('shape = "late"'), "Entry 1, run 'x': wsd: decay must"),
    "no schedule": (entry('shape = "fast"'), "Entry 1, run 'x': "),
    "bad peak": (entry('peak = "high"'), "Entry 1, run 'x': peak, warmup and total must be numbers, got 'high' for P"),
    "unknown size": (entry('size = "big"'), r"size must name one of the declared sizes \(tiny\), got 'big'"),
    "unknown shape": (
        entry('shape = "flat"'),
        r"shape must name one of the declared shapes \(cosine10, .*, got 'flat'",
    ),
    "unknown text": (entry('text = "books"'), "text must be one of library, tests, topics, got 'books'"),
    "bad size": ("[sizes.s]\nlayers = 2\n[[runs]]", "Size 's' needs exactly d_model, .*, got layers"),
    "odd heads": (entry().replace("heads = 2", "heads = 3"), "size 'tiny': heads must divide d_model, got 3 heads"),
    "bad batch": (entry("batch = 0"), "Entry 1, run 'x': batch must be a whole number of at least 1, got 0"),
    "bad seed": (entry("seed = -1"), "seed must be a whole number of at least 0, got -1"),
    "bad name": (entry('name = "a/b"'), "name is used for a file"),
    "bad field in name": (entry('name = "{mood}"'), "name may hold fields such as {size}"),
    "same name": (entry("peak = [1, 2]"), "its own name, got 'x' twice"),
    "odd interval": (entry("validate_every = 30"), "validate_every must be a multiple of 25, got 30"),
    "no values": (entry("seed = []"), "Entry 1: seed must have a value or several, got an empty list"),
    "endless": (entry("total = inf"), "peak, warmup and total must be numbers, got inf for T"),
    "sizes no table": ("sizes = 3", r"\[sizes\] must be a table, got 3"),
    "unknown parent": (entry('parent = "y"'), "Run 'x': its parent must stand before it, got 'y'"),
}


@pytest.mark.parametrize("text, message", BAD_SWEEPS.values(), ids=BAD_SWEEPS)
def test_a_bad_sweep_is_refused_in_one_sentence(tmp_path, text, message):
    path = tmp_path / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SweepError, match=message) as caught:
        read_sweep(path)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_the_command_says_what_is_wrong_and_stops(tmp_path, capsys):
    assert train.main(["--sweep", str(tmp_path / "none.toml"), "--out", str(tmp_path / "runs")]) == 2
    assert "none.toml' cannot be read: No such file or directory." in capsys.readouterr().err

"""The training program: what a log holds, that a seed fixes it to the last digit, and what survives a kill."""

import csv
import subprocess
import sys
import time
from io import StringIO
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training program needs torch; nothing else does")

from data import train  # noqa: E402
from data.corpus import Corpus, batches, heldout_windows, load_corpus  # noqa: E402
from data.model import Transformer, next_byte_loss  # noqa: E402
from data.pretrain import LOG_EVERY, VALIDATE_EVERY, pretrain  # noqa: E402
from data.sweep import COLUMNS, Manifest, RunSpec, Size, SweepError, read_sweep  # noqa: E402
from optlaws_core.schedules import parse  # noqa: E402

ROOT = Path(train.__file__).parents[1]
TINY = Size(d_model=16, layers=1, heads=2, context=32)
SWEEP = """
[sizes.tiny]
d_model = 16
layers = 1
heads = 2
context = 32

[defaults]
seed = 1
size = "tiny"
batch = 4
"""
RUN = """
[[runs]]
name = "{name}"
schedule = "{schedule}"
"""
COSINE = "cosine(peak=1e-2, warmup=10, total=230, final=1e-3)"


def spec(schedule: str = COSINE, name: str = "tiny", seed: int = 1) -> RunSpec:
    return RunSpec(name, parse(schedule), seed, TINY, batch=4)


def columns(log: str) -> dict[str, list[str]]:
    rows = list(csv.DictReader(log.splitlines()))
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    text = np.frombuffer((ROOT / "data" / "sweep.py").read_bytes(), dtype=np.uint8)
    return Corpus(train=text[:6000], heldout=text[6000:])


@pytest.fixture(scope="module")
def finished(corpus) -> tuple[str, dict[str, str]]:
    return pretrain(spec(), corpus)


# The log


def test_a_row_closes_every_window_of_updates_and_the_run(finished):
    log = columns(finished[0])
    assert list(log) == ["step", "lr", "train_loss", "val_loss", "grad_norm"]
    assert [int(s) for s in log["step"]] == [*range(LOG_EVERY - 1, 229, LOG_EVERY), 229]
    validated = [int(s) for s, v in zip(log["step"], log["val_loss"], strict=True) if v]
    assert validated == [*range(VALIDATE_EVERY - 1, 229, VALIDATE_EVERY), 229]


def test_the_lr_column_is_the_schedule_exactly(finished):
    log = columns(finished[0])
    rates = parse(COSINE)([int(s) for s in log["step"]])
    assert [float(lr) for lr in log["lr"]] == rates.tolist()


def test_the_loss_starts_near_chance_and_falls(finished):
    losses = [float(v) for v in columns(finished[0])["train_loss"]]
    assert losses[0] > 3.5 > losses[-1] + 0.5  # ln 256 = 5.55 is chance


def test_the_row_sums_up_the_log(finished):
    log, row = columns(finished[0]), spec().row | finished[1]
    assert (row["final_train_loss"], row["final_val_loss"]) == (log["train_loss"][-1], log["val_loss"][-1])
    assert (row["total_steps"], row["warmup_steps"], row["peak_lr"], row["seed"]) == ("230", "10", "0.01", "1")
    assert (row["params"], row["batch_tokens"], row["outcome"]) == (str(TINY.params), "128", "finished")
    assert parse(row["schedule"]) == parse(COSINE)
    assert {*row, "file"} == set(COLUMNS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the promise is made for the CPU")
def test_the_seed_fixes_every_digit(finished, corpus):
    assert pretrain(spec(), corpus)[0] == finished[0]
    assert pretrain(spec(seed=2), corpus)[0] != finished[0]


def test_a_run_that_leaves_the_finite_numbers_stops_and_says_so(corpus):
    log, result = pretrain(spec("constant(peak=1e14, warmup=1, total=225)"), corpus)
    assert (result["outcome"], result["final_val_loss"]) == ("diverged", "")
    assert columns(log)["step"] == [str(LOG_EVERY - 1)]
    assert columns(log)["train_loss"] == ["nan"]


# The model and the text


def test_the_parameter_count_is_the_formula():
    for size in (TINY, Size(d_model=64, layers=2, heads=4, context=128)):
        assert Transformer(size).parameter_count == size.params


def test_no_byte_sees_the_future():
    torch.manual_seed(0)
    model = Transformer(TINY)
    text = torch.randint(256, (1, 32))
    changed = text.clone()
    changed[0, 20] = (text[0, 20] + 1) % 256
    differs = (model(text) != model(changed)).any(-1)[0]
    assert not differs[:20].any() and differs[20]


def test_the_loss_is_the_mean_negative_log_probability():
    torch.manual_seed(0)
    model = Transformer(TINY)
    windows = torch.randint(256, (2, 9))
    logp = model(windows[:, :-1]).log_softmax(-1)
    slow = [-logp[b, t, windows[b, t + 1]].item() for b in range(2) for t in range(8)]
    assert next_byte_loss(model, windows).item() == pytest.approx(np.mean(slow), rel=1e-5)  # float32


def test_the_order_of_the_text_depends_on_the_seed_alone():
    text = np.arange(5000, dtype=np.int64) % 251

    def first_windows(seed, batch):
        stream = batches(text, seed, batch, context=8)
        return np.concatenate([next(stream) for _ in range(24 // batch)])

    np.testing.assert_array_equal(first_windows(1, 4), first_windows(1, 8))
    assert (first_windows(1, 4) != first_windows(2, 4)).any()


def test_held_out_windows_are_spread_over_all_of_the_text():
    windows = heldout_windows(np.arange(100), count=4, context=9)
    np.testing.assert_array_equal(windows[:, 0], [0, 30, 60, 90])
    np.testing.assert_array_equal(windows[-1], np.arange(90, 100))


def test_the_corpus_skips_tests_and_packages_and_keeps_every_file_on_its_side(tmp_path):
    for i in range(60):
        (tmp_path / f"m{i}.py").write_text(f"<{i}>")
    before = load_corpus(tmp_path)
    for skipped in ("test/a.py", "email/tests/b.py", "site-packages/c.py", "_sysconfigdata__x.py", "readme.txt"):
        path = tmp_path / skipped
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
    assert load_corpus(tmp_path).sha256 == before.sha256
    (tmp_path / "new.py").write_text("<new>")
    after = load_corpus(tmp_path)
    for side in ("train", "heldout"):
        assert set(getattr(before, side).tobytes().split(b">")) <= set(getattr(after, side).tobytes().split(b">"))


def test_a_corpus_without_text_is_refused(tmp_path):
    with pytest.raises(SweepError, match="got 0 and 0 bytes"):
        load_corpus(tmp_path)


# The sweep


def declare(folder: Path, *names: str, schedule: str = "linear(peak=1e-2, warmup=5, total=45)") -> Path:
    path = folder / "sweep.toml"
    path.write_text(SWEEP + "".join(RUN.format(name=name, schedule=schedule) for name in names))
    return path


def test_a_second_start_makes_only_what_is_missing(tmp_path, corpus, finished, monkeypatch, capsys):
    monkeypatch.setattr(train, "load_corpus", lambda: corpus)
    logs = tmp_path / "runs"
    Manifest(logs).add(spec(name="c"), *finished, order=["c"])
    first = (logs / "c.csv").stat().st_mtime_ns, Manifest(logs).rows["c"]

    command = ["--sweep", str(declare(tmp_path, "a", "b", "c", schedule=COSINE)), "--out", str(logs), "--jobs", "2"]
    assert train.main(command) == 0
    assert "1 of 3 runs are there already" in capsys.readouterr().err
    assert ((logs / "c.csv").stat().st_mtime_ns, Manifest(logs).rows["c"]) == first
    assert list(Manifest(logs).rows) == ["a", "b", "c"]  # in the order of the sweep, not of the making
    # Side by side or alone, in this process or another: the same digits.
    assert {(logs / f"{name}.csv").read_text() for name in "abc"} == {finished[0]}

    monkeypatch.setattr(train, "_start", None)  # a third start starts nothing
    assert train.main(command) == 0


def test_a_killed_sweep_ends_with_the_same_files(tmp_path):
    schedule = "constant(peak=1e-2, warmup=5, total=245)"
    arguments = ["--sweep", str(declare(tmp_path, "a", "b", schedule=schedule)), "--out", str(tmp_path / "runs")]
    process = subprocess.Popen([sys.executable, "-m", "data.train", *arguments], cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (tmp_path / "manifest.csv").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = Manifest(tmp_path / "runs").rows["a"]
    assert not (tmp_path / "runs" / "b.csv").exists()

    assert train.main(arguments) == 0
    assert Manifest(tmp_path / "runs").rows["a"] == kept
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"runs/a.csv", "runs/b.csv", "manifest.csv", "sweep.toml"}
    assert (tmp_path / "runs" / "b.csv").read_text() == (tmp_path / "runs" / "a.csv").read_text()


def test_a_run_that_dies_is_named_and_does_not_stop_the_others(tmp_path, corpus, finished, monkeypatch, capsys):
    def start(spec, corpus):
        mine, theirs = Pipe()
        if spec.name != "a":
            theirs.send(20)
            theirs.send(finished)
        theirs.close()
        return mine

    monkeypatch.setattr(train, "load_corpus", lambda: corpus)
    monkeypatch.setattr(train, "_start", start)
    assert train.main(["--sweep", str(declare(tmp_path, "a", "b")), "--out", str(tmp_path / "runs")]) == 1
    assert "Run 'a' ended without a log" in capsys.readouterr().err
    assert list(Manifest(tmp_path / "runs").rows) == ["b"]


def test_the_time_left_weighs_runs_by_their_cost():
    short, long = spec("constant(peak=1, total=100)", "short"), spec("constant(peak=1, total=300)", "long")
    progress = train.Progress(5, [short, long], StringIO(), started=time.perf_counter() - 60)
    progress.update(short, 100)
    assert progress.line() == "3 of 5 runs · 25% · 3 min left"
    progress.update(long, 150)
    assert progress.line() == "3 of 5 runs · 62% · 36 s left · long 150/300"
    assert [train.duration(s) for s in (59, 840, 7500)] == ["59 s", "14 min", "2 h 5 min"]


def test_a_finished_run_is_not_passed_off_as_another(tmp_path, finished):
    manifest = Manifest(tmp_path / "runs")
    manifest.add(spec(), *finished, order=["tiny"])
    assert Manifest(tmp_path / "runs").unfinished([spec()]) == []
    with pytest.raises(SweepError, match=r"'tiny' is finished with seed 1, but the sweep now says 2"):
        manifest.unfinished([spec(seed=2)])
    with pytest.raises(SweepError, match="use another --out"):
        manifest.check_corpus("0" * 64)
    (tmp_path / "runs" / "tiny.csv").unlink()
    assert manifest.unfinished([spec(seed=2)]) == [spec(seed=2)]  # deleting the log frees the name


def test_a_foreign_manifest_is_left_alone(tmp_path):
    (tmp_path / "manifest.csv").write_text("run,file\n")
    with pytest.raises(SweepError, match="not a manifest of this program"):
        Manifest(tmp_path / "runs")


def run_x(schedule: str = COSINE, more: str = "") -> str:
    return SWEEP + RUN.format(name="x", schedule=schedule) + more


BAD_SWEEPS = {
    "not TOML": ("[[runs]", "is not valid TOML"),
    "no runs": (SWEEP, r"at least one \[\[runs\]\] entry, got none"),
    "unknown table": (SWEEP + "[size]", r"holds \[sizes.…\], \[defaults\] and \[\[runs\]\], got size"),
    "missing field": (SWEEP + '[[runs]]\nname = "x"', "Run 'x': a run has exactly name, .*, got schedule missing"),
    "unknown field": (run_x(more="lr = 1"), "Run 'x': .*, got lr unknown"),
    "bad schedule": (run_x("wsd(peak=1, total=9, decay=10)"), "Run 'x': wsd: decay must"),
    "no schedule": (run_x("fast"), "Run 'x': "),
    "unknown size": (run_x(more='size = "big"'), r"declared sizes \(tiny\), got 'big'"),
    "bad size": ("[sizes.s]\nlayers = 2" + RUN, "Size 's' needs exactly d_model, .*, got layers"),
    "odd heads": (SWEEP.replace("heads = 2", "heads = 3") + RUN, "Size 'tiny': size: heads must divide d_model, got 3"),
    "bad batch": (run_x(more="batch = 0"), "Run 'x': batch must be a whole number of at least 1, got 0"),
    "bad seed": (run_x(more="seed = -1"), "Run 'x': seed must be a whole number of at least 0, got -1"),
    "bad name": (SWEEP + RUN.format(name="a/b", schedule=COSINE), "name is used for a file"),
    "same name": (run_x() + RUN.format(name="x", schedule=COSINE), "its own name, got 'x' twice"),
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

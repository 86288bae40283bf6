"""Readers: every format gives the runs that stand in it, bit for bit, alone and among many files."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optlaws_core.errors import LogError
from optlaws_core.readers import Layout, Source, read, read_all, read_source, sources_from_paths
from optlaws_core.readers.opened import Numbers
from optlaws_core.schedules import Constant, Knots, parse
from tests.knowledge.logs import LOSS, LR, STEPS, csv_of, event_points, events, history, one, said, table


def test_cells_may_be_any_number_of_spaces_apart():
    run, report = one("a.txt", table("  "))
    assert (report.format, run.name, run.lr_source, run.last_step) == ("table with spaces", "a", "logged", 30)
    assert run.steps.tolist() == STEPS and run.loss.tolist() == LOSS
    assert run.plan.schedule(STEPS).tolist() == LR


@pytest.mark.slow
@pytest.mark.parametrize("tensors", [False, True], ids=["scalars", "tensors"])
def test_event_files_give_every_point(tmp_path, tensors):
    n = 12_000  # TensorBoard itself keeps 10,000
    loss = [(t, float(np.float32(3 + 1 / (t + 1)))) for t in range(n)]
    lr = [(t, float(np.float32(1e-3))) for t in range(n)]
    data = events(tmp_path, {"train/loss": loss, "lr-AdamW": lr, "eval/loss": loss[::100]}, tensors)
    run, report = one("runs/big/events.out.tfevents.1.host", data)
    assert (report.format, run.name) == ("TensorBoard events", "big")
    assert run.steps.tolist() == list(range(n)) and run.loss.tolist() == [y for _, y in loss]
    assert list(run.series) == ["train", "eval"] and len(run.series["eval"]) == 120
    assert run.plan.schedule == Constant(peak=1e-3, total=n)


def test_event_files_of_one_folder_are_one_run(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    old = events(first, {"loss": [(0, 3.0), (10, 2.0), (20, 1.5)]})
    new = events(second, {"loss": [(15, 1.75), (25, 1.25)]})
    names = ["exp/events.out.tfevents.2.host", "exp/events.out.tfevents.1.host"]
    reading = read_all([Source(names[0], new), Source(names[1], old)])
    (run,) = reading.runs
    assert run.name == "exp"
    assert run.steps.tolist() == [0, 10, 15, 25]  # step 20 belongs to what the resumed run overtook
    assert [f.file for f in reading.files] == names[::-1]
    assert "Read together with exp/events.out.tfevents.1.host" in said(reading.files[1])


def test_an_event_file_that_ends_in_a_record_keeps_what_stands_before(tmp_path):
    data = events(tmp_path, event_points())
    run, report = one("events.out.tfevents.1", data[:-7])
    assert run.steps.tolist() == STEPS and "ends inside a record" in said(report)


# ---- many files


def test_a_manifest_names_and_declares_the_runs_of_other_files():
    head = "run,file,params,schedule,warmup_steps,total_steps\n"
    manifest = head + '\none,logs/a.csv,1e8,"constant(peak=1e-3, total=40)",0,40\ntwo,b.csv,,,,\nthree,c.csv,,,,\n'
    sources = [
        Source("m.csv", manifest.encode()),
        Source("logs/a.csv", csv_of(STEPS, LOSS, [1e-3] * 4).encode()),
        Source("b.csv", csv_of(STEPS, LOSS).encode()),
        Source("other.csv", csv_of(STEPS, LOSS).encode()),
    ]
    reading = read_all(sources)
    assert reading.errors == () and [f.file for f in reading.files] == [s.name for s in sources]
    assert [(r.name, r.lr_source) for r in reading.runs] == [
        ("one", "logged"),
        ("two", "missing"),
        ("other", "missing"),
    ]
    assert reading.files[0].format == "Manifest" and "1 file of the manifest not given: c.csv" in said(reading.files[0])
    columns = ["run", "format", "points", "first_step", "last_step", "lr_source", "losses", "notes", "questions"]
    assert list(reading.rows()[0]) == columns
    assert reading.rows()[0]["points"] == 4 and "agrees with the logged" in reading.rows()[0]["notes"][0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_manifest_is_read_in_the_encodings_of_spreadsheets(tmp_path, encoding):
    log = csv_of(STEPS, LOSS, LR)
    rows = "".join(
        f"fäst 🚀 {i},a.csv,1e6\n" for i in range(3_000)
    )  # the head that is looked at ends inside a character
    for shift in range(4):
        text = f"run,file,params\nmine{'e' * shift},b.csv,1e6\n{rows}"
        manifest = Source("manifest.csv", text.encode(encoding))
        reading = read_all([manifest, Source("b.csv", log.encode(encoding))])
        assert [r.name for r in reading.runs] == [f"mine{'e' * shift}"] and reading.errors == ()
    (tmp_path / "manifest.csv").write_text("run,file,params\nmine,b.csv,1e6\n", encoding=encoding)
    (tmp_path / "b.csv").write_text(log, encoding=encoding)
    assert [r.name for r in read(tmp_path / "manifest.csv").runs] == ["mine"]


def test_a_manifest_finds_the_runs_inside_a_file():
    manifest = b"run,file,total_steps\na,all.csv,15\nz,all.csv,60\n"
    log = b"run,step,loss,lr\nb,0,3,1\na,0,4,1\nb,1,2,1\na,10,3,1\n"
    reading = read_all([Source("m.csv", manifest), Source("all.csv", log)])
    assert {r.name: r.plan.schedule.total for r in reading.runs} == {"b": 2, "a": 15}
    assert "m.csv, row 3: the run 'z' is not in the file, which has a, b" in said(reading.files[1])


def test_runs_of_one_name_are_told_apart():
    log = csv_of(STEPS, LOSS).encode()
    reading = read_all([Source(name, log) for name in ("25M/x.csv", "100M/x.csv", "y.csv")])
    assert [r.name for r in reading.runs] == ["x (25M)", "x (100M)", "y"]
    assert "2 runs are called 'x'; this one is shown as 'x (25M)'" in said(reading.files[0])
    same = [Source("a.json", json.dumps(history()).encode()), Source("b.json", (json.dumps(history()) + " ").encode())]
    assert [r.name for r in read_all(same).runs] == ["from-json (a)", "from-json (b)"]


def test_what_was_recognised_goes_by_the_names_that_are_shown():
    log = csv_of(range(0, 80, 10), [3.0 - t / 10 for t in range(8)], [1e-3] * 8)
    reading = read_all([Source(name, log.encode()) for name in ("25M/x.csv", "y.csv", "100M/x.csv")])
    assert [list(f.recognised) for f in reading.files] == [["x (25M)"], ["x (100M)"], ["y"]]
    assert reading.files[2].recognised["y"].schedule == reading.runs[2].plan.schedule == Constant(peak=1e-3, total=71)


def test_a_warmup_that_one_run_tells_is_that_of_the_runs_that_were_cut_alike():
    curve = parse("cosine(peak=3e-4, warmup=2160, total=24000, final=3e-5)")
    later = np.arange(2160, 24_000, 128)
    logs = {
        "cosine": (later, curve(later)),
        "constant": (later + 16, np.full(len(later), 3e-4)),
        "other peak": (later, np.full(len(later), 2e-4)),
        "later": (later + 4000, np.full(len(later), 3e-4)),
    }
    texts = {n: csv_of(t.tolist(), (3 - t / 1e5).tolist(), r.tolist()).encode() for n, (t, r) in logs.items()}
    for names in (list(logs), list(logs)[::-1]):
        reading = read_all([Source(f"{name}.csv", texts[name]) for name in names])
        found = {run.name: run.plan.schedule for run in reading.runs}
        assert found["cosine"] == curve and found["constant"] == Constant(peak=3e-4, warmup=2160, total=23_937)
        assert found["other peak"].warmup == found["later"].warmup == 0
        report = next(f for f in reading.files if f.runs[0].name == "constant")
        assert "that of 'cosine', 2,160 steps, was taken, whose log begins alike." in said(report)
        assert report.recognised["constant"].schedule == found["constant"]
        assert f"171 logged rates: {found['constant']}, largest" in said(report)


@pytest.mark.parametrize(
    ("steps", "alone"), [(range(10, 4001, 10), 4000), (range(0, 4001, 10), 4001), (range(0, 4000, 10), 3991)]
)
def test_a_rate_that_hides_the_length_of_its_run_has_that_of_the_logs_beside_it(steps, alone):
    texts = {
        "constant": "constant(peak=1e-3, warmup=100, total=4000)",
        "cosine": "cosine(peak=1e-3, warmup=100, total=4000, final=1e-4)",
        "drop": "step(peak=1e-3, warmup=100, total=4000, boundaries=[3000], values=[1e-4])",
        "shorter": "cosine(peak=1e-3, warmup=100, total=2000, final=1e-4)",
    }
    logs = {}
    for name, text in texts.items():
        rates, own = parse(text), [t for t in steps if t <= parse(text).total]
        logs[name] = Source(f"{name}.csv", csv_of(own, [3 - t / 1e4 for t in own], rates(np.array(own))).encode())
    for names in (list(logs), list(logs)[::-1]):
        assert {r.name: r.known_plan.schedule for r in read_all([logs[n] for n in names]).runs} == {
            name: parse(text) for name, text in texts.items()
        }
    report = read_all([logs["constant"], logs["shorter"]]).files[0]
    assert report.runs[0].known_plan.schedule.total == alone and f"total={alone})" in said(report)


def test_a_length_is_that_of_a_log_that_begins_alike_and_is_named_or_of_one_update_more_or_less():
    def log(name, text, first=0):
        t = np.arange(first, 4001, 500)
        return Source(f"{name}.csv", csv_of(t.tolist(), (3 - t / 1e4).tolist(), parse(text)(t).tolist()).encode())

    def found(*beside, first=0):
        report = read_all([log("a constant", "constant(peak=1e-3, total=4000)", first), *beside]).files[0]
        return report.runs[0].known_plan.schedule.total, said(report)

    alike = log("alike", "cosine(peak=1e-3, total=4500, final=1e-4)")
    higher = log("higher", "cosine(peak=3e-3, total=4500, final=1e-4)")
    warmed = log("warmed", "cosine(peak=1e-3, warmup=2000, total=4500, final=1e-4)")
    for unlike in (higher, warmed):
        assert found(unlike)[0] == 4001
    taken = (
        "Its rates do not tell its length: that of 'alike', 4,500 updates, was taken, whose log ends at the same step."
    )
    for beside in ((alike,), (higher, alike)):
        total, notes = found(*beside)
        assert total == 4500 and taken in notes
    assert found(log("counted", "cosine(peak=3e-3, total=4000, final=1e-4)"))[0] == 4000
    both = [log(f"to {n}", f"cosine(peak=1e-3, total={n}, final=1e-4)", 500) for n in (4250, 4500)]
    total, notes = found(*both, first=500)  # they disagree, so that its own steps tell
    assert total == 4000 and "was taken" not in notes


def test_paths_bring_manifests_folders_and_files(tmp_path):
    log = csv_of(STEPS, LOSS, LR)
    for name in ("a.csv", "sub/b.csv", "sub/README.md", ".hidden/c.csv", "outside.csv"):
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_text(log)
    manifest = tmp_path / "runs" / "manifest.csv"
    manifest.write_text("run,file,params\nfirst,a.csv,1e6\nsecond,sub/b.csv,1e6\n")
    assert [r.name for r in read(manifest).runs] == ["first", "second"]
    found = sources_from_paths([tmp_path / "runs"])
    assert [Path(s.name).name for s in found] == ["a.csv", "manifest.csv", "outside.csv", "b.csv"]
    assert found.notes[0].text == "1 file of other kinds ignored: README.md."
    assert [r.name for r in read(tmp_path / "runs").runs] == ["first", "second", "outside"]
    assert len(sources_from_paths([manifest, manifest.parent / "a.csv"])) == 3  # each file once


def test_a_source_knows_its_content():
    data = csv_of(STEPS, LOSS).encode()
    source = Source("a.csv", data)
    assert source.sha256 == Source("b.csv", data).sha256 and source.size == len(data)


def test_a_source_on_disk_is_the_same_source(tmp_path):
    (tmp_path / "a.csv").write_bytes(table(","))
    on_disk = Source("shown.csv", tmp_path / "a.csv")
    assert on_disk.sha256 == Source("x", table(",")).sha256 and on_disk.read() == table(",")
    assert read_source(on_disk).file == "shown.csv"


# ---- round trips


finite = st.floats(-1e308, 1e308, width=64)


@settings(deadline=None)
@given(
    st.dictionaries(st.integers(0, 10**9), st.tuples(finite, st.floats(0, 1)), min_size=2),
    st.sampled_from(["CSV", "TSV", "Parquet", "JSON lines", "JSON columns"]),
)
def test_what_is_written_is_read_bit_for_bit(rows, form):
    steps = sorted(rows)
    loss, lr = [rows[s][0] for s in steps], [rows[s][1] for s in steps]
    frame = pd.DataFrame({"step": steps, "loss": loss, "lr": lr})
    text = {
        "CSV": lambda: frame.to_csv(index=False),
        "TSV": lambda: frame.to_csv(index=False, sep="\t"),
        "Parquet": lambda: frame.to_parquet(),
        "JSON lines": lambda: "\n".join(json.dumps(r) for r in frame.to_dict("records")),
        "JSON columns": lambda: json.dumps(frame.to_dict("list")),
    }[form]()
    report = read_source(Source("a", text if isinstance(text, bytes) else text.encode()))
    if len(set(loss)) == 1:
        assert "losses must change" in report.error
        return
    (run,) = report.runs
    assert run.steps.tolist() == steps
    assert run.loss.tolist() == loss
    if max(lr) >= 1e-30:  # no schedule has a lower peak
        np.testing.assert_allclose(run.plan.schedule(steps), lr, atol=1.001e-4 * max(lr))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), finite), min_size=1, max_size=60))
def test_any_order_of_rows_gives_rising_steps_and_values_that_stand_in_the_file(pairs):
    text = "step,loss\n" + "".join(f"{s},{y!r}\n" for s, y in pairs)
    over = Layout("step", losses=(("train", "loss"),), answered=("restart",))
    report = read_source(Source("a.csv", text.encode()), over)
    for run in report.runs:
        assert (np.diff(run.steps) > 0).all()
        assert set(zip(run.steps.tolist(), run.loss.tolist(), strict=True)) <= set(pairs)
        assert pairs[-1] in set(zip(run.steps.tolist(), run.loss.tolist(), strict=True))


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_some_rows_of_a_column_keep_their_marks(rows, nans, words):
    rows, nans, words = (np.array(sorted(some), np.int64) for some in (rows, nans, words))
    part = Numbers(np.arange(31.0), nans, words, "x").take(rows)
    assert part.values.tolist() == rows.tolist()
    assert rows[part.nans].tolist() == sorted(set(rows) & set(nans))
    assert rows[part.words].tolist() == sorted(set(rows) & set(words))


STARTS = [
    b"",
    b"step,loss,lr\n0,3,1e-3\n1,2,1e-3\n",
    b'{"step": 0, "loss": 3}\n',
    b'{"history": {"train": ',
    b"run,file,params\n",
    b"PAR1",
]
SCRAPS = st.text(alphabet='step,los\n\r\t;"#{}[]: 0123456789.-e', max_size=300).map(str.encode)


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=300) | st.builds(bytes.__add__, st.sampled_from(STARTS), SCRAPS))
def test_no_bytes_at_all_raise(data):
    report = read_source(Source("x", data))
    assert (report.error is None) == bool(report.runs or report.format == "Manifest")


def test_a_large_table_takes_the_fast_way():
    n = 50_000
    steps = np.arange(n)
    text = io.StringIO()
    pd.DataFrame({"step": steps, "loss": 2 + 1 / (steps + 1), "lr": 1e-3}).to_csv(text, index=False)
    run, _ = one("a.csv", text.getvalue())
    assert run.loss.tolist() == (2 + 1 / (steps + 1)).tolist()


# ---- the public runs


def test_every_published_run_is_read_and_its_schedule_confirmed(published, public):
    size, train, rest = published
    manifest = pd.read_csv(public / "multi_power_law" / size / "manifest.csv")
    runs = {r.name: r for r in (*train, *rest)}
    assert set(runs) == set(manifest.run)
    for row in manifest.itertuples():
        run, log = runs[row.run], pd.read_csv(public / "multi_power_law" / size / row.file)
        assert run.steps.tolist() == log.step.tolist() and run.loss.tolist() == log.loss.tolist()
        assert run.lr_source == "logged" and run.plan.params == row.params
        assert not isinstance(run.plan.schedule, Knots)  # the declared one: it agrees with the log
        np.testing.assert_allclose(run.plan.schedule(log.step), log.lr, rtol=1e-12)
        assert (run.plan.schedule.warmup, run.plan.schedule.total) == (row.warmup_steps, row.total_steps)


def test_the_exported_histories_hold_what_the_table_of_curves_holds(public):
    folder = public / "lr_scheduling"
    curves, table = pd.read_parquet(folder / "curves.parquet"), pd.read_csv(folder / "runs.csv", index_col="run_id")
    runs = read(folder / "raw").runs
    assert len(runs) == 6
    for run in runs:
        rows, facts = curves[curves.run_id == run.name], table.loc[run.name]
        for split, column in (("train", "train_loss"), ("val", "val_loss")):
            known = rows[rows[column].notna()]
            assert run.series[split].steps.tolist() == known.step.tolist()
            assert run.series[split].loss.tolist() == known[column].tolist()
        known = rows[rows.train_loss.notna()]
        np.testing.assert_allclose(run.plan.schedule(known.step), known.lr, atol=1.001e-4 * facts.peak_lr)
        assert (run.plan.params, run.plan.batch_tokens) == (facts.params, facts.batch_tokens)
        assert run.plan.schedule.total == facts.total_steps and run.lr_source == "logged"
        assert run.plan.schedule.warmup_end == 300
        assert run.series["final-val"].loss[-1] == facts.final_val_loss


def test_two_sizes_together_keep_their_runs_apart(public):
    names = [r.name for r in read(public / "multi_power_law").runs]
    assert len(names) == len(set(names)) == 18 and "cosine_24000 (25M)" in names


def test_a_layout_of_unknown_units_is_a_mistake():
    with pytest.raises(
        LogError, match="x_unit must be one of step, tokens, samples, micro-batches, log calls, epochs, got 'weeks'"
    ):
        Layout("step", "weeks")
    with pytest.raises(LogError, match="loss_unit must be one of nats, bits, perplexity, got 'bans'"):
        Layout("step", loss_unit="bans")
    with pytest.raises(LogError, match="batch must be above 0, got 0"):
        Layout("tokens", "tokens", batch=0)

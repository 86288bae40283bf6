"""Databases of MLflow and trackio: values, names, params, what was written last, damage."""

import shutil
import sqlite3

import pytest

from optlaws_core.readers import Source, read, read_source
from tests.knowledge.logs import LOSS, LR, STEPS, said
from tests.knowledge.trackers import MLFLOW_TABLES, THREE, database, mlflow_db, trackio_db

POINTS = {"train_loss": list(zip(STEPS, LOSS, strict=True)), "lr": list(zip(STEPS, LR, strict=True))}


def check_three(report):
    assert report.error is None and [run.name for run in report.runs] == [told.name for told in THREE]
    for run, told in zip(report.runs, THREE, strict=True):
        assert run.steps.tolist() == list(range(400)) and run.loss.tolist() == list(told.loss)
        assert run.lr_source == "logged"
        assert run.plan.schedule(range(400)).tolist() == pytest.approx(told.lr, rel=1e-3, abs=1e-7)
        facts = report.facts[run.name]
        assert (facts.params, facts.batch_size) == (told.config["n_params"], told.config["batch_size"])


def test_three_runs_of_mlflow():
    runs = [
        (t.name, {"train_loss": [*enumerate(t.loss)], "learning_rate": [*enumerate(t.lr)]}, t.config) for t in THREE
    ]
    check_three(read_source(Source("mlflow.db", mlflow_db(*runs))))


def test_three_runs_of_trackio():
    runs = [
        (t.name, [(i, {"train/loss": y, "train/lr": e, "train/global_step": i}) for i, (y, e) in rows(t)], t.config)
        for t in reversed(THREE)
    ]
    check_three(read_source(Source("project.db", trackio_db(*runs))))


def rows(told):
    return enumerate(zip(told.loss, told.lr, strict=True))


def test_deleted_runs_and_numbers_that_are_none():
    points = POINTS | {"val_loss": [(0, 4.0), (10, float("nan")), (20, 1.7976931348623157e308), (30, 2.5)]}
    report = read_source(Source("mlflow.db", mlflow_db(("kept", points, {}), ("deleted-1", POINTS, {}))))
    (run,) = report.runs
    assert run.name == "kept" and run.series["val"].steps.tolist() == [0, 30]
    assert "val: 2 rows with NaN or infinity dropped (first at step 10)" in said(report)


def test_the_steps_of_trackio_may_count_calls():
    report = read_source(Source("p.db", trackio_db(("a", [(i, {"loss": y}) for i, y in enumerate(LOSS)], {}))))
    assert [q.options for q in report.questions] == ["x=updates, x=log-calls:NUMBER"]
    report = read_source(
        Source("p.db", trackio_db(("a", [(s, {"loss": y}) for s, y in zip(STEPS, LOSS, strict=True)], {})))
    )
    assert report.questions == () and report.runs[0].steps.tolist() == STEPS


def test_a_run_of_trackio_without_steps_is_told_beside_one_that_has_them():
    runs = ("a", [(i, {"loss": y}) for i, y in enumerate(LOSS)], {}), ("b", [(None, {"loss": y}) for y in LOSS], {})
    report = read_source(Source("p.db", trackio_db(*runs)))
    assert [run.name for run in report.runs] == ["a"] and "Run 'b': " in said(report)


def test_what_a_database_has_not_taken_in_yet_is_read(tmp_path):
    path = tmp_path / "live" / "mlflow.db"
    path.parent.mkdir()
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.executescript(MLFLOW_TABLES)
    writer.execute("INSERT INTO runs VALUES ('1', 'live', 0, 'active')")
    for key, pairs in POINTS.items():
        writer.executemany("INSERT INTO metrics VALUES (?, ?, ?, '1', ?, 0)", [(key, v, s, s) for s, v in pairs])
    writer.commit()
    shutil.copytree(path.parent, tmp_path / "copy")
    writer.close()
    for given in (tmp_path / "copy", tmp_path / "copy" / "mlflow.db"):
        (run,) = read(given).runs
        assert (run.name, run.loss.tolist()) == ("live", LOSS)
    assert read(tmp_path / "live").runs[0].loss.tolist() == LOSS  # in the mode of write-ahead logs, without one


def test_a_database_that_is_damaged_or_of_no_tracker_is_refused():
    data = mlflow_db(("kept", POINTS, {}))
    report = read_source(Source("mlflow.db", data[:2000]))
    assert report.error == "mlflow.db: the SQLite database ends before its last page; is the file complete?"
    report = read_source(Source("mlflow.db", data[:100] + bytes(len(data) - 100)))
    assert report.error.startswith("mlflow.db: the SQLite database cannot be read (")
    other = database("CREATE TABLE things (id INTEGER)", {"things": [(1,)]})
    assert read_source(Source("a.db", other)).error == (
        "a.db: this SQLite database is not one of MLflow or trackio; export the metrics as CSV."
    )
    aim = database("CREATE TABLE experiment (id); CREATE TABLE run (id); CREATE TABLE run_tag (id)", {})
    assert "export them with aim.Repo('.').query_metrics()." in read_source(Source("a.db", aim)).error
    empty = database(MLFLOW_TABLES, {})
    assert read_source(Source("a.db", empty)).error == "a.db: no metrics are logged here."

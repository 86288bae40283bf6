"""Folders and files as trackers leave them: three runs of 400 steps each, and what each store does differently."""

import json
import tracemalloc
from itertools import chain
from random import Random

import pytest

from optlaws_core.readers import Source, read, read_all, read_source
from tests.knowledge.logs import LOSS, LR, STEPS, said
from tests.knowledge.trackers import THREE, swanlab_log
from tests.places import CASES

Files = dict[str, bytes]


def tsv(head: str, points, by: str = "\t") -> bytes:
    return f"{head}\n{''.join(f'{t}{by}{y!r}{chr(10)}' for t, y in points)}".encode()


def mlruns() -> Files:
    files = {"mlruns/0/meta.yaml": b"experiment_id: '0'\n"}
    for i, told in enumerate(THREE):
        run = f"mlruns/7{i}/{i}f2c"
        files[f"{run}/meta.yaml"] = f"run_id: {i}f2c\nlifecycle_stage: active\nrun_name: {told.name}\n".encode()
        files[f"{run}/tags/mlflow.runName"] = told.name.encode()
        files[f"{run}/tags/mlflow.user"] = b"me"
        for key, values in (("train/loss", told.loss), ("lr", told.lr)):
            lines = (f"{1795310878756 + t} {value!r} {t}\n" for t, value in enumerate(values))
            files[f"{run}/metrics/{key}"] = "".join(lines).encode()
        files |= {f"{run}/params/{key}": str(value).encode() for key, value in told.config.items()}
    return files


def dvclive() -> Files:
    files = {}
    for told in THREE:
        run = f"{told.name}/dvclive"
        files[f"{run}/plots/metrics/train/loss.tsv"] = tsv("step\tloss", enumerate(told.loss))
        files[f"{run}/plots/metrics/lr.tsv"] = tsv("step\tlr", enumerate(told.lr))
        files[f"{run}/metrics.json"] = b'{"train": {"loss": 2.1}, "step": 399}'
        files[f"{run}/params.yaml"] = "".join(f"{key}: {value}\n" for key, value in told.config.items()).encode()
    return files


def clearml() -> Files:
    files = {}
    for i, told in enumerate(THREE):
        events = [
            {"type": "training_stats_scalar", "iter": t, "metric": metric, "variant": variant, "value": value}
            for metric, variant, values in (
                ("loss", "train", told.loss),
                ("lr", "lr", told.lr),
                (":monitor:gpu", "x", LR),
            )
            for t, value in enumerate(values)
        ]
        settings = {"General": {key: {"name": key, "value": str(value)} for key, value in told.config.items()}}
        files[f"offline-{i}/task.json"] = json.dumps({"name": told.name, "hyperparams": settings}).encode()
        files[f"offline-{i}/metrics.jsonl"] = "".join(
            json.dumps(events[a : a + 90]) + "\n" for a in range(0, 900, 90)
        ).encode()
        files[f"offline-{i}/log.jsonl"] = b'[{"msg": "loss 3"}]\n'
    return files


def swanlab() -> Files:
    files = {}
    for i, told in enumerate(THREE):
        run = f"swanlog/run-20261129_09482{i}-id{i}"
        points = {"train/loss": [*enumerate(told.loss)], "train/lr": [*enumerate(told.lr)]}
        files[f"{run}/run-id{i}.swanlab"] = swanlab_log(told.name, points)
        settings = "".join(f"{k}:\n  desc: ''\n  sort: 1\n  value: {v}\n" for k, v in told.config.items())
        files[f"{run}/files/config.yaml"] = settings.encode()
        files[f"{run}/files/requirements.txt"] = b"numpy==2.4.6\n"
        files[f"{run}/files/swanlab-metadata.json"] = b'{"_version": 2}'
    return files


def neptune() -> Files:
    files = {}
    for i, told in enumerate(THREE):
        said = [{"type": "AssignString", "path": ["sys", "name"], "value": told.name}]
        said += [{"type": "AssignInt", "path": ["parameters", k], "value": v} for k, v in told.config.items()]
        said += [
            {"type": "LogFloats", "path": ["metrics", key], "values": [{"value": value, "step": t, "ts": 1.5}]}
            for key, values in (("train_loss", told.loss), ("learning_rate", told.lr))
            for t, value in enumerate(values)
        ]
        lines = (json.dumps({"obj": obj, "version": n}) + "\n" for n, obj in enumerate(said))
        files[f".neptune/offline/run__{i}/data-1.log"] = "".join(lines).encode()
        files[f".neptune/offline/run__{i}/metadata.json"] = b'{\n  "mode": "offline"\n}'
    return files


def downloads_csv() -> Files:
    return {
        f"run-{told.name}-tag-{tag}.csv": tsv(
            "Wall time,Step,Value", ((f"17000000{t}.5,{t}", y) for t, y in enumerate(values)), ","
        )
        for told in THREE
        for tag, values in (("train_loss", told.loss), ("train_lr", told.lr))
    }


def downloads_json() -> Files:
    return {
        f"run-{told.name}-tag-{tag}.json": json.dumps([[1700000000.5 + t, t, y] for t, y in enumerate(values)]).encode()
        for told in THREE
        for tag, values in (("train_loss", told.loss), ("train_lr", told.lr))
    }


def long_csv() -> Files:
    rows = chain.from_iterable(
        (f",{told.name},{key},{value!r},{t},1795\n" for t, value in enumerate(values))
        for told in THREE
        for key, values in (("train_loss", told.loss), ("learning_rate", told.lr))
    )
    return {"metrics.csv": ("run_id,run_name,key,value,step,timestamp\n" + "".join(rows)).encode()}


# Folder -> whether it keeps the configuration.
FOLDERS = {
    mlruns: True,
    dvclive: True,
    clearml: True,
    swanlab: True,
    neptune: True,
    downloads_csv: False,
    downloads_json: False,
    long_csv: False,
}


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.__name__ for folder in FOLDERS])
def test_three_runs_as_a_tracker_leaves_them(tmp_path, folder):
    files = folder()
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    uploads = [Source(name, data) for name, data in files.items() if not name.endswith(("metadata.json", ".txt"))]
    Random(3).shuffle(uploads)
    for reading in (read(tmp_path), read_all(uploads)):
        assert sorted(run.name for run in reading.runs) == [told.name for told in THREE], reading.errors
        facts = {name: known for file in reading.files for name, known in file.facts.items()}
        for told in THREE:
            (run,) = (run for run in reading.runs if run.name == told.name)
            assert run.steps.tolist() == list(range(400)) and run.loss.tolist() == list(told.loss)
            assert (run.split, run.lr_source) == ("train", "logged")
            assert run.plan.schedule(range(400)).tolist() == pytest.approx(told.lr, rel=1e-3, abs=1e-7)
            if FOLDERS[folder]:
                known = facts[told.name]
                assert (known.params, known.batch_size) == (told.config["n_params"], told.config["batch_size"])
    assert read(tmp_path).errors == ()


def test_deepspeed_counts_samples_and_asks_for_the_batch():
    sources = [
        Source(f"job/Train_Samples_{tag}.csv", tsv(f"step,Train_Samples_{tag}", ((512 * t, y) for t, y in points), ","))
        for tag, points in (("lr", zip(STEPS, LR, strict=True)), ("train_loss", zip(STEPS, LOSS, strict=True)))
    ]
    reading = read_all(sources)
    assert reading.runs == () and "counts samples" in reading.errors[0]
    (asked,) = (question for file in reading.files for question in file.questions)
    assert asked.options == "x=samples:NUMBER"
    (run,) = read_all(sources, answers={"x": "samples:512"}).runs
    assert (run.name, run.steps.tolist(), run.loss.tolist(), run.lr_source) == ("job", STEPS, LOSS, "logged")
    manifest = Source("job/m.csv", b"run,file,batch_size\nmine,Train_Samples_lr.csv,512\n")
    reading = read_all([*sources, manifest])
    assert [(r.name, r.steps.tolist()) for r in reading.runs] == [("mine", STEPS)]
    assert all(not file.questions for file in reading.files)


def test_a_lone_curve_that_nothing_names_is_asked_about():
    for source in (
        Source(
            "x.csv",
            tsv("Wall time,Step,Value", ((f"17000000{t},{t}", y) for t, y in zip(STEPS, LOSS, strict=True)), ","),
        ),
        Source("x", "".join(f"1795310878756 {y} {t}\n" for t, y in zip(STEPS, LOSS, strict=True)).encode()),
    ):
        report = read_source(source)
        assert [q.key for q in report.questions] == ["value"] and report.runs[0].open_questions
        report = read_source(source, answers={"value": "val"})
        assert report.questions == () and list(report.runs[0].series) == ["val"]


def test_downloads_of_the_splits_of_a_run_are_one_run():
    sources = [
        Source(
            f"run-fit_{split}-tag-epoch_loss.csv", tsv("Wall time,Step,Value", ((f"17,{t}", y) for t, y in points), ",")
        )
        for split, points in (("train", enumerate(LOSS)), ("validation", enumerate([4.0, 3.0])))
    ]
    report = next(file for file in read_all(sources, answers={"x": "epochs:10"}).files if file.runs)
    (run,) = report.runs
    assert run.name == "fit" and list(run.series) == ["train", "validation"]
    assert run.steps.tolist() == [10, 20, 30, 40]


def test_a_deleted_run_of_mlflow_is_refused():
    sources = [
        Source("mlruns/1/a/metrics/loss", b"1795310878756 3.0 0\n1795310878757 2.0 1\n"),
        Source("mlruns/1/a/meta.yaml", b"lifecycle_stage: deleted\n"),
    ]
    (error,) = read_all(sources).errors
    assert error.endswith("this run was deleted in MLflow; restore it there to read it.")


def test_mlflows_infinity_is_dropped_as_such():
    rows = "".join(f"{t},{y}\n" for t, y in zip(STEPS, [3.25, 1.7976931348623157e308, 2.125, 2.0], strict=True))
    report = read_source(Source("a.csv", f"step,train_loss\n{rows}".encode()))
    assert report.runs[0].steps.tolist() == [0, 20, 30]
    assert "1 row with NaN or infinity dropped (first at step 10)" in said(report)


def test_a_long_metric_of_mlflow_takes_no_more_memory_than_a_few_times_its_file():
    data = b"".join(b"1795310878756 %.10f %d\n" % (3 + 1 / (s + 1), s) for s in range(20_000))
    source = Source("mlruns/1/a/metrics/loss", data)
    tracemalloc.start()
    try:
        report = read_source(source)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(report.runs[0].loss) == 20_000 and used < 8 * len(data)


def test_a_line_that_mlflow_has_not_written_to_its_end_is_dropped():
    lines = b"".join(b"1795310878756 %d.5 %d\n" % (9 - i, 100 * i) for i in range(5))
    for cut in (1, 2, 3, 5):
        report = read_source(Source("mlruns/1/a/metrics/loss", lines[:-cut]))
        assert report.runs[0].steps.tolist() == [0, 100, 200, 300]
        assert "1 line without a whole point dropped." in said(report)


def test_damaged_lines_are_told():
    files = clearml()
    data = files["offline-0/metrics.jsonl"] + b'[{"type": "train'
    report = read_source(Source("offline-0/metrics.jsonl", data))
    assert report.runs[0].name == "offline-0" and "1 line without a JSON list dropped" in said(report)
    data = neptune()[".neptune/offline/run__0/data-1.log"][:-9]
    report = read_source(Source("run__0/data-1.log", data))
    assert len(report.runs[0].loss) == 400 and "1 line without an operation dropped" in said(report)
    data = swanlab()["swanlog/run-20261129_094820-id0/run-id0.swanlab"]
    report = read_source(Source("run-id0.swanlab", data[:-3]))
    assert report.runs[0].loss.tolist() == list(THREE[0].loss) and "is damaged or ends inside a record" in said(report)
    report = read_source(Source("run-id0.swanlab", data[:30]))
    assert report.error == "run-id0.swanlab: the log holds no scalars, since its start is damaged."


@pytest.mark.parametrize(
    "name, run, points, steps, lr",
    [
        ("run-dawn_train-tag-train_loss.csv", "dawn_train", 100, (10, 1000), "missing"),
        ("mlruns", "sunny-fox-1", 100, (10, 1000), "logged"),
        ("mlflow_long.csv", "4f2c", 100, (10, 1000), "logged"),
        ("mlflow_inf_as_largest_float.csv", "mlflow_inf_as_largest_float", 99, (10, 1000), "missing"),
    ],
)
def test_the_cases_of_trackers(name, run, points, steps, lr):
    if not (CASES / name).exists():
        pytest.skip("The cases beside the checkout are not here.")
    (found,) = read(CASES / name).runs
    assert (found.name, len(found.loss), found.lr_source) == (run, points, lr)
    assert (found.steps[0], found.last_step) == steps
    assert (found.loss[0], found.loss[-1]) == pytest.approx((4.941543, 3.25335), abs=1e-4)


def test_the_case_of_deepspeed():
    folder = CASES / "deepspeed_csv_monitor"
    if not folder.exists():
        pytest.skip("The cases beside the checkout are not here.")
    (run,) = read(folder, answers={"x": "samples:512"}).runs
    assert (run.steps[0], run.last_step, len(run.loss), run.lr_source) == (10, 1000, 100, "logged")


def test_deepspeed_may_name_the_last_part_of_its_tag_alone():
    files = [
        Source("run/Train_Samples_train_loss.csv", b"step,train_loss\n512,3\n1024,2.5\n1536,2\n"),
        Source("run/Train_Samples_lr.csv", b"step,lr\n512,1e-3\n1024,1e-3\n1536,1e-3\n"),
    ]
    (report, *_) = read_all(files).files
    assert report.runs == () and report.questions[0].options == "x=samples:NUMBER"
    (run,) = read_all(files, answers={"x": "samples:512"}).runs
    assert run.steps.tolist() == [1, 2, 3] and run.lr_source == "logged"

"""What is no log though it looks like one: a sentence says what it is and what to give instead; and names of runs."""

import pytest

from optlaws_core.readers import Source, read, read_all, read_source
from tests.knowledge.logs import GOOD, LOSS, LR, STEPS, csv_of, event_points, events, fault


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        (
            "wandb-summary.json",
            '{"_step": 399, "train/loss": 2.1, "_runtime": 5.5, "_wandb": {"runtime": 5}}',
            "this is W&B's summary, one value of each of 3 metrics and no history; give the run-….wandb file beside "
            "its folder.",
        ),
        (
            "metrics.json",
            '{\n  "train": {"loss": 2.1},\n  "step": 5\n}',
            "this is a summary, one value of each of 2 metrics and no history; give the log with a row for each step.",
        ),
        (
            "cut.json",
            '[{"step": 0, "loss": 3.0}, {"step": 1, "lo',
            "the JSON breaks off at line 1, column 40; is the file complete? Copy or download it again.",
        ),
        (
            "cut.json",
            '{\n  "log_history": [\n    {"step": 0, "loss": 3.0},',
            "the JSON breaks off at line 3, column 30; is the file complete? Copy or download it again.",
        ),
        (
            "requirements.txt",
            "numpy==2.4.6\nwandb==0.31.0\ntorch[x]>=2\n",
            "this is a list of Python packages; give the log of the run.",
        ),
        ("acc.csv", "step,acc\n1,2\n2,3\n", "no column is known as a loss; columns found: step, acc."),
    ],
)
def test_what_is_no_log_says_what_it_is(name, text, sentence):
    assert fault(text, name) == f"{name}: {sentence}"


def test_rows_that_are_called_by_their_numbers_are_no_summary():
    for text in (b'{"0": {"step": 0, "loss": 3}, "1": {"step": 5, "loss": 2}}', b'{"loss": {"0": 3.5, "1": 2.5}}'):
        assert "summary" not in (read_source(Source("a.json", text)).error or "")


def test_lines_of_json_with_a_cut_end_are_read():
    report = read_source(Source("a.jsonl", b'{"step": 0, "loss": 3}\n{"step": 1, "loss": 2}\n{"step": 2, "lo'))
    assert report.runs[0].loss.tolist() == [3, 2]


def test_a_folder_of_lightning_gives_names_and_settings(tmp_path):
    for name in ("calm", "dusk"):
        for version in ("version_0", "version_1"):
            folder = tmp_path / "csv" / name / version
            folder.mkdir(parents=True)
            (folder / "metrics.csv").write_text(csv_of(STEPS, LOSS, LR))
            (folder / "hparams.yaml").write_text("batch_size: 8\nmodel:\n  n_params: 1200\n")
        folder = tmp_path / "tb" / name / "version_0"
        folder.mkdir(parents=True)
        (folder / "hparams.yaml").write_text("batch_size: 8\nn_params: 1200\n")
        events(folder, event_points())
    reading = read(tmp_path / "csv")
    assert [r.name for r in reading.runs] == [f"{n} (version_{v})" for n in ("calm", "dusk") for v in (0, 1)]
    assert all((f.facts[r.name].batch_size, f.facts[r.name].params) == (8, 1200) for f in reading.files for r in f.runs)
    reading = read(tmp_path / "tb")
    assert reading.errors == () and [r.name for r in reading.runs] == ["calm", "dusk"]
    assert reading.files[0].facts["calm"].params == 1200


def test_a_file_whose_name_says_nothing_is_called_by_its_folder():
    sources = [Source(f"runs/{name}/metrics.csv", GOOD) for name in ("b", "a")]
    assert [run.name for run in read_all(sources).runs] == ["a", "b"]
    assert [run.name for run in read_all([Source("metrics.csv", GOOD)]).runs] == ["metrics"]


def test_runs_of_one_name_are_told_apart_by_their_folders():
    names = ("x/base/trainer.csv", "y/base/trainer.csv")
    sources = [Source(name.replace("trainer.csv", "metrics.csv"), GOOD) for name in names]
    for order in (sources, sources[::-1]):
        assert [run.name for run in read_all(order).runs] == ["base (x)", "base (y)"]


def test_numbers_in_names_are_ordered_by_their_size():
    sources = [Source(f"run-{n}.csv", GOOD) for n in (10, 9, 100, 1)]
    assert [run.name for run in read_all(sources).runs] == ["run-1", "run-9", "run-10", "run-100"]

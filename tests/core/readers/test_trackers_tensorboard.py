"""TensorBoard: event files without TensorBoard's package, damage, and the folders that add_scalars and Keras make."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from optlaws_core.readers import Source, read, read_all
from optlaws_core.readers.checksums import damaged, masked
from tests.knowledge.logs import LOSS, LR, STEPS, event_points, events, one, said
from tests.places import CASES


def written(folder: Path, **files: dict) -> None:
    """Event files in folders below `folder`, called by their keywords (`__` for the folder itself)."""
    for name, points in files.items():
        place = folder if name == "__" else folder / name
        place.mkdir(parents=True, exist_ok=True)
        events(place, points)


def test_checksums_are_those_that_other_programs_write():
    assert masked(np.frombuffer(b"123456789", np.uint8)[None])[0] == (
        ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
    )
    assert damaged(b"", [], []).tolist() == []


def test_a_record_with_a_flipped_bit_is_dropped_and_told(tmp_path):
    data = bytearray(events(tmp_path, {"loss": [(t, 4.0 - t / 10) for t in range(20)]}))
    at = data.index(np.float32(3.5).tobytes())  # of step 5
    data[at + 2] ^= 0x20
    run, report = one("run/events.out.tfevents.1", bytes(data))
    assert run.steps.tolist() == [t for t in range(20) if t != 5]
    assert "1 damaged record dropped" in said(report)


def test_steps_of_every_size_are_read(tmp_path):
    steps = [0, 1, 127, 128, 300, 2**31, 10**11]
    run, _ = one("run/events.out.tfevents.1", events(tmp_path, {"loss": [(s, 5.0 - i) for i, s in enumerate(steps)]}))
    assert run.steps.tolist() == steps


def test_add_scalars_is_one_run(tmp_path):
    curves = {
        "loss_train": {"loss": list(zip(STEPS, LOSS, strict=True))},
        "loss_val": {"loss": [(10, 2.75), (30, 2.5)]},
    }
    written(tmp_path / "sweep" / "a", __={"lr": list(zip(STEPS, LR, strict=True))}, **curves)
    written(tmp_path / "sweep" / "b_train", __={"loss": [(0, 3.0), (9, 2.0)]})
    reading = read(tmp_path / "sweep")
    assert [run.name for run in reading.runs] == ["a", "b_train"]
    run = reading.runs[0]
    assert (run.split, run.lr_source, list(run.series)) == ("train", "logged", ["train", "val"])
    assert run.loss.tolist() == LOSS and run.series["val"].loss.tolist() == [2.75, 2.5]
    sources = [Source(str(p.relative_to(tmp_path)), p.read_bytes()) for p in sorted(tmp_path.rglob("*tfevents*"))]
    for order in permutations(sources):
        again = read_all(order)
        assert [r.name for r in again.runs] == ["a", "b_train"] and again.runs[0].loss.tolist() == LOSS


def test_keras_epochs_become_updates_where_validation_tells_how_many(tmp_path):
    train = {"epoch_loss": [(e, 3.0 - e) for e in range(3)], "epoch_learning_rate": [(e, 1e-3) for e in range(3)]}
    validation = {
        "epoch_loss": [(e, 3.5 - e) for e in range(3)],
        "evaluation_loss_vs_iterations": [(50 * (e + 1), 3.5 - e) for e in range(3)],
    }
    written(tmp_path / "fit" / "one", train=train, validation=validation)
    (run,) = read(tmp_path).runs
    assert (run.name, run.split, run.lr_source) == ("one", "train", "logged")
    assert run.steps.tolist() == [50, 100, 150] and run.loss.tolist() == [3, 2, 1]
    assert run.series["validation"].steps.tolist() == [50, 100, 150]


def test_keras_epochs_are_asked_about_where_nothing_tells(tmp_path):
    written(tmp_path / "one", train={"epoch_loss": [(e, 3.0 - e) for e in range(3)]})
    (report,) = read(tmp_path).files
    assert "the x axis 'step' counts epochs; declare the number (updates per epoch)" in report.error
    assert [q.options for q in report.questions] == ["x=epochs:NUMBER"]
    (run,) = read(tmp_path, answers={"x": "epochs:20"}).runs
    assert run.steps.tolist() == [20, 40, 60]


def test_a_split_folder_beside_the_runs_own_files(tmp_path):
    written(tmp_path / "model", __={"loss": [(0, 3.0), (9, 2.0)]}, eval={"loss": [(9, 2.25), (19, 2.125)]})
    (run,) = read(tmp_path).runs
    assert run.name == "model" and list(run.series) == ["train", "eval"]


def test_the_case_of_add_scalars():
    folder = CASES / "tb_add_scalars"
    if not folder.exists():
        pytest.skip("The cases beside the checkout are not here.")
    (run,) = read(folder).runs
    assert (run.name, run.lr_source, sorted(run.series)) == ("tb_add_scalars", "logged", ["train", "val"])
    assert len(run.loss) == 100 and run.loss[0] == pytest.approx(4.94154, abs=1e-5)


def test_a_tensor_that_is_no_scalar_is_passed_over(tmp_path):
    points = event_points()
    run, _ = one("r/events.out.tfevents.1", events(tmp_path, points, tensors=True))
    assert run.loss.tolist() == LOSS


def test_deepspeeds_tags_count_samples(tmp_path):
    steps = [512, 1024, 1536]
    loss, rate = [(s, 3 - s / 2000) for s in steps], [(s, 1e-3) for s in steps]
    written(tmp_path, one={"Train/Samples/train_loss": loss, "Train/Samples/lr": rate})
    (report,) = read(tmp_path).files
    assert report.runs == () and report.questions[0].options == "x=samples:NUMBER"
    (run,) = read(tmp_path, answers={"x": "samples:512"}).runs
    assert run.steps.tolist() == [1, 2, 3] and run.lr_source == "logged"

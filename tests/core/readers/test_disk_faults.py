"""A disk that fails at any look at a file: the other files are read, and one sentence says which could not be."""

import errno
import itertools
from pathlib import Path

import pytest

from optlaws_core.readers import read

ROWS = [(10 * i, 3 - i / 50) for i in range(40)]
FILES = {
    "plain.csv": "step,loss,lr\n" + "".join(f"{step},{loss},1e-3\n" for step, loss in ROWS),
    "lines.jsonl": "".join(f'{{"step": {step}, "loss": {loss + 1}, "lr": 1e-3}}\n' for step, loss in ROWS),
    "printed.log": "".join(f"step {step} | loss {loss + 2:.4f} | lr 1.00e-03\n" for step, loss in ROWS),
    "dvc/plots/metrics/train/loss.tsv": "step\tloss\n" + "".join(f"{step}\t{loss + 3}\n" for step, loss in ROWS),
    "dvc/plots/metrics/lr.tsv": "step\tlr\n" + "".join(f"{step}\t1e-3\n" for step, loss in ROWS),
    "manifest.csv": "run,file,params\nnamed,plain.csv,1000000\n",
}


def folder(tmp_path: Path) -> Path:
    """Logs of several kinds, one of them of several files, and a manifest."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize("fault", [errno.EIO, errno.EACCES, errno.ENOENT, errno.ESTALE])
def test_a_file_that_fails_from_any_look_on_is_told_and_the_others_are_read(tmp_path, monkeypatch, fault):
    place = folder(tmp_path)
    whole = read(place)
    losses = {run.name: run.loss.tolist() for run in whole.runs}
    assert sorted(loss[0] for loss in losses.values()) == [3.0, 4.0, 5.0, 6.0] and whole.errors == ()
    real = Path.open
    for number in itertools.count(1):
        looks, failing = itertools.count(1), set()

        def open_(path, *args, **kwargs):
            if next(looks) == number:  # noqa: B023 called before the next one is made
                failing.add(path)  # noqa: B023
            if path in failing:  # noqa: B023
                raise OSError(fault, "the disk failed")
            return real(path, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", open_)
            reading = read(place)
        if not failing:
            break
        (file,) = failing
        assert f"{file}: the file cannot be read (the disk failed)." in reading.errors, number
        found = [run.loss.tolist() for run in reading.runs]
        assert len(found) >= len(losses) - 1 and all(loss in losses.values() for loss in found), number
    assert number > 10

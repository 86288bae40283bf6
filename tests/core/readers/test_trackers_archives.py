"""Archives are unpacked in memory: every kind, what is inside, limits, damage; and documents that look like them."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest

from optlaws_core.readers import Source, base, read, read_all, read_source
from tests.knowledge.logs import GOOD, LOSS, LR, STEPS, csv_of, event_points, events, fault, sample
from tests.knowledge.trackers import comet_zip, zipped


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    "name, data",
    [
        ("a.csv.gz", gzip.compress(GOOD, mtime=0)),
        ("a.csv.bz2", bz2.compress(GOOD)),
        ("a.csv.xz", lzma.compress(GOOD)),
        ("runs.zip", zipped({"x/a.csv": GOOD, "x/README.md": b"# notes"})),
        ("runs.tar", tarred({"x/a.csv": GOOD})),
        ("runs.tar.gz", tarred({"x/a.csv": GOOD}, "w:gz")),
        ("runs.tgz", tarred({"x/a.csv": GOOD}, "w:gz")),
        ("runs.tar.xz", tarred({"x/a.csv": GOOD}, "w:xz")),
        ("runs.zip", zipped({"x/a.csv.gz": gzip.compress(GOOD, mtime=0)})),
        ("runs.zip", zipped({"inner.tar.gz": tarred({"x/a.csv": GOOD}, "w:gz")})),
    ],
)
def test_every_kind_of_archive_is_unpacked(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    for reading in (read(tmp_path), read(tmp_path / name), read_all([Source(name, data)])):
        assert reading.errors == () and [run.name for run in reading.runs] == ["a"]
        assert any(f"{name} was unpacked: 1 log" in note.text for note in reading.notes)
    report = read_source(Source(name, data))
    assert report.error is None and report.runs[0].loss.tolist() == [3, 2.5, 2]


def test_runs_of_several_files_in_an_archive(tmp_path):
    data = zipped({f"exp/{n}/events.out.tfevents.1": events(tmp_path / n, event_points()) for n in ("a", "b")})
    reading = read_all([Source("runs.zip", data)])
    assert [(run.name, run.loss.tolist()) for run in reading.runs] == [("a", LOSS), ("b", LOSS)]
    state = zipped({"trainer_state.json": sample("Hugging Face trainer_state.json")})
    assert read_source(Source("my-run.zip", state)).runs[0].name == "my-run"
    assert read_source(Source("runs.zip", data)).error == (
        "runs.zip: the archive holds 2 logs; unpack it, or read them all at once."
    )


def test_an_archive_beside_its_own_content_is_read_once(tmp_path):
    log = csv_of(STEPS, LOSS, LR).encode()
    sources = [Source("d/x.zip", zipped({"a.csv": log, "b.csv": GOOD})), Source("d/x/a.csv", log)]
    for order in (sources, sources[::-1]):
        assert [run.name for run in read_all(order).runs] == ["a", "b"]


def test_a_comet_experiment_stays_a_log():
    points = {"train_loss": list(zip(STEPS, LOSS, strict=True)), "learning_rate": list(zip(STEPS, LR, strict=True))}
    report = read_source(Source("0c45.zip", comet_zip("amber", points, {"batch_size": 64, "n_params": 5})))
    (run,) = report.runs
    assert (run.name, run.loss.tolist(), run.lr_source) == ("amber", LOSS, "logged")
    assert (report.facts["amber"].batch_size, report.facts["amber"].params) == (64, 5)
    packed = zipped({"exp/0c45.zip": comet_zip("amber", points)})
    assert [run.name for run in read_all([Source("all.zip", packed)]).runs] == ["amber"]


def test_bombs_and_damage_are_refused(monkeypatch):
    monkeypatch.setattr(base, "MOST_BYTES", 2**20)
    said = "the archive unpacks to more than 1 MB or 20,000 files; give the logs themselves."
    bomb = bytes(2**21)
    for name, data in (
        ("x.csv.gz", gzip.compress(bomb)),
        ("x.csv.bz2", bz2.compress(bomb)),
        ("x.csv.xz", lzma.compress(bomb)),
        ("x.zip", zipped({"a.csv": bomb})),
        ("x.zip", zipped({"a.csv": bomb[: 2**19], "b.csv": bomb[: 2**19], "c.csv": bomb[: 2**19]})),
        ("x.zip", zipped({"a.csv.gz": gzip.compress(bomb)})),
    ):
        assert fault(data, name) == f"{name}: {said}"
    for data in (gzip.compress(GOOD)[:-12], lzma.compress(GOOD)[:-9], zipped({"a.csv": GOOD})[:-9]):
        assert "archive cannot be unpacked (" in fault(data)


def test_an_archive_without_logs_says_what_it_holds():
    assert fault(zipped({"a.png": b"x", "b/c.bin": b"x"})) == "x.csv: the archive holds no logs, only a.png, c.bin."
    assert fault(zipped({})) == "x.csv: this is an empty ZIP archive; give the logs themselves."


def test_documents_are_no_archives():
    book = zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b"", "xl/worksheets/sheet1.xml": b""})
    assert fault(book, "book.xlsx") == "book.xlsx: this is an Excel workbook; save the sheet as CSV."
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    assert "save the sheet as CSV" in fault(old, "book.xls")


def test_a_git_lfs_pointer_says_how_to_get_the_file():
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 123456\n"
    for name in ("trainer_state.json", "events.out.tfevents.1", "a.parquet"):
        assert fault(pointer, name) == (
            f"{name}: this is a Git LFS pointer, not the file itself; run 'git lfs pull' and give it again."
        )

"""Bad files, folders, archives and manifests: every fault gets one sentence that names it; nothing raises."""

import pickle

import pytest

from optlaws_core.errors import LogError
from optlaws_core.readers import Source, base, read, read_all, read_source, sources_from_paths
from optlaws_core.readers import rows as table_rows
from optlaws_core.readers.archives import kind_of
from optlaws_core.readers.formats import delimited
from optlaws_core.readers.sniff import REFUSED
from optlaws_core.schedules import SCHEDULES
from tests.knowledge.logs import GOOD, fault


@pytest.mark.parametrize(
    "data, sentence",
    [
        (
            pickle.dumps({"loss": [1]}),
            "x.csv: this is a Python pickle, which could run code when opened; export it as CSV.",
        ),
        (
            b"\x7fELF\x02\x01\x01\x00",
            "x.csv: a log must be text, a Parquet file or a TensorBoard event file, but this holds binary data.",
        ),
        (
            bytes(range(256)),
            "x.csv: a log must be text, a Parquet file or a TensorBoard event file, but this holds binary data.",
        ),
        (b"", "x.csv: the file is empty."),
        (b" \r\n\n", "x.csv: the file is empty."),
    ],
)
def test_what_is_no_log_is_refused_by_its_first_bytes(data, sentence):
    assert fault(data) == sentence


@pytest.mark.parametrize("magic, what, instead", REFUSED)
def test_every_refused_kind_says_what_to_do(magic, what, instead):
    if kind_of(magic):
        assert fault(magic + b"\x00" * 20).startswith(f"x.csv: the {what.split()[1]} archive cannot be unpacked (")
        return
    assert fault(magic + b"\x00" * 20) == f"x.csv: this is {what}; {instead}."


def test_event_files_without_scalars_are_told(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    EventFileWriter(str(tmp_path)).close()
    (file,) = tmp_path.iterdir()
    assert (
        fault(file.read_bytes(), "events.out.tfevents.1") == "events.out.tfevents.1: the event file holds no scalars."
    )


# ---------------------------------------------------------------------------------------------------- limits


def test_sizes_counts_and_rows_have_limits(monkeypatch, tmp_path):
    monkeypatch.setattr(base, "MOST_BYTES", 2**20)
    assert fault(b"x" * (2**20 + 1)) == "x.csv: a file may have 1 MB, this one has 1 MB."
    with pytest.raises(LogError, match="500 files can be read at once, got 501; choose a smaller folder"):
        read_all([Source(f"{i}.csv", GOOD) for i in range(501)])
    monkeypatch.setattr(table_rows, "MOST_ROWS", 2)
    assert fault(GOOD) == "x.csv: a file may have 2 rows, this one has 3."
    monkeypatch.setattr(table_rows, "MOST_ROWS", 3)
    monkeypatch.setattr(delimited, "MOST_RUNS", 1)
    rows = "run,loss\na,1\na,2\nb,2\n"
    assert fault(rows) == "x.csv: a file may hold 1 run, but the column 'run' names 2."


@pytest.mark.parametrize("cells", ["val_{}_loss", "r{} - train/loss", "lr=1e-{}", "lr/{}"])
@pytest.mark.parametrize("delimiter", [",", " "])
def test_a_table_has_no_more_columns_than_other_logs(cells, delimiter):
    names = [cells.replace(" ", "_" if delimiter == " " else " ").format(i) for i in range(5_000)]
    rows = "".join(delimiter.join([str(t), *["2.5"] * 5_000]) + "\n" for t in range(2))
    sentence = "x.csv: a table may have 5,000 columns, line 1 names 5,001."
    assert fault(delimiter.join(["step", *names]) + "\n" + rows) == sentence


def test_a_table_with_a_run_a_column_has_no_more_runs_than_others():
    head = ",".join(["step", *(f"lr=1e-{i}" for i in range(2_001))])
    rows = "".join(",".join([str(t), *[f"{3 - t}"] * 2_001]) + "\n" for t in range(2))
    assert fault(f"{head}\n{rows}") == "x.csv: a file may hold 2,000 runs, this one has 2,001."


def test_a_gigabyte_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(2**30)  # sparse: takes no space
    report = read_source(Source("huge.csv", path))
    assert report.error == "huge.csv: a file may have 512 MB, this one has 1,024 MB."


# ---------------------------------------------------------------------------------------------------- names and paths


def test_a_file_that_is_gone_is_told(tmp_path):
    report = read_source(Source("gone.csv", tmp_path / "gone.csv"))
    assert report.error == "gone.csv: the file cannot be read (No such file or directory)."
    with pytest.raises(LogError, match="gone.csv: the file cannot be read"):
        _ = Source("gone.csv", tmp_path / "gone.csv").sha256
    with pytest.raises(LogError, match="nowhere: there is no such file or folder"):
        sources_from_paths([tmp_path / "nowhere"])
    with pytest.raises(LogError, match="no files to read"):
        sources_from_paths([tmp_path])
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(LogError, match=r"no logs here, only files of other kinds \(a.png\)"):
        sources_from_paths([tmp_path])


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_not_the_current_folder(path):
    with pytest.raises(LogError, match="A path must name a file or a folder"):
        read(path)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "<img src=x onerror=alert(1)>.csv", "a\nb.csv", "C:\\x\\y.csv", ""]
)
def test_a_name_is_never_a_path(name):
    report = read_source(Source(name, GOOD))
    assert report.file == name and report.error is None and len(report.runs) == 1
    report = read_source(Source(name, b""))
    assert report.error.endswith(": the file is empty.") and "\n" not in report.error


# ---------------------------------------------------------------------------------------------------- manifests


def manifest_fault(cells: str, head: str = "run,file,params,schedule,warmup_steps,total_steps") -> str:
    reading = read_all([Source("m.csv", f"{head}\n{cells}\n".encode()), Source("a.csv", GOOD)])
    assert len(reading.runs) == 1 and reading.files[0].format == "Manifest"  # the log itself is still read
    (error,) = reading.errors
    return error


@pytest.mark.parametrize(
    "row, sentence",
    [
        (",a.csv,,,,", "row 2, column run: the cell must not be empty."),
        ("a,,,,,", "row 2, column file: the cell must not be empty."),
        ("a,a.csv,big,,,", "row 2, column params: the cell must be a number, got 'big'."),
        ("a,a.csv,-1,,,", "row 2, column params: the number must be above 0 and finite, got -1."),
        ("a,a.csv,,,-3,", "row 2, column warmup_steps: the number must be 0 or more and finite, got -3."),
        ("a,a.csv,,,1.5,", "row 2, column warmup_steps: steps are whole numbers, got 1.5."),
        ("a,a.csv,,,,1e300", "row 2, column total_steps: the number must be at most 1e+15, got 1e300."),
        ("a,a.csv,1e16,,,", "row 2, column params: the number must be at most 1e+15, got 1e16."),
        ('"\x07\n",a.csv,1e6,,,', "row 3, column run: the cell must not be empty."),
        ("a,a.csv,,,,0", "row 2, column total_steps: the number must be above 0 and finite, got 0."),
        (
            "a,a.csv,,cosin(peak=1),,",
            "row 2, column schedule: Unknown schedule 'cosin'. Known schedules: "
            f"{', '.join(SCHEDULES)}. Did you mean cosine?",
        ),
        (
            'a,a.csv,,"constant(peak=1e-3, warmup=5, total=20)",6,20',
            "row 2, column warmup_steps: the cell must agree with the schedule, but it says 6 and the schedule 5.",
        ),
        (
            'a,a.csv,,"constant(peak=1e-3, warmup=5, total=20)",5,21',
            "row 2, column total_steps: the cell must agree with the schedule, but it says 21 and the schedule 20.",
        ),
        (
            'a,a.csv,,"constant(peak=1' + "0" * 400 + ', total=9)",,',
            "row 2, column schedule: constant: peak must be a finite number below 1e+15, got inf.",
        ),
        (
            "a,../a.csv,,,,",
            "row 2, column file: a log must lie in the manifest's folder, but '../a.csv' points outside it.",
        ),
        (
            "a,/etc/passwd,,,,",
            "row 2, column file: a log must lie in the manifest's folder, but '/etc/passwd' points outside it.",
        ),
        (
            "a,C:\\\\x.csv,,,,",
            "row 2, column file: a log must lie in the manifest's folder, but 'C:\\\\\\\\x.csv' points outside it.",
        ),
        ("ok,a.csv,,,,\nb,b.csv,x,,,", "row 3, column params: the cell must be a number, got 'x'."),
        ("a,a.csv,,,,,9", "row 2: a row must not have more cells than the header, got 1 cell too many."),
    ],
)
def test_a_faulty_manifest_names_row_and_column(row, sentence):
    assert manifest_fault(row).replace("m.csv, ", "", 1) == sentence


def test_an_empty_manifest_is_told():
    assert manifest_fault("").endswith("a manifest needs at least one row, got none.")


def test_a_base_name_must_fit_one_file():
    sources = [Source("m.csv", b"run,file,params\nr,x.csv,1\n"), Source("p/x.csv", GOOD), Source("q/x.csv", GOOD)]
    reading = read_all(sources)
    assert "m.csv, row 2, column file: 'x.csv' must fit one of the files given, but it fits p/x.csv, q/x.csv." in [
        n.text for n in reading.files[0].notes
    ]


def test_a_manifest_on_disk_never_leaves_its_folder(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.csv").write_bytes(GOOD)
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    (inside / "a.csv").write_bytes(GOOD)
    (inside / "manifest.csv").write_text("run,file,params\na,a.csv,1\nb,link.csv,1\n")
    reading = read(inside / "manifest.csv")
    assert [r.name for r in reading.runs] == ["a"]
    assert "1 file of the manifest not given: link.csv." in [n.text for n in reading.files[0].notes]
    (inside / "manifest.csv").write_text("run,file,params\na,a.csv,1\nb,../secret.csv,1\n")
    reading = read(inside / "manifest.csv")
    assert reading.runs == () and "'../secret.csv' points outside it" in reading.errors[0]


def test_a_file_that_a_manifest_names_in_vain_is_listed():
    reading = read_all([Source("m.csv", b"run,file,params\nx,a.csv,1e6\ny,gone.csv,1e6\n"), Source("a.csv", GOOD)])
    assert reading.files[0].absent == ("gone.csv",)

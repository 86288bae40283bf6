"""Fuzzing, as much of it as fits into a test: damaged and odd files give results that hold or one clear sentence.

The same inputs every time; `python -m benchmarks fuzz` takes more of them and watches time and memory, too.
"""

import io
import json
import os
import signal
import warnings
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optlaws_core.errors import LogError
from optlaws_core.readers import FORMATS, Source, read_source
from tests.fuzz import mutate
from tests.fuzz.loop import batch, outcome
from tests.fuzz.targets import TARGETS, Target

NAMES = {format.name for format in FORMATS}
INPUTS = int(os.environ.get("OPTLAWS_FUZZ", "250"))  # of each target
NEVER_READ = "pickles and other files"


def test_every_format_is_fuzzed():
    assert NAMES <= set(TARGETS)


@pytest.mark.parametrize("name", [n for n in TARGETS if n != NEVER_READ])
def test_mutations_start_from_what_is_read(name):
    answers = [outcome(TARGETS[name], seed) for seed in TARGETS[name].seeds]
    assert [fault for _, fault in answers if fault] == []
    assert sum(said[0] for said, _ in answers) >= len(answers) / 2
    if name in NAMES and name != "Manifest":
        formats = {read_source(Source("a", seed)).format for seed in TARGETS[name].seeds}
        assert formats == {name}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_odd_and_damaged_files_give_a_sound_result_or_a_clear_sentence(name):
    found = batch(TARGETS[name], 0, INPUTS)
    assert found.failures == {}
    assert found.accepted + found.refused == INPUTS
    assert found.accepted or name == NEVER_READ
    assert found.refused or name == "candidates' link"  # of which everything becomes a row


def test_a_batch_can_be_had_again():
    target = TARGETS["JSON lines"]

    def fed(number: int) -> list[bytes]:
        inputs = []
        batch(replace(target, door=lambda data: inputs.append(data) or target.door(data)), number, 60)
        return inputs

    assert fed(3) == fed(3) != fed(4)


# ---------------------------------------------------------------------------------------------------- the judge


def refuse(sentence: str):
    raise LogError(sentence)


@pytest.mark.parametrize(
    "door, said",
    [
        (lambda data: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda data: json.loads("["), "JSONDecodeError: "),
        (lambda data: warnings.warn("odd", stacklevel=1), "UserWarning: odd"),
        (lambda data: [] if print("found it") else [], "printed 'found it"),
        (lambda data: refuse(""), "a sentence has 0 characters"),
        (lambda data: refuse("x" * 1_501), "a sentence has 1,501 characters"),
        (lambda data: refuse("two\nlines of it."), "a sentence is not printable"),
        (lambda data: refuse("a.csv cannot be read"), "a sentence does not end"),
        (lambda data: refuse("KeyError at 'status' here."), "a sentence speaks of the program"),
        (lambda data: ["A note of <class 'int'>."], "a sentence speaks of the program"),
        (lambda data: refuse("a.csv: the file is too large for this machine's memory."), "speaks of the program"),
    ],
)
def test_what_is_wrong_is_a_failure(door, said):
    assert said in outcome(replace(TARGETS["CSV"], door=door), b"")[1]


@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="This system does not measure a process's time by a signal.")
def test_what_takes_too_long_is_a_failure():
    def spin(data: bytes):
        while True:
            pass

    assert "TooSlow" in outcome(Target("spin", spin, lambda: (b"",)), b"", seconds=0.05)[1]


# ---------------------------------------------------------------------------------------------------- tables

words = st.sampled_from(mutate.WORDS).map(lambda w: w.encode("utf-8", "replace").decode())
cells = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), words, st.sampled_from(mutate.NUMBERS), st.text(max_size=5)
)


@st.composite
def tables(draw) -> dict[str, list]:
    """Columns of one length, some of them like those of a log."""
    height = draw(st.integers(0, 6))
    names = draw(st.lists(st.one_of(words, st.text(max_size=9)), max_size=4, unique=True))
    columns = {name: draw(st.lists(cells, min_size=height, max_size=height)) for name in names}
    if draw(st.booleans()):
        columns["step"] = draw(st.lists(st.integers(-1, 10), min_size=height, max_size=height))
        columns["loss"] = draw(st.lists(st.floats(), min_size=height, max_size=height))
    return columns


def rows(table: dict[str, list]) -> list[dict]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def delimited(table: dict[str, list], by: str) -> bytes:
    lines = [by.join(table), *(by.join("" if c is None else str(c) for c in row.values()) for row in rows(table))]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def parquet(table: dict[str, list]) -> bytes:
    """Each column as floats where it holds numbers only, else as texts."""
    arrays = {}
    for name, column in table.items():
        numbers = all(isinstance(c, float) or c is None for c in column)
        texts = [None if c is None else str(c).encode("utf-8", "surrogatepass") for c in column]
        arrays[name.encode("utf-8", "replace")] = pa.array(column, pa.float64()) if numbers else pa.array(texts)
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(list(arrays.values()), names=list(arrays)), out)
    return out.getvalue()


WRITTEN = {
    "CSV": lambda t: delimited(t, ","),
    "TSV": lambda t: delimited(t, "\t"),
    "CSV with semicolons": lambda t: delimited(t, ";"),
    "table with spaces": lambda t: delimited(t, " "),
    "JSON lines": lambda t: "".join(json.dumps(row) + "\n" for row in rows(t)).encode(),
    "JSON records": lambda t: json.dumps(rows(t)).encode(),
    "JSON columns": lambda t: json.dumps(t).encode(),
    "Parquet": parquet,
}


@pytest.mark.slow
@given(st.sampled_from([*WRITTEN]), tables())
@settings(max_examples=INPUTS, deadline=None, derandomize=True)
def test_any_table_is_a_log_or_is_refused(name, table):
    assert outcome(TARGETS[name], WRITTEN[name](table))[1] is None


losses = st.floats(1e-6, 1e6)
curves = st.dictionaries(st.integers(0, 10**6), losses, min_size=2, max_size=8).filter(lambda d: len({*d.values()}) > 1)


@given(curves)
@settings(max_examples=INPUTS // 8, deadline=None, derandomize=True)
def test_a_curve_is_the_same_in_every_format(curve):
    table = {"step": [float(s) for s in sorted(curve)], "loss": [curve[s] for s in sorted(curve)]}
    for name, write in WRITTEN.items():
        report = read_source(Source("a", write(table)))
        assert report.format == name and report.error is None
        assert report.runs[0].steps.tolist() == sorted(curve)
        assert np.array_equal(report.runs[0].loss, table["loss"])

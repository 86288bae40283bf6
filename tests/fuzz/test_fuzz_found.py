"""What fuzzing found, one test a fault: each once ended in an exception, a warning, or a sentence nobody can read."""

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optlaws_core import SCHEDULES, parse
from optlaws_core.errors import LogError, OptLawsError, ScheduleError
from optlaws_core.final_loss import load_final
from optlaws_core.final_loss.table import MOST_PARENTS, read_table
from optlaws_core.hyper import read_sweep
from optlaws_core.readers import Source, read_all, read_source
from optlaws_core.readers.base import LONGEST_NAME
from optlaws_core.readers.frames import read_frame
from optlaws_core.readers.norms import gradient_norms
from optlaws_core.saved import Snapshot, thinned
from optlaws_core.schedules import refined
from pages.parts.state.candidates import Candidate, loose, with_family
from tests.fuzz import seeds
from tests.fuzz.loop import outcome
from tests.fuzz.targets import Target

RUNS = 'run,params,batch_tokens,schedule,final_loss\na,1e6,1024,"linear(peak=1e-3, total=100)",3.5\n'
SWEEP = "params,tokens,lr,batch,loss\n1e8,2e9,1e-3,131072,3\n1e8,2e9,2e-3,131072,2.9\n"


def test_a_rate_of_minus_zero_is_kept_as_it_was_read():
    runs = read_source(Source("a.csv", b"step,loss,lr\n0,3,-0\n10,2.5,1e-3\n20,2,-0.0\n")).runs
    assert not np.signbit(runs[0].plan.schedule.values).any()
    data = Snapshot("t", thinned(runs)).to_bytes()
    assert Snapshot.from_bytes(data).to_bytes() == data


def test_a_column_of_an_unprintable_name_is_named_printably():
    rows = "".join(f"{i},x,{3 - i / 10}\n" for i in range(6))
    report = read_source(Source("a.csv", f"step,val/1\x7f0 loss,train/loss\n{rows}".encode()))
    assert all(note.text.isprintable() for note in report.notes) and report.notes
    assert read_source(Source("a.csv", f"step,val/1\x7f0 loss\n{rows}".encode())).error.isprintable()


def test_a_further_header_of_an_unprintable_name_is_told_printably():
    table = b"s\x0cep,Train_loss\n0,2.25\ns\x0cep,Train_loss\n10,2.5\n20,2.4\n30,2.3\n"
    (report,) = read_all([Source("Train_loss.csv", table)]).files
    told = [note.text for note in report.notes]
    assert any("The header is repeated" in text for text in told) and all(text.isprintable() for text in told)


def test_a_metrics_table_of_carriage_returns_alone_is_refused_printably():
    table = b"step,Train_loss\r0,3.25\r10,2.5\r20,1_000,2.0\r1e308"
    (report,) = read_all([Source("logs/a.csv", table)]).files
    assert "step and" in report.error and report.error.isprintable()


def test_a_damaged_parquet_file_does_not_name_exceptions_of_its_library():
    out = io.BytesIO()
    pq.write_table(pa.table({"step": [0, 1], "loss": [3.0, 2.0]}), out)
    whole = out.getvalue()
    at = whole.index(b"\x00schema"[1:])  # the name of the root, in the footer
    for damage in range(40):
        data = bytearray(whole)
        data[at + damage] ^= 0xFF
        error = read_source(Source("a.parquet", bytes(data))).error or ""
        assert "Exception" not in error and "Error" not in error


def test_a_run_of_a_name_without_end_is_named_by_its_beginning():
    report = read_source(
        Source("a.csv", b"run,step,loss\n" + b"".join(b"%s,%d,%d\n" % (b"x" * 5_000, i, 9 - i) for i in (0, 1)))
    )
    assert [len(run.name) for run in report.runs] == [LONGEST_NAME]
    report = read_source(Source("a.csv", b"run,step,loss\nb,0,3\nb,1,2\n" + b"y" * 5_000 + b",0,3\n"))
    assert max(len(note.text) for note in report.notes) < 2 * LONGEST_NAME


def test_a_manifest_finds_a_run_of_a_long_name_all_the_same():
    name = b"x" * 400
    log = Source(
        "a.csv", b"run,step,loss\n" + b"".join(b"%s,%d,%d\n" % (n, i, 9 - i) for n in (name, b"b") for i in (0, 1))
    )
    reading = read_all([Source("m.csv", b"run,file,params\n%s,a.csv,7e9\nb,a.csv,1e9\n" % name), log])
    facts = next(f.facts for f in reading.files if f.runs)
    assert sorted(f.params for f in facts.values()) == [1e9, 7e9]


@pytest.mark.parametrize("step", ["nan", "inf", "", "word"])
def test_a_gradient_norm_needs_a_step(step):
    log = f"step,grad_norm\n0,1.5\n5,1.25\n{step},1\n".encode()
    with pytest.raises(LogError, match="a.csv: each gradient norm must have a step, but 1 of 3 have none.* in line 4"):
        gradient_norms(Source("a.csv", log))
    with pytest.raises(LogError, match=r"but 1 of 2 have none\.$"):
        gradient_norms(Source("a.json", b'[{"step": 1, "grad_norm": 1}, {"step": "x", "grad_norm": 2}]'))


# ---------------------------------------------------------------------------------------------------- tables of runs


@pytest.mark.parametrize("read, good", [(read_table, RUNS), (read_sweep, SWEEP)])
@pytest.mark.parametrize(
    "spoiled, said",
    [
        (lambda good: good.replace("params", "a\x85b\u2028c"), "must have the column 'params', got "),
        (lambda good: good.rstrip("\n") + ",more\n", "has 6 cells, but the header names 5 columns."),
        (lambda good: good.replace("1e6", "9" * 400).replace("1e8", "9" * 400), "above 0, got '9"),
        (lambda good: good.replace("1e6", "1e300").replace("1e8", "1e300"), "may be at most 1e+18, got 1e+300"),
    ],
)
def test_a_table_is_refused_in_one_printable_sentence(tmp_path, read, good, spoiled, said):
    path = tmp_path / "x.csv"
    path.write_text(spoiled(good), encoding="utf-8")
    with pytest.raises(LogError) as told:
        read(path)
    assert said in str(told.value) and str(told.value).isprintable() and len(str(told.value)) < 500


def test_whole_numbers_of_any_length_are_numbers_of_a_frame():
    frame = pd.DataFrame({"params": [10**400], "tokens": [2e9], "lr": [1e-3], "batch": [1e5], "loss": [3.0]})
    with pytest.raises(LogError, match="row 1: params must be a number above 0, got '1000"):
        read_sweep(frame)
    with pytest.raises(LogError, match="row 1: batch may be at most 1e[+]18, got 1e[+]24"):
        read_sweep(frame.assign(params=1e8, batch=1e13), unit=1e11)


@pytest.mark.parametrize("name", ["", "  ", "\x00"])
def test_a_run_of_a_table_has_a_name(name):
    frame = read_frame(RUNS.encode(), "x").assign(run=name)
    with pytest.raises(LogError, match="The table, row 1: run must hold a name, got none"):
        read_table(frame)


def test_long_names_are_cut_in_messages():
    with pytest.raises(LogError, match="^Run 'xxx.*…': params must be") as told:
        read_table(read_frame(RUNS.replace("\na", "\n" + "x" * 5_000).replace("1e6", "-1").encode(), "x"))
    assert len(str(told.value)) < 250


def test_a_chain_of_parents_without_end_is_refused():
    head, row = RUNS.splitlines()
    lines = [row[1:].join((f"r{i}", f",{f'r{i - 1}' if i else ''}")) for i in range(MOST_PARENTS + 3)]
    with pytest.raises(LogError, match=f"a run may have at most {MOST_PARENTS} ancestors"):
        read_table(read_frame("\n".join((f"{head},parent", *reversed(lines))).encode(), "x"))


def test_a_frame_is_what_a_spreadsheet_shows():
    frame = read_frame('\ufeffa, b,\n\n1,,\n,,,\n2\n 3 ,"4,5",6,,\n'.encode(), "x")
    assert list(frame.columns) == ["a", "b", "column 3"]
    assert frame.to_numpy().tolist() == [["1", "", ""], ["2", "", ""], [" 3 ", "4,5", "6"]]
    with pytest.raises(LogError, match="x: line 4 has 3 cells, but the header names 2 columns."):
        read_frame(b"a,b\n1,2\n\n3,4,5\n", "x")
    with pytest.raises(LogError, match="x: each column must have a name of its own, got 'a' more than once."):
        read_frame(b"a,b, a\n1,2,3\n", "x")
    for data in (b"", b"\n,,\n", b'a\n"1', b"a\xff", b"a\n" + b"1" * 200_000):
        with pytest.raises(LogError, match="x must be a CSV table, got"):
            read_frame(data, "x")


# ---------------------------------------------------------------------------------------------------- snapshots


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda d: d["runs"][0].pop("split"), "an entry 'split' must be there, but it is missing"),
        (lambda d: d["runs"][0].update(plan=3), "must have the type that it was saved with"),
        (lambda d: d.update({"\u2028\x1b[31m": 1}), "missing or not known: "),
    ],
)
def test_a_saved_comparison_is_refused_without_the_words_of_a_program(change, said):
    runs = read_source(Source("a.csv", b"step,loss\n0,3\n10,2.5\n")).runs
    plain = json.loads(Snapshot("t", runs).to_bytes())
    change(plain)
    with pytest.raises(OptLawsError, match=said) as told:
        Snapshot.from_dict(plain)
    assert str(told.value).isprintable() and "Error" not in str(told.value)


# ---------------------------------------------------------------------------------------------------- fits, schedules


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda d: d.pop("status"), "'status' is missing or not known"),
        (lambda d: d.update(train={"\u2028": {"n": "x"}}), "must be a finite number"),
        (lambda d: d.update(train={"a": {"x" * 5_000: 1}}), "a value in it has the wrong type"),
        (lambda d: d.update(law="x" * 5_000), "Unknown final-loss law 'xxx"),
        (lambda d: d.update(folds=float("inf")), "a value in it has the wrong type"),
    ],
)
def test_a_fit_is_refused_without_the_words_of_a_program(change, said, tmp_path):
    plain = json.loads(seeds.final_fits()[0])
    change(plain)
    (tmp_path / "fit.json").write_text(json.dumps(plain))
    with pytest.raises(OptLawsError, match=said) as told:
        load_final(tmp_path / "fit.json")
    assert str(told.value).isprintable() and len(str(told.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("number", ["1e400", "-1e400", "nan", "-nan", "inf", "-0.5", "0"])
def test_a_candidate_of_impossible_numbers_can_become_any_family(number):
    broken = Candidate(f"wsd(peak={number}, warmup={number}, total={number}, decay=2)")
    for family in SCHEDULES:
        assert with_family(broken, family).problem or with_family(broken, family).schedule


def test_a_schedule_of_minus_zero_is_the_one_of_zero():
    text = "linear(peak=1, warmup=0, total=9, final=-0.0)"
    assert parse(text).text == parse(parse(text).text).text and not np.signbit(parse(text).final)


@pytest.mark.parametrize("steps", ["0, 0", "0, 0, 0"])
def test_knots_are_checked_before_anything_divides_by_their_distances(steps):
    text = f"knots(steps=[{steps}], values=[{steps.replace('0', '1')}], warmup=1)"
    with pytest.raises(ScheduleError, match="knots: steps must start at 0 and rise"):
        parse(text)


def test_long_words_are_cut_in_messages_about_schedules():
    long = "x" * 5_000
    for text in (
        f"linear(peak=1, total=9, {long}=1)",
        f"linear(peak=1, total=9, warmup_shape={long})",
        f"wsd(peak=1, total=9, decay=2, shape={long})",
        f"linear({long}=y)",
        f"linear({long}=1, {long}=1)",
        f"step(peak=1, total=9, boundaries={[3] * 900}, values={[1] * 900})",
    ):
        with pytest.raises(ScheduleError) as told:
            parse(text)
        assert len(str(told.value)) < 400


def test_norms_far_from_each_other_are_refused():
    for norms in ([1e308, 5e-324, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1e101]):
        with pytest.raises(ScheduleError, match=r"gradient norms may lie apart by a factor of 1e\+100, got"):
            refined(range(6), norms, 1e-3, smoothing=0)
    assert refined(range(3), [1, 1e90, 1e-3], 1e-3, smoothing=0).schedule.peak == 1e-3


def test_a_long_word_in_a_candidate_is_read_in_one_pass():
    """Within the fuzzer's limit, thousands of times what it takes; every tail of the word was once looked at anew."""

    def door(data: bytes) -> list[str]:
        assert loose(data.decode()) == ("knots", {})
        return []

    assert outcome(Target("loose", door, lambda: (b"",)), b"knots(" + b"1" * 50_000, seconds=5)[1] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'step;loss;x;run\n0.5;3;1;a\n1.5;3;1;b\n2.5;3;";1;b\n3.5;3;1;b\n',
            "a quotation mark is never closed",
        ),
        (
            "run,metric,value,step\n"
            + 2 * "a,losric,value,step\n"
            + "".join(
                f"{run},{metric},{value},{step}\n"
                for run in "ab"
                for metric in ("loss", "lr")
                for value, step in ((3.0, 0), (2.75, 5), (2.5, 10), (2.25, 15))
            )
            + "b,lr,2.25,15\n",
            "another header stands within the table",
        ),
    ],
)
def test_a_table_whose_names_and_numbers_have_other_rows_is_one_sentence(text, said):
    assert said in read_source(Source("a.csv", text.encode())).error


def test_a_console_log_with_a_total_and_no_step_is_read_under_an_answer_without_a_warning():
    damaged = (
        b"step\t1.8e308\t~\t\xed\xa0\x80\n'\t__class__\t1.25\t1.2\n2.5\t2.3333333333333335\t\xc2\xa0\t2.2s\n"
        b"step:9223372036854775807/9 val_loss:0\n\n0.5\ta__MIN\t--1\te\xcc\x81"
    )
    source = Source("a.log", damaged)
    first = read_source(source)
    assert first.questions
    assert read_source(source, replace(first.layout, batch=1000.0)).error


def test_steps_at_both_ends_of_the_numbers_are_told_without_a_warning():
    source = Source("run-a-tag-loss.csv", b"Wall time,Step,Value\n1.5,-1e308,2.5\n,-1e308\n2,1e+308,2")
    assert read_all([source]).files[0].error


def test_a_header_alone_that_names_a_run_has_no_rows():
    header = b"9223372036854775807step,loss,history,batch_tokens,total,run," + b"a" * 795
    for name in ("a.csv", "metrics.csv"):
        assert read_source(Source(name, header)).error

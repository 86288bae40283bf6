"""Work as bytes and back: everything that was read, corrected, fitted and edited; what is damaged is left out alone."""

import json
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from optlaws_core import OptLawsError, Plan, Run, Series, parse, select
from optlaws_core.fitting.selection import POOL
from optlaws_core.readers import Layout, Source, read, read_all
from optlaws_core.saved import packing
from optlaws_core.saved.packing import Memory, packed, told, unpacked
from optlaws_core.saved.work import Before, Stock, Table, Work
from optlaws_core.schedules import Knots
from tests.places import ROOT

ROWS = (("cosine(peak=1e-3, total=1000)", "mine", True, 3), ("no schedule \ud800|", "", False, None))


def same(one: object, other: object) -> bool:
    """Whether two trees of records and plain values are alike, arrays and all."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def logs() -> list[Source]:
    """A log of a cosine, one that leaves a question open, one without a rate, one that cannot be read, a manifest."""
    cosine = parse("cosine(peak=1e-3, warmup=20, total=400)")
    rows = "".join(f"{t},{3 - t / 1000},{cosine(np.array([t]))[0]:.9g},{4 - t / 900}\n" for t in range(0, 400, 5))
    calls = "".join(f"{t},{3 - t / 1000}\n" for t in range(100))
    return [
        Source("cosine.csv", f"step,loss,lr,val_loss\n{rows}".encode()),
        Source("wandb.csv", f"epoch,loss\n{calls}".encode()),
        Source("bare.csv", f"step,loss\n{calls}".encode()),
        Source("broken.csv", b"a,b\nc,d\n"),
        Source(
            "manifest.csv", b'run,file,params,seed,batch_schedule\nbare,bare.csv,1000000,7,"steps([0, 50], [1x, 4x])"\n'
        ),
    ]


@pytest.fixture(scope="module")
def work() -> Work:
    sources = logs()
    reading = read_all(sources)
    own = {run.name: run for report in reading.files for run in report.runs}
    bundled = {run.name: run.on("val") for run in read(ROOT / "data" / "examples.csv").runs}
    names = ("constant_4000", "cosine10_4000", "drop30_4000")
    selection = select(POOL, [bundled[n] for n in names], processes=1)
    fits = {"average": selection.average, **{f.title: f for f in selection.fits}}
    declared = own["bare"].declared(Plan(parse("wsd(peak=1e-3, total=200, decay=40)"), 1e6, 512.0))
    stock = Stock(
        runs=own | {"bare": declared},
        reports={report.file: report for report in reading.files},
        sources={source.name: source for source in sources},
        layouts={"bare.csv": Layout("step", losses=(("train", "loss"),), answered=("x",))},
        fits=fits,
        selections=dict.fromkeys(fits, selection),
        bases={selection.fits[0].title: {"constant_4000": "abc"}},
        current=selection.fits[0].title,
        choice={"laws": ("annealing",), "train": names, "test": None, "from_step": 12, "prior": "none"},
        parent="0" * 64,
        draft={"Title": "A title"},
    )
    before = Before(Stock(runs=bundled, example=True), ROWS[:1], ROWS, "9 runs were removed.")
    tables = {"sweep": Table("s.csv", b"peak,loss\n1,2\n", True, {"peak": "peak"}, "1k")}
    return Work(stock, ROWS, ROWS[:1], ((), ROWS[:1]), (ROWS,), tables, (before,))


def bytes_of(work: Work, memory: Memory | None = None) -> tuple[bytes, dict[str, bytes]]:
    content, parts = packed(work, memory or Memory())
    return content, {digest: made() for digest, made in parts.items()}


def test_everything_comes_back(work):
    reports = work.stock.reports
    assert any(r.questions for r in reports.values()) and any(r.recognised for r in reports.values())
    assert any(r.error for r in reports.values()) and any(r.facts for r in reports.values())
    found, said = unpacked(*bytes_of(work))
    assert said == []
    for f in fields(Stock):
        assert same(getattr(found.stock, f.name), getattr(work.stock, f.name)), f.name
    assert same(found, work)


def test_what_was_one_object_is_one_again(work):
    found, _ = unpacked(*bytes_of(work))
    run = found.stock.runs["cosine"]
    assert run is found.stock.reports["cosine.csv"].runs[0]
    assert len({id(s) for s in found.stock.selections.values()}) == 1


def test_it_is_plain_json_and_numbers(work):
    content, parts = bytes_of(work)
    assert json.loads(content)["kind"] == "optlaws work"
    assert not [data for data in (content, *parts.values()) if data.startswith(b"\x80")]  # as pickles do


def test_an_edit_makes_no_new_part(work):
    memory = Memory()
    _, before = bytes_of(work, memory)
    renamed = replace(work.stock.runs["cosine"], name="another name")
    edited = replace(work, rows=(), stock=replace(work.stock, runs={"another name": renamed}))
    _, parts = packed(edited, memory)
    assert set(parts) <= set(before)


def test_a_damaged_part_takes_nothing_else(work):
    content, parts = bytes_of(work)
    whole, _ = unpacked(content, parts)
    heads = {head["name"]: head["series"] for head in json.loads(content)["heads"]}
    found, said = unpacked(content, {d: data for d, data in parts.items() if d != heads["cosine"]})
    assert said == ["The run cosine was left out: it was damaged in the store."]
    assert set(found.stock.runs) == set(whole.stock.runs) - {"cosine"}
    assert same(found.stock.fits, whole.stock.fits) and found.rows == whole.rows


@pytest.mark.parametrize("damaged", range(40))
def test_any_part_may_be_missing(work, damaged):
    content, parts = bytes_of(work)
    gone = sorted(parts)[damaged % len(parts)]
    found, said = unpacked(content, {d: data for d, data in parts.items() if d != gone})
    assert said and all(sentence.endswith("it was damaged in the store.") for sentence in said)
    assert found.rows == work.rows and found.past == work.past
    assert found.stock.current in found.stock.fits


@pytest.mark.parametrize(
    "content, why",
    [
        (None, "it was damaged in the store"),
        (b"{", "it was damaged in the store"),
        (b"[]", "its format is None"),
        (b'{"kind": "optlaws work", "format": 2}', "its format is 2, this version knows 1"),
        (b'{"kind": "optlaws snapshot", "format": 1}', "its format is 1"),
        (b'{"kind": "optlaws work", "format": 1}', "an entry 'heads' is missing"),
        (b'{"kind": "optlaws work", "format": 1, "heads": [], "stock": 3}', "a value in it has the wrong type"),
    ],
)
def test_what_is_no_work_is_refused_in_one_sentence(content, why):
    with pytest.raises(OptLawsError, match=f"Your kept work cannot be read: {why}") as said:
        unpacked(content, {})
    assert str(said.value).count(".") <= 2


def test_a_report_of_another_version_is_left_out_alone(work):
    content, parts = bytes_of(work)
    d = json.loads(content)
    d["stock"]["reports"][0]["layout"] = {"of": "a newer version"}
    found, said = unpacked(json.dumps(d).encode(), parts)
    assert len(said) == 1 and said[0].startswith("What was read of ")
    assert len(found.stock.reports) == len(work.stock.reports) - 1 and found.stock.runs.keys() == work.stock.runs.keys()


def test_uploads_past_the_limit_are_uploaded_again_and_runs_past_it_are_refused(work, monkeypatch):
    monkeypatch.setattr(packing, "MOST_SOURCES", 10)
    content, parts = packed(work, Memory())
    found, said = unpacked(content, {digest: made() for digest, made in parts.items()})
    assert said == [] and set(found.stock.sources) == {"broken.csv"} and same(found.stock.runs, work.stock.runs)
    monkeypatch.setattr(packing, "MOST_LOSSES", 100)
    with pytest.raises(OptLawsError, match="at most 100 losses in total are kept, these have"):
        packed(work, Memory())


def test_numbers_are_kept_to_the_last_digit():
    loss = np.random.default_rng(0).normal(3, 1, 1000)
    steps = np.unique(np.random.default_rng(1).integers(0, 10**12, 1000))
    run = Run("a", None, {"train": Series(steps, loss[: len(steps)]), "val": Series([5], [0.1])})
    found, _ = unpacked(*bytes_of(Work(Stock(runs={"a": run}))))
    assert same(found.stock.runs["a"], run)


def test_a_curve_of_many_knots_is_numbers_too():
    steps, rates = tuple(range(0, 3000, 3)), tuple(np.random.default_rng(0).uniform(1e-4, 1e-3, 1000).tolist())
    run = Run("a", Plan(Knots(steps=steps, values=rates, warmup=30)), {"train": Series([5], [0.1])}, lr_source="logged")
    content, parts = bytes_of(Work(Stock(runs={"a": run})))
    assert len(content) < 2_000
    assert same(unpacked(content, parts)[0].stock.runs["a"], run)


PLANS = [
    f"rate={rate}; {more}"
    for rate in (
        "wsd(peak=1e-3, warmup=20, total=400, decay=80)",
        f"knots(steps={[*range(200)]}, values={[1e-3] * 200})",
    )
    for more in ("batch=steps([0, 50, 99], [1x, 4x, 2x])", "batch=ramp([0, 9M], [1M, 4M], by=tokens); average=ema(9.5)")
]


@pytest.mark.parametrize("text", PLANS)
def test_a_plan_with_batch_and_average_comes_back(text):
    run = Run("a", Plan(parse(text), batch_tokens=1e6), {"train": Series([5], [0.1])}, lr_source="declared")
    rows = ((parse(text).text, "both", True, 2),)
    found, said = unpacked(*bytes_of(Work(Stock(runs={"a": run}), rows)))
    assert not said and found.rows == rows and same(found.stock.runs["a"], run)


def test_many_sentences_are_cut():
    assert told(["A.", "B."]) == "A. B."
    assert told(list("ABCDE")) == "A B C The same holds for 2 more items."

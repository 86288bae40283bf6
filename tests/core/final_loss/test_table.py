"""Tables of runs: columns under any usual name, ends that are none, children of runs, and what cannot be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from optlaws_core.errors import DesignError, LogError, OptLawsError
from optlaws_core.final_loss import TableRun, chosen, columns_of, family, fold, read_table, table_runs
from optlaws_core.readers import read
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import Constant, Cosine, parse
from optlaws_core.schedules.chain import Chain
from tests.places import ROOT

MANIFEST = ROOT / "data" / "manifest.csv"
COSINE = "cosine(peak=1e-3, warmup=300, total=10000)"
SHORT = "constant(peak=1e-4, total=500)"
ROW = {"run": "a", "params": 1e8, "batch_tokens": 1e5, "tokens": 1e9, "schedule": COSINE, "final_loss": 3.0}
CHILD = ROW | {"schedule": SHORT, "tokens": 5e7}
ONE = TableRun("a", Plan(parse(COSINE), 1e8, 1e5), 3.0)
LOGGED = Plan(parse(SHORT), 1e8, 1e5)


def table(*rows: dict) -> list[TableRun]:
    return read_table(pd.DataFrame(rows))


def named(*rows: dict) -> dict[str, TableRun]:
    return {r.name: r for r in table(*rows)}


def from_file(tmp_path, text: str, **how) -> list[TableRun]:
    (tmp_path / "table.csv").write_text(text)
    return read_table(tmp_path / "table.csv", **how)


def test_tables_are_read_from_files_and_frames(tmp_path):
    frame = pd.DataFrame([ROW, ROW | {"run": "b", "final_loss": 2.9}])
    frame.to_csv(tmp_path / "table.csv", index=False)
    expected = [ONE, replace(ONE, name="b", final_loss=2.9)]
    assert (
        read_table(frame) == read_table(tmp_path / "table.csv") == read_table(str(tmp_path / "table.csv")) == expected
    )


def test_tokens_and_batches_give_each_other():
    frame = pd.DataFrame([ROW])
    assert read_table(frame.drop(columns="tokens")) == read_table(frame.drop(columns="batch_tokens")) == [ONE]
    assert table(ROW | {"tokens": 1.04e9})[0] == ONE  # rounded a little
    with pytest.raises(LogError, match=r"tokens must be batch_tokens × updates = 1e\+09, got 1.06e\+09"):
        table(ROW | {"tokens": 1.06e9})


@pytest.mark.parametrize("empty", [None, np.nan, "", " ", "nan"])
def test_an_empty_cell_is_completed_from_the_rest_of_its_row(empty):
    rows = [ROW, ROW | {"run": "b", "tokens": empty}, ROW | {"run": "c", "batch_tokens": empty}]
    runs = table(*rows)
    assert [r.plan for r in runs] == [ONE.plan] * 3 and {r.plan.tokens for r in runs} == {1e9}
    with pytest.raises(LogError, match="Run 'a': batch_tokens or tokens must be a number above 0, got an empty cell"):
        table(ROW | {"tokens": empty, "batch_tokens": empty})
    for column, other in (("tokens", "batch_tokens"), ("batch_tokens", "tokens")):
        row = {k: v for k, v in ROW.items() if k != other} | {column: empty}
        with pytest.raises(LogError, match=f"Run 'a': {column} must be a number above 0, got an empty cell"):
            table(row)


def test_a_partly_empty_column_of_a_file(tmp_path):
    text = "run,params,batch_tokens,tokens,schedule,final_loss\n"
    lines = f'a,1e8,1e5,,"{COSINE}",3.0\nb,1e8,,1e9,"{COSINE}",3.0\n'
    assert from_file(tmp_path, text + lines) == [ONE, replace(ONE, name="b")]


def test_rows_that_contradict_themselves_are_told_in_one_sentence():
    with pytest.raises(LogError) as told:
        table(ROW, *(ROW | {"run": n, "tokens": 2e9} for n in "bcdefghij"))
    assert str(told.value) == (
        "Run 'b': tokens must be batch_tokens × updates = 1e+09, got 2e+09; the same holds for 8 more runs: "
        "c, d, e, f, g and 3 more."
    )
    assert told.value.source == "b"


def test_columns_have_other_names_and_others_are_passed_over(tmp_path):
    text = "Run_ID, N_Params ,tokens_per_step,lr_schedule,final_train_loss,final_val_loss,colour\n"
    assert from_file(tmp_path, text + f'a,1e8,1e5,"{COSINE}",2.5,3.0,red\n') == [ONE]
    for ours, theirs in (("final_loss", "loss"), ("final_loss", "val_loss"), ("params", "model_size"), ("run", "name")):
        assert read_table(pd.DataFrame([ROW]).rename(columns={ours: theirs})) == [ONE]


def test_columns_of_prefers_our_names():
    found = columns_of(["LOSS", "Final_Loss", "name", "dataset", "other", "Outcome"])
    assert found == {"run": "name", "final_loss": "Final_Loss", "text": "dataset", "outcome": "Outcome"}
    assert columns_of(["loss", "val_loss"]) == {"final_loss": "val_loss"} and columns_of([]) == {}


def test_columns_can_be_mapped():
    frame = pd.DataFrame([ROW | {"ema_loss": 2.5, "N": 2e8}])
    assert read_table(frame, columns={"final_loss": "ema_loss"}) == [replace(ONE, final_loss=2.5)]
    both = read_table(frame.drop(columns="params"), columns={"final_loss": "ema_loss", "params": "N"})
    assert (both[0].final_loss, both[0].plan.params) == (2.5, 2e8)
    with pytest.raises(LogError, match="a column is one of run, params, .*, outcome, parent, text, got 'size'"):
        read_table(frame, columns={"size": "params"})
    with pytest.raises(LogError, match="The table has no column 'x'; it has run, params"):
        read_table(frame, columns={"final_loss": "x"})


def test_an_empty_cell_is_no_loss_and_nan_one_that_diverged(tmp_path):
    cells = {"a": "3.0", "empty": "", "space": " ", "nan": "nan", "NaN": "NaN", "inf": "inf", "huge": "1e400"}
    lines = "".join(f'{name},1e8,1e5,"{COSINE}",{cell}\n' for name, cell in cells.items())
    runs = from_file(tmp_path, "run,params,batch_tokens,schedule,final_loss\n" + lines)
    assert [np.isnan(r.final_loss) for r in runs] == [False] + [True] * 6
    assert [r.name for r in runs if r.diverged] == ["nan", "NaN", "inf", "huge"]
    empty, infinite = table(ROW | {"final_loss": None}, ROW | {"run": "b", "final_loss": np.inf})
    assert np.isnan(empty.final_loss) and not empty.diverged  # a frame has one sign for both
    assert np.isnan(infinite.final_loss) and infinite.diverged


def test_far_above_the_median_of_a_size_counts_as_diverged():
    rows = [ROW | {"run": str(v), "final_loss": v} for v in (2.9, 3.0, 3.1, 4.4, 4.7)]
    rows += [ROW | {"run": f"small {v}", "params": 1e7, "final_loss": v} for v in (4.7, 5.0, 7.7)]
    far = [r.name for r in table(*rows) if r.diverged]
    assert far == ["4.7", "small 7.7"]  # medians are 3.1 and 5
    assert all(np.isfinite(r.final_loss) for r in table(*rows))
    rows = [r | {"text": "web"} for r in rows] + [ROW | {"run": n, "final_loss": 9.0, "text": "code"} for n in "xyz"]
    assert [r.name for r in table(*rows) if r.diverged] == far  # other texts have other losses


def test_a_column_tells_how_runs_ended_and_then_nothing_else_does():
    ends = {"a": ("finished", 3.0), "b": (" Diverged ", 3.0), "c": ("spiked", 90.0), "d": ("", np.inf), "e": (None, 3)}
    runs = table(*(ROW | {"run": n, "outcome": o, "final_loss": v} for n, (o, v) in ends.items()))
    assert [r.name for r in runs if r.diverged] == ["b"] and [r.name for r in runs if r.spiked] == ["c"]
    assert [r.name for r in runs if r.stable] == ["a", "d", "e"]
    assert [r.final_loss for r in runs[:3]] == [3.0, 3.0, 90.0] and np.isnan(runs[3].final_loss)


def test_children_have_their_parents_schedule_before_their_own():
    runs = named(
        CHILD | {"run": "grandchild", "parent": "child"},
        ROW | {"parent": ""},
        CHILD | {"run": "child", "parent": "a", "params": 2e8},
    )
    assert list(runs) == ["grandchild", "a", "child"] and runs["a"] == ONE
    child = runs["child"]
    assert child.plan == Plan(Chain(parse(COSINE), parse(SHORT)), 2e8, 1e5) and child.parent == "a"
    assert runs["grandchild"].plan.schedule == Chain(child.plan.schedule, parse(SHORT))
    assert runs["grandchild"].parent == "child" and runs["grandchild"].plan.tokens == 1e5 * 11_000


def test_a_text_is_named_where_it_is_not_that_of_the_first_run():
    rows = [ROW | {"text": "web", "parent": ""}]
    rows += [CHILD | {"run": t, "text": t, "parent": "a"} for t in ("web", "code")]
    rows += [CHILD | {"run": f"{t} after code", "text": t, "parent": "code"} for t in ("web", "law", "code")]
    assert {n: r.text for n, r in named(*rows).items()} == {
        "a": "",
        "web": "",
        "code": "code",
        "web after code": "",
        "law after code": "law",
        "code after code": "code",
    }


def test_a_text_that_is_not_given_is_that_of_the_parent():
    """As `read_table` says: the column tells what a run learns where that is another text than its parent's."""
    rows = [ROW | {"parent": "", "text": ""}, CHILD | {"run": "b", "parent": "a", "text": "code"}]
    rows += [CHILD | {"run": "c", "parent": "b", "text": ""}, CHILD | {"run": "d", "parent": "c", "text": None}]
    rows += [CHILD | {"run": "same", "parent": "a", "text": ""}]
    texts = {n: r.text for n, r in named(*rows).items()}
    assert texts == {"a": "", "b": "code", "c": "code", "d": "code", "same": ""}


def test_without_parents_a_text_is_that_of_the_first_run():
    assert table(ROW | {"text": "web"}) == [replace(ONE, first_text="web")]


@pytest.mark.parametrize(
    "parents, message",
    [
        ({"b": "none"}, "Run 'b': its parent must be a run of the table, got 'none'"),
        ({"b": "b"}, "Run 'b': parents must lead back to a first run, got a circle"),
        ({"b": "c", "c": "b"}, "parents must lead back to a first run, got a circle"),
        ({"b": "c", "c": "d", "d": "c"}, "parents must lead back to a first run, got a circle"),
    ],
)
def test_parents_that_cannot_be(parents, message):
    with pytest.raises(LogError, match=message):
        table(ROW, *(CHILD | {"run": n, "parent": p} for n, p in parents.items()))


def logged(name: str, steps=(0, 250, 499), loss=(9.0, 4.0, 3.0), plan=LOGGED, **about) -> Run:
    series = {"train": Series(np.array(steps), np.array(loss))}
    return Run(name, plan, series, lr_source="declared" if plan else "missing", about=about)


def test_loaded_runs_give_their_last_losses():
    assert table_runs([logged("a")]) == [TableRun("a", LOGGED, 3.0)]
    bare = [Plan(parse(SHORT)), Plan(parse(SHORT), 1e8), Plan(parse(SHORT), None, 1e5), None]
    assert table_runs([*(logged(str(i), plan=p) for i, p in enumerate(bare)), logged("x", (), ())]) == []
    val = Run("a", LOGGED, logged("a").series | {"val": Series([499], [2.5])}, "val", "declared")
    assert [r.final_loss for r in table_runs([val])] == [2.5]


def test_logs_that_break_off_give_no_loss():
    runs = table_runs([
        logged("near", (0, 100, 400)),  # as near to the end as its points lie apart
        logged("early", (0, 10, 20)), logged("one", (100,), (3.0,)), logged("negative", loss=(9.0, 4.0, -1.0)),
        logged("gone", (0, 10, 20), outcome="diverged"), logged("high", loss=(9.0, 4.0, 12.0), outcome="diverged"),
        logged("spiked", outcome="spiked"),
    ])  # fmt: skip
    assert {r.name for r in runs if np.isnan(r.final_loss)} == {"early", "one", "negative", "gone"}
    assert {r.name for r in runs if r.diverged} == {"gone", "high"} and [r.name for r in runs if r.spiked] == ["spiked"]


def test_loaded_children_go_on_from_their_parents():
    runs = table_runs(
        [
            logged("c", parent="b", text="code"),
            logged("b", parent="a", text="web"),
            logged("a", parent="", text="web"),
            logged("orphan", parent="none"),
        ]
    )
    part = parse(SHORT)
    assert [(r.name, r.parent, r.text) for r in runs] == [("c", "b", "code"), ("b", "a", ""), ("a", None, "")]
    assert [r.plan.schedule for r in runs] == [Chain(Chain(part, part), part), Chain(part, part), part]


def test_children_of_runs_that_were_left_out_are_left_out_too():
    """However many generations lie between."""
    runs = [logged("a", plan=None), logged("b", parent="a"), logged("c", parent="b"), logged("d", parent="c")]
    assert [r.name for r in table_runs([*runs, logged("other")])] == ["other"]


def test_our_own_runs_are_a_table():
    runs = read_table(MANIFEST, sure=True)
    first = [r for r in runs if r.parent is None]
    assert len(first) >= 186 and sum(r.diverged for r in first) >= 20
    assert {r.text for r in first} == {""} and {r.text for r in runs if r.parent} == {"tests", "topics"}
    assert all(isinstance(r.plan.schedule, Chain) == (r.parent is not None) for r in runs)
    assert all(np.isfinite(r.final_loss) or r.diverged for r in runs) and len({r.plan.params for r in runs}) == 4
    with pytest.raises(LogError, match="is the unit right.*peak learning rate above 1"):
        read_table(MANIFEST)


@pytest.mark.slow
def test_our_own_logs_say_what_their_manifest_says():
    told = read_table(MANIFEST, sure=True)
    seen = {r.name: r for r in table_runs([r.on("val") for r in read(MANIFEST).runs])}
    assert set(seen) == {r.name for r in told}
    for run in told:
        loss = seen[run.name].final_loss
        assert replace(seen[run.name], final_loss=0.0) == replace(run, final_loss=0.0), run.name
        assert np.isnan(loss) if np.isnan(run.final_loss) else loss == pytest.approx(run.final_loss, rel=1e-9)


def test_families_are_schedules_with_the_shape_of_their_cooldown():
    texts = ("constant(peak=1e-3, total=9)", "cosine(peak=1e-3, total=9)", "wsd(peak=1e-3, total=9, decay=3)")
    assert [replace(ONE, plan=Plan(parse(t))).family for t in texts] == ["constant", "cosine", "wsd-linear"]
    wsd = Plan(parse("wsd(peak=1e-3, total=9, decay=3, shape=1-sqrt)"))
    assert family(wsd) == "wsd-1-sqrt"
    assert family(Plan(Chain(Constant(1e-3, total=5), wsd.schedule))) == "wsd-1-sqrt"
    assert family(Plan(Chain(wsd.schedule, Cosine(1e-3, total=5)))) == "cosine"


def test_runs_are_chosen_by_name():
    runs = [replace(ONE, name=n) for n in "abcdefg"]
    assert [r.name for r in chosen(runs, ["f", "a"])] == ["f", "a"] and chosen(runs, []) == []
    with pytest.raises(DesignError, match="The table has no run 'x'; it has 7, a, b, c, d, e, …"):
        chosen(runs, ["a", "x"])


def test_parts_hold_every_run_once():
    plans = [
        Plan(parse(t), n, b)
        for t in (COSINE, SHORT, "constant(peak=2e-4, total=500)")
        for n in (1e7, 1e8)
        for b in (1e4, 1e5)
    ]
    runs = [TableRun(str(i), p, 3.0) for i, p in enumerate(plans)]
    for by, k, sizes in (
        ("random", 5, [3, 3, 2, 2, 2]),
        ("random", 99, [1] * 12),
        ("family", 0, [4, 8]),
        ("params", 0, [6, 6]),
        ("configuration", 0, [1, 1, 1, 1, 2, 2, 2, 2]),
    ):
        parts = fold(runs, by, k)
        assert [len(p) for p in parts] == sizes and sorted(np.concatenate(parts)) == list(range(12)), by
        if by == "configuration":
            kinds = [{r.configuration for r in np.array(runs)[p]} for p in parts]
            assert all(len(kind) == 1 for kind in kinds)
    assert runs[0].configuration == (1e7, 1e4, 10_000)
    one, again, other = (fold(runs, "random", 3, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    with pytest.raises(OptLawsError, match="left out by random, family or params or configuration, got 'size'"):
        fold(runs, "size")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"schedule": "constant(peak=3, total=10000)"}, "is the unit right.*peak learning rate above 1 .*got 3"),
        ({"tokens": 10}, "is the unit right.*tokens below 1,000.*got 10"),
        ({"params": 0.1}, "is the unit right.*params below 1,000.*got 0.1"),
        ({"params": -5}, "params must be a number above 0, got '-5'"),
        ({"params": None}, "params must be a number above 0, got 'None'"),
        ({"params": "many"}, "params must be a number above 0, got 'many'"),
        ({"batch_tokens": np.inf}, "batch_tokens must be a number above 0, got 'inf'"),
        ({"tokens": "0"}, "tokens must be a number above 0, got '0'"),
        ({"tokens": 2e9}, r"tokens must be batch_tokens × updates = 1e\+09, got 2e\+09"),
        ({"schedule": "sine(peak=1)"}, "Run 'a': Unknown schedule 'sine'"),
        ({"schedule": None}, "Run 'a': A schedule reads like"),
        ({"final_loss": -1}, "final_loss must be above 0, got -1"),
        ({"final_loss": "-inf"}, "final_loss must be above 0, got -inf"),
        ({"final_loss": "3,1"}, "final_loss must be a number, got '3,1'"),
    ],
)
def test_rows_that_cannot_be(change, message):
    with pytest.raises(LogError, match=message) as told:
        table(ROW | change)
    assert told.value.source == "a" and "Run 'a'" in str(told.value)


def test_unlikely_units_are_taken_by_who_is_sure():
    row = ROW | {"schedule": "constant(peak=3, total=10)", "params": 7, "batch_tokens": 5, "tokens": 50}
    assert read_table(pd.DataFrame([row]), sure=True)[0].plan == Plan(Constant(3.0, total=10), 7, 5)


def test_tables_that_are_none(tmp_path):
    with pytest.raises(LogError, match="none.csv: there is no such file"):
        read_table(tmp_path / "none.csv")
    for text in ("", 'a,b\n"1'):
        with pytest.raises(LogError, match="table.csv must be a CSV table, got"):
            from_file(tmp_path, text)
    with pytest.raises(LogError, match="must be a CSV table"):
        read_table(tmp_path)
    frame = pd.DataFrame([ROW])
    with pytest.raises(LogError, match="The table must have the column 'params', got run, tokens, schedule"):
        read_table(frame[["run", "tokens", "schedule", "batch_tokens", "final_loss"]])
    with pytest.raises(LogError, match="must have the column 'batch_tokens'"):
        read_table(frame.drop(columns=["tokens", "batch_tokens"]))
    with pytest.raises(LogError, match="table.csv must have at least 1 run, got none"):
        from_file(tmp_path, ",".join(ROW) + "\n")
    with pytest.raises(LogError, match="runs must have different names, got 'a' more than once"):
        table(ROW, ROW)


def test_a_column_stands_once_whatever_the_case_of_its_letters():
    frame = pd.DataFrame([ROW])
    with pytest.raises(LogError, match="must have each column once, got 'final_loss' more than once"):
        read_table(pd.concat((frame, frame[["final_loss"]].rename(columns={"final_loss": "Final_Loss "})), axis=1))


def test_a_run_with_more_than_a_learning_rate_is_refused_in_a_table_and_left_out_of_logs():
    plan = f"rate={COSINE}; batch=steps([0, 5000], [1x, 4x])"
    with pytest.raises(LogError, match="Run 'a': schedule must be a learning rate alone"):
        table(ROW | {"schedule": plan})
    runs = [
        Run(name, Plan(parse(text), 1e8, 1e5), {"train": Series([0, 9999], [4.0, 3.0])}, lr_source="declared")
        for name, text in (("a", COSINE), ("b", plan))
    ]
    assert [r.name for r in table_runs(runs)] == ["a"]

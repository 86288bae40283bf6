"""The command line on final losses: fits to tables and to logs, rankings by name and by grid, errors as a sentence."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from optlaws_core import final_loss as fl
from optlaws_core import fit, load_fit, read
from optlaws_core.cli import main
from optlaws_core.fitting.result import Status
from optlaws_core.runs import Plan
from optlaws_core.schedules import parse
from optlaws_core.schedules.chain import Chain
from tests.core.final_loss.test_final_laws import OTHER, whole_table
from tests.places import ROOT

pytestmark = pytest.mark.slow

MANIFEST, EXAMPLES = str(ROOT / "data" / "manifest.csv"), str(ROOT / "data" / "examples.csv")
LINES = "opt_laws_log_linear"  # the law that is fitted fastest
COSINE, WSD = "cosine(peak=1e-3, warmup=300, total=20000)", "wsd(peak=1e-3, warmup=300, total=20000, decay=4000)"
SIZE = ["--params", "1e8", "--batch-tokens", "1e5"]
GRID = ["--tokens", "1e9", "2B", "--peaks", "5e-4", "1e-3", "--shapes", "cosine", "WSD 20 %"]
KEYS = (
    "schedule final_loss delta extrapolates reasons params batch_tokens probability_best probability_top2 pick risk "
    "apart saved_tokens saved_tokens_low saved_tokens_high prediction_low prediction_high"
).split()


def told(capsys, *argv):
    """Exit code, stdout, stderr of one command."""
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, out, err


def asked(capsys, *argv):
    """What a command that succeeds without a remark says as JSON."""
    code, out, err = told(capsys, *argv, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def rows() -> list[dict]:
    return [
        {
            "run": r.name,
            "params": r.plan.params,
            "batch_tokens": r.plan.batch_tokens,
            "schedule": (r.plan.schedule.second if r.parent else r.plan.schedule).text,
            "final_loss": r.final_loss,
            "outcome": "diverged" if r.diverged else "finished",
            "parent": r.parent,
            "text": r.text or "web",
        }
        for r in whole_table()
    ]


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    pd.DataFrame(rows()).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def fitted(table) -> Path:
    out = table.with_name("fit.json")
    assert main(["fit", "--law", "opt_laws", "--table", str(table), "--sure", "--json", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def curve(tmp_path_factory) -> Path:
    """A fit of a law of whole curves."""
    out = tmp_path_factory.mktemp("curve") / "curve.json"
    fit("power_law", [r for r in read(EXAMPLES).runs if r.name == "constant_4000"]).save(out)
    return out


def timeless(model) -> dict:
    return {k: v for k, v in model.to_dict().items() if k != "seconds"}


def test_final_laws_are_listed(capsys):
    assert [row["law"] for row in asked(capsys, "laws", "--of", "final")] == list(fl.FINAL_LAWS)
    assert all(name in told(capsys, "laws", "--of", "final")[1] for name in fl.FINAL_LAWS)


def test_a_fit_is_what_python_says(table, fitted):
    found = json.loads(fitted.read_text())
    keys = ["law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds"]
    assert list(found)[:9] == keys and found["law"] == "opt_laws" and found["test"] == {} and found["folds"] == 0
    assert set(found["train"]["run 0"]) == {"predicted", "observed", "rel_error"}
    same = fl.fit_table(fl.read_table(table, sure=True))
    assert same.risk.diverged == 12 and set(same.transfers) == {OTHER}
    assert timeless(fl.load_final(fitted)) == timeless(same)


def test_a_fit_says_what_it_found(capsys, table, tmp_path):
    argv = ["fit", "--law", LINES, "--table", table, "--sure", "--cv", 3]
    code, out, err = told(capsys, *argv, "--json", tmp_path / "x")
    assert (code, err) == (0, "12 of 78 runs diverged or spiked: they are used only for the risk of divergence.\n")
    found = fl.load_final(tmp_path / "x")
    for said in ("log I1", "60 training runs: mean error", "3-fold cross-validation: mean error"):
        assert said in out
    for said in ("Risk of divergence learned from 12 of 72 runs.", f"Runs that went on to {OTHER}: 6, off by"):
        assert said in out
    assert f"mean error {100 * found.held_out_error:.3f} %" in out


def test_runs_are_trained_on_held_out_or_left_out_in_turn(capsys, table, tmp_path):
    def parts(*argv) -> tuple[set[str], set[str], int]:
        out = tmp_path / "fit.json"
        assert told(capsys, "fit", "--law", LINES, "--table", table, "--sure", "--json", out, *argv)[0] == 0
        made = fl.load_final(out)
        return set(made.train), set(made.test), made.folds

    every = {f"run {i}" for i in range(60)}
    few, many = {"run 3", "run 9"}, {f"run {i}" for i in range(20, 60)}
    assert parts() == (every, set(), 0)
    assert parts("--test", *few) == (every - few, few, 0)
    assert parts("--train", *many) == (many, every - many, 0)  # no child taught the other text
    assert parts("--train", *many, "c4", "--test", *few, "c5") == (many, few | {"c5"}, 0)
    assert parts("--cv", "4") == (every, every, 4)


def test_a_dataset_is_a_step_of_the_law(capsys, table, tmp_path):
    """A column by its usual name; the fit prints the step, and predictions and rankings take a text by its name."""
    frame = pd.read_csv(table).drop(columns=["parent", "text"])[:60]
    frame["dataset"] = ["code"] * 6 + ["web"] * 53 + [None]
    frame.loc[:5, "final_loss"] *= 1.1
    frame.to_csv(tmp_path / "table.csv", index=False)
    argv = ["fit", "--law", LINES, "--table", tmp_path / "table.csv", "--sure", "--json", tmp_path / "fit.json"]
    code, out, err = told(capsys, *argv)
    step = fl.load_final(tmp_path / "fit.json").steps["code"]
    assert (code, err) == (0, "1 of 60 runs name no text: they were taken to be on web.\n")
    said = f"Losses on code against web: {100 * np.expm1(step.step):+.2f} % (90 % interval "
    assert said in out and "%), from 6 runs." in out and step.step == pytest.approx(np.log(1.1), abs=0.02)
    ask = ["--fit", tmp_path / "fit.json", *SIZE, "--schedule", COSINE]
    usual, web, other = (asked(capsys, "predict", *ask, *on) for on in ((), ("--text", "web"), ("--text", "code")))
    ends = [found["predictions"][0]["loss"] for found in (usual, web, other)]
    assert ends[0] == ends[1] and ends[2] / ends[0] == pytest.approx(np.exp(step.step))
    assert asked(capsys, "rank", *ask, "--text", "code")[0]["final_loss"] == pytest.approx(ends[2])
    for command in ("predict", "rank"):
        code, out, err = told(capsys, command, *ask, "--text", "poems")
        assert (code, out) == (1, "") and "learned the text 'poems' from a random start; its texts: web, code." in err


def test_scores_say_which_runs_nothing_tells_of(capsys, table, tmp_path):
    frame = pd.read_csv(table).drop(columns=["parent", "text"])[:60]
    frame["corpus"] = ["code"] + ["web"] * 59
    frame.to_csv(tmp_path / "table.csv", index=False)
    argv = ["fit", "--law", LINES, "--table", tmp_path / "table.csv", "--sure", "--json", tmp_path / "fit.json"]
    code, _, err = told(capsys, *argv, "--cv", 4)
    assert (code, err) == (0, "1 of 60 runs are the only ones on their text: without them nothing is known about it.\n")
    assert len(fl.load_final(tmp_path / "fit.json").test) == 59


def test_columns_may_be_named(capsys, table, fitted, tmp_path):
    named = pd.read_csv(table).rename(columns={"final_loss": "ema", "params": "N"}).assign(val_loss=1.0)
    named.to_csv(tmp_path / "named.csv", index=False)
    argv = ["fit", "--law", LINES, "--table", tmp_path / "named.csv", "--sure", "--json", tmp_path / "fit.json"]
    assert told(capsys, *argv, "--columns", "final_loss=ema", "params=N")[0] == 0
    assert fl.load_final(tmp_path / "fit.json").train["run 0"].observed == fl.load_final(fitted).train["run 0"].observed


def test_runs_without_a_loss_are_told(capsys, table, tmp_path):
    frame = pd.read_csv(table)
    frame.loc[[0, 5], "final_loss"] = np.nan
    frame.loc[7, "outcome"] = "spiked"
    frame.to_csv(tmp_path / "holes.csv", index=False)
    argv = ["fit", "--law", LINES, "--table", tmp_path / "holes.csv", "--sure", "--json", tmp_path / "fit.json"]
    code, _, err = told(capsys, *argv)
    assert code == 0 and err.splitlines() == [
        "13 of 78 runs diverged or spiked: they are used only for the risk of divergence.",
        "2 of 78 runs have no final loss and were left out.",
    ]
    assert not {"run 0", "run 5", "run 7"} & set(fl.load_final(tmp_path / "fit.json").train)


@pytest.mark.slow
def test_logs_are_a_table_too(capsys, tmp_path):
    out = tmp_path / "fit.json"
    code, said, err = told(capsys, "fit", "--law", LINES, "--runs", MANIFEST, "--split", "val", "--json", out)
    runs = fl.table_runs([r.on("val") for r in read(MANIFEST).runs])
    gone = sum(not r.stable for r in runs)
    assert code == 0 and err.splitlines()[0].startswith(f"{gone} of {len(runs)} runs diverged or spiked")
    same = fl.fit_table(runs, LINES)
    assert timeless(fl.load_final(out)) == timeless(same)
    assert f"Runs that went on to topics: {same.transfers['topics'].runs}, off by" in said


FITS = [
    (["--table", "{table}", "--runs", MANIFEST], "fit takes either --runs, logs of whole curves, or --table"),
    ([], "fit takes either --runs, logs of whole curves, or --table"),
    (["--table", "{dir}/none.csv"], "none.csv: there is no such file"),
    (["--table", ""], "path must not be empty"),
    (["--table", "{table}"], "is the unit right? a peak learning rate above 1 is unlikely"),
    (["--table", "{table}"], "If it is, add --sure, which takes the table as it is."),
    (["--table", "{table}", "--sure", "--train", "run 0", "none"], "The table has no run 'none'; it has 78, run 0"),
    (["--table", "{table}", "--sure", "--train", "run 0", "run 1"], "needs at least 9 runs that ended with a loss"),
    (["--table", "{table}", "--train", "run 0", "run 0"], "--train: a run counts once, got 'run 0' 2 times"),
    (["--table", "{table}", "--train", "run 0", "--test", "run 0"], "either trained on or held out, got 'run 0'"),
    (["--table", "{table}", "--lock", "E=1"], f"--lock is for laws of whole curves; {LINES} has no use for it"),
    (["--table", "{table}", "--joint"], "--joint is for laws of whole curves"),
    (["--table", "{table}", "--from-step", "0"], "--from-step is for laws of whole curves"),
    (["--table", "{table}", "--columns", "final_loss"], "--columns takes OURS=THEIRS, got 'final_loss'"),
    (["--table", "{table}", "--columns", "final_loss=x"], "has no column 'x'; it has run, params"),
    (["--table", "{table}", "--columns", "size=params"], "a column is one of run, params"),
    (["--table", "{bare}"], "bare.csv must have the column 'params', got run, final_loss"),
    (["--table", "{table}", "--sure", "--cv", "3", "--test", "run 0"], "or --cv does it, not both"),
    (["--table", "{table}", "--sure", "--cv", "1"], "needs 2 to 60 folds, as many as runs, got 1"),
    (["--table", "{table}", "--cv", "x"], "--cv: invalid int value: 'x'"),
    (["--runs", "{logs}"], "no run has a schedule, a model size and a batch, which opt_laws_log_linear needs"),
    (["--runs", EXAMPLES, "--split", "zzz"], "has no split 'zzz'"),
    (["--table", "{table}", "--sure", "--json", "{dir}"], "this is a folder"),
    (["--law", "opt_laws_x", "--runs", EXAMPLES, "--train", "constant_4000"], "Unknown law 'opt_laws_x'"),
    (
        ["--law", "annealing", "--table", "{table}", "--train", "run 0"],
        "--table is for opt_laws, ",
    ),
    (["--law", "annealing", "--runs", EXAMPLES, "--cv", "3", "--train", "constant_4000"], "--cv is for opt_laws"),
    (
        ["--law", "annealing", "--runs", EXAMPLES, "--columns", "a=b", "--train", "constant_4000"],
        "--columns is for opt_laws",
    ),
    (["--law", "annealing", "--runs", EXAMPLES, "--sure", "--train", "constant_4000"], "--sure is for opt_laws"),
    (["--law", "nosuch"], "Unknown law 'nosuch'. Known laws: opt_laws_curve, "),
    (["--law", "nosuch", "--table", "{table}"], "Unknown law 'nosuch'"),
    (["--table", "{table}", "--split", "val"], "--split does not apply to a table; leave it out"),
    (["--runs", EXAMPLES, "--sure"], "--sure does not apply to logs; leave it out"),
    (["--table", "{table}", "--columns", "text=a", "text=b"], "--columns takes each name once, got 'text'"),
    (["--table", "{table}", "--json", "a", "--json", "b"], "--json: it takes one value, and was given more"),
    (["--table", "{table}", "--json", "{table}"], "this file is read, so the result needs another one"),
    (["--table", "{dir}"], "--table: a file is needed, got the folder"),
    (["--law", "annealing", "--runs", EXAMPLES], "--train is needed: the runs to fit"),
]


@pytest.mark.parametrize("argv, found", FITS)
def test_bad_fits_are_one_sentence(capsys, table, tmp_path, argv, found):
    (tmp_path / "bare.csv").write_text("run,final_loss\na,3\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.csv").write_text("step,loss\n0,3\n10,2.9\n20,2.8\n")
    given = [a.format(table=table, dir=tmp_path, bare=tmp_path / "bare.csv", logs=tmp_path / "logs") for a in argv]
    usual = (("--law", LINES), ("--json", tmp_path / "out.json"))
    code, out, err = told(capsys, "fit", *given, *(word for pair in usual if pair[0] not in given for word in pair))
    assert (code, out) == (1, "") and found in err and err.count("\n") == 1 and "Traceback" not in err
    assert not (tmp_path / "out.json").exists()


def test_logs_are_not_read_for_a_fit_that_cannot_be_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "optlaws_core.cli.read.read_all", lambda *paths: pytest.fail("read before the file was checked")
    )
    argv = ["fit", "--law", LINES, "--runs", MANIFEST, "--json"]
    for more, said in (([tmp_path], "this is a folder"), ([tmp_path / "x", "--lock", "E=1"], "--lock is for laws")):
        code, _, err = told(capsys, *argv, *more)
        assert code == 1 and said in err and err.count("\n") == 1


def test_a_prediction_says_where_the_loss_comes_from(capsys, fitted):
    model, plan = fl.load_final(fitted), Plan(parse(COSINE), 1e8, 1e5)
    ask = ["predict", "--fit", fitted, "--schedule", COSINE, *SIZE]
    found = asked(capsys, *ask)
    loss, half = (v[0] for v in fl.predict_final(model, [plan]))
    (row,) = found["predictions"]
    assert list(found) == ["schedule", "predictions", "shares"] and found["schedule"] == parse(COSINE).text
    assert list(row) == ["step", "loss", "reasons", "prediction_low", "prediction_high"] and row["step"] == 19_999
    assert row["loss"] == loss and found["shares"] == fl.shares(model, plan)
    assert (row["prediction_low"], row["prediction_high"]) == pytest.approx((loss * np.exp(-half), loss * np.exp(half)))
    code, out, _ = told(capsys, *ask)
    first, *others = out.splitlines()
    assert code == 0 and first.split()[:2] == ["19,999", f"{loss:.6f}"] and "90 % prediction band" in first
    assert [line.split("  ")[-1] for line in others] == list(fl.TERMS.values())
    assert sum(float(line.split()[0]) for line in others) == pytest.approx(loss, abs=5e-6)


def test_the_law_of_lines_has_no_shares(capsys, tmp_path):
    fl.fit_final(whole_table(), LINES).save(tmp_path / "lines.json")
    ask = ["predict", "--fit", tmp_path / "lines.json", "--schedule", COSINE, *SIZE]
    assert asked(capsys, *ask)["shares"] == {} and told(capsys, *ask)[1].count("\n") == 1


def test_candidates_are_ranked_by_name(capsys, fitted):
    ask = ["rank", "--fit", fitted, "--schedule", COSINE, "--schedule", WSD, *SIZE]
    found = asked(capsys, *ask)
    same = fl.rank_final(fl.load_final(fitted), [Plan(parse(t), 1e8, 1e5) for t in (COSINE, WSD)])
    assert [list(row) for row in found] == [KEYS, KEYS]
    for row, r in zip(found, same.rows, strict=True):
        assert (row["schedule"], row["final_loss"], row["reasons"]) == (r.plan.schedule.text, r.loss, [])
        assert (row["probability_best"], row["probability_top2"], row["risk"]) == (r.best, r.top2, r.risk)
        saved = [row[f"saved_tokens{end}"] for end in ("", "_low", "_high")]
        assert saved == [r.saved, r.saved_low, r.saved_high]
        assert (row["prediction_low"], row["prediction_high"]) == (r.low, r.high) and not row["extrapolates"]
    assert [row["pick"] for row in found] == [1, 2] and found[0]["delta"] == 0 < found[1]["delta"]
    code, out, _ = told(capsys, *ask)
    head, first, second, *rest = out.splitlines()
    assert code == 0 and head.split()[:2] == ["final", "loss"] and f"{same.rows[0].loss:.6f}" in first
    assert same.rows[1].plan.schedule.text in second and rest[0] == f"Train first: {same.pair[0].schedule.text}"
    assert rest[1].startswith("and, if you can, ") and f"{100 * same.regret_one:.2f} %" in rest[2]


def test_candidates_are_combined(capsys, fitted):
    ask = ["rank", "--fit", fitted, *GRID, *SIZE]
    found = asked(capsys, *ask, "--warmups", "0.01", "300")
    plans = fl.candidates(1e8, 1e5, [1e9, 2e9], [5e-4, 1e-3], ["cosine", "WSD 20 %"], [0.01, 300])
    same = fl.rank_final(fl.load_final(fitted), plans)
    assert [row["schedule"] for row in found] == [r.plan.schedule.text for r in same.rows] and len(found) == 16
    assert sorted(row["pick"] or 0 for row in found) == [0] * 14 + [1, 2]
    code, out, _ = told(capsys, *ask, "--top", "3")
    assert code == 0 and "… and 5 more; --top says how many are shown." in out.splitlines()[4]
    assert asked(capsys, *ask, "--top", "3") == asked(capsys, *ask)[:3]
    assert len(told(capsys, *ask)[1].splitlines()) == 1 + 8 + 3
    assert len(asked(capsys, "rank", "--fit", fitted, *GRID[:3], *SIZE, "--peaks", "1e-3")) == 2 * len(fl.SHAPES)


def test_risky_candidates_are_set_apart(capsys, fitted):
    ask = ["rank", "--fit", fitted, "--tokens", "3e8", "--peaks", "1e-3", "2", "--shapes", "constant", "cosine", *SIZE]
    assert [row["apart"] for row in asked(capsys, *ask)] == [False, False, True, True]
    assert [row["apart"] for row in asked(capsys, *ask, "--risk", "1")] == [False] * 4
    assert all(row["extrapolates"] for row in asked(capsys, *ask)[2:])
    out = told(capsys, *ask)[1]
    assert "Set apart as likely to diverge: 2 of 4." in out and "peak=2," not in out
    out = told(capsys, *ask, "--risk", "1")[1]
    assert "Set apart" not in out and "extrapolates: peak 2, the training runs had 2e-4 to 3e-3" in out


def test_candidates_go_on_from_a_parent(capsys, fitted):
    model, parent = fl.load_final(fitted), parse(WSD)
    ask = ["rank", "--fit", fitted, "--parent", WSD, "--text", OTHER, *SIZE]
    grid = ("--tokens", "5e7", "--peaks", "1e-4", "--shapes", "constant", "linear")
    code, out, err = told(capsys, *ask, *grid, "--json")
    found = json.loads(out)
    assert code == 0 and err.startswith("Fine-tunes are ranked by loss here") and "2412.13337" in err
    same = fl.rank_final(model, fl.candidates(1e8, 1e5, [5e7], [1e-4], ["constant", "linear"], parent=parent), OTHER)
    assert [row["final_loss"] for row in found] == [r.loss for r in same.rows]
    assert all(row["schedule"].startswith(f"{parent.text} then ") for row in found)
    assert told(capsys, "rank", "--fit", fitted, "--parent", WSD, *SIZE, *grid)[2] == ""  # it goes on with its text
    own = "constant(peak=1e-4, total=500)"
    (row,) = json.loads(told(capsys, *ask, "--schedule", own, "--json")[1])
    assert row["final_loss"] == fl.predict_final(model, [Plan(Chain(parent, parse(own)), 1e8, 1e5)], OTHER)[0][0]


RANKS = [
    (["rank"], "A ranking takes candidates: --schedule for each, or --tokens and --peaks to combine"),
    (["rank", "--tokens", "1e9"], "or --tokens and --peaks to combine"),
    (["rank", "--peaks", "1e-3", "--shapes", "cosine"], "or --tokens and --peaks to combine"),
    (["rank", "--schedule", COSINE, "--peaks", "1e-3"], "either named (--schedule) or combined"),
    (["rank", *GRID, "--top", "0"], "--top must be at least 1, got 0"),
    (["rank", *GRID, "--warmups", "-1"], "--warmups must be 0 or more, got -1"),
    (["rank", *GRID, "--warmups", "nan"], "--warmups must be 0 or more, got nan"),
    (["rank", *GRID[:3], "--peaks", "1e-3", "--shapes", "square"], "invalid choice: 'square'"),
    (["rank", "--tokens", "0", "--peaks", "1e-3"], "--tokens: a number above 0 is needed, got '0'"),
    (["rank", "--tokens", "1e5", "--peaks", "1e-3"], "enough for two updates of 100000, got 100000"),
    (["rank", "--schedule", COSINE, "--risk", "0"], "--risk: a number above 0 is needed, got '0'"),
    (["rank", "--schedule", COSINE, "--text", OTHER], "starts from a run's end; name the schedule of that one"),
    (["rank", "--schedule", COSINE, "--parent", WSD, "--text", "poems"], "went on to learn the text 'poems'"),
    (["rank", "--schedule", COSINE, "--parent", "wsd"], "A schedule reads like"),
    (["rank", "--schedule", COSINE, "--parent", ""], "A schedule reads like"),
    (["rank", "--schedule", COSINE, "--risk-from", MANIFEST], "--risk-from is for fits of curve laws"),
    (["rank", "--schedule", COSINE, "--baseline", COSINE], "--baseline is for fits of curve laws; a final-loss fit"),
    (["optimize", "--peak", "1e-3", "--total", "100"], "a fit of whole loss curves is needed, this is a fit of final"),
    (["autolrs", "--high", "1e-3", "--total", "100"], "a fit of whole loss curves is needed, this is a fit of final"),
    (
        ["predict", "--schedule", COSINE, "--at", "0"],
        "--at is for laws of whole curves; a final-loss fit predicts only",
    ),
]


@pytest.mark.parametrize("argv, found", RANKS)
def test_bad_rankings_are_one_sentence(capsys, fitted, argv, found):
    code, out, err = told(capsys, *argv, "--fit", fitted, *SIZE)
    assert (code, out) == (1, "") and found in err and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize("ask", [["rank", "--schedule", COSINE], ["rank", *GRID], ["predict", "--schedule", COSINE]])
def test_a_table_of_several_sizes_asks_which_one(capsys, fitted, ask):
    code, _, err = told(capsys, *ask, "--fit", fitted, *SIZE[2:])
    assert (code, err) == (1, "--params is needed: the training runs had 3e7 to 3e8.\n")
    code, _, err = told(capsys, *ask, "--fit", fitted, *SIZE[:2])
    assert (code, err) == (1, "--batch-tokens is needed: the training runs had 1e5 to 2e5.\n")


def test_what_all_training_runs_had_need_not_be_said(capsys, fitted, tmp_path):
    alike = json.loads(fitted.read_text())
    alike["coverage"] |= {"params": [1e8, 1e8], "batch_tokens": [1e5, 1e5]}
    (tmp_path / "alike.json").write_text(json.dumps(alike))
    ask = ["predict", "--schedule", COSINE, "--fit"]
    assert asked(capsys, *ask, tmp_path / "alike.json") == asked(capsys, *ask, fitted, *SIZE)


def test_a_fit_in_doubt_is_told(capsys, fitted, tmp_path):
    found = json.loads(fitted.read_text())
    (tmp_path / "doubt.json").write_text(json.dumps(found | {"status": "at_bound", "message": "On its bound: c."}))
    assert found["status"] == Status.converged.name
    for ask in (["predict"], ["rank"]):
        code, out, err = told(capsys, *ask, "--fit", tmp_path / "doubt.json", "--schedule", COSINE, *SIZE)
        assert (code, err) == (0, "On its bound: c.\n") and out


@pytest.mark.parametrize(
    "more, found",
    [
        ([], "A fit of a curve law ranks candidates that are named: --schedule for each of them."),
        (GRID, "--tokens is for fits of final losses"),
        (["--schedule", COSINE, *GRID[:3]], "--tokens is for fits of final losses"),
        (["--schedule", COSINE, "--parent", WSD], "--parent is for fits of final losses"),
        (["--schedule", COSINE, "--text", "x"], "--text is for fits of final losses"),
        (["--schedule", COSINE, "--risk", "0.1"], "--risk needs --risk-from: labelled runs to learn the risk"),
        (["--schedule", COSINE, "--top", "0"], "--top must be at least 1, got 0"),
    ],
)
def test_curve_fits_rank_named_candidates_only(capsys, curve, more, found):
    code, out, err = told(capsys, "rank", "--fit", curve, *more)
    assert (code, out) == (1, "") and err.startswith(found) and err.count("\n") == 1


def test_the_first_candidates_of_a_curve_fit(capsys, curve):
    ask = ["rank", "--fit", curve, "--schedule", COSINE, "--schedule", WSD, "--schedule", COSINE]
    every, one, nine = (
        json.loads(told(capsys, *ask, *top, "--json")[1]) for top in ((), ("--top", "1"), ("--top", "9"))
    )
    assert len(every) == 3 and one == every[:1] and nine == every
    lines = told(capsys, *ask)[1].splitlines()
    assert told(capsys, *ask, "--top", "1")[1].splitlines() == [
        lines[0],
        "… and 2 more; --top says how many are shown.",
        lines[-1],
    ]


def test_a_risk_that_nothing_tells_is_not_limited(capsys, fitted, tmp_path):
    (tmp_path / "bold.json").write_text(json.dumps(json.loads(fitted.read_text()) | {"risk": None}))
    ask = ["rank", "--fit", tmp_path / "bold.json", "--schedule", COSINE, *SIZE]
    assert asked(capsys, *ask)[0]["risk"] is None
    code, out, err = told(capsys, *ask, "--risk", "0.1")
    assert (code, out) == (1, "") and "--risk has no effect: too few runs of this fit diverged" in err


def test_curve_fits_rank_as_before(capsys, curve):
    code, out, err = told(capsys, "rank", "--fit", curve, "--schedule", COSINE, "--schedule", WSD, "--json")
    assert code == 0 and err.startswith("Power law in steps: One training run cannot tell")  # which this fit has
    found = json.loads(out)
    keys = ["schedule", "final_loss", "delta", "extrapolates", "saved_updates", "reasons", "prediction_low"]
    assert load_fit(curve).law == "power_law" and list(found[0])[:7] == keys and len(found) == 2


@pytest.mark.parametrize("text", ["[1]", "3", '{"law": ["opt_laws"]}', '{"law": {}}', "null", '"opt_laws"', "{", "{}"])
def test_files_that_are_no_fits_are_one_sentence(capsys, tmp_path, text):
    (tmp_path / "odd.json").write_text(text)
    for command in ("predict", "rank"):
        code, out, err = told(capsys, command, "--fit", tmp_path / "odd.json", "--schedule", COSINE)
        assert (code, out) == (1, "") and "odd.json" in err and err.count("\n") == 1


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A table of runs of 40,000 parameters that diverge from a peak of 0.1 on."""
    rows = ["run,params,batch_tokens,schedule,final_loss,outcome"]
    for i, peak in enumerate(np.geomspace(1e-3, 3.0, 14)):
        rows.append(
            f'r{i},40000,1024,"constant(peak={peak:.4g}, warmup=50, total=1000)",2.5,'
            f"{'diverged' if peak > 0.1 else 'finished'}"
        )
    path = tmp_path_factory.mktemp("labelled") / "table.csv"
    path.write_text("\n".join(rows))
    return path


def test_labelled_runs_set_candidates_of_a_curve_fit_apart(capsys, curve, labelled):
    hot = "cosine(peak=2, warmup=200, total=4000)"
    args = ["rank", "--fit", curve, "--schedule", hot, "--schedule", COSINE, "--params", "40000"]
    code, out, err = told(capsys, *args, "--risk-from", labelled, "--json")
    found = json.loads(out)
    assert [r["apart"] for r in found] == [False, True] and found[1]["schedule"] == parse(hot).text
    assert found[0]["risk"] < 0.1 < 0.9 < found[1]["risk"]
    code, out, err = told(capsys, *args, "--risk-from", labelled)
    assert code == 0 and "diverges" in out and "Set apart as likely to diverge, behind all others: 1 of 2." in err
    code, out, err = told(capsys, *args, "--json")
    assert code == 0 and not any("risk" in r for r in json.loads(out))
    assert err.count("One training run cannot tell the effect of the schedule") == 1  # which this fit has
    code, out, err = told(capsys, *args[:-1], "40M", "--risk-from", labelled, "--json")
    assert [r["risk"] for r in json.loads(out)] == [None, None] and "40M parameters, the labelled runs have 40k." in err


def test_too_few_labelled_runs_are_one_sentence(capsys, curve, tmp_path, labelled):
    few = tmp_path / "few.csv"
    few.write_text("\n".join(labelled.read_text().splitlines()[:7]))
    code, out, err = told(capsys, "rank", "--fit", curve, "--schedule", COSINE, "--risk-from", few)
    assert (code, out) == (1, "") and "at least 5 runs that diverged" in err and "0 of 6" in err
    code, out, err = told(capsys, "rank", "--fit", curve, "--schedule", COSINE, "--risk-from", tmp_path / "none.csv")
    assert (code, out) == (1, "") and "none.csv" in err

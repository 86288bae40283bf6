"""The command line on options that would do nothing or undo each other, and on files that are not what they must be."""

import json

import pytest

from tests.support.commands import BUNDLED, CANDIDATES, TRAIN, told

FIT = ["fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN, "--json", "{tmp}/x"]
LOGGED = ["autolrs", "--runs", BUNDLED, "--run", "drop30_4000"]
SIMULATED = ["autolrs", "--fit", "{fit}", "--high", "8e-3", "--total", "4000"]
BEST = ["optimize", "--fit", "{fit}", "--peak", "8e-3", "--total", "4000", "--family", "cosine"]


@pytest.mark.parametrize(
    "argv, found",
    [
        *(
            ([*SIMULATED, *more], f"{more[0]} is for a logged run (--runs)")
            for more in (["--run", "x"], ["--probe", "x"], ["--split", "x"], ["--start", "77"], ["--length", "5"])
        ),
        *(
            ([*LOGGED, *more], f"{more[0]} is for a simulated run (--fit)")
            for more in (
                ["--total", "9"],
                ["--warmup", "0"],
                ["--first", "9"],
                ["--noise", "0"],
                ["--seed", "0"],
                ["--params", "1e6"],
                ["--batch-tokens", "1e3"],
            )
        ),
        ([*SIMULATED, "--seed", "1"], "--seed needs --noise"),
        (
            [*LOGGED, "--start", "99999"],
            "--start: run 'drop30_4000' ends before update 4,000, where its next stage begins at the latest, "
            "got 99,999",
        ),
        (
            [*LOGGED, "--split", "train", "--start", "2000", "--probe", "constant_4000", "constant_4000"],
            "--probe takes each name once, got 'constant_4000' more than once",
        ),
        ([*LOGGED[:3], "--run", ""], "There is no run ''"),
        ([*BEST, "--knots", "9"], "--knots is for free curves"),
        ([*BEST, "--may-rise"], "--may-rise is for free curves"),
        (
            ["predict", "--fit", "{fit}", "--schedule", CANDIDATES[0], "--schedule", CANDIDATES[1]],
            "--schedule: it takes one value, and was given more than once",
        ),
        ([*FIT, "--lock", "lam=1", "lam=0.5"], "--lock takes each name once, got 'lam' more than once"),
        ([*FIT[:-1], BUNDLED], "examples.csv: this file is read, so the result needs another one"),
        (["select", *FIT[3:-1], "{tmp}/x", "--table", BUNDLED], "examples.csv: this file is read"),
        *(
            ([*command, "--runs", "{tmp}", "--train", "a", "--json", "{tmp}/in/x"], "the folder around it is read")
            for command in (FIT[:3], ["select"], ["fit", "--law", "opt_laws"])
        ),
        (["fit", "--law", "nosuch"], "--law: Unknown law 'nosuch'. Known laws: opt_laws_curve"),
        (["share", "list", "--store", ""], "--store: a path must not be empty"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(capsys, tmp_path, fit_file, argv, found):
    code, out, err = told(capsys, *(a.format(tmp=tmp_path, fit=fit_file) for a in argv))
    assert (code, out) == (1, "") and found in err and err.count("\n") == 1


def test_a_stage_may_begin_where_the_run_ends(capsys):
    code, out, _ = told(capsys, *LOGGED, "--start", "4000")
    assert code == 0 and "from 4,000 on" in out


NO_FIT, NO_BUNDLE = "a fit is a JSON file written by the fit command", "A saved comparison must be a JSON text"


@pytest.mark.parametrize(
    "argv, rule",
    [
        (["predict", "--fit", "{odd}", "--schedule", CANDIDATES[0]], NO_FIT),
        (["optimize", "--fit", "{odd}", "--peak", "1e-3", "--total", "9"], NO_FIT),
        (["share", "import", "{odd}", "--store", "{tmp}/new"], NO_BUNDLE),
    ],
)
@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "there is nothing in it."),
        (b"hello", "line 1 is not JSON."),
        (b'{"a": 1,\n"b": }', "line 2 is not JSON."),
        (b'"\xff\xff\xff"', "it is not text."),
        (b"[" * 100_000, "it is nested too deeply."),
        (b"9" * 9_000, "a value in it cannot be read."),
    ],
)
def test_what_is_no_json_is_said_in_words(capsys, tmp_path, argv, rule, content, why):
    odd = tmp_path / "odd.json"
    odd.write_bytes(content)
    code, out, err = told(capsys, *(a.format(tmp=tmp_path, odd=odd) for a in argv))
    assert (code, out, err) == (1, "", f"{odd}: {rule}, but {why}\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["predict", "--schedule", CANDIDATES[0], "--fit"],
        ["optimize", "--peak", "1e-3", "--total", "9", "--fit"],
        ["autolrs", "--fit"],
        ["refine", "--peak", "1e-3"],
        ["share", "import"],
        ["fit", "--law", "opt_laws", "--json", "x", "--table"],
    ],
)
def test_a_folder_is_no_file(capsys, tmp_path, argv):
    code, out, err = told(capsys, *argv, str(tmp_path))
    assert (code, out) == (1, "") and "a file is needed, got the folder '" in err and err.count("\n") == 1


@pytest.mark.parametrize("target", ["csv", "json"])
def test_a_table_has_every_update_where_that_many_rows_are_asked_for(capsys, target):
    def steps(*more: str) -> list[int]:
        code, out, _ = told(capsys, "export", "--to", target, "--schedule", CANDIDATES[1], *more)
        assert code == 0
        if target == "json":
            return [p["step"] for p in json.loads(out)["points"]]
        return [int(line.partition(",")[0]) for line in out.splitlines()[1:]]

    breaks = [0, 199, 200, 3199, 3200, 3999, 4000]
    for many in ("4000", "4001", "9999999"):
        assert steps("--steps", many) == list(range(4001))
    for few in ("1", "7", "100", "3999"):
        found = steps("--steps", few)
        assert set(breaks) <= set(found) and 0.9 * int(few) <= len(found) <= max(int(few), len(breaks))
    code, _, err = told(capsys, "export", "--to", target, "--schedule", CANDIDATES[1], "--steps", "10000001")
    assert (code, err) == (1, "A table may have 10,000,000 rows, got 10,000,001.\n")


def test_a_list_that_is_given_twice_goes_on(capsys, tmp_path):
    once, twice = tmp_path / "once.json", tmp_path / "twice.json"
    for out, train in ((once, ["--train", *TRAIN]), (twice, [w for name in TRAIN for w in ("--train", name)])):
        argv = ["fit", "--law", "power_law", "--runs", BUNDLED, "--split", "val", *train, "--json", str(out)]
        assert told(capsys, *argv)[0] == 0
    first, second = (json.loads(out.read_text()) for out in (once, twice))
    assert first["theta"] == second["theta"] and list(second["train"]) == TRAIN

"""The command `read`, and what of a folder takes part in a fit; a sentence on stderr for everything that does not."""

import json

import pytest

from tests.support.commands import BUNDLED, told

LOG = "step,loss,lr\n" + "".join(f"{s},{3 - s / 100},1e-3\n" for s in range(0, 100, 5))


def test_read(capsys):
    code, out, _ = told(capsys, "read", BUNDLED, "--json")
    rows = json.loads(out)
    assert code == 0 and len(rows) >= 6
    assert list(rows[0]) == [
        "run",
        "format",
        "points",
        "first_step",
        "last_step",
        "lr_source",
        "losses",
        "notes",
        "questions",
    ]
    assert {row["lr_source"] for row in rows} == {"logged"}
    code, out, _ = told(capsys, "read", BUNDLED)
    assert code == 0 and all(row["run"] in out for row in rows)


@pytest.fixture
def folder(tmp_path):
    """Three usable runs with a val loss; a short one, one without val, one without a rate; and a file that is none."""
    for name, peak in (("a", 1e-3), ("b", 5e-4), ("c", 2e-4)):
        rows = "".join(f"{s},{3 - s / 100},{3.1 - s / 100},{peak if s < 60 else peak / 3}\n" for s in range(0, 100, 5))
        (tmp_path / f"{name}.csv").write_text("step,loss,val_loss,lr\n" + rows)
    (tmp_path / "short.csv").write_text("step,loss,val_loss,lr\n0,3,3,1e-3\n5,2.9,2.9,1e-3\n10,2.8,2.8,1e-3\n")
    (tmp_path / "train_only.csv").write_text(LOG)
    (tmp_path / "no_rate.csv").write_text("step,loss,val_loss\n0,3,3\n50,2.9,2.9\n90,2.8,2.8\n")
    (tmp_path / "bad.csv").write_text("neither,nor\n1,2\n")
    return tmp_path


def test_unsuitable_bystanders_do_not_block_a_fit(capsys, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "fit.json"
    base = ["fit", "--law", "annealing", "--runs", str(folder), "--json", str(out)]
    argv = [*base, "--train", "a", "b", "--split", "val", "--from-step", "30"]
    code, _, err = told(capsys, *argv)
    assert code == 0 and list(json.loads(out.read_text())["test"]) == ["c"]
    lines = err.strip().splitlines()
    reasons = (
        "bad.csv: no column is known as a loss",
        "'no_rate' has no learning rate",
        "'short' needs at least 2",
        "'train_only' has no split 'val'",
    )
    for reason in reasons:
        assert len([line for line in lines if reason in line]) == 1
    assert sum(line.startswith("Not held out: ") for line in lines) == 3
    out.unlink()
    for named in ("--train", "--test"):  # what is named must be usable
        names = ["--train", "a", "train_only"] if named == "--train" else ["--train", "a", "--test", "train_only"]
        code, _, err = told(capsys, *base, *names, "--split", "val")
        assert code == 1 and "'train_only' has no split 'val'" in err and len(err.splitlines()) == 1


def test_what_was_not_read_is_told_on_stderr(capsys, folder):
    code, out, err = told(capsys, "read", str(folder), "--json")
    assert code == 0 and len(json.loads(out)) == 6
    assert "bad.csv: no column is known as a loss" in err and len(err.splitlines()) == 1
    manifest = folder / "manifest.csv"
    manifest.write_text("run,file,params\nx,a.csv,1e6\ny,gone.csv,1e6\n")
    code, out, err = told(capsys, "read", str(manifest), "--json")
    assert code == 0 and [row["run"] for row in json.loads(out)] == ["x"]
    assert err == f"{manifest}: files that it names are not in its folder: gone.csv.\n"
    argv = ["fit", "--law", "annealing", "--runs", str(manifest), "--train", "y", "--json", str(folder / "fit.json")]
    code, _, err = told(capsys, *argv)
    assert code == 1 and "There is no run 'y'. Known runs: x." in err and "gone.csv" in err and err.count("\n") == 1
    manifest.write_text("run,file,params\ny,gone.csv,1e6\n")
    code, _, err = told(capsys, "read", str(manifest))
    assert code == 1 and "no runs were found" in err and "gone.csv" in err and err.count("\n") == 1


@pytest.fixture
def restarted(tmp_path):
    """Logs whose counter falls back to its start half-way, while the loss goes on."""
    for name, peak in (("a", 1e-3), ("b", 5e-4)):
        rows = "".join(
            f"{s},{2 + 3 / (1 + i) ** 0.3:.5f},{peak * (1 - i / 150)!r}\n"
            for i, s in enumerate([*range(10, 510, 10)] * 2)
        )
        (tmp_path / f"{name}.csv").write_text("step,loss,lr\n" + rows)
    return tmp_path


def test_a_question_is_asked_and_answered(capsys, restarted):
    code, out, _ = told(capsys, "read", str(restarted))
    assert code == 0 and "did training continue? Read as restart=continued; --answer takes restart=continued or" in out
    code, out, _ = told(capsys, "read", str(restarted), "--answer", "restart=continued", "b.csv:restart=over", "--json")
    rows = json.loads(out)
    assert [row["last_step"] for row in rows] == [1000, 500] and all(row["questions"] == [] for row in rows)
    code, _, err = told(capsys, "read", str(restarted), "--answer", "x=updates")
    assert code == 1 and "No file asks 'x'; what can be answered: restart=continued, restart=over" in err
    code, _, err = told(capsys, "read", str(restarted), "--answer", "foo")
    assert code == 1 and err == "--answer takes QUESTION=ANSWER, such as x=log-calls:50, got 'foo'.\n"


def test_a_fit_on_an_open_question_says_so(capsys, restarted, tmp_path_factory):
    fit = str(tmp_path_factory.mktemp("fit") / "fit.json")
    argv = ["fit", "--law", "annealing", "--runs", str(restarted), "--train", "a", "b", "--json", fit]
    code, out, _ = told(capsys, *argv)
    assert code == 0 and "An open question on a, b: The counter 'step' falls from 500 back to 10" in out
    code, out, _ = told(capsys, *argv, "--answer", "restart=continued")
    assert code == 0 and "open question" not in out


def test_a_log_that_waits_for_an_answer_says_which(capsys, tmp_path):
    (tmp_path / "a.csv").write_text("consumed_samples,loss\n512,3\n1024,2.5\n1536,2\n")
    code, _, err = told(capsys, "read", str(tmp_path))
    assert code == 1 and "Answer with --answer x=samples:NUMBER." in err
    code, out, _ = told(capsys, "read", str(tmp_path), "--answer", "x=samples:512")
    assert code == 0 and "a: 3 points, steps 1 to 3" in out


def test_losses_are_said_by_split_and_a_number_that_an_answer_lacks_is_named(capsys, tmp_path):
    (tmp_path / "a.csv").write_text("loss,val_loss\n3,\n2.5,2.75\n2,2.25\n")
    code, out, _ = told(capsys, "read", str(tmp_path))
    assert code == 0 and "    losses: train 3 (3 to 2); val 2 (2.75 to 2.25)\n" in out
    code, _, err = told(capsys, "read", str(tmp_path), "--answer", "x=log-calls")
    assert code == 1 and "needs updates per row, as in x=log-calls:16" in err


def test_an_open_question_on_a_held_out_run_is_said(capsys, restarted, tmp_path_factory):
    fit = str(tmp_path_factory.mktemp("fit") / "fit.json")
    argv = ["fit", "--law", "annealing", "--runs", str(restarted), "--train", "a", "--test", "b", "--json", fit]
    code, _, err = told(capsys, *argv)
    assert code == 0 and "An open question on b: The counter 'step'" in err

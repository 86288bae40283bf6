"""Gradient norms out of logs, and the command that makes a schedule of them."""

import json

import numpy as np
import pytest
from optlaws_core.cli.shared import Parser

from optlaws_core.cli.refine import add, run
from optlaws_core.errors import LogError
from optlaws_core.readers import Source
from optlaws_core.readers.norms import gradient_norms
from optlaws_core.schedules import parse, refined

STEPS = np.arange(10, 401, 10)
NORMS = 1 + 50 / STEPS
STATE = {
    "max_steps": 400,
    "log_history": [
        *({"step": int(t), "loss": 3.0, "grad_norm": g} for t, g in zip(STEPS, NORMS.tolist(), strict=True)),
        {"step": 400, "eval_loss": 3.1},
    ],
}
TABLE = "step,loss,train/grad_norm,grad_norm/layer_0\n" + "".join(
    f"{t},3.0,{g!r},7\n" for t, g in zip(STEPS, NORMS.tolist(), strict=True)
)
LINES = "".join(json.dumps(row) + "\n" for row in STATE["log_history"])


@pytest.mark.parametrize("content", [TABLE, json.dumps(STATE), LINES], ids=["table", "trainer state", "lines"])
def test_norms_are_read_from_logs(content):
    steps, norms = gradient_norms(Source("log", content.encode()))
    np.testing.assert_array_equal(steps, STEPS)
    np.testing.assert_array_equal(norms, NORMS)


def test_what_a_log_calls_no_number_stays_in_and_empty_cells_do_not():
    steps, norms = gradient_norms(Source("log", b"step,Gradient Norm\n0,1\n1,nan\n2,\n3,oops\n4,inf\n"))
    assert steps.tolist() == [0, 1, 3, 4] and np.isnan(norms[1:3]).all() and norms[3] == np.inf


@pytest.mark.parametrize(
    "content, told",
    [
        ("step,loss\n0,3\n", "log: no column is known as a gradient norm; columns found: step, loss"),
        ("tokens,grad_norm\n0,3\n", "must be logged by step, this log counts tokens"),
        ("run,step,grad_norm\na,0,3\nb,0,3\n", "taken from one run, this log has 2"),
        ("", "the file is empty"),
    ],
)
def test_logs_without_norms_of_one_run_are_refused(content, told):
    with pytest.raises(LogError, match=told) as fault:
        gradient_norms(Source("log", content.encode()))
    assert str(fault.value).count("log:") == 1


def commanded(tmp_path, content: str, *more: str):
    file = tmp_path / "log.csv"
    file.write_text(content)
    parser = Parser()
    add(parser)
    return run(parser.parse_args([str(file), *more]))


def test_the_command_prints_the_schedule_and_remarks_on_repairs(tmp_path, capsys):
    assert commanded(tmp_path, TABLE, "--peak", "2e-3", "--norm", "l1", "--smoothing", "0") == ()
    schedule = refined(STEPS, NORMS, 2e-3, norm="l1", smoothing=0).schedule
    assert parse(capsys.readouterr().out) == schedule
    remarks = commanded(tmp_path, TABLE.replace("\n30,3.0,", "\n30,3.0,-"), "--peak", "2e-3", "--json")
    row = json.loads(capsys.readouterr().out)
    assert list(remarks) == row["notes"] and "the first is -" in remarks[0] and row["norms"] == len(STEPS)

"""The command line as a process: streams that are closed or full, encodings, Ctrl-C."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.support.commands import BUNDLED, TRAIN, told

pytestmark = pytest.mark.slow


def test_the_module_runs_from_a_shell():
    done = subprocess.run(
        [sys.executable, "-m", "optlaws_core", "laws"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "opt_laws_curve" in done.stdout
    done = subprocess.run([sys.executable, "-m", "optlaws_core"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "required: COMMAND" in done.stderr


def test_ctrl_c_stops_in_one_line(capsys, monkeypatch):
    def stopped(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("optlaws_core.cli._laws", stopped)
    assert told(capsys, "laws") == (130, "", "Stopped.\n")


# A text that is run while Ctrl-C comes, as SymPy and dataclasses do, makes Python end by the signal itself.
RUNNING = """
import optlaws_core.cli as cli
cli._laws = lambda args: exec("signal.raise_signal(signal.SIGINT)", globals())
"""
IMPORTING = """
class Stops:
    def find_spec(self, name, *_):
        if name == "sympy":
            try:
                signal.raise_signal(signal.SIGINT)
            except BaseException:  # some imports swallow whatever comes
                raise ImportError from None
sys.meta_path.insert(0, Stops())
"""
STARTS = {
    "module": "runpy.run_module('optlaws_core', run_name='__main__')",
    "script": "from optlaws_core.__main__ import run; sys.exit(run())",  # what pip makes of it in pyproject.toml
}


@pytest.mark.parametrize("when", [RUNNING, IMPORTING], ids=["running", "importing"])
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("start", STARTS.values(), ids=[*STARTS])
def test_ctrl_c_stops_whenever_it_comes(when, ignored, start):
    # A shell ignores it for jobs in the background; these tests may be one.
    heeds = "SIG_IGN" if ignored else "default_int_handler"
    script = f"import runpy, signal, sys\nsignal.signal(signal.SIGINT, signal.{heeds})\n{when}"
    script += f"sys.argv = ['optlaws', 'laws']\n{start}\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == ((0, "") if ignored else (130, "Stopped.\n"))
    assert ignored or not done.stdout


ODD = "odd \ud800 näme\n\x1b[31m"


@pytest.fixture
def odd_log(tmp_path):
    """A W&B history whose run has half a character, a line break and an escape sequence in its name."""
    table = {"iter": [0, 10, 20], "train_loss": [3.0, 2.5, 2.0], "train_lr": [1e-3] * 3}
    log = tmp_path / "odd.json"
    log.write_text(json.dumps({"name": ODD, "config": {}, "history": {"train": table}}))
    return log


@pytest.mark.parametrize(
    "encoding, shown", [("ascii", b"odd n\\xe4me [31m: 3 points"), ("utf-8", "odd näme [31m: 3 points".encode())]
)
def test_any_encoding_can_show_any_name(odd_log, encoding, shown):
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    argv = [sys.executable, "-m", "optlaws_core", "read", str(odd_log)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, env=env, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith(shown) and done.stderr == b""


@pytest.mark.parametrize(
    "words, code, err",
    [
        ("laws >&-", 0, 0),
        ("nothing 2>&-", 1, 0),
        ("nothing >&- 2>&-", 1, 0),
        ("laws --json | head -c 1", 0, 0),
        pytest.param(
            "laws > /dev/full", 1, 1, marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
        ),
    ],
)
def test_streams_may_be_closed_or_full(words, code, err):
    argv = ["bash", "-c", f'set -o pipefail; "{sys.executable}" -m optlaws_core {words}']
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == code and done.stderr.count("\n") == err and "invalid choice" not in done.stdout


def test_an_ascii_terminal_can_show_a_fit(tmp_path):
    argv = [sys.executable, "-m", "optlaws_core", "fit", "--law", "annealing", "--runs", BUNDLED, "--train", *TRAIN]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    argv += ["--test", "wsd20_4000", "--json", str(tmp_path / "fit.json")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0 and "R\\xb2" in done.stdout

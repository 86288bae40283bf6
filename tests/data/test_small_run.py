"""The program that trains small runs for the app: rows as they come, runs like those of the sweep's smallest size."""

import csv
import io
import json
import sys
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the training program needs torch; nothing else does")

from data import corpus as texts  # noqa: E402
from data import small_run  # noqa: E402
from optlaws_core.schedules import parse  # noqa: E402
from tests.data.training import COSINE, TINY, corpus  # noqa: E402
from tests.places import ROOT  # noqa: E402


@pytest.fixture
def asked(monkeypatch, capsys):
    """What the program tells, as a function of what it is asked; on a text and a model that take no time."""
    tiny = replace(small_run.smallest(), size=TINY)
    monkeypatch.setattr(small_run, "smallest", lambda: tiny)
    monkeypatch.setattr(small_run, "_take_little", lambda: None)
    monkeypatch.setattr(texts, "load_corpus", lambda text: corpus())

    def ask(*schedules: str) -> tuple[int, list[dict]]:
        line = json.dumps({"schedules": schedules, "validate_every": 25})
        monkeypatch.setattr(sys, "stdin", io.StringIO(line + "\n"))
        code = small_run.main()
        return code, [json.loads(told) for told in capsys.readouterr().out.splitlines()]

    return ask


def test_every_row_is_told_and_every_run_has_its_end(asked):
    code, told = asked(COSINE, "constant(peak=1e14, warmup=1, total=75)")
    rows = [(m["run"], m["row"]["step"]) for m in told if "row" in m]
    assert code == 0 and rows == [*((0, step) for step in range(24, 229, 25)), (0, 229), (1, 24)]
    assert all(m["row"]["val_loss"] > 1 for m in told if "row" in m and m["run"] == 0)
    assert told[-2]["row"]["train_loss"] is None  # JSON has no number for what is none
    ends = [m["end"] for m in told if "end" in m]
    assert [end["outcome"] for end in ends] == ["finished", "diverged"]
    assert ends[0]["schedule"] == parse(COSINE).text


def test_what_a_library_prints_is_no_message(asked, monkeypatch):
    monkeypatch.setattr(texts, "load_corpus", lambda text: print("Downloading") or corpus())
    assert asked()[1] == []


def test_a_fault_is_told_in_a_sentence(asked):
    code, told = asked("cosine(peak=8e-3)")
    assert code == 1 and list(told[-1]) == ["fault"] and "total" in told[-1]["fault"]


def test_all_but_the_schedule_is_as_in_the_bundled_runs():
    with (ROOT / "data" / "small_runs.csv").open(encoding="utf-8", newline="") as lines:
        (known,) = [row for row in csv.DictReader(lines) if row["run"] == "wsd20_1000"]
    spec = small_run.spec_of("x", parse(known["schedule"]), 100)
    assert {name: known[name] for name in spec.row if name not in ("run", "group")} == {
        name: value for name, value in spec.row.items() if name not in ("run", "group")
    }

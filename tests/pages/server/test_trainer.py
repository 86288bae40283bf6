"""The process that trains: what it tells is heard, it ends when it is to, and there is one at a time."""

import sys
import threading

import pytest

from optlaws_core.errors import Cancelled, OptLawsError
from pages.parts.server import options, trainer, workers

PATIENCE = 60  # s on a busy machine
ASK = "import json, sys, time; asked = json.loads(sys.stdin.readline())\n"
TELL = (
    ASK
    + "for i, text in enumerate(asked['schedules']): print(json.dumps({'run': i, 'end': {'text': text}}), flush=True)"
)
HANG = ASK + 'print(\'{"run": 0, "row": {}}\', flush=True); time.sleep(600)'


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-S", "-c", code


def train(code: str, heard=lambda message: None, wanted=lambda: True, schedules=("one", "other")) -> None:
    trainer.train(schedules, 50, heard, wanted, python(code))


def test_what_the_program_tells_is_heard_in_order():
    heard = []
    train(TELL, heard.append)
    assert heard == [{"run": 0, "end": {"text": "one"}}, {"run": 1, "end": {"text": "other"}}]
    assert not trainer.busy()


def test_what_a_library_prints_between_is_not_heard():
    heard = []
    train("print('Downloading 3 files'); print(7); print('[1]');" + TELL, heard.append)
    assert [message["run"] for message in heard] == [0, 1]


@pytest.mark.parametrize(
    "code, said",
    [(ASK + "print(json.dumps({'fault': 'No such text.'}))", "No such text."), ("raise SystemExit(9)", workers.ENDED)],
    ids=["a fault", "a death"],
)
def test_a_program_that_fails_is_told_in_a_sentence_and_leaves_its_place(code, said):
    with pytest.raises(OptLawsError) as fault:
        train(code)
    assert str(fault.value) == said and not trainer.busy()


def test_it_ends_when_it_is_no_longer_wanted_and_nobody_else_trains_meanwhile():
    began, stop, raised = threading.Event(), threading.Event(), []

    def trains() -> None:
        try:
            train(HANG, lambda message: began.set(), lambda: not stop.is_set())
        except Cancelled as fault:
            raised.append(fault)

    thread = threading.Thread(target=trains)
    thread.start()
    assert began.wait(PATIENCE) and trainer.busy()
    with pytest.raises(OptLawsError, match="for one tab at a time"):
        train(TELL)
    stop.set()
    thread.join(PATIENCE)
    assert raised and not trainer.busy()
    train(TELL)


def test_it_ends_at_the_time_limit(monkeypatch):
    monkeypatch.setattr(trainer, "LIMIT", 0.0)
    with pytest.raises(OptLawsError, match="this server's limit"):
        train(HANG)
    assert not trainer.busy()


def test_the_operator_turns_it_off(monkeypatch):
    monkeypatch.setattr(options, "said", {trainer.PROVE: "off"}.get)
    assert not trainer.allowed()
    monkeypatch.setattr(options, "said", lambda name: "")
    assert trainer.allowed()


def test_without_torch_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setattr(trainer, "find_spec", lambda name: None)
    assert "pip install -r requirements-train.txt" in trainer.missing()

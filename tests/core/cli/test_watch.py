"""Runs in progress watched from the command line, and what a webhook hears of them."""

import re
import socket
import threading
import time
from contextlib import suppress

import pytest

from optlaws_core import OptLawsError, read
from optlaws_core.cli import watch as command
from optlaws_core.cli import webhook
from optlaws_core.cli.posting import Unanswered, post
from optlaws_core.cli.webhook import WEBHOOK, Webhook
from optlaws_core.fitting.result import Fit
from optlaws_core.live import Watch, cut
from tests.support.commands import BUNDLED, told
from tests.support.services import Answer, running

SECRET = "/services/T0/B0/secret"
BEYOND = "The forecast of run 'big' extrapolates: 8,000 updates, the longest training run had 4,000.\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(webhook, "PAUSES", (0.0, 0.0))
    monkeypatch.delenv(WEBHOOK, raising=False)


@pytest.fixture(scope="module")
def run():
    return next(r for r in read(BUNDLED).runs if r.name == "wsd20_8000").on("val")


def log_of(run, step: int) -> str:
    seen = cut(run, step)
    rows = "".join(f"{s},{loss}\n" for s, loss in zip(seen.steps, seen.loss, strict=True))
    return f"step,val_loss\n{rows}"


@pytest.fixture
def growing(tmp_path, run):
    """A folder with a log that its manifest declares, and what writes it up to a step."""
    manifest = f'run,file,schedule\nbig,big.csv,"{run.plan.schedule.text}"\n'
    (tmp_path / "manifest.csv").write_text(manifest)

    def write(step: int):
        (tmp_path / "big.csv").write_text(log_of(run, step))
        return tmp_path / "manifest.csv"

    return write


def test_news_are_printed_and_sent(capsys, fit_file, growing, monkeypatch):
    path = growing(4000)
    with running() as service:
        service.answer = lambda asked: Answer("ok")
        monkeypatch.setenv(WEBHOOK, service.url + SECRET)
        code, out, err = told(capsys, "watch", str(path), "--fit", str(fit_file), "--once")
        assert (code, err) == (0, BEYOND) and out.startswith("big: at step ") and "estimated final loss is" in out
        assert out.count("\n") == 1 and SECRET not in out
        (asked,) = service.asked
        assert asked.path == SECRET and asked.body == {"text": out.strip()}


def test_a_log_that_grows_is_looked_at_again_until_ctrl_c(capsys, fit_file, growing, monkeypatch):
    path, steps = growing(4000), iter((4000, 5000, None))

    def sleep(seconds):
        assert seconds == 7
        if (step := next(steps)) is None:
            raise KeyboardInterrupt
        growing(step)

    looks = []
    monkeypatch.setattr(command, "sleep", sleep)
    monkeypatch.setattr(Watch, "look", lambda self, run: looks.append(int(run.steps[-1])) or [f"{run.name} grew"])
    with running() as service:
        service.answer = lambda asked: Answer("ok")
        argv = ["watch", str(path), "--fit", str(fit_file), "--every", "7", "--webhook", service.url]
        code, out, err = told(capsys, *argv)
        assert (code, out, err) == (130, "big grew\n" * len(looks), f"{BEYOND}Stopped.\n")
        assert looks[0] < looks[-1] <= 5000 and [a.body for a in service.asked] == [{"text": "big grew"}] * len(looks)


def test_doubts_of_a_fit_are_told_once(capsys, fit_file, growing, monkeypatch):
    monkeypatch.setattr(Fit, "doubts", property(lambda self: ["The search stopped early."]))
    code, _, err = told(capsys, "watch", str(growing(4000)), "--fit", str(fit_file), "--once")
    assert code == 0 and err == f"The search stopped early.\n{BEYOND}"


def test_losses_that_are_not_logged_yet_are_waited_for(capsys, growing, run, monkeypatch):
    path = growing(4000)
    log, steps = path.parent / "big.csv", iter((3000, 4000, None))

    def write(step: int) -> None:
        text = log_of(run, step)
        log.write_text(text if step == 4000 else text.replace("val_", "train_"))

    def sleep(seconds):
        if (step := next(steps)) is None:
            raise KeyboardInterrupt
        write(step)

    monkeypatch.setattr(command, "sleep", sleep)
    monkeypatch.setattr(Watch, "look", lambda self, run: [f"{run.name}: {run.split}"])
    write(2000)
    code, out, err = told(capsys, "watch", str(path), "--split", "val")
    assert (code, out) == (130, "big: val\n")
    assert err == "--split: no run here has losses named 'val' so far.\nStopped.\n"


def test_what_is_wrong_with_a_watch_is_one_sentence(capsys, tmp_path, growing):
    path, nothing = str(growing(4000)), tmp_path / "nothing.csv"
    nothing.write_text("step,loss\n")
    for argv, said in (
        ([str(tmp_path / "none"), "--once"], "none"),
        ([str(nothing), "--once"], "there is no run yet"),
        ([path, "--every", "0"], "a number of seconds of 1 or more is needed, got '0'"),
        ([path, "--once", "--split", "nothing"], "--split: no run here has losses named 'nothing'"),
        ([path, "--once", "--webhook", f"ftp://x{SECRET}"], "The address of a webhook must begin with https://"),
        ([path, "--once", "--webhook", f"https://[{SECRET}"], "The address of a webhook must begin with https://"),
    ):
        code, out, err = told(capsys, "watch", *argv)
        assert code == 1 and said in err.splitlines()[-1] and SECRET not in err and not out


# ---------------------------------------------------------------------------------------------------- the webhook


def sent(url: str, *sentences: str) -> list[str]:
    """What is said of sending them."""
    said: list[str] = []
    hook = Webhook(url, said.append)
    for sentence in sentences:
        hook.send(sentence)
    hook.close(30)
    return said


def test_signs_of_slack_are_taken_for_what_they_are():
    with running() as service:
        service.answer = lambda asked: Answer("ok")
        assert sent(service.url, "<!channel> a & b") == []
        assert service.asked[0].body == {"text": "&lt;!channel&gt; a &amp; b"}


@pytest.mark.parametrize("codes, tries", [((500, 200), 2), ((503, 429, 200), 3), ((500, 500, 500), 3), ((404,), 1)])
def test_what_may_pass_is_tried_again_and_at_most_twice(codes, tries):
    with running() as service:
        left = [*codes]
        service.answer = lambda asked: Answer("no", left.pop(0))
        said = sent(service.url + SECRET, "a")
        assert len(service.asked) == tries and not left
        failed = [f"A message could not be sent to the webhook (status {codes[-1]})."] if codes[-1] != 200 else []
        assert said == failed


def test_nothing_is_sent_on_to_where_an_answer_redirects():
    with running() as elsewhere, running() as service:
        service.answer = lambda asked: Answer("", 307, {"Location": elsewhere.url})
        assert sent(service.url, "a") == ["A message could not be sent to the webhook (status 307)."]
        assert elsewhere.asked == []


def test_no_address_stands_in_what_is_said_of_a_server_that_is_not_there():
    (said,) = sent(f"http://127.0.0.1:1{SECRET}", "a")
    assert said == "A message could not be sent to the webhook (Connection refused)."


def test_a_server_that_hangs_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(webhook, "SECONDS", 0.05)
    monkeypatch.setattr(webhook, "WAITING", 3)
    go, said = threading.Event(), []
    with running() as service:
        service.answer = lambda asked: go.wait(20) and Answer("ok") or Answer("ok")
        hook = Webhook(service.url, said.append)
        began = time.monotonic()
        for i in range(1000):
            hook.send(str(i))
        assert time.monotonic() - began < 5 and hook._waiting.qsize() <= 3
        hook.close(10)
        go.set()
    dropped = [int(n) for line in said for n in re.findall(r"webhook was slow: (\d+) messages?; at most 3 wait", line)]
    failed = said.count("A message could not be sent to the webhook (no answer within 0.05 s).")
    assert sum(dropped) + failed == 1000 and len(dropped) + failed == len(said)
    assert {asked.body["text"] for asked in service.asked} >= {"999"}  # the newest wait, the oldest are dropped


def test_messages_that_are_not_sent_by_the_end_are_counted():
    go, said = threading.Event(), []
    with running() as service:
        service.answer = lambda asked: go.wait(20) and Answer("ok") or Answer("ok")
        hook = Webhook(service.url, said.append)
        for i in range(3):
            hook.send(str(i))
        hook.close(0.05)
        assert said == ["3 messages to the webhook had not been sent, or not been answered, by the end."]
        go.set()


def test_a_server_that_drips_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as server:
        shut = threading.Event()

        def drip():
            with server.accept()[0] as asked, suppress(OSError):
                asked.recv(9999)
                asked.sendall(b"HTTP/1.1 200 OK\r\n")
                for _ in range(90):  # beyond a hundred headers it would be ended anyway
                    asked.sendall(b"X: y\r\n")
                    time.sleep(0.1)
            shut.set()

        threading.Thread(target=drip, daemon=True).start()
        with pytest.raises(Unanswered, match="no answer within 0.1 s"):
            post(f"http://127.0.0.1:{server.getsockname()[1]}", b"{}", 0.1)
        assert shut.wait(5)  # nor does a thread go on to listen


@pytest.mark.parametrize("address", ["", "slack.com/x", "https://", "https://a b", "file:///etc/passwd", "https://ä.x"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(OptLawsError, match="must begin with https:// or http:// and name a host"):
        Webhook(address, print)

"""A comparison sent to a server from the command line: what goes there, what is printed, what is said of faults."""

import json

import pytest

from optlaws_core.cli import main
from tests.fuzz.seeds import bundles
from tests.support.services import Answer, running

BUNDLE = bundles()[1]
LINK = "https://laws.example.org/share?id=1"


@pytest.fixture
def send(tmp_path, capsys):
    """`send(url, *argv)`: exit code, stdout, stderr."""
    file = tmp_path / "c.json"
    file.write_bytes(BUNDLE)

    def sent(url: str, *argv: str) -> tuple[int, str, str]:
        return main(["share", "send", str(file), "--to", url, *argv]), *capsys.readouterr()

    return sent


def test_a_bundle_is_sent_and_its_link_printed(send, monkeypatch):
    monkeypatch.delenv("OPTLAWS_KEY", raising=False)
    with running() as service:
        service.answer = lambda asked: Answer({"id": "1", "url": LINK, "owner_key": "ab" * 16}, 201)
        code, out, err = send(f"{service.url}/base/")
        assert (code, out) == (0, f"{LINK}\n") and err.count("ab" * 16) == 1
        (asked,) = service.asked
        assert (asked.path, asked.query, asked.key) == ("/base/api/comparisons", {"for": "link"}, None)
        assert asked.body == json.loads(BUNDLE)
        monkeypatch.setenv("OPTLAWS_KEY", "cd" * 16)
        service.answer = lambda asked: Answer({"id": "1", "url": LINK}, 201)
        assert send(service.url, "--for", "private") == (0, f"{LINK}\n", "")
        assert service.asked[1].key == f"Bearer {'cd' * 16}" and service.asked[1].query == {"for": "private"}


@pytest.mark.parametrize(
    "answer, said",
    [
        (Answer({"error": "Programs cannot save here."}, 403), ": Programs cannot save here.\n"),
        (
            Answer("<html>", 404),
            ": no comparison was saved, the answer is not that of a server of this app (status 404).",
        ),
        (Answer("<html>", 504), ": the comparison may have been saved, but the answer names no link (status 504).\n"),
        (Answer("<html>", 201), "(status 201)."),
        (
            Answer({"id": 1, "owner_key": "ef" * 16}, 201),
            f"(status 201). Its owner's key, shown only this once: {'ef' * 16};",
        ),
        (Answer({"id": 1}, 201), "(status 201)."),
        (Answer("", 307, {"Location": "http://127.0.0.1:9/"}), "(status 307)."),
    ],
)
def test_what_a_server_refuses_is_one_sentence(send, answer, said):
    with running() as service:
        service.answer = lambda asked: answer
        code, out, err = send(service.url)
        assert code == 1 and not out and said in err and err.startswith(service.url) and err.count("\n") == 1


def test_what_was_sent_without_an_answer_may_have_been_saved(send):
    with running() as service:
        service.answer = lambda asked: Answer(code=0)  # no status that HTTP has
        code, out, err = send(service.url)
    assert (code, out) == (1, "") and "the comparison may have been saved, but no answer came (" in err


@pytest.mark.parametrize("url", ["https://user:secret@127.0.0.1:1", "http://127.0.0.1:1/?t=secret", "http://x/#secret"])
def test_a_secret_in_an_address_is_refused_and_not_repeated(send, url):
    code, out, err = send(url)
    assert (code, out) == (1, "") and "--to takes an address without a user, a ? or a #;" in err and "secret" not in err


def test_a_key_never_crosses_a_network_in_clear(send, monkeypatch):
    monkeypatch.setenv("OPTLAWS_KEY", "cd" * 16)
    code, out, err = send("http://laws.example.org")
    assert (code, out) == (1, "") and "the key in OPTLAWS_KEY is sent to https:// alone, or to this machine" in err
    for here in ("http://localhost:1", "http://[::1]:1"):
        assert "was not sent (" in send(here)[2]


def test_what_cannot_be_sent_is_one_sentence(send, tmp_path):
    code, out, err = send("http://127.0.0.1:1")
    assert (code, out, err) == (1, "", "http://127.0.0.1:1: the comparison was not sent (Connection refused).\n")
    assert "begins with https:// or http://" in send("laws.example.org")[2]
    (tmp_path / "c.json").write_bytes(BUNDLE.replace(b"Bare", b"Bear"))
    assert "changed after it was written" in send("http://127.0.0.1:1")[2]

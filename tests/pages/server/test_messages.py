"""What pages may say to the server."""

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from pages.parts.server.messages import Messages
from tests.support import loops

GONE = {"type": "websocket.disconnect", "code": 1005}


def heard(*sent: dict) -> list[dict]:
    """What Streamlit hears of these messages, until the browser goes."""
    coming, found = [*sent, GONE], []

    async def receive():
        return coming.pop(0)

    async def streamlit(scope, receive, send):
        while not found or found[-1] != GONE:
            found.append(await receive())

    loops.run(Messages(streamlit)({"type": "websocket"}, receive, None))
    return found[:-1]


def said(**fields) -> dict:
    return {"type": "websocket.receive", "bytes": BackMsg(**fields).SerializeToString()}


def operation(**payload) -> dict:
    return said(backend_operation_request={"request_id": "1", **payload})


@pytest.mark.parametrize(
    "message",
    [
        said(rerun_script={"query_string": "id=1"}),
        said(stop_script=True),
        said(app_heartbeat=True),
        said(file_urls_request={"request_id": "1"}),
        operation(deferred_file={"file_id": "1"}),
        operation(dataframe_chunk={"source_id": "1"}),
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "x"},  # for which Streamlit ends the connection
        {"type": "websocket.receive", "bytes": b"\xff\xff"},
    ],
)
def test_what_a_page_says_is_heard(message):
    assert heard(message) == [message]


@pytest.mark.parametrize(
    "message",
    [
        said(clear_cache=True),  # of all visitors
        said(load_git_info=True),
        said(set_run_on_save=True),
        said(debug_shutdown_runtime=True),
        operation(install_skills={}),  # writes files
        operation(dismiss_skills_nudge={}),
        operation(),
        {"type": "websocket.receive", "bytes": b"\xf8\x01\x01"},  # a kind of which nothing is known yet
        {  # of two kinds the last one counts
            "type": "websocket.receive",
            "bytes": said(rerun_script={})["bytes"] + said(clear_cache=True)["bytes"],
        },
    ],
)
def test_what_no_page_says_is_not_heard(message):
    assert heard(message, said(stop_script=True)) == [said(stop_script=True)]


def test_every_kind_of_message_was_thought_of():
    kinds = {field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields}
    dropped = {
        "clear_cache",
        "set_run_on_save",
        "load_git_info",
        "debug_disconnect_websocket",
        "debug_shutdown_runtime",
    }
    assert kinds - dropped == {
        "rerun_script", "stop_script", "app_heartbeat", "file_urls_request", "backend_operation_request"
    }  # fmt: skip

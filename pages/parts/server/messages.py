"""What pages may say to the server, and what it need not tell them. ASGI middleware for `st.App`.

Streamlit answers every kind of message to whoever has a WebSocket: to one it forgets what it keeps for all visitors,
their running fits and the database's connections with it, to another it writes files beside the app. Its own first
message tells everybody where the app lies on the server, and which Python and system run it.
"""

from pathlib import PurePath
from typing import Any

from google.protobuf.message import DecodeError
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession

# Run the page, stop it, a browser is there, where to upload to, a download made when asked for, more rows of a table.
ANSWERED = {"rerun_script", "stop_script", "app_heartbeat", "file_urls_request", "deferred_file", "dataframe_chunk"}


def discreet() -> None:
    """Let the first message of a page tell the script's name alone."""
    made = AppSession._create_new_session_message

    def told(self: AppSession, *given: Any, **more: Any) -> ForwardMsg:
        message = made(self, *given, **more)
        begun, about = message.new_session, message.new_session.initialize.environment_info
        begun.main_script_path = PurePath(begun.main_script_path).name
        about.python_version = about.server_os = ""
        return message

    AppSession._create_new_session_message = told


class Messages:
    """Drops what no page of this app says."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def heard() -> Message:
            while _is_dropped(message := await receive()):
                pass
            return message

        await self.app(scope, heard if scope["type"] == "websocket" else receive, send)


def _is_dropped(message: Message) -> bool:
    """Whether it is a message that is not answered; what is no message at all, Streamlit ends the connection for."""
    data = message.get("bytes") if message["type"] == "websocket.receive" else None
    if not data:
        return False
    try:
        said = BackMsg.FromString(data)
    except DecodeError:
        return False
    kind = said.WhichOneof("type")
    if kind == "backend_operation_request":
        kind = said.backend_operation_request.WhichOneof("payload")
    return kind not in ANSWERED

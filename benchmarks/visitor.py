"""A visitor without a browser, who speaks the server's protocol and draws nothing: for loads of many."""

import asyncio
import time
import urllib.request
from collections.abc import Sequence
from secrets import token_hex

import websockets
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState, UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from pages.parts.server.guard import COOKIE

ENDS = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)  # rather than to run once more
PATIENCE = 900  # seconds that any answer may take
LOOK = 0.5  # seconds between two looks at a running fit; a browser takes one in 0.25 s
XSRF = "_streamlit_xsrf"


class Tab:
    """A tab of a browser, of a new one unless it is named; `elements` are those that the last run of a page sent."""

    def __init__(self, url: str, browser: str = "") -> None:
        self.url, self.browser = url, browser or token_hex(16)
        self.elements: list = []
        self.folds: list = []  # expanders of the last run
        self.page = ""  # what Streamlit knows the open page by
        self.fragment = ""  # that runs by itself, of a fit that runs
        self.bytes = 0  # that the last run sent
        self.session = ""
        self.at = ("", "")  # the open page and its query

    async def __aenter__(self) -> "Tab":
        self.line = await websockets.connect(
            f"{self.url.replace('http', 'ws')}/_stcore/stream",
            subprotocols=["streamlit"],
            max_size=None,
            ping_interval=None,
            additional_headers={"Cookie": f"{COOKIE}={self.browser}"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.line.close()

    async def run(
        self,
        page: str = "",
        query: str = "",
        states: Sequence[WidgetState] = (),
        fragment: str = "",
        quiet: float = 0.0,
    ) -> float:
        """Seconds until a page, or a fragment of it, stands, after what `states` say of its fields and buttons.

        quiet: seconds without a message that end it, for what a server sends after the script has ended.
        """
        if page != self.at[0]:
            self.page = ""  # the name alone tells which page is to be opened
        self.at = page, query
        asked = BackMsg()
        asked.rerun_script.page_name, asked.rerun_script.query_string = page, query
        asked.rerun_script.page_script_hash, asked.rerun_script.fragment_id = self.page, fragment
        asked.rerun_script.context_info.url = f"{self.url}/{page}?{query}"
        asked.rerun_script.widget_states.widgets.extend(states)
        self.elements, self.folds, self.bytes, over = [], [], 0, False
        began = last = time.perf_counter()
        await self.line.send(asked.SerializeToString())
        while not over or quiet:
            try:
                message = await self._next(quiet if over else PATIENCE)
            except TimeoutError:
                if over:
                    break
                raise
            last = time.perf_counter()
            self.saw(message)
            over |= message.WhichOneof("type") == "script_finished" and message.script_finished in ENDS
        return last - began

    def saw(self, message: ForwardMsg) -> None:
        """Keep what a message tells."""
        self.page = message.navigation.page_script_hash or self.page
        self.session = message.new_session.initialize.session_id or self.session
        self.fragment = message.auto_rerun.fragment_id or self.fragment
        self.elements.append(message.delta.new_element)
        if message.delta.add_block.WhichOneof("type") == "expandable":
            self.folds.append(message.delta.add_block.expandable)

    async def until(self, kind: str) -> None:
        """Look at what runs by itself until there is an element of a kind. Raises `TimeoutError`, `RuntimeError`."""
        deadline = time.perf_counter() + PATIENCE
        while not self.found(kind):
            if self.faults() or time.perf_counter() > deadline:
                raise TimeoutError(f"no {kind} {self.faults()}")
            await asyncio.sleep(LOOK)
            await self.run(*self.at, fragment=self.fragment)

    def found(self, kind: str) -> list:
        """The elements of a kind in the last run."""
        return [getattr(e, kind) for e in self.elements if e.WhichOneof("type") == kind]

    def faults(self) -> list[str]:
        """What went wrong in the last run; warnings that a page gives its readers are none."""
        errors = [e.body for e in self.found("alert") if e.format == Alert.ERROR]
        return errors + [e.message for e in self.found("exception")]

    def button(self, label: str) -> WidgetState:
        """The press of a button of the last run."""
        return WidgetState(id=_named(label, self.found("button")), trigger_value=True)

    def text(self, label: str, value: str) -> WidgetState:
        """What is typed into a field of the last run."""
        return WidgetState(id=_named(label, self.found("text_input")), string_value=value)

    def unfolded(self, label: str) -> WidgetState:
        """An expander of the last run, opened."""
        return WidgetState(id=_named(label, self.folds), bool_value=True)

    async def file(self, name: str, content: bytes) -> WidgetState:
        """A file, uploaded to the first place for files of the last run."""
        asked = BackMsg()
        asked.file_urls_request.request_id, asked.file_urls_request.session_id = token_hex(8), self.session
        asked.file_urls_request.file_names.append(name)
        await self.line.send(asked.SerializeToString())
        while (message := await self._next(PATIENCE)).WhichOneof("type") != "file_urls_response":
            self.saw(message)
        urls = message.file_urls_response.file_urls[0]
        await asyncio.to_thread(self._put, urls.upload_url, name, content)
        state = WidgetState(id=self.found("file_uploader")[0].id)
        state.file_uploader_state_value.CopyFrom(
            FileUploaderState(
                uploaded_file_info=[
                    UploadedFileInfo(file_id=urls.file_id, name=name, size=len(content), file_urls=urls)
                ]
            )
        )
        return state

    def _put(self, path: str, name: str, content: bytes) -> None:
        own = {"Cookie": f"{COOKIE}={self.browser}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_stcore/health", headers=own)) as answer:
            told = [c.split(";")[0] for c in answer.headers.get_all("Set-Cookie") or ()]
        token = next((c.partition("=")[2] for c in told if c.startswith(XSRF)), "")
        edge = token_hex(16)
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        asked = urllib.request.Request(
            f"{self.url}{path}",
            method="PUT",
            data=head.encode() + content + f"\r\n--{edge}--\r\n".encode(),
            headers={
                "Cookie": f"{COOKIE}={self.browser}; {XSRF}={token}",
                "X-Xsrftoken": token,
                "Content-Type": f"multipart/form-data; boundary={edge}",
            },
        )
        with urllib.request.urlopen(asked, timeout=PATIENCE):
            pass

    async def _next(self, patience: float) -> ForwardMsg:
        raw = await asyncio.wait_for(self.line.recv(), patience)
        self.bytes += len(raw)
        return ForwardMsg.FromString(raw)


def _named(label: str, among: Sequence) -> str:
    for one in among:
        if one.label == label:
            return one.id
    raise RuntimeError(f"nothing is called {label!r} among {[one.label for one in among]}")

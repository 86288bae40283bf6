"""The protocol: tools listed and called, one piece of work at a time in a thread, told how far it is and ended early.

The SDK turns stdout into stderr while it serves, so that nothing but the protocol is written to where it is read.
"""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from optlaws_core import __version__

from ...errors import Cancelled, ask_whether_to_go_on
from ...text import one_line
from .. import FAULTS, sentence
from .allowed import Files
from .tools import Tool, bounded, tool_named, tools

HOW = """Opt-Laws fits laws to training logs and ranks learning-rate schedules by the loss that they would end at.
Workflow: read shows what the logs contain and which runs there are; select fits several laws and says which to trust
(fit does one); rank compares candidates, propose says which runs to train next, optimize finds the best schedule;
export writes one as a trainer's configuration or code. For runs in progress, forecast says where each will end:
continue the lowest. schedules and laws list what there is; plan_rates and the other plan tools say what is published
on rates and batches before any run.
A schedule is a text such as wsd(peak=3e-4, warmup=2000, total=100000, decay=20000); steps are updates, and amounts may
be written 7B or 300B.
Every answer has a result, and remarks that qualify it: pass them on to your user. extrapolates and reasons say that
a schedule leaves what the training runs cover. Where p_best is far below 1 the ranking is open: train more than one.
Paths are in the folders that this server was started for; send what lies elsewhere as files."""
BESIDE = 0.5  # s between two words on how far work is
URI = "optlaws://"
HERE = "127.0.0.1"
LISTS = {"laws": "The laws that can be fitted", "schedules": "The schedule families and their fields"}
log = logging.getLogger(__name__)


class Job:
    """One call: how far it is, and whether anybody still waits for it."""

    def __init__(self) -> None:
        self.share, self.gone = 0.0, threading.Event()

    def watch(self, share: float) -> bool:
        """Takes the share that is done; returns whether to go on."""
        self.share = share
        return not self.gone.is_set()

    def check(self) -> None:
        """Raises `Cancelled` where nobody waits any more."""
        if self.gone.is_set():
            raise Cancelled


class Desk:
    """The tools on the files that may be read, one call after another: what they load and compute is shared."""

    def __init__(self, files: Files) -> None:
        self.files, self.turn = files, threading.Lock()

    def answer(self, name: str, inputs: Mapping[str, Any], job: Job) -> tuple[str, bool]:
        """The answer as JSON, or one sentence on why there is none; and whether it is such a sentence."""
        tool: Tool | None = None
        with self.turn:
            ask_whether_to_go_on(job.check)
            try:
                tool = tool_named(name)
                return bounded(tool.run(inputs, self.files, job.watch)), False
            except Cancelled:
                return "Stopped.", True
            except FAULTS as fault:
                said = one_line(sentence(fault))
                return tool.told(said) if tool else said, True
            except Exception as fault:
                log.exception("%s failed", name)
                return f"An error in Opt-Laws, not in what was given; the server's stderr has it: {fault!r:.200}.", True
            finally:
                ask_whether_to_go_on(lambda: None)


def server(files: Files) -> Server[Any]:
    """A server of the protocol whose tools are the commands."""
    desk = Desk(files)

    async def listed(ctx: ServerRequestContext, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        found = await anyio.to_thread.run_sync(tools)
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    description=tool.description,
                    input_schema=tool.schema,
                    annotations=types.ToolAnnotations(
                        read_only_hint=not tool.writes, destructive_hint=False, open_world_hint=False
                    ),
                )
                for tool in found.values()
            ]
        )

    async def called(ctx: ServerRequestContext, params: types.CallToolRequestParams) -> types.CallToolResult:
        text, failed = await _done(ctx, desk, params.name, params.arguments or {})
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=failed)

    async def resources(
        ctx: ServerRequestContext, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return types.ListResourcesResult(
            resources=[
                types.Resource(name=name, uri=f"{URI}{name}", description=said, mime_type="application/json")
                for name, said in LISTS.items()
            ]
        )

    async def opened(ctx: ServerRequestContext, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        name = str(params.uri).removeprefix(URI)
        if name not in LISTS:
            raise MCPError(types.INVALID_PARAMS, f"There is no resource {str(params.uri)[:80]!r}.")
        text, _ = await _done(ctx, desk, name, {})
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=str(params.uri), mime_type="application/json", text=text)]
        )

    return Server(
        "optlaws",
        version=__version__,
        title="Opt-Laws",
        instructions=HOW,
        on_list_tools=listed,
        on_call_tool=called,
        on_list_resources=resources,
        on_read_resource=opened,
    )


async def _done(ctx: ServerRequestContext, desk: Desk, name: str, inputs: Mapping[str, Any]) -> tuple[str, bool]:
    """Work in a thread, beside which the client is told how far it is; a client that leaves ends it."""
    job = Job()

    async def tell() -> None:
        said = 0.0
        while True:
            await anyio.sleep(BESIDE)
            if job.share > said:
                said = job.share
                await ctx.session.report_progress(said, 1.0)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(tell)
            found = await anyio.to_thread.run_sync(desk.answer, name, inputs, job, abandon_on_cancel=True)
            group.cancel_scope.cancel()
    finally:
        job.gone.set()
    return found


def serve(roots: list[Path], fits: Path, port: int | None) -> None:
    """Serve on stdin and stdout until stdin ends, or by HTTP on this machine alone where there is a port."""
    made = server(Files(roots, fits))
    if port is None:
        anyio.run(_serve, made)
        return
    import uvicorn

    # The SDK refuses other names of the host than this machine's own, so that no web page can reach it.
    app = made.streamable_http_app(host=HERE, stateless_http=True)
    uvicorn.run(app, host=HERE, port=port, log_level="warning")


async def _serve(made: Server[Any]) -> None:
    async with stdio_server() as (received, sent):
        await made.run(received, sent, made.create_initialization_options())

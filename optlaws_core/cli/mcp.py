"""The command `mcp`: the other commands as tools for agents, by the Model Context Protocol."""

import argparse
import tempfile
from pathlib import Path

from ..errors import OptLawsError, extra
from .options import path, step


def add(command: argparse.ArgumentParser) -> None:
    """Options of `mcp`."""
    command.set_defaults(run=run)
    command.add_argument(
        "--root",
        nargs="+",
        type=path,
        default=[Path()],
        metavar="DIR",
        help="folders whose files may be read; by default the current one. No other file is read",
    )
    command.add_argument(
        "--fits",
        type=path,
        metavar="DIR",
        help="the only folder that fits are written to; by default a temporary one, deleted when the server ends",
    )
    command.add_argument(
        "--port",
        type=step,
        metavar="PORT",
        help="serve by HTTP (streamable) at http://127.0.0.1:PORT/mcp, for this machine alone, instead of on stdin and "
        "stdout",
    )


def run(args: argparse.Namespace) -> None:
    """Serve until the client leaves."""
    if args.port is not None and not 0 < args.port < 2**16:
        raise OptLawsError(f"--port must lie between 1 and {2**16 - 1:,}, got {args.port:,}.")
    with extra("mcp", "The server for agents"):
        import mcp  # noqa: F401  itself before what it brings along, so that it is named where it lacks

        from .agents.server import serve

    with tempfile.TemporaryDirectory(prefix="optlaws-fits-") as folder:
        serve(args.root, args.fits or Path(folder), args.port)

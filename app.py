"""The server: `streamlit run app.py`. The menu and the pages are in pages/.

The script that Streamlit runs for each visitor is pages/parts/router.py rather than this file: next to a folder named
pages/, Streamlit would serve its automatic menu, without that script, to whoever opens a deep link first.
"""

import gc
import sys
import threading
import time
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

LATER = 5  # seconds, by which the first page is on the screen
HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))
from pages.parts.server import (  # noqa: E402  found by the path above
    addresses,
    api,
    base,
    connections,
    downloads,
    errors,
    guard,
    hosts,
    limits,
    login,
    logout,
    messages,
    options,
    previews,
    ready,
    visits,
)


def warm_up() -> None:
    """What the first visitor would wait for, done while the browser still loads: imports, and plotly's first figure."""
    from pages.parts.server import libraries, workers

    libraries.load(libraries.CHARTS)
    workers.begin()  # beside what is loaded here, and behind it
    from optlaws_core.figures import run_charts
    from pages.parts.state import bundled

    run_charts.curves(dict(enumerate(bundled.bundled().runs)))
    time.sleep(LATER)
    libraries.load(libraries.LAWS)
    gc.freeze()  # as there, for what the figure left


def ask_store() -> None:
    """Whether the store answers, from modules that the server does not wait for."""
    from pages.parts.server import libraries

    libraries.load(libraries.CHARTS)
    from pages.parts.state import settings

    settings.store().check()


def logouts() -> logout.Kept:
    """What is kept of log-outs, from modules that the server does not wait for."""
    from pages.parts.server import libraries

    libraries.load(libraries.CHARTS)
    from pages.parts.state import settings

    return settings.logouts()


def told(id: str) -> previews.Preview | None:
    """What a chat may show of a link, from modules that the server does not wait for."""
    from pages.parts.server import libraries

    libraries.load(libraries.CHARTS)
    libraries.load(libraries.LAWS)
    from pages.parts.share import preview

    return preview.of(id)


def exchange() -> api.Desk:
    """What programs may read and save, from modules that the server does not wait for."""
    from pages.parts.server import libraries

    libraries.load(libraries.CHARTS)
    libraries.load(libraries.LAWS)
    from pages.parts.share import exchange

    return exchange


connections.bound()
downloads.told_apart()
messages.discreet()
threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
try:
    around = [
        Middleware(guard.Guard, sites=guard.embedders(options.said(guard.EMBEDDERS))),
        Middleware(hosts.Hosts, names=hosts.ours()),
        Middleware(logout.LogOut, kept=logouts),
        Middleware(login.Login, required=login.checked()),
        Middleware(ready.Ready, ask=ask_store),
        Middleware(api.Api, desk=exchange, writes=api.checked()),
        Middleware(visits.Visits),
        Middleware(messages.Messages),
        Middleware(base.Base),
        Middleware(previews.Previews, told=told),
        Middleware(limits.UploadLimits),
    ]
    addresses.allowed()
except ValueError as fault:  # of the operator's settings
    sys.exit(str(fault))
app = st.App(HERE / "pages" / "parts" / "router.py", middleware=around, on_script_error=errors.tell)

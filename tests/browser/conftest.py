"""A real browser against a real server: `app` is one for all tests, `serve(script)` starts another, and `page(url)` is
what a new visitor opens; all clean up.

Without a browser the tests skip with a sentence. Servers listen on a free port of the loopback interface only.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.install_browser import installed
from tests.places import ROOT

START = 90  # seconds a server may take to answer: a cold machine imports slowly
ATTEMPTS = 3  # a free port may be taken by someone else before the server has it
KEPT = {"OPTLAWS_KEEP": ""}  # environment of a server that keeps its visitors' work, as servers do
WORKING = {"OPTLAWS_WORKERS": ""}  # environment of a server whose fits run in processes of their own, as servers' do
WAIT = 90_000  # ms that Playwright waits for what a test looks for: cores may be shared with others
LONG = 180_000  # the same where what is looked for comes after a fit, which is done behind all else
WINDOW = {"width": 1280, "height": 900}  # pixels
# Of a context: what spins while the server works would be drawn by a core.
LOOK = {"viewport": WINDOW, "color_scheme": "light", "reduced_motion": "reduce"}


class Server:
    """`streamlit run` of one script, with its own process group so that nothing outlives it."""

    def __init__(self, script: str | Path, env: Mapping[str, str] | None = None, options: tuple[str, ...] = ()) -> None:
        self.script, self.env, self.options = ROOT / script, dict(env or {}), options
        self.process: subprocess.Popen | None = None
        self.log = tempfile.TemporaryFile()
        self.folder = tempfile.TemporaryDirectory()  # for what its visitors save
        self.url = ""

    def start(self) -> str:
        """Start on a free port, wait for the health check. Raises `RuntimeError` with the server's last words."""
        for _ in range(ATTEMPTS):
            if self._begin(free_port()):
                return self.url
            self._kill()
        raise self._failure()

    def restart(self) -> None:
        """Another process at the same address, on the same store. Raises `RuntimeError` as `start` does."""
        self._kill()
        if not self._begin(int(self.url.rpartition(":")[2])):
            raise self._failure()

    def output(self) -> str:
        """All that the server printed."""
        file = self.log.fileno()  # whose place is the server's, too: it is not to be moved
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def stop(self) -> None:
        """End the server and everything it started."""
        self._kill()
        self.log.close()
        self.folder.cleanup()

    def _begin(self, port: int) -> bool:
        """Start on this port; whether the server answers there."""
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            self._command(port),
            cwd=ROOT,
            env=self._environment(),
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        return self._healthy()

    def _failure(self) -> RuntimeError:
        return RuntimeError(f"{self.script.name} did not start within {START} s:\n{self.output()[-4000:]}")

    def _command(self, port: int) -> list[str]:
        settings = {
            "server.port": port,
            "server.address": "127.0.0.1",
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        return [sys.executable, "-m", "streamlit", "run", str(self.script), *flags, *self.options]

    def _environment(self) -> dict[str, str]:
        paths = [os.environ.get("PYTHONPATH", ""), str(ROOT)]  # a script in tests/ imports the package too
        own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OPTLAWS_STORE": f"{self.folder.name}/saved.sqlite"}
        own["OPTLAWS_WORKERS"] = "off"  # a server that lives for one test would spend it loading them
        own["OPTLAWS_KEEP"] = "off"  # nor does a visitor of one test come back
        return {**os.environ, **own, **self.env}

    def _healthy(self) -> bool:
        deadline = time.monotonic() + START
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5) as answer:
                    # someone else's server on a port that we lost would answer as well: ours must still be alive
                    return answer.status == 200 and self.process.poll() is None
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        return False

    def _kill(self) -> None:
        if self.process is None:
            return
        for how, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 10)):
            try:
                os.killpg(self.process.pid, how)
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                self.process.wait(patience)
                break
        self.process = None


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# Chromium draws suggestions below the address in two pages of its own for every context, which costs as much as the
# page that is tested. The last list of this flag counts, so what Playwright turns off by it is here, too.
UNUSED = (
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup"),
    *("AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync"),
    *("DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay"),
    *("MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch"),
    "ThirdPartyStoragePartitioning",
)


def _flags() -> Iterator[str]:
    """What keeps Chromium from idle work, and from failing in containers: root's, some with a small /dev/shm."""
    yield "--no-sandbox"
    yield f"--disable-features={','.join(UNUSED)}"
    shared = Path("/dev/shm")
    if not shared.exists() or shutil.disk_usage(shared).total < 2**29:
        yield "--disable-dev-shm-usage"  # slower, so only where it is needed


@contextmanager
def chromium() -> Iterator:
    """A headless Chromium: the system's, or Playwright's own. Raises `LookupError` when there is none."""
    from playwright.sync_api import sync_playwright

    path = installed()
    if path is None:
        raise LookupError("no Chromium or Chrome on this machine, so nothing was tried in a browser")
    with sync_playwright() as p:
        running = p.chromium.launch(executable_path=path, args=list(_flags()))
        try:
            yield running
        finally:
            running.close()


READY = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  return app?.dataset.testScriptState === "notRunning" && app.dataset.testConnectionState === "CONNECTED"
    && document.querySelector('[data-testid="stMain"] [data-testid="stElementContainer"]')
    && !document.querySelector('[data-testid="stSkeleton"], [data-testid="stAppSkeleton"]');
}"""


POLL = 50  # ms between looks at a page: Playwright's own are a frame apart, and each frame is drawn for them


def ready(opened) -> None:
    """Wait until the script of the page has run to its end, fits and all, and what it put there has been loaded."""
    opened.wait_for_function(READY, polling=POLL, timeout=LONG)


# What a page keeps in a browser, as the DevTools Protocol calls it.
STORED = "cookies,local_storage,indexeddb,cache_storage,service_workers"
HEADINGS = {"Decide": "Opt-Laws"}  # of pages that are not headed by their names
TOOLS = ("Runs", "Schedules", "Plan", "Pre-select", "Live", "Sweep")


def go(at, name: str) -> None:
    """Follow the menu, which keeps the session."""
    menu = at.locator("header")
    if name in TOOLS:
        menu.get_by_text("Tools", exact=True).click()
        at.locator('[data-testid="stTopNavDropdownLink"]').get_by_text(name, exact=True).click()
    else:
        menu.get_by_role("link", name=name, exact=True).click()
    headed = "name => document.querySelector('h1')?.innerText === name"
    at.wait_for_function(headed, arg=HEADINGS.get(name, name), polling=POLL)
    ready(at)


def answered(at) -> None:
    """Wait for the answer on Decide."""
    at.locator('[data-testid="stMain"]').get_by_text("predicted to end at").first.wait_for(timeout=LONG)
    ready(at)


def try_the_examples(at) -> None:
    """On Decide without logs: ask for the example runs, and wait for the answer."""
    at.get_by_role("button", name="Try it with real runs").click()
    answered(at)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, one for the whole session."""
    pytest.importorskip("playwright", reason="playwright is not installed, so nothing was tried in a browser")
    try:
        with chromium() as running:
            yield running
    except LookupError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def serve(browser) -> Iterator[Callable[..., str]]:
    """`serve(script, env=None, options=()) -> url`: a fresh server for each call, stopped at the end of the module.

    `script` is relative to the repository; `options` are flags of `streamlit run`. Asks for `browser`, so that machines
    without one skip before a server starts.
    """
    servers = []

    def start(script: str | Path, env: Mapping[str, str] | None = None, options: tuple[str, ...] = ()) -> str:
        servers.append(Server(script, env, options))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(browser) -> Iterator[Server]:
    """One server of the app, as servers are, for all tests that need no other settings. A test may restart it."""
    running = Server("app.py", {**KEPT, **WORKING})
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def app(server) -> str:
    """Its address."""
    return server.url


@pytest.fixture
def said(server) -> Callable[[], str]:
    """`said()`: what the server has said since the test began."""
    before = len(server.output())
    return lambda: server.output()[before:]


class Visitors:
    """Contexts of a browser, each for one visitor at a time.

    A browser keeps the scripts of a server, and what it compiled of them, for a context. So contexts are kept, and a
    visitor's cookies and whatever else pages store are removed when the visitor has left: the next is a new one to the
    server, whose first page takes half of the time or less.
    """

    def __init__(self, browser) -> None:
        self.browser, self.here, self.left = browser, [], []

    def open(self, url: str | None = None, dark: bool = False):
        """A new visitor's page, after the script has run; an empty one without `url`.

        What it writes to its console as errors, and exceptions nobody caught, is in its `complaints`.
        """
        opened = self._come().new_page()
        opened.complaints = []
        opened.on("console", lambda m: opened.complaints.append(m.text) if m.type == "error" else None)
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        if dark:
            opened.emulate_media(color_scheme="dark")
        if url:
            opened.goto(url)
            ready(opened)
        return opened

    def _come(self):
        """The context of a new visitor."""
        context = self.left.pop(0) if self.left else self.browser.new_context(**LOOK)
        context.set_default_timeout(WAIT)
        self.here.append(context)
        return context

    def leave(self) -> None:
        """All close their windows, and are forgotten."""
        from playwright.sync_api import Error

        gone, self.here, forgotten = self.here, [], []
        for context in gone:
            try:
                _forget(context)
                forgotten.append(context)
            except Error:  # a page crashed: the context is not used again
                context.close()
        self.left = forgotten + self.left  # the context with most in its cache is taken first

    def close(self) -> None:
        """Close all contexts."""
        for context in self.here + self.left:
            context.close()


def _forget(context) -> None:
    """Close a visitor's windows, and clear what the browser keeps of them, but the scripts of servers."""
    for opened in context.pages:
        opened.close()
    last = context.new_page()
    context.new_cdp_session(last).send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": STORED})
    last.close()


@pytest.fixture(scope="session")
def visitors(browser) -> Iterator[Visitors]:
    """Those of the session's browser."""
    known = Visitors(browser)
    yield known
    known.close()


@pytest.fixture
def page(visitors) -> Iterator[Callable]:
    """`page(url=None, dark=False) -> Page` is `Visitors.open`; all visitors leave when the test ends."""
    yield visitors.open
    visitors.leave()

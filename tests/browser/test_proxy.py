"""The app behind the proxies of deploy/, changed in addresses alone: two servers, each visitor on one of them."""

import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.browser.conftest import START, Server, free_port
from tests.places import ROOT

VISITORS = 16  # at most; so many are on one server alone with a chance of 1 in 30,000
LOG = "step,loss,lr\n" + "".join(f"{s},{3 + 1 / (s + 1)},1e-3\n" for s in range(200))


def nginx(port: int, servers: list[str], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Its command and environment, with the snippet in a configuration of its own."""
    snippet = (ROOT / "deploy" / "nginx.conf").read_text()
    lines = "\n".join(f"    server {server};" for server in servers)
    for old, new in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        (re.search(r"^    server 127.0.0.1:8501;.*$", snippet, re.MULTILINE)[0], lines),
        ("/var/cache/nginx/", f"{folder}/cache-"),
    ):
        assert snippet.count(old) == 1
        snippet = snippet.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    whose = "user root;" if os.geteuid() == 0 else ""  # or its workers could not enter the test's folder
    file = folder / "nginx.conf"
    file.write_text(
        f"{whose} daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {places}\n{snippet} }}\n"
    )
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(file)], {}


def caddy(port: int, servers: list[str], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Its command and environment, which names all addresses; only its remote control is turned off."""
    file = folder / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n}}\nimport {ROOT}/deploy/Caddyfile\n")
    told = {"SITE": f"http://127.0.0.1:{port}", "REPLICAS": " ".join(servers), "HOME": str(folder)}
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)], told


PROXIES = (nginx, caddy)


@pytest.fixture(scope="module")
def servers(browser):
    """Two servers on one store."""
    if not any(shutil.which(proxy.__name__) for proxy in PROXIES):
        pytest.skip("neither nginx nor caddy is installed, so the app was not tried behind them")
    first = Server("app.py")
    pair = [first, Server("app.py", {"OPTLAWS_STORE": f"{first.folder.name}/saved.sqlite"})]
    try:
        for server in pair:
            server.start()
        yield pair
    finally:
        for server in reversed(pair):
            server.stop()


@pytest.fixture(params=PROXIES)
def proxy(request, servers, tmp_path):
    """The address of a proxy before both."""
    name = request.param.__name__
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed, so the app was not tried behind it")
    port = free_port()
    command, told = request.param(port, [server.url.removeprefix("http://") for server in servers], tmp_path)
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, env={**os.environ, **told}, stdout=log, stderr=log) as process,
    ):
        try:
            deadline = time.monotonic() + START
            while not asked(f"http://127.0.0.1:{port}/_stcore/health"):
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def asked(url: str) -> str:
    """The answer's text; nothing where there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def visited(server: Server) -> int:
    """How many visitors the server has now."""
    return int(float(re.search(r"^active_sessions (\S+)", asked(f"{server.url}/_stcore/metrics"), re.MULTILINE)[1]))


def test_visitors_keep_to_one_server_and_upload_to_it(proxy, servers, page):
    before = [visited(server) for server in servers]
    for _ in range(VISITORS):
        at = page(proxy)
        at.locator('input[type="file"]').first.set_input_files(
            {"name": "mine.csv", "mimeType": "text/csv", "buffer": LOG.encode()}
        )
        at.get_by_text("Read 1 run from 1 file").wait_for()
        assert [c for c in at.complaints if "ERR_NAME_NOT_RESOLVED" not in c] == []  # Streamlit looks for its own host
        if all(visited(server) > n for server, n in zip(servers, before, strict=True)):
            break
    else:
        pytest.fail(f"all of {VISITORS} visitors were led to one server")


def test_scripts_are_compressed_and_metrics_stay_inside(proxy):
    script = re.search(r'src="\./(static/js/[^"]+\.js)"', asked(proxy))[1]
    request = urllib.request.Request(f"{proxy}/{script}", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{proxy}/_stcore/metrics", timeout=60)

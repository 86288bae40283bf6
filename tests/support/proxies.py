"""The proxies of deploy/, changed in addresses alone, before servers of the app."""

import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.browser.conftest import START, free_port
from tests.places import ROOT

Proxy = Callable[[int, Sequence[str], Path], tuple[list[str], dict[str, str]]]


def nginx(port: int, servers: Sequence[str], folder: Path) -> tuple[list[str], dict[str, str]]:
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


def caddy(port: int, servers: Sequence[str], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Its command and environment, which names all addresses; only its remote control is turned off."""
    file = folder / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n}}\nimport {ROOT}/deploy/Caddyfile\n")
    told = {"SITE": f"http://127.0.0.1:{port}", "REPLICAS": " ".join(servers), "HOME": str(folder)}
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)], told


PROXIES = (nginx, caddy)


@contextmanager
def before(urls: Sequence[str], proxy: Proxy, folder: Path) -> Iterator[str]:
    """The address of a proxy before the servers at some addresses, as long as it is wanted."""
    port = free_port()
    command, told = proxy(port, [url.removeprefix("http://") for url in urls], folder)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, env={**os.environ, **told}, stdout=log, stderr=log) as process,
    ):
        try:
            deadline = time.monotonic() + START
            while not asked(f"http://127.0.0.1:{port}/_stcore/health"):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
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

"""The app behind the proxies of deploy/, changed in addresses alone: two servers, each visitor on one of them."""

import re
import shutil
import urllib.error
import urllib.request

import pytest

from tests.browser.conftest import Server
from tests.support.proxies import PROXIES, asked, before

VISITORS = 16  # at most; so many are on one server alone with a chance of 1 in 30,000
LOG = "step,loss,lr\n" + "".join(f"{s},{3 + 1 / (s + 1)},1e-3\n" for s in range(200))


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
    with before([server.url for server in servers], request.param, tmp_path) as url:
        yield url


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

"""Pages for tests whose work is kept: a tab of a browser opens one, and comes back to it."""

from contextlib import contextmanager

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.state import settings
from tests.places import ROOT

BROWSER, OTHER = "0" * 32, "1" * 32
SCRIPT = """
import runpy
from pages.parts.state import keeping
with keeping.kept():
    runpy.run_path({path!r})
"""


def tab(page: str, browser: str | None = BROWSER, **address: object) -> AppTest:
    """A new tab of a browser on a page, drawn."""
    at = AppTest.from_string(SCRIPT.format(path=str(ROOT / "pages" / f"{page}.py")), default_timeout=90)
    at.query_params |= address
    return drawn(at, browser)


@contextmanager
def cookie(browser: str | None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "known_browser", lambda: browser)
        yield


def drawn(at: AppTest, browser: str | None = BROWSER) -> AppTest:
    """The page after another run, as the tab of that browser."""
    with cookie(browser):
        at.run()
    assert not at.exception, at.exception[0].message
    return at


def press(at: AppTest, key: str, browser: str | None = BROWSER) -> AppTest:
    """The page after a button was pressed."""
    at.button(key=key).click()
    return drawn(at, browser)


def said(at: AppTest) -> str:
    """All that a page says in words."""
    return "\n".join(x.value for kind in (at.text, at.warning, at.caption, at.error, at.info) for x in kind)

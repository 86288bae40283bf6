"""A store for each test of sharing, and a comparison to save in it."""

import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core.saved.store import Store
from pages.parts.state import settings
from pages.parts.state.candidates import Candidate
from tests.pages.compare.compare_page import THREE, a_fit, opened, space_with


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """A store of its own for each test."""
    made = Store(tmp_path / "store.sqlite")
    monkeypatch.setattr(settings, "store", lambda: made)
    yield made
    made.close()


@pytest.fixture
def compared() -> AppTest:
    """Compare with its sharing section open."""
    app = opened(space_with(a_fit(), candidates=[Candidate(t, f"c{i}") for i, t in enumerate(THREE)]))
    app.session_state["share_box"] = True
    return app.run()

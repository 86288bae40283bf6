"""The page Shared as its tests open it and press on it."""

from streamlit.testing.v1 import AppTest

from optlaws_core.saved import Snapshot
from optlaws_core.saved.rights import Viewer
from optlaws_core.saved.store import Store
from tests.places import ROOT

PAGES = ROOT / "pages"
SIGN = ":material/warning: "  # before a warning where boxes would push the chart off the screen


def share(viewer: Viewer, user: dict | None = None, auth: dict | None = None, **address: str) -> AppTest:
    app = AppTest.from_file(str(PAGES / "share.py"), default_timeout=60)
    app.session_state.browser = viewer.key
    app.user = user or {}
    app.secrets.update({"auth": auth} if auth else {})
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def labels(app: AppTest) -> list[str]:
    return [b.label for b in app.button]


def saved(app: AppTest, store: Store, **typed: str) -> tuple[Snapshot, Viewer]:
    for label, value in typed.items():
        next(x for x in (*app.text_input, *app.text_area) if x.label == label).set_value(value)
    next(b for b in app.button if b.label == "Save and get a link").click().run()
    assert not app.exception and not app.error, [e.value for e in (*app.exception, *app.error)]
    viewer = Viewer(app.session_state.browser)
    (entry,) = store.listed(viewer)
    assert any(entry.id in code.value for code in app.code)
    return store.open(entry.id, viewer), viewer


def press(app: AppTest, label: str) -> AppTest:
    next(b for b in app.button if b.label == label).click().run()
    assert not app.exception
    return app


def rows(app) -> list:
    """Buttons of the list that open a saved comparison."""
    return [b for b in app.button if str(b.key).startswith("open ")]


def warned(app: AppTest) -> list[str]:
    beside = [x.value.removeprefix(SIGN) for x in app.markdown if x.value.startswith(SIGN)]
    return [*(element.value for element in app.warning), *beside]

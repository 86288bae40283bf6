"""Charts are taken away as PNG and SVG that are legible on their own, in the light and in the dark."""

import re

import pytest

COLOURS = """() => [getComputedStyle(document.querySelector('.stApp')).backgroundColor,
  document.querySelector('.js-plotly-plot').clientWidth]"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_chart_is_taken_away_as_it_is_drawn(app, page, dark):
    at = page(f"{app}/runs", dark=dark)
    at.locator(".js-plotly-plot .legendtext").first.wait_for()
    background, width = at.evaluate(COLOURS)
    taken = {}
    for kind in ("PNG", "SVG", "PNG"):
        with at.expect_download() as picture:
            at.get_by_role("button", name=kind, exact=True).first.click()
        assert picture.value.suggested_filename == f"optlaws-runs-curves.{kind.lower()}"
        taken[kind] = picture.value.path().read_bytes()
    assert taken["PNG"].startswith(b"\x89PNG") and int.from_bytes(taken["PNG"][16:20]) == 2 * width
    drawn = taken["SVG"].decode()
    assert background in drawn and "constant_4000" in drawn
    assert not re.search(r"background: (transparent|rgba\(.*?, 0\))", drawn.split(">")[0])

"""A candidate is trained for real on Decide: its curve grows over the band, which stays, and the verdict is of both."""

from importlib.util import find_spec

import pytest

from tests.browser.conftest import ready, try_the_examples

PATIENCE = 600_000  # ms: some 25 s with a core to itself, many times that without
CURVES = """() => {
  const plot = document.querySelector('.st-key-small-run .js-plotly-plot');
  const trace = end => plot?._fullData.find(t => t.name.endsWith(end));
  const line = t => t ? [Array.from(t.x), Array.from(t.y)] : null;
  return {band: line(plot?._fullData.find(t => t.fill === 'toself')), trained: line(trace(', trained'))};
}"""
GROWN = f"() => (({CURVES})().trained?.[0].length ?? 0) > 0"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="the training program needs torch; nothing was trained")
def test_a_candidate_is_trained_over_the_band_that_was_predicted_for_it(app, page):
    at = page(f"{app}/")
    try_the_examples(at)
    at.get_by_text("Prove it on a small run").click()
    at.get_by_role("button", name="Train it").click()
    at.wait_for_function(GROWN, timeout=PATIENCE)
    first = at.evaluate(CURVES)
    at.get_by_role("button", name="Download the log").wait_for(timeout=PATIENCE)
    ready(at)
    last = at.evaluate(CURVES)
    assert last["band"] == first["band"] and len(first["band"][0]) == 64
    assert last["trained"][0] == list(range(24, 1000, 25))
    before = first["trained"][1]
    assert last["trained"][1][: len(before)] == before
    verdict = at.get_by_text("the 90 % band").first.inner_text()
    assert f"ended at {last['trained'][1][-1]:.4f}, " in verdict
    low, high = min(last["band"][1]), max(last["band"][1])
    assert 0.9 * low < last["trained"][1][-1] < high
    assert at.locator('[data-testid="stException"]').count() == 0

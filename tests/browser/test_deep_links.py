"""A deep link as the first request of a visitor, for each page; and the way back out.

tests/browser/test_path.py has one as the first request of a fresh server.
"""

from urllib.parse import urlencode

import pytest

from tests.browser.conftest import LONG, go, ready

TWO = ["cosine(peak=8e-3,warmup=200,total=4000)", "wsd(peak=8e-3,warmup=200,total=4000,decay=800,shape=linear)"]
FAST = ["power_law", "forward_momentum"]
# What a link says, and text that stands on the page only if it was heard.
LINKS = {
    "runs": ({"run": ["wsd20_4000", "cosine10_4000"], "x": "Tokens", "smooth": "9"}, "Remove 2 runs"),
    "evidence": ({"law": FAST[0], "fit": FAST[0]}, "Held-out RMSE"),
    "decide": ({"s": TWO, "law": FAST, "fit": FAST[1], "compare_log_y": "true"}, "predicted to end at"),
    "live": ({"run": "wsd20_4000", "step": 2000, "law": FAST[0], "fit": FAST[0]}, "Against the"),
    "preselect": ({"final_peaks": "1e-3 2e-3", "final_shapes": ["cosine"]}, "Train first"),
    "plan": ({"plan_params": "7B", "plan_tokens": "1.4T"}, "Learning rate and batch"),
    "schedules": ({"s": "wsd(peak=2e-3, warmup=100, total=5000, decay=900)"}, "total=5000, decay=900"),
    "share": ({"share_search": "lr"}, "Nothing that you saved matches"),
    "sweep": ({"sweep_groups": ["seeds"], "sweep_sizes": ["tiny"]}, "Noise floor"),
}


def settled(at) -> None:
    """Wait until the address has not changed for a second: what a page puts there comes after it is drawn."""
    ready(at)
    for _ in range(30):
        before = at.url
        at.wait_for_timeout(1000)
        if at.url == before:
            return


@pytest.mark.parametrize("path", LINKS)
def test_a_link_is_the_first_request(app, page, path):
    query, heard = LINKS[path]
    address = urlencode(query, doseq=True)
    at = page(f"{app}/{'' if path == 'decide' else path}?{address}")
    at.get_by_text(heard).first.wait_for(timeout=LONG)
    settled(at)
    assert at.locator('[data-testid="stException"]').count() == 0
    assert at.get_by_text("The address says").count() == at.get_by_text("This link names").count() == 0
    told = at.evaluate("[...new URLSearchParams(location.search).entries()].map(([k]) => k)")
    assert set(told) == set(query)
    assert at.complaints == []


def test_a_page_keeps_its_state_when_the_menu_leads_away_and_back(app, page):
    at = page(f"{app}/?{urlencode(LINKS['decide'][0], doseq=True)}")
    at.get_by_text("predicted to end at").first.wait_for(timeout=LONG)
    settled(at)
    before = at.evaluate("[...new URLSearchParams(location.search).entries()].map(e => e.join('=')).sort()")
    for name in ("Schedules", "Decide"):
        go(at, name)
        settled(at)
        if name == "Schedules":
            assert "fit=" not in at.url and "s=" not in at.url
    assert at.evaluate("[...new URLSearchParams(location.search).entries()].map(e => e.join('=')).sort()") == before


@pytest.mark.parametrize(
    "old, heading, kept",
    [
        ("compare?s=cosine(peak=8e-3,warmup=200,total=4000)", "Opt-Laws", "s"),
        ("fit?law=power_law", "Evidence", "law"),
        ("?run=wsd20_4000&x=Tokens", "Runs", "run"),
    ],
)
def test_old_addresses_lead_to_their_new_places(app, page, old, heading, kept):
    at = page(f"{app}/{old}")
    at.wait_for_function("name => document.querySelector('h1')?.innerText === name", arg=heading)
    settled(at)
    assert kept in at.evaluate("[...new URLSearchParams(location.search).keys()]")
    assert at.locator('[data-testid="stException"]').count() == 0

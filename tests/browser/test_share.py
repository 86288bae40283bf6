"""A comparison saved in one browser opens in another, the same, after a restart of the server; names are no markup."""

from tests.browser.conftest import answered, try_the_examples

TITLE = "<img src=x onerror=alert(1)> **bold** :red[x] [a](javascript:alert(1))"


def ranked(at) -> list[str]:
    """The verdict, which holds the numbers of the ranking, and the names in the chart."""
    answered(at)
    at.locator(".js-plotly-plot .legendtext").first.wait_for()
    said = at.get_by_text("predicted to end at").first.inner_text().replace("\u2060", "")
    verdict = said.partition("It is predicted")[2].partition(" updates.")[0].strip()
    return [verdict, *at.locator(".js-plotly-plot").first.locator(".legendtext").all_text_contents()]


def test_a_saved_comparison_is_the_same_for_somebody_else_after_a_restart(server, page):
    at = page(server.url)
    try_the_examples(at)
    before = ranked(at)
    at.get_by_text("Save and share").click()
    at.get_by_label("Title", exact=True).fill(TITLE)
    at.get_by_role("button", name="Save and get a link").click()
    at.get_by_text("This link shows it").wait_for()
    link = at.locator('[data-testid="stCode"] code').last.inner_text()
    assert link.startswith(server.url)
    at.close()
    server.restart()
    other = page(link)
    assert ranked(other) == before
    assert other.locator("h1").first.inner_text().replace("\u2060", "") == TITLE  # word joiners
    assert other.locator("main img, [data-testid=stMain] img").count() == 0
    assert other.get_by_role("button", name="Who may open it").count() == 0  # that is the owner's
    assert [c for c in other.complaints if "ERR_NAME_NOT_RESOLVED" not in c] == []
    other.get_by_role("button", name="Open a copy").click()
    other.locator("h1", has_text="Opt-Laws").wait_for()
    assert ranked(other)[0] == before[0]

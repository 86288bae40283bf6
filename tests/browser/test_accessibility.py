"""Every page, as a visitor with runs, a fit and a saved comparison sees it, against WCAG 2.1 A and AA, light and dark.

axe-core (in the package axe-playwright-python) is evaluated by the browser: the app neither serves it nor lets
it through its Content-Security-Policy.
"""

from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import LONG, WINDOW, ready

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
PAGES = ("", "evidence", "share", "runs", "schedules", "plan", "preselect", "live", "sweep")
PHONE = {"width": 390, "height": 844}  # pixels
GROUND = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
LOOKS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 28)"}  # and their grounds

# What Streamlit draws and takes no setting for: rule, which elements, why it stays.
ALLOWED = (
    (
        "scrollable-region-focusable",
        '[data-testid="stCode"] pre, [data-testid="stCode"] pre *',
        "a block of code takes no tabindex; Chromium (130) and Firefox let the keyboard scroll it all the same",
    ),
)
AUDIT = """async ([tags, allowed]) => {
  const options = {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"], elementRef: true};
  const found = [];
  for (const {id, nodes} of (await axe.run(options)).violations)
    for (const node of nodes)
      if (!allowed.some(([rule, which]) => rule === id && node.element?.matches(which)))
        found.push(`${id}: ${node.html.slice(0, 200)} (${node.failureSummary})`);
  return found;
}"""
WIDE = """() => {
  const main = document.querySelector('[data-testid="stMain"]');
  return main.scrollWidth - main.clientWidth;
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The text of axe-core."""
    reason = "axe-playwright-python is not installed, so no page was held against WCAG"
    return pytest.importorskip("axe_playwright_python.base", reason=reason).AXE_SCRIPT


def audit(at, axe: str) -> list[str]:
    """What of the page as it stands breaks a rule, a sentence for each element."""
    if not at.evaluate("'axe' in window"):
        at.evaluate(axe)
    return at.evaluate(AUDIT, [TAGS, [[rule, which] for rule, which, _ in ALLOWED]])


def left_over(at) -> int:
    """Pixels by which the page is wider than its window, once its charts and tables have found their widths."""
    for _ in range(40):
        if at.evaluate(WIDE) <= 0:
            break
        at.wait_for_timeout(500)
    return at.evaluate(WIDE)


def settled(at) -> None:
    """Wait for the page, and for what it fits by itself."""
    ready(at)
    at.wait_for_timeout(1000)
    ready(at)


def try_example(at) -> None:
    at.get_by_role("button", name="Try it with real runs").click()
    at.locator(".js-plotly-plot .legendtext").first.wait_for(timeout=LONG)
    settled(at)


def save(at) -> str:
    """Save the comparison; its link."""
    at.get_by_text("Save and share").click()
    at.get_by_label("Title", exact=True).fill("Which decay?")
    at.get_by_role("button", name="Save and get a link").click()
    at.get_by_text("This link shows it").wait_for()
    return at.get_by_role("link", name="Open it").get_attribute("href")


def look(at) -> str:
    """The name of the look that the page has."""
    ground = at.evaluate(GROUND)
    return next(name for name, colour in LOOKS.items() if colour == ground)


def change_look(at) -> None:
    """From light to dark or back, as when the system's setting changes."""
    other = next(name for name in LOOKS if name != look(at))
    at.emulate_media(color_scheme=other)
    at.wait_for_function(f"ground => {GROUND} === ground", arg=LOOKS[other])
    settled(at)


def resize(at, size: dict[str, int]) -> None:
    """Another window, drawn."""
    at.set_viewport_size(size)
    at.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")


@pytest.mark.slow
def test_no_page_breaks_a_rule_of_wcag_is_wider_than_a_phone_or_asks_another_host(app, page, axe):
    """In the light and in the dark; pages are loaded in the one and in the other by turns."""
    at, asked, found, wide = page(app), set(), {}, {}
    at.on("request", lambda request: asked.add(urlsplit(request.url)))

    def see(what: str) -> None:
        found[what, look(at)] = audit(at, axe)

    def measure(what: str) -> None:
        wide[what, look(at)] = left_over(at)

    def in_both_looks(what: str, do) -> None:
        do(what)
        change_look(at)
        do(what)

    in_both_looks("before logs", see)
    try_example(at)
    link = save(at)
    settled(at)
    in_both_looks("saved", see)
    for path in (*PAGES, link):
        at.goto(f"{app}/{path.removeprefix(app).lstrip('/')}")
        settled(at)
        see(path)
        resize(at, PHONE)
        in_both_looks(path, measure)
        resize(at, WINDOW)
        see(path)
    assert len(found) == 2 * len(PAGES) + 6 and len(wide) == 2 * len(PAGES) + 2
    assert {seen: faults for seen, faults in found.items() if faults} == {}
    assert {seen: pixels for seen, pixels in wide.items() if pixels > 0} == {}
    assert at.complaints == []
    assert {one.netloc for one in asked if one.scheme not in ("data", "blob")} == {urlsplit(app).netloc}


def test_the_audit_finds_what_is_planted(app, page, axe):
    at = page(f"{app}/share")
    assert audit(at, axe) == []
    at.evaluate("""document.querySelector('[data-testid="stMain"]').insertAdjacentHTML(
        'beforeend', '<img src="data:,"><p style="color: #bbb; background: #fff">pale</p>')""")
    assert {fault.partition(":")[0] for fault in audit(at, axe)} == {"image-alt", "color-contrast"}


def test_a_visitor_chooses_the_theme_in_the_menu(app, page):
    at = page(f"{app}/share")
    for name, look in (("Dark", "dark"), ("System", "light")):
        assert at.evaluate(GROUND) != LOOKS[look]
        at.get_by_test_id("stMainMenu").get_by_role("button").click()
        at.get_by_role("menuitemradio", name=name).click()
        at.wait_for_function(f"ground => {GROUND} === ground", arg=LOOKS[look])
        at.keyboard.press("Escape")

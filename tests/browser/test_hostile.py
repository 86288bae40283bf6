"""Names, notes and file names are data in a real browser: nothing in them runs, loads, links or formats."""

import csv
import io
from urllib.parse import quote, urlsplit

import numpy as np
import pytest

from optlaws_core import parse
from tests.browser.conftest import answered, ready
from tests.browser.conftest import go as follow

IMAGE = "<img src=//evil.invalid/x onerror=window.__xss=1>"
LINK = "<a href=//evil.invalid/a>a</a>"
MARKUP = "**evil** `evil` :red[evil] :material/home: $evil^2$ [a](javascript:window.__xss=1)"
SCRIPT = "</script><script>window.__xss=1</script>"
TURNED = "\u202eabc\u200f"  # written from right to left
RUNS = (f"{IMAGE} {LINK} %{{y}} &amp;", f"{SCRIPT} {MARKUP}", "=HYPERLINK(1)", f"{TURNED}{'x' * 200}")
LABELS = ("<img src=x onerror=window.__xss=1> %{y}", LINK, SCRIPT, "**evil** :red[evil] $evil^2$", "=1+1")
FILE = "<img src=x onerror=window.__xss=1> :red[r] **b** $x$.csv"
SCHEDULES = [f"wsd(peak=1e-3, warmup=10, total=400, decay={40 * (i + 1)})" for i in range(len(LABELS))]
SAVED = {
    "Title": f"{IMAGE} {MARKUP}",
    "Note": f"{SCRIPT} {MARKUP} {TURNED}",
    "Author": f"{LINK} **me**",
    "Tags": "<img src=x onerror=window.__xss=1>, :red[evil], $evil$",
}
DOWNLOAD = '[data-testid="stDownloadButton"] button'


def log() -> bytes:
    """Four runs in one CSV, named as badly as can be."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(("run", "step", "loss", "lr"))
    steps = np.arange(0, 400, 5)
    for i, name in enumerate(RUNS):
        rates = parse(SCHEDULES[i])(steps)
        losses = 3 + i / 20 + 4 / np.sqrt(steps + 5) - 100 * (1e-3 - rates)
        rows.writerows((name, t, f"{y:.5f}", f"{r:.8g}") for t, y, r in zip(steps, losses, rates, strict=True))
    return out.getvalue().encode()


@pytest.fixture
def visit(page):
    """`visit(url) -> Page`; the addresses that it asks for are in `asked`."""

    def opened(url: str):
        at = page()
        at.asked = []
        at.on("request", lambda request: at.asked.append(request.url))
        at.goto(url)
        return at

    return opened


OF_NAMES = """selector => {
  const roots = [document];
  for (const root of roots)
    for (const node of root.querySelectorAll("*")) if (node.shadowRoot) roots.push(node.shadowRoot);
  return roots.flatMap(root => [...root.querySelectorAll(selector)].map(node => node.outerHTML));
}"""
PARTS = 'img[src*="evil"], img[src$="x"], [href*="evil"], [*|href*="evil"], [href^="javascript:"]'


def inert(at) -> None:
    """Nothing of the names became a part of the page."""
    assert at.evaluate("window.__xss") is None
    assert at.evaluate(OF_NAMES, PARTS) == []
    assert at.locator("strong, em, code, .katex, span[style*=color]").filter(has_text="evil").all_inner_texts() == []
    asked = [urlsplit(u) for u in at.asked]
    assert [u for u in asked if u.hostname == "evil.invalid" or u.path.endswith("/x")] == []
    assert at.locator('[data-testid="stException"]').count() == 0


def go(at, name: str) -> None:
    follow(at, name)
    inert(at)


def legend(at) -> list[str]:
    at.locator(".js-plotly-plot .legendtext").first.wait_for()
    return at.locator(".js-plotly-plot .legendtext").all_text_contents()


def compared(at) -> None:
    """The ranking of the candidates stands there, their names as they are."""
    answered(at)
    assert set(LABELS) <= set(legend(at))
    said = at.locator('[data-testid="stText"], [data-testid="stMain"] h3').all_inner_texts()
    begins = tuple(s for x in LABELS for s in (f"{x} ends ", f"Too close to call: {x} is "))
    assert any(text.replace("\u2060", "").startswith(begins) for text in said)
    inert(at)


def test_hostile_names_are_shown_and_do_nothing(app, visit, tmp_path):
    given = "&".join(f"s={quote(f'{text}|{label}')}" for text, label in zip(SCHEDULES, LABELS, strict=True))
    at = visit(f"{app}/?{given}")
    ready(at)
    go(at, "Runs")
    at.locator('input[type="file"]').first.set_input_files({"name": FILE, "mimeType": "text/csv", "buffer": log()})
    drawn = "n => [...document.querySelectorAll('.js-plotly-plot')].some(p => p._fullData?.length === n)"
    at.wait_for_function(drawn, arg=2 * len(RUNS))
    ready(at)
    inert(at)
    assert "=HYPERLINK(1)" in legend(at)
    at.locator(".js-plotly-plot .nsewdrag").first.hover()
    inert(at)
    with at.expect_download() as csv_file:
        at.locator(DOWNLOAD).first.click()
    table = list(csv.DictReader(io.StringIO(csv_file.value.path().read_text("utf-8-sig"))))
    assert {row["Run"] for row in table} >= {RUNS[0], "'=HYPERLINK(1)"}
    at.locator('[data-testid="stDataFrame"]').first.hover()
    assert at.locator('[aria-label="Search"]').count() and not at.locator('[aria-label="Download as CSV"]').count()

    go(at, "Decide")
    compared(at)
    go(at, "Evidence")
    assert at.locator(".js-plotly-plot .legendtext").count()
    go(at, "Decide")
    compared(at)
    at.get_by_text("Save and share").click()
    for label, text in SAVED.items():
        at.get_by_label(label, exact=True).fill(text)
    at.get_by_role("button", name="Save and get a link").click()
    at.get_by_text("This link shows it").wait_for()
    link = at.locator('[data-testid="stCode"] code').last.inner_text()
    go(at, "Shared")
    assert at.get_by_role("button", name=SAVED["Title"].split()[0]).count() == 1

    at.goto(link)
    compared(at)
    assert at.locator("h1").first.inner_text().replace("\u2060", "") == SAVED["Title"]  # word joiners
    with at.expect_download() as report:
        at.get_by_role("button", name="Report").click()
    report.value.save_as(tmp_path / "report.html")
    at.get_by_role("button", name="Open a copy").click()
    at.locator("h1", has_text="Opt-Laws").wait_for()
    compared(at)

    alone = visit(f"file://{tmp_path / 'report.html'}")
    drawn = "Object.keys(JSON.parse(document.getElementById('points').textContent).curves)"
    assert set(LABELS) == set(alone.evaluate(drawn)) and alone.locator("figure svg path").count() > len(LABELS)
    box = alone.locator("figure svg").bounding_box()
    for part in range(20):
        alone.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * part / 40)
        if alone.locator("#told").is_visible():
            break
    assert alone.locator("#told").inner_text().startswith(LABELS)  # under the pointer
    inert(alone)
    assert alone.locator("h1").inner_text() == SAVED["Title"] and alone.title() == SAVED["Title"]
    cells = alone.locator("td").all_inner_texts()
    assert {*LABELS, *RUNS[:3]} <= set(cells)
    assert f"abc {'x' * 200}" in cells  # readers drop what turns the direction of writing
    assert alone.asked == [alone.url] and alone.complaints == []
    for button, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with alone.expect_download() as picture:
            alone.get_by_role("button", name=button, exact=True).click()
        assert picture.value.suggested_filename == f"optlaws-report-curves.{button.lower()}"
        assert picture.value.path().read_bytes().startswith(start)
    with alone.expect_download() as csv_file:
        alone.locator("a[download]").first.click()
    table = list(csv.DictReader(io.StringIO(csv_file.value.path().read_text("utf-8-sig"))))
    assert {row["name"] for row in table} == {*LABELS[:-1], "'=1+1"}
    inert(alone)

"""The whole path in a real browser: upload, fit, drag a slider, compare; the command line says the same."""

import csv
import json

import pytest

from optlaws_core import LAWS, noise_floor, read
from optlaws_core.cli import main
from tests.browser.conftest import LONG, TOOLS, go, ready
from tests.places import ROOT

IN_FULL = ".st-key-compare-ranking_csv button"  # the download of the ranking in full
DOWNLOAD = '[data-testid="stDownloadButton"] button'
PUBLIC = ROOT.parent / "shared" / "data" / "multi_power_law" / "100M"


def test_a_deep_link_is_the_first_request_of_a_fresh_server(server, page):
    server.restart()
    at = page(f"{server.url}/runs")
    assert at.locator("h1").inner_text() == "Runs"
    menu = at.locator("header").inner_text()
    assert all(name in menu for name in ("Decide", "Evidence", "Shared", "Tools")) and "router" not in menu.lower()
    assert at.locator('[data-testid="stSidebarNav"]').count() == 0
    at.locator('[data-testid="stDataFrame"]').first.hover()
    at.locator('[aria-label="Search"]').first.wait_for()
    assert at.locator('[aria-label="Download as CSV"]').count() == 0


def test_every_page_opens_without_a_fault(app, page):
    """By the menu, in the light and in the dark; tests/browser/test_deep_links.py opens them by their addresses."""
    at = page(app)
    for name in ("Decide", "Evidence", "Shared", *TOOLS):
        go(at, name)
        for look in ("light", "dark"):
            at.emulate_media(color_scheme=look)
            ready(at)
            assert at.locator('[data-testid="stException"]').count() == 0, (name, look)
            assert at.complaints == [], (name, look)


def box(at, label: str):
    """A multiselect."""
    return at.locator('[data-testid="stMultiSelect"]').filter(has=at.get_by_text(label, exact=True))


def select_all(at, label: str) -> None:
    """Everything that a multiselect offers. Its list closes when the page is drawn anew, so it must stay open."""
    offered = at.get_by_text("Select all", exact=True)
    for _ in range(30):
        if offered.is_visible():
            at.wait_for_timeout(500)
            if offered.is_visible():
                break
        box(at, label).locator("input").click()
        at.wait_for_timeout(500)
    offered.click()


def chips(at, label: str) -> list[str]:
    """What a multiselect holds."""
    return box(at, label).locator("[data-tag]").evaluate_all("tags => tags.map(tag => tag.ariaLabel)")


def test_runs_of_the_sweep_are_taken_to_the_other_pages(app, page):
    """The repeats, by a link; on the Evidence page their spread is told beside the errors."""
    at = page(f"{app}/sweep?sweep_groups=schedules&sweep_groups=seeds&sweep_sizes=tiny")
    runs = [
        r
        for r in read(ROOT / "data" / "manifest.csv").runs
        if r.about["group"] in ("schedules", "seeds") and r.about["size"] == "tiny"
    ]
    floor = noise_floor(run.on("val") for run in runs)
    at.get_by_role("button", name=f"Work with {len(runs)} runs").click()
    at.get_by_text(f"{len(runs)} runs loaded").wait_for()
    go(at, "Evidence")
    assert "tiny_constant_4000_8e-3" in chips(at, "Training runs")
    press_fit(at)
    repeated = sum(len(group.runs) for group in floor.repeats)
    assert at.get_by_text(f"{repeated} loaded runs that differ by chance alone").count() == 1


AREAS = """() => document.querySelectorAll('.js-plotly-plot')[0]?._fullData
    .filter(t => t.fill === 'toself').map(t => t.legendgroup)"""


def test_two_laws_are_fitted_averaged_and_drawn_with_bands(app, page):
    """What a visitor gets who changes nothing; then all laws at once, and a fit that is cancelled."""
    at = page(f"{app}/evidence")
    assert len(chips(at, "Laws")) == 2
    press_fit(at)
    assert at.get_by_text("Average of 2 laws", exact=True).count() >= 1
    assert at.get_by_text("Trust the average of").count() == 1
    assert at.get_by_text("The prediction band holds").count() == 1
    assert at.evaluate(AREAS) == ["prediction", "parameter"] * 2
    go(at, "Decide")
    at.locator(DOWNLOAD).last.wait_for()
    assert at.get_by_text("(90 % prediction band)").count() == 1
    assert at.evaluate(AREAS)[0] == "prediction"
    assert all(float(row["plus_minus"]) > 0 for row in ranking(at))

    go(at, "Evidence")
    assert len(chips(at, "Laws")) == 2  # as before the other page was opened
    select_all(at, "Laws")
    ready(at)
    at.keyboard.press("Escape")
    assert len(chips(at, "Laws")) == len(LAWS)
    at.get_by_role("button", name="Fit", exact=True).click()
    at.get_by_role("button", name="Cancel", exact=True).click()
    at.get_by_role("button", name="Cancel", exact=True).wait_for(state="detached")
    ready(at)
    assert at.get_by_text("Average of 2 laws", exact=True).count() >= 1
    assert at.locator('[data-testid="stException"]').count() == 0


def test_an_address_chooses_laws_and_the_choice_stands_in_it(app, page):
    at = page(f"{app}/evidence?law=power_law")
    assert chips(at, "Laws") == [LAWS["power_law"].title]
    box(at, "Laws").locator("input").fill(LAWS["chinchilla"].title)
    at.keyboard.press("Enter")
    at.wait_for_function("location.search.split('law=').length === 3")
    again = page(at.url)
    assert chips(again, "Laws") == [LAWS[n].title for n in ("chinchilla", "power_law")]


def test_the_leaderboard_opens(app, page):
    at = page(f"{app}/evidence")
    if not (ROOT / "data" / "leaderboard.csv").exists():
        assert at.get_by_text("Leaderboard").count() == 0
        return
    at.get_by_text("Leaderboard: these laws on other runs").click()
    at.get_by_text("★ marks the best law").wait_for()
    at.get_by_role("radio", name="band coverage").or_(at.get_by_role("button", name="band coverage")).first.click()
    at.get_by_text("Share of held-out losses inside the 90 % prediction band").wait_for()


def press_fit(at) -> None:
    at.get_by_role("button", name="Fit", exact=True).click()
    at.wait_for_selector('[data-testid="stMetricValue"]', timeout=LONG)
    ready(at)


def shown(at, label: str) -> str:
    """The value of a metric."""
    return (
        at.locator('[data-testid="stMetric"]')
        .filter(has_text=label)
        .locator('[data-testid="stMetricValue"]')
        .inner_text()
    )


def test_from_upload_to_ranking(app, page, tmp_path, capsys):
    if not PUBLIC.exists():
        pytest.skip("the public runs are not beside the checkout, so the path was not walked on them")
    at = page(f"{app}/runs")
    files = sorted(str(p) for p in PUBLIC.glob("*.csv"))
    at.locator('input[type="file"]').first.set_input_files(files)
    plots = "[...document.querySelectorAll('.js-plotly-plot')]"
    drawn = f"() => {plots}.some(p => p._fullData?.some(t => t.name === 'wsdcon_3'))"
    at.wait_for_function(drawn)
    ready(at)

    go(at, "Evidence")
    train, test = chips(at, "Training runs"), chips(at, "Held-out runs")
    assert len(train) == 3 and len(test) == 6
    box(at, "Laws").locator("input").press("Backspace")  # one law, as on the command line
    at.keyboard.press("Escape")
    ready(at)
    assert chips(at, "Laws") == [LAWS["opt_laws_sublinear"].title]
    press_fit(at)
    out = tmp_path / "fit.json"
    argv = [
        "fit",
        "--law",
        "opt_laws_sublinear",
        "--runs",
        str(PUBLIC),
        "--train",
        *train,
        "--test",
        *test,
        "--json",
        str(out),
    ]
    assert main(argv) == 0
    told = json.loads(out.read_text())
    rmse = sum(s["rmse"] for s in told["test"].values()) / len(test)
    assert shown(at, "Held-out RMSE") == f"{rmse:.5f}" and shown(at, "Objective") == f"{told['objective']:.4g}"

    theta = "window.optlawsTuner.state('tuner').theta"
    before = at.evaluate(theta)
    slider = at.locator('input[type="range"][data-param="L_inf"]')
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    assert at.evaluate(theta) != before
    ready(at)

    go(at, "Decide")  # at once: what Python has yet to hear of the slider must not lead back
    at.locator(DOWNLOAD).last.wait_for()
    table = ranking(at)
    assert len(table) >= 3
    capsys.readouterr()
    given = [word for row in table for word in ("--schedule", row["schedule"])]
    assert main(["rank", "--fit", str(out), "--json", *given]) == 0
    same = json.loads(capsys.readouterr().out)
    assert [r["schedule"] for r in table] == [r["schedule"] for r in same]
    for row, other in zip(table, same, strict=True):
        assert row["loss"] == pytest.approx(other["final_loss"], rel=1e-9)


def ranking(at) -> list[dict]:
    """The ranking in full, as its CSV download gives it."""
    if "full_box" not in at.url:
        at.get_by_text("The ranking in full").click()
    at.locator(IN_FULL).wait_for()
    ready(at)
    with at.expect_download() as download:
        at.locator(IN_FULL).click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {"schedule": r["schedule"].lstrip("'"), "loss": float(r["final_loss"]), "plus_minus": r["plus_minus"]}
        for r in rows
    ]

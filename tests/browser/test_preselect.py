"""From a table of final losses to ranked candidates and on to their curves, in a real browser."""

import csv
import json
from pathlib import Path

import pytest

from optlaws_core.cli import main
from tests.browser.conftest import LONG, go, ready

TARGET = {
    "Model size": "123200",
    "Tokens per update": "1024",
    "Tokens in total": "4.096M",
    "Peak learning rates": "4e-3 8e-3 16e-3",
    "Warm-ups": "5%",
}


def downloaded(at, button) -> str:
    """The path of what a download button gives."""
    with at.expect_download() as download:
        button.click()
    return str(download.value.path())


def test_a_table_becomes_a_ranking_as_on_the_command_line(app, page, tmp_path, capsys):
    at = page(f"{app}/preselect?final_source=A+table")
    table = downloaded(at, at.get_by_role("button", name="Example"))
    at.locator('input[type="file"]').set_input_files(
        {"name": "runs.csv", "mimeType": "text/csv", "buffer": Path(table).read_bytes()}
    )
    at.get_by_role("button", name="The units are right").click()  # the sweep has peaks up to 32
    at.get_by_text("Where the loss comes from").wait_for(timeout=LONG)
    for label, value in TARGET.items():
        at.get_by_label(label, exact=True).fill(value)
        at.keyboard.press("Tab")
        ready(at)
    at.wait_for_function("location.search.includes('final_warmups=5')")
    at.get_by_text("warm-up 200, 4,000 updates").first.wait_for()
    ready(at)
    button = at.locator('[class*="st-key-final_rows"] button', has_text="CSV")
    with open(downloaded(at, button), encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))

    out = str(tmp_path / "fit.json")
    assert main(["fit", "--law", "opt_laws", "--table", table, "--sure", "--json", out]) == 0
    capsys.readouterr()
    grid = ["--tokens", "4.096M", "--peaks", "4e-3", "8e-3", "16e-3", "--warmups", "0.05"]
    assert main(["rank", "--fit", out, "--params", "123200", "--batch-tokens", "1024", "--json", *grid]) == 0
    same = json.loads(capsys.readouterr().out)
    assert [r["Schedule"] for r in rows] == [r["schedule"] for r in same]
    for row, other in zip(rows, same, strict=True):
        assert float(row["Final loss"]) == pytest.approx(other["final_loss"], rel=1e-9)
        assert float(row["Best"]) == pytest.approx(other["probability_best"], abs=1e-12)
        assert float(row["Diverges"]) == pytest.approx(other["risk"], rel=1e-9)

    at.get_by_role("button", name="Compare 6 curves").click()
    at.get_by_text("6 candidates on the Decide page").wait_for()
    go(at, "Decide")
    assert at.locator('[data-testid="stException"]').count() == 0


def test_a_link_brings_the_target(app, page):
    at = page(f"{app}/preselect?final_params=123200&final_tokens=2M&final_peaks=4e-3+8e-3")
    at.get_by_text("Where the loss comes from").wait_for(timeout=LONG)
    assert at.get_by_label("Model size", exact=True).input_value() == "123200"
    assert at.get_by_label("Peak learning rates", exact=True).input_value() == "4e-3 8e-3"

"""Sees to it that the browser tests have a browser: Chromium's headless shell where it can be had, else an installed
Chromium or Chrome, else one that can be installed.

Without any the browser tests skip with a sentence, so this always exits 0.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.support.installing import apt_can_install, apt_install, attempt  # noqa: E402  found by the path above

SHELL = "chromium-headless-shell"  # Chromium without windows, which takes two thirds of the time
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def installed() -> str | None:
    """Path of a browser on this machine: the system's, or one that Playwright brought."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        own = Path(p.chromium.executable_path)
        return str(own) if own.exists() else None


def _apt(browser: str) -> bool:
    return apt_install("Browser tests", browser, "fonts-liberation")


def main() -> None:
    if not shutil.which(SHELL) and apt_can_install("Browser tests"):
        _apt(SHELL) or installed() or _apt("chromium")  # some distributions have the second alone
    if not installed():
        attempt("Browser tests", sys.executable, "-m", "playwright", "install", "chromium", seconds=300)
    print(f"Browser tests use {installed() or 'nothing: no browser could be installed, so they will skip'}.")


if __name__ == "__main__":
    main()

"""Sees to it that the browser tests have a browser: Chromium's headless shell where it can be had, else an installed
Chromium or Chrome, else one that can be installed.

Without any the browser tests skip with a sentence, so this always exits 0.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


def _try(*command: str, seconds: int = 600) -> bool:
    print("Browser tests:", " ".join(command), flush=True)
    try:
        return subprocess.run(command, timeout=seconds, stdout=subprocess.DEVNULL, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _apt(browser: str) -> bool:
    return _try("apt-get", "install", "-y", "-qq", browser, "fonts-liberation")


def main() -> None:
    if not shutil.which(SHELL) and shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        _try("apt-get", "update", "-qq", seconds=120)
        _apt(SHELL) or installed() or _apt("chromium")  # some distributions have the second alone
    if not installed():
        _try(sys.executable, "-m", "playwright", "install", "chromium", seconds=300)
    print(f"Browser tests use {installed() or 'nothing: no browser could be installed, so they will skip'}.")


if __name__ == "__main__":
    main()

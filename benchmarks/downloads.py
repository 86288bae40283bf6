"""What installations download on this machine, by the sizes that the package index tells; nothing is installed.

`python -m benchmarks downloads` needs the index that pip is set up with.
"""

import json
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

from benchmarks.table import show

ROOT = Path(__file__).resolve().parents[1]
CORE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KINDS = {
    "pip install .": CORE["project"]["dependencies"],
    "make app": ["-r", "requirements.txt"],
    "make team": ["-r", "requirements.txt", "-r", "requirements-team.txt"],
}
LARGEST = 6  # packages that are named


def main() -> None:
    """Print a row for each installation: packages, megabytes, and the largest of them."""
    rows = []
    for title, asked in KINDS.items():
        sizes = downloads(asked)
        largest = sorted(sizes, key=sizes.get, reverse=True)[:LARGEST]
        named = ", ".join(f"{name} {sizes[name] / 1e6:.0f}" for name in largest)
        rows.append((title, len(sizes), f"{sum(sizes.values()) / 1e6:.0f}", named))
    show(("installation", "packages", "MB", "of these"), rows)


def downloads(asked: list[str]) -> dict[str, int]:
    """Bytes of each package that pip would fetch into an empty environment, by name."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--quiet",
        "--report",
        "-",
        *asked,
    ]
    report = json.loads(subprocess.run(pip, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return {item["metadata"]["name"]: _size(item["download_info"]["url"]) for item in report["install"]}


def _size(url: str) -> int:
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as answer:
        return int(answer.headers["Content-Length"])

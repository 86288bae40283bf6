"""The documentation as a site: it builds without a warning, has a page for everything, and asks no other host."""

import re
import subprocess
import sys

import pytest

import optlaws_core
from docs.site.links import rewritten
from docs.site.registries import slug
from optlaws_core import LAWS, SCHEDULES
from optlaws_core.exports import TARGETS
from optlaws_core.readers.formats import FORMATS
from tests.places import ROOT

LOADED = re.compile(r'<(?:script|link|img|iframe|source|object)\b[^>]*?\s(?:src|href|data)="?(https?:[^" >]+)')


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, of a copy without what is built."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_everything_has_its_page_and_its_place_in_the_menu(site):
    made = {
        *(f"laws/{name}" for name in LAWS),
        *(f"schedules/{name}" for name in SCHEDULES),
        *(f"trainers/{key}" for key in TARGETS),
        *(f"logs/{slug(format.name)}" for format in FORMATS),
        *(path.stem for path in (ROOT / "docs").glob("*.md")),
    }
    home = (site / "index.html").read_text(encoding="utf-8")
    assert [page for page in sorted(made) if not (site / f"{page}.html").exists()] == []
    linked = (site / "laws" / "chinchilla.html").read_text(encoding="utf-8")
    assert [page for page in sorted(made) if f"{page.rpartition('/')[2]}.html" not in home + linked] == []
    names = "".join(page.read_text(encoding="utf-8") for page in (site / "python").glob("*.html"))
    assert [name for name in optlaws_core.__all__ if f">{name}<" not in names] == []


@pytest.mark.slow
def test_formulas_are_drawn_by_the_browser_alone_and_no_page_loads_anything_from_elsewhere(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > 80
    asked = {url for page in pages for url in LOADED.findall(page.read_text(encoding="utf-8"))}
    assert asked == set()
    assert (site / "laws" / "multi_power.html").read_text(encoding="utf-8").count("<math") > 8
    assert not list(site.rglob("*.py")) and not list(site.rglob("*.pyc"))


def test_links_lead_to_pages_of_the_site_into_the_repository_or_nowhere():
    text = "[a](measured.md#x) [b](../CHANGELOG.md) [`c`](../Makefile) [d](https://example.org) ![e](plan.png) [f](#g)"
    left = "[a](measured.md#x) [b](project/changelog.md) {} [d](https://example.org) ![e](plan.png) [f](#g)"
    assert rewritten(text, "docs/laws.md") == left.format("`c`")
    there = "https://example.org/laws"
    assert rewritten(text, "docs/laws.md", there) == left.format("[`c`](https://example.org/laws/blob/main/Makefile)")
    assert rewritten("[a](docs/laws.md)", "CONTRIBUTING.md") == "[a](../laws.md)"
    assert rewritten("```\n[a](docs/laws.md)\n```", "README.md") == "```\n[a](docs/laws.md)\n```"

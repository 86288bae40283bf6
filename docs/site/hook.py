"""What MkDocs does beside its files: texts of the repository's root, generated pages, and the menu."""

import sys
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
from docs.site import links, registries  # noqa: E402  found by the path above

FIRST = ("index.md", "tutorial.md", "figures.md")
REFERENCE = ("laws.md", "command-line.md", "python.md", "pages.md", "log-formats.md", "sources.md")
MEASURED = ("measured.md", "lab-notes.md", "final-loss-notes.md", "fuzzing.md")


def on_files(files, config):
    """Add the pages that are no files of docs/, and say where everything stands in the menu."""
    outside = {page: links.rewritten(_text(path), path, config.repo_url) for path, page in links.SITE.items()}
    made = registries.pages()
    for name, text in (outside | {page.path: page.text for page in made}).items():
        files.append(File.generated(config, name, content=text))
    config.nav = menu({file.src_uri for file in files.documentation_pages()}, made)
    return files


def on_page_markdown(markdown, page, config, files):
    """The links of a text of docs/ as they are on the site."""
    if page.file.abs_src_path is None:  # generated
        return markdown
    return links.rewritten(markdown, f"{links.DOCS}{page.file.src_uri}", config.repo_url)


def menu(pages: set[str], made: list["registries.Page"]) -> list:
    """The menu of `pages`; a text of docs/ that no list here names stands under Guides, so that none is forgotten."""
    sections = {section: [page.path for page in made if page.section == section] for section in registries.SECTIONS}
    named = {*FIRST, *REFERENCE, *MEASURED, *links.SITE.values(), *(page.path for page in made)}
    known = [[name for name in names if name in pages] for names in (FIRST, REFERENCE, MEASURED)]
    return [
        {"Start": known[0]},
        *({section: sections.pop(section)} for section in registries.HOW_TO),
        {"Guides": sorted(pages - named)},
        {"Reference": [*known[1], *({title: found} for title, found in sections.items())]},
        {"Measured": known[2]},
        {"Project": [name for name in links.SITE.values() if name != "index.md"]},
    ]


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")

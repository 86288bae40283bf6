"""Links of the repository's texts as links of the site: what GitHub shows at one place stands elsewhere there."""

import posixpath
import re
from collections.abc import Callable

FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
SITE = {  # texts outside docs/ that are pages of the site
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "data/README.md": "project/runs.md",
}
DOCS = "docs/"


def page_of(path: str) -> str | None:
    """Where a file of the repository, by its path, is on the site; None for what is not there."""
    if path in SITE:
        return SITE[path]
    return path.removeprefix(DOCS) if path.startswith(DOCS) and path.endswith((".md", ".png")) else None


def rewritten(text: str, path: str, repository: str | None = None) -> str:
    """`text`, which stands at `path` of the repository, with the links that its page on the site has.

    A link to a file that is no page leads into the `repository`, by its address; without one its words stay alone.
    """
    here = posixpath.dirname(page_of(path) or "")
    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(_link(posixpath.dirname(path), here, repository), part) for part in parts[::2]]
    return "".join(parts)


def _link(folder: str, here: str, repository: str | None) -> Callable[[re.Match], str]:
    def link(found: re.Match) -> str:
        mark, words, target = found.groups()
        name, hash, anchor = target.partition("#")
        if not name or re.match(r"[a-z]+:", name):
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, name))
        if (page := page_of(path)) is not None:
            return f"{mark}[{words}]({posixpath.relpath(page, here or '.')}{hash}{anchor})"
        return f"[{words}]({repository.rstrip('/')}/blob/main/{path}{hash}{anchor})" if repository else words

    return link

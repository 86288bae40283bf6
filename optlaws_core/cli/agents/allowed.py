"""Which files an agent may have read: those in the folders of whoever started the server, and texts that it sends."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...errors import OptLawsError
from ...readers.sqlite import WAL
from ...text import listed
from ..options import quoted

MOST_SENT = 32 * 2**20  # characters of all the files that one call sends


class Files:
    """Paths as an agent names them, and where fits are kept."""

    def __init__(self, roots: Sequence[Path], fits: Path) -> None:
        """roots: folders that may be read. fits: the one that fits are written to, which may be read, too.

        Raises `OptLawsError` for what is no folder.
        """
        for folder in (*roots, fits):
            if not folder.is_dir():
                raise OptLawsError(f"{folder}: a folder is needed, and there is none.")
        self.roots = tuple(map(_resolved, roots))
        self.fits = _resolved(fits)

    def found(self, name: str, sent: Path | None) -> Path:
        """The path of a file or a folder that is named. sent: the folder of what came with the call, which goes first.

        Fits go by their names. What is nowhere is given as it would be in the first root, so that whoever reads it says
        so. Raises `OptLawsError` for what lies elsewhere, by its name or because a link leads there.
        """
        if not name.strip() or "\0" in name:
            raise OptLawsError(f"A path must name a file or a folder, got {quoted(name)}.")
        bases = [sent] if sent else []
        bases += [self.fits] if (self.fits / name).is_file() else []
        allowed = (*bases, self.fits, *self.roots)
        named = [_resolved(base / name) for base in (*bases, *self.roots)]
        here = [path for path in named if _within(path, allowed)]
        path = next((path for path in here if path.exists()), None)
        if path is None:
            if len(here) < len(named):
                raise OptLawsError(f"{quoted(name)} is outside the folders that may be read here: {self._said}.")
            path = named[len(bases)]
        if link := _way_out(path, allowed):
            raise OptLawsError(f"{link}: this link leads out of the folders that may be read here: {self._said}.")
        return path

    @property
    def _said(self) -> str:
        return listed(map(str, self.roots))

    def new_fit(self) -> Path:
        """A path for a fit, where there is none yet."""
        taken = {file.stem for file in self.fits.glob("fit-*.json")}
        number = 1 + max((int(n) for stem in taken if (n := stem.split("-")[1]).isdecimal()), default=0)
        return self.fits / f"fit-{number}.json"


def keep(files: Mapping[str, str], folder: Path) -> None:
    """Write the texts that came with a call. Raises `OptLawsError` for too much, and for a name that leads out."""
    if not isinstance(files, Mapping) or not all(isinstance(text, str) for text in files.values()):
        raise OptLawsError("files must be an object that has the text of each file by its name.")
    if (size := sum(map(len, files.values()))) > MOST_SENT:
        raise OptLawsError(f"At most {MOST_SENT:,} characters of files can be sent at once, got {size:,}.")
    for name, text in files.items():
        path = folder / name
        if "\0" in name or path == folder or not _within(_resolved(path), [_resolved(folder)]):
            raise OptLawsError(f"files: a name must be that of a file, such as logs/a.csv, got {quoted(name)}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_text(text, encoding="utf-8")
        except UnicodeEncodeError:
            raise OptLawsError(f"files: what {quoted(name)} holds is no text that UTF-8 can write.") from None


def _resolved(path: Path) -> Path:
    """A path without links and dots. Raises `OptLawsError` for links that lead in a circle."""
    try:
        return path.resolve()
    except RuntimeError:
        raise OptLawsError(f"{path}: links lead in a circle here.") from None


def _within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _way_out(path: Path, allowed: Sequence[Path]) -> Path | None:
    """A link to elsewhere among the files that readers would take in with `path`."""
    below = (Path(parent, name) for parent, _, names in os.walk(path) for name in names)  # of a file there is nothing
    beside = Path(f"{path}{WAL}")  # a manifest's files are looked at where it is read
    links = (file for file in (beside, *below) if file.is_symlink())
    return next((link for link in links if not _within(_resolved(link), allowed)), None)

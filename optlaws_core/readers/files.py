"""Paths on disk to sources: files as they are, folders by known suffixes, a manifest with the files it names."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import LogError
from ..text import counted, listed
from . import archives
from .base import Note, Source, base_name
from .format import SETTINGS, Content, peek
from .formats import FORMATS
from .formats.manifest import open_manifest, opens_manifest
from .sqlite import WAL

SUFFIXES = tuple(dict.fromkeys(suffix for format in FORMATS for suffix in format.suffixes))
# Files with a log's suffix that are none, by the end of their path: lists of packages, settings of models and trackers,
# and what trainers say once at the end.
NO_LOG = re.compile(
    r"(^|/)(requirements[^/]*\.txt|readme[^/]*|licen[cs]e[^/]*|robots\.txt|(wandb-|swanlab-|run_)?metadata\.json|package(-lock)?\.json"
    r"|(generation_|adapter_|tokenizer_|preprocessor_|ds_)?config\.json|(tokenizer|vocab|added_tokens)\.json"
    r"|\.aim/(meta|seqs|check_ins)/.*|special_tokens_map\.json|[^/]*\.index\.json|(all|train|eval|test|predict)_results\.json|debug[^/]*\.log)$",
    re.IGNORECASE,
)
# What belongs to runs of several files, by the end of its path.
_BESIDE = re.compile(
    r"tfevents|(^|/)((metrics|params|tags)/.+|(meta|params|config|hparams)\.yaml|data-\d+\.log|[^/]+-wal)$"
)
NEPTUNE = ".neptune"  # a folder of logs, though it is hidden
AIM = Path(".aim", "run_metadata.sqlite")
_PACKED = (f"{suffix}{packed}" for suffix in SUFFIXES for packed in (".gz", ".bz2", ".xz"))
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", *_PACKED)
# Suffixes of files that grow by lines -> lines with which the first row is there.
FEWEST_LINES = {
    suffix: max(f.fewest_lines for f in FORMATS if suffix in f.suffixes)
    for format in FORMATS
    for suffix in format.suffixes
    if format.fewest_lines
}


class Sources(list[Source]):
    """Sources, and notes about what was left out."""

    def __init__(self, sources: Iterable[Source] = (), notes: Iterable[Note] = ()) -> None:
        super().__init__(sources)
        self.notes = tuple(notes)


def sources_from_paths(paths: Iterable[str | Path]) -> Sources:
    """The files to read, each once, in order. Raises `LogError` for what is empty, not there, or no ordinary file.

    A folder gives its files, and those of its folders, that have a known suffix. A manifest brings the files beside it
    that it names.
    """
    found: dict[Path, Source] = {}
    ignored: list[str] = []
    for path in map(_path, paths):
        if not path.exists():
            raise LogError(f"{path}: there is no such file or folder.", str(path))
        if not path.is_dir() and not path.is_file():  # a pipe or a device, which may never end
            raise LogError(f"{path}: a log must be an ordinary file, this is not one.", str(path))
        for file in _in_folder(path, ignored) if path.is_dir() else [path, *_beside(path)]:
            found.setdefault(file.resolve(), Source(str(file), file))
    if not found and ignored:
        raise LogError(f"{', '.join(map(str, paths))}: no logs here, only files of other kinds ({listed(ignored, 6)}).")
    if not found:
        raise LogError(f"{', '.join(map(str, paths)) or 'nothing'}: no files to read.")
    notes = (
        [Note("info", f"{counted(len(ignored), 'file')} of other kinds ignored: {listed(ignored, 6)}.")]
        if ignored
        else []
    )
    return Sources(found.values(), notes)


def _path(path: str | Path) -> Path:
    """A path; an empty text would stand for the current folder, which nobody meant."""
    if not str(path).strip():
        raise LogError(f"A path must name a file or a folder, got {str(path)!r}.")
    return Path(path)


def is_log_name(name: str) -> bool:
    """Whether a file's name suggests a log by its suffix, and is not one of those that never are."""
    return name.lower().endswith((*SUFFIXES, *ARCHIVES)) and not NO_LOG.search(name.replace("\\", "/"))


def unpacked(sources: Iterable[Source]) -> tuple[list[Source], list[Note]]:
    """The files, and in place of archives the logs in them; notes on those. A faulty archive stays as it is.

    What lies unpacked beside an archive is not read from it a second time.
    """
    packed: list[Source] = []
    found: list[Source] = []
    for source in sources:
        (packed if is_archive(source) else found).append(source)
    beside = {source.parts: source for source in found}
    notes: list[Note] = []
    for source in packed:
        try:
            inner = archives.unpacked(source, may_be_log)
            logs, others = (inner, []) if len(inner) == 1 else logs_among(inner)
        except LogError:
            found.append(source)  # reading it tells the fault
            continue
        if not logs:
            found.append(source)
            continue
        new = [log for log in logs if not _same(log, beside.get(_beside_archive(log)))]
        found += new
        left = [counted(len(others), "file") + " of other kinds left out"] if others else []
        left += [counted(len(logs) - len(new), "log") + " beside it not read twice"] if len(new) < len(logs) else []
        said = ", ".join([counted(len(logs), "log"), *left])
        notes.append(Note("info", f"{source.shown} was unpacked: {said}."))
    return found, notes


def _beside_archive(log: Source) -> tuple[str, ...]:
    """The path of a log in an archive as it would be if the archive were unpacked where it lies."""
    return tuple(archives.SUFFIX.sub("", part) for part in log.parts)


def _same(log: Source, other: Source | None) -> bool:
    return other is not None and _hash(other) == _hash(log)


def is_archive(source: Source) -> bool:
    """Whether a file is an archive of logs. A ZIP that a tracker makes is a log itself."""
    if not archives.kind_of(peek(source)[:512]):
        return False
    try:
        return not archives.is_store(source.read())
    except LogError:
        return False  # reading it tells the fault


def may_be_log(name: str) -> bool:
    """Whether a file in an archive is worth unpacking, as its name tells: a log, or what may lie beside one."""
    return is_log_name(name) or bool(_BESIDE.search(name)) or bool(archives.SUFFIX.search(name))


def runs_among(sources: Sequence[Source]) -> list[list[Source]]:
    """The files that are one log together, those of a run of several files and all others alone, in canonical order.

    That order is by folders and names, whatever the one in which the files are given. A list begins with the file by
    which the log is recognised.
    """
    runs, rest = _gathered(sources)
    return sorted([*runs, *([source] for source in rest)], key=lambda run: natural(run[0].parts))


def logs_among(sources: Sequence[Source]) -> tuple[list[Source], list[Source]]:
    """Those of a folder's files that are logs, by their suffix or as pieces of a run; and the others."""
    runs, _ = _gathered(sources)
    pieces = {id(source) for run in runs for source in run}
    logs = [source for source in sources if id(source) in pieces or is_log_name(source.name)]
    kept = {id(source) for source in logs}
    return logs, [source for source in sources if id(source) not in kept]


def _gathered(sources: Sequence[Source]) -> tuple[list[list[Source]], list[Source]]:
    """The runs of several files, and the files that are in none of them."""
    rest = in_order(sources)
    runs: list[list[Source]] = []
    for format in FORMATS:
        if format.gather:
            runs += (found := format.gather(rest))
            taken = {id(source) for run in found for source in run}
            rest = [source for source in rest if id(source) not in taken]
    return _with_settings(runs, rest)


def _with_settings(runs: list[list[Source]], rest: list[Source]) -> tuple[list[list[Source]], list[Source]]:
    """The same, a file of settings taken as a piece of the only log in its folder."""
    for settings in [source for source in rest if source.parts[-1:] == (SETTINGS,)]:
        beside = [run for run in runs if run[0].parts[:-1] == settings.parts[:-1]]
        alone = [s for s in rest if s.parts[:-1] == settings.parts[:-1] and is_log_name(s.name)]
        if len(beside) + len(alone) == 1:
            run = beside[0] if beside else alone
            run.append(settings)
            runs = [*runs, *([] if beside else [run])]
            rest = [source for source in rest if all(source is not piece for piece in run)]
    return runs, rest


def in_order(sources: Iterable[Source]) -> list[Source]:
    """Files by folders and names, those of one name by what they hold: in one order, however they are given."""
    sources = list(sources)
    times = Counter(source.parts for source in sources)
    return sorted(sources, key=lambda s: (natural(s.parts), _hash(s) if times[s.parts] > 1 else ""))


def natural(parts: Iterable[str]) -> tuple[tuple[tuple[str, int], ...], ...]:
    """A key to sort paths by: folder by folder, and numbers in names by their size."""
    return tuple(
        tuple((text.casefold(), int(number or 0)) for text, number in re.findall(r"(\D*)(\d{0,18})", part))
        + ((part, 0),)
        for part in parts
    )


def _hash(source: Source) -> str:
    try:
        return source.sha256
    except LogError:
        return ""  # reading it tells the fault


def _in_folder(folder: Path, ignored: list[str]) -> list[Path]:
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") or f == NEPTUNE)
        seen = [Path(parent) / name for name in sorted(names) if not name.startswith(".")]
        files += [
            file for file in seen if file.is_file() or not file.exists()
        ]  # no pipe or device, which may never end
        files += [index for index in [Path(parent) / AIM] if index.is_file()]  # to say what it is
    logs, others = logs_among([Source(str(file), file) for file in files])
    ignored += [base_name(source.name) for source in others]
    return [source.data for source in logs if isinstance(source.data, Path)]


def _beside(path: Path) -> list[Path]:
    """The files that a manifest names and that lie in its folder, and what a database has not taken in yet."""
    source = Source(str(path), path)
    if (written := Path(f"{path}{WAL}")).is_file():
        return [written]
    try:
        if not opens_manifest(source):
            return []
        names = [entry.file for entry in open_manifest(Content.of(source)).entries]
    except LogError:
        return []  # reading the file tells the fault
    folder = path.parent.resolve()
    files = [path.parent / name.replace("\\", "/") for name in dict.fromkeys(names)]
    # A link may lead out of the folder even where the name does not.
    return [f for f in files if f.is_file() and f.resolve().is_relative_to(folder)]

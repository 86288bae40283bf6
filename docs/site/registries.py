"""Pages of the site that are made of the registries, so that a new law, schedule, trainer or format has its own."""

import contextlib
import html
import io
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from latex2mathml.converter import convert

import optlaws_core
from optlaws_core import LAWS, SCHEDULES, Law, Schedule, ScheduleError, parse
from optlaws_core.cli import main
from optlaws_core.exports import TARGETS, Export, Target, export
from optlaws_core.paper.citations import SOURCES
from optlaws_core.readers.format import Format
from optlaws_core.readers.formats import FORMATS
from optlaws_core.schedules.base import ordered_fields
from optlaws_core.text import format_number, relative_error

HOW_TO = ("Trainers", "Logs")
SECTIONS = (*HOW_TO, "Every law", "Every schedule", "Every Python name")
EXAMPLES = (  # what a trainer is shown with: the first that it can be configured for, or else takes as code
    "wsd(peak=3e-4, warmup=2000, total=100000, decay=20%)",
    "cosine(peak=3e-4, warmup=2000, total=100000, final=3e-5)",
)
NEAR = 0.05  # of the peak, by which an example may be off
LONGEST = 6_000  # characters of an export that are shown: tables have more
WIDTH, HEIGHT = 640, 160  # of the picture of a schedule
SUFFIX = ".txt"  # of a sample whose format is not known by its name


@dataclass(frozen=True)
class Page:
    """A generated page: where it stands on the site, in which section of the menu, and its Markdown."""

    path: str
    section: str
    text: str


def pages() -> list[Page]:
    """All of them, in the order of the menu."""
    return [
        *(Page(f"trainers/{key}.md", "Trainers", _trainer(target)) for key, target in TARGETS.items()),
        *(Page(f"logs/{slug(format.name)}.md", "Logs", _format(format)) for format in FORMATS),
        *(Page(f"laws/{name}.md", "Every law", _law(law)) for name, law in LAWS.items()),
        *(Page(f"schedules/{name}.md", "Every schedule", _schedule(cls)) for name, cls in SCHEDULES.items()),
        *(Page(f"python/{slug(home)}.md", "Every Python name", text) for home, text in _names()),
    ]


def slug(title: str) -> str:
    """A title as the name of a file."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *filter(None, parts)]) + "\n"


def _code(text: str, language: str = "text") -> str:
    fence = "`" * (3 + max((len(run) for run in re.findall(r"`{3,}", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def _formula(latex: str) -> str:
    """A formula as MathML, which browsers draw without a library; a block of its own."""
    return f'<div class="formula">{convert(latex, display="block")}</div>'


def _linked(text: str) -> str:
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def _law(law: Law) -> str:
    rows = (
        (convert(p.latex), f"`{p.name}`", p.meaning, f"{format_number(p.low)} to {format_number(p.high)}", p.scale)
        for p in law.params
    )
    return _page(
        law.title,
        f"{_linked(law.summary)} Its name is `{law.name}`.",
        _formula(law.latex),
        "with" if law.where else "",
        *map(_formula, law.where),
        "## Coefficients",
        _table(("", "name", "meaning", "bounds", "scale of the search"), rows),
        "## Source",
        f"{_linked(law.reference).rstrip('.')}.",
        *(_code(source.bibtex, "bibtex") for source in SOURCES[law.name]),
    )


def _schedule(cls: type[Schedule]) -> str:
    example = cls.usual()
    rest = " ".join((cls.__doc__ or "").strip().removeprefix(cls.summary).split())
    rows = (
        (
            convert(f.metadata["symbol"]) if f.metadata["symbol"] else "",
            f"`{f.name}`",
            f.metadata["meaning"],
            {"LR": "a learning rate"}.get(f.metadata["unit"], f.metadata["unit"]),
        )
        for f in ordered_fields(cls)
    )
    return _page(
        cls.family,
        _linked(cls.summary),
        _code(example.text),
        _picture(example),
        "After the warm-up, t being the update, counted from 0:",
        _formula(cls.formula),
        _linked(rest),
        "## Fields",
        _table(("", "name", "meaning", "unit"), rows),
    )


def _picture(schedule: Schedule) -> str:
    """The rate over the updates, from 0 to the peak, as SVG in the colour of the text."""
    steps = np.unique(np.linspace(0, schedule.total - 1, WIDTH).round())
    rates = schedule(steps)
    x, y = WIDTH * steps / schedule.total, HEIGHT * (1 - rates / rates.max())
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    said = html.escape(f"The learning rate of {schedule.text} over its updates.")
    return (
        f'<svg viewBox="-4 -4 {WIDTH + 8} {HEIGHT + 8}" width="{WIDTH}" role="img" aria-label="{said}" fill="none" '
        f'stroke="currentColor" style="max-width: 100%"><path d="M0 0V{HEIGHT}H{WIDTH}" stroke-opacity="0.3"/>'
        f'<polyline points="{points}" stroke-width="2"/></svg>'
    )


def _trainer(target: Target) -> str:
    example, found = next(
        (text, made)
        for text in EXAMPLES
        if (made := _exported(text, target.key)) is not None and made.deviation <= NEAR
    )
    off = "It is exact:" if found.exact else f"It is off by at most {relative_error(found.deviation)} of the peak:"
    text = found.text if len(found.text) < LONGEST else f"{found.text[:LONGEST].rpartition(chr(10))[0]}\n…"
    return _page(
        target.title,
        f"What is expressed exactly: {target.native}.",
        _code(f'optlaws export --schedule "{example}" --to {target.key}', "sh"),
        off,
        _code(text, {".py": "python"}.get(found.suffix, "text")),
        "## What to know",
        "\n".join(f"- {note}" for note in found.notes),
        f"The scheduler was read in {target.version}: <{target.source}>." if target.source.startswith("http") else "",
    )


def _exported(text: str, target: str) -> Export | None:
    with contextlib.suppress(ScheduleError):
        return export(parse(text), target)
    return None


def _format(format: Format) -> str:
    names = ", ".join(f"`*{suffix}`" for suffix in format.suffixes)
    said, shown = _read(format), _shown(format.sample)
    return _page(
        format.name,
        f"It is known by its content; in a folder, files named {names} are looked at." if names else "",
        "A small file of this kind:" if shown else "Files of this kind are binary.",
        _code(shown) if shown else "",
        "What is read of a small one:" if said and not shown else "What is read of it:" if said else "",
        _code(said) if said else "",
        "More on this and all other formats stands in [log formats](../log-formats.md).",
    )


def _shown(sample: bytes) -> str:
    """A sample as text; empty where it is none."""
    try:
        text = sample.decode()
    except UnicodeDecodeError:
        return ""
    return text if all(c.isprintable() or c in "\n\r\t" for c in text) else ""


def _read(format: Format) -> str:
    """What the command `read` says of the sample; empty where the sample alone does not make a run."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        file = Path(f"run{(format.suffixes or (SUFFIX,))[0]}")
        file.write_bytes(format.sample)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = main(["read", str(file)], name="optlaws")
    return "" if code else out.getvalue()


def _names() -> Iterator[tuple[str, str]]:
    """The public names by the module that they are imported from, each from its docstring."""
    for home, names in optlaws_core._HOME.items():
        shown = (f"::: {getattr(getattr(optlaws_core, n), '__module__', f'optlaws_core.{home}')}.{n}" for n in names)
        yield (
            home,
            _page(
                home, f"All of these are imported from `optlaws_core`: {', '.join(f'`{n}`' for n in names)}.", *shown
            ),
        )

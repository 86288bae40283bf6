"""Every law has all that fits, pages and tests ask of it; what one lacks is told in a sentence."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from optlaws_core.errors import by_name
from optlaws_core.laws import LAWS, Law
from optlaws_core.paper.citations import SOURCES
from tests.knowledge.planted import PLANTED
from tests.knowledge.twins import THETAS, TWINS
from tests.places import ROOT


def lacking(law: Law, page: str) -> list[str]:
    """What a law lacks, one sentence for each."""
    name, found = law.name, []
    if law.name not in TWINS:
        found.append(f"{name} has no slow twin: add one to `TWINS` in tests/knowledge/twins.py.")
    elif (args := set(inspect.signature(TWINS[name]).parameters) - {"eta", "steps"}) != set(law.names):
        found.append(f"{name}: the slow twin's coefficients {sorted(args)} are not the law's {sorted(law.names)}.")
    tables = ((THETAS, "`THETAS` in tests/knowledge/twins.py"), (PLANTED, "`PLANTED` in tests/knowledge/planted.py"))
    for table, where in tables:
        if name not in table:
            found.append(f"{name} has no coefficients in {where}.")
    found += [f"{name} has no {said}." for said in ("title", "summary", "reference") if not getattr(law, said)]
    found += [f"{name}.{p.name} has no meaning." for p in law.params if not p.meaning]
    if not law.starts and not law.ridge:
        found.append(f"{name} has no starting points: give `starts`.")
    found += [fault for i, start in enumerate(law.starts) for fault in _faults_of_start(law, i, start)]
    if not SOURCES.get(name):
        found.append(f"{name} has no source for BibTeX: add one to `SOURCES` in optlaws_core/paper/citations.py.")
    if f"| `{name}` |" not in page:
        found.append(f"{name} has no row in docs/laws.md, in the table of laws.")
    return found


def _faults_of_start(law: Law, i: int, start: Mapping[str, float]) -> Iterator[str]:
    for name in set(start) - set(law.names):
        yield f"{law.name}: start {i} names {name}, which is no coefficient."
    for p in law.params:
        if p.name not in start:
            if p.name not in law.linear:
                yield f"{law.name}: start {i} lacks {p.name}, in which the law is not linear: give it a value."
        elif not p.low <= start[p.name] <= p.high:
            yield f"{law.name}: start {i} has {p.name} outside its bounds."


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_law_lacks_nothing(law):
    lacks = lacking(law, (ROOT / "docs" / "laws.md").read_text(encoding="utf-8"))
    assert not lacks, "\n" + "\n".join(lacks)


def test_what_a_law_lacks_is_told():
    bare = replace(LAWS["power_law"], name="bare", reference="", starts=())
    told = "\n".join(lacking(bare, ""))
    for part in (
        "no slow twin",
        "`THETAS`",
        "planted.py",
        "no reference",
        "no starting points",
        "no source",
        "no row in docs/laws.md",
    ):
        assert part in told, part
    begun = replace(LAWS["power_law"], starts=({"alpha": 1e9, "beta": 1.0}, {}))
    told = "\n".join(lacking(begun, ""))
    for part in ("start 0 has alpha outside", "start 0 names beta, which is no", "start 1 lacks alpha, in which"):
        assert part in told, part
    renamed = replace(LAWS["power_law"], params=LAWS["power_law"].params[:2])
    assert "the slow twin's coefficients" in "\n".join(lacking(renamed, "| `power_law` |"))


COUNTED = dict(
    enumerate("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split(), 10)
)


def test_the_readme_counts_the_laws():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"(\w+) laws, each with its source", readme)
    assert said.lower() == COUNTED[len(LAWS)], f"README.md says {said} laws; there are {len(LAWS)}."


def test_a_name_that_is_taken_is_told():
    with pytest.raises(ValueError, match="Two laws are called 'power_law'"):
        by_name("laws", lambda law: law.name, [*LAWS.values(), LAWS["power_law"]])

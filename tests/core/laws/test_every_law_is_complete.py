"""Every law has all that fits, pages and tests ask of it; what one lacks is told in a sentence."""

import inspect
from dataclasses import replace

import pytest

from optlaws_core.laws import LAWS, Law
from tests.knowledge.planted import PLANTED
from tests.knowledge.twins import THETAS, TWINS
from tests.places import ROOT


def lacking(law: Law, readme: str) -> list[str]:
    """What a law lacks, one sentence for each."""
    name, found = law.name, []
    if law.name not in TWINS:
        found.append(f"{name} has no slow twin: add one to `TWINS` in tests/knowledge/twins.py.")
    elif (args := set(inspect.signature(TWINS[name]).parameters) - {"eta", "steps"}) != set(law.names):
        found.append(f"{name}: the slow twin's coefficients {sorted(args)} are not the law's {sorted(law.names)}.")
    for table, where in ((THETAS, "`THETAS` in tests/knowledge/twins.py"), (PLANTED, "tests/knowledge/planted.py")):
        if name not in table:
            found.append(f"{name} has no coefficients in {where}.")
    found += [f"{name} has no {said}." for said in ("title", "summary", "reference") if not getattr(law, said)]
    found += [f"{name}.{p.name} has no meaning." for p in law.params if not p.meaning]
    if not law.starts and not law.ridge:
        found.append(f"{name} has no starting points: give `starts`.")
    if f"| `{name}` |" not in readme:
        found.append(f"{name} has no row in README.md, in the table of laws.")
    return found


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_law_lacks_nothing(law):
    lacks = lacking(law, (ROOT / "README.md").read_text(encoding="utf-8"))
    assert not lacks, "\n" + "\n".join(lacks)


def test_what_a_law_lacks_is_told():
    bare = replace(LAWS["power_law"], name="bare", reference="", starts=())
    told = "\n".join(lacking(bare, ""))
    for part in ("no slow twin", "`THETAS`", "planted.py", "no reference", "no starting points", "no row in README"):
        assert part in told, part
    renamed = replace(LAWS["power_law"], params=LAWS["power_law"].params[:2])
    assert "the slow twin's coefficients" in "\n".join(lacking(renamed, "| `power_law` |"))

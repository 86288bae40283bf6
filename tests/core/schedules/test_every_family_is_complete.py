"""Every schedule family says all that pages, exports and searches ask of it; what one lacks is told in a sentence."""

import inspect
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given

from optlaws_core.errors import ScheduleError
from optlaws_core.exports.code import scalar
from optlaws_core.exports.formula import array_rates, array_text, constants_text, formula
from optlaws_core.final_loss import SHAPES
from optlaws_core.optimize import FAMILIES
from optlaws_core.schedules import COOLDOWNS, SCHEDULES, WARMUPS, Schedule, parse
from optlaws_core.schedules.base import Falling, Peaked
from optlaws_core.schedules.entries import entry
from optlaws_core.schedules.search_ranges import Range
from tests.knowledge.families import schedules, texts
from tests.knowledge.twins import shipped
from tests.oracles import latex
from tests.places import ROOT

LIMITS = ("peak", "warmup", "total", "warmup_shape", "shape")  # what every search sets by itself


def lacking(cls: type[Schedule], page: str, slow: set[str]) -> list[str]:
    """What a family lacks, one sentence for each."""
    name = getattr(cls, "family", cls.__name__)
    found = []
    if not (cls.summary.endswith(".") and cls.summary[:-1]):
        found.append(f"{name}: the docstring's first line must be one sentence, its summary.")
    if not getattr(cls, "formula", ""):
        found.append(f"{name} has no LaTeX: set `formula`.")
    if not cls.code and cls.as_code is Schedule.as_code:
        found.append(f"{name} has no formula code for exports: set `code`, or write `as_code`.")
    if not hasattr(cls, "shapes"):
        found.append(f"{name} does not say which shapes Pre-select offers: set `shapes`, {{}} for none.")
    found += [s for f in fields(cls) for s in _lacking_field(cls, name, f)]
    if not cls.unsearched and not cls.search_ranges():
        found.append(f"{name} has no search range: give a field `search`, or say in `unsearched` why there is none.")
    try:
        if parse_back(cls.usual()) != cls.usual():
            found.append(f"{name}: the usual example does not read back from its text form.")
    except (ScheduleError, TypeError) as fault:
        found.append(f"{name} has no usual example ({fault}): give its fields `usual` values.")
    found += _faults_of_shape(cls, name)
    if name not in slow:
        found.append(f"{name} has no slow twin: add a text of it to `shipped` in tests/knowledge/twins.py.")
    if f"`{name}`" not in page:
        found.append(f"{name} is not in docs/laws.md, in the list of schedule families.")
    return found


def _faults_of_shape(cls: type[Schedule], name: str) -> list[str]:
    """What the usual example shows: whether it has a rate, its jumps are breaks, and it can be stretched."""
    found = []
    try:
        usual = cls.usual()
        rates = usual(np.arange(usual.total + 1))
    except NotImplementedError:
        return [f"{name} has no rate: write `_height` or `_after_warmup`."]
    except (ScheduleError, TypeError):
        return []  # told as the want of an example
    change = np.abs(np.diff(rates, prepend=rates[:1], append=rates[-1:]))  # change[t]: from step t − 1 to t
    around = np.maximum(np.roll(change, 1), np.roll(change, -1))[1:-1]
    jumps = 1 + np.flatnonzero((change[1:-1] > 1e-3 * usual.peak) & (change[1:-1] > 10 * around))
    for t in sorted({*jumps.tolist()} - {*usual.breaks}):
        found.append(f"{name}: the rate jumps at step {t}, which is not among its breaks: name it in `_turns`.")
    longer = usual.rescaled(usual.warmup + 2 * (usual.total - usual.warmup))
    for f in fields(cls):
        counts = f.metadata["unit"] == "updates" and f.name not in ("warmup", "total")
        if counts and getattr(usual, f.name) is not None and getattr(usual, f.name) == getattr(longer, f.name):
            found.append(f"{name}.{f.name} counts updates, but `rescaled` leaves it: write `_stretched`.")
    return found


def _lacking_field(cls: type[Schedule], name: str, f) -> list[str]:
    found, said = [], f.metadata
    if not said["meaning"]:
        found.append(f"{name}.{f.name} has no meaning.")
    if not said["symbol"] and not said["choices"]:
        found.append(f"{name}.{f.name} has no symbol in the LaTeX: give `symbol`.")
    if f.default is MISSING and said["usual"] is None:
        found.append(f"{name}.{f.name} has neither a default nor a usual value: give `usual`.")
    if not cls.unsearched and f.name not in LIMITS and not said["search"]:
        found.append(f"{name}.{f.name} has no search range: give `search`, or a phrase on why it keeps its default.")
    return found


def parse_back(schedule: Schedule) -> Schedule:
    return parse(schedule.text) if schedule.family in SCHEDULES else schedule


@pytest.mark.parametrize("cls", SCHEDULES.values(), ids=lambda cls: cls.family)
def test_a_family_lacks_nothing(cls):
    page = (ROOT / "docs" / "laws.md").read_text(encoding="utf-8")
    lacks = lacking(cls, page, {parse(text).family for text in [*shipped(20, 300), *texts(20, 300)]})
    assert not lacks, "\n" + "\n".join(lacks)


@dataclass(frozen=True)
class Bare(Peaked):
    family: ClassVar[str] = "bare"
    bend: float = entry("", kw_only=True)


@dataclass(frozen=True)
class Short(Falling):
    """Without a full stop"""

    family: ClassVar[str] = "short"
    formula: ClassVar[str] = "p"
    bend: float = entry("how much it bends", symbol="b", kw_only=True, default=1.0)


@dataclass(frozen=True)
class Jumping(Peaked):
    """Half the peak after some updates."""

    family: ClassVar[str] = "jumping"
    hold: int = entry("updates at the peak", "updates", symbol="h", usual=lambda p, w, t: t // 2, kw_only=True)

    def _after_warmup(self, t):
        return np.where(t < self.warmup + self.hold, self.peak, self.peak / 2)


def test_a_jump_and_a_field_that_does_not_stretch_are_told():
    told = "\n".join(lacking(Jumping, "", set()))
    usual = Jumping.usual()
    assert f"the rate jumps at step {usual.warmup + usual.hold}, which is not among" in told
    assert "jumping.hold counts updates, but `rescaled` leaves it" in told
    assert "short has no rate: write `_height`" in "\n".join(lacking(Short, "", set()))


def test_what_a_family_lacks_is_told():
    told = "\n".join(lacking(Bare, "", set()))
    for part in (
        "one sentence",
        "no LaTeX",
        "no formula code",
        "set `shapes`",
        "bare.bend has no meaning",
        "no symbol",
        "neither a default nor",
        "bare.bend has no search range",
        "bare has no search range",
        "no usual example",
        "no slow twin",
        "not in docs/laws.md",
    ):
        assert part in told, part
    less = "\n".join(lacking(Short, "`short`", {"short"}))
    assert "short.bend has no search range" in less and "short has no search range" not in less
    assert "no usual example" not in less and "docs/laws.md" not in less and "one sentence" in less


def test_registries_are_those_of_the_families():
    assert set(FAMILIES) == {name for name, cls in SCHEDULES.items() if not cls.unsearched}
    assert all(isinstance(r, Range) for ranges in FAMILIES.values() for r in ranges.values())
    assert len(SHAPES) == sum(len(cls.shapes) for cls in SCHEDULES.values())  # no title twice
    assert all(not inspect.isabstract(cls) and cls.summary for cls in SCHEDULES.values())


def code_rates(schedule: Schedule) -> np.ndarray:
    """The rates of the code that exports print, by NumPy."""
    found = formula(schedule)
    assert found.known
    body = constants_text(found) + "\n\n" + array_text(found, "learning_rate", "count")
    return array_rates(body, "learning_rate")(np.arange(schedule.total + 1.0))


@given(schedules(150))
def test_code_is_the_rate(schedule):
    """To 1e-12 of the peak."""
    rates = schedule(np.arange(schedule.total + 1))
    np.testing.assert_allclose(code_rates(schedule), rates, rtol=0, atol=1e-12 * schedule.peak)


@pytest.mark.parametrize("shape", COOLDOWNS)
@pytest.mark.parametrize("rise", WARMUPS)
def test_code_of_every_shape_is_the_rate(shape, rise):
    schedule = parse(f"wsd(peak=1e-3, warmup=40, total=400, decay=150, final=1e-5, shape={shape}, warmup_shape={rise})")
    np.testing.assert_allclose(code_rates(schedule), schedule(np.arange(401)), rtol=0, atol=1e-15)
    assert scalar(schedule, "pytorch", "PyTorch", "lr_at", "step", "").deviation < 1e-12


def spelled_out(cls: type[Schedule]) -> list[Schedule]:
    """Examples in which no field is left out and no rounding to whole updates is seen, each field bent in turn."""
    numbers = dict(cls.example) | {"warmup": 120, "total": 3120}
    base = cls.usual(**numbers)
    left_out = {f.name: f.metadata["usual"] for f in fields(cls) if getattr(base, f.name) is None}
    base = replace(base, **{name: usual(base.peak, 120, 3120) for name, usual in left_out.items()})
    bends: list[dict] = [{}]
    for f in fields(cls):
        value = getattr(base, f.name)
        if isinstance(value, float) and f.metadata["unit"] != "LR" and value:
            bends.append({f.name: 0.75 * value})
        elif f.metadata["choices"]:
            bends += [{f.name: word} for word in f.metadata["choices"]]
        elif value == 1:
            bends.append({f.name: 2})
    found = []
    for bend in bends:
        with suppress(ScheduleError):  # an exponential cooldown to 0
            found.append(replace(base, **bend))
    return found


def latex_rate(schedule: Schedule, t: int, formula: str | None = None) -> float:
    """The rate at a step after the warm-up, read off the LaTeX."""
    symbols = {f.metadata["symbol"]: getattr(schedule, f.name) for f in fields(schedule) if f.metadata["symbol"]}
    symbols |= {"p": schedule.peak, "T": schedule.total}
    lists = {name: value for name, value in symbols.items() if isinstance(value, tuple)}
    letters = {name: value for name, value in symbols.items() if name not in lists}
    calls = {
        "eta": lambda t: float(schedule(t)),
        "shape": COOLDOWNS[getattr(schedule, "shape", "linear")],
        "rise": WARMUPS[schedule.warmup_shape],
    }
    return latex.rate(formula or schedule.formula, t, letters, lists, calls)


@pytest.mark.parametrize("cls", SCHEDULES.values(), ids=lambda cls: cls.family)
def test_latex_is_the_rate(cls):
    if any(not f.metadata["symbol"] and not f.metadata["choices"] for f in fields(cls)):
        pytest.skip("a field without a symbol is told by test_a_family_lacks_nothing")
    for schedule in spelled_out(cls):
        steps = {*range(schedule.warmup, schedule.total, 83), *(b for b in schedule.breaks if schedule.warmup <= b)}
        for t in sorted(steps - {schedule.total}):
            want = float(schedule(t))
            assert latex_rate(schedule, t) == pytest.approx(want, rel=0, abs=1e-12 * schedule.peak), (schedule, t)


def test_a_slip_in_the_latex_is_noticed():
    schedule = parse("cyclic(peak=1, warmup=120, total=3120, shrink=0.5)")
    formula = schedule.formula.replace("(u+1)/2", "u/2 + 1")
    assert formula != schedule.formula
    assert latex_rate(schedule, 200) != pytest.approx(latex_rate(schedule, 200, formula), rel=0.1)
    with pytest.raises(KeyError):
        latex_rate(schedule, 200, formula.replace("u", "q", 1))

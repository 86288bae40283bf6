"""Every trainer: its files are complete, and it makes of an export what that says, by its twin and, where it is
installed, by its own scheduler."""

import numpy as np
import pytest
from hypothesis import given, settings

from optlaws_core import parse
from optlaws_core.exports import EXACT, FAR, TABLES, TARGETS, export, nearest
from optlaws_core.text import relative_error
from tests.knowledge.families import schedules, texts
from tests.knowledge.trainers import NAMED, TWINS, W
from tests.places import ROOT

TOTAL = 240
TEXTS = [text for warmup in (0, 1, 2, 12) for text in texts(warmup, TOTAL)]
NEAR = 1e-9  # of the peak; of rates that a scheduler computes one from the other, too
NO_BATCH = ("deepspeed",)  # have parts of plans, but refuse a batch
TRAINERS = [key for key in TARGETS if key not in TABLES]
KNOWN = [key for key in TRAINERS if key in TWINS]  # test_every_trainer_has_a_twin is the one to fail for the others


def test_every_module_is_listed():
    here = {path.stem for path in (ROOT / "optlaws_core/exports/trainers").glob("[!_]*.py")}
    for key in sorted(here - set(TRAINERS)):
        pytest.fail(
            f"optlaws_core/exports/trainers/{key}.py has no line in TARGETS of optlaws_core/exports/__init__.py."
        )
    for key in sorted(set(TRAINERS) - here):
        pytest.fail(f"The target {key} is not named like its module in optlaws_core/exports/trainers/.")


def test_every_trainer_has_a_twin():
    for key in sorted(set(TRAINERS) - set(TWINS)):
        pytest.fail(f"The target {key} has no twin: tests/knowledge/trainers/{key}.py is missing.")
    for key in sorted(set(TWINS) - set(TRAINERS)):
        pytest.fail(f"tests/knowledge/trainers/{key}.py is the twin of nothing in TARGETS.")
    for key in sorted(TWINS):
        for name in ("twin", "EXPRESSED"):
            assert hasattr(TWINS[key], name), f"tests/knowledge/trainers/{key}.py has no {name}."
        assert bool(TARGETS[key].code) == hasattr(TWINS[key], "coded"), (
            f"The target {key} has code for what its options miss, and its twin has coded, or neither has."
        )
        if TARGETS[key].plan and TARGETS[key].takes == "options":
            holds_length = "sequence" in TARGETS[key].holds
            assert not holds_length or hasattr(TWINS[key], "lengths"), (
                f"tests/knowledge/trainers/{key}.py has no lengths of sequences."
            )
            assert key in NO_BATCH or hasattr(TWINS[key], "batches"), (
                f"tests/knowledge/trainers/{key}.py has no batches of plans."
            )


@pytest.mark.parametrize("key", TARGETS)
def test_every_target_says_what_it_is(key):
    target = TARGETS[key]
    for name in ("title", "native", "source", "version"):
        assert getattr(target, name).strip(), f"The target {key} has an empty {name}."
    assert target.source.startswith("https://"), f"The source of the target {key} is no https:// address."
    assert export(parse(NAMED["wsd"]), key).target == key, f"The exports of the target {key} name another one."


@pytest.mark.parametrize("key", TARGETS)
def test_the_command_line_page_names_every_target(key):
    page = " ".join((ROOT / "docs" / "command-line.md").read_text(encoding="utf-8").split())
    key_there, title_there = f"`{key}`" in page, TARGETS[key].title in page
    if not (key_there and title_there):
        pytest.fail(
            f"docs/command-line.md lacks the target {key}: its key `{key}` among the targets of `export`, and its "
            f"title {TARGETS[key].title} beside it."
        )


def test_the_readme_names_every_trainer():
    page = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for key in TRAINERS:
        assert TARGETS[key].title in page, f"README.md lacks {TARGETS[key].title} among what schedules are exported to."


@pytest.mark.slow
@pytest.mark.parametrize("target, of", [(t, of) for t in KNOWN for of in ("twin", "real") if hasattr(TWINS[t], of)])
def test_a_trainer_makes_of_it_what_the_export_says(target, of, record_property):
    rule = getattr(TWINS[target], of)
    natively, worst = 0, 0.0
    for text in TEXTS:
        schedule = parse(text)
        found = export(schedule, target)
        rates = (TWINS[target].coded if found.instead else rule)(found.text, schedule.peak, TOTAL)
        if rates is None:
            continue
        wanted = schedule(np.arange(TOTAL))
        off = float(np.max(np.abs(np.array(rates) - wanted))) / schedule.peak
        assert off == pytest.approx(found.deviation, abs=NEAR), (text, found.text)
        assert found.exact == (found.deviation <= EXACT)
        natively += found.exact
        worst = max(worst, off if found.exact else 0.0)
    record_property("largest deviation where exact", worst)
    print(f"{target}: {natively} of {len(TEXTS)} exact, to {worst:.1e} of the peak")
    assert natively >= 3


@pytest.mark.slow
@pytest.mark.parametrize("target", [key for key in KNOWN if TARGETS[key].takes == "options"])
@given(schedule=schedules(TOTAL))
@settings(max_examples=30, deadline=None)
def test_the_stated_deviation_of_any_schedule_is_the_true_one(target, schedule):
    found = export(schedule, target)
    rule = TWINS[target].coded if found.instead else TWINS[target].twin
    rates = rule(found.text, schedule.peak, TOTAL)
    if rates is not None:
        off = float(np.max(np.abs(np.array(rates) - schedule(np.arange(TOTAL))))) / schedule.peak
        assert off == pytest.approx(found.deviation, abs=NEAR), found.text
        assert found.exact == (found.deviation <= EXACT)
        assert found.deviation <= FAR + EXACT
        assert found.exact or f"off by up to {relative_error(found.deviation)} of the peak" in found.notes[0]


@pytest.mark.parametrize("target", [key for key in KNOWN if TARGETS[key].takes == "options"])
def test_forms_have_the_rates_together_that_they_have_alone(target, monkeypatch):
    t, together = np.arange(0.0, TOTAL, 5), nearest._together

    def compared(forms):
        form = together(forms)
        rates = np.broadcast_to(form.rates(t), (len(forms), len(t)))
        np.testing.assert_array_equal(rates[::8], [other.rates(t) for other in forms[::8]])
        return form

    monkeypatch.setattr(nearest, "_together", compared)
    export(parse(f"rex({W})"), target)


@pytest.mark.parametrize("target, name", [(t, n) for t in KNOWN for n in getattr(TWINS[t], "EXPRESSED", ())])
def test_own_options_are_used_where_they_are_exact(target, name):
    schedule = parse(NAMED[name])
    found = export(schedule, target)
    assert found.exact, found.notes
    assert TWINS[target].twin(found.text, schedule.peak, schedule.total) is not None


@pytest.mark.parametrize(
    "text, target, most",
    [
        (NAMED["cosine"], "torchtitan", 1 / 21),
        (NAMED["linear"], "llm_foundry", 1 / 20),
        (NAMED["wsd f"], "llm_foundry", 1 / 20),
        (NAMED["cosine"], "deepspeed", 2e-3),
        (f"rex({W})", "olmo_core", 1e-4),
        (f"wsd({W}, decay=80, shape=1-sqrt, final=9e-4)", "maxtext", 0.05),
    ],
)
def test_the_nearest_form_is_near_and_says_how_near(text, target, most):
    found = export(parse(text), target)
    assert EXACT < found.deviation <= most + EXACT and not found.exact
    assert "%" in found.notes[0] and "of the peak" in found.notes[0]
    said = " ".join(found.text.replace("\n# ", " ").split())
    assert found.notes[0] in said


@pytest.mark.parametrize("name", ["wsd", "jump", "cyclic"])
@pytest.mark.parametrize("target", [key for key in KNOWN if TARGETS[key].code])
def test_options_that_are_far_off_are_not_offered_but_code_that_is_exact(target, name):
    schedule = parse(NAMED[name])
    own, found = TARGETS[target].write(schedule), export(schedule, target)
    assert found.instead == (own.deviation > FAR + EXACT)
    if not found.instead:
        assert found == own
        return
    rates = TWINS[target].coded(found.text, schedule.peak, schedule.total)
    np.testing.assert_allclose(rates, schedule(np.arange(schedule.total)), rtol=0, atol=EXACT * schedule.peak)
    assert found.exact and found.suffix == ".py" and found.remarks == found.notes
    assert f"{relative_error(own.deviation)} of the peak, so this is the schedule as code" in found.notes[0]

"""Published training plans: every update against what the report or the scripts say, and docs/sources.md against that.

The twins below are the words of the sources as functions of the update and of the tokens read before it, without the
core. A trainer that follows them is replayed over all updates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from optlaws_core.schedules import Knots, parse, parts
from optlaws_core.schedules.public_plans import PUBLIC_PLANS, PublicPlan
from optlaws_core.schedules.stages_as_knots import ACCURACY, Stage, as_knots
from tests.places import ROOT

PAGE = ROOT / "docs" / "sources.md"
T = 1e12


@dataclass(frozen=True)
class Twin:
    """Rates and batches (n,) from the updates and the tokens read before them, (n,) each."""

    rate: Callable
    batch: Callable
    average: float | None = None  # what the average of the weights keeps of itself


def cosine(y, first: float, last: float):
    return last + (first - last) * (1 + np.cos(np.pi * y)) / 2


def warmed(t, updates: int, peak: float, after):
    return np.where(t < updates, peak * t / updates, after)


def constant(size: float) -> Callable:
    return lambda t, seen: np.full(len(t), size)


def _deepseek_rate(t, seen):
    falling = cosine((seen - 10 * T) / (4.3 * T), 2.2e-4, 2.2e-5)
    late = np.select([seen < 10 * T, seen < 14.3 * T, seen < 14.633 * T], [2.2e-4, falling, 2.2e-5], 7.3e-6)
    return warmed(t, 2000, 2.2e-4, late)


def _kimi_rate(t, seen):
    return warmed(t, 500, 2e-4, np.where(seen < 10 * T, 2e-4, cosine((seen - 10 * T) / (5.5 * T), 2e-4, 2e-5)))


def _olmo_cosine(t, peak: float, horizon: int):
    """CosWithWarmup(warmup=2000) of ai2-olmo-core."""
    return warmed(t, 2000, peak, cosine((t - 2000) / (horizon - 2000), peak, 0.1 * peak))


def _olmo3_7b_rate(t, seen):
    """The scripts: CosWithWarmup over 5T up to update 597,046, HalfCosWithWarmup over 7T from there on."""
    first, whole = int(5 * T) // (512 * 8192), int(7 * T) // (512 * 8192)
    turn = first // 2 + 2000 // 2
    half = cosine((t - turn + whole - turn) / (2 * (whole - turn)), 3e-4, 3e-5)
    return np.where(t < 597_046, _olmo_cosine(t, 3e-4, first), half)


def _marin_rate(t, seen):
    """Linear pieces of optax, joined: levanter's warm-up, re-warm-up from the end of the cycle, decay."""
    again = 7e-5 + (7e-4 - 7e-5) * (t - 80_000) / 1000
    down = 7e-4 + (7e-5 - 7e-4) * (t - 160_000) / 32_000
    return warmed(t, 10_000, 7e-4, np.select([t < 80_000, t < 81_000, t < 160_000], [7e-4, again, 7e-4], down))


TWINS = {
    "deepseek_v3": Twin(_deepseek_rate, lambda t, seen: 4096 * (3072 + (15360 - 3072) * np.minimum(seen / 469e9, 1))),
    "llama3_405b": Twin(
        lambda t, seen: warmed(t, 8000, 8e-5, cosine((t - 8000) / (1_200_000 - 8000), 8e-5, 8e-7)),
        lambda t, seen: np.select([seen < 252e6, seen < 2.87e12], [4e6, 8e6], 16e6),
    ),
    "kimi_k2": Twin(_kimi_rate, constant(67e6)),
    "glm_4_5": Twin(
        lambda t, seen: warmed(t, 2000, 2.5e-4, cosine((t - 2000) / (len(t) - 2000), 2.5e-4, 2.5e-5)),
        lambda t, seen: 16e6 + 48e6 * np.minimum(seen / 500e9, 1),
    ),
    "olmo3_7b": Twin(_olmo3_7b_rate, constant(4_194_304)),
    "olmo3_32b": Twin(lambda t, seen: _olmo_cosine(t, 6e-4, int(5.93 * T) // 8_388_608), constant(8_388_608)),
    "marin_32b": Twin(
        _marin_rate,
        lambda t, seen: 4096 * np.select([t < 18_500, t < 21_010], [8192, 7680], 8192),
        0.995,
    ),
}
KNOTS = ("deepseek_v3", "olmo3_7b", "olmo3_32b")  # whose cosines no family says
MOST = {"kimi_k2": 1e-5}  # its cosine begins at a whole update, the report's at 10T tokens
RAMPS = ("deepseek_v3", "glm_4_5")  # which grow while an update reads its tokens

PLANS = pytest.mark.parametrize("public", PUBLIC_PLANS.values(), ids=list(PUBLIC_PLANS))


def deviations(public: PublicPlan) -> tuple[float, float]:
    """The largest of the rate, as a share of the peak, and of the batch, over all updates."""
    twin, t = TWINS[public.name], np.arange(public.plan.total)
    sizes = public.plan.batch(t)
    seen = np.cumsum(sizes) - sizes
    rate = np.abs(public.plan(t) - twin.rate(t, seen)).max() / public.plan.peak
    return float(rate), float(np.abs(sizes / twin.batch(t, seen) - 1).max())


@PLANS
def test_a_plan_is_read_back_from_its_text(public):
    assert parse(public.plan.text) == public.plan


@PLANS
def test_every_update_has_the_rate_and_the_batch_that_the_source_says(public):
    rate, batch = deviations(public)
    assert rate <= (ACCURACY if public.name in KNOTS else MOST.get(public.name, 1e-12))
    assert batch <= (2e-4 if public.name in RAMPS else 0)
    average = parts(public.plan)[2]
    assert (average and average.decay) == (TWINS[public.name].average and pytest.approx(0.995, rel=1e-12))


def test_llama_doubles_its_sequences_with_its_batch():
    lengths = PUBLIC_PLANS["llama3_405b"].plan.sequence(t := np.arange(200))
    assert np.array_equal(lengths, np.where(4e6 * t < 252e6, 4096, 8192))


@PLANS
def test_every_number_that_the_source_states_is_met(public):
    told = {"rate", "batch"} | ({"sequence"} if getattr(public.plan, "sequence", None) else set())
    assert {stated.what for stated in public.stated} >= told
    for stated in public.stated:
        within = ACCURACY * public.plan.peak if stated.what == "rate" else stated.within
        assert abs(public.found(stated) - stated.value) <= within + 1e-12 * stated.value, stated


@PLANS
def test_a_statement_by_tokens_is_about_the_first_update_before_which_they_were_read(public):
    sizes = public.plan.batch(np.arange(public.plan.total))
    seen = np.cumsum(sizes) - sizes
    for stated in public.stated:
        if stated.by == "tokens":
            assert public.update(stated) == int(np.argmax(seen >= stated.at))
    assert public.tokens == pytest.approx(sizes.sum(), rel=1e-12)


def test_figures_in_what_is_left_out_are_those_of_the_plans():
    def told(name: str) -> str:
        return " ".join(PUBLIC_PLANS[name].left_out)

    plans = {name: public.plan for name, public in PUBLIC_PLANS.items()}
    assert f"read {PUBLIC_PLANS['llama3_405b'].tokens / T:.1f}T tokens" in told("llama3_405b")
    assert f"at a rate of {plans['olmo3_7b'](1_413_814) * 1e5:.2f}e-5" in told("olmo3_7b")
    assert f"the rate is {plans['olmo3_32b'](656_000) * 1e5:.2f}e-5" in told("olmo3_32b")
    for name, public in PUBLIC_PLANS.items():
        assert all(sentence.endswith(".") and ". " not in sentence for sentence in public.left_out)
        assert ("with knots" in told(name)) == (name in KNOTS)
        assert (name in RAMPS) == ("here it is linear" in told(name))


def test_statements_in_words():
    found = {(s.told, s.written(public.found(s))) for public in PUBLIC_PLANS.values() for s in public.stated}
    assert {
        ("rate at update 2,000", "2.2e-4"),
        ("rate after 14.633T tokens", "7.3e-6"),
        ("rate at the end", "2e-5"),
        ("batch at the start", "12,582,912"),
        ("batch after 2.87T tokens", "16,000,000"),
        ("batch at update 18,500", "31,457,280"),
        ("rate at update 192,000", "7e-5"),
        ("tokens in total", "14.8T"),
        ("sequence after 252M tokens", "8,192"),
    } <= found


def test_stages_join_jump_and_stop_within_a_shape():
    found = as_knots((Stage(10, 1.0, 1.0), Stage(20, 1.0, 0.2), Stage(30, 0.1, 0.1)))
    assert found == Knots((0, 10, 20, 20, 30), (1.0, 1.0, 0.2, 0.1, 0.1))
    half = as_knots((Stage(1000, 1.0, 0.0, "cosine", 2000),), warmup=100)
    assert half(1000) == pytest.approx(0.5) and half(50) == pytest.approx(half(100) / 2)
    second = as_knots((Stage(1000, 1.0, 0.0, "cosine", 2000, 1000),))
    assert second(0) == pytest.approx(0.5) and second(1000) == pytest.approx(0, abs=1e-12)
    t = np.arange(1000)
    assert np.abs(second(t) - cosine((t + 1000) / 2000, 1.0, 0.0)).max() <= ACCURACY
    few = as_knots((Stage(3, 1.0, 0.0, "cosine"),))  # no more knots than updates
    assert few.steps == (0, 1, 2, 3) and few(1) == pytest.approx(0.75)


def listed() -> dict[str, list[str]]:
    """The rows of the section on plans in docs/sources.md, by title."""
    section = PAGE.read_text(encoding="utf-8").split("## Public training plans")[1].split("\n## ")[0]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in cells if row[0] != "plan" and not set(row[0]) <= set("-")}


def test_the_page_of_sources_lists_each_plan():
    assert list(listed()) == [public.title for public in PUBLIC_PLANS.values()]


@PLANS
def test_the_page_of_sources_names_what_was_measured(public):
    source, read, numbers, rate, batch = listed()[public.title]
    assert source == f"{public.who}, {public.when}: {public.source}" and read == f"read in the source: {public.read}"
    assert numbers.startswith(f"{len(public.stated)}; rate and batch of all {public.plan.total:,} updates")
    for cell, found in zip((rate, batch), deviations(public), strict=True):
        assert cell == ("none" if found < 1e-12 else f"{100 * found:.2g} %")

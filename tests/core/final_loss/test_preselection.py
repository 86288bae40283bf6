"""Rankings of final losses: candidates, chances, the pair to train first, and what a choice saves."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.stats import norm

from optlaws_core.errors import DesignError, ScheduleError
from optlaws_core.final_loss import SHAPES, beyond, candidates, family, fit_table, predict_final, rank_final
from optlaws_core.final_loss.predictive import predictive
from optlaws_core.final_loss.preselection import CALM, KINSHIP, NONE, _draws, _pair
from optlaws_core.prediction.divergence import probability
from optlaws_core.runs import Plan
from optlaws_core.schedules import WSD, Constant, Cosine, Linear, parse
from optlaws_core.schedules.chain import Chain
from tests.core.final_loss.test_final_laws import OTHER, whole_table

SIZE, BATCH = 1e8, 1e5
PEAKS = (5e-4, 1e-3, 2e-3)
PARENT = WSD(1e-3, warmup=300, total=8000, decay=1600)


@pytest.fixture(scope="module")
def fitted():
    """A fit to planted runs, with the risk of divergence and a text that children went on to."""
    return fit_table(whole_table(), strength=1.0)


@pytest.fixture(scope="module")
def plans():
    return candidates(SIZE, BATCH, [1e9, 2e9], PEAKS)


@pytest.fixture(scope="module")
def ranked(fitted, plans):
    return rank_final(fitted, plans)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_a_schedule_that_its_text_tells(shape):
    for peak, total in ((1e-3, 20_000), (3e-4, 57)):
        (plan,) = candidates(SIZE, BATCH, [total * BATCH], [peak], [shape])
        s = plan.schedule
        assert parse(s.text) == s and (s.peak, s.total, s.warmup) == (peak, total, round(0.02 * total))
        assert s(s.warmup) == pytest.approx(peak) and (plan.params, plan.batch_tokens) == (SIZE, BATCH)


def test_shapes_are_what_their_names_say():
    made = {n: p.schedule for n, p in zip(SHAPES, candidates(SIZE, BATCH, [1e9], [1e-3], [*SHAPES]), strict=True)}
    end = {n: float(s(s.total)) for n, s in made.items()}
    assert end["cosine"] == end["linear"] == end["REX"] == end["WSD 10 %"] == pytest.approx(0, abs=1e-12)
    assert end["cosine to 10 %"] == pytest.approx(1e-4) and end["constant"] == 1e-3
    assert [made[f"WSD {d} %"].decay for d in (10, 20, 40)] == [1000, 2000, 4000]
    steps = made["step 8-1-1"]([7999, 8000, 8999, 9000])
    np.testing.assert_allclose(steps, [1e-3, 3.16e-4, 3.16e-4, 1e-4])
    assert made["WSD 20 %, 1-sqrt"].shape == "1-sqrt" and made["power, 10 % cooldown"].decay == 1000


def test_candidates_are_all_combinations():
    found = candidates(SIZE, BATCH, [1e9, 2e9], PEAKS, ["constant", "cosine"], [0.01, 0.1, 500])
    assert len(found) == len(set(found)) == 2 * 3 * 2 * 3
    assert {p.schedule.total for p in found} == {10_000, 20_000}
    assert {p.schedule.warmup for p in found if p.schedule.total == 10_000} == {100, 1000, 500}
    assert {p.schedule.warmup for p in found if p.schedule.total == 20_000} == {200, 2000, 500}
    assert len(candidates(SIZE, BATCH, [1e9], [1e-3, 1e-3], ["cosine", "cosine"], [0.01, 100])) == 1  # equal ones once
    assert len(candidates(SIZE, BATCH, [1e9], PEAKS)) == len(SHAPES) * 3
    assert candidates(SIZE, BATCH, [1e9], [1e-3], ["cosine"], [1])[0].schedule.warmup == 1


def test_combinations_that_contradict_themselves_are_passed_over():
    found = candidates(SIZE, BATCH, [1e7, 1e9], [1e-3], ["constant"], [50, 200])
    assert {(p.schedule.total, p.schedule.warmup) for p in found} == {(100, 50), (10_000, 50), (10_000, 200)}
    kept = {family(p) for p in candidates(SIZE, BATCH, [2 * BATCH], [1e-3])}
    assert "constant" in kept and "step" not in kept  # two updates have no room for two steps


@pytest.mark.parametrize(
    "change, message",
    [
        ({"shapes": ["cosine", "square"]}, "A shape is one of constant, linear, .*, got 'square'"),
        ({"shapes": []}, "takes 1 to 5,000 candidates, got 0"),
        ({"peaks": []}, "takes 1 to 5,000 candidates, got 0"),
        ({"tokens": []}, "takes 1 to 5,000 candidates, got 0"),
        ({"warmups": []}, "takes 1 to 5,000 candidates, got 0"),
        ({"peaks": np.geomspace(1e-5, 1e-2, 385)}, "takes 1 to 5,000 candidates, got 5,005"),
        ({"tokens": [1e9, 1.9e5]}, r"enough for two updates of 100000, got 190000"),
        (
            {"warmups": [20_000, 30_000]},
            "No candidate is possible: .*warmup must lie between 0 and total − 1 = 9999 updates, got 30000",
        ),
    ],
)
def test_candidates_that_cannot_be(change, message):
    with pytest.raises(DesignError, match=message):
        candidates(**{"params": SIZE, "batch_tokens": BATCH, "tokens": [1e9], "peaks": [1e-3]} | change)


def test_most_candidates_are_within_the_limit():
    assert len(candidates(SIZE, BATCH, [1e9], np.geomspace(1e-5, 1e-2, 384))) == 4992


def test_candidates_may_go_on_from_a_parent():
    found = candidates(SIZE, BATCH, [5e7], PEAKS, ["constant", "linear"], [0.1], PARENT)
    assert len(found) == 6 and {p.schedule.first for p in found} == {PARENT}
    assert {p.schedule.second for p in found} == {k(p, warmup=50, total=500) for k in (Constant, Linear) for p in PEAKS}
    with pytest.raises(ScheduleError, match="both parts together may have"):
        candidates(SIZE, BATCH, [5e7], PEAKS, parent=Constant(1e-3, total=10**15))


def test_rows_are_sorted_and_say_what_python_says(fitted, plans, ranked):
    assert {r.plan for r in ranked.rows} == set(plans) and len(ranked.rows) == len(plans) == 78
    losses = [r.loss for r in ranked.rows]
    assert losses == sorted(losses)
    loss, half = predict_final(fitted, [r.plan for r in ranked.rows])
    np.testing.assert_allclose(losses, loss, rtol=1e-12)
    np.testing.assert_allclose([r.low for r in ranked.rows], loss * np.exp(-half), rtol=1e-12)
    np.testing.assert_allclose([r.high for r in ranked.rows], loss * np.exp(half), rtol=1e-12)
    risk = probability(fitted.risk, [r.plan for r in ranked.rows])
    np.testing.assert_allclose([r.risk for r in ranked.rows], risk, rtol=1e-12)
    assert not any(r.apart for r in ranked.rows)


def test_chances_add_up(ranked):
    best, top2 = (np.array([getattr(r, n) for r in ranked.rows]) for n in ("best", "top2"))
    assert best.sum() == pytest.approx(1) and top2.sum() == pytest.approx(2)
    assert (best <= top2).all() and (top2 <= 1).all() and best[:12].sum() > best[-12:].sum()
    for of in (lambda p: p.schedule.peak, lambda p: p.schedule.total, family, lambda p: None):
        answers = ranked.answers(of)
        assert sum(answers.values()) == pytest.approx(1)
        assert set(answers) == {of(r.plan) for r in ranked.rows}
    peak = ranked.answers(lambda p: p.schedule.peak)[1e-3]
    assert peak == pytest.approx(sum(r.best for r in ranked.rows if r.plan.schedule.peak == 1e-3))


def test_the_seed_decides_and_the_order_does_not(fitted, plans, ranked):
    assert rank_final(fitted, plans) == ranked
    back = rank_final(fitted, [*plans[::-1], plans[3]])  # equal ones are taken once
    assert [r.plan for r in back.rows] == [r.plan for r in ranked.rows]
    assert [r.best for r in back.rows] == pytest.approx([r.best for r in ranked.rows], abs=2e-3)
    other = rank_final(fitted, plans, seed=1)
    assert [r.loss for r in other.rows] == [r.loss for r in ranked.rows]
    chances = np.array([[r.best for r in found.rows] for found in (ranked, other)])
    assert 0 < np.abs(chances[0] - chances[1]).max() < 0.05


def test_likely_divergence_sets_apart(fitted):
    wild = candidates(1.2e8, BATCH, [3e8], [1e-3, 2.0], ["constant", "cosine"], [10])
    found = rank_final(fitted, wild)
    assert [r.apart for r in found.rows] == [False, False, True, True]
    assert all((r.risk > 0.2) == r.apart and (r.plan.schedule.peak == 2.0) == r.apart for r in found.rows)
    for rows in (found.rows[:2], found.rows[2:]):
        assert rows[0].loss <= rows[1].loss
    assert all(r.best == r.top2 == 0 for r in found.rows[2:])
    assert sum(r.best for r in found.rows) == pytest.approx(1) and sum(r.top2 for r in found.rows) == pytest.approx(2)
    assert set(found.pair) == {r.plan for r in found.rows[:2]}
    assert set(found.answers(lambda p: p.schedule.peak)) == {1e-3}
    brave = rank_final(fitted, wild, most_risk=1.0)
    assert not any(r.apart for r in brave.rows) and sum(r.best for r in brave.rows) == pytest.approx(1)
    bold = rank_final(replace(fitted, risk=None), wild)
    assert {r.risk for r in bold.rows} == {None} and not any(r.apart for r in bold.rows)


def test_risky_candidates_are_behind_however_low_they_end(fitted, plans, ranked):
    middle = float(np.median([r.risk for r in ranked.rows]))
    rows = rank_final(fitted, plans, most_risk=middle).rows
    kept, apart = ([r.loss for r in rows if r.apart == side] for side in (False, True))
    assert [r.apart for r in rows] == [False] * len(kept) + [True] * len(apart) and min(apart) < max(kept)
    assert kept == sorted(kept) and apart == sorted(apart) and {r.plan for r in rows} == set(plans)
    assert all(r.apart == (r.risk > middle) and (r.best == 0 or not r.apart) for r in rows)


def test_chances_where_all_are_likely_to_diverge(fitted):
    found = rank_final(fitted, candidates(1.2e8, BATCH, [3e8], [2.0, 3.0], ["constant"], [10]))
    assert all(r.apart for r in found.rows) and found.pair[0] == found.rows[0].plan
    assert sum(r.best for r in found.rows) == pytest.approx(1)
    assert sum(found.answers(lambda p: p.schedule.peak).values()) == pytest.approx(1)


TWO = [
    (Cosine(1e-3, warmup=300, total=10_000), WSD(1e-3, warmup=300, total=10_000, decay=2000)),
    (Cosine(1e-3, warmup=300, total=10_000), Cosine(7e-4, warmup=300, total=10_000)),
    (Cosine(1e-3, warmup=300, total=10_000), Cosine(1e-3, warmup=100, total=10_400)),
    (WSD(1e-3, warmup=300, total=10_000, decay=2000), Linear(2e-3, warmup=300, total=9_000)),
]


@pytest.mark.parametrize("schedules", TWO)
def test_chances_of_two_candidates_are_those_of_a_normal_difference(fitted, schedules, monkeypatch):
    """Of a fit that is unsure enough for both to have a chance, and with draws enough to see it."""
    monkeypatch.setattr("optlaws_core.final_loss.preselection.DRAWS", 40_000)
    covariance = 400 * np.array(fitted.covariance)
    fitted = replace(fitted, left_out=0.02, covariance=tuple(map(tuple, covariance)))
    some = [Plan(s, SIZE, BATCH) for s in schedules]
    known = predictive(fitted, some)
    traits = np.array(
        [
            (s.peak, s.warmup + 1, s.total, getattr(s, "decay", 0) / s.total + NONE, s.final / s.peak + NONE)
            for s in schedules
        ]
    )
    apart = np.abs(np.diff(np.log2(traits), axis=0))[0]
    alike = (1.0 if family(some[0]) == family(some[1]) else KINSHIP) * np.exp(-(apart / CALM).sum())
    variance = ((known.directions[0] - known.directions[1]) ** 2).sum() + 2 * known.misfit**2 * (1 - alike)
    gap, sd = abs(known.log_loss[1] - known.log_loss[0]), variance**0.5
    found = rank_final(fitted, some)
    sure = norm.cdf(gap / sd)
    assert 0.55 < sure < 0.8 and found.rows[0].best == pytest.approx(sure, abs=0.01)
    assert found.rows[0].top2 == found.rows[1].top2 == 1 and (found.hit, found.regret) == (1.0, 0.0)
    loss = sd * norm.pdf(gap / sd) - gap * norm.cdf(-gap / sd)
    assert found.regret_one == pytest.approx(loss, rel=0.03)


def test_without_uncertainty_the_first_is_the_best(fitted, plans):
    """Alike in all that errors depend on, and coefficients known for sure."""
    sure = replace(fitted, covariance=tuple((0.0,) * len(fitted.free) for _ in fitted.free), left_out=None)
    found = rank_final(sure, plans)
    assert [r.best for r in found.rows] == [1.0] + [0.0] * 77 and [r.top2 for r in found.rows[:3]] == [1, 1, 0]
    assert found.hit == 1 and found.regret == found.regret_one == 0 and np.isnan(found.rows[0].low)


def test_one_candidate_is_the_best(fitted, plans):
    found = rank_final(fitted, plans[:1])
    (row,) = found.rows
    assert (row.best, row.top2, row.saved) == (1, 1, None) and found.pair == (row.plan,)
    assert (found.hit, found.regret, found.regret_one) == (1, 0, 0)


def test_the_pair_leaves_least_to_lose():
    for seed in range(20):
        random = np.random.default_rng(seed)
        drawn = random.standard_normal((40, 6)) + 0.3 * np.arange(6)
        rest = [np.mean([min(d[0], d[j]) - min(d) for d in drawn]) for j in range(1, 6)]
        pair, both, one = _pair(drawn)
        assert pair == (0, 1 + int(np.argmin(rest))) and both == pytest.approx(min(rest))
        assert one == pytest.approx(np.mean([d[0] - min(d) for d in drawn])) and both <= one


def test_the_pair_of_a_ranking(fitted, plans, ranked):
    """From its own draws, whatever order the candidates came in."""
    drawn = _draws(predictive(fitted, plans), plans, 0)
    first = plans.index(ranked.rows[0].plan)
    lowest = drawn.min(axis=1)
    rest = {p: np.mean(np.minimum(drawn[:, first], drawn[:, i]) - lowest) for i, p in enumerate(plans)}
    assert ranked.pair == (plans[first], min(rest, key=rest.get)) and ranked.pair[0] != ranked.pair[1]
    assert ranked.regret == pytest.approx(min(rest.values())) and ranked.regret_one == pytest.approx(rest[plans[first]])
    assert 0 < ranked.regret < ranked.regret_one < 0.05
    chances = {r.plan: r.best for r in ranked.rows}
    assert ranked.hit == pytest.approx(sum(chances[p] for p in ranked.pair))


def shortened(best: Plan, tokens: float) -> Plan:
    before = best.schedule.first.total if isinstance(best.schedule, Chain) else 0
    return replace(best, schedule=best.schedule.rescaled(before + round(tokens / best.batch_tokens)))


def check_savings(fit, found, text=""):
    best, checked = found.rows[0], 0
    assert (best.saved, best.saved_low, best.saved_high) == (None, None, None)
    for row in found.rows[1:]:
        if row.saved is None:
            continue
        own = row.plan.schedule.second if isinstance(row.plan.schedule, Chain) else row.plan.schedule
        needed = own.total * BATCH - row.saved
        short = predict_final(fit, [shortened(best.plan, needed)], text)[0][0]
        assert short == pytest.approx(row.loss, rel=1e-3) and row.saved == round(row.saved)
        assert row.saved_low <= row.saved and (row.saved_high is None or row.saved <= row.saved_high)
        checked += 1
    return checked


def test_the_best_shape_over_what_is_left_ends_where_the_other_does(fitted, ranked):
    assert check_savings(fitted, ranked) >= 50
    longest = [r for r in ranked.rows if r.plan.schedule.total == 20_000 and r.saved is not None]
    assert min(r.saved for r in longest) >= 0 and max(r.saved for r in longest) > 2e8


def test_savings_of_children_are_of_their_own_part(fitted):
    """Only their own part can be chosen, so only it can be shorter."""
    some = candidates(SIZE, BATCH, [1e8], PEAKS, ["constant", "linear", "cosine"], [0.02], PARENT)
    found = rank_final(fitted, some, OTHER)
    loss = predict_final(fitted, [r.plan for r in found.rows], OTHER)[0]
    np.testing.assert_allclose([r.loss for r in found.rows], loss, rtol=1e-12)
    assert check_savings(fitted, found, OTHER) >= 3 and all(r.saved is None or r.saved < 1e8 for r in found.rows)
    with pytest.raises(DesignError, match="starts from a run's end"):
        rank_final(fitted, [Plan(PARENT, SIZE, BATCH)], OTHER)


def test_nothing_is_said_where_the_best_shape_would_be_too_short(fitted):
    """A loss above that of a tenth of the best."""
    plans = [Plan(s, SIZE, BATCH) for s in (TWO[0][1], Constant(2e-4, warmup=300, total=400))]
    assert [(r.saved, r.saved_low, r.saved_high) for r in rank_final(fitted, plans).rows] == [(None,) * 3] * 2


def test_savings_are_numbers_or_none(fitted):
    """At losses near that of a tenth of the best, one end of the interval may be out of reach."""
    best = Plan(WSD(1e-3, warmup=300, total=20_000, decay=4000), SIZE, BATCH)
    near = [Plan(Linear(p, warmup=300, total=t), SIZE, BATCH) for p in PEAKS for t in range(1800, 4000, 200)]
    found = rank_final(fitted, [best, *near])
    assert any(r.saved is not None for r in found.rows) and any(r.saved is None for r in found.rows[1:])
    for row in found.rows:
        values = {k: v for k, v in asdict(row).items() if k.startswith("saved")}
        json.dumps(values, allow_nan=False)


def test_reasons_tell_how_far_candidates_lie_outside(fitted, ranked):
    assert all(r.reasons == () for r in ranked.rows)
    far = Plan(Constant(6e-3, warmup=300, total=10_000), 6e8, BATCH)
    (row,) = rank_final(fitted, [far], most_risk=1.0).rows
    assert row.reasons == tuple(beyond(fitted, far)) and len(row.reasons) == 2
    assert row.reasons[0].startswith("peak 6e-3, the training runs had ")


def test_rankings_that_cannot_be(fitted, plans):
    with pytest.raises(DesignError, match="takes 1 to 5,000 candidates, got 0"):
        rank_final(fitted, [])
    many = [Plan(Constant(1e-3, total=n), SIZE, BATCH) for n in range(1, 5002)]
    with pytest.raises(DesignError, match="takes 1 to 5,000 candidates, got 5,001"):
        rank_final(fitted, many)
    before = parse("cyclic(peak=1e-3, warmup=100, total=900_000_000, cycles=1000)")  # 2,000 stretches
    with pytest.raises(DesignError, match="may have 20,000 stretches between kinks and jumps, got 20,010"):
        rank_final(fitted, [Plan(Chain(before, Constant(1e-3, total=n)), SIZE, BATCH) for n in range(1, 11)])
    with pytest.raises(DesignError, match="needs the model size and the tokens per update"):
        rank_final(fitted, [Plan(plans[0].schedule)])
    with pytest.raises(DesignError, match="No run of the table learned the text 'x' from a random start"):
        rank_final(fitted, plans, "x")

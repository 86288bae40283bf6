"""What counts as extrapolation: one rule and one set of sentences for fits of every kind."""

import json
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core.final_loss import FinalFit, TableRun, beyond, fit_table
from optlaws_core.fitting.coverage import Coverage, idle_updates, outside, times_outside
from optlaws_core.fitting.result import Fit
from optlaws_core.fitting.single import fit
from optlaws_core.hyper import HYPER_LAWS
from optlaws_core.laws import LAWS
from optlaws_core.prediction.verdict import doubts
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import SCHEDULES, Constant, Knots, parse
from tests.fuzz import seeds

COVERAGE = Coverage((1e-3, 2e-3), (10_000, 20_000), (1e8, 1e9), (5e5, 5e5))


@pytest.mark.parametrize(
    "peak, total, params, batch_tokens",
    [(1.005e-3, 20_100, 1e8, 5e5), (0.995e-3, 9_950, 0.995e8, 4.96e5), (2.015e-3, 20_199, 1.005e9, 5.04e5)],
)
def test_what_lies_within_a_percent_is_covered(peak, total, params, batch_tokens):
    assert outside(COVERAGE, Plan(Constant(peak, total=total), params, batch_tokens)) == ()


def test_every_side_that_is_left_is_told():
    assert outside(COVERAGE, Plan(Constant(2.03e-3, total=9_800), 2e9, 4.9e5)) == (
        "peak 0.00203, the training runs had 1e-3 to 2e-3",
        "9,800 updates, the shortest training run had 10,000",
        "2B parameters, the training runs had 100M to 1B",
        "490k tokens per update, the training runs had 500k",
    )


def test_what_no_run_tells_is_nowhere_left():
    coverage = Coverage((1e-3, 1e-3), (1000, 1000))
    assert outside(coverage, Plan(Constant(1e-3, total=1000), 1e12, 1e9)) == ()
    assert outside(coverage, Constant(2e-3, total=1000)) == ("peak 2e-3, the training runs had 1e-3",)


def test_fits_of_final_losses_follow_the_same_rule():
    fit = FinalFit.from_dict(json.loads(seeds.final_fits()[0]))  # peaks 1e-3 to 2e-3, 100 to 1,000 updates
    assert beyond(fit, Plan(Constant(2.01e-3, total=1005), 1e6, 1024.0)) == []
    assert beyond(fit, Plan(Constant(3e-3, total=1011), 1e6, 1024.0)) == [
        "peak 3e-3, the training runs had 1e-3 to 2e-3",
        "1,011 updates, the longest training run had 1,000",
    ]


def test_both_kinds_of_fits_take_the_same_runs_for_the_same_coverage():
    plans = [
        Plan(Constant(peak, total=total), 2e8, 5e5)
        for peak in (1e-3, 1.5e-3, 2e-3)
        for total in (10_000, 14_000, 20_000)
    ]
    table = [TableRun(f"r{i}", p, 2 + 1e3 / p.schedule.total + i / 100) for i, p in enumerate(plans)]
    curves = []
    for i, plan in enumerate(plans):
        steps = np.arange(499, plan.schedule.total, 500)
        losses = Series(steps, 2 + 3 * (steps + 1.0) ** -0.3 * (1 + i / 100))
        curves.append(Run(f"r{i}", plan, {"train": losses}, lr_source="declared"))
    of_ends, of_curves = fit_table(table, "opt_laws_log_linear").coverage, fit("power_law", curves).coverage
    assert of_ends == of_curves == Coverage((1e-3, 2e-3), (10_000, 20_000), (2e8, 2e8), (5e5, 5e5), (0, 0), (0, 0))


@pytest.mark.parametrize(
    "value, said", [(1.009e9, ""), (0.991e8, ""), (2.5e9, "2.5 times above"), (1e5, "1,000 times below")]
)
def test_published_laws_and_sweeps_follow_the_same_rule(value, said):
    assert times_outside((1e8, 1e9), value) == said


def test_a_published_law_is_flagged_from_a_percent_on():
    law = HYPER_LAWS["step_law"]
    assert law.outside(law.params[1] * 1.009, law.tokens[0] * 0.991) == ()
    assert law.outside(law.params[1] * 1.02, law.tokens[1]) == ("N 1.02 times above the fitted range",)


WARMED = Coverage((1e-3, 1e-3), (4000, 4000), warmup=(200, 300), idle=(0.0, 0.0))


@pytest.mark.parametrize(
    "warmup, said",
    [
        (0, "no warm-up, the training runs had one of 200 to 300 updates"),
        (98, "98 updates of warm-up, the training runs had 200 to 300"),
        (100, ""),
        (600, ""),
        (1200, "1,200 updates of warm-up, the training runs had 200 to 300"),
    ],
)
def test_a_warmup_may_be_half_to_twice_as_long(warmup, said):
    assert "; ".join(outside(WARMED, Constant(1e-3, warmup=warmup, total=4000))) == said


def test_under_a_law_that_hangs_on_it_the_warmup_is_the_same():
    said = [outside(WARMED, Constant(1e-3, warmup=w, total=4000), exact_warmup=True) for w in (0, 197, 198, 303, 304)]
    assert [len(s) for s in said] == [1, 1, 0, 0, 1]


@pytest.mark.parametrize(
    "ends, warmup, said",
    [
        ((0, 0), 0, ""),
        ((0, 0), 40, ""),  # 1 % of the updates
        ((0, 0), 41, "41 updates of warm-up, the training runs had none"),
        ((0, 50), 0, ""),
        ((0, 50), 101, "101 updates of warm-up, the training runs had up to 50"),
        ((1, 1), 0, ""),  # the same but for one update
        ((5, 5), 0, "no warm-up, the training runs had one of 5 updates"),
        (None, 0, ""),
    ],
)
def test_runs_with_and_without_a_warmup_cover_what_lies_between(ends, warmup, said):
    coverage = replace(WARMED, warmup=ends)
    assert "; ".join(outside(coverage, Constant(1e-3, warmup=warmup, total=4000))) == said


def test_a_warmup_is_found_in_knots_and_in_logged_curves_alike():
    curve = Knots(steps=(0, 50, 4000), values=(0.0, 1e-3, 1e-3))
    assert outside(WARMED, curve) == ("50 updates of warm-up, the training runs had 200 to 300",)


def idle(updates: int, total: int = 4000) -> Knots:
    """A warm-up, the peak, and `updates` at rate 0 at the end."""
    return Knots(steps=(0, 200, total - updates - 1, total - updates, total), values=(0.0, 1e-3, 1e-3, 0.0, 0.0))


def test_updates_at_rate_0_are_told():
    assert [idle_updates(idle(n)) for n in (400, 2)] == [400, 2]
    assert idle_updates(idle(400), 3700) == 100
    assert outside(WARMED, idle(400)) == ("400 updates at rate 0, which train nothing, the training runs had none",)
    some = replace(WARMED, idle=(0.0, 0.025))
    assert outside(some, idle(101)) == ()
    assert outside(some, idle(102)) == (
        "102 updates at rate 0, which train nothing, the training runs had at most 2.5 %",
    )
    assert outside(replace(WARMED, idle=None), idle(400)) == ("400 updates at rate 0, which train nothing",)


@pytest.mark.parametrize("family", SCHEDULES.values(), ids=SCHEDULES)
def test_no_family_has_idle_updates_as_it_comes(family):
    """Neither a warm-up, whose first update has no rate, nor a decay to 0 is one."""
    assert idle_updates(family.usual()) == 0


def test_coverage_finds_warmups_and_idle_updates_of_what_was_seen():
    steps = np.arange(299, 3700, 100)
    run = Run("r", Plan(idle(400)), {"train": Series(steps, 2 + (steps + 1.0) ** -0.3)}, lr_source="declared")
    found = Coverage.of([run])
    assert found.warmup == (200, 200) and found.total == (3799, 3799)
    assert found.idle == pytest.approx((199 / 3799,) * 2)


def test_fits_from_before_warmups_were_kept_load_and_say_so():
    for name in LAWS:
        old = seeds.fit(name).to_dict()
        assert old["coverage"].pop("warmup") and old["coverage"].pop("idle")
        again = Fit.from_dict(old)
        assert again.coverage.warmup is None and Fit.from_dict(again.to_dict()) == again
        said = [s for s in again.doubts if "If a training run had no warm-up, fit again." in s]
        assert len(said) == (name in ("annealing", "multi_power", "forward_momentum")), name
        assert len([s for s in doubts(again) if "fit again" in s]) == len(said)


def test_what_is_scheduled_beside_the_rate_is_told():
    rate = "rate=constant(peak=1e-3, warmup=0, total=10000)"
    assert outside(COVERAGE, parse(f"{rate}; batch=steps([0, 5000], [1x, 4x]); average=merge(8, 100)")) == (
        "a batch schedule, steps([0, 5000], [1x, 4x])",
        "an average of the weights, merge(8, 100)",
    )
    assert outside(COVERAGE, parse(f"{rate}; average=ema(600)")) == (
        "an average of the weights, ema(600) over 20 % of the run, where averages end higher",
    )

"""What counts as extrapolation: one rule and one set of sentences for fits of every kind."""

import json

import numpy as np
import pytest

from optlaws_core.final_loss import FinalFit, TableRun, beyond, fit_table
from optlaws_core.fitting.coverage import Coverage, outside, times_outside
from optlaws_core.fitting.single import fit
from optlaws_core.hyper import HYPER_LAWS
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import Constant
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
        "490k tokens in an update, the training runs had 500k",
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
    assert of_ends == of_curves == Coverage((1e-3, 2e-3), (10_000, 20_000), (2e8, 2e8), (5e5, 5e5))


@pytest.mark.parametrize(
    "value, said", [(1.009e9, ""), (0.991e8, ""), (2.5e9, "2.5 times above"), (1e5, "1,000 times below")]
)
def test_published_laws_and_sweeps_follow_the_same_rule(value, said):
    assert times_outside((1e8, 1e9), value) == said


def test_a_published_law_is_flagged_from_a_percent_on():
    law = HYPER_LAWS["step_law"]
    assert law.outside(law.params[1] * 1.009, law.tokens[0] * 0.991) == ()
    assert law.outside(law.params[1] * 1.02, law.tokens[1]) == ("N 1.02 times above the fitted range",)

"""What laws say of schedules that differ by their warm-up alone, or idle: much the same, or flagged."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core.fitting.single import fit
from optlaws_core.laws import LAWS
from optlaws_core.laws.evaluation import batch
from optlaws_core.laws.evaluation import predict as evaluate
from optlaws_core.optimize import Limits, find
from optlaws_core.prediction.losses import predict
from optlaws_core.prediction.ranking import rank
from optlaws_core.readers import read
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import parse
from tests.knowledge.twins import BATCH_TOKENS, PARAMS, THETAS

TRAIN = ("constant_4000", "cosine10_4000", "drop30_4000")  # all with 200 updates of warm-up
DROPS = [name for name, law in LAWS.items() if law.counts_rises]


@pytest.fixture(scope="module")
def fitted():
    """`fitted(law)`: fitted to three of the bundled runs, once."""
    runs, known = {r.name: r.on("val") for r in read("data/examples.csv").runs}, {}

    def one(name):
        if name not in known:
            known[name] = fit(name, [runs[n] for n in TRAIN])
        return known[name]

    return one


def ending(text: str, warmup: int, total: int = 8000):
    return parse(text.format(f"peak=8e-3, warmup={warmup}, total={total}"))


SHAPES = ("constant({})", "cosine({})", "wsd({}, decay=800)", "step({}, boundaries=[2000], values=[0.0024])")


@pytest.mark.parametrize("name", LAWS)
def test_a_run_ends_alike_whatever_its_warmup_or_the_warmup_is_flagged(fitted, name):
    """Alike: closer than the law is to its training runs. Up to 400 updates it is, under all laws but one."""
    law, hangs = fitted(name), LAWS[name].hangs_on_warmup
    for text, total in itertools.product(SHAPES, (4000, 8000)):
        ends = {w: float(predict(law, ending(text, w, total))[0]) for w in (0, 1, 50, 100, 200, 400)}
        assert ends[0] == pytest.approx(ends[1], rel=1e-3)  # they differ by one update
        moved = {w: abs(np.log(loss / ends[200])) for w, loss in ends.items()}
        flagged = {w: any("warm-up" in said for said in law.reasons(ending(text, w, total))) for w in ends}
        assert all(flagged[w] or moved[w] <= law.misfit for w in ends), (text, moved)
        assert [w for w in ends if not flagged[w]] == ([200] if hangs else [100, 200, 400])
        assert hangs or max(moved.values()) <= 5e-3, (text, moved)
    assert law.reasons(ending(SHAPES[0], 0, 4000)) == ("no warm-up, the training runs had one of 200 updates",)


@pytest.mark.parametrize("name", DROPS)
@pytest.mark.parametrize("warmup", [0, 1])
def test_runs_without_a_warmup_can_be_fitted_to(name, warmup):
    """What a law learns from such runs is what it learns from the same with the shortest warm-up."""
    law, steps = LAWS[name], np.arange(50, 2000, 10)
    theta = dict(zip(law.names, law.vector(THETAS[name][0]), strict=True))
    train = []
    for i, text in enumerate(("constant({})", "cosine({})", "step({}, boundaries=[900], values=[2e-3])")):
        plan = Plan(parse(text.format("peak=8e-3, warmup=1, total=2000")), PARAMS, BATCH_TOKENS)
        losses = evaluate(batch(law, [(plan, steps)]), law.vector(theta))
        told = replace(plan, schedule=replace(plan.schedule, warmup=warmup))
        train.append(Run(f"r{i}", told, {"train": Series(steps, losses)}, lr_source="declared"))
    found = fit(name, train)
    assert all(s.rmse < 1e-3 for s in found.train.values())
    cosine = parse("cosine(peak=8e-3, warmup=1, total=2000)")
    true = evaluate(batch(law, [(Plan(cosine, PARAMS, BATCH_TOKENS), np.array([1999]))]), law.vector(theta))
    assert predict(found, cosine) == pytest.approx(true, rel=1e-3)


@pytest.mark.parametrize("name", DROPS)
def test_a_constant_without_a_warmup_is_not_the_best(fitted, name):
    """It was ranked first, ahead of what decays: its drops summed to nothing while all others began with a rise."""
    ranked = rank(fitted(name), [ending(s, w) for s in SHAPES for w in ((0,) if "constant" in s else (200,))])
    assert ranked[0].schedule.family != "constant"
    assert [row.extrapolates for row in ranked if row.schedule.family == "constant"] == [True]


@pytest.mark.parametrize("name", ["annealing", "multi_power"])
def test_the_best_schedule_promises_no_more_without_a_warmup(fitted, name):
    without, short = (find(fitted(name), Limits(8e-3, 4000, warmup=w, knots=12)) for w in (0, 200))
    assert without.best.loss == pytest.approx(short.best.loss, rel=5e-3)
    assert any("no warm-up, the training runs had one of 200 updates" in said for said in without.doubts(None))


def test_waiting_at_rate_0_is_flagged(fitted):
    """The annealing law forgets on the clock of updates, so that under it a run gains from idling."""
    at_once = parse("knots(steps=[0, 200, 3200, 4000], values=[0, 8e-3, 8e-3, 0])")
    idle = parse("knots(steps=[0, 200, 2800, 3600, 4000], values=[0, 8e-3, 8e-3, 0, 0])")
    first, second = rank(fitted("annealing"), [at_once, idle])
    assert first.schedule is idle and not second.reasons
    assert first.reasons == ("400 updates at rate 0, which train nothing, the training runs had none",)

"""How early the batch may grow, under a law with known coefficients."""

import json
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import DesignError, Fit, Status, parse, predict
from optlaws_core.cli import main
from optlaws_core.fitting.coverage import Coverage
from optlaws_core.laws import LAWS
from optlaws_core.optimize import growths
from optlaws_core.schedules import Batch, Joint, tokens_before
from tests.knowledge.twins import THETAS

LAW = Fit(
    law="noisy_quadratic",
    theta={n: v / 3 if n[0] == "a" else v for n, v in THETAS["noisy_quadratic"][0].items()},
    interval=dict.fromkeys(LAWS["noisy_quadratic"].names),
    status=Status.tuned,
    message="",
    objective=0.0,
    train={},
    coverage=Coverage((8e-3, 8e-3), (2000, 2000), None, (1e6, 1e6)),
)
WSD = parse("wsd(peak=8e-3, warmup=100, total=2000, decay=20%)")
WITHIN = 1e-4


@pytest.fixture(scope="module")
def found():
    return growths(LAW, WSD, 3, WITHIN)


def test_plans_read_the_same_tokens_in_fewer_updates_and_cost_no_more_than_allowed(found):
    assert [g.times for g in found] == [2, 3]
    usual = predict(LAW, WSD)[0]
    for g in found:
        read = float(tokens_before(g.plan, g.plan.total, 1.0))
        assert 0 <= read - WSD.total < g.plan.batch.sizes[-1]  # each size has whole updates
        assert g.loss == predict(LAW, g.plan)[0] <= usual * (1 + WITHIN)
        assert g.pair.difference == pytest.approx(g.loss - usual)
        assert g.saved == 1 - g.plan.total / WSD.total > 0 and g.plan.batch.sizes[-1] == g.times
        assert any("a batch schedule" in reason for reason in g.reasons)


def test_a_batch_that_grows_earlier_costs_more_than_allowed(found):
    one = found[0]
    start = one.plan.batch.starts[1]
    earlier = Batch((0, start - 40), (1, 2), relative=True)
    total = round(start - 40 + (WSD.total - (start - 40)) / 2)
    plan = Joint(WSD.resized(total=total), earlier)
    assert predict(LAW, plan)[0] > predict(LAW, WSD)[0] * (1 + WITHIN)


def test_sizes_whose_updates_do_not_come_to_the_same_tokens_are_left_out():
    times = [g.times for g in growths(LAW, parse("wsd(peak=8e-3, warmup=20, total=200, decay=20%)"), 256, 0.9)]
    assert times and times[-1] < 256


def test_what_may_cost_more_saves_more(found):
    assert growths(LAW, WSD, 2, 4 * WITHIN)[0].saved > found[0].saved


def test_where_noise_is_all_that_is_left_the_batch_grows_from_the_start():
    noisy = replace(LAW, theta={n: 0.0 if n[0] == "a" else v for n, v in LAW.theta.items()})
    (one,) = growths(noisy, parse("constant(peak=8e-3, total=2000)"), 2)
    assert one.share == 0 and one.plan.batch.sizes == (2.0,) and one.saved == 0.5


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"schedule": parse(f"rate={WSD.text}; average=ema(10)")}, "looked for, got the plan"),
        ({"largest": 1.5}, "2 to 1,024 times the usual one, got 1.5"),
        ({"within": -0.1}, "a share from 0 to below 1"),
        ({"model": replace(LAW, law="power_law", theta=LAWS["power_law"].complete(THETAS["power_law"][0]))}, "noise"),
    ],
)
def test_what_is_not_looked_for_is_refused(asked, said):
    with pytest.raises(DesignError, match=said):
        growths(**{"model": LAW, "schedule": WSD, "largest": 8.0} | asked)


def test_the_command_says_the_same(found, tmp_path, capsys):
    LAW.save(file := tmp_path / "fit.json")
    argv = ("ramp", "--fit", str(file), "--schedule", WSD.text, "--largest", "3x", "--within", "0.01%")
    assert main([*argv, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["plan"], r["saved"]) for r in rows] == [(g.plan.text, g.saved) for g in found]
    assert np.allclose([r["final_loss"] for r in rows], [g.loss for g in found], rtol=1e-12)
    assert main([*argv]) == 0
    out, err = capsys.readouterr()
    assert found[1].plan.text in out.splitlines() and f"{found[1].loss:.6f}" in out and "one batch each" in err
    assert main([*argv[:-1], "0"]) == 0 and main([*argv[:-3], "1x"]) == 1
    assert "2x to 1024x, got '1x'" in capsys.readouterr().err

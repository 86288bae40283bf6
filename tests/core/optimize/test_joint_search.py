"""Rate and batch together, under a law with known coefficients, against brute force."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from optlaws_core import DesignError, parse, predict
from optlaws_core.cli import main
from optlaws_core.optimize import JointFinding, JointFound, Limits, find_joint
from optlaws_core.optimize.joint_search import Space, _compared
from optlaws_core.prediction.losses import sized
from optlaws_core.schedules import Batch, Joint, Linear, parts, tokens_before
from tests.core.optimize.test_batch_search import LAW
from tests.core.prediction.test_losses import made

pytestmark = pytest.mark.slow
TOTAL, MOST = 240, 150
LIMITS = Limits(8e-3, TOTAL, warmup=10)
SIZES = (1.0, 2.0, 4.0)


@pytest.fixture(scope="module")
def found() -> JointFinding:
    return find_joint(LAW, LIMITS, "linear", SIZES, MOST)


def brute_force() -> float:
    """The lowest final loss on a grid: every 20th update at which the batch may grow, four peaks, three ends."""
    lowest = np.inf
    for one, two in product(range(0, MOST + 1, 20), repeat=2):
        rest = (TOTAL - one - 2 * two) / 4
        total = one + two + int(np.ceil(rest))
        if rest <= 0 or total > MOST:
            continue
        used = [(s, n) for s, n in zip(SIZES, (one, two, total - one - two), strict=True) if n]
        starts = np.cumsum([0, *(n for _, n in used)])[:-1]
        batch = Batch(tuple(starts.tolist()), tuple(s for s, _ in used), relative=True)
        for peak, end in product((1, 0.7, 0.5, 0.3), (0, 0.1, 0.5)):
            rate = Linear(8e-3 * peak, warmup=10, total=total, final=8e-3 * peak * end)
            lowest = min(lowest, float(predict(LAW, Joint(rate, batch))[0]))
    return lowest


def test_no_plan_of_a_grid_ends_lower(found):
    assert found.best.loss <= brute_force() * (1 + 1e-6)


def test_the_plan_reads_the_tokens_in_the_updates_that_there_are(found):
    for one in (found.best, found.one):
        read = float(tokens_before(one.plan, one.plan.total, 1.0))
        assert TOTAL <= read <= 1.01 * TOTAL and one.plan.total <= MOST
        assert one.loss == predict(LAW, one.plan)[0] and one.plan.warmup == 10 and one.plan.peak <= 8e-3
    assert parts(found.one.plan)[1].sizes == (2.0,) and set(parts(found.best.plan)[1].sizes) <= set(SIZES)
    assert (
        len(parts(found.best.plan)[1].sizes) > 1
        and found.best.loss < found.one.loss
        and any("a batch schedule" in reason for reason in found.reasons)
    )


def test_the_usual_batch_alone_is_a_rate():
    plan = Space(LIMITS, "linear", (1.0,), None).at(None, np.zeros(2))
    assert plan == Linear(8e-3, warmup=10, total=TOTAL, final=plan.final)
    assert Space(LIMITS, "linear", (1.0, 2.0), None).at(None, np.ones(3)).total == TOTAL  # the second one left out


def test_a_finding_says_what_it_gains_and_what_speaks_against_it():
    one, best = (JointFound(Linear(1e-3, total=n), loss, n < 100) for n, loss in ((90, 2.5), (120, 2.25)))
    said = JointFinding(best, one, ("a batch schedule",))
    assert said.summary == (
        "The best plan takes 120 updates and ends 0.25 below the best one with one batch, of 90 updates."
    )
    assert "No plan was found that ends below one batch" in JointFinding(one, one).summary
    assert said.doubts == ["This extrapolates: a batch schedule.", "A search stopped before it had converged."]


def test_a_gain_by_one_batch_or_within_what_searches_leave_is_none():
    half = Joint(Linear(1e-3, total=90), Batch((0,), (0.5,), relative=True))
    grown = Joint(Linear(1e-3, total=90), Batch((0, 50), (0.5, 1), relative=True))
    one, found = (JointFound(Linear(1e-3, total=90), 2.5, True), lambda plan, loss: JointFound(plan, loss, True))
    assert _compared(found(half, 2.4), one) == (found(half, 2.4),) * 2
    assert _compared(found(grown, 2.5 - 3e-7), one) == (one, one) == _compared(found(half, 2.6), one)
    assert _compared(found(grown, 2.4), one) == (found(grown, 2.4), one)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sizes": (2.0, 1.0)}, "rising multiples of the usual one, from 1/1024 to 1024, got 2x, 1x"),
        ({"sizes": ()}, "must be 1 to 8 rising multiples"),
        ({"most": 59}, "240 updates of the usual batch are 60 of 4x, so no plan reads their tokens in at most 59"),
        (
            {"sizes": (8.0,), "limits": replace(LIMITS, total=50)},
            "updates of 8x, 7, read 12 % more tokens than 50 of the",
        ),
        (
            {"sizes": (1.0, 8.0), "limits": replace(LIMITS, total=50), "most": 30},
            "1x takes 50 updates, more than the 30 there may be; whole updates of 8x, 7, read",
        ),
        ({"sizes": (2.0,), "limits": replace(LIMITS, warmup=150)}, "2x takes 120 updates, and the warm-up alone 150"),
        (
            {"model": sized(LAW, batch_tokens=8e6)},
            "multiples of the training runs' 1M tokens per update, and the budget",
        ),
        ({"model": made()}, "The law opt_laws_curve does not separate .* compare batches of 1x, 2x, 4x; fit one"),
        ({"family": "knots"}, "A family to search in is one of"),
    ],
)
def test_what_no_plan_keeps_to_is_refused(asked, said):
    with pytest.raises(DesignError, match=said):
        find_joint(**{"model": LAW, "limits": LIMITS, "family": "linear", "sizes": SIZES} | asked)


def test_the_command_says_the_same(found, tmp_path, capsys, monkeypatch):
    def searched(_, limits, family, sizes, most, **__):
        assert (limits.peak, limits.total, limits.warmup, family, sizes, most) == (
            8e-3,
            TOTAL,
            10,
            "linear",
            SIZES,
            MOST,
        )
        return found

    monkeypatch.setattr("optlaws_core.cli.optimize.find_joint", searched)
    LAW.save(file := tmp_path / "fit.json")
    argv = ["optimize", "--fit", str(file), "--peak", "8e-3", "--total", str(TOTAL), "--warmup", "10"]
    asked = [*argv, "--family", "linear", "--batches", "1x,2x,4x", "--most-updates", str(MOST)]
    assert main([*asked, "--json"]) == 0
    out, err = capsys.readouterr()
    row = json.loads(out)
    assert (row["schedule"], row["updates"]) == (found.best.plan.text, found.best.plan.total)
    assert parse(row["one_batch"]["schedule"]) == found.one.plan and found.summary in err
    for more, said in (
        (["--batches", "1x,2x"], "name it with --family"),
        (["--family", "linear", "--most-updates", "99"], "give their sizes with --batches"),
        (["--family", "linear", "--batches", "2x,1x"], "rising multiples of the usual one"),
        (["--family", "linear", "--batches", "two"], "the sizes of the batch read like 1x, 2x, 4x, got 'two'"),
    ):
        assert main([*argv, *more]) == 1 and said in capsys.readouterr().err

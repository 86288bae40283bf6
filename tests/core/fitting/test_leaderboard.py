"""The leaderboard that ships is what its benchmark computes."""

import csv

import pytest

from benchmarks import protocols
from benchmarks.leaderboard import AVERAGE, COLUMNS, OUT, Scored, _row
from optlaws_core import LAWS, select
from optlaws_core.fitting.selection import POOL

# Laws when the leaderboard was last computed. One that came later may be missing: the page then says so.
MEASURED = {
    "opt_laws_curve",
    "opt_laws_sublinear",
    "multi_power",
    "functional",
    "forcing_memory",
    "annealing",
    "scaling_collapse",
    "forward_momentum",
    "noisy_quadratic",
    "convex_bound",
    "convex_dominance",
    "chinchilla",
    "power_law",
}
PUBLIC_SETS = {"multi_power_law 25M", "multi_power_law 100M", "lr_scheduling 124M"}


@pytest.fixture(scope="module")
def shipped():
    with OUT.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_data_set_has_every_law_that_its_logs_allow(shipped):
    """Every law that was measured at all; one that is newer needs public data to be measured."""
    assert tuple(shipped[0]) == COLUMNS
    measured = {row["law"] for row in shipped} - {AVERAGE}
    assert measured >= MEASURED and measured <= set(LAWS)
    by_set = {}
    for row in shipped:
        by_set.setdefault(row["data_set"], []).append(row["law"])
    assert PUBLIC_SETS < set(by_set)
    for data_set, laws in by_set.items():
        missing = {AVERAGE, *measured} - set(laws)
        # those logs do not tell their batch size
        assert missing == ({"chinchilla"} if data_set.startswith("multi_power_law") else set()), data_set
        assert len(laws) == len(set(laws))


def check(protocol, shipped):
    """The rows of our own laws and their average, computed anew."""
    chosen = select(POOL, protocol.train, test=protocol.test, from_step=protocol.from_step, processes=1)
    for name, model in ((AVERAGE, chosen.average), *((f.law, f) for f in chosen.fits)):
        now = _row(protocol.data_set, name, [(protocol, Scored(model, protocol))])
        then = next(r for r in shipped if (r["data_set"], r["law"]) == (protocol.data_set, name))
        assert now["held_out_runs"] == int(then["held_out_runs"])
        for key in ("final_error", "curve_error", "rmse", "left_out", "misfit", "coverage", "final_coverage", "width"):
            assert now[key] == pytest.approx(float(then[key]), rel=0.02), (name, key)


@pytest.mark.slow
def test_the_leaderboard_of_the_sweep_can_be_computed_again(shipped):
    check(next(p for p in protocols.protocols() if p.data_set == "sweep medium"), shipped)


@pytest.mark.slow
def test_the_leaderboard_of_the_public_runs_can_be_computed_again(shipped, public):
    check(next(p for p in protocols.protocols() if p.data_set == "multi_power_law 100M"), shipped)


@pytest.mark.slow
def test_no_loss_is_both_trained_on_and_scored():
    for protocol in protocols.protocols():
        trained = {(t, y) for r in protocol.train for t, y in zip(r.steps.tolist(), r.loss.tolist(), strict=True)}
        assert trained and protocol.test and not {r.name for r in protocol.train} & {r.name for r in protocol.test}
        for run in protocol.test:
            kept = protocol.fresh(run)
            scored = set(zip(run.steps[kept].tolist(), run.loss[kept].tolist(), strict=True))
            assert not scored & trained, (protocol.data_set, run.name)
            assert len(scored) + sum((t, y) in trained for t, y in zip(run.steps, run.loss, strict=True)) == len(kept)

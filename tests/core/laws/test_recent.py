"""Histories of runs that are kept for what asks next: the same digits as made alone, and no more of them than fit."""

import numpy as np
import pytest

from optlaws_core import LAWS, Plan, parse
from optlaws_core.laws import evaluation
from optlaws_core.laws.evaluation import RECENT, batch, predict, prepare

TEXTS = (
    "cosine(peak=1e-3, warmup=100, total=6000)",
    "wsd(peak=1e-3, warmup=300, total=15000, decay=3000, shape=linear)",
    "constant(peak=5e-4, total=4000)",
)
PARTS = [(Plan(parse(text)), np.arange(400, 4000, step)) for text, step in zip(TEXTS, (7, 300, 50), strict=True)]


def losses(law, parts):
    middle = np.array([p.from_scale((p.to_scale(p.low) + p.to_scale(p.high)) / 2) for p in law.params])
    return predict(batch(law, parts), middle)


@pytest.fixture(autouse=True)
def nothing_kept():
    RECENT.clear()


@pytest.mark.parametrize("name", ["opt_laws_curve", "opt_laws_sublinear", "multi_power"])
def test_kept_histories_change_no_digit(name):
    law = LAWS[name]
    together = losses(law, PARTS)
    kept = [losses(law, [part]) for part in reversed(PARTS)]
    RECENT.clear()
    alone = [losses(law, [part]) for part in reversed(PARTS)]
    assert all(map(np.array_equal, kept, alone))
    assert np.array_equal(together, np.concatenate(alone[::-1]))


def test_what_was_prepared_is_not_made_again(monkeypatch):
    law = LAWS["opt_laws_curve"]
    prepare(law, [*PARTS, PARTS[0]])
    monkeypatch.setattr(evaluation, "_past", None)
    assert len(losses(law, PARTS[:2])) == len(PARTS[0][1]) + len(PARTS[1][1])


def test_laws_whose_pasts_differ_share_none():
    law = LAWS["multi_power"]
    wanted = losses(law, PARTS)
    RECENT.clear()
    for other in ("opt_laws_curve", "opt_laws_sublinear", "forcing_memory"):
        losses(LAWS[other], PARTS)
    assert np.array_equal(losses(law, PARTS), wanted)


def test_only_the_latest_are_kept_when_there_is_no_room(monkeypatch):
    law = LAWS["opt_laws_curve"]
    sizes = [len(batch(law, [part]).sums[0].node) for part in PARTS]
    RECENT.clear()
    monkeypatch.setattr(evaluation, "RECENT_PAIRS", sizes[1] + sizes[2])
    for part in PARTS:
        batch(law, [part])
    assert sum(len(past.node) for past, _ in RECENT._parts.values()) == sizes[1] + sizes[2]

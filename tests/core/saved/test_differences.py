"""What a version of a comparison changed, in a few words."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import parse
from optlaws_core.saved import Candidate, Snapshot
from optlaws_core.saved.differences import differences
from tests.core.prediction.test_losses import made
from tests.core.prediction.test_why import ended

COSINE = Candidate(parse("cosine(peak=1e-3, warmup=50, total=1000, final=1e-4)"))
WSD = Candidate(parse("wsd(peak=1e-3, warmup=50, total=1000, decay=200)"), "short decay")
A, B = (ended(name, COSINE.schedule.text, 2.9) for name in ("a", "b"))
FIT = made()
FIRST = Snapshot("First", runs=(A,), fits={"f": FIT}, current="f", candidates=(COSINE, WSD), created="2026-11-01")


def of(text: str, label: str = "", on: bool = True) -> Candidate:
    return Candidate(parse(text), label, on)


def resized(**sizes) -> tuple[Candidate, ...]:
    return tuple(replace(c, schedule=c.schedule.resized(**sizes)) for c in FIRST.candidates)


LINEAR = of("linear(peak=1e-3, warmup=50, total=1000)")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"created": "2026-12-01", "parent": "0" * 64}, []),
        ({"candidates": (WSD, COSINE, LINEAR)}, ["1 candidate added (linear)"]),
        ({"candidates": (COSINE,)}, ["1 candidate removed (short decay)"]),
        (
            {"candidates": (COSINE, replace(WSD, schedule=replace(WSD.schedule, decay=100)))},
            ["1 candidate changed (short decay)"],
        ),
        ({"candidates": (COSINE, replace(WSD, label="long"))}, ["1 candidate renamed (short decay, now long)"]),
        (
            {"candidates": (replace(COSINE, label="cosine"), WSD, LINEAR)},  # labelled by a page
            ["1 candidate added (linear)"],
        ),
        ({"candidates": (COSINE, replace(WSD, on=False))}, ["1 candidate switched off (short decay)"]),
        (
            {"candidates": resized(total=2000, warmup=50)},
            ["length 2,000 updates, before 1,000 updates"],
        ),
        (
            {"candidates": (*resized(total=2000, peak=2e-3, warmup=100)[:1], LINEAR)},
            ["1 candidate added (linear)", "1 candidate removed (short decay)", "1 candidate changed (cosine)"],
        ),
        ({"candidates": (replace(COSINE, color=3), WSD)}, ["details that are not listed here"]),
        ({"candidates": (WSD, COSINE)}, ["details that are not listed here"]),
        ({"runs": (A, B)}, ["1 run added (b)"]),
        ({"runs": (B,)}, ["1 run added (b)", "1 run removed (a)"]),
        (
            {"runs": (replace(A, series={"train": replace(A.series["train"], loss=np.array([3.0, 2.8]))}),)},
            ["1 run changed (a)"],
        ),
        ({"fits": {"f": replace(FIT, theta=FIT.theta | {"q": 0.6})}}, ["fitted again"]),
        (
            {"fits": {"f": made("power_law")}},
            ["fit by Power law in steps, before by Convergence and noise"],
        ),
        (
            {"title": "Second", "note": "So it is.", "view": {"x": "tokens"}},
            ["title, before “First”", "note", "what charts and ranking show"],
        ),
    ],
)
def test_what_a_version_changed_is_said_in_a_few_words(change, said):
    assert list(differences(FIRST, replace(FIRST, **change))) == said
    assert bool(differences(replace(FIRST, **change), FIRST)) == bool(said)


def test_many_are_counted_and_some_named():
    more = tuple(of(LINEAR.schedule.text, f"c{i}") for i in range(5))
    assert differences(FIRST, replace(FIRST, candidates=(*FIRST.candidates, *more))) == (
        "5 candidates added (c0, c1, c2 and 2 more)",
    )

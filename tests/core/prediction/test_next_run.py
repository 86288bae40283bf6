"""What would make a comparison surer: each doubt asks for a run of its own, and no doubt for none."""

from dataclasses import replace

from optlaws_core import Scores, parse, rank
from optlaws_core.prediction.next_run import surer
from optlaws_core.prediction.pairs import Compared, Pair
from tests.core.prediction.test_losses import SHAPES, made

NAMES = ["the WSD", "the cosine"]
SURE, UNSURE = Pair(0.03, 0.02, 0.04, 0.001), Pair(0.002, -0.004, 0.008, 0.3)


def said(pair: Pair, runs: int = 2, **changes) -> list[str]:
    model = replace(made(), train={f"run {i}": Scores(9, 1e-3, 1e-3, 1, 0, 0) for i in range(runs)})
    ranked = [replace(r, **changes) for r in rank(model, [parse(SHAPES[3]), parse(SHAPES[1])])]
    beside = [Compared(None, p, None, None) for p in (Pair(0.0, 0.0, 0.0, 0.5), pair)]
    return surer(model, ranked, NAMES, beside, 1)


def test_what_is_sure_asks_for_nothing():
    assert said(SURE, reasons=()) == []


def test_each_doubt_asks_for_its_run():
    (second,) = said(SURE, runs=1, reasons=())
    assert second.startswith("a second run with another schedule")
    (short,) = said(UNSURE, reasons=())
    assert "short runs of the WSD and of the cosine themselves, of 500 updates" in short
    (nearer,) = said(SURE, reasons=("peak 5",))
    assert nearer == "a run nearer to the candidates"


def test_candidates_that_are_all_set_apart_ask_for_nothing():
    assert said(UNSURE, runs=1, apart=True) == []

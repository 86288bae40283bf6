"""A run beside what was predicted of it: counts, the last loss, and the words."""

import numpy as np
import pytest

from optlaws_core import Prediction
from optlaws_core.errors import DesignError
from optlaws_core.prediction.agreement import agreement, in_order, in_words

STEPS = np.array([99, 199, 299, 399])
# 2 ± 1 % at all steps, in logarithms
PREDICTED = Prediction(STEPS, np.full(4, 2.0), np.full(4, 0.001), np.full(4, 0.01))
WHOLE = "The cosine ended at 1.9920, 0.4 % below the predicted 2.0000 and inside the 90 % band (1.9801 to 2.0201)."


def test_losses_are_counted_that_lie_in_the_band_of_their_step():
    found = agreement(PREDICTED, [24, 99, 199, 250, 299, 399], [9.0, 2.0, 2.03, 9.0, 1.97, 1.992])
    assert (found.inside, found.seen, found.step, found.loss, found.predicted) == (2, 4, 399, 1.992, 2.0)
    assert found.held and found.off == pytest.approx(-0.004)
    assert (found.low, found.high) == pytest.approx((2 * np.exp(-0.01), 2 * np.exp(0.01)))


def test_the_words_tell_the_end_the_band_and_the_losses_before():
    found = agreement(PREDICTED, STEPS, [2.0, 2.03, 1.97, 1.992])
    assert in_words("The cosine", found, True) == f"{WHOLE} Of the 4 losses that were predicted, 2 lay in their band."
    found = agreement(PREDICTED, STEPS, [2.0, 2.01, 1.99, 1.992])
    assert in_words("The cosine", found, True) == f"{WHOLE} All 4 losses that were predicted lay in their band."


@pytest.mark.parametrize("loss, side", [(2.05, "above the predicted 2.0000 and above"), (1.9, "and below")])
def test_a_run_that_left_the_band_or_was_ended_is_told_so(loss, side):
    said = in_words("It", agreement(PREDICTED, [99, 199], [2.0, loss]), whole=False)
    assert said.startswith(f"It was, after 200 updates, at {loss:.4f}, ") and f"{side} the 90 % band" in said


def test_before_the_first_predicted_step_there_is_nothing_to_say():
    assert agreement(PREDICTED, [24, 49], [3.0, 2.5]) is None


def test_a_prediction_without_a_band_is_refused():
    bare = Prediction(STEPS, PREDICTED.loss, PREDICTED.parameter, None)
    with pytest.raises(DesignError, match="a prediction that has a prediction band, got one without"):
        agreement(bare, STEPS, PREDICTED.loss)


def test_of_two_it_is_told_which_was_to_be_lower_and_which_was():
    names = ["the cosine", "the WSD"]
    assert in_order(names, [1.90, 1.92], [1.91, 1.915]) == (
        "the cosine was predicted to end the lower one, by 0.0200, and it did, by 0.0050."
    )
    assert in_order(names, [1.90, 1.92], [1.93, 1.915]) == (
        "the cosine was predicted to end the lower one, by 0.0200; it was the WSD that did, by 0.0150."
    )

"""PyTorch: its LambdaLR trains at the schedule."""

import numpy as np
import pytest

from optlaws_core import parse
from optlaws_core.exports import EXACT, export
from tests.knowledge.families import texts
from tests.support.schedulers import executed, optimizer_of

TOTAL = 240
TEXTS = [text for warmup in (0, 1, 12) for text in texts(warmup, TOTAL)]


@pytest.mark.parametrize("text", TEXTS)
def test_pytorch_trains_at_the_schedule(text):
    schedule = parse(text)
    optimizer = optimizer_of(schedule.peak)
    space = executed(export(schedule, "pytorch").text)
    scheduler, rates = space["scheduler_for"](optimizer), []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates, schedule(np.arange(TOTAL)), rtol=0, atol=EXACT * schedule.peak)

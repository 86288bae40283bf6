"""levanter: a number of updates that it would take for a share is written as one."""

import numpy as np
import pytest

from optlaws_core import parse
from optlaws_core.exports import export
from tests.knowledge.trainers import TWINS


@pytest.mark.parametrize("text", ["linear(peak=1e-3, warmup=1, total=9)", "wsd(peak=1e-3, warmup=2, total=9, decay=1)"])
def test_one_update_is_not_taken_as_all_of_them(text):
    schedule = parse(text)
    found = export(schedule, "levanter")
    rates = TWINS["levanter"].twin(found.text, schedule.peak, schedule.total)
    assert found.exact
    np.testing.assert_allclose(rates, schedule(np.arange(9)), rtol=1e-12)

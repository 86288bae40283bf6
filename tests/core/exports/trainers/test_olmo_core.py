"""OLMo-core's PowerLR: taken where it is nearer than lines, named where it is not."""

import numpy as np
import pytest

from optlaws_core import parse
from optlaws_core.exports import EXACT, export
from tests.knowledge.trainers import TWINS

LONG = "power(peak=1e-3, warmup=20000, total=1000000, decay=6000, final=1e-6)"
PAPER = "power_scheduler(peak=0.02, warmup=15259, total=488281, batch=16, decay=48828, shape=linear)"


@pytest.mark.parametrize("text", [LONG, PAPER])
def test_a_power_is_a_power_lr_one_update_early(text):
    schedule = parse(text)
    found = export(schedule, "olmo_core")
    assert "scheduler = PowerLR(b=-0.51, warmup=" in found.text and not found.exact
    rates = np.array(TWINS["olmo_core"].twin(found.text, schedule.peak, schedule.total))
    off = np.abs(rates - schedule(np.arange(schedule.total))).max() / schedule.peak
    assert EXACT < off == pytest.approx(found.deviation, rel=1e-6) and off <= 1.001 / schedule.warmup
    np.testing.assert_allclose(rates, schedule(np.arange(1, schedule.total + 1)), rtol=1e-12, atol=1e-18)
    assert "one update early" in found.notes[0]


@pytest.mark.parametrize(
    "text, said",
    [
        ("power(peak=1e-3, warmup=20, total=400, decay=40)", "PowerLR(b=-0.51, warmup=20, decay=40"),
        ("power(peak=1e-3, warmup=20, total=400)", ""),  # it cannot do without a line at the end
        ("power(peak=1e-3, warmup=20, knee=30, total=400, decay=40)", ""),
        ("power(peak=1e-3, warmup=20, total=400, decay=40, shape=1-sqrt)", ""),
        ("cosine(peak=1e-3, warmup=20, total=400)", ""),
    ],
)
def test_stages_name_the_power_lr_where_there_is_one(text, said):
    found = export(parse(text), "olmo_core")
    assert "ComposableScheduler(" in found.text and ("PowerLR" in found.text) == bool(said)
    assert any(said in note for note in found.notes)

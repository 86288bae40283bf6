"""optax: JAX trains at the schedule, and so does the same code with numpy."""

import warnings

import numpy as np
import pytest

from optlaws_core import parse
from optlaws_core.exports import EXACT, export
from tests.knowledge.families import texts
from tests.support.schedulers import executed

TOTAL = 240
TEXTS = [text for warmup in (0, 1, 12) for text in texts(warmup, TOTAL)]


@pytest.mark.parametrize("wide", [False, True], ids=["32 bits", "64 bits"])
def test_optax_trains_at_the_schedule(wide):
    optax = pytest.importorskip("optax", reason="optax is not installed")
    import jax

    jax.config.update("jax_enable_x64", wide)
    try:
        for text in TEXTS:
            schedule = parse(text)
            space = executed(export(schedule, "optax").text)
            transform = optax.scale_by_schedule(space["learning_rate"])
            state, rates = transform.init(jax.numpy.zeros(())), []
            update = jax.jit(lambda s, f=transform: f.update(jax.numpy.ones(()), s))
            for _ in range(TOTAL):
                rate, state = update(state)
                rates.append(float(rate))
            near = EXACT if wide else 1e-6
            wanted = schedule(np.arange(TOTAL))
            np.testing.assert_allclose(rates, wanted, rtol=0, atol=near * schedule.peak, err_msg=text)
    finally:
        jax.config.update("jax_enable_x64", False)


@pytest.mark.parametrize("text", TEXTS)
def test_optax_code_is_the_schedule_with_numpy_in_the_place_of_jax(text):
    schedule = parse(text)
    found = export(schedule, "optax")
    assert found.exact
    body = found.text.replace("import jax.numpy as jnp", "import numpy as jnp")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is computed where it is not defined
        space = executed(body)
        rates = space["learning_rate"](np.arange(-3, TOTAL + 3))
        np.testing.assert_allclose(rates, schedule(np.arange(-3, TOTAL + 3)), rtol=0, atol=EXACT * schedule.peak)
        assert float(space["learning_rate"](7)) == pytest.approx(float(schedule(7)))

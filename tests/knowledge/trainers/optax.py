"""optax: a file with the function `learning_rate`; JAX itself computes in 32 bits, see test_optax.py."""

import numpy as np

from tests.support.schedulers import executed

EXPRESSED = ("cosine", "jump")


def twin(text: str, peak: float, total: int) -> list[float]:
    body = text.replace("import jax.numpy as jnp", "import numpy as jnp")
    return list(executed(body)["learning_rate"](np.arange(total)))

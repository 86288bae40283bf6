"""Schedulers of trainers in tests: a training loop around one, and what an exported file defines when it is run."""

import sys
import warnings
from contextlib import contextmanager
from types import ModuleType
from unittest import mock

import numpy as np
import pytest
import torch


def executed(text: str) -> dict:
    """The names that an exported Python file defines."""
    space: dict = {"__name__": "exported"}
    exec(text, space)
    return space


def optimizer_of(*rates: float) -> torch.optim.Optimizer:
    """An optimizer with a group of parameters for each rate."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=rates[0])  # which some schedulers take for the rate of all


def driven(scheduler, optimizer: torch.optim.Optimizer, updates: int) -> list[float]:
    """The rate of every update of a loop that steps the scheduler after the optimizer."""
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(updates):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            scheduler.step()
    return rates


def by_lambda(text: str, peak: float, total: int) -> list[float]:
    """The rates of an exported LambdaLR."""
    optimizer = optimizer_of(peak)
    return driven(executed(text)["scheduler_for"](optimizer), optimizer, total)


def by_array(text: str, peak: float, total: int) -> list[float]:
    """The rates of exported code for JAX, with NumPy in its place."""
    return executed(text.replace("import jax.numpy as jnp", "import numpy as jnp"))["learning_rate"](
        np.arange(total)
    ).tolist()


@contextmanager
def stub(name: str, **names):
    """A module `name` that has no more than these names, packages above it included."""
    parents = [name.rsplit(".", i)[0] for i in range(name.count(".") + 1)]
    made = {parent: ModuleType(parent) for parent in parents}
    vars(made[name]).update(names)
    with mock.patch.dict(sys.modules, made):
        yield


def installed(name: str):
    """The module `name` of a trainer; the test is skipped where the trainer is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name.split('.')[0]} is not installed", exc_type=ImportError)

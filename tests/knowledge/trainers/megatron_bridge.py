"""Megatron-Bridge: a function of its ConfigContainer, from which Megatron-LM's scheduler is made."""

from types import SimpleNamespace

from tests.knowledge.trainers import megatron
from tests.support.schedulers import executed

EXPRESSED = megatron.EXPRESSED
coded = megatron.coded


def _options(text: str) -> dict:
    """What is set, by Megatron-LM's names."""
    cfg = SimpleNamespace(train=SimpleNamespace(), optimizer=SimpleNamespace(), scheduler=SimpleNamespace())
    executed(text)["set_schedule"](cfg)
    assert cfg.scheduler.lr_warmup_fraction is None and cfg.scheduler.lr_warmup_init == 0
    found = vars(cfg.train) | vars(cfg.optimizer) | vars(cfg.scheduler)
    return {name.replace("_", "-"): value for name, value in found.items()}


def twin(text: str, peak: float, total: int) -> list[float]:
    o = _options(text)
    assert o["train-iters"] == total and o["lr-warmup-iters"] < o["lr-decay-iters"]
    return [megatron.rate(o, t) for t in range(total)]


def real(text: str, peak: float, total: int) -> list[float]:
    return megatron.scheduled(_options(text), total)

"""What the configuration of a run declares: parameters, batch, updates. Trackers keep it as the program gave it.

Names are compared in lower case, by their last part (`model/n_params` is `n_params`), those of the outermost level
first. Names that programs use for unlike things are left alone: `total_batch_size` counts tokens here and samples
there, and a batch of one device is none of an update where the number of devices is not told.
"""

import math
import re
from collections.abc import Iterator, Mapping

from ..schedules.entries import LARGEST
from ..text import listed
from .base import Facts, Note

PARAMS = (
    "n_params",
    "num_params",
    "num_parameters",
    "n_parameters",
    "parameters",
    "params",
    "model_parameters",
    "param_count",
    "total_params",
    "total_parameters",
)
UPDATE_TOKENS = ("batch_tokens", "tokens_per_update", "tokens_per_step", "tokens_per_batch", "global_batch_tokens")
UPDATE_SAMPLES = ("global_batch_size", "effective_batch_size", "total_train_batch_size", "global_train_batch_size")
DEVICE_SAMPLES = ("batch_size", "per_device_train_batch_size", "micro_batch_size", "train_micro_batch_size_per_gpu")
ACCUMULATION = ("acc_steps", "gradient_accumulation_steps", "grad_accum_steps", "accumulate_grad_batches")
DEVICES = ("world_size", "num_gpus", "n_gpus", "num_devices")
LENGTH = ("sequence_length", "seq_length", "seq_len", "context_length", "block_size")
TOTAL = (
    "max_steps",
    "total_steps",
    "train_steps",
    "num_train_steps",
    "max_train_steps",
    "iterations",
    "max_iters",
    "train_iters",
    "num_iterations",
    "total_updates",
)
WARMUP = ("warmup_steps", "warmup_iters", "num_warmup_steps", "lr_warmup_steps", "lr_warmup_iters")
DEEPEST = 6
MOST_YAML = 2**20  # bytes


def facts_of(config: Mapping[str, object], run: str = "") -> tuple[Facts, tuple[Note, ...]]:
    """What a configuration declares, and a note on the size of an update, which is a product of what stands there."""
    known = _numbers(config)

    def first(names: tuple[str, ...]) -> float | None:
        return next((known[name] for name in names if name in known), None)

    samples, said = _samples(known)
    length, tokens = first(LENGTH), first(UPDATE_TOKENS)
    if tokens is None and samples is not None and length is not None:
        tokens = samples * length
    total, warmup = first(TOTAL), first(WARMUP)
    facts = Facts(
        params=first(PARAMS),
        batch_tokens=tokens,
        batch_size=samples,
        warmup_steps=int(warmup) if warmup is not None and not known.get("warmup_ratio") else None,
        total_steps=int(total) if total is not None and total == int(total) else None,
    )
    if samples is None:
        return facts, ()
    text = f"The batch size, {samples:,g} samples per update, was taken from the configuration ({listed(said)})."
    return facts, (Note("info", text, run),)


def _samples(known: Mapping[str, float]) -> tuple[float | None, list[str]]:
    """Samples of one update, and the names that say so."""
    for name in UPDATE_SAMPLES:
        if name in known:
            return known[name], [name]
    base = next((name for name in DEVICE_SAMPLES if name in known), None)
    if base is None:
        return None, []
    factors = [base, *(name for names in (ACCUMULATION, DEVICES) for name in names[:] if name in known)]
    devices = any(name in known for name in DEVICES)
    accumulated = any(known.get(name, 1) != 1 for name in ACCUMULATION)
    if not devices and (base != "batch_size" or accumulated):
        return None, []
    return math.prod(known[name] for name in factors), factors


def _numbers(config: Mapping[str, object]) -> dict[str, float]:
    """Numbers above 0 by the last part of their names; what two names of one level say differently is left out."""
    found: dict[str, float] = {}
    level: dict[str, int] = {}
    for depth, name, value in _flat(config, 0):
        number = _positive(value)
        if number is None or depth > level.get(name, DEEPEST):
            continue
        if depth == level.get(name) and found.get(name) != number:
            number = math.nan
        found[name], level[name] = number, depth
    return {name: number for name, number in found.items() if number == number}


def _flat(config: Mapping[str, object], depth: int) -> Iterator[tuple[int, str, object]]:
    for key, value in config.items():
        parts = [part for part in re.split(r"[/.]", str(key)) if part] or [""]
        deep = depth + len(parts) - 1
        if isinstance(value, Mapping) and not isinstance(value.get("value", {}), Mapping):
            value = value["value"]  # SwanLab, ClearML and W&B keep what a setting means beside its value
        if isinstance(value, Mapping):
            if deep < DEEPEST:
                yield from _flat(value, deep + 1)
        else:
            yield deep, parts[-1].lower().replace("-", "_"), value


def from_yaml(data: bytes) -> dict[str, object]:
    """The settings in a small YAML file: keys with a value on their line, nested by their indentation; no lists."""
    top: dict[str, object] = {}
    open_: list[tuple[int, dict[str, object]]] = [(-1, top)]
    for line in data[:MOST_YAML].decode("utf-8", "replace").splitlines():
        found = re.fullmatch(r"( *)([\w./-]+):(?: +(.*?))? *", line)
        if not found:
            continue
        indent = len(found[1])
        while open_[-1][0] >= indent:
            open_.pop()
        if found[3]:
            open_[-1][1][found[2]] = found[3].strip("'\"")
        elif len(open_) <= DEEPEST:
            nested: dict[str, object] = {}
            open_[-1][1][found[2]] = nested
            open_.append((indent, nested))
    return top


def _positive(value: object) -> float | None:
    """The number above 0 that a value is, also as text; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not re.fullmatch(r"\d{1,18}(\.\d{1,20})?([eE][+-]?\d{1,2})?", value):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if 0 < number <= LARGEST else None

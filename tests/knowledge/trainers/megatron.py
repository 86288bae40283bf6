"""Megatron-LM: flags in an array of bash."""

import math
import shlex

from tests.support.schedulers import executed, installed, optimizer_of

EXPRESSED = (
    "constant",
    "linear",
    "linear f",
    "cosine",
    "cosine f",
    "wsd",
    "wsd f",
    "wsd 1-sqrt",
    "inverse_sqrt",
    "wsd half",
)


def arrays(text: str) -> dict[str, dict[str, str]]:
    """The flags of every array of bash."""
    found: dict[str, dict[str, str]] = {}
    words = iter(shlex.split(text, comments=True))
    for word in words:
        assert word.endswith("=(")
        flags = found.setdefault(word.removesuffix("=("), {})
        while (flag := next(words)) != ")":
            assert flag.startswith("--")
            flags[flag.removeprefix("--")] = next(words)
    return found


def _options(text: str) -> dict:
    """The flags of the rate, lengths in updates or in samples, by the names that they have in updates."""
    flags = arrays(text)["LR_ARGS"]
    return {k.replace("-samples", "-iters"): v if "style" in k else float(v) for k, v in flags.items()}


def batches(text: str, total: int, sequence: int) -> list[int]:
    """Sequences in each update, as StepBatchsizeNumMicroBatchesCalculator of 2026 counts them."""
    said = arrays(text)["BATCH_ARGS"]["step-batch-size-schedule"]
    entries = [(int(float(k)) // sequence, int(n)) for k, n in (pair.split(":") for pair in said.split())]
    assert entries[0][0] == 0 and entries == sorted(set(entries))

    def now(consumed: int) -> int:
        return [n for threshold, n in entries if consumed >= threshold][-1]

    return _consumed(now, total)


def ramped(start: int, increment: int, samples: int, last: int, total: int) -> list[int]:
    """Sequences in each update, as RampupBatchsizeNumMicroBatchesCalculator of core 0.16 counts them."""
    assert (last - start) % increment == 0
    each = samples / ((last - start) // increment)

    def now(consumed: int) -> int:
        return last if consumed > samples else start + int(consumed / each) * increment

    return _consumed(now, total)


def really_ramped(start: int, increment: int, samples: int, last: int, total: int) -> list[int]:
    """The same by the class itself."""
    module = installed("megatron.core.num_microbatches_calculator")
    rule = module.RampupBatchsizeNumMicroBatchesCalculator(last, 1, 1, False, 1, start, increment, samples)

    def now(consumed: int) -> int:
        rule.update(consumed, True)
        return rule.get_current_running_global_batch_size()

    return _consumed(now, total)


def _consumed(now, total: int) -> list[int]:
    """The batches of a loop that asks for each by the samples consumed before it, and asserts that they grow."""
    found, consumed = [], 0
    for _ in range(total):
        found.append(now(consumed))
        assert found[-1] >= found[max(len(found) - 2, 0)]
        consumed += found[-1]
    return found


def twin(text: str, peak: float, total: int) -> list[float]:
    o = _options(text)
    return [rate(o, t) for t in range(total)]


def planned(text: str, total: int, sequence: int) -> list[float]:
    """The rates of a run whose batch changes: the scheduler steps by the samples of each update."""
    o, consumed, rates = _options(text), 0, []
    for size in batches(text, total, sequence):
        rates.append(rate(o, consumed))
        consumed += size
    assert consumed == o["train-iters"]
    return rates


def rate(o: dict, t: int) -> float:
    top, low, w, end = o["lr"], o["min-lr"], o["lr-warmup-iters"], o["lr-decay-iters"]
    if w and t <= w:
        return top * t / w
    if o["lr-decay-style"] == "constant":
        return top
    if o["lr-decay-style"] == "inverse-square-root":
        return max(low, top * max(w, 1) ** 0.5 / max(t, 1) ** 0.5)
    style, length = o["lr-decay-style"], end - w
    if style == "WSD":
        style, length = o["lr-wsd-decay-style"], o["lr-wsd-decay-iters"]
    x = max((t - (end - length)) / length, 0)
    share = {
        "linear": 1 - x,
        "cosine": (1 + math.cos(math.pi * x)) / 2,
        "exponential": 2 * 0.5**x - 1,
        "minus_sqrt": 1 - math.sqrt(x),
    }[style]
    return low + share * (top - low)


def coded(text: str, peak: float, total: int, batch: int = 3) -> list[float]:
    """The rates of a scheduler that is told how many samples each update had."""

    class Scheduler:
        num_steps = 0
        rate = float("nan")

        def step(self, increment):
            self.num_steps += increment
            self.rate = self.get_lr({})

    scheduler = Scheduler()
    executed(text)["set_rates"](scheduler, batch)
    rates = []
    for _ in range(total):
        rates.append(scheduler.rate)
        scheduler.step(batch)
    return rates


def real(text: str, peak: float, total: int) -> list[float]:
    return scheduled(_options(text), total)


def scheduled(o: dict, total: int) -> list[float]:
    """The rates that Megatron's own class gives."""
    module, optimizer = installed("megatron.core.optimizer_param_scheduler"), optimizer_of(o["lr"])
    scheduler = module.OptimizerParamScheduler(
        optimizer,
        0.0,
        o["lr"],
        o["min-lr"],
        int(o["lr-warmup-iters"]),
        int(o["lr-decay-iters"]),
        o["lr-decay-style"],
        0.0,
        0.0,
        total,
        "constant",
        wsd_decay_steps=int(o.get("lr-wsd-decay-iters", 0)),
        lr_wsd_decay_style=o.get("lr-wsd-decay-style"),
    )
    rates = []
    for _ in range(total):  # the order of Megatron's train_step
        rates.append(float(optimizer.param_groups[0]["lr"]))
        scheduler.step(increment=1)
    return rates

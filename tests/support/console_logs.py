"""Console logs in tests: reading one, what was read of it, and lines to make one of."""

import pytest

from optlaws_core.readers import Source, read_source

NAME = "console log"


def report_of(text: str | bytes, answers: dict | None = None, name: str = "a.log"):
    report = read_source(Source(name, text.encode() if isinstance(text, str) else text), answers=answers or {})
    assert report.format == NAME, report
    return report


def run_of(text: str | bytes, answers: dict | None = None):
    report = report_of(text, answers)
    assert report.error is None, report.error
    (run,) = report.runs
    return run, report


def points(run, split: str = "train") -> list[tuple[int, float]]:
    series = run.series[split]
    return list(zip(series.steps.tolist(), series.loss.tolist(), strict=True))


def close(found: list[tuple[int, float]], expected: list[tuple[int, float]]) -> bool:
    """Whether steps are the same, and losses but for what arithmetic rounds off."""
    same = [s for s, _ in found] == [s for s, _ in expected]
    return same and [y for _, y in found] == pytest.approx([y for _, y in expected])


def rates(run, steps) -> list[float]:
    assert run.lr_source == "logged"
    return run.plan.schedule(steps).tolist()


def lines(template: str, steps, first: float = 3.0, per_step: float = 0.001) -> str:
    """A line for each step, with a loss that falls: `{s}` is the step, `{y}` the loss, `{lr}` a rate."""
    return "".join(template.format(s=s, y=first - per_step * s, lr=1e-6 * s, n=s + 1, t=1000 * s) + "\n" for s in steps)


TENS = (10, 20, 30, 40)
TRAIN = [(s, 3 - s / 1000) for s in TENS]
SOURCE = 'import torch\nprint(f"step:{step}/{n} train_loss:{loss:.4f}")  # step 3 of 9, loss 3.2\nloss = 10.9\n'

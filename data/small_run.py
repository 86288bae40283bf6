"""Train schedules one after the other as small models, and tell every row at once: `python -m data.small_run`.

The first line of standard input is a JSON object, `{"schedules": [text, …], "validate_every": 50}`. Every line of
standard output is one, too, since whatever else Python prints goes to standard error: `{"run": 0, "row": {…}}` for a
row of the log of the first one, with null where a loss was not measured or left the finite numbers;
`{"run": 0, "end": {…}}` for what the manifest says of it; or `{"fault": "…"}`, one sentence, as the last. All else is
as in the runs of the sweep's smallest size, with which such a run can be compared.
"""

import json
import math
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TextIO

from optlaws_core.errors import OptLawsError
from optlaws_core.schedules import Schedule, parse

from .sweep import RunSpec, read_sweep

HERE = Path(__file__).parent
NICE = 5  # of 19, as fits have it: pages come first
MEMORY = 4 * 2**30  # bytes of data that the process may have; it takes 1.5 GB with torch 2.13, 0.5 GB of it in use


@cache
def smallest() -> RunSpec:
    """The first run of the sweep's smallest size, whose model and batch a small run has."""
    return min(read_sweep(HERE / "sweep.toml"), key=lambda spec: spec.size.params)


def spec_of(name: str, schedule: Schedule, validate_every: int) -> RunSpec:
    """A run of this schedule that is like the sweep's of its smallest size in all else."""
    return replace(smallest(), name=name, group="small run", schedule=schedule, validate_every=validate_every)


def main() -> int:
    """The command. Returns 0 when all schedules were trained, 1 when one was not, which is told."""
    _take_little()
    tell = partial(_tell, sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            asked = json.loads(sys.stdin.readline())
            _train([parse(text) for text in asked["schedules"]], asked["validate_every"], tell)
    except OptLawsError as fault:
        tell(fault=str(fault))
        return 1
    except BrokenPipeError:  # nobody listens any more
        sys.stderr.close()
        return 1
    return 0


def _take_little() -> None:
    """Give way to all other work of the machine, and let this process end first where memory is short."""
    with suppress(ImportError, OSError, ValueError):
        import os
        import resource

        os.nice(NICE)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        Path("/proc/self/oom_score_adj").write_text("500")


def _train(schedules: list[Schedule], validate_every: int, tell: Callable[..., None]) -> None:
    from .corpus import load_corpus
    from .pretrain import pretrain

    corpus = load_corpus(smallest().text)
    for i, schedule in enumerate(schedules):
        spec = spec_of(f"small_run_{i + 1}", schedule, validate_every)
        _, end = pretrain(spec, corpus, logged=lambda row, i=i: tell(run=i, row=_finite(row)))
        tell(run=i, end=spec.row | end)


def _finite(row: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _tell(listener: TextIO, **message: object) -> None:
    print(json.dumps(message), file=listener, flush=True)


if __name__ == "__main__":
    sys.exit(main())

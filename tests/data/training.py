"""The training program for tests: a tiny model on a tiny text, and one finished run of it."""

from functools import cache

import numpy as np
import pyarrow as pa

from data.corpus import Corpus
from data.pretrain import pretrain
from data.sweep import RunSpec, Size
from optlaws_core.schedules import parse
from tests.places import ROOT

TINY = Size("tiny", d_model=16, layers=1, heads=2, context=32)
COSINE = "cosine(peak=1e-2, warmup=10, total=230, final=1e-3)"


def spec(schedule: str = COSINE, name: str = "x", seed: int = 1, **more) -> RunSpec:
    return RunSpec(name, parse(schedule), seed, TINY, batch=4, validate_every=50, **more)


def rows_of(table: pa.Table) -> dict[str, list]:
    return {name: table[name].to_pylist() for name in table.column_names}


@cache
def corpus() -> Corpus:
    text = np.frombuffer((ROOT / "data" / "corpus.py").read_bytes(), dtype=np.uint8)
    return Corpus(train=text[:5000], heldout=text[5000:])


@cache
def finished() -> tuple[pa.Table, dict[str, str]]:
    """Log and results of a run."""
    return pretrain(spec(), corpus())

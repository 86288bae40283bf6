"""The parts that a plan may have beside its learning rate, in the order of its text form.

CONTRIBUTING.md, "A part of a plan", lists all that a new one needs beside its line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from ..errors import by_name
from .averaging import Average
from .base import Schedule
from .batch import Batch
from .data_stages import SequenceLength, Texts
from .part_texts import parse_average, parse_batch, parse_sequence, parse_texts, parse_weight_decay
from .weight_decay import WeightDecay

Reader = Callable[[str, Schedule, Callable[[str], Schedule]], Any]


@dataclass(frozen=True)
class Part:
    """A part: its name in the text form, what a plan that has it has, and how its text is read.

    `read` takes the text, the rate of the plan and what reads a rate. `field` is that of `Joint`. `setting`: of a part
    from which no law tells what follows, whose setting it is in a trainer; empty for one that laws know. `column`: in
    tables.
    """

    name: str
    words: str  # "a weight decay"
    read: Reader
    example: str
    kind: Any  # the type of its record, or several of them
    setting: str = ""  # "the optimizer"
    field: str = ""
    column: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", self.field or self.name)
        object.__setattr__(self, "column", self.column or self.name)

    @property
    def noun(self) -> str:
        """The words without their article."""
        return self.words.partition(" ")[2]

    @property
    def types(self) -> str:
        """The names of the types that its record may have."""
        return " or ".join(kind.__name__ for kind in get_args(self.kind) or (self.kind,))

    @property
    def known(self) -> bool:
        """Whether laws tell what follows from it."""
        return not self.setting


PARTS: dict[str, Part] = by_name(
    "parts of a plan",
    lambda part: part.name,
    (
        Part(
            "batch",
            "a batch schedule",
            lambda text, rate, _: parse_batch(text, rate.total),
            "steps([0, 100k], [4M, 16M])",
            Batch,
        ),
        Part("average", "an average of weights", lambda text, *_: parse_average(text), "ema(100)", Average),
        Part(
            "weight_decay",
            "a weight decay",
            lambda text, rate, _: parse_weight_decay(text, rate.total),
            "0.1",
            WeightDecay,
            setting="the optimizer",
        ),
        Part(
            "auxiliary",
            "an auxiliary rate",
            lambda text, _, parse_rate: parse_rate(text),
            "wsd(…)",
            Schedule,
            setting="the optimizer",
            column="auxiliary_lr",
        ),
        Part(
            "text",
            "a text",
            lambda text, rate, _: parse_texts(text, rate.total),
            "steps([0, 80%], [web, code])",
            Texts,
            setting="the data loader",
            field="texts",
        ),
        Part(
            "sequence",
            "a sequence length",
            lambda text, rate, _: parse_sequence(text, rate.total),
            "4096",
            SequenceLength,
            setting="the data loader",
            column="sequence_tokens",
        ),
    ),
)

__all__ = ["PARTS", "Part", "Reader"]

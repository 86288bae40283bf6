"""What a file does not say and its reading hangs on: a question, read under its first answer until it is answered.

>>> x = Question("x", "Does 'Step' count updates?", (Answer("updates", "Yes."), LOG_CALLS))
>>> answered(Layout("Step"), x, "log-calls:50").batch
0.02
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import LogError
from ..text import listed, parse_amount, shortened
from .base import INVERSE_UNITS, Layout


class Unanswered(LogError):
    """A log that cannot be read at all before a question about it is answered."""

    def __init__(self, message: str, question: "Question") -> None:
        super().__init__(message)
        self.question = question


@dataclass(frozen=True)
class Answer:
    """One answer: what it changes in the layout, and the number that it needs, if any."""

    key: str  # for the command line: lower case, no blanks, no colon
    text: str  # as the user reads it
    change: Mapping[str, object] = field(default_factory=dict, hash=False)  # fields of `Layout`
    amount: str = ""  # what number it needs ("updates per log call"); it sets `Layout.batch`
    suggested: float | None = None  # the likely number, where the file hints at one


@dataclass(frozen=True)
class Question:
    """A question about one file. `key` is short and stands once in a file."""

    key: str
    text: str  # one sentence with what was found, and a question mark at its end
    answers: tuple[Answer, ...]  # the likely one first: the file is read under it until another is chosen
    run: str = ""  # the run that it is about, where a file has several

    @property
    def typed(self) -> tuple[str, ...]:
        """The answers as they are typed on the command line, the likely one first."""
        return tuple(f"{self.key}={a.key}{':NUMBER' if a.amount else ''}" for a in self.answers)

    @property
    def options(self) -> str:
        """`typed`, in one line."""
        return ", ".join(self.typed)


def answered(layout: Layout, question: Question, said: str) -> Layout:
    """The layout under an answer, `KEY` or `KEY:NUMBER`. Raises `LogError` for one that the question does not have."""
    key, _, number = said.partition(":")
    answer = next((a for a in question.answers if a.key == key.strip()), None)
    if answer is None:
        known = listed([a.key for a in question.answers])
        raise LogError(f"the question {question.key!r} has the answers {known}, got {shortened(said)!r}.")
    if not answer.amount:
        if number:
            raise LogError(f"the answer {question.key}={key} takes no number, got {shortened(number)!r}.")
        return chosen(layout, question, answer)
    if not number and answer.suggested is None:
        raise LogError(f"the answer {question.key}={key} needs {answer.amount}, as in {question.key}={key}:16.")
    amount = parse_amount(number, f"The number of {answer.amount}", examples="16") if number else answer.suggested
    return chosen(layout, question, answer, amount)


def chosen(layout: Layout, question: Question, answer: Answer, amount: float | None = None) -> Layout:
    """The layout under one of a question's answers. Raises `LogError` for a number of 0 or less."""
    changed = dict(answer.change)
    if answer.amount:
        if amount is None or not (amount > 0 and math.isfinite(amount)):
            raise LogError(f"the number of {answer.amount} must be above 0, got {amount}.")
        unit = changed.get("x_unit", layout.x_unit)
        changed["batch"] = 1 / amount if unit in INVERSE_UNITS else amount
    return replace(layout, **changed, answered=(*layout.answered, question.key))  # type: ignore[arg-type]


def open_questions(questions: Sequence[Question], layout: Layout) -> tuple[Question, ...]:
    """Those that the layout does not answer yet, each key once."""
    found: dict[str, Question] = {}
    for question in questions:
        if question.key not in layout.answered:
            found.setdefault(question.key, question)
    return tuple(found.values())


def provisional(layout: Layout, questions: Sequence[Question]) -> Layout:
    """The layout under the likely answers to what it leaves open, which stays open.

    One that needs a number at which nothing hints changes nothing.
    """
    read_as = layout
    for question in open_questions(questions, layout):
        likely = question.answers[0]
        if not likely.amount or likely.suggested is not None:
            read_as = chosen(read_as, question, likely, likely.suggested)
    return replace(read_as, answered=layout.answered)


LOG_CALLS = Answer(
    "log-calls",
    "It counts calls of the logger, each of which stands for several updates.",
    {"x_unit": "log calls"},
    "updates per log call",
)
MICRO_BATCHES = Answer(
    "micro-batches",
    "It counts micro-batches, several of which make one update.",
    {"x_unit": "micro-batches"},
    "micro-batches per update",
)
SAMPLES = Answer("samples", "It counts samples.", {"x_unit": "samples"}, "samples per update")
TOKENS = Answer("tokens", "It counts tokens.", {"x_unit": "tokens"}, "tokens per update")
EPOCHS = Answer("epochs", "It counts epochs.", {"x_unit": "epochs"}, "updates per epoch")
UNITS = {str(answer.change["x_unit"]): answer for answer in (LOG_CALLS, MICRO_BATCHES, SAMPLES, TOKENS, EPOCHS)}

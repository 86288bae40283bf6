"""Texts that are no log though they look like one: what they are, and what to give instead."""

import json
import re
from collections import Counter

from ..errors import LogError
from ..text import counted, listed, shortened
from .format import Content
from .layout import eval_name, train_rank

_PACKAGES = re.compile(rb"\s*(#.*|-e .*|[\w.-]+(\[[\w,-]+\])? ?(==|>=|@) ?\S+)\s*")
# A name and its number: `loss=2.5`, `"loss": 2.5`, `loss 2.5`.
_PAIR = re.compile(
    rb"(?<![\w./-])([A-Za-z_][\w./-]*)[\"']?(?:[ \t]*[:=][ \t]*|[ \t]+)[+-]?[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?"
    rb"(?=$|[ \t\r,;|)\]}])"
)
_LINES = 200  # that are looked into
_WANDB = {"_step", "_runtime", "_timestamp", "_wandb"}


def refuse(content: Content) -> None:
    """Raises `LogError` for a summary, for JSON that breaks off, and for a list of packages."""
    try:
        start = content.start
    except LogError:
        return  # a binary format, or a file that its format refuses
    if content.opens_json:
        _refuse_summary(content)
        _refuse_cut(content)
    elif b"==" in start:
        lines = [line for line in start.split(b"\n")[:50] if line.strip()]
        if lines and all(_PACKAGES.fullmatch(line) for line in lines[: len(lines) - 1 or 1]):
            raise LogError("this is a list of Python packages; give the log of the run.")


def about_pairs(content: Content) -> LogError | None:
    """The numbers in the lines of a text, where most of these are names with a number behind each; None for others."""
    try:
        if content.opens_json:
            return None
        lines = [line for line in content.start.split(b"\n")[:_LINES] if line.strip()]
    except LogError:
        return None
    found = [dict.fromkeys(name.lower() for name in _PAIR.findall(line)) for line in lines]
    named = [list(names) for names in found if len(names) > 1]
    if len(named) < 2 or 2 * len(named) < len(lines):
        return None
    times = Counter(name for names in named for name in names)
    usual = [name.decode("ascii") for name, count in times.items() if 2 * count >= len(named)]
    if not usual or any(train_rank(name) is not None or eval_name(name) for name in usual):
        return None
    text = f"its lines have the numbers {listed([shortened(name, 30) for name in usual], 8)}"
    return LogError(f"{text}; none is known as a loss. Give a log that has a loss under that name.")


def _refuse_summary(content: Content) -> None:
    """Raises `LogError` for one value of each metric, as trackers keep the last ones."""
    found = content.json
    if not isinstance(found, dict) or content.file.lower().endswith((".jsonl", ".ndjson")):
        return
    numbers = _numbers(found)
    if numbers is None or numbers < 1:
        return
    whose = "W&B's summary" if len(_WANDB & {*found}) > 1 else "a summary"
    what = "the run-….wandb file beside its folder" if whose != "a summary" else "the log with a row for each step"
    raise LogError(f"this is {whose}, one value of each of {counted(numbers, 'metric')} and no history; give {what}.")


def _numbers(value: object, depth: int = 0) -> int | None:
    """How many numbers stand in an object; None where it holds lists, or rows called by their numbers."""
    if isinstance(value, dict) and len(value) > 1 and all(str(key).isdecimal() for key in value):
        return None
    if isinstance(value, dict) and depth < 20:
        found = [_numbers(part, depth + 1) for key, part in value.items() if key != "_wandb"]
        return None if None in found else sum(n for n in found if n is not None)
    if isinstance(value, list):
        return None
    return int(isinstance(value, (int, float)) and not isinstance(value, bool))


def _refuse_cut(content: Content) -> None:
    """Raises `LogError` for one JSON value that breaks off; lines of JSON and texts with a bracket are none."""
    text = content.text
    if content.json is not None or not text.strip() or _is_json(text.strip().partition(b"\n")[0]):
        return
    try:
        json.loads(text)
    except RecursionError:
        return
    except json.JSONDecodeError as error:
        end = len(content.text.decode("utf-8", "replace").rstrip())
        if error.pos >= end - 1 or error.msg.startswith("Unterminated string"):
            where = f"line {error.lineno:,}, column {error.colno:,}"
            raise LogError(
                f"the JSON breaks off at {where}; is the file complete? Copy or download it again."
            ) from None
    except ValueError:
        return


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), (dict, list))
    except (ValueError, RecursionError):
        return False

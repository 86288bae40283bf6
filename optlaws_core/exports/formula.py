"""A schedule as readable Python: constants, then one formula for each stretch of it.

The same formulas are written in two ways: for numbers, with `math`, and for arrays that JAX traces, with `jnp.where`.
"""

import re
import textwrap
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..schedules.base import Schedule
from ..schedules.code_pieces import LINES, Code, Piece
from ..schedules.entries import WARMUPS
from .base import Rates, word
from .lines import knotted


@dataclass(frozen=True)
class Formula:
    """Constants by name, as numbers, tuples of numbers or expressions of those before; pieces by ascending start."""

    constants: dict[str, Any]
    pieces: tuple[Piece, ...]
    known: bool = True  # False: straight lines in place of a formula that the family does not have


def _lines(s: Schedule) -> Code:
    steps, values = knotted(s, most=1000, within=1e-7)
    return Code({"STEPS": steps, "VALUES": values}, (LINES,))


def formula(schedule: Schedule) -> Formula:
    """The schedule's formula; straight lines between steps for a family that has no code of its own."""
    own = schedule.as_code()
    code = own or _lines(schedule)
    constants = {"PEAK": schedule.peak, "WARMUP": schedule.warmup, "TOTAL": schedule.total} | code.constants
    pieces = code.pieces
    if schedule.warmup and own:
        rise = schedule.warmup_code.format(rise=WARMUPS[schedule.warmup_shape].code)
        pieces = (Piece("0", rise), *pieces)
    last = {constants.get(p.start, 0): p for p in pieces}  # of pieces that start together, all but the last are empty
    return Formula(constants, tuple(p for p in pieces if last[constants.get(p.start, 0)] is p), own is not None)


def constants_text(found: Formula) -> str:
    """The constants as assignments, long tables wrapped."""
    return "".join(assignment(name, value) for name, value in found.constants.items())


def assignment(name: str, value: Any) -> str:
    """A constant of a file, a long table wrapped."""
    if not isinstance(value, tuple):
        return f"{name} = {value if isinstance(value, str) else word(value)}\n"
    words = [*map(word, value)]
    # a text is not broken at its spaces
    named = any(isinstance(v, str) for v in value)
    rows = [f"{each}," for each in words] if named else textwrap.wrap(", ".join(words), 106)
    return f"{name} = [\n" + "".join(f"    {row}\n" for row in rows) + "]\n"


def scalar_text(found: Formula, name: str, argument: str) -> str:
    """`def name(argument)`: the rate of one update, a number."""
    lines = [f"def {name}({argument}):", f'    """Learning rate of update `{argument}`, counted from 0."""']
    lines.append(f"    t = min(max({argument}, 0), TOTAL)")
    for piece, after in zip(found.pieces, (*found.pieces[1:], None), strict=True):
        pad = "    "
        if after:
            lines.append(f"    if t < {after.start}:")
            pad += "    "
        for let in piece.lets:
            lines.append(pad + re.sub(r"find\((\w+)\)", r"min(bisect_right(\1, t), len(\1) - 1) - 1", let))
        lines.append(f"{pad}return {piece.rate}")
    return "\n".join(lines) + "\n"


def array_text(found: Formula, name: str, argument: str) -> str:
    """`def name(argument)`: the rates of updates of any shape, traced or not, with `jnp`."""
    lines = [f"def {name}({argument}):", f'    """Learning rate of update `{argument}`, counted from 0."""']
    lines.append(f"    now = jnp.clip(jnp.asarray({argument}, dtype=float), 0, TOTAL)")
    for i, (piece, after) in enumerate(zip(found.pieces, (*found.pieces[1:], None), strict=True)):
        # Both sides of a `where` are computed: each formula sees only steps that are its own.
        lines.append(f"    t = jnp.maximum(now, {piece.start})" if i else "    t = now")
        if after and not i:
            lines[-1] = f"    t = jnp.minimum(now, {after.start})"
        lines += [f"    {_traced(let)}" for let in piece.lets]
        rate = _traced(piece.rate)
        if i:
            lines.append(f"    rate = jnp.where(now < {piece.start}, rate, {rate})")
        else:
            lines.append(
                f"    rate = {rate}" if "t" in rate or piece.lets else f"    rate = jnp.full(now.shape, {rate})"
            )
    return "\n".join([*lines, "    return rate\n"])


def _traced(text: str) -> str:
    """An expression in terms of arrays."""
    found = "jnp.searchsorted({0}, t, side='right')".replace("'", '"')
    text = re.sub(r"find\((\w+)\)", lambda m: f"jnp.clip({found.format(m[1])}, 1, len({m[1]}) - 1) - 1", text)
    text = re.sub(r"\b([A-Z]{3,})(?=\[|, t, side)", r"jnp.asarray(\1, dtype=float)", text)
    text = re.sub(r"\b(min|max)\(", r"jnp.\1imum(", text)
    return re.sub(r"\b(cos|sin|sqrt)\(", r"jnp.\1(", text)


def imports_text(body: str) -> str:
    """The imports that `body` needs."""
    names = [n for n in ("cos", "exp", "pi", "sin", "sqrt") if re.search(rf"(?<!\.)\b{n}\b", body)]
    lines = ["from bisect import bisect_right"] if "bisect_right" in body else []
    return "\n".join([*lines, *([f"from math import {', '.join(names)}"] if names else [])]) + "\n"


def scalar_rates(body: str, name: str) -> Rates:
    """The rates that generated code gives, step by step."""
    space: dict = {}
    exec(imports_text(body) + body, space)  # built above from numbers alone
    return lambda steps: np.array([space[name](int(t)) for t in steps])


def array_rates(body: str, name: str) -> Rates:
    """The rates that generated code gives with NumPy in the place of JAX's twin of it."""
    space: dict = {"jnp": np, "pi": pi}
    exec(body, space)

    def rates(steps: FloatArray) -> FloatArray:
        return np.asarray(space[name](steps))

    return rates

"""A schedule as readable Python: constants, then one formula for each stretch of it.

The same formulas are written in two ways: for numbers, with `math`, and for arrays that JAX traces, with `jnp.where`.
"""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import pi

import numpy as np

from ..arrays import FloatArray
from ..schedules.base import Schedule
from .base import Rates, word
from .lines import knotted


@dataclass(frozen=True)
class Piece:
    """One stretch: the constant that holds its first step, variables that it needs, its rate in terms of `t`."""

    start: str
    rate: str
    lets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Formula:
    """Constants by name, as numbers, tuples of numbers or expressions of those before; pieces by ascending start."""

    constants: dict
    pieces: tuple[Piece, ...]
    known: bool = True  # False: straight lines in place of a formula that this module does not have


COOLDOWN = {
    "linear": "FINAL + ({top} - FINAL) * (1 - {y})",
    "exponential": "{top} ** (1 - {y}) * FINAL**{y}",
    "cosine": "FINAL + ({top} - FINAL) * 0.5 * (1 + cos(pi * {y}))",
    "1-sqrt": "FINAL + ({top} - FINAL) * (1 - sqrt({y}))",
    "mirror-cosine": "FINAL + ({top} - FINAL) * (2 * (1 - {y}) - sin(0.5 * pi * (1 - {y})) ** 2)",
    "square": "FINAL + ({top} - FINAL) * (1 - {y}) * (1 + {y})",
}
RISE = {
    "linear": "t / WARMUP",
    "cosine": "0.5 * (1 - cos(pi * t / WARMUP))",
    "1-sqrt": "(1 - sqrt(1 - t / WARMUP))",
    "exponential": "(100 ** (t / WARMUP) - 1) / 99",
}
PASSED = "x = (t - WARMUP) / (TOTAL - WARMUP)"
LEFT = "z = (TOTAL - t) / (TOTAL - WARMUP)"
DOWN = "y = (t - START) / (TOTAL - START)"
FIND = "i = find(STEPS)"  # the index of the last step up to t, but not of the very last
LINES = Piece(
    "WARMUP", "VALUES[i] + (VALUES[i + 1] - VALUES[i]) * x", (FIND, "x = (t - STEPS[i]) / (STEPS[i + 1] - STEPS[i])")
)

Parts = tuple[dict, list[Piece]]  # constants besides peak, warm-up and total; pieces after the warm-up


def _cooldown(shape: str, top: str = "PEAK", y: str = "y") -> str:
    return COOLDOWN[shape].format(top=top, y=y)


def _constant(s) -> Parts:
    return {}, [Piece("WARMUP", "PEAK")]


def _falling(*lets: str, rate: str, **constants: str) -> Callable[[Schedule], Parts]:
    """One formula from the peak to the final rate; `constants` are fields, by the name that they have in the code."""

    def parts(s) -> Parts:
        own = {name: getattr(s, field) for name, field in constants.items()}
        return {"FINAL": s.final} | own, [Piece("WARMUP", rate, lets)]

    return parts


def _wsd(s) -> Parts:
    top = {} if s.drop == 1 else {"DROP": s.drop, "TOP": "DROP * PEAK"}
    down = Piece("START", _cooldown(s.shape, "TOP" if top else "PEAK"), (DOWN,))
    return {"FINAL": s.final, "START": s.total - s.decay} | top, [Piece("WARMUP", "PEAK"), down]


def _wsd_s(s) -> Parts:
    constants = {
        "FINAL": s.final,
        "SHARE": s.share,
        "STEPS": (s.warmup, *s.ends, s.total),
        "STARTS": "[round(b - SHARE * (b - a), 6) for a, b in zip(STEPS, STEPS[1:])]",
        "LENGTHS": "[max(b - a, 1e-6) for a, b in zip(STARTS, STEPS[1:])]",
    }
    return constants, [Piece("WARMUP", _cooldown(s.shape), (FIND, "y = min(max(t - STARTS[i], 0) / LENGTHS[i], 1)"))]


def _extended(s) -> Parts:
    drop, start = s._turns()
    constants = {"FINAL": 0.0, "FACTOR": s.factor, "TOP": "FACTOR * PEAK", "DROP": drop, "START": start}
    return constants, [
        Piece("WARMUP", "PEAK"),
        Piece("DROP", "TOP"),
        Piece("START", _cooldown(s.shape, "TOP"), (DOWN,)),
    ]


def _inverse_sqrt(s) -> Parts:
    rate = "PEAK * sqrt(TIMESCALE / (t - WARMUP + TIMESCALE))"
    return {"TIMESCALE": s.timescale or s.warmup}, [Piece("WARMUP", rate)]


def _power(s) -> Parts:
    knee, start = s._knee(), s.total - s.decay
    constants, pieces = {"EXPONENT": s.exponent, "KNEE": knee}, [Piece("WARMUP", "PEAK")]
    if knee < start:
        pieces.append(Piece("KNEE", "PEAK * (t / KNEE) ** -EXPONENT"))
    if s.decay:
        constants |= {"FINAL": s.final, "START": start, "TOP": "PEAK * (max(START, KNEE) / KNEE) ** -EXPONENT"}
        pieces.append(Piece("START", _cooldown(s.shape, "TOP"), (DOWN,)))
    return constants, pieces


def _cyclic(s) -> Parts:
    constants = {
        "FINAL": s.final,
        "CYCLES": s.cycles,
        "SHRINK": s.shrink,
        "STEPS": "[WARMUP + round(i * (TOTAL - WARMUP) / (2 * CYCLES - 1)) for i in range(2 * CYCLES)]",
        "VALUES": "[(PEAK - FINAL) * (0 if i % 2 else SHRINK ** (i // 2)) for i in range(2 * CYCLES)]",
    }
    if s.gamma == 1:
        return constants, [replace(LINES, rate=f"FINAL + {LINES.rate}")]
    rate = f"FINAL + ({LINES.rate}) * GAMMA ** (t - WARMUP)"
    return constants | {"GAMMA": s.gamma}, [replace(LINES, rate=rate)]


def _sgdr(s) -> Parts:
    starts = "i * PERIOD" if s.growth == 1 else "PERIOD * (GROWTH**i - 1) // (GROWTH - 1)"
    constants = {
        "FINAL": s.final,
        "PERIOD": s.period,
        "GROWTH": s.growth,
        "CYCLES": len([b for b in s.breaks[:-1] if b >= s.warmup]),
        "STEPS": f"[WARMUP + {starts} for i in range(CYCLES)] + [TOTAL]",
    }
    x = "x = (t - STEPS[i]) / (PERIOD * float(GROWTH) ** i)"
    return constants, [Piece("WARMUP", _cooldown("cosine", y="x"), (FIND, x))]


def _one_cycle(s) -> Parts:
    constants = {"DIV": s.div, "FINAL_DIV": s.final_div, "BOTTOM": "PEAK / DIV", "FINAL": "BOTTOM / FINAL_DIV"}
    return constants, [Piece("WARMUP", _cooldown(s.shape, y="x"), (PASSED,))]


def _step(s) -> Parts:
    return {"STEPS": (0, *s.boundaries, s.total), "VALUES": (s.peak, *s.values)}, [
        Piece("WARMUP", "VALUES[i]", (FIND,))
    ]


def _knots(s) -> Parts:
    return {"STEPS": s.steps, "VALUES": s.values}, [LINES]


def _lines(s) -> Parts:
    steps, values = knotted(s, most=1000, within=1e-7)
    return {"STEPS": steps, "VALUES": values}, [LINES]


FORMULAS: dict[str, Callable[[Schedule], Parts]] = {
    "constant": _constant,
    "linear": _falling(PASSED, rate=_cooldown("linear", y="x")),
    "cosine": _falling(PASSED, rate=_cooldown("cosine", y="x")),
    "exponential": _falling(PASSED, rate=_cooldown("exponential", y="x")),
    "polynomial": _falling(LEFT, rate="FINAL + (PEAK - FINAL) * z**EXPONENT", EXPONENT="exponent"),
    "power_decay": _falling(LEFT, rate="FINAL + (PEAK - FINAL) * z ** (2 * BETA - 1)", BETA="beta"),
    "rex": _falling(LEFT, rate="FINAL + (PEAK - FINAL) * 2 * z / (1 + z)"),
    "uba": _falling(
        LEFT, "c = sin(0.5 * pi * z) ** 2", rate="FINAL + (PEAK - FINAL) * 2 * c / (PHI + (2 - PHI) * c)", PHI="phi"
    ),
    "wsd": _wsd,
    "wsd_s": _wsd_s,
    "extended": _extended,
    "inverse_sqrt": _inverse_sqrt,
    "power": _power,
    "power_scheduler": _power,
    "cyclic": _cyclic,
    "sgdr": _sgdr,
    "one_cycle": _one_cycle,
    "step": _step,
    "knots": _knots,
}


def formula(schedule: Schedule) -> Formula:
    """The schedule's formula; straight lines between steps for a family, or a shape of one, that has none here."""
    try:
        (own, pieces), known = FORMULAS[schedule.family](schedule), True
        rise = RISE[getattr(schedule, "warmup_shape", "linear")]
    except KeyError:
        (own, pieces), known, rise = _lines(schedule), False, ""
    constants = {"PEAK": schedule.peak, "WARMUP": schedule.warmup, "TOTAL": schedule.total} | own
    if schedule.warmup and known:
        if schedule.family == "knots":  # the rate at the end of the warm-up need not be the highest
            constants["TOP"] = float(schedule(schedule.warmup))
            rise = f"TOP * {rise}"
        elif schedule.family == "one_cycle":
            rise = f"BOTTOM + (PEAK - BOTTOM) * {rise}"
        else:
            rise = f"PEAK * {rise}"
        pieces = [Piece("0", rise), *pieces]
    last = {constants.get(p.start, 0): p for p in pieces}  # of pieces that start together, all but the last are empty
    return Formula(constants, tuple(p for p in pieces if last[constants.get(p.start, 0)] is p), known)


def constants_text(found: Formula) -> str:
    """The constants as assignments, long tables wrapped."""
    return "".join(_assignment(name, value) for name, value in found.constants.items())


def _assignment(name: str, value) -> str:
    if not isinstance(value, tuple):
        return f"{name} = {value if isinstance(value, str) else word(value)}\n"
    rows = textwrap.wrap(", ".join(map(word, value)), 106)
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
    names = [n for n in ("cos", "pi", "sin", "sqrt") if re.search(rf"(?<!\.)\b{n}\b", body)]
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

"""Schedules beyond `twins.shipped`: families and fields whose slow sums need no twin of their own, and any at all."""

from dataclasses import MISSING

from hypothesis import reject
from hypothesis import strategies as st

from optlaws_core.errors import ScheduleError
from optlaws_core.schedules import SCHEDULES, Schedule
from optlaws_core.schedules.base import ordered_fields
from tests.knowledge.twins import shipped


def texts(warmup: int, total: int) -> list[str]:
    """Every family, every cooldown and every field that bends a curve, over one horizon."""
    p, w, after = "peak=3e-4", f"warmup={warmup}, total={total}", total - warmup
    return [
        *shipped(warmup, total),
        f"extended({p}, {w})",
        f"extended({p}, {w}, first={warmup + after * 2 // 3}, share=0.3, factor=0.5, shape=1-sqrt)",
        f"cyclic({p}, {w}, final=3e-5, gamma=0.99)",
        f"wsd({p}, {w}, decay={total // 5}, shape=cosine, warmup_shape=cosine)",
        f"sgdr({p}, {w}, period={-(-after // 3)})",
    ]


@st.composite
def schedules(draw, total: int) -> Schedule:
    """Any schedule over `total` updates, drawn from the fields that its family declares."""
    cls = SCHEDULES[draw(st.sampled_from(list(SCHEDULES)))]
    peak = 10 ** draw(st.floats(-8, 1))
    inner = draw(st.lists(st.integers(1, total - 1), min_size=1, max_size=6, unique=True).map(sorted))
    rates = st.floats(0, 1).map(lambda share: peak * share)
    fields = {}
    for f in ordered_fields(cls):
        if f.default is not MISSING and draw(st.booleans()):
            continue
        if f.metadata["choices"]:
            fields[f.name] = draw(st.sampled_from(f.metadata["choices"]))
        elif f.name in ("peak", "total"):
            fields[f.name] = {"peak": peak, "total": total}[f.name]
        elif f.name == "steps":
            fields[f.name] = (0, *inner, total)
        elif "tuple" in str(f.type):
            count = len(inner) + 2 * (cls.family == "knots")
            fields[f.name] = inner if "int" in str(f.type) else [draw(rates) for _ in range(count)]
        elif f.type is int or f.type == int | None:
            fields[f.name] = draw(st.integers(0, total // 2))
        else:
            fields[f.name] = draw(rates if f.metadata["unit"] == "LR" else st.floats(0.01, 3) | st.floats(0.5, 1))
    try:
        return cls(**fields)
    except ScheduleError:
        reject()

"""The fields of a schedule, as text: a browser's number field reads 2e3 as 2 and 24k as 24."""

from contextlib import suppress
from dataclasses import MISSING, Field

import streamlit as st

from optlaws_core import OptLawsError
from optlaws_core.text import format_number, parse_amount

Value = float | int | str | tuple | None


def field(f: Field, value: Value, key: str, **options) -> str | None:
    """A widget for one field of a family, which begins with `value`. Returns it as text forms of schedules write it."""
    unit = f", {f.metadata['unit']}" if f.metadata["unit"] else ""
    ask = {
        "label": f"{_spelt(f.name)}{unit}",
        "help": f"{f.metadata['meaning'].capitalize()}.",
        "key": key,
        **options,
    }
    if choices := list(f.metadata["choices"]):
        first = f.default if value is None else value
        return st.selectbox(options=choices, index=0 if first is MISSING else choices.index(first), **ask)
    if _several(f):
        shown, usual = ", ".join(map(_written, value or ())), "100, 200"
    else:
        shown, usual = "" if value is None else _written(value), "24k" if "int" in str(f.type) else "3e-4"
    return word(f, st.text_input(value=shown, placeholder="not given" if f.default is None else usual, **ask))


def _spelt(name: str) -> str:
    """A field's name as the pages write it: `warmup_shape` as "Warm-up shape"."""
    return name.capitalize().replace("_", " ").replace("Warmup", "Warm-up")


def word(f: Field, typed: str | None) -> str | None:
    """What was typed as a text form has it: `24k` as `24000`. What is no number stays, to be refused with the rest."""
    if f.metadata["choices"]:
        return typed
    words = (typed or "").strip(" []")
    if not words:
        return None
    return f"[{', '.join(map(plain, words.split(',')))}]" if _several(f) else plain(words)


def _several(f: Field) -> bool:
    return "tuple" in str(f.type)


def _written(value: float | int | str) -> str:
    return str(value) if isinstance(value, int) else format_number(value)


def plain(text: str) -> str:
    """What was typed, in digits: `24k` as `24000`. What is no number stays as it is."""
    with suppress(OptLawsError):
        return format_number(parse_amount(text, zero=True))
    return text.strip()

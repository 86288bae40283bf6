"""Where the rows of a log stand in a JSON value: deeper in an object, as pandas writes a table, as pairs, in a row."""

import json
from collections.abc import Iterator
from itertools import zip_longest

from ..layout import guess_layout

DEEPEST = 4  # levels of nesting


def nested(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[dict]]]:
    """(where, records) of every list of objects with a loss, and every deeper table of columns, in an object."""
    if not isinstance(value, dict) or len(path) >= DEEPEST:
        return
    for key, inner in value.items():
        if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner):
            keys = tuple(dict.fromkeys(str(k) for item in inner[:1000] for k in item))
            if guess_layout(keys).losses:
                yield (*path, str(key)), inner
            elif "value" in keys and guess_layout((str(key),)).losses:
                yield (*path, str(key)), [{(key if k == "value" else k): v for k, v in item.items()} for item in inner]
        elif _is_table(inner):
            lists = {k: v for k, v in inner.items() if isinstance(v, list)}
            yield (*path, str(key)), [dict(zip(lists, row, strict=False)) for row in zip_longest(*lists.values())]
        else:
            yield from nested(inner, (*path, str(key)))


def _is_table(value: object) -> bool:
    """Whether an object within another one is a table of columns with a loss."""
    if not isinstance(value, dict):
        return False
    lists = [k for k, v in value.items() if isinstance(v, list) and not any(isinstance(c, (dict, list)) for c in v)]
    return bool(guess_layout(tuple(map(str, lists))).losses)


def of_pairs(lists: dict[str, list]) -> list[dict] | None:
    """The rows of columns that hold (step, value) each, `{"loss": [[10, 3.1], [20, 2.9]]}`; None for others."""
    rows = []
    for name, column in lists.items():
        steps = [cell[0] for cell in column if isinstance(cell, list) and len(cell) == 2]
        whole = all(isinstance(s, int) and not isinstance(s, bool) for s in steps)
        if not column or len(steps) < len(column) or not whole or sorted(set(steps)) != steps:
            return None
        rows += [{"step": step, name: value} for step, value in column]
    return rows


def of_pandas(table: dict) -> list[dict] | None:
    """The rows of `DataFrame.to_json`, by columns, by index or split; None for another object."""
    names, data, index = (table.get(k) for k in ("columns", "data", "index"))
    if isinstance(names, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        labels = index if isinstance(index, list) and len(index) == len(data) else [None] * len(data)
        return [
            {"column 1": label, **dict(zip(map(str, names), row, strict=False))}
            for label, row in zip(labels, data, strict=True)
        ]
    if not table or not all(isinstance(inner, dict) for inner in table.values()):
        return None
    inner = tuple(dict.fromkeys(str(k) for d in table.values() for k in d))
    if guess_layout(inner).losses and all(_is_label(k) for k in table):
        return [{"column 1": float(label), **row} for label, row in table.items()]
    if guess_layout(tuple(table)).losses and all(_is_label(k) for k in inner):
        return [{"column 1": float(k), **{c: d[k] for c, d in table.items() if k in d}} for k in inner]
    return None


def _is_label(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= 15


def values_of(text: str) -> tuple[list[object], bool]:
    """JSON values that stand one after another in a text, and whether it holds nothing else."""
    decoder, at = json.JSONDecoder(), 0
    found: list[object] = []
    while at < len(text):
        if text[at] in " \t\r\n,":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return found, False
        found.append(value)
    return found, True

"""Lines that differ in their digits only are read in one go, and say the same as one by one."""

from itertools import cycle, islice

import numpy as np
import pytest

from optlaws_core.readers.formats import console_lines
from optlaws_core.readers.formats.console_forms import MOST, Forms
from optlaws_core.readers.formats.console_lines import scan

MEGATRON = (
    " [2025-03-31 05:54:07] iteration {s:8d}/  100000 | consumed samples: {n:12d} | learning rate: {lr:.6E} | "
    "global batch size:  1008 | lm loss: {y:.6E} | grad norm: {g:.3f} |\n"
)
KINDS = {
    "of one width": MEGATRON,
    "that grow": "iter {s}: loss {y:.4f}, time 193.77ms, mfu 12.30%\n",
    "with a counted step": "[2025-05-18 16:04:46] step: {s} loss: {y:.7f} lr: {lr:.2e} norm: {g:.1f}\n",
    "with blanks before numbers": "step {s:>7} | loss {y:>9.4f} | lr {lr:.2e}\n",
    "with large exponents": "step {s} | loss {y:.4f} | lr {lr:.17e}\n",
    "with thousands": "step {s:,} | loss {y:.4f}\n",
}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(console_lines, "PART", 4_096)


def _written(kind: str, lines: int, start: int = 0) -> list[str]:
    said = []
    for s in range(start, start + lines):
        y = 2 + 9 / (s + 9) ** 0.5
        said.append(KINDS[kind].format(s=s, n=1008 * s, y=y, lr=3e-4 / (1 + s / 40), g=1.5 + s % 7))
    return said


def _told(text: str) -> dict[int, dict[str, float]]:
    """Place of a line -> what it says."""
    found: dict[int, dict[str, float]] = {}
    for rows in scan(text.encode()).rows:
        for order, values in zip(rows.order, rows.values, strict=True):
            for at, cells in zip(order.tolist(), values.T.tolist(), strict=True):
                assert at not in found
                found[at] = dict(zip(rows.plan.picks, cells, strict=True))
    return found


def _one_by_one(monkeypatch, text: str) -> dict[int, dict[str, float]]:
    with monkeypatch.context() as patch:
        patch.setattr(console_lines._Scanner, "_together", lambda *_: False)
        return _told(text)


@pytest.mark.parametrize("kind", KINDS)
def test_lines_of_a_form_say_the_same_as_one_by_one(monkeypatch, kind):
    text = "".join(_written(kind, 1_200))
    told = _told(text)
    assert len(told) == 1_200
    assert told == _one_by_one(monkeypatch, text)  # to the last digit


def test_most_lines_of_one_width_are_read_by_their_form(monkeypatch):
    seen = []
    read = console_lines._Scanner._of_forms

    def counting(self, text, ends):
        left = read(self, text, ends)
        seen.append((len(left), int(left.sum())))
        return left

    monkeypatch.setattr(console_lines._Scanner, "_of_forms", counting)
    _told("".join(_written("of one width", 1_000, start=1_000)))
    lines, left = np.array(seen).sum(axis=0)
    assert lines == 1_000
    assert left < 150


def test_odd_lines_between_those_of_a_form_are_read_or_passed_over(monkeypatch):
    lines = _written("of one width", 600)
    odd = [
        lines[0].replace("lm loss: ", "lm loss: -"),
        "a line of the program, 12 of 34\n",
        " validation loss at iteration 100 | lm loss value: 3.251400E+00 | lm loss PPL: 2.58E+01 |\n",
        lines[1].replace("E+00 | grad", "E+77 | grad"),  # a form, whose power is beyond what floats hold exactly
        lines[2].replace("iteration", "iteratiom"),
    ]
    mixed = "".join(line + extra for line, extra in zip(lines, islice(cycle(odd), 600), strict=True))
    told = _told(mixed)
    assert told == _one_by_one(monkeypatch, mixed)
    assert told[5]["loss:val"] == 3.2514
    assert told[7]["loss:train"] == float(lines[1].split("lm loss: ")[1].split("E")[0] + "e77")


def test_a_nul_is_no_digit(monkeypatch):
    lines = _written("of one width", 400)
    lines[300] = lines[300].replace(" 302400 |", " 3\x002400 |")
    text = "".join(lines)
    assert "\x00" in text
    told = _told(text)
    assert told == _one_by_one(monkeypatch, text)
    assert told[299]["samples"] == 301_392.0


def test_a_scan_keeps_the_last_forms_only():
    forms: Forms[None] = Forms()
    for i in range(MOST + 3):
        forms.learn(b"step 1" + b"x" * i, (), None)
    assert len(forms.known) == MOST
    assert b"step 0\n" not in forms.known
    assert b"step 0" + b"x" * (MOST + 2) + b"\n" in forms.known

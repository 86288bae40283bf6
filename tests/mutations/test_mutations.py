"""Mutated copies of logs whose truth is known: each value read is right, or a sentence or question speaks of it.

The same copies every time; `python -m benchmarks mutations` makes 10,000 and prints what became of them.
"""

import functools
import os
from random import Random

import pytest

from optlaws_core.readers import Source, read_source
from tests.mutations import others, tables  # noqa: F401 (they list their kinds)
from tests.mutations.truth import ASKED, KINDS, REFUSED, RIGHT, TOLD, WRONG, Copy, log_of, outcome, table, want
from tests.mutations.truth import tried as tried_anew

tried = functools.cache(tried_anew)  # three tests ask what became of the same copy
COPIES = int(os.environ.get("OPTLAWS_MUTATIONS", "4"))  # of each kind
PLAIN = [
    name for name in KINDS if "plain" in name or name in ("json_lines", "json_array", "json_columns", "trainer_state")
]
# What a copy can only be refused as, or asked about, whatever it holds.
NEVER_RIGHT = {
    "decimal_commas_unquoted": REFUSED,
    "header_with_another_separator": REFUSED,
    "cut_beginning": REFUSED,
    "without_a_header": REFUSED,
    "json_array_cut": REFUSED,
    "trainer_state_cut": REFUSED,
    "trainer_state_without_steps": REFUSED,
    "chart_over_time": REFUSED,
    "parquet_cut": REFUSED,
    "single_quotes": REFUSED,
    "tokens_instead_of_steps": REFUSED,
    "epochs_instead_of_steps": ASKED,
    "chart_over_epochs": ASKED,
    "json_rows_without_names": ASKED,
    "no_steps": TOLD,
    "to_string_elided": TOLD,
    "a_rate_scale_instead_of_a_rate": TOLD,
}
MOSTLY_REFUSED = {"a_lost_cell_and_one_too_many", "a_long_row", "a_quote_that_never_closes", "to_string_wrapped"}


def test_there_are_kinds_enough():
    assert len(KINDS) >= 60


@pytest.mark.parametrize("name", KINDS)
def test_no_copy_is_silently_wrong(name):
    found = [tried(name, seed) for seed in range(COPIES)]
    assert [why for result, why in found if result == WRONG] == []


@pytest.mark.parametrize("name", sorted(set(KINDS) - set(NEVER_RIGHT)))
def test_most_kinds_are_read_at_least_now_and_then(name):
    found = {tried(name, seed)[0] for seed in range(COPIES)}
    assert found & {RIGHT, TOLD, ASKED} or name in MOSTLY_REFUSED


@pytest.mark.parametrize("name", PLAIN)
def test_a_log_as_it_is_meant_is_read_right_without_doubts(name):
    for seed in range(10):
        rng = Random(f"{name} {seed}")
        copy = KINDS[name](rng, log_of(rng))
        report = read_source(Source(copy.file, copy.data))
        assert outcome(report, copy) == (RIGHT, "")
        assert not [n.text for n in report.notes if "damaged" in n.text or "digits" in n.text]
        assert report.questions == ()


@pytest.mark.parametrize("name", NEVER_RIGHT)
def test_what_cannot_be_known_is_not_made_up(name):
    assert {tried(name, seed)[0] for seed in range(COPIES)} <= {NEVER_RIGHT[name], ASKED}


# ---- the judge


def judged(data: bytes, speaks: str = "") -> tuple[str, str]:
    rng = Random(0)
    return outcome(read_source(Source("a.csv", data)), Copy(data, (want(log_of(rng)),), speaks=speaks))


def test_a_value_that_is_not_the_truth_is_silently_wrong():
    data = table(log_of(Random(0)))
    assert judged(data) == (RIGHT, "")
    lines = data.splitlines(keepends=True)
    step, loss, *rest = lines[5].split(b",")
    changed = b",".join([step, b"7.25", *rest])
    result, why = judged(b"".join([*lines[:5], changed, *lines[6:]]))
    assert result == WRONG and why.startswith("train: ") and "7.25" in why
    result, why = judged(b"".join([*lines[:5], *lines[6:]]))
    assert result == WRONG and why.startswith("train: steps")


def test_a_note_counts_where_it_speaks_of_what_differs():
    lines = table(log_of(Random(0))).splitlines(keepends=True)
    step, loss, *rest = lines[5].split(b",")
    dropped = b"".join([*lines[:5], b",".join([step, b"oops", *rest]), *lines[6:]])
    assert judged(dropped)[0] == TOLD
    assert judged(b"".join(lines[:-1]) + lines[-1].rstrip(), "no such note")[0] == RIGHT


def test_a_missing_rate_is_told():
    head, *lines = table(log_of(Random(0))).splitlines(keepends=True)
    assert judged(b"".join([head.replace(b"lr", b"eta"), *lines])) == (TOLD, "no rates were read")


def test_what_cannot_be_read_is_refused():
    assert judged(b"x,y\n1,2\n")[0] == REFUSED

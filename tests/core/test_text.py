"""Numbers as the field writes them."""

import pytest

from optlaws_core import OptLawsError
from optlaws_core.text import chance, format_amount, parse_amount, parse_amounts, parse_int, percent, relative_error


@pytest.mark.parametrize(
    "text, value",
    [
        ("7B", 7e9),
        ("1.3e9", 1.3e9),
        ("300B tokens", 3e11),
        ("12,000", 12_000),
        ("3e-4", 3e-4),
        (".5", 0.5),
        ("1_024", 1024),
        ("2 T", 2e12),
        ("125m params", 125e6),
        ("1e9B", 1e18),
        ("1e-30", 1e-30),
        ("1e30", 1e30),
    ],
)
def test_amounts_are_read(text, value):
    assert parse_amount(text) == pytest.approx(value, rel=1e-15)


def test_spaces_without_end_before_what_is_no_unit_are_read_at_once():
    """A pattern that tries them in every way takes hours."""
    with pytest.raises(OptLawsError, match="An amount must be above 0"):
        parse_amount("7" + " " * 300_000 + "!")


@pytest.mark.parametrize("text", ["", "0", "-3", "7Q", "many", "nan", "inf", "1..2", "0,001", "1,5M", "1,2345"])
def test_what_is_no_amount(text):
    with pytest.raises(OptLawsError, match="The model size must be above 0, such as 123M or 7B, got"):
        parse_amount(text, "The model size", examples="123M or 7B")


@pytest.mark.parametrize("text", ["1e-31", "1e-300", "1e-400", "1e31", "1e300", "1e400", "9" * 400, "1e19T"])
@pytest.mark.parametrize("zero", [False, True])
def test_amounts_too_small_or_large_are_told_the_limits(text, zero):
    with pytest.raises(OptLawsError, match=r"The peak must lie between 1e-30 and 1e\+30, got '(1e|9)"):
        parse_amount(text, "The peak", zero)


def test_where_0_will_do_the_rule_says_so():
    assert [parse_amount(text, zero=True) for text in ("0", "0.0", ".0", "0e5", "00")] == [0] * 5
    with pytest.raises(OptLawsError, match="The floor must be 0 or more, such as 7B or 3e-4, got '-1'"):
        parse_amount("-1", "The floor", zero=True)


@pytest.mark.parametrize(
    "text, value", [("2e3", 2000), ("3k", 3000), ("4.35k", 4350), ("12,000", 12_000), ("0", 0), ("1e15", 10**15)]
)
def test_counts_are_whole_whatever_their_suffix(text, value):
    assert parse_int(text) == value and isinstance(parse_int(text), int)


@pytest.mark.parametrize("text", ["", "many", "-1", "2.5", "0", "1e-3", "1e300", "11k"])
def test_what_is_no_count(text):
    with pytest.raises(OptLawsError, match=rf"Updates must be a whole number from 1 to 10,000, .* got '{text}'"):
        parse_int(text, "Updates", 1, 10_000)


@pytest.mark.parametrize(
    "typed, rule", [("-5", "of 0 or more"), ("2.5", "of 0 or more"), ("1e16", "from 0 to 1,000,000,000,000,000")]
)
def test_a_bound_that_nobody_comes_near_is_not_told(typed, rule):
    said = f"The warm-up must be a whole number {rule}, such as 2000 or 2 %, got '{typed}'."
    with pytest.raises(OptLawsError) as told:
        parse_int(typed, "The warm-up", examples="2000 or 2 %")
    assert str(told.value) == said


def test_several_amounts_stand_between_spaces_or_semicolons():
    assert parse_amounts("1e9 2B;  2e9 500M") == (1e9, 2e9, 5e8)
    with pytest.raises(OptLawsError, match="Peaks must be above 0, .* got nothing"):
        parse_amounts("  ", "Peaks")


@pytest.mark.parametrize("value", [1024, 37_024, 836_736, 123_587_328, 4.096e6, 7e9, 5.12e9, 3e-4, 1.5e12, 1e-7])
def test_what_is_written_is_read_back_exactly(value):
    assert parse_amount(format_amount(value)) == value


def test_numbers_for_the_eye_are_short():
    assert [format_amount(v, 3) for v in (37_024, 123_587_328, 7e9, 999)] == ["37k", "124M", "7B", "999"]
    assert [format_amount(v) for v in (1024, 836_736, 4.096e6, 7e9)] == ["1,024", "836,736", "4.096M", "7B"]


def test_percentages_have_a_space_and_errors_two_digits():
    assert [percent(0.2), percent(0.0025, 2)] == ["20 %", "0.25 %"]
    assert [chance(p) for p in (0.0, 0.004, 0.45, 0.996, 1.0)] == ["<1 %", "<1 %", "45 %", ">99 %", ">99 %"]
    assert [chance(p, in_words=True) for p in (0.001, 0.45, 1.0)] == ["less than 1 %", "45 %", "more than 99 %"]
    errors = {0.0: "0 %", 3e-8: "<0.001 %", 0.00091: "0.091 %", 0.0024: "0.24 %", 0.0123: "1.2 %", 0.0999: "10 %"}
    assert {e: relative_error(e) for e in errors} == errors and relative_error(1.2) == "120 %"


def test_whole_amounts_have_commas_as_counts_do():
    amounts = {500_000: "500,000", 524_288: "524,288", 60_000: "60,000", 1024: "1,024", 999: "999", 0.02: "0.02"}
    assert {x: format_amount(x) for x in amounts} == amounts

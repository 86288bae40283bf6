"""Numbers as the field writes them."""

import pytest

from optlaws_core import OptLawsError
from optlaws_core.amounts import amount, amounts, written


@pytest.mark.parametrize(
    "text, value",
    [
        ("7B", 7e9), ("1.3e9", 1.3e9), ("300B tokens", 3e11), ("12,000", 12_000), ("3e-4", 3e-4), (".5", 0.5),
        ("1_024", 1024), ("2 T", 2e12), ("125m params", 125e6), ("1e9B", 1e18),
    ],
)  # fmt: skip
def test_amounts_are_read(text, value):
    assert amount(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("text", ["", "0", "-3", "7Q", "many", "1e40", "nan", "inf", "1..2", "0,001", "1,5M", "1,2345"])
def test_what_is_no_amount(text):
    with pytest.raises(OptLawsError, match="The model size reads like 7B or 3e-4 and is above 0, got"):
        amount(text, "The model size")


def test_several_amounts_stand_between_spaces_or_semicolons():
    assert amounts("1e9 2B;  2e9 500M") == (1e9, 2e9, 5e8)
    with pytest.raises(OptLawsError, match="Peaks reads like .* got nothing"):
        amounts("  ", "Peaks")


@pytest.mark.parametrize("value", [1024, 37_024, 836_736, 123_587_328, 4.096e6, 7e9, 5.12e9, 3e-4, 1.5e12, 1e-7])
def test_what_is_written_is_read_back_exactly(value):
    assert amount(written(value)) == value


def test_numbers_for_the_eye_are_short():
    assert [written(v, 3) for v in (37_024, 123_587_328, 7e9, 999)] == ["37k", "124M", "7B", "999"]
    assert [written(v) for v in (1024, 836_736, 4.096e6, 7e9)] == ["1024", "836736", "4.096M", "7B"]

"""Values that are hardly what was trained are told: far off, with too many digits, off the grid."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optlaws_core.readers import Source, read_source
from optlaws_core.readers.doubts import high_rate, odd_digits, off_grid, wild
from tests.knowledge.logs import said

STEPS = np.arange(10, 210, 10)
LOSS = np.round(5 - STEPS / 100 + 0.01 * np.cos(STEPS), 4)


def test_a_value_far_off_its_neighbours_is_told():
    assert wild(STEPS, LOSS) == []
    assert wild(STEPS, np.where(STEPS == 50, 20 * LOSS, LOSS)) == []  # a spike
    off = np.where(STEPS == 50, 1e9, LOSS)
    assert wild(STEPS, off) == ["a value lies far from its neighbours (1e9 at step 50); is the file damaged?"]
    assert "1 more" in wild(STEPS, np.where((STEPS == 50) | (STEPS == 150), -1e9, LOSS))[0]
    far = np.append(STEPS[:-1], 10**9)
    assert "the last step, 1,000,000,000, lies far beyond the one before, 190" in wild(far, LOSS)[0]
    warm_up = np.minimum(1, np.arange(20) / 5) * 1e-3
    assert wild(STEPS, warm_up) == wild(STEPS[:5], off[:5]) == []


def test_a_rate_above_ten_is_doubted():
    assert high_rate(3e-4, "lr") is None and "peaks at 1e3" in (high_rate(1000.0, "lr_x") or "")


def test_the_one_number_of_many_digits_is_found():
    assert odd_digits(LOSS) is None
    assert odd_digits(np.where(STEPS == 50, LOSS + 1e-12, LOSS)) == 4
    assert odd_digits(LOSS.astype(np.float32).astype(float)) is None
    singles = LOSS.astype(np.float32).astype(float)
    singles[7] = np.nextafter(singles[7], 9)
    assert odd_digits(singles) == 7
    assert odd_digits(np.random.default_rng(0).normal(3, 1, 50)) is None


@pytest.mark.parametrize("wild", [1e12, -1e300, np.inf])
def test_a_wild_number_hides_no_other_of_many_digits(wild):
    tenths = np.round(np.arange(50.0, 10.0, -1.0)) / 10
    tenths[7], tenths[20] = 0.612345678, wild
    assert odd_digits(tenths) == 7
    tenths[7] = 4.3
    assert odd_digits(tenths) is None


def test_what_a_computation_rounds_off_is_no_damage():
    rates = np.array([8e-3] * 20 + [7e-3, 5e-3])
    assert odd_digits(np.append(rates, 0.0077599999999999995)) is None
    assert odd_digits(np.append(rates, 0.0002599999999999998)) is None  # of 0.008 (1 - 0.9675)
    assert odd_digits(np.append(rates, [0.0077599999999999995, 0.0077599999999])) == 23


def test_the_one_step_off_the_grid_is_found():
    steps = STEPS.astype(float)
    assert off_grid(steps) is None and off_grid(np.append(steps, 203.0)) is None
    assert off_grid(np.where(steps == 50, 54, steps)) == 5 - 1
    assert off_grid(np.where(steps == 10, 2, steps)) == 0


def parquet(loss, steps=STEPS) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"step": steps, "loss": loss}), out, compression="none", use_dictionary=False)
    return out.getvalue()


def flipped(data: bytes, value: float, byte: int, bit: int) -> bytes:
    """The file with one bit of a value's eight bytes flipped."""
    at = data.index(np.float64(value).tobytes()) + byte
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@pytest.mark.parametrize(
    "byte, bit, sentence",
    [
        (0, 3, "has more digits than the other numbers"),
        (5, 0, "has more digits than the other numbers"),
        (7, 6, "the footer says"),  # the exponent
    ],
)
def test_a_flipped_bit_in_parquet_is_told(byte, bit, sentence):
    data = parquet(LOSS)
    assert "damaged" not in said(read_source(Source("a.parquet", data)))
    report = read_source(Source("a.parquet", flipped(data, LOSS[6], byte, bit)))
    assert sentence in said(report)


def test_a_value_of_the_dictionary_that_no_row_has_is_told():
    out = io.BytesIO()
    pq.write_table(pa.table({"step": STEPS, "loss": LOSS}), out, compression="none")
    data = out.getvalue()
    found = []
    for at in range(data.index(LOSS[-1].tobytes()) + 8, data.index(b"schema")):
        if (report := read_source(Source("a.parquet", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]))).runs:
            changed = not np.array_equal(report.runs[0].loss, LOSS)
            found.append((changed, "damaged" in said(report)))
    assert (True, True) in found and (True, False) not in found


def test_a_column_that_lost_its_name_is_told():
    table = pa.table({"step": STEPS, "loss": LOSS, "val_loss": np.round(LOSS + 1, 4)})
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table.to_pandas()), out)
    data = out.getvalue()
    at = data.index(b"val_loss")  # in the schema; it stands again in what pandas says of its columns
    report = read_source(Source("a.parquet", data[:at] + b"vam_loss" + data[at + 8 :]))
    assert "its table of pandas names a column 'val_loss', which is not there" in said(report)

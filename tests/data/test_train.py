"""The training program: what a log holds, that a seed fixes it to the last digit; the model and its texts."""

import math

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="the training program needs torch; nothing else does")

from data.corpus import Corpus, batches, heldout_windows, load_corpus  # noqa: E402
from data.model import Transformer, next_byte_loss  # noqa: E402
from data.pretrain import LOG_EVERY, Log, pretrain  # noqa: E402
from data.sweep import COLUMNS, Size, SweepError  # noqa: E402
from optlaws_core.schedules import parse  # noqa: E402
from tests.data.training import COSINE, TINY, corpus, finished, rows_of, spec  # noqa: E402

# The log


def test_a_row_closes_every_window_of_updates_and_the_run():
    log = rows_of(finished()[0])
    assert list(log) == ["step", "lr", "train_loss", "val_loss", "grad_norm"]
    assert log["step"] == [*range(LOG_EVERY - 1, 229, LOG_EVERY), 229]
    assert [s for s, v in zip(log["step"], log["val_loss"], strict=True) if v is not None] == [49, 99, 149, 199, 229]


def test_the_lr_column_is_the_schedule_exactly():
    log = rows_of(finished()[0])
    assert log["lr"] == parse(COSINE)(log["step"]).tolist()


def test_the_loss_starts_near_chance_and_falls():
    losses = rows_of(finished()[0])["train_loss"]
    assert losses[0] > 3.5 > losses[-1] + 0.5  # ln 256 = 5.55 is chance


def test_the_row_sums_up_the_log():
    log, row = rows_of(finished()[0]), spec().row | finished()[1]
    assert (float(row["final_train_loss"]), float(row["final_val_loss"])) == (
        log["train_loss"][-1],
        log["val_loss"][-1],
    )
    assert (row["total_steps"], row["warmup_steps"], row["peak_lr"], row["seed"]) == ("230", "10", "0.01", "1")
    assert (row["params"], row["batch_tokens"], row["outcome"]) == (str(TINY.params), "128", "finished")
    assert parse(row["schedule"]) == parse(COSINE)
    assert {*row, "file"} == set(COLUMNS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the promise is made for the CPU")
def test_the_seed_fixes_every_digit():
    assert pretrain(spec(), corpus())[0] == finished()[0]
    assert pretrain(spec(seed=2), corpus())[0] != finished()[0]


def test_a_run_that_leaves_the_finite_numbers_stops_and_says_so():
    log, result = pretrain(spec("constant(peak=1e14, warmup=1, total=225)"), corpus())
    assert (result["outcome"], result["final_val_loss"]) == ("diverged", "")
    assert rows_of(log)["step"] == [LOG_EVERY - 1] and math.isnan(log["train_loss"][0].as_py())
    assert log["val_loss"].type == pa.float64()  # also where all of it is missing


@pytest.mark.parametrize(
    "train_loss, val_loss, outcome",
    [
        ([3.0, 2.0, 1.9], [2.0, 1.9], "finished"),
        ([3.0, 2.0, 2.6, 2.0], [2.0, 2.0], "spiked"),  # 0.6 nats up, and back
        ([3.0, 2.0, 2.4, 2.0], [2.0, 2.0], "finished"),  # 0.4 is no spike
        ([3.0, 2.0, 2.2], [2.0, 2.11], "diverged"),  # more than 5 % above its lowest
        ([3.0, 2.9, 2.9], [2.9, 2.9], "diverged"),  # has learned no more than byte frequencies
        ([2.5, 3.1, 2.7], [2.7, 2.7], "diverged"),  # came back from a spike to hardly less than they give
        ([2.5, 3.1, 2.6], [2.6, 2.6], "spiked"),
        ([3.0, math.nan], [2.9], "diverged"),
        ([3.0, 2.0], [2.0, math.inf], "diverged"),
    ],
)
def test_the_outcome_is_read_from_the_log(train_loss, val_loss, outcome):
    assert Log(train_loss=train_loss, val_loss=val_loss).outcome(byte_frequency_loss=2.8) == outcome


def test_byte_frequencies_alone_give_the_entropy():
    text = np.tile(np.array([65, 66], np.uint8), 500_000)
    assert Corpus(text, text).byte_frequency_loss == pytest.approx(math.log(2), abs=3e-4)


# A run that starts from another


def test_a_child_goes_on_from_its_parents_weights(tmp_path):
    keep = tmp_path / "weights" / "x.pt"
    kept, _ = pretrain(spec(), corpus(), keep=keep)
    assert kept == finished()[0]  # keeping the weights changes nothing
    other = Corpus(corpus().heldout, corpus().train)
    still = spec("constant(peak=1e-9, total=50)", "child", parent="x")
    log = rows_of(pretrain(still, other, start=keep, parent_corpus=corpus())[0])
    assert list(log) == ["step", "lr", "train_loss", "val_loss", "grad_norm", "parent_val_loss"]
    # A rate of nearly nothing leaves the weights alone: on the parent's text, the child ends as the parent did.
    assert log["parent_val_loss"][-1] == pytest.approx(kept["val_loss"][-1].as_py(), abs=2e-5)
    assert log["val_loss"][-1] != log["parent_val_loss"][-1]


# The model and the text


def test_the_parameter_count_is_the_formula():
    for size in (TINY, Size("small", d_model=64, layers=2, heads=4, context=128)):
        assert Transformer(size).parameter_count == size.params


def test_no_byte_sees_the_future():
    torch.manual_seed(0)
    model = Transformer(TINY)
    text = torch.randint(256, (1, 32))
    changed = text.clone()
    changed[0, 20] = (text[0, 20] + 1) % 256
    differs = (model(text) != model(changed)).any(-1)[0]
    assert not differs[:20].any() and differs[20]


def test_the_loss_is_the_mean_negative_log_probability():
    torch.manual_seed(0)
    model = Transformer(TINY)
    windows = torch.randint(256, (2, 9))
    logp = model(windows[:, :-1]).log_softmax(-1)
    slow = [-logp[b, t, windows[b, t + 1]].item() for b in range(2) for t in range(8)]
    assert next_byte_loss(model, windows).item() == pytest.approx(np.mean(slow), rel=1e-5)  # float32


def test_the_order_of_the_text_depends_on_the_seed_alone():
    text = np.arange(5000, dtype=np.int64) % 251

    def first_windows(seed, batch):
        stream = batches(text, seed, batch, context=8)
        return np.concatenate([next(stream) for _ in range(24 // batch)])

    np.testing.assert_array_equal(first_windows(1, 4), first_windows(1, 8))
    assert (first_windows(1, 4) != first_windows(2, 4)).any()


def test_held_out_windows_are_spread_over_all_of_the_text():
    windows = heldout_windows(np.arange(100), count=4, context=9)
    np.testing.assert_array_equal(windows[:, 0], [0, 30, 60, 90])
    np.testing.assert_array_equal(windows[-1], np.arange(90, 100))


def test_the_library_skips_tests_and_packages_and_keeps_every_file_on_its_side(tmp_path):
    for i in range(60):
        (tmp_path / f"m{i}.py").write_text(f"<{i}>")
    before = load_corpus("library", tmp_path)
    for skipped in ("test/a.py", "email/tests/b.py", "site-packages/c.py", "_sysconfigdata__x.py", "readme.txt"):
        path = tmp_path / skipped
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
    assert load_corpus("library", tmp_path).sha256 == before.sha256
    (tmp_path / "new.py").write_text("<new>")
    after = load_corpus("library", tmp_path)
    for side in ("train", "heldout"):
        assert set(getattr(before, side).tobytes().split(b">")) <= set(getattr(after, side).tobytes().split(b">"))


def test_the_other_texts_share_nothing_with_the_library(tmp_path):
    for i in range(60):
        (tmp_path / "test").mkdir(exist_ok=True)
        (tmp_path / f"m{i}.py").write_text("L")
        (tmp_path / "test" / f"t{i}.py").write_text("T")
    (tmp_path / "pydoc_data").mkdir()
    (tmp_path / "pydoc_data" / "topics.py").write_text("M" * 100_000)
    for text, letter in (("library", b"L"), ("tests", b"T"), ("topics", b"M")):
        found = load_corpus(text, tmp_path)
        assert {*found.train.tobytes(), *found.heldout.tobytes()} == {*letter}
    assert len(found.train) + len(found.heldout) == 100_000  # every byte of the manual is on one side


@pytest.mark.parametrize("text", ["library", "tests", "topics"])
def test_a_text_that_is_not_there_is_refused(tmp_path, text):
    with pytest.raises(SweepError, match=f"{text!r} needs .* got 0 and 0 bytes"):
        load_corpus(text, tmp_path)

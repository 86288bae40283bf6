"""Readers: the batch that a log shows beside the one that is declared."""

import numpy as np
import pytest

from optlaws_core.readers import Source, read_all
from optlaws_core.schedules import parse
from optlaws_core.schedules.part_texts import parse_batch
from tests.knowledge.logs import one, said, with_manifest

TOTAL, RATE = 400, "linear(peak=1e-3, total=400)"
STEPS, ONE, THREE = "steps([0, 173], [1024, 4096])", "steps([0], [1024])", "steps([0, 100, 300], [1024, 2048, 4096])"
RAMP = "ramp([0, 200], [1024, 4096])"


def log(batch: str, column: str = "tokens", first: int = 0, every: int = 10) -> str:
    """A log of that batch, which counts its updates from `first` on."""
    sizes = parse_batch(batch)(np.arange(TOTAL))
    shown = np.cumsum(sizes) if column == "tokens" else sizes
    rows = (f"{k + first},{shown[k]:.0f},{3 - k / 1000},1e-3\n" for k in range(every - 1, TOTAL, every))
    return f"step,{column},loss,lr\n" + "".join(rows)


def read(batch: str, declared: str, head: str = "batch_schedule", **kwargs) -> tuple:
    """The batch schedule of the run, in the text form, the batch size of its plan, and what was said of the batch."""
    run, report = with_manifest(log(batch, **kwargs), declared, head=head)
    found = getattr(run.plan.schedule, "batch", None)
    about = [note.text for note in report.notes if "batch" in note.text or "okens" in note.text]
    return found and found.text, run.plan.batch_tokens, " ".join(about)


@pytest.mark.parametrize("column", ["tokens", "batch_tokens"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("batch", [STEPS, THREE, RAMP, ONE])
def test_a_column_that_agrees_with_what_is_declared_changes_nothing_and_says_nothing(batch, first, column):
    assert read(batch, batch, column=column, first=first) == (batch, 1024, "")


@pytest.mark.parametrize("batch", [STEPS, THREE])
def test_where_the_batch_changed_elsewhere_the_column_holds(batch):
    found, size, told = read(batch, "steps([0, 50], [1024, 4096])")
    assert (found, size) == (batch, 1024)
    assert f"The batch, {batch}, was taken from the column 'tokens'" in told
    assert "the declared batch_schedule, steps([0, 50], [1024, 4096]), differs from it by up to" in told


def test_where_the_batch_never_changed_the_column_holds():
    found, size, told = read(ONE, STEPS)
    assert (found, size) == (None, 1024)
    assert told == (
        "The batch size, 1,024 tokens per update, was taken from the column 'tokens'; the declared batch_schedule, "
        f"{STEPS}, was not used."
    )


def test_a_column_that_is_no_plan_leaves_what_is_declared_and_says_how_far_it_is_off():
    found, size, told = read(RAMP, STEPS)
    assert (found, size) == (STEPS, 1024)
    assert "'tokens' differs from the declared batch, steps([0, 173], [1024, 4096]), by up to 1" in told
    assert "the declared one was kept" in told


def test_a_declared_size_yields_to_another_one_that_is_seen():
    assert read(ONE, "1024", "batch_tokens") == (None, 1024, "")
    assert read(ONE, "1030", "batch_tokens") == (None, 1030, "")  # padding, or rounding
    told = "The batch size, 1,024 tokens per update, was taken from the column 'tokens'; 4,096 tokens were declared."
    assert read(ONE, "4096", "batch_tokens") == (None, 1024, told)
    found, size, told = read(STEPS, "4096", "batch_tokens")
    assert (found, size) == (None, 4096) and f"batch_schedule={STEPS} declares it" in told
    found, size, told = read(RAMP, "4096", "batch_tokens")
    assert (found, size) == (None, 4096) and "differs from the declared batch, 4,096 tokens per update" in told


def test_a_batch_in_the_text_of_the_schedule_is_held_against_the_column():
    more = "average=ema(100); weight_decay=0.1"
    found, size, told = read(THREE, f"rate={RATE}; batch={STEPS}; {more}", "schedule")
    assert (found, size) == (THREE, 1024) and f"The batch, {THREE}, was taken" in told
    bare = log(STEPS).replace(",lr", ",other")  # a rate that the declared one contradicts wins
    run, _ = with_manifest(bare, f"rate={RATE}; {more}", STEPS, head="schedule,batch_schedule")
    assert run.plan.schedule == parse(f"rate={RATE}; batch={STEPS}; {more}")


def test_two_batches_of_one_run_are_one_sentence():
    head = "run,file,schedule,batch_schedule\nmine,a.csv"
    both = Source("m.csv", f'{head},"rate={RATE}; batch={STEPS}","{THREE}"\n'.encode())
    (error,) = read_all([Source("a.csv", log(STEPS).encode()), both]).errors
    assert str(error) == "m.csv, row 2, column batch_schedule: the schedule names another batch; give it once."


def shown(rows, column: str = "tokens", declared: str = "1024", head: str = "batch_tokens") -> tuple:
    """The batch size of a run whose log has these pairs of step and tokens, and what was said of the batch."""
    lines = "".join(f"{step},{tokens},{3 - i / 10_000}\n" for i, (step, tokens) in enumerate(rows))
    cells, names = (declared, "linear(peak=1e-3, total=20000)"), f"{head},schedule"
    run, report = with_manifest(f"step,{column},loss\n{lines}", *cells, head=names)
    return run.plan.batch_tokens, " ".join(n.text for n in report.notes if "batch" in n.text or "tokens" in n.text)


def test_a_row_counts_as_many_updates_as_it_stands_for():
    rows = [(k, 1024) for k in range(1, 1001)] + [(k, 4096) for k in range(2000, 11_000, 1000)]
    assert "The batch changes: 1,024, then 4,096 tokens per update." in shown(rows, "batch_tokens")[1]
    rows = [(10 * k, 1_024_000 if k == 20 else 1024) for k in range(1, 41)]
    assert "by up to 96 % of the tokens read" in shown(rows, "batch_tokens")[1]


@pytest.mark.parametrize(
    "counts",
    [
        lambda k: 1024 * k if k <= 200 else 1024 * (k - 200),  # from 0 again
        lambda k: 1024 * k if k <= 200 else 1024 * (k + 100_000),  # from elsewhere
    ],
)
def test_a_resume_that_changes_the_count_of_tokens_changes_no_batch(counts):
    rows = [(k, counts(k)) for k in range(10, 410, 10)]
    assert shown(rows) == (1024, "") and shown(rows, declared=STEPS, head="batch_schedule")[0] == 1024
    assert "1,024 tokens per update, was taken" in shown(rows, declared="4096")[1]


def test_rows_that_a_resume_goes_over_again_count_once():
    once, again = range(10, 310, 10), range(210, 410, 10)
    rows = [(k, 1024 * k) for k in once] + [(k, 1024 * (k + 100)) for k in again]
    assert shown(rows) == (1024, "")
    assert shown([(k, 1024 * k) for k in reversed(once)]) == (1024, "")


def test_a_count_that_was_rounded_is_no_change_of_the_batch():
    assert shown([(k, 1024 * k // 15_000 * 15_000) for k in range(10, 4010, 10)]) == (1024, "")


@pytest.mark.parametrize("sizes", [[4096], [1024, 1030, 1018]])
def test_a_column_that_does_not_grow_tells_no_batch(sizes, recwarn):
    rows = [(10 * k, sizes[k % len(sizes)]) for k in range(1, 41)]
    told = "The column 'tokens' does not grow with the steps, so it tells no batch."
    assert shown(rows, declared="4096") == (4096, told)
    assert shown(rows, declared="steps([0, 173], [1x, 4x])", head="batch_schedule") == (None, told)
    assert not recwarn.list


def test_multiples_count_in_what_the_column_shows():
    relative = "steps([0, 173], [1x, 4x])"
    found, size, told = read(STEPS, relative)
    assert (found, size) == (relative, 1024)
    assert "What 1x of the declared batch is, 1,024 tokens, was taken from the column 'tokens'." in told
    assert read(THREE, relative)[:2] == (THREE, 1024)


def test_a_column_of_batches_gives_the_batch_where_there_are_no_tokens():
    run, report = one("a.csv", log(ONE, column="batch_tokens"))
    assert run.plan.batch_tokens == 1024 and "taken from the column 'batch_tokens'" in said(report)
    run, report = one("a.csv", log(STEPS, column="tokens_per_step", every=1))
    assert f"batch_schedule={STEPS} declares it" in said(report)


@pytest.mark.parametrize("batch", [STEPS, RAMP, "steps([0, 100k], [1024, 4096], by=tokens)"])
def test_an_axis_in_tokens_counts_updates_by_the_declared_batch(batch):
    rows = "".join(f"{parse_batch(batch).pieces.seen(k):.0f},{3 - k / 1000}\n" for k in range(0, TOTAL, 10))
    run, report = with_manifest("tokens,loss\n" + rows, RATE, batch, head="schedule,batch_schedule")
    assert run.steps.tolist() == [*range(0, TOTAL, 10)] and "counted from the tokens" in said(report)
    assert run.plan.batch_tokens == 1024


@pytest.mark.parametrize("cell", ["inf", "1e300", "-5"])
def test_an_amount_of_tokens_that_no_run_reads_loses_its_row_alone(cell):
    rows = "".join(f"{1024 * k},{3 - k / 1000}\n" for k in range(0, 300, 10))
    run, report = with_manifest(f"tokens,loss\n{rows}{cell},2\n", RATE, STEPS, head="schedule,batch_schedule")
    assert len(run.steps) == 30 and "1 row without a step dropped (first in line 32)" in said(report)

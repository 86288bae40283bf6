"""The failing inputs that users brought, each with its right reading, as the README beside them says it."""

import pytest

from optlaws_core.readers import FileReport, Source, read, read_source
from tests.places import ROOT

CASES = ROOT.parent / "shared" / "cases" / "logs"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="The cases are kept beside the checkout, and are not there.")


def case(name: str, **answers: str) -> FileReport:
    return read_source(Source(name, CASES / name), answers=answers)


def curve(report: FileReport, run: int = 0, split: str = "train") -> tuple[int, int, int, float, float]:
    """Points, first and last step, first and last loss."""
    found = report.runs[run].series[split]
    return len(found), int(found.steps[0]), int(found.steps[-1]), float(found.loss[0]), float(found.loss[-1])


def said(report: FileReport) -> str:
    return " | ".join(n.text for n in report.notes)


def asked(report: FileReport) -> list[str]:
    return [q.key for q in report.questions]


S_TRUTH = (100, 10, 1000, pytest.approx(4.94154, abs=5e-4), pytest.approx(3.25335, abs=5e-4))


@pytest.mark.parametrize(
    "name",
    [
        "decimal_comma.tsv",
        "excel_sep_line.csv",
        "second_header_midway.csv",
        "microbatches_at_one_step.csv",
        "lr_list_per_group.jsonl",
        "lr_decay_iters_before_lr.csv",
        "maxtext_metrics.jsonl",
        "pandas_nameless_index.csv",
    ],
)
def test_the_common_run_is_read_with_its_rate(name):
    report = case(name)
    assert report.error is None and len(report.runs) == 1
    assert curve(report) == S_TRUTH
    (run,) = report.runs
    assert run.lr_source == "logged"
    rates = run.plan.schedule([10, 100, 1000])
    assert rates.tolist() == pytest.approx([3e-5, 3e-4, 3e-5], rel=1e-3)


def test_a_column_without_a_name_is_asked_about():
    assert asked(case("pandas_nameless_index.csv")) == ["x"]
    assert case("pandas_nameless_index.csv", x="updates").questions == ()


def test_a_second_header_brings_its_column():
    report = case("second_header_midway.csv")
    assert curve(report, split="val")[:3] == (50, 510, 1000) and "Another header stands in line 52" in said(report)


def test_micro_batches_at_one_step_are_averaged():
    report = case("microbatches_at_one_step.csv")
    assert curve(report)[3:] == (pytest.approx(4.94154, abs=5e-6), pytest.approx(3.25335, abs=5e-6))
    assert "100 steps stood 8 times" in said(report)


def test_a_run_a_column():
    report = case("run_per_column.csv")
    assert [r.name for r in report.runs] == ["lr=1e-3", "lr=3e-4", "lr=1e-4"]
    firsts = [(4.94154, 3.25335), (4.99079, 3.30260), (5.04429, 3.35185)]
    assert [curve(report, i)[3:] for i in range(3)] == firsts


def test_json_of_every_shape():
    assert curve(case("nested_metrics.json"))[:2] == (20, 250)
    assert curve(case("nested_metrics.json"))[3] == 1.2912215871810913
    report = case("list_of_step_train_val.json")
    assert asked(report) == ["columns"]
    assert curve(report) == (25, 200, 5000, 5.954643909931183, 2.838142204284668)
    assert curve(report, split="val") == (25, 200, 5000, 6.021238269805909, 4.801538512706757)
    other = case("list_of_step_train_val.json", columns="step-val-train")
    assert curve(other)[3] == 6.021238269805909
    report = case("lists_of_unlike_length.json")
    assert report.layout.x == "track_tokens_seen" and dict(report.layout.losses) == {"train": "train_losses"}
    assert "left out: val_losses" in said(report) and "counts tokens" in report.error


@pytest.mark.parametrize(
    "name, points, peak",
    [
        ("llamafactory_trainer_log.jsonl", (200, 5, 1000, 2.3475, 1.9919), 5e-5),
        ("llamafactory_total_tokens_zero.jsonl", (180, 10, 1800, 2.4977, 0.4305), 5e-5),
    ],
)
def test_llama_factory_counts_current_steps(name, points, peak):
    report = case(name)
    assert report.layout.x == "current_steps" and curve(report) == points
    assert report.runs[0].lr_source == "logged"
    rates = report.runs[0].plan.schedule(report.runs[0].steps)
    assert max(rates) == pytest.approx(peak, rel=0.05)
    (facts,) = report.facts.values()
    assert facts.total_steps == {200: 2178, 180: 8660}[points[0]]


def test_trainer_states():
    report = case("trainer_state_lr_key.json")
    assert report.runs[0].lr_source == "logged" and report.runs[0].plan.schedule(20) == 1e-4
    assert report.facts[report.runs[0].name].total_steps == 252780
    report = case("trainer_state_logged_per_epoch.json")
    assert curve(report)[:3] == (30, 401, 12030)
    assert "500 steps" not in said(report) and "401 since the row before" in said(report)


def test_charts():
    report = case("wandb_two_runs_one_name.csv")
    assert [r.name for r in report.runs] == ["base", "base (2)"]
    assert curve(report) == (100, 10, 1000, 4.941543, 3.253354)
    assert curve(report, 1) == (100, 10, 1000, 5.141543, 3.453354)
    assert "2 runs of the chart are called 'base'" in said(report)
    report = case("wandb_chart_epoch_x.csv")
    assert report.runs == () and asked(report) == ["x"]
    answered = case("wandb_chart_epoch_x.csv", x="log-calls:10")
    assert curve(answered) == (100, 0, 990, 4.941543, 3.253354)


def test_the_loss_that_spans_the_run_is_taken_and_the_other_offered():
    report = case("algoperf_measurements.csv")
    assert curve(report)[:3] == (27, 1, 59547) and asked(report) == ["loss"]
    assert curve(case("algoperf_measurements.csv", loss="loss"))[:3] == (100, 0, 99)


def test_a_counter_that_restarts_counts_on():
    report = case("step_counter_restarts.csv")
    assert asked(report) == ["restart"] and curve(report) == (100, 10, 1000, 4.941543, 3.253354)
    assert report.runs[0].plan.schedule.text == "cosine(peak=3e-4, warmup=100, total=1000, final=3e-5)"


def test_micro_batches_are_seen_by_the_rate():
    report = case("litgpt_metrics_microbatches.csv")
    assert asked(report) == ["x"] and report.questions[0].typed[0] == "x=micro-batches:NUMBER"
    assert curve(report)[:3] == (5, 1, 5) and curve(case("litgpt_metrics_microbatches.csv", x="updates"))[0] == 71


def test_steps_of_a_chart_may_be_calls_of_the_logger():
    report = case("wandb_chart_step_is_log_calls.csv")
    assert asked(report) == ["x"] and [run.last_step for run in report.runs] == [50, 56]
    answered = case("wandb_chart_step_is_log_calls.csv", x="log-calls:250")
    assert [run.last_step for run in answered.runs] == [12_500, 14_000]


@pytest.mark.parametrize(
    "name, rows", [("steplaw_final_losses.csv", 199), ("chinchilla_points.csv", 245), ("wandb_runs_table.csv", 12)]
)
def test_tables_of_finished_runs_are_sent_on(name, rows):
    report = case(name)
    assert report.is_table and f"a table of {rows} finished runs" in report.error


def test_runs_of_one_base_name_are_two():
    reading = read(CASES / "same_name")
    assert [run.name for run in reading.runs] == ["run_a", "run_b"]
    assert [len(run.loss) for run in reading.runs] == [10, 100]


def test_a_schedule_goes_on_behind_a_log_that_stopped_early():
    report = case("trainer_state_stopped_early.json")
    assert report.runs[0].plan.schedule.text == "linear(peak=3e-4, warmup=0, total=5000)"
    assert any("lies beyond the log" in note.text for note in report.notes)


def test_shapes_are_told_apart():
    runs = {run.name: run.plan.schedule for run in read(CASES / "shapes").runs}
    assert {name: schedule.family for name, schedule in runs.items()} == {
        "constant_24000": "constant",
        "cosine_24000": "cosine",
        "wsdcon_9": "step",
    }
    assert runs["cosine_24000"].text == "cosine(peak=3e-4, warmup=2160, total=24000, final=3e-5)"
    assert (runs["wsdcon_9"].boundaries, runs["wsdcon_9"].values) == ((8000,), (9e-5,))


@pytest.mark.parametrize(
    "name, said",
    [
        ("book.xlsx", "this is an Excel workbook; save the sheet as CSV."),
        ("git_lfs_pointer_trainer_state.json", "run 'git lfs pull'"),
        ("megatron_all_iterations_skipped.out", "none of its 4 iterations has a loss, since each was skipped"),
    ],
)
def test_what_is_no_log_is_refused_with_what_to_do(name, said):
    report = case(name)
    assert report.runs == () and said in report.error


def test_the_order_of_the_files_changes_nothing():
    paths = sorted(path for path in CASES.iterdir() if path.suffix in (".csv", ".json", ".jsonl"))
    one, two = read(*paths), read(*reversed(paths))
    assert [(run.name, run.loss.tolist()) for run in one.runs] == [(run.name, run.loss.tolist()) for run in two.runs]

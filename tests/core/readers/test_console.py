"""What programs print while they train: each kind of line, by the values that stand in it."""

import pytest

from optlaws_core.readers import Source, read_source
from tests.knowledge.logs import said
from tests.places import CASES

NAME = "console log"


def report_of(text: str | bytes, answers: dict | None = None, name: str = "a.log"):
    report = read_source(Source(name, text.encode() if isinstance(text, str) else text), answers=answers or {})
    assert report.format == NAME, report
    return report


def run_of(text: str | bytes, answers: dict | None = None):
    report = report_of(text, answers)
    assert report.error is None, report.error
    (run,) = report.runs
    return run, report


def points(run, split: str = "train") -> list[tuple[int, float]]:
    series = run.series[split]
    return list(zip(series.steps.tolist(), series.loss.tolist(), strict=True))


def rates(run, steps) -> list[float]:
    assert run.lr_source == "logged"
    return run.plan.schedule(steps).tolist()


# ---- the cases that stand beside the repository


def ends(run, split: str):
    series = run.series[split]
    return len(series.steps), int(series.steps[0]), int(series.steps[-1]), float(series.loss[0]), float(series.loss[-1])


CONSOLES = {
    "nanogpt_stdout.log": {"train": (633, 0, 632, 4.4512, 1.3891), "val": (4, 0, 600, 4.4402, 1.6848)},
    "buildnanogpt_log.txt": {"train": (1190, 0, 1189, 10.955011, 4.223661), "val": (5, 0, 1000, 10.9519, 4.7063)},
    "llmc_main.log": {"train": (636, 0, 19_559, 11.0091, 3.2217), "val": (4, 0, 19_560, 11.0092, 3.2722)},
    "modded_nanogpt_muon.txt": {"train": (299, 1, 6200, 10.9184, 3.2533), "val": (4, 0, 6200, 10.9264, 3.2785)},
    "megatron_slurm.out": {"train": (7, 50, 350, 6.258318, 3.181144)},
    "torchtitan_two_ranks.log": {"train": (20, 10, 200, 4.94154, 3.70738)},
    "maxtext.log": {"train": (5, 0, 4, 12.038, 11.110)},
    "hf_trainer_stdout.log": {
        "train": (3, 80, 100, 2.6721, 2.4007),
        "eval": (3, 80, 100, 2.578946828842163, 2.2932491302490234),
    },
    "torchtune.txt": {"train": (100, 10, 1000, 4.941543, 3.253354)},
    "python_logging_comma.log": {"train": (18, 50, 900, 50.4785, 37.4471), "eval": (4, 200, 800, 11.7383, 9.3215)},
    "dllogger.json": {"train": (98, 0, 97, 4.18359375, 4.45703125)},
}


def case(name: str) -> bytes:
    path = CASES / name
    if not path.exists():
        pytest.skip("the cases of real logs are not beside this checkout")
    return path.read_bytes()


@pytest.mark.parametrize("name", CONSOLES)
def test_a_real_console_log_is_read_as_it_stands(name):
    run, report = run_of(case(name))
    found = {split: ends(run, split) for split in run.series if split != "train_estimate"}
    assert found == CONSOLES[name]
    logged = {"llmc_main.log", "megatron_slurm.out", "hf_trainer_stdout.log", "torchtune.txt", "dllogger.json"}
    assert (run.lr_source == "logged") == (name in {*logged, "python_logging_comma.log"})
    assert bool(report.questions) == (name == "hf_trainer_stdout.log")


def test_what_the_real_logs_say_beside_their_losses_is_told():
    assert "printed in steps of 1e-6" in said(run_of(case("llmc_main.log"))[1])
    assert "about 4 times those of 'eval'" in said(run_of(case("python_logging_comma.log"))[1])
    run, report = run_of(case("megatron_slurm.out"))
    assert rates(run, [50, 350]) == [8e-6, 5.6e-5]
    facts = report.facts[run.name]
    assert (facts.batch_size, facts.total_steps) == (1008, 242_204)


def test_real_logs_that_hold_no_curve_are_refused_with_a_sentence():
    skipped = read_source(Source("x.out", case("megatron_all_iterations_skipped.out")))
    assert skipped.error == (
        "x.out: none of its 4 iterations has a loss, since each was skipped; give the log of a run that trained."
    )
    assert "at least 2 points" in report_of(case("fairseq_json.log")).error

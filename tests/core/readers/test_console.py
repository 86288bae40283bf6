"""What programs print while they train: each kind of line, by the values that stand in it."""

import math
import random

import pytest

from optlaws_core.readers import FORMATS, Source, formats, read, read_source
from optlaws_core.readers.format import Content
from optlaws_core.readers.norms import gradient_norms
from tests.fuzz.seeds import OF_FORMAT
from tests.knowledge.logs import fault, said
from tests.places import CASES
from tests.support.console_logs import NAME, SOURCE, TENS, TRAIN, close, lines, points, rates, report_of, run_of

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


# ---- every kind of line


MEGATRON = (
    "[2025-03-31 05:54:07] iteration {s:8d}/  1000 | consumed samples: "
    "{t:12d} | elapsed time per iteration (ms): 1552.8 | "
    "learning rate: {lr:.6E} | global batch size:  1000 | lm loss: {y:.6E} | loss scale: 1.0 | grad norm: 1.520 | "
    "number of skipped iterations:   0 | number of nan iterations:   0 |"
)
OLD_MEGATRON = (
    " iteration {s:8d}/  1000 | consumed samples: {t:12d} | consumed tokens: "
    "{t:12d} | elapsed time per iteration (s): 15.23 | "
    "learning rate: {lr:.3E} | global batch size: 1000 | lm loss: {y:.6E} | "
    "load_balancing_loss: 1.0E+00 | num zeros: 0.0 |"
)
NEOX = (
    " samples/sec: 123.456 | iteration {s:8d}/  1000 | elapsed time per "
    "iteration (ms): 1500.1 | learning rate: {lr:.3E} | "
    "approx flops per GPU: 49.9TFLOPS | lm_loss: {y:.6E} | loss scale: 4096.0 | number of skipped iterations:   0 |"
)
NEMO = (
    "Training epoch 0, iteration {s}/149 | lr: {lr:.4g} | consumed_samples: "
    "{n} | global_batch_size: 1 | global_step: {s} | "
    "reduced_train_loss: {y:.4g} | train_step_timing in s: 0.03146"
)
TITAN = (
    "[titan] 2026-05-18 16:04:46,338 - root - INFO - step: {s:2d}  loss: "
    "{y:8.5f}  grad_norm:  0.8319  memory:  9.46GiB(64.99%)"
    "  tps: 7,282  tflops: 0.52  mfu: 0.17%"
)
MAXTEXT = (
    "I0804 08:20:00.0 1 x.py:210] completed step: {s}, seconds: 0.3, TFLOP/s/device: 140.1, Tokens/s/device: 900.1, "
    "total_weights: 196608, loss: 9.999, lm_loss: {y:.3f}, perplexity: 1234.5"
)
OLMO = (
    "[2024-04-17 09:42:26] INFO     [olmo.train:816, rank=0] "
    "[step={s:,}/739,328,epoch=0]\n    train/CrossEntropyLoss={y:.4g}\n"
    "    train/Perplexity=76,631\n    throughput/total_tokens={t:,}\n    throughput/device/tokens_per_second=9,123"
)
OLMO_CORE = (
    "2026-08-08 12:01:00 INFO [olmo_core.train.callbacks.console_logger:68] [step={s}/2000,epoch=0,eta=5h11m]\n"
    "    optim/LR (group 0)={lr:.4g}\n    optim/LR (group 1)=9.9\n    train/CE loss={y:.4g}\n    train/Z loss=0.0012"
)
COMPOSER = (
    "0: [batch={s}/100]:\n0: \t Train time/batch: {s}\n0: \t Train "
    "time/token: {t}\n0: \t Train loss/train/total: 0.0053\n"
    "0: \t Train metrics/train/LanguageCrossEntropy: {y:.4f}\n0: \t Train lr-DecoupledAdamW/group0: 0.0001"
)
SWIFT = (
    "{{'loss': {y:.8f}, 'token_acc': 0.5, 'grad_norm': 1.2, 'learning_rate': {lr:.8g}, 'memory(GiB)': 12.3, "
    "'train_speed(iter/s)': 0.5, 'epoch': 0.01, 'global_step/max_steps': '{s}/873', 'percentage': '0.57%'}}"
)
MMENGINE = (
    "05/01 12:00:00 - mmengine - INFO - Iter(train) [{s:6d}/1000]  base_lr: "
    "{lr:.4e} lr: {lr:.4e}  eta: 1:23:45  time: 1.2  "
    "memory: 1234  loss: {y:.4f}  decode.loss_ce: 0.0257  grad_norm: 0.5"
)
XTUNER = (
    "[XTuner][RANK 0][2025-01-01 10:00:00][INFO] Step {s}/100 Epoch: 0 lr: "
    "{lr:.6f} time: 1.2 loss: {y:.3f} grad_norm: 1.2 tgs: 9"
)
NANOTRON = (
    "01/01/2025 10:00:00 [INFO|DP=0|PP=0|TP=0]: iteration: {s} / 100 | "
    "consumed_tokens: 93.2K | tokens_per_sec: 11.3K | "
    "global_batch_size: 1.02K | lm_loss: {y:.3g} | lr: {lr:.3g} | grad_norm: 1.4 | model_tflops_per_gpu: 0.784"
)
MINILLM = (
    "train | epoch   0 | Iter: {t:6d}/ 99999 | global iter: {s:6d}/   100 "
    "| loss: {y:.4f} | ds_loss: 0.1 | lr: {lr:.4e} | "
    "scale:  4096.0000 | micro time: 0.1 | step time: 0.4"
)
FAIRSEQ2 = "INFO fairseq2 - Train Metrics (step {s}) - Loss: {y:.3f} | Gradient Norm: 1.2 | Learning Rate: {lr:.3g}"
VAL_MEGATRON = " validation loss at iteration 40 | lm loss value: 2.500000E+00 | lm loss PPL: 1.218249E+01 | \n"

KINDS = {  # what it is -> (lines, losses of the evaluation)
    "nanoGPT": (lines("iter {s}: loss {y:.4f}, time 135.20ms, mfu 12.30%", TENS), None),
    "nanoGPT, evaluated": (
        lines("iter {s}: loss {y:.4f}, time 135.20ms, mfu -100.00%", TENS)
        + "step 40: train loss 2.8734, val loss 2.9012\nsaving checkpoint to out, best loss 1.5\n",
        [(40, 2.9012)],
    ),
    "nanochat": (
        lines(
            "step {s:05d}/21400 (0.56%) | loss: {y:.6f} | lrm: 1.00 | dt: 512.34ms | tok/sec: {t:,} | mfu: 45.10", TENS
        )
        + "Step 00040 | Validation bpb: 0.9123\n",
        None,
    ),
    "build-nanogpt": ("0 val 9.5\n0 hella 0.2487\n" + lines("{s} train {y:.6f}", TENS), [(0, 9.5)]),
    "build-nanogpt, printed": (
        lines("step {s:5d} | loss: {y:.6f} | lr {lr:.4e} | norm: 1.2345 | dt: 512.34ms | tok/sec: 998123.12", TENS),
        None,
    ),
    "llm.c": (
        "s:0 tel:11.0092\n" + lines("s:{s} trl:{y:.4f} lr:{lr:.6f} norm:15.37", TENS) + "s:40 eval:0.29\n",
        [(0, 11.0092)],
    ),
    "llm.c, printed": (
        "val loss 11.009\nstep    1/100 | loss 2.999000 (+nanz)| norm 15.3700 "
        "(+nanz)| lr 1.00e-06 | 350.00 ms | 1500 tok/s\n"
        + lines(
            "step {s:4d}/100 | loss {y:.6f} (+1.23z)| norm 15.3700 (-0.12z)| lr {lr:.2e} | 350.00 ms | 1500 tok/s", TENS
        ),
        [(0, 11.009)],
    ),
    "llm.c of 2024": (
        lines("step {s:4d}/74: train loss {y:.6f} (acc 4.367631) (80.639749 ms, 50794 tok/s)", TENS),
        None,
    ),
    "modded-nanogpt": (
        SOURCE
        + lines("step:{s}/6200 train_loss:{y:.4f} train_time:74701ms step_avg:nanms", TENS)
        + "step:40/6200 val_loss:3.2785 train_time:1339067ms step_avg:216.33ms\n",
        [(40, 3.2785)],
    ),
    "Megatron-LM": (lines("12: " + MEGATRON, TENS) + "12: " + VAL_MEGATRON, [(40, 2.5)]),
    "Megatron-DeepSpeed": (lines(OLD_MEGATRON, TENS) + VAL_MEGATRON, [(40, 2.5)]),
    "GPT-NeoX": (
        lines(NEOX, TENS) + " validation results at iteration 40 | lm_loss value: 2.5E+00 | lm_loss_ppl value: 12 |\n",
        [(40, 2.5)],
    ),
    "NeMo 2": (lines(NEMO, TENS[:2]) + lines(NEMO + " | val_loss: 4.106", TENS[2:]), [(30, 4.106)]),
    "NeMo 1": (
        lines(
            "\rEpoch 0:   1%|▏    | {n}/77225 [12:13<19:35:12, 1.08it/s, loss=3.1, v_num=, reduced_train_loss={y:.3f}, "
            "global_step={s}.0, consumed_samples={t}.0]",
            TENS,
        ),
        None,
    ),
    "OLMo": (lines(OLMO, TENS), None),
    "OLMo-core": (lines(OLMO_CORE, TENS), None),
    "torchtitan": (
        lines("[rank0]:" + TITAN, TENS) + "[titan] 2026-05-18 16:04:46,338 - root - INFO - validate step: "
        "40  loss:  2.50000  memory:  9.46GiB(64.99%)\n",
        [(40, 2.5)],
    ),
    "torchtune": (lines("Step {s} | loss:{y} lr:{lr:.8f} tokens_per_second_per_gpu:1234.5 ", TENS), None),
    "torchtune's bar": (lines("1|{s}|Loss: {y:.4f}:  20%|██    | {s}/100 [00:10<01:30,  1.1it/s]", TENS), None),
    "MaxText": (
        lines(MAXTEXT, TENS) + "eval metrics after step: 40, loss=9.855, total_weights=75264.0\n",
        [(40, 9.855)],
    ),
    "Composer": (
        lines(COMPOSER, TENS) + "[Eval batch=3/3] Eval on eval data:\n\t Eval metrics/eval/LanguageCrossEntropy: 9.9\n",
        [(40, 9.9)],
    ),
    "ms-swift": (
        lines(SWIFT, TENS)
        + "{'eval_loss': 2.1, 'epoch': 2.5, 'global_step/max_steps': '40/873'}\n"
        + "{'train_runtime': 9, 'train_loss': 2.7, 'global_step/max_steps': '873/873'}\n",
        [(40, 2.1)],
    ),
    "mmengine": (
        lines(MMENGINE, TENS) + "05/01 12:00:00 - mmengine - INFO - Iter(val) [17/17]    mIoU: 51.1200\n",
        None,
    ),
    "XTuner 1": (lines(XTUNER, TENS), None),
    "nanotron": (lines(NANOTRON, TENS), None),
    "MiniLLM": (lines(MINILLM, TENS), None),
    "fairseq2": (lines(FAIRSEQ2, TENS) + "INFO fairseq2 - Validation Metrics (step 40) - Loss: 2.9\n", [(40, 2.9)]),
    "DLLogger": (
        lines(
            'DLLL {{"timestamp": "1.5", "type": "LOG", "step": [0, {s}], '
            '"data": {{"average_loss": 9, "step_loss": {y}}}}}',
            TENS,
        )
        + 'DLLL {"type": "LOG", "step": [], "data": {"final_loss": 2.5}}\n',
        None,
    ),
    "litgpt": (
        lines("Epoch 1 | iter {t} step {s} | loss train: {y:.4f}, val: n/a | iter time: 500.12 ms (step)", TENS),
        None,
    ),
    "Python's logging": (
        lines(
            "2025-08-17 21:32:43,482 - gemma - INFO - Step {s}: "
            "Loss={y:.4f}, LR={lr:.2e}, Grad Norm=0.8640, Time=0.06s",
            TENS,
        )
        + "2025-08-17 21:33:13,783 - gemma - INFO - Eval Step 40: Loss=9.3215, Perplexity=11175.34\n",
        [(40, 9.3215)],
    ),
    "JSON behind a prefix": (lines('INFO:root:{{"step": {s}, "train/loss": {y:.3f}, "train/lr": {lr}}}', TENS), None),
    "a bare line": (lines("step {s}, loss: {y:.3f}", TENS), None),
    "a bare counter": (lines("{s} | loss {y:.4f} | lr {lr:.6e} | 7378.36ms", TENS), None),
    "a bare fraction": (lines("[{s}/1000] loss: {y:.3f} acc: 0.5", TENS), None),
    "two losses": (lines("[step {s}] train_loss={y:.3f} val_loss={n:.1f} lr=1e-3", TENS), [(s, s + 1) for s in TENS]),
    "a mean beside": (
        lines("Iteration {s}: loss = {y:.3f}, avg loss = 9.9, grad loss time = 0.5s, acc = 0.5, aux_loss = 0.1", TENS)
        + "Training finished at step 40, average loss 9.9\n",
        None,
    ),
    "Detectron2": (
        lines("[01/01 10:00:00 d2]: eta: 0:10:00  iter: {s}  total_loss: {y:.3f}  loss_cls: 1.2  lr: 0.0002", TENS),
        None,
    ),
}
LOGGED = {
    *(
        "build-nanogpt, printed",
        "llm.c",
        "llm.c, printed",
        "Megatron-LM",
        "Megatron-DeepSpeed",
        "GPT-NeoX",
        "NeMo 2",
        "OLMo-core",
    ),
    *(
        "torchtune",
        "ms-swift",
        "mmengine",
        "XTuner 1",
        "nanotron",
        "MiniLLM",
        "fairseq2",
        "Python's logging",
        "a bare counter",
    ),
    *("two losses", "Detectron2", "JSON behind a prefix"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_line_is_read_with_its_values(kind):
    text, evaluated = KINDS[kind]
    run, report = run_of(text)
    expected = [(1, 2.999), *TRAIN] if kind == "llm.c, printed" else TRAIN
    assert close(points(run), expected)
    others = [split for split in run.series if split not in ("train", "train_estimate")]
    assert [points(run, split) for split in others] == ([evaluated] if evaluated else [])
    assert (run.lr_source == "logged") == (kind in LOGGED) and report.questions == ()
    if kind in LOGGED - {"two losses", "Detectron2"}:
        assert rates(run, TENS) == pytest.approx([1e-6 * s for s in TENS])


PREFIXES = {
    "Slurm": "12: ",
    "torchrun": "[rank0]:",
    "a node": "[node1:3]: ",
    "Open MPI": "[1,0]<stdout>:",
    "Docker": "2025-03-31T05:54:07.123456789Z ",
    "logging": "2025-08-17 21:21:15,070 - train - INFO - ",
    "a time": "[2025-03-31 05:54:07] ",
    "Ray": "(TrainWorker pid=6678, ip=10.0.0.3) ",
}
UNNAMED = {"build-nanogpt", "a bare counter", "a bare fraction"}  # known by nothing but their place in a line


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_stands_before_a_line_changes_nothing(prefix):
    for kind, (text, _) in KINDS.items():
        if kind in UNNAMED and prefix in ("Docker", "Ray") or "\r" in text:
            continue
        plain, _ = run_of(text)
        run, _ = run_of("".join(f"{PREFIXES[prefix]}{line}\n" for line in text.splitlines()))
        assert {s: points(run, s) for s in run.series} == {s: points(plain, s) for s in plain.series}, kind
        assert (run.plan and run.plan.schedule) == (plain.plan and plain.plan.schedule), kind


DRESSED = {
    "colours": lambda text: "".join(f"\x1b[32m{line}\x1b[0m\n" for line in text.splitlines()),
    "Windows": lambda text: text.replace("\n", "\r\n"),
    "noise between": lambda text: "".join(
        f"{line}\nUserWarning: 3 of 4 workers were slow\n" for line in text.splitlines()
    ),
    "a cut end": lambda text: text + text.splitlines()[-1][: len(text.splitlines()[-1]) // 3],
    "every line twice": lambda text: "".join(f"[rank{r}]: {line}\n" for line in text.splitlines() for r in (0, 1)),
    "a thousand lines before": lambda text: "a line of source = code(loss)  \n" * 1000 + text,
}


@pytest.mark.parametrize("dress", DRESSED)
def test_colours_ranks_noise_and_cuts_change_no_value(dress):
    for kind, (text, _) in KINDS.items():
        if dress == "every line twice" and kind in ("Composer", "OLMo", "OLMo-core"):
            continue  # of records of several lines, each repeats its head
        plain, _ = run_of(text)
        run, _ = run_of(DRESSED[dress](text.replace("\r", "")))
        assert {s: points(run, s) for s in run.series} == {s: points(plain, s) for s in plain.series}, kind


def test_a_console_log_in_utf_16_is_read():
    run, _ = run_of(lines("step {s}, loss: {y:.3f}", TENS).encode("utf-16"))
    assert close(points(run), TRAIN)


def test_facts_that_lines_name_are_facts_of_the_run():
    run, report = run_of(KINDS["Megatron-LM"][0])
    facts = report.facts[run.name]
    assert (facts.batch_size, facts.total_steps) == (1000, 1000)
    run, report = run_of(KINDS["OLMo"][0])
    assert report.facts[run.name].batch_tokens == 1000 and report.facts[run.name].total_steps == 739_328


def test_gradient_norms_are_taken_from_console_logs():
    steps, found = gradient_norms(Source("a.log", KINDS["Megatron-LM"][0].encode()))
    assert steps.tolist() == list(TENS) and found.tolist() == [1.52] * 4


def test_losses_to_the_base_2_become_nats():
    inner = "2021-03-08 12:43:15 | INFO | train_inner | "
    simple = (
        "epoch 001: {s:6d} / 1234 loss=9.9, nll_loss={y:.3f}, ppl=13, ups=5, num_updates={s}, lr={lr:.6g}, gnorm=1.2"
    )
    json = (
        '{{"epoch": 1, "update": 0.1, "loss": "9.9", "nll_loss": "{y:.3f}", '
        '"ppl": "1", "num_updates": "{s}", "lr": "{lr:.6g}"}}'
    )
    mean = (
        "2021-03-08 12:43:15 | INFO | train | epoch 001 | loss 9.5 | "
        "nll_loss 9.8 | ppl 900 | num_updates 40 | lr 5e-05\n"
    )
    valid = (
        "2021 | INFO | valid | epoch 001 | valid on 'valid' subset | loss "
        "9.2 | nll_loss 2 | num_updates 40 | best_loss 9\n"
    )
    for template in (simple, json):
        run, report = run_of(lines(inner + template, TENS) + mean + valid)
        assert close(points(run), [(s, y * math.log(2)) for s, y in TRAIN])
        assert close(points(run, "val"), [(40, 2 * math.log(2))])
        assert report.layout.loss_unit == "bits" and "base 2" in said(report)


def test_means_of_epochs_are_taken_only_where_there_is_nothing_else_and_told():
    row = (
        '2020 | INFO | train | {{"epoch": 1, "train_loss": "9.9", '
        '"train_nll_loss": "{y:.3f}", "train_num_updates": "{s}"}}'
    )
    run, report = run_of(lines(row, TENS))
    assert close(points(run), [(s, y * math.log(2)) for s, y in TRAIN])
    assert "mean of an epoch" in said(report)


# ---- what is left out, and said


def test_ranks_without_a_loss_print_minus_one_which_is_none():
    other = lines("[rank1]:" + TITAN, TENS, -1, 0)
    run, report = run_of(lines("[rank0]:" + TITAN, TENS) + other)
    assert close(points(run), TRAIN) and "4 lines with −1 for a loss" in said(report)


def test_a_skipped_iteration_and_a_nan_leave_no_point():
    text = lines(MEGATRON, TENS) + MEGATRON.format(s=50, t=1, lr=1.0, y=float("nan"), n=1).upper() + "\n"
    text += (
        " iteration       60/  1000 | consumed samples: 60 | learning rate: "
        "1.0E-06 | number of skipped iterations:  10 |\n"
    )
    run, report = run_of(text)
    assert close(points(run), TRAIN) and "1 row with NaN" in said(report)


def test_a_cut_last_number_is_left_out_and_told():
    run, report = run_of("step 1 loss 4.4512\nstep 2 loss 4.4421\nstep 3 loss 4.39")
    assert points(run) == [(1, 4.4512), (2, 4.4421)] and "The last line ends early" in said(report)
    run, _ = run_of("step 1 loss 4.4512\nstep 2 loss 4.4421\nstep 3 loss 4.3921")
    assert points(run)[-1] == (3, 4.3921)


def test_rates_with_too_few_decimals_are_not_used():
    assert "with 4 decimals, too few to use it" in said(run_of(KINDS["Composer"][0])[1])


def test_evaluations_without_a_step_are_put_beside_one_and_told():
    text = (
        lines("step {s}: loss {y:.3f}", TENS[:2])
        + "eval: loss 2.5, acc 0.5\n"
        + lines("step {s}: loss {y:.3f}", TENS[2:])
    )
    run, report = run_of(text)
    assert points(run, "eval") == [(20, 2.5)] and "without a step, put at the last step before" in said(report)
    run, report = run_of(
        "validation loss: 9.5\n" + lines("step {s} | loss: {y:.4f}", (0, 1, 2)) + "validation loss: 2.5\n"
    )
    assert points(run, "val") == [(0, 9.5), (3, 2.5)] and "put at the next step" in said(report)


def test_lines_of_no_known_program_say_what_was_taken():
    text = "No known program's lines; taken by their names: 'mlm_loss' as 'train'."
    assert text in said(run_of("step 1 mlm_loss 3.5 kl_loss 0.1\nstep 2 mlm_loss 3.25 kl_loss 0.1\n")[1])


def test_a_rate_in_other_units_is_no_rate():
    run, _ = run_of(lines("step:{s} - train/loss:{y:.3f} - train/lr(1e-3):0.01 - train/grad_norm:1.2", TENS))
    assert close(points(run), TRAIN) and run.lr_source == "missing"


# ---- what is none


def test_refusals_say_what_a_console_log_lacks():
    assert "with a decimal comma; replace the commas by points" in fault(
        "step 1 loss 4,451\nstep 2 loss 4,442\n", "a.log"
    )
    said_so = (
        "no line of this console log has a loss; give the output of the training itself, with its steps and losses."
    )
    for text in (
        "2025-08-17 21:21:15,070 - gemma - INFO - Using MPS\n2025-08-17 21:21:15,070 - gemma - INFO - Ready: 1\n",
        "step 1 ppl: 24.5\nstep 2 ppl: 22.1\n",
    ):
        assert fault(text, "a.log") == f"a.log: {said_so}"


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_no_other_format_loses_its_files(format):
    for data in (format.sample, *OF_FORMAT.get(format.name, tuple)()):
        assert formats.format_of(Content.of(Source("a", data))).name != NAME or format.name == NAME


@pytest.mark.parametrize(
    "text",
    (
        "step loss lr\n10 3.5 1e-3\n20 3.25 1e-3\n",
        "   step  loss\n0    10  3.5\n1    20  3.2\n",
        "step,train loss,note\n10,3.5,step 10 loss 3.5\n20,3.2,step 20 loss 3.2\n",
        "| step | loss |\n|---|---|\n| 10 | 3.5 |\n| 20 | 3.25 |\n",
        "The loss fell for long.\nAfter that, all was well.\n",
        '{"step": 10, "loss": 3.5}\n{"step": 20, "loss": 3.25}\n',
    ),
)
def test_tables_prose_and_json_are_no_console_logs(text):
    assert formats.format_of(Content.of(Source("a.log", text.encode()))).name != NAME


def test_a_table_of_messages_is_read_by_its_messages():
    run, _ = run_of("timestamp,message\n" + lines('2025-01-01T10:00:00Z,"step {s} loss {y:.3f}"', TENS))
    assert close(points(run), TRAIN)


def test_source_code_longer_than_what_is_looked_at_first_is_passed_over():
    text = "x = model(inputs)  # forward\n" * 10_000 + KINDS["modded-nanogpt"][0]
    run, report = run_of(text)
    assert close(points(run), TRAIN)


def test_numbers_of_many_lines_are_the_numbers_of_single_lines():
    """Many lines are read in columns, few of them one by one: both give what Python reads."""
    rng = random.Random(0)
    rows = [(s, rng.uniform(0.001, 12), rng.choice((1e-3, 2.5e-7, 1.234e-22))) for s in range(1, 3000, 7)]
    for template in (
        "step {} loss {:.4f} lr {:.3e}",
        "step {:>8} loss {!r} lr {!r}",
        "step {:,} | loss {:.6E} | lr {:.8f}",
    ):
        run, _ = run_of("".join(template.format(*row) + "\n" for row in rows))
        shown = template.partition("loss ")[2].partition(" ")[0]
        assert points(run) == [(s, float(shown.format(y))) for s, y, _ in rows]


def test_files_of_a_folder_with_these_names_are_logs(tmp_path):
    for name in ("train.log", "slurm-1.out", "log.txt"):
        (tmp_path / name).write_text(KINDS["nanoGPT"][0])
    assert len(read(tmp_path).runs) == 3


@pytest.mark.parametrize("first", ("", "  0%|    | 0/100 [00:00<?, ?it/s]\n"))
def test_a_bar_that_is_drawn_again_behind_a_line_counts_it(first):
    row = "{{'loss': {y:.3f}, 'epoch': {e:.2f}}}\n {s}%|█▏   | {s}/100 [00:10<01:30,  1.1it/s]\n"
    run, _ = run_of(first + "".join(row.format(s=s, y=3 - s / 1000, e=s / 40) for s in (1, 2, 3, 4)))
    assert close(points(run), [(s, 3 - s / 1000) for s in (1, 2, 3, 4)])


@pytest.mark.parametrize(
    "train, evaluated",
    (
        ("Training loss at iteration {s} is {y:.3f}", "Validation loss at iteration 40: 2.5"),
        ("Loss at step {s}: {y:.3f}", "val loss at step 40 = 2.5"),
        ("epoch 1 | step {s} | train loss {y:.3f}", "epoch 1 | step 40 | validation loss 2.5"),
    ),
)
def test_a_step_may_stand_between_the_name_of_a_loss_and_its_value(train, evaluated):
    run, _ = run_of(lines(train, TENS) + evaluated + "\n")
    assert close(points(run), TRAIN) and points(run, "val") == [(40, 2.5)]


def test_evaluation_sets_of_several_names_are_splits_of_their_own():
    text = lines(MEGATRON, TENS)
    for name, loss in (("hplt", 2.5), ("code", 1.5)):
        text += f" validation loss at iteration 40 [{name}] | lm loss value: {loss} |\n"
    text += " validation loss at iteration 40 on test set | lm loss value: 3.5 |\n"
    run, _ = run_of(text)
    assert {s: points(run, s) for s in run.series if s != "train"} == {
        "val_hplt": [(40, 2.5)],
        "val_code": [(40, 1.5)],
        "test": [(40, 3.5)],
    }


def test_an_evaluation_at_an_early_step_is_no_new_run():
    text = lines("step {s}: loss {y:.3f}", TENS) + "eval step 0: loss 3.5\n" + lines("step {s}: loss {y:.3f}", (50, 60))
    run, _ = run_of(text)
    assert [s for s, _ in points(run)] == [*TENS, 50, 60] and points(run, "eval") == [(0, 3.5)]


def test_words_before_a_loss_tell_what_it_is_no_point_of():
    text = lines("WARNING:root:step {s} loss {y:.3f} (best 1.5) error 0.1", TENS)
    run, _ = run_of(text + "new best model at step 41, loss 1.5\nfinal loss at step 42: 1.5\n")
    assert close(points(run), TRAIN)

"""Runs with more than a schedule of the rate: batch, context, weight decay, averages, Muon, a second text."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training program needs torch; nothing else does")

from data import pretrain as program  # noqa: E402
from data import train  # noqa: E402
from data.averages import Ema, Merge, parse_averages  # noqa: E402
from data.checks import SweepError  # noqa: E402
from data.corpus import Corpus, drawn  # noqa: E402
from data.courses import Course, parse_course  # noqa: E402
from data.model import Transformer  # noqa: E402
from data.optimizers import Optimizer  # noqa: E402
from data.pretrain import Log, pretrain  # noqa: E402
from data.sweep import COLUMNS, JOINT_COLUMNS, Manifest, RunSpec, read_sweep  # noqa: E402
from optlaws_core.schedules import parse  # noqa: E402
from tests.data.training import COSINE, TINY, corpus, finished, rows_of, spec  # noqa: E402

PLAIN = ["step", "lr", "train_loss", "val_loss", "grad_norm"]
SWEEP = """
[sizes.tiny]
d_model = 16
layers = 1
heads = 2
context = 32

[shapes]
cosine10 = "cosine(peak=P, warmup=W, total=T, final=0.1P)"
constant = "constant(peak=P, warmup=W, total=T)"

[defaults]
name = "x"
size = "tiny"
shape = "cosine10"
batch = 4
peak = 1e-2
warmup = 10
total = 230
validate_every = 50

[[runs]]
"""


def declared(folder, entry: str) -> list[RunSpec]:
    path = folder / "sweep.toml"
    path.write_text(SWEEP + entry, encoding="utf-8")
    return read_sweep(path)


def course(text: str) -> Course:
    return parse_course("course", text)


def other_text() -> Corpus:
    return Corpus(corpus().heldout, corpus().train)


# What a sweep declares


DECLARED = {
    "steps": ('batch_schedule = "steps([0, 0.5T], [4, 8])"', "batch_schedule", "steps([0, 115], [128, 256])"),
    "ramp": (
        'batch_schedule = "ramp([0, 0.5T, T], [4, 4, 9])"',
        "batch_schedule",
        "ramp([0, 115, 230], [128, 128, 288])",
    ),
    "tokens": ('batch_schedule = "steps([0, 200], [4, 8])"', "tokens", str(32 * (4 * 230 + 4 * 30))),
    "first batch": ('batch_schedule = "steps([0, 200], [4, 8])"', "batch_tokens", "128"),
    "decay": ("weight_decay = 0.03", "weight_decay", "0.03"),
    "no decay": ("weight_decay = 0", "weight_decay", "0"),
    "decay ramp": ('weight_decay = "ramp([0, T], [0.2, 0])"', "weight_decay", "ramp([0, 230], [0.2, 0])"),
    "decay steps": ('weight_decay = "steps([0, 0.5T], [0.1, 0.3])"', "weight_decay", "steps([0, 115], [0.1, 0.3])"),
    "averages": ('averages = "ema(50), merge(16, 25)"', "averages", "ema(50), merge(16, 25)"),
    "Muon": ('optimizer = "Muon"\nauxiliary_peak = 1e-3', "optimizer", "Muon"),
    "its shape": (
        'optimizer = "Muon"\nauxiliary_peak = 1e-3',
        "auxiliary_schedule",
        "cosine(peak=1e-3, warmup=10, total=230, final=1e-4)",
    ),
    "another shape": (
        'optimizer = "Muon"\nauxiliary_peak = 1e-3\nauxiliary_shape = "constant"',
        "auxiliary_schedule",
        "constant(peak=1e-3, warmup=10, total=230)",
    ),
    "text": ('then_text = "tests"\nswitch = "0.8T"', "then_text", "tests"),
    "switch": ('then_text = "tests"\nswitch = "0.8T"', "switch_step", "184"),
    "context": ('context_schedule = "steps([0, 0.5T], [16, 32])"', "context_schedule", "steps([0, 115], [16, 32])"),
    "bytes of a context": (
        'context_schedule = "steps([0, 0.5T], [16, 32])"',
        "batch_schedule",
        "steps([0, 115], [64, 128])",
    ),
    "same bytes": (
        'batch = 8\nbatch_schedule = "steps([0, 0.5T], [8, 4])"\ncontext_schedule = "steps([0, 0.5T], [16, 32])"',
        "batch_schedule",
        "",
    ),
}


@pytest.mark.parametrize("entry, column, value", DECLARED.values(), ids=DECLARED)
def test_every_key_is_a_column_of_the_manifest(tmp_path, entry, column, value):
    (made,) = declared(tmp_path, entry)
    assert made.joint and made.row[column] == value


def test_a_list_stands_for_several_runs_here_too(tmp_path):
    entry = (
        'name = "decay{weight_decay}-{switch}"\nweight_decay = [0, 0.3]\nthen_text = "tests"\nswitch = ["0.5T", 200]'
    )
    names = [made.name for made in declared(tmp_path, entry)]
    assert names == ["decay0-0.5T", "decay0-200", "decay0.3-0.5T", "decay0.3-200"]


def test_a_run_that_says_nothing_of_this_is_what_it_was(tmp_path):
    (made,) = declared(tmp_path, "")
    assert made == spec() and not made.joint
    assert set(made.row) < set(COLUMNS)


REFUSED = {
    "no course": ('batch_schedule = "half"', "batch_schedule must read like steps.*, got 'half'"),
    "no numbers": ('batch_schedule = "steps([0, x], [4, 8])"', "batch_schedule must read like .*, got 'steps"),
    "not finite": ('weight_decay = "ramp([0, T], [0.1, inf])"', "weight_decay must read like"),
    "too few values": ('batch_schedule = "steps([0, 9], [4])"', "a value for every start, got 2 starts and 1 values"),
    "late": (
        'batch_schedule = "steps([0, T], [4, 8])"',
        r"whole updates that rise from 0 to 229 at most, got \[0, 230\]",
    ),
    "beyond": ('weight_decay = "ramp([0, 231], [0.1, 0])"', "rise from 0 to 230 at most"),
    "not from 0": ('batch_schedule = "steps([1, 9], [4, 8])"', r"rise from 0 .*, got \[1, 9\]"),
    "falling": ('batch_schedule = "steps([0, 9, 8], [4, 8, 4])"', "rise from 0"),
    "half a window": ('batch_schedule = "steps([0, 9], [4, 4.5])"', r"whole numbers of at least 1, got \[4, 4.5\]"),
    "no window": ('batch_schedule = "ramp([0, 9], [4, 0])"', "values must be whole numbers of at least 1"),
    "another batch": ('batch_schedule = "steps([0, 9], [8, 4])"', "batch_schedule must begin with batch, 4, got steps"),
    "long context": ('context_schedule = "steps([0, 9], [16, 64])"', "context_schedule may reach 32 in this size"),
    "context ramp": ('context_schedule = "ramp([0, 9], [16, 32])"', "context_schedule must be in steps"),
    "batch ramp beside it": (
        'context_schedule = "steps([0, 9], [16, 32])"\nbatch_schedule = "ramp([0, 9], [4, 8])"',
        "context_schedule must be in steps, and so must a batch_schedule beside it",
    ),
    "negative decay": ("weight_decay = -0.1", "weight_decay must be a number of at least 0 or a schedule, got -0.1"),
    "falling below 0": ('weight_decay = "ramp([0, T], [0.1, -0.1])"', "weight_decay: values must not be negative"),
    "no decay": ("weight_decay = true", "weight_decay must read like .*, got 'True'"),
    "empty decay": ('weight_decay = ""', "weight_decay must read like .*, got ''"),
    "no average": ('averages = "mean(3)"', "averages must read like 'ema.*', got 'mean"),
    "no half-life": ('averages = "ema(0)"', r"a number in ema\(0\) must be a whole number of at least 1, got 0"),
    "twice": ('averages = "ema(5), ema(5)"', "averages must name every readout once"),
    "no optimizer": ('optimizer = "SGD"', "optimizer must be one of AdamW, Muon, got 'SGD'"),
    "Muon alone": (
        'optimizer = "Muon"',
        "auxiliary_peak is needed with the optimizer Muon and with no other, got Muon wi",
    ),
    "AdamW with it": ("auxiliary_peak = 1e-3", "auxiliary_peak is needed .*, got AdamW with it"),
    "shape alone": ('auxiliary_shape = "constant"', "auxiliary_shape needs an auxiliary_peak, got none"),
    "no such shape": (
        'optimizer = "Muon"\nauxiliary_peak = 1\nauxiliary_shape = "flat"',
        r"auxiliary_shape must name one of the declared shapes \(cosine10, constant\), got 'flat'",
    ),
    "bad auxiliary peak": ('optimizer = "Muon"\nauxiliary_peak = "low"', "must be numbers, got 'low' for P"),
    "switch alone": ("switch = 100", "switch needs a then_text, got update 100 without one"),
    "no switch": ('then_text = "tests"', "switch must be an update from 1 to 229, got 0"),
    "late switch": ('then_text = "tests"\nswitch = "T"', "switch must be an update from 1 to 229, got 230"),
    "no update": ('then_text = "tests"\nswitch = "late"', "switch must be an update such as 1600 or 0.8T, got 'late'"),
    "same text": ('then_text = "library"\nswitch = 9', "then_text must be one of tests, topics, got 'library'"),
    "unknown text": ('then_text = "books"\nswitch = 9', "then_text must be one of tests, topics, got 'books'"),
    "two texts and averages": (
        'then_text = "tests"\nswitch = 9\naverages = "ema(5)"',
        "A run with a then_text can have no averages",
    ),
    "two texts and a parent": (
        'name = "p"\n[[runs]]\nparent = "p"\nthen_text = "tests"\nswitch = 9',
        "A run with a then_text can have no parent",
    ),
}


@pytest.mark.parametrize("entry, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_run_is_refused_in_one_sentence(tmp_path, entry, message):
    with pytest.raises(SweepError, match=message) as caught:
        declared(tmp_path, entry)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


# Courses


def test_steps_hold_and_ramps_rise_linearly_and_stay():
    updates = [0, 9, 10, 14, 15, 20, 99]
    assert course("steps([0, 10, 20], [1, 2, 5])")(updates).tolist() == [1, 1, 2, 2, 2, 5, 5]
    assert course("ramp([0, 10, 20], [1, 2, 5])")(updates).tolist() == pytest.approx([1, 1.9, 2, 3.2, 3.5, 5, 5])


def test_a_ramp_of_the_batch_is_rounded_to_windows():
    made = spec(batch_schedule=course("ramp([0, 100, 110], [4, 4, 8])"))
    assert made.windows[98:112].tolist() == [4, 4, 4, 4, 5, 5, 6, 6, 6, 7, 7, 8, 8, 8]


def test_steps_multiply_without_steps_that_change_nothing():
    both = spec(
        batch_schedule=course("steps([0, 50, 100], [4, 2, 4])"), context_schedule=course("steps([0, 50], [16, 32])")
    )
    assert both.tokens_schedule == "steps([0, 100], [64, 128])"
    assert both.tokens == int(np.where(np.arange(230) < 100, 64, 128).sum())


# What they do to a run


CONSTANT = {
    "batch": {"batch_schedule": course("steps([0, 100], [4, 4])")},
    "batch ramp": {"batch_schedule": course("ramp([0, 230], [4, 4])")},
    "context": {"context_schedule": course("steps([0, 7], [32, 32])")},
    "decay": {"weight_decay": course("ramp([0, 230], [0.1, 0.1])")},
    "averages": {"averages": parse_averages("ema(20), merge(3, 25)")},
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="the promise is made for the CPU")
@pytest.mark.parametrize("more", CONSTANT.values(), ids=CONSTANT)
def test_what_changes_nothing_gives_the_same_log_to_the_last_digit(more):
    log, result = pretrain(spec(**more), corpus())
    assert log.select(PLAIN) == finished()[0]
    assert result["outcome"] == finished()[1]["outcome"]


CHANGES = {
    "batch": {"batch_schedule": course("steps([0, 100], [4, 8])")},
    "context": {"context_schedule": course("steps([0, 100], [32, 16])")},
    "decay": {"weight_decay": course("steps([0, 100], [0.1, 5])")},
    "text": {"then_text": "tests", "switch": 100},
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="the promise is made for the CPU")
@pytest.mark.parametrize("more", CHANGES.values(), ids=CHANGES)
def test_a_change_begins_at_its_update(more):
    log, _ = pretrain(spec(**more), corpus(), then_corpus=other_text() if "then_text" in more else None)
    rows, plain = rows_of(log), rows_of(finished()[0])
    before = plain["step"].index(99) + 1
    assert rows["train_loss"][:before] == plain["train_loss"][:before]
    assert all(a != b for a, b in zip(rows["train_loss"][before:], plain["train_loss"][before:], strict=True))


def test_a_log_counts_the_bytes_that_were_predicted(monkeypatch):
    read = []

    def counted(draws, seed):
        for batch in drawn(draws, seed):
            read.append(batch.shape[0] * (batch.shape[1] - 1))
            yield batch

    monkeypatch.setattr(program, "drawn", counted)
    made = spec(
        "constant(peak=1e-2, total=60)",
        batch_schedule=course("steps([0, 30], [4, 7])"),
        context_schedule=course("steps([0, 40], [16, 32])"),
    )
    rows = rows_of(pretrain(made, corpus())[0])
    assert rows["step"] == [24, 49, 59]
    assert rows["tokens"] == np.cumsum(read)[rows["step"]].tolist()
    assert rows["batch_tokens"] == [64, 224, 224]
    assert made.tokens == sum(read) == rows["tokens"][-1]


def test_held_out_losses_see_the_whole_context(monkeypatch):
    seen = []

    def measured(model, windows, device):
        seen.append(windows.shape)
        return 3.0

    monkeypatch.setattr(program, "validate", measured)
    pretrain(spec("constant(peak=1e-2, total=25)", context_schedule=course("steps([0], [16])")), corpus())
    assert seen == [(256, 33)]


def test_a_weight_decay_reaches_the_matrices_and_no_gains():
    made = spec(weight_decay=course("steps([0, 2], [0.5, 0])"))
    optimizer = Optimizer(Transformer(TINY), made)
    matrices, gains = optimizer.optimizers[0].param_groups
    seen = []
    for update in range(4):
        optimizer.step(update)
        seen.append((matrices["weight_decay"], gains["weight_decay"], matrices["lr"] == gains["lr"]))
    assert seen == [(0.5, 0, True), (0.5, 0, True), (0, 0, True), (0, 0, True)]
    assert {p.dim() for p in matrices["params"]} == {2} and {p.dim() for p in gains["params"]} == {1}


# Muon


def test_muon_moves_the_matrices_in_the_blocks_and_adamw_all_else():
    torch.manual_seed(0)
    model = Transformer(TINY)
    # A rate of nearly nothing leaves alone what is AdamW's.
    made = spec(optimizer="Muon", auxiliary=parse("constant(peak=1e-12, total=230)"))
    optimizer = Optimizer(model, made)
    grouped = [id(p) for o in optimizer.optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(grouped) == sorted(map(id, model.parameters()))  # every one once
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(torch.randint(256, (4, 32))).square().mean().backward()
    for update in range(3):
        optimizer.step(update)
    moved = {name for name, p in model.named_parameters() if not torch.allclose(p, before[name], atol=1e-9)}
    assert moved == {name for name, p in before.items() if p.dim() == 2 and name.startswith("blocks.")}


def test_a_muon_run_follows_both_of_its_schedules():
    muon = spec(optimizer="Muon", auxiliary=parse("constant(peak=1e-3, total=230)"))
    optimizer = Optimizer(Transformer(TINY), muon)
    optimizer.step(150)
    rates = [[g["lr"] for g in o.param_groups] for o in optimizer.optimizers]
    assert rates == [[1e-3, 1e-3], [parse(COSINE)(150)]]
    log, _ = pretrain(muon, corpus())
    assert rows_of(log)["lr"] == rows_of(finished()[0])["lr"]
    assert pretrain(muon, corpus())[0] == log != finished()[0]
    assert rows_of(log)["train_loss"][-1] < 3.3  # it learns: ln 256 = 5.55 is chance


# Averages


def vectors(count: int) -> "torch.Tensor":
    return torch.randn(count, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_an_exponential_average_is_the_weighted_mean_of_all_weights_so_far():
    weights, average = vectors(60), Ema(half_life=7)
    for done in range(1, 61):
        average.add(weights[done - 1], done)
        ages = torch.arange(done - 1, -1, -1, dtype=torch.float64)
        halved = 0.5 ** (ages / 7)
        assert torch.allclose(average.mean, (halved[:, None] * weights[:done]).sum(0) / halved.sum())


def test_a_merge_is_the_mean_of_the_last_checkpoints():
    weights, average = vectors(60), Merge(count=3, every=5)
    for done in range(1, 61):
        average.add(weights[done - 1], done)
        checkpoints = [weights[i - 1] for i in range(5, done + 1, 5)][-3:]
        if not checkpoints:
            assert average.mean is None
            continue
        assert torch.allclose(average.mean, torch.stack(checkpoints).mean(0))


def test_averages_are_validated_beside_the_weights():
    made = spec(averages=parse_averages("ema(20), merge(1, 50), merge(4, 60)"))
    rows = rows_of(pretrain(made, corpus())[0])
    assert list(rows)[len(PLAIN) :] == [
        *("val_loss_ema_20", "val_loss_merge_1_50", "val_loss_merge_4_60"),
        *("tokens", "batch_tokens"),
    ]
    validated = [i for i, loss in enumerate(rows["val_loss"]) if loss is not None]
    for column in ("val_loss_ema_20", "val_loss_merge_1_50"):
        assert [i for i, loss in enumerate(rows[column]) if loss is not None] == validated
    # The last checkpoint alone is the weights themselves, wherever the two coincide; the run ends between two.
    assert [rows["val_loss_merge_1_50"][i] for i in validated[:-1]] == [rows["val_loss"][i] for i in validated[:-1]]
    assert rows["val_loss_merge_1_50"][-1] == rows["val_loss"][validated[-2]]
    assert rows["val_loss_merge_4_60"][validated[0]] is None  # nothing before its first checkpoint
    assert None not in [rows["val_loss_merge_4_60"][i] for i in validated[1:]]
    assert all(rows["val_loss_ema_20"][i] != rows["val_loss"][i] for i in validated)


def test_the_weights_that_are_kept_are_no_average(tmp_path):
    kept = {}
    for name, averages in (("plain", ""), ("averaged", "ema(20)")):
        pretrain(spec(averages=parse_averages(averages)), corpus(), keep=tmp_path / name)
        kept[name] = torch.load(tmp_path / name, weights_only=True)
    assert all(torch.equal(kept["plain"][name], value) for name, value in kept["averaged"].items())


# A second text


def test_both_texts_are_validated_throughout():
    made = spec(then_text="tests", switch=100)
    drill = Corpus(*2 * [np.tile(np.frombuffer(b"spam and eggs ", dtype=np.uint8), 50)])
    log, result = pretrain(made, corpus(), then_corpus=drill)
    rows = rows_of(log)
    assert [v is None for v in rows["val_loss"]] == [v is None for v in rows["val_loss_then"]]
    assert result["corpus_sha256"] == corpus().sha256
    assert result["then_corpus_sha256"] == drill.sha256
    # Before the change, as a child of another text has it on its parent's.
    plain = rows_of(pretrain(spec(), corpus(), parent_corpus=drill)[0])
    first = rows["step"].index(99) + 1
    assert rows["val_loss_then"][:first] == plain["parent_val_loss"][:first]
    assert rows["val_loss_then"][-1] < 1 < plain["parent_val_loss"][-1]  # learned by heart
    assert rows["val_loss"][-1] > plain["val_loss"][-1]  # and the first text forgotten


@pytest.mark.parametrize(
    "train_loss, then, outcome",
    [
        ([3.0, 2.0, 2.6, 2.1], [3.0, 2.9, 2.2, 2.1], "finished"),  # another text, not a spike
        ([3.0, 2.0, 2.1, 2.7], [3.0, 2.9, 2.2, 2.1], "spiked"),
        ([3.0, 3.6, 2.1, 2.1], [3.0, 2.9, 2.2, 2.1], "spiked"),
        ([3.0, 2.0, 2.1, 2.1], [3.0, 2.9, 2.1, 2.3], "diverged"),
        ([3.0, math.nan], [3.0, 2.9], "diverged"),  # before it came to the change
    ],
)
def test_the_outcome_is_read_from_the_text_a_run_ends_on(train_loss, then, outcome):
    steps = [25 * i + 24 for i in range(len(train_loss))]
    forgotten = [2.0, 2.0, 2.5, 2.6][: len(then)]
    log = Log(step=steps, train_loss=train_loss, val_loss=forgotten, more={"val_loss_then": then})
    assert log.outcome(byte_frequency_loss=2.8, switch=50) == outcome


# The manifest, and a sweep that is started again


def test_columns_are_added_only_where_there_are_such_runs(tmp_path):
    manifest, joint = Manifest(tmp_path / "runs"), spec(name="y", weight_decay=0.3)
    log, result = finished()
    manifest.add(spec(), log, result, order=["x", "y"])
    assert manifest.path.read_text().splitlines()[0].split(",") == COLUMNS
    before = manifest.path.read_text().splitlines()[1]
    manifest.add(joint, log, result, order=["x", "y"])
    head, plain, changed = manifest.path.read_text().splitlines()
    assert head.split(",") == COLUMNS + JOINT_COLUMNS
    assert plain == before + "," * len(JOINT_COLUMNS)
    again = Manifest(tmp_path / "runs")
    assert again.rows["y"]["tokens"] == str(230 * 128) and again.unfinished([spec(), joint]) == []
    with pytest.raises(SweepError, match="'y' is finished with weight_decay 0.3, but the sweep now says 0.1"):
        again.unfinished([spec(name="y")])
    switched = replace(spec(), then_text="tests", switch=9)
    with pytest.raises(SweepError, match="'x' is finished with then_text empty, but the sweep now says tests"):
        again.unfinished([switched])


def test_another_version_of_the_second_text_is_refused(tmp_path):
    manifest = Manifest(tmp_path / "runs")
    log, result = finished()
    manifest.add(spec(then_text="tests", switch=9), log, result | {"then_corpus_sha256": "1" * 64}, order=["x"])
    manifest.check_corpus("tests", "1" * 64)
    with pytest.raises(SweepError, match="use another --out"):
        manifest.check_corpus("tests", "0" * 64)


@pytest.mark.slow
def test_a_second_start_makes_what_is_missing_as_it_was(tmp_path, monkeypatch):
    texts = {"library": corpus(), "tests": other_text()}
    monkeypatch.setattr(train, "load_texts", lambda names: {name: texts[name] for name in sorted(set(names))})
    declared(
        tmp_path,
        """
    name = "batch"
    batch_schedule = "steps([0, 0.5T], [4, 8])"
    [[runs]]
    name = "averages"
    averages = "ema(20), merge(2, 25)"
    [[runs]]
    name = "text"
    then_text = "tests"
    switch = "0.5T"
    [[runs]]
    name = "plain"
    """,
    )
    command = ["--sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "runs")]
    assert train.main(command) == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "runs").iterdir()}
    assert len(first) == 4 and len(set(first.values())) == 4
    for name in ("batch", "text"):
        (tmp_path / "runs" / f"{name}.parquet").unlink()
    assert train.main([*command, "--jobs", "2"]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "runs").iterdir()} == first
    assert list(Manifest(tmp_path / "runs").rows) == ["batch", "averages", "text", "plain"]

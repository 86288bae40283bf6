"""Mutations of tables: separators, decimal commas, headers, rows and cells."""

import csv
import io
import math
from random import Random

import pandas as pd

from tests.mutations.truth import Copy, Log, Want, join, kind, log_of, points, table, want

TAB, SEMICOLON = "\t", ";"


def quoted(head: list[str], rows: list[list[str]], by: str = ",") -> bytes:
    """A table in which only cells that need it are quoted."""
    out = io.StringIO()
    csv.writer(out, delimiter=by, lineterminator="\n").writerows([head, *rows])
    return out.getvalue().encode()


def commas(log: Log, columns: tuple[int, ...]) -> list[list[str]]:
    """The rows with decimal commas in some columns."""
    return [[c.replace(".", ",") if i in columns else c for i, c in enumerate(row)] for row in log.rows]


def some(rng: Random) -> tuple[int, ...]:
    return tuple(sorted(rng.sample([1, 2, 3], rng.randint(1, 3))))


def frame(log: Log) -> pd.DataFrame:
    return pd.DataFrame({"step": log.steps, "loss": [float(c) for c in log.loss], "lr": [float(c) for c in log.lr]})


def plain(by: str, file: str):
    return lambda rng, log: Copy(table(log, by), (want(log),), file)


for _name, _by, _file in (
    ("plain_csv", ",", "a.csv"),
    ("plain_tsv", TAB, "a.tsv"),
    ("plain_semicolons", SEMICOLON, "a.csv"),
):
    _plain = plain(_by, _file)
    _plain.__name__ = _name
    kind(_plain)


@kind
def plain_spaces(rng: Random, log: Log) -> Copy:
    rows = [row[:3] for row in log.rows]
    return Copy(join(log.head[:3], rows, " " * rng.randint(1, 4)), (want(log, val=False),), "a.txt")


# ---- decimal commas and thousands


@kind
def decimal_commas_tab(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head, commas(log, (1, 2, 3)), TAB), (want(log),), "a.tsv")


@kind
def decimal_commas_semicolon(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head, commas(log, (1, 2, 3)), SEMICOLON), (want(log),))


@kind
def decimal_commas_quoted(rng: Random, log: Log) -> Copy:
    return Copy(quoted(log.head, commas(log, (1, 2, 3))), (want(log),))


@kind
def decimal_commas_in_some_tab(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head, commas(log, some(rng)), TAB), (want(log),), "a.tsv")


@kind
def decimal_commas_in_some_semicolon(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head, commas(log, some(rng)), SEMICOLON), (want(log),))


@kind
def decimal_commas_in_some_quoted(rng: Random, log: Log) -> Copy:
    return Copy(quoted(log.head, commas(log, some(rng))), (want(log),))


@kind
def decimal_commas_of_three_digits(rng: Random, log: Log) -> Copy:
    log = log_of(rng, digits=3)
    by = rng.choice([TAB, SEMICOLON])
    return Copy(join(log.head, commas(log, (1, 3)), by), (want(log),))


@kind
def decimal_commas_alone(rng: Random, log: Log) -> Copy:
    log = log_of(rng, digits=3)
    rows = [row[:2] for row in commas(log, (1,))]
    return Copy(join(log.head[:2], rows, TAB), (want(log, rates=False, val=False),))


@kind
def decimal_commas_spaces(rng: Random, log: Log) -> Copy:
    rows = [row[:3] for row in commas(log, (1, 2))]
    return Copy(join(log.head[:3], rows, "  "), (want(log, val=False),), "a.txt")


@kind
def decimal_commas_unquoted(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head, commas(log, (1, 2, 3))), (want(log),))


@kind
def decimal_commas_in_some_rows(rng: Random, log: Log) -> Copy:
    rows = [a if rng.random() < 0.5 else b for a, b in zip(log.rows, commas(log, (1, 2, 3)), strict=True)]
    return Copy(join(log.head, rows, rng.choice([TAB, SEMICOLON])), (want(log),))


def grouped(log: Log, by: str) -> list[list[str]]:
    return [[f"{int(row[0]):,}".replace(",", by), *row[1:]] for row in log.rows]


@kind
def thousands_in_steps_quoted(rng: Random, log: Log) -> Copy:
    return Copy(quoted(log.head, grouped(log, ",")), (want(log),))


@kind
def thousands_in_steps_tab(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head, grouped(log, ","), TAB), (want(log),))


@kind
def thousands_by_points(rng: Random, log: Log) -> Copy:
    rows = [[f"{int(a):,}".replace(",", "."), *rest] for a, *rest in commas(log, (1, 2, 3))]
    return Copy(join(log.head, rows, rng.choice([TAB, SEMICOLON])), (want(log),))


@kind
def thousands_by_blanks(rng: Random, log: Log) -> Copy:
    return Copy(
        join(log.head, grouped(log, rng.choice(["\u00a0", "\u202f", " ", "'"])), rng.choice([TAB, ","])), (want(log),)
    )


@kind
def thousands_only_in_steps(rng: Random, log: Log) -> Copy:
    log = log_of(rng, digits=3)
    rows = [[f"{int(row[0]):,}", row[1]] for row in log.rows]
    return Copy(join(log.head[:2], rows, TAB), (want(log, rates=False, val=False),))


@kind
def thousands_in_losses(rng: Random, log: Log) -> Copy:
    rows = [[s, f"{float(y) * 1000:,.2f}"] for s, y, *_ in log.rows]
    truth = [float(y.replace(",", "")) for _, y in rows]
    return Copy(quoted(log.head[:2], rows), (Want({"train": (log.steps, truth)}),))


# ---- spreadsheets and pandas


@kind
def sep_line(rng: Random, log: Log) -> Copy:
    by = rng.choice([SEMICOLON, ",", TAB])
    rows = commas(log, (1, 2, 3)) if by == SEMICOLON else log.rows
    return Copy(f"sep={by}\r\n".encode() + join(log.head, rows, by, "\r\n"), (want(log),))


@kind
def to_string(rng: Random, log: Log) -> Copy:
    shown = frame(log)
    text = shown.to_string(float_format=lambda v: f"{v:.9g}")
    rounded = Log(log.steps, [f"{float(c):.9g}" for c in log.loss], log.lr, log.val)
    return Copy(text.encode() + rng.choice([b"", b"\n"]), (want(rounded, val=False),), "a.txt")


@kind
def to_string_with_gaps(rng: Random, log: Log) -> Copy:
    shown = frame(log).assign(val_loss=[float(c or "nan") for c in log.val])
    text = shown.to_string(float_format=lambda v: f"{v:.9g}")
    rounded = Log(log.steps, [f"{float(c):.9g}" for c in log.loss], log.lr, [c and f"{float(c):.9g}" for c in log.val])
    return Copy(text.encode(), (want(rounded),), "a.txt")


@kind
def to_string_without_index(rng: Random, log: Log) -> Copy:
    text = frame(log).to_string(index=False, float_format=lambda v: f"{v:.9g}")
    rounded = Log(log.steps, [f"{float(c):.9g}" for c in log.loss], log.lr, log.val)
    return Copy(text.encode() + b"\n", (want(rounded, val=False),), "a.txt")


@kind
def to_string_elided(rng: Random, log: Log) -> Copy:
    text = frame(log).to_string(max_rows=10, float_format=lambda v: f"{v:.9g}")
    return Copy(text.encode(), (want(log, val=False),), "a.txt", "Rows are missing")


@kind
def to_string_of_step_index(rng: Random, log: Log) -> Copy:
    shown = frame(log).set_index("step")
    if rng.random() < 0.5:
        shown = shown.rename_axis(None)
    rounded = Log(log.steps, [f"{float(c):.9g}" for c in log.loss], log.lr, log.val)
    text = shown.to_string(float_format=lambda v: f"{v:.9g}")
    return Copy(text.encode(), (want(rounded, val=False),), "a.txt")


@kind
def to_string_wrapped(rng: Random, log: Log) -> Copy:
    text = frame(log).to_string(line_width=30, float_format=lambda v: f"{v:.9g}")
    return Copy(text.encode(), (want(log, val=False),), "a.txt")


@kind
def index_without_a_name(rng: Random, log: Log) -> Copy:
    return Copy(join(["", *log.head[1:]], log.rows), (want(log),))


@kind
def index_beside_steps(rng: Random, log: Log) -> Copy:
    name = rng.choice(["", "Unnamed: 0", "index"])
    return Copy(join([name, *log.head], [[str(i), *row] for i, row in enumerate(log.rows)]), (want(log),))


# ---- rows


@kind
def short_rows(rng: Random, log: Log) -> Copy:
    rows = [row[:3] if not row[3] else row for row in log.rows]
    return Copy(join(log.head, rows, rng.choice([",", TAB])), (want(log),))


@kind
def short_rows_at_the_end_of_some(rng: Random, log: Log) -> Copy:
    rows = [row[: rng.randint(2, 4)] if rng.random() < 0.1 else row for row in log.rows]
    return Copy(join(log.head, rows), (want(log),), speaks="fewer cells")


@kind
def a_lost_cell(rng: Random, log: Log) -> Copy:
    rows, i, j = log.rows, rng.randrange(len(log)), rng.randrange(4)
    rows[i] = rows[i][:j] + rows[i][j + 1 :]
    return Copy(join(log.head, rows, rng.choice([",", TAB, "  "])), (want(log),), speaks="fewer cells")


@kind
def a_lost_cell_and_one_too_many(rng: Random, log: Log) -> Copy:
    rows = log.rows
    i, j = rng.sample(range(len(log)), 2)
    rows[i], rows[j] = rows[i][:2], [*rows[j][:1], "7", "7", *rows[j][1:]]
    return Copy(join(log.head, rows), (want(log),))


@kind
def a_long_row(rng: Random, log: Log) -> Copy:
    rows = [row[:3] for row in log.rows]
    rows[rng.randrange(len(log))].insert(rng.randrange(4), "1.5")
    return Copy(join(log.head[:3], rows, rng.choice([",", TAB, " "])), (want(log, val=False),), speaks="another width")


@kind
def trailing_separators(rng: Random, log: Log) -> Copy:
    head = [*log.head, ""] if rng.random() < 0.5 else log.head
    return Copy(join(head, [[*row, ""] for row in log.rows]), (want(log),))


@kind
def shuffled_rows(rng: Random, log: Log) -> Copy:
    rows = log.rows
    rng.shuffle(rows)
    return Copy(join(log.head, rows), (want(log),))


@kind
def reversed_rows(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head, log.rows[::-1]), (want(log),))


@kind
def duplicated_rows(rng: Random, log: Log) -> Copy:
    times = rng.randint(2, 4)
    return Copy(join(log.head, [row for row in log.rows for _ in range(times)]), (want(log),))


@kind
def some_rows_twice(rng: Random, log: Log) -> Copy:
    rows = [row for row in log.rows for _ in range(rng.choice([1, 1, 1, 2]))]
    return Copy(join(log.head, rows), (want(log),))


@kind
def micro_batches(rng: Random, log: Log) -> Copy:
    log, k = log_of(rng, digits=6), rng.choice([2, 4, 8])
    rows, losses = [], []
    for step, _, rate, _ in log.rows:
        parts = [f"{3 + rng.random():.6f}" for _ in range(k)]
        rows += [[step, y, rate] for y in parts]
        losses.append(repr(math.fsum(map(float, parts)) / k))
    mean = Log(log.steps, losses, log.lr, log.val)
    return Copy(join(log.head[:3], rows), (want(mean, val=False),))


@kind
def resumed(rng: Random, log: Log) -> Copy:
    cut = rng.randint(4, len(log) - 2)
    back = max(0, cut - rng.randint(1, 3))
    old = [[row[0], f"{float(row[1]) + 0.5:.4f}", *row[2:]] for row in log.rows[back:cut]]
    return Copy(join(log.head, [*log.rows[:back], *old, *log.rows[back:]]), (want(log),))


# ---- blocks


@kind
def header_again(rng: Random, log: Log) -> Copy:
    cut = rng.randint(1, len(log) - 1)
    return Copy(join(log.head, [*log.rows[:cut], log.head, *log.rows[cut:]], rng.choice([",", TAB])), (want(log),))


@kind
def header_again_with_more(rng: Random, log: Log) -> Copy:
    cut = rng.randint(2, len(log) - 2)
    head, rows = log.head[:3], [row[:3] for row in log.rows[:cut]]
    val = ["" if i < cut else c for i, c in enumerate(log.val)]
    truth = Log(log.steps, log.loss, log.lr, val)
    return Copy(join(head, [*rows, log.head, *log.rows[cut:]]), (want(truth),))


@kind
def header_again_in_another_order(rng: Random, log: Log) -> Copy:
    order = [0, 1, 2, 3]
    while order == [0, 1, 2, 3]:
        rng.shuffle(order)
    cut = rng.randint(1, len(log) - 1)
    lower = [[row[i] for i in order] for row in (log.head, *log.rows[cut:])]
    return Copy(join(log.head, [*log.rows[:cut], *lower], rng.choice([",", TAB, SEMICOLON])), (want(log),))


@kind
def blocks_between_blank_lines(rng: Random, log: Log) -> Copy:
    cut = rng.randint(1, len(log) - 1)
    upper, lower = table(log.only(range(cut))), table(log.only(range(cut, len(log))))
    return Copy(upper + rng.choice([b"\n", b"\n\n# resumed\n"]) + lower, (want(log),))


@kind
def blocks_of_columns(rng: Random, log: Log) -> Copy:
    losses = join(["step", "loss"], [row[:2] for row in log.rows])
    rates = join(["step", "lr"], [[row[0], row[2]] for row in log.rows])
    return Copy(losses + rng.choice([b"", b"\n"]) + rates, (want(log, val=False),))


@kind
def mixed_separators(rng: Random, log: Log) -> Copy:
    a, b = rng.sample([",", TAB, SEMICOLON], 2)
    lines = [(a if rng.random() < 0.7 else b).join(row) for row in log.rows]
    return Copy(("\n".join([a.join(log.head), *lines]) + "\n").encode(), (want(log),), speaks="fewer cells")


@kind
def header_with_another_separator(rng: Random, log: Log) -> Copy:
    a, b = rng.sample([",", TAB, SEMICOLON, " "], 2)
    return Copy(join([a.join(log.head)], [[b.join(row)] for row in log.rows]), (want(log),))


@kind
def cut_end(rng: Random, log: Log) -> Copy:
    data = table(log, rng.choice([",", TAB]))
    head = data.index(b"\n") + 40
    at = rng.randint(head, len(data) - 1)
    kept = log.only(range(data[:at].count(b"\n") - (data[at : at + 1] != b"\n")))
    return Copy(data[:at], (want(kept),), speaks="ends without a line end|cut off")


@kind
def cut_beginning(rng: Random, log: Log) -> Copy:
    data = table(log)
    return Copy(data[rng.randint(1, len(data) // 2) :], (want(log),), speaks="row number|No column is known")


# ---- columns


@kind
def the_same_rate_twice(rng: Random, log: Log) -> Copy:
    name = rng.choice(["lr_group1", "lr-AdamW/pg2", "learning_rate", "lr/1", "current_lr"])
    rows = [[s, y, e, e] for s, y, e, _ in log.rows]
    return Copy(join(["step", "loss", "lr", name], rows), (want(log, val=False),))


@kind
def another_rate(rng: Random, log: Log) -> Copy:
    name = rng.choice(["lr_group1", "lr-AdamW/pg2", "learning_rate", "lr/1", "lr (group 1)", "lr"])
    rows = [[s, y, e, f"{float(e) * 10:.6g}"] for s, y, e, _ in log.rows]
    order = [0, 1, 2, 3] if rng.random() < 0.5 else [0, 1, 3, 2]
    lines = [[row[i] for i in order] for row in (["step", "loss", "lr", name], *rows)]
    return Copy(join(lines[0], lines[1:]), (want(log, val=False),))


@kind
def settings_of_the_rate(rng: Random, log: Log) -> Copy:
    more = {"lr_decay_iters": "1000", "lr_mult": "0.5", "lrm": "0.7", "lr_warmup_steps": "100", "min_lr": "1e-5"}
    names = rng.sample(sorted(more), 3)
    rows = [[s, *(more[n] for n in names), y, e] for s, y, e, _ in log.rows]
    return Copy(join(["step", *names, "loss", "lr"], rows), (want(log, val=False),))


@kind
def a_rate_scale_instead_of_a_rate(rng: Random, log: Log) -> Copy:
    name = rng.choice(["lr_decay_iters", "lr_mult", "lrm", "lr_scale"])
    rows = [[s, y, "1000"] for s, y, _, _ in log.rows]
    return Copy(join(["step", "loss", name], rows), (want(log, val=False),))


@kind
def another_loss(rng: Random, log: Log) -> Copy:
    name = rng.choice(["train/loss", "train_loss", "loss", "training_loss", "train_loss_step"])
    rows = [[s, y, e, f"{float(y) + 0.3:.5f}"] for s, y, e, _ in log.rows]
    order = [0, 1, 2, 3] if rng.random() < 0.5 else [0, 3, 2, 1]
    lines = [[row[i] for i in order] for row in (["step", "loss", "lr", name], *rows)]
    return Copy(join(lines[0], lines[1:]), (want(log, val=False),))


@kind
def a_loss_of_the_beginning(rng: Random, log: Log) -> Copy:
    rows = [[s, "9.5" if i < 4 else "", y, e] for i, (s, y, e, _) in enumerate(log.rows)]
    rows[1][1] = "9.25"
    return Copy(join(["step", "loss", "train/loss", "lr"], rows), (want(log, val=False),))


@kind
def other_losses(rng: Random, log: Log) -> Copy:
    names = ["aux_loss", "grad_norm", "moe_balance_loss", "loss_scale", "accuracy", "epoch", "time"]
    picked = rng.sample(names, 3)
    rows = [[s, *(f"{rng.random():.4f}" for _ in picked), y, e] for s, y, e, _ in log.rows]
    return Copy(join(["step", *picked, "loss", "lr"], rows), (want(log, val=False),))


@kind
def columns_in_another_order(rng: Random, log: Log) -> Copy:
    order = rng.sample(range(4), 4)
    lines = [[row[i] for i in order] for row in (log.head, *log.rows)]
    return Copy(join(lines[0], lines[1:], rng.choice([",", TAB, SEMICOLON])), (want(log),))


NAMES = (
    (
        "step",
        "Step",
        "global_step",
        "iteration",
        "Iter",
        "trainer/global_step",
        "train/global_step",
        "globalStep",
        "_step",
    ),
    ("loss", "train_loss", "train/loss", "Train Loss", "trainLoss", "training_loss", "Loss", "lm loss", "ce_loss"),
    ("lr", "learning_rate", "LR", "learningRate", "Learning Rate", "train/lr", "lr-AdamW", "optim/lr", "learning rate"),
    ("val_loss", "val/loss", "valid_loss", "Val Loss", "eval_loss", "validation/loss", "valLoss", "test_loss"),
)


@kind
def renamed_columns(rng: Random, log: Log) -> Copy:
    head = [rng.choice(names) for names in NAMES]
    truth = want(log)
    series = {"train": truth.series["train"]}
    return Copy(join(head, log.rows, rng.choice([",", TAB])), (Want(series, truth.rates),))


@kind
def unknown_names(rng: Random, log: Log) -> Copy:
    head, at = list(log.head), rng.randrange(3)
    head[at] = rng.choice(["foo", "metric", "value", "y1", "objective"])
    return Copy(join(head, log.rows), (want(log),), speaks="No column is known|No column counts")


@kind
def units_in_names(rng: Random, log: Log) -> Copy:
    head = [rng.choice(["step [updates]", "step"]), rng.choice(["loss (nats)", "loss [nats/token]"]), "lr", "val_loss"]
    return Copy(join(head, log.rows), (want(log),))


@kind
def losses_in_bits(rng: Random, log: Log) -> Copy:
    head = ["step", rng.choice(["loss (bits)", "loss_bits", "train/bpb", "loss [bits/byte]"]), "lr"]
    return Copy(join(head, [row[:3] for row in log.rows]), (want(log, scale=math.log(2), val=False),))


@kind
def scaled_units(rng: Random, log: Log) -> Copy:
    head, rows = list(log.head), log.rows
    if rng.random() < 0.5:
        head[0], rows = "step (k)", [[f"{int(s) / 1000:g}", *rest] for s, *rest in rows]
    else:
        head[2], rows = (
            rng.choice(["lr (x1e-3)", "lr * 1000", "lr [1e-3]"]),
            [[s, y, f"{float(e) * 1000:.6g}", v] for s, y, e, v in rows],
        )
    return Copy(join(head, rows), (want(log),), speaks="No column counts")


@kind
def the_logarithm_of_the_loss(rng: Random, log: Log) -> Copy:
    head = ["step", rng.choice(["log_loss10", "log10(loss)", "loss x 100", "exp_loss"]), "lr"]
    rows = [[s, f"{math.log10(float(y)):.6f}", e] for s, y, e, _ in log.rows]
    return Copy(join(head, rows), (want(log, val=False),), speaks="was taken for the training loss")


@kind
def names_in_latin_1(rng: Random, log: Log) -> Copy:
    head = [*log.head, "größe", "élan"]
    text = join(head, [[*row, "1", "ä"] for row in log.rows]).decode()
    return Copy(text.encode("latin-1"), (want(log),))


@kind
def one_name_twice(rng: Random, log: Log) -> Copy:
    rows = [[s, y, f"{float(y) + 0.2:.5f}", e] for s, y, e, _ in log.rows]
    return Copy(join(["step", "loss", "loss", "lr"], rows), (want(log, val=False),))


@kind
def runs_in_one_file(rng: Random, log: Log) -> Copy:
    other = log_of(rng, len(log))
    rows = [["a", *row] for row in log.rows] + [["b", *row] for row in other.rows]
    if rng.random() < 0.5:
        rng.shuffle(rows)
    return Copy(join(["run", *log.head], rows), (want(log, "a"), want(other, "b")))


@kind
def a_run_a_column(rng: Random, log: Log) -> Copy:
    other = [f"{float(y) + 0.5:.5f}" for y in log.loss]
    rows = [[s, y, z] for (s, y, *_), z in zip(log.rows, other, strict=True)]
    wants = tuple(
        Want({"train": points(log.steps, c)}, None, n) for n, c in (("lr=1e-3", log.loss), ("lr=3e-4", other))
    )
    return Copy(join(["step", "lr=1e-3", "lr=3e-4"], rows, rng.choice([",", TAB])), wants)


@kind
def tokens_instead_of_steps(rng: Random, log: Log) -> Copy:
    rows = [[str(int(s) * 4096), *rest] for s, *rest in log.rows]
    return Copy(join(["tokens", *log.head[1:]], rows), (want(log),))


@kind
def epochs_instead_of_steps(rng: Random, log: Log) -> Copy:
    rows = [[str(i), *rest] for i, (_, *rest) in enumerate(log.rows)]
    return Copy(join(["epoch", *log.head[1:]], rows), (want(log),))


@kind
def no_steps(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head[1:], [row[1:] for row in log.rows]), (want(log),), speaks="row number")


# ---- cells


@kind
def a_huge_loss(rng: Random, log: Log) -> Copy:
    rows, i = log.rows, rng.randrange(len(log))
    rows[i][1] = rng.choice(["1e30", "3.4028234663852886e+38", "1.7976931348623157e308", "123456789", "1e400", "-1e9"])
    return Copy(join(log.head, rows), (want(log),), speaks="far from|infinity")


@kind
def a_huge_rate(rng: Random, log: Log) -> Copy:
    rows, i = log.rows, rng.randrange(len(log))
    rows[i][2] = rng.choice(["1e30", "3000", "1e308", "1e400"])
    return Copy(join(log.head, rows), (want(log),), speaks="far from|far above|infinity")


@kind
def a_huge_step(rng: Random, log: Log) -> Copy:
    rows, i = log.rows, rng.randrange(len(log))
    rows[i][0] = rng.choice(["1e18", "99999999999999", "1e400", "1e11"])
    return Copy(join(log.head, rows), (want(log),), speaks="far from|far beyond")


@kind
def huge_steps(rng: Random, log: Log) -> Copy:
    moved = Log([s + 10**9 for s in log.steps], log.loss, log.lr, log.val)
    return Copy(table(moved), (want(moved),))


@kind
def nan_spellings(rng: Random, log: Log) -> Copy:
    rows, loss = log.rows, list(log.loss)
    for i in rng.sample(range(len(log)), 3):
        rows[i][1], loss[i] = rng.choice(["nan", "NaN", "NAN", "-nan", "+nan", "nan()", "1.#QNAN", "NaN "]), ""
    return Copy(join(log.head, rows), (want(Log(log.steps, loss, log.lr, log.val)),))


@kind
def infinity_spellings(rng: Random, log: Log) -> Copy:
    rows, loss = log.rows, list(log.loss)
    for i in rng.sample(range(len(log)), 3):
        rows[i][1], loss[i] = rng.choice(["inf", "Inf", "-inf", "Infinity", "+Infinity", "1.#INF", "∞", "1e999"]), ""
    return Copy(join(log.head, rows), (want(Log(log.steps, loss, log.lr, log.val)),))


@kind
def empty_spellings(rng: Random, log: Log) -> Copy:
    rows, loss = log.rows, list(log.loss)
    for i in rng.sample(range(len(log)), 3):
        rows[i][1], loss[i] = rng.choice(["", "NA", "N/A", "null", "None", "-", "#N/A", "<NA>", " "]), ""
    return Copy(join(log.head, rows), (want(Log(log.steps, loss, log.lr, log.val)),))


@kind
def words_in_cells(rng: Random, log: Log) -> Copy:
    rows, loss = log.rows, list(log.loss)
    for i in rng.sample(range(len(log)), 2):
        rows[i][1], loss[i] = rng.choice(["error", "skipped", "True", "0x1p3", "3.1.4", "1_000", "12:30"]), ""
    return Copy(join(log.head, rows), (want(Log(log.steps, loss, log.lr, log.val)),))


@kind
def padded_cells(rng: Random, log: Log) -> Copy:
    rows = [[f"{' ' * rng.randint(0, 3)}{c}{' ' * rng.randint(0, 2)}" if c else c for c in row] for row in log.rows]
    return Copy(join([f" {c} " for c in log.head], rows, rng.choice([",", TAB, SEMICOLON])), (want(log),))


@kind
def signs_and_zeros(rng: Random, log: Log) -> Copy:
    rows = [[f"{int(s):08d}", f"+{y}", e.replace("e-0", "E-0"), v] for s, y, e, v in log.rows]
    return Copy(join(log.head, rows), (want(log),))


@kind
def odd_exponents(rng: Random, log: Log) -> Copy:
    minus = rng.choice(["\u2212", "-"])
    letter = rng.choice(["e", "E", "D", "d"])
    rows = [[s, y, f"{float(e):.9e}".replace("-", minus).replace("e", letter), v] for s, y, e, v in log.rows]
    return Copy(join(log.head, rows), (want(log),))


@kind
def steps_as_floats(rng: Random, log: Log) -> Copy:
    shown = rng.choice(["{:.1f}", "{:.6f}", "{:.6e}"])
    return Copy(join(log.head, [[shown.format(int(s)), *rest] for s, *rest in log.rows]), (want(log),))


@kind
def quotes_around_all(rng: Random, log: Log) -> Copy:
    by = rng.choice([",", TAB, SEMICOLON])
    return Copy(join([f'"{c}"' for c in log.head], [[f'"{c}"' for c in row] for row in log.rows], by), (want(log),))


@kind
def single_quotes(rng: Random, log: Log) -> Copy:
    return Copy(join(log.head, [[f"'{c}'" for c in row] for row in log.rows]), (want(log),))


@kind
def line_breaks_in_quotes(rng: Random, log: Log) -> Copy:
    rows = [[*row, '"a\nb"' if rng.random() < 0.2 else "c"] for row in log.rows]
    return Copy(join([*log.head, "note"], rows), (want(log),))


@kind
def a_quote_that_never_closes(rng: Random, log: Log) -> Copy:
    rows, i = log.rows, rng.randrange(len(log))
    rows[i][rng.randrange(4)] = '"' + rows[i][1]
    return Copy(join(log.head, rows), (want(log),), speaks="quotation")


# ---- lines and encodings


@kind
def blank_lines(rng: Random, log: Log) -> Copy:
    lines = table(log).decode().splitlines()
    return Copy("".join(line + "\n" * rng.choice([1, 1, 2, 3]) for line in lines).encode(), (want(log),))


@kind
def comment_lines(rng: Random, log: Log) -> Copy:
    lines = ["# made by x", *table(log).decode().splitlines()]
    out = "".join(line + "\n" + rng.choice(["", "", "# step 3, 9.9, 1\n"]) for line in lines)
    return Copy(out.encode(), (want(log),))


@kind
def numpy_header(rng: Random, log: Log) -> Copy:
    by = rng.choice([" ", ",", TAB])
    rows = [row[:3] for row in log.rows]
    return Copy(b"# " + join(log.head[:3], rows, by), (want(log, val=False),), "a.txt")


@kind
def without_a_header(rng: Random, log: Log) -> Copy:
    return Copy(table(log).split(b"\n", 1)[1], (want(log),))


@kind
def byte_order_mark(rng: Random, log: Log) -> Copy:
    return Copy(b"\xef\xbb\xbf" + table(log, rng.choice([",", TAB, SEMICOLON])), (want(log),))


@kind
def utf_16(rng: Random, log: Log) -> Copy:
    text = table(log, rng.choice([",", TAB])).decode()
    return Copy(text.encode(rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32"])), (want(log),))


@kind
def windows_line_ends(rng: Random, log: Log) -> Copy:
    return Copy(table(log).replace(b"\n", b"\r\n"), (want(log),))


@kind
def old_mac_line_ends(rng: Random, log: Log) -> Copy:
    return Copy(table(log).replace(b"\n", b"\r"), (want(log),))


@kind
def mixed_line_ends(rng: Random, log: Log) -> Copy:
    lines = table(log).decode().splitlines()
    return Copy("".join(line + rng.choice(["\n", "\r\n"]) for line in lines).encode(), (want(log),))


@kind
def no_last_line_end(rng: Random, log: Log) -> Copy:
    return Copy(table(log)[:-1], (want(log),))

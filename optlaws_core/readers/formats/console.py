"""What programs print while they train: text in which some lines carry a step, a loss and perhaps more."""

import re
from dataclasses import replace

import numpy as np

from ...arrays import largest
from ...errors import LogError
from ...text import counted, format_number, listed
from ..base import MOST_ROWS, Facts, Layout, Note
from ..format import Content, Format
from ..header import BOM, header_of
from ..layout import guess_layout
from ..opened import Numbers, Opened, RawRun
from ..questions import EPOCHS, Answer, Question, Unanswered
from ..rates import WANTED, printed_quantum
from ..sniff import HEAD
from ..step_axis import about_restart
from .console_lines import Scan, scan
from .console_shapes import ESTIMATE, GENERAL, RATE, TRAIN
from .console_steps import Bars, anew, bars_of, continued, mended, places, starts
from .console_table import LOSS, Table, table_of
from .long_table import is_long

_NUMBER = re.compile(rb"\s*[\"']?(?:[+-]?\d[\d.,]*(?:e[+-]?\d+)?|[+-]?(?:nan|inf)|none|null)?[\"']?\s*", re.I)
_JSON = re.compile(rb"\s*(?:\{\s*(?:\"|\}|$)|\[\s*(?:[\[{\"\]]|$))")
_LOGGED = re.compile(
    rb"^\W*(?:\d{4}-\d\d-\d\d|\d\d/\d\d)[ t]\d\d:\d\d:\d\d.*\b(?:info|warning|debug|error)\b", re.I | re.M
)
_COUNTED = re.compile(rb"^.*\b(?:step|iter(?:ation)?)s?[ :=]+\d+.*:", re.I | re.M)  # steps, perhaps without a loss
_LOOKED = 8_192  # bytes in which those are looked for
_FEWEST = 2  # lines of no known program by which a text is a console log
_BESIDE = ("lr", "grad_norm", "tokens", "samples")


# ---- is it one


def is_console(content: Content) -> bool:
    """Whether a text has lines of a training program, and is neither JSON nor a table."""
    if content.opens_json and _JSON.match(content.start.removeprefix(BOM)):
        return False
    table = _is_table(content)
    if table and (guess_layout(content.header.columns).losses or is_long(content)):
        return False
    if _tells(content.start) or any(_tells(part) for part in _further(content)):
        return True
    return not table and (
        bool(_LOGGED.match(content.start)) or len(_COUNTED.findall(content.start[:_LOOKED])) >= _FEWEST
    )


def _further(content: Content) -> list[bytes]:
    """A part of the middle and the end of a long text: the beginning may be the program's source."""
    text = content.text
    if content.cut or len(text) <= HEAD:
        return []
    middle = text.find(b"\n", len(text) // 2) + 1
    end = text.find(b"\n", len(text) - HEAD) + 1
    return [text[end:], text[middle : middle + HEAD]]


def _tells(part: bytes) -> bool:
    """Whether lines of a part have a loss: one of a known program's, or several others."""
    try:
        rows = [rows for rows in scan(part[:HEAD] + b"\n").rows if len(rows)]
    except LogError:
        return True
    known = any(r.plan.shape is not GENERAL and (r.plan.splits or "step" in r.plan.picks) for r in rows)
    return known or sum(len(r) for r in rows if r.plan.splits) >= _FEWEST


def _is_table(content: Content) -> bool:
    """Whether the first line names columns and the next one fills most of them with numbers."""
    try:
        header = header_of(content.start, content.file)
    except LogError:
        return False
    if any(c and _NUMBER.fullmatch(c.encode()) for c in header.columns):
        return False
    rest = [line for line in content.start[header.start :].split(b"\n", 3)[:2] if line.strip()]
    if not rest:
        return False
    row = rest[0].strip(b"\r\n")
    cells = row.split() if header.delimiter == " " else row.split(header.delimiter.encode())
    filled = sum(bool(_NUMBER.fullmatch(cell)) for cell in cells)
    alike = abs(len(cells) - len(header.columns)) <= 1 and not _LOGGED.match(content.start)
    return alike and 2 * filled >= len(cells) and filled > 0


# ---- opened


def open_console(content: Content) -> Opened:
    """A console log, opened. Raises `LogError` where no line has a loss."""
    scanned = scan(content.text.removeprefix(BOM))
    if (rows := sum(map(len, scanned.rows))) > MOST_ROWS:
        raise LogError(f"a file may have {MOST_ROWS:,} lines with numbers, this one has {rows:,}.")
    table = mended(table_of(scanned))
    if not table.splits:
        raise LogError(_without_losses(scanned))
    for text in _about(scanned):
        table.note("repaired", text)
    if bits := sum(len(rows) for rows in scanned.rows if rows.plan.bits):
        text = "in bits per byte left out: they are not comparable with losses per token"
        table.note("info", f"{counted(bits, 'evaluation')} {text}.")
    table.numbered = scanned.numbered
    return _with_steps(table) if "step" in table.columns and table.has("step").any() else _without_steps(table)


def _without_losses(scanned: Scan) -> str:
    skipped = [rows for rows in scanned.rows if len(rows) and rows.plan.shape.name == "Megatron"]
    if skipped:
        lines = sum(map(len, skipped))
        what = f"none of its {counted(lines, 'iteration')} has a loss, since each was skipped"
        return f"{what}; give the log of a run that trained."
    return "no line of this console log has a loss; give the output of the training itself, with its steps and losses."


def _about(scanned: Scan) -> list[str]:
    said = []
    if scanned.cut:
        said.append("The last line ends early and was left out.")
    if scanned.rounded:
        said.append(f"{counted(scanned.rounded, 'line')} with a rounded or odd step left out.")
    if scanned.doubled:
        text = "with a second step and its loss, as where the end of a line was lost, read as two"
        said.append(f"{counted(scanned.doubled, 'line')} {text}.")
    return said


def _columns(table: Table) -> dict[str, str]:
    """Column of the table -> its name for the user."""
    named = {LOSS + split: "loss" if split == TRAIN else f"{split} loss" for split in table.splits}
    rates = {c: _rate_column(c.removeprefix(RATE)) for c in table.rates}
    return {**named, **{c: c for c in _BESIDE if table.has(c).any()}, **rates}


def _rate_column(name: str) -> str:
    """The column of a further rate: `lr` is that of the first."""
    return "lr (2)" if name == "lr" else name


def _which_rate(table: Table) -> tuple[Question, ...]:
    """The question which of a line's different rates is meant, the first one unless answered."""
    names = [c.removeprefix(RATE) for c in table.rates]
    if not names:
        return ()
    first = table.rate or "lr"
    columns = {first: "lr", **{name: _rate_column(name) for name in names}}
    answers = tuple(
        Answer(re.sub(r"[^a-z0-9./_()-]+", "-", name) or "rate", f"It is {name!r}.", {"lr": column})
        for name, column in columns.items()
    )
    return (Question("lr", f"Which number is the learning rate: {listed([*columns], 4)}?", answers),)


def _layout(table: Table, x: str, x_unit: str = "step", **more) -> Layout:
    names = _columns(table)
    losses = tuple((split, names[LOSS + split]) for split in table.splits)
    lr = "lr" if "lr" in names else None
    tokens = "tokens" if "tokens" in names and x_unit == "step" else None
    unit = "bits" if table.shape.bits else "nats"
    return Layout(x, x_unit, losses, lr, tokens=tokens, loss_unit=unit, **more)


def _with_steps(table: Table) -> Opened:
    at = starts(table)
    columns = ("step", *_columns(table).values())
    layout, notes = _layout(table, "step"), list(table.notes)
    questions: tuple[Question, ...] = ()
    if len(at) > 1:
        layout, questions = _several(table, at, layout, notes)
    questions = (*questions, *_which_rate(table))
    notes += _hints(table)
    return Opened(columns, layout, lambda chosen: _runs(table, at, chosen), tuple(notes), questions)


def _several(table: Table, at: np.ndarray, layout: Layout, notes: list[Note]) -> tuple[Layout, tuple[Question, ...]]:
    """The layout of a counter that begins anew, and the question about it where the losses do not tell."""
    several, sure = anew(table, at)
    layout = replace(layout, restarts="separate" if several else "continued")
    times = counted(len(at) - 1, "time")
    if several and sure:
        text = f"The step is back at its beginning {times}, and so is the loss: read as {counted(len(at), 'run')}."
        notes.append(Note("info", text))
        return layout, ()
    text = f"The step is back at its beginning {times}: are these several runs, or one that continued or started over?"
    return layout, (about_restart(text, several, went_on=True),)


def _hints(table: Table) -> list[Note]:
    return [*_coarse_rates(table), *_multiples(table)]


def _coarse_rates(table: Table) -> list[Note]:
    """Rates that are printed in steps which their small ones show, though the peak hides them."""
    rates = table.columns.get("lr", np.empty(0))
    rates = rates[np.isfinite(rates) & (rates >= 0)]
    if table.decimals is None or len(rates) < 8 or rates.max() == 0 or printed_quantum(rates) is not None:
        return []
    quantum = 10.0**-table.decimals
    small = rates[(rates > 0) & (rates < 20 * quantum)]
    units = rates / quantum
    even = np.abs(units - np.round(units)).max() < 1e-6 * max(1.0, units.max())
    if table.decimals < 4 or not even or not len(small) or len(np.unique(rates)) < 8:
        return []
    text = f"The learning rate is printed in steps of {format_number(quantum)}, too coarse for its small rates"
    return [Note("info", f"{text}; {WANTED[1]}")]


def _multiples(table: Table) -> list[Note]:
    """Training losses that are a whole multiple of an evaluation's are told."""
    if TRAIN not in table.splits:
        return []
    train = np.flatnonzero(table.has(LOSS + TRAIN))
    for split in table.splits:
        other = np.flatnonzero(table.has(LOSS + split))
        if split in (TRAIN, ESTIMATE) or len(other) < 2 or len(train) < 2:
            continue
        steps, first = np.unique(table.columns["step"][train], return_index=True)
        near = np.interp(table.columns["step"][other], steps, table.columns[LOSS + TRAIN][train][first])
        with np.errstate(all="ignore"):
            ratios = near / table.columns[LOSS + split][other]
        ratio = float(np.median(ratios[np.isfinite(ratios)])) if np.isfinite(ratios).any() else 1.0
        if 1.8 < ratio < 1000 and abs(ratio / round(ratio) - 1) < 0.06:
            text = f"The training losses are about {round(ratio)} times those of {split!r}"
            return [Note("info", f"{text}: are they sums over micro-batches?")]
    return []


def _without_steps(table: Table) -> Opened:
    """Lines without a step: their places come from progress bars, from the epoch, or from an answer."""
    bars = bars_of(table)
    place = places(table)
    table.put("row", np.flatnonzero(np.isfinite(place)), place[np.isfinite(place)])
    if bars is not None:
        steps = np.round(np.interp(place, np.arange(1, len(bars.steps) + 1), bars.steps, right=np.nan))
        beyond = place > len(bars.steps)
        steps[beyond] = np.round(bars.steps[-1] + bars.interval * (place[beyond] - len(bars.steps)))
        table.put("step", np.flatnonzero(np.isfinite(steps)), steps[np.isfinite(steps)])
        table.columns["total"] = np.full(len(table), float(bars.total))
    table = table.take(np.flatnonzero(table.has("row")))
    question, layout = _asked(table, bars)
    columns = (*(c for c in ("step", "epoch", "row") if c in table.columns), *_columns(table).values())

    def runs(chosen: Layout) -> list[RawRun]:
        if chosen.x_unit != "step" and chosen.batch is None:
            raise Unanswered(question.text, question)
        return _runs(table, np.zeros(1, np.int64), chosen)

    return Opened(columns, layout, runs, tuple(table.notes), (question, *_which_rate(table)))


def _asked(table: Table, bars: Bars | None) -> tuple[Question, Layout]:
    """The question what the lines' steps are, and the layout under its likely answer."""
    answers = []
    lines = Answer(
        "log-calls",
        "From line to line the same number of updates.",
        {"x": "row", "x_unit": "log calls"},
        "updates from line to line",
        None if bars is None else float(bars.interval),
    )
    epoch = _per_epoch(table, bars)
    if table.has("epoch").any():
        answers.append(Answer("epochs", EPOCHS.text, {"x": "epoch", **EPOCHS.change}, EPOCHS.amount, epoch))
    told = epoch is not None and bars is None
    answers = [*answers, lines] if told else [lines, *answers]
    if bars is None:
        what = "an epoch" if table.has("epoch").any() else "a loss"
        text = f"The lines have {what}, but no step: how many updates do they stand for?"
        first = answers[0]
        batch = None if first.suggested is None else 1 / first.suggested
        return Question("steps", text, tuple(answers)), _layout(
            table, str(first.change["x"]), str(first.change["x_unit"]), batch=batch
        )
    first_step, last_step = bars.steps[0], bars.steps[-1]
    text = (
        f"The lines have no step; by the progress bars beside them they are {counted(bars.interval, 'update')} apart, "
        f"from {first_step:,.0f} to {last_step:,.0f} of {bars.total:,}: is that right?"
    )
    by_bars = Answer("bars", "Yes, as the bars count.", {"x": "step"})
    return Question("steps", text, (by_bars, *answers)), _layout(table, "step")


def _per_epoch(table: Table, bars: Bars | None) -> float | None:
    """Updates in an epoch, where the log tells."""
    if table.has("of").any() and bars is None:
        lengths = np.unique(table.columns["of"][table.has("of")])
        if table.shape.name == "Keras":
            return float(lengths[0]) if len(lengths) == 1 and lengths[0] > 0 else None
        return _of_whole_run(table, lengths)
    if bars is None or not table.has("epoch").any():
        return None
    train = np.flatnonzero(table.has(LOSS + TRAIN) & table.has("epoch"))
    if len(train) < 2:
        return None
    epochs = table.columns["epoch"][train]
    run = epochs[-1] - epochs[0]
    return float(round(bars.interval * (len(train) - 1) / run)) or None if run > 0 else None


def _of_whole_run(table: Table, lengths: np.ndarray) -> float | None:
    """Updates in an epoch, by a bar that counts those of the whole run and came to its end, and the last epoch."""
    ended = [t for t in lengths if (table.columns["n"][table.has("of") & (table.columns["of"] == t)] == t).any()]
    last = largest(table.columns["epoch"]) if table.has("epoch").any() else None
    return float(round(max(ended) / last)) or None if ended and last and last > 0 else None


# ---- runs


def _runs(table: Table, at: np.ndarray, layout: Layout) -> list[RawRun]:
    """One run, or one for each time that the counter begins, where the layout says so."""
    if layout.restarts == "separate" and len(at) > 1:
        bounds = [*at.tolist(), len(table)]
        parts = [table.take(np.arange(a, b)) for a, b in zip(bounds, bounds[1:], strict=False)]
        return [_run(part, layout) for part in parts]
    if layout.restarts == "continued" and len(at) > 1:
        table = table.take(np.arange(len(table)))
        table.columns["step"] = continued(table.columns["step"], at)
    return [_run(table, layout)]


def _run(table: Table, layout: Layout) -> RawRun:
    named = {name: column for column, name in _columns(table).items()}
    wanted = {c: named.get(c, c) for c in layout.columns if named.get(c, c) in table.columns}
    wanted |= {name: column for name, column in named.items() if column == "grad_norm"}
    columns = {name: _numbers(table, column) for name, column in wanted.items()}
    lines = table.order + 1 if table.numbered else None
    return RawRun("", columns, lines=lines, facts=_facts(table, layout))


def _numbers(table: Table, column: str) -> Numbers:
    values = table.columns[column]
    return Numbers(values, np.flatnonzero(table.has(column) & np.isnan(values)))


def _facts(table: Table, layout: Layout) -> Facts:
    """The total and the batch that the lines name."""
    total = _one(table, "total")
    x = table.columns.get("step")
    last = None if x is None else largest(x)
    known = total is not None and last is not None and table.shape.total and total >= last
    return Facts(batch_size=_one(table, "batch"), total_steps=int(total) if known and total else None)


def _one(table: Table, column: str) -> float | None:
    """The value of a column that is the same all along."""
    if column not in table.columns:
        return None
    values = table.columns[column]
    values = values[np.isfinite(values)]
    return float(values[0]) if len(values) and (values == values[0]).all() and values[0] > 0 else None


FORMAT = Format(
    "console log",
    (".log", ".out", ".txt"),
    is_console,
    open_console,
    sample=(
        b"2026-05-18 16:04:46,338 - train - INFO - model of 124,000,000 parameters\n"
        b"2026-05-18 16:04:46,338 - train - INFO - step 0 | loss: 3.25 | lr: 1.0e-03 | 193.77 ms\n"
        b"2026-05-18 16:05:46,338 - train - INFO - step 10 | loss: 2.5 | lr: 1.0e-03 | 193.77 ms\n"
        b"2026-05-18 16:06:46,338 - train - INFO - step 20 | loss: 2.125 | lr: 5.0e-04 | 193.77 ms\n"
        b"2026-05-18 16:07:46,338 - train - INFO - step 30 | loss: 2.0 | lr: 0.0e+00 | 193.77 ms\n"
    ),
    fewest_lines=2,
)

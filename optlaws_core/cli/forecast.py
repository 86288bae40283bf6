"""The command `forecast`: where runs in progress will end, and so which of them are worth going on with."""

import argparse
from collections import defaultdict
from collections.abc import Sequence

from ..errors import Cancelled, FitError, OptLawsError
from ..fitting.result import Model
from ..live import ALARM, Outcome, cut, diverging, end_as_planned, risen
from ..runs import Run
from ..text import chance, listed
from .model import add_forecaster, band_keys, band_text, beyond_training, curve_model, finite, forecast_beyond
from .options import logs, step
from .read import add_answers, everything, named, unread_files


def add(command: argparse.ArgumentParser) -> None:
    """Options of `forecast`."""
    command.set_defaults(run=run)
    command.add_argument("--runs", required=True, type=logs, metavar="LOG_OR_FOLDER", help="where the runs are")
    command.add_argument("--run", dest="names", nargs="+", metavar="RUN", help="which of them; by default all")
    command.add_argument("--split", help="losses to use: train, or the name of an eval set; by default the run's own")
    command.add_argument(
        "--until", type=step, metavar="STEP", help="as the runs were after this update, to compare them at one length"
    )
    add_forecaster(command)
    add_answers(command)
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> list[str]:
    """Print the runs by the loss that they will end at, the lowest first; the others come back as remarks."""
    model = None if args.fit is None else curve_model(args)
    reading = everything(args.runs, answers=args.answer)
    names = args.names or [found.name for found in reading.runs]
    rows: list[dict] = []
    remarks = [*unread_files(reading.files), *(model.doubts if model else ())]
    faults = []
    for done, name in enumerate(names):
        if args.watch is not None and args.watch(done / len(names)) is False:
            raise Cancelled
        chosen = named(reading, name, args.split)
        try:
            seen = chosen if args.until is None else cut(chosen, args.until)
            rows.append(_row(seen, end_as_planned(seen, model), model))
        except (OptLawsError, FitError) as fault:
            faults.append(f"Left out: {fault}")
            continue
        remarks += [*forecast_beyond(model, seen), *_alarm(seen)]
    if not rows:
        raise OptLawsError(faults[0] if faults else f"{args.runs}: no run was forecast.")
    rows.sort(key=lambda row: row["loss"])
    if args.json:
        args.show(rows)
    else:
        _print(rows)
    return [*remarks, *_unlike(rows), *faults]


def _row(seen: Run, end: Outcome, model: Model | None) -> dict:
    ends = None if end.low is None or end.high is None else finite(end.low, end.high)
    return {
        "run": seen.name,
        "split": seen.split,
        "step": int(seen.steps[-1]),
        "updates": end.updates,
        "seen": float(seen.loss[-1]),
        "loss": end.loss,
        **band_keys("prediction", ends),
        "p_diverges": diverging(seen),
        "reasons": [*beyond_training(model, seen)],
    }


def _unlike(rows: Sequence[dict]) -> list[str]:
    """Remarks on what keeps the losses of a list from being compared: other splits, other lengths."""
    splits, lengths = _by(rows, "split"), _by(rows, "updates")
    found = []
    if len(splits) > 1:
        said = "; ".join(f"{split}: {listed(names, 3)}" for split, names in sorted(splits.items()))
        found.append(f"These are losses of different splits, which do not compare ({said}); --split says which to use.")
    if len(lengths) > 1:
        said = "; ".join(f"{updates:,}: {listed(names, 3)}" for updates, names in sorted(lengths.items()))
        found.append(f"The runs end after different numbers of updates ({said}).")
    return found


def _by(rows: Sequence[dict], key: str) -> dict:
    """Names of the runs that share a value, by that value."""
    found: dict = defaultdict(list)
    for row in rows:
        found[row[key]].append(row["run"])
    return found


def _alarm(seen: Run) -> list[str]:
    """A remark on a run whose loss has risen."""
    if risen(seen) < ALARM:
        return []
    p = diverging(seen)
    odds = "" if p is None else f"; the run ends diverged with a probability of {chance(p)}"
    return [f"Run {seen.name!r}: its loss has risen{odds}."]


def _print(rows: Sequence[dict]) -> None:
    for row in rows:
        ends = None if row["prediction_low"] is None else (row["prediction_low"], row["prediction_high"])
        print(
            f"{row['loss']:.6f}{band_text(None, ends)}   {row['run']}, at step {row['step']:,} of "
            f"{row['updates']:,}, {row['split']} loss {row['seen']:.6g}"
        )

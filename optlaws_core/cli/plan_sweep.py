"""The part `plan sweep`: the best learning rate and batch of one's own sweep, and power laws through them."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from ..errors import LogError, MissingColumn, OptLawsError
from ..hyper import Optimum, SweepCell, SweepReport, read_sweep, sweep_report
from ..hyper.sweep_cells import COLUMNS
from ..hyper.sweep_report import use_of
from ..text import format_amount
from .options import named_once, print_columns, renaming, sure_of_units
from .plan_rates import known


def sweep(args: argparse.Namespace) -> list[str]:
    """Print the optima and the laws through them; notes on the table come back as remarks."""
    if (args.params is None) != (args.tokens is None):
        raise OptLawsError(
            "The law of a sweep predicts for a model size and a length: give both --params and --tokens."
        )
    columns = named_once("--columns", (renaming(text, COLUMNS) for text in args.columns))
    try:
        with sure_of_units():
            cells = read_sweep(args.table, columns, args.unit, args.sure)
    except MissingColumn as fault:
        raise LogError(f"{fault} --columns {fault.ours}=NAME says which of them it is.", fault.source) from None
    found = sweep_report(cells)
    own = None if found.fit is None or args.params is None else found.fit.predict(args.params, args.tokens)
    if args.json:
        args.show(
            {
                "cells": [_cell_row(found, *pair) for pair in zip(found.cells, found.optima, strict=True)],
                "exponents": [asdict(e) for e in found.exponents],
                "said": found.said,
                "predicted": own and ({"params": args.params, "tokens": args.tokens} | asdict(own)),
                "notes": list(found.notes),
            }
        )
        return list(found.notes)
    _print_optima(found.optima)
    print(found.said)
    if own is not None:
        print(
            f"For {format_amount(args.params, 3)} parameters and {format_amount(args.tokens, 3)} tokens: learning rate "
            f"{own.lr:.3g} (90 % {own.lr_low:.3g} to {own.lr_high:.3g}), batch {format_amount(own.batch, 3)} (90 % "
            f"{format_amount(own.batch_low, 3)} to {format_amount(own.batch_high, 3)}) tokens, expected to cost "
            f"{100 * own.cost:.2f} % of the loss above the true optimum."
        )
    beyond = [f"This extrapolates: {own.beyond}."] if own is not None and own.beyond else []
    return [*found.notes, *beyond]


def _print_optima(optima: Sequence[Optimum]) -> None:
    rows = []
    for o in optima:
        low, high = np.exp(o.low), np.exp(o.high)
        rows.append(
            (
                format_amount(o.params, 3),
                format_amount(o.tokens, 3),
                "-" if o.trouble else f"{o.lr:.3g}",
                "" if o.trouble else f"{low[0]:.3g} to {high[0]:.3g}",
                "-" if o.trouble else format_amount(o.batch, 3),
                "" if o.trouble else f"{format_amount(low[1], 3)} to {format_amount(high[1], 3)}",
                f"{o.loss:.4f}",
                str(o.used),
                use_of(o),
            )
        )
    print_columns(("params", "tokens", "best LR", "90 %", "batch", "90 %", "loss", "runs", "use"), rows)


def _cell_row(found: SweepReport, cell: SweepCell, o: Optimum) -> dict:
    """A cell in JSON: its optimum, what the laws say of it, and its runs."""
    low, high = (None, None) if o.trouble else (np.exp(o.low).tolist(), np.exp(o.high).tolist())
    return {
        "params": o.params,
        "tokens": o.tokens,
        "lr": None if o.trouble else o.lr,
        "lr_low": low and low[0],
        "lr_high": high and high[0],
        "batch": None if o.trouble else o.batch,
        "batch_low": low and low[1],
        "batch_high": high and high[1],
        "loss": o.loss,
        "runs_near": o.used,
        "use": use_of(o),
        "laws": {name: {"lr": lr, "batch": batch} for name, lr, batch in found.marks(cell)},
        "runs": [
            {"lr": lr, "batch": batch, "percent_above_best": above}
            for lr, batch, above in zip(cell.lr.tolist(), cell.batch.tolist(), known(cell.above), strict=True)
        ],
    }

"""The part `plan rates`: the peak learning rate and the batch by every published law, and what goes with them."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from ..errors import OptLawsError
from ..hyper import (
    HYPER_LAWS,
    Recommended,
    companions,
    in_common,
    law_map,
    laws_over,
    recommend,
    recommended_schedule,
    standing,
    unlikely,
)
from ..hyper.advice import NONE_FITTED, LawMap, LawsOver, fitted_there
from ..text import format_amount
from .options import print_columns, print_wide, refuse

MUP_RATE = "  (a rate for µP: hidden matrices take it divided by the width multiplier)"


def check_units(args: argparse.Namespace, batch: float | None = None) -> None:
    """Raises `OptLawsError` for a setting whose unit is more likely to be wrong, unless --sure was given."""
    odd = "" if args.sure else unlikely(args.params, args.tokens, batch)
    if odd:
        raise OptLawsError(f"Is the unit right? {odd[0].upper()}{odd[1:]}. --sure takes such numbers as they are.")


def rates(args: argparse.Namespace) -> list[str]:
    """Print every law's answer, or the laws over several sizes; where all are extrapolated, a remark says so."""
    check_units(args, args.batch)
    if args.over != "both":
        refuse(args, ["--law"], "needs --over both: all laws are shown side by side otherwise")
    if args.over:
        refuse(args, ["--bits", "--family"], "does not apply to laws over several sizes (--over); leave it out")
        setting = (args.params, args.tokens)
        if args.over == "both":
            _show_map(law_map(args.law or "step_law", *setting, args.batch, args.loss), args)
        else:
            _show_over(laws_over(*setting, args.over, args.batch, args.loss), args)
        return []
    found = recommend(args.params, args.tokens, args.batch, args.loss)
    beside = companions(args.params, args.tokens, args.batch, args.loss, args.bits)
    texts = [_schedule(r, args, beside.batch) for r in found]
    said = in_common(found)
    if args.json:
        args.show(
            {
                "params": args.params,
                "tokens": args.tokens,
                "batch": args.batch,
                "loss": args.loss,
                "laws": [
                    _law_row(r) | ({"schedule": text} if args.family else {})
                    for r, text in zip(found, texts, strict=True)
                ],
                "companions": asdict(beside),
                "said": said,
            }
        )
    else:
        _print_laws(found)
        if said:
            print(said)
        print(
            f"With the Step Law's rate {beside.lr:.3g} and a batch of {format_amount(beside.batch, 3)} tokens go a "
            f"weight decay of {beside.weight_decay:.3g}, which averages over {100 * beside.memory:.3g} % of the "
            f"training, and a critical batch of {format_amount(beside.critical_batch, 3)} tokens; for "
            f"quantisation-aware training at {beside.bits:g} bits, {100 * beside.quantised:.1f} % of the tokens."
        )
        if beside.quantised_outside:
            print(f"That share is extrapolated: {', '.join(beside.quantised_outside)}.")
        if beside.fused:
            print(f"Cooldown and quantised training in one: {beside.fused}")
        for r, text in zip(found, texts, strict=True):
            if text:
                print(f"{r.law.title}: {text}{MUP_RATE if r.law.mup else ''}")
    return [] if said else [NONE_FITTED]


def _schedule(answer: Recommended, args: argparse.Namespace, batch: float) -> str | None:
    """A law's answer as the text of a schedule; None where none is asked for, or the law gives no rate."""
    if args.family is None or answer.lr is None:
        return None
    return recommended_schedule(answer, args.tokens, args.batch or batch, args.family).text


def _law_row(r: Recommended) -> dict:
    """A law's answer in JSON."""
    return {
        "law": r.law.name,
        "title": r.law.title,
        "lr": r.lr,
        "lr_low": r.lr_interval and r.lr_interval[0],
        "lr_high": r.lr_interval and r.lr_interval[1],
        "batch": r.batch,
        "batch_low": r.batch_interval and r.batch_interval[0],
        "batch_high": r.batch_interval and r.batch_interval[1],
        "outside": list(r.outside),
        "standing": standing(r),
        "fitted_there": fitted_there(r),
        "fitted_on": r.law.range,
        "sure": r.law.sure,
        "reference": r.law.reference,
        "note": r.law.note,
        "parametrisation": r.law.parametrisation,
        "formula": r.law.formula,
    }


def _print_laws(found: Sequence[Recommended]) -> None:
    rows = []
    for r in found:
        lr, batch = r.lr_interval, r.batch_interval
        rows.append(
            (
                r.law.title,
                f"{r.lr:.3g}{', µP' if r.law.mup else ''}" if r.lr else "-",
                f"{lr[0]:.3g} to {lr[1]:.3g}" if lr else "",
                format_amount(r.batch, 3) if r.batch else "-",
                f"{format_amount(batch[0], 3)} to {format_amount(batch[1], 3)}" if batch else "",
                r.law.sure,
                standing(r),
            )
        )
    print_columns(("law", "peak LR", "90 %", "batch", "90 %", "constants", "its fitted range"), rows)


def _show_over(found: LawsOver, args: argparse.Namespace) -> None:
    """All laws over N or D, as JSON or as two tables."""
    columns = {name: {what: found.of(name, what) for what in ("lr", "batch")} for name in HYPER_LAWS}
    if args.json:
        return args.show(
            {
                "along": found.along,
                "values": found.values.tolist(),
                "laws": {
                    name: {what: known(v) for what, v in both.items()} | {"inside": found.inside(name).tolist()}
                    for name, both in columns.items()
                },
            }
        )
    for what, said in (("lr", "peak learning rate"), ("batch", "batch in tokens")):
        shown = {name: both[what] for name, both in columns.items() if np.isfinite(both[what]).any()}
        print(f"{said}; in brackets where a law was not fitted")
        rows = [
            (format_amount(x, 4), *(_cell(shown[n][i], what, found.inside(n)[i]) for n in shown))
            for i, x in enumerate(found.values)
        ]
        print_wide((found.along, *shown), rows)


def _show_map(found: LawMap, args: argparse.Namespace) -> None:
    """One law over N and D, as JSON or as a table for each quantity."""
    if args.json:
        return args.show(
            {
                "law": found.law.name,
                "params": found.params.tolist(),
                "tokens": found.tokens.tolist(),
                "lr": [known(row) for row in found.lr],
                "batch": [known(row) for row in found.batch],
                "inside": found.inside.tolist(),
            }
        )
    for what, said in (("lr", "peak learning rate"), ("batch", "batch in tokens")):
        values = getattr(found, what)
        if not np.isfinite(values).any():
            continue
        print(f"{found.law.title}, {said}: a row for each number of tokens, a column for each model size; in brackets")
        print("where it was not fitted")
        rows = [
            (format_amount(d, 3), *(_cell(values[i, j], what, found.inside[i, j]) for j in range(len(found.params))))
            for i, d in enumerate(found.tokens)
        ]
        print_wide(("", *(format_amount(n, 3) for n in found.params)), rows)


def _cell(value: float, what: str, inside: bool) -> str:
    """A number of a table, in brackets where it is extrapolated."""
    if not np.isfinite(value):
        return "-"
    said = f"{value:.2e}" if what == "lr" else format_amount(float(value), 3)
    return said if inside else f"({said})"


def known(values: NDArray) -> list[float | None]:
    """Numbers for JSON, which has none that is not finite."""
    return [float(v) if np.isfinite(v) else None for v in values]

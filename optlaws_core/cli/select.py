"""The command `select`: several laws fitted to the same runs, which of them to trust, and their average."""

import argparse
import json
import sys

import numpy as np

from ..errors import OptLawsError
from ..fitting.priors import learned
from ..fitting.result import Model, Status
from ..fitting.selection import POOL, Selection, select
from ..laws import LAWS
from ..parallel import Report
from ..runs import unsettled
from ..text import one_line, percent, relative_error
from .model import add_as_json, add_prior, priors_of, save
from .options import check_names, check_out, output
from .read import add_runs, train_and_test


def add(command: argparse.ArgumentParser) -> None:
    """Options of `select`."""
    command.set_defaults(run=run)
    add_runs(command)
    command.add_argument(
        "--laws", nargs="+", metavar="LAW", help="laws to fit; by default all, with --horizon those with a prior"
    )
    command.add_argument("--pool", nargs="+", metavar="LAW", help=f"laws to average; by default {' and '.join(POOL)}")
    add_prior(command)
    where = command.add_mutually_exclusive_group()
    where.add_argument("--cluster", metavar="ADDRESS", help="Dask scheduler to fit on, tcp://host:port")
    where.add_argument("--processes", type=int, metavar="N", help="of this machine; by default one per core")
    command.add_argument("--table", type=output, metavar="OUT", help="file to write the table to, as JSON")
    command.add_argument(
        "--json",
        required=True,
        type=output,
        metavar="OUT",
        help="file to write the model to that the advice says to trust",
    )
    add_as_json(command)


def run(args: argparse.Namespace) -> list[str]:
    """Fit several laws, print the table and the advice, write the model to trust."""
    check_names(args.train, args.test or [])
    check_out("--json", args.json, args.runs)
    if args.table:
        check_out("--table", args.table, args.runs)
        if args.table.resolve() == args.json.resolve():
            raise OptLawsError(f"--table {args.table}: the table needs a file of its own, not that of --json.")
    train, test, remarks = train_and_test(args)
    remarks += unsettled(train)
    laws = args.laws or [name for name in LAWS if args.horizon is None or learned(name)]
    found = select(
        laws,
        train,
        test=test,
        from_step=args.from_step,
        pool=args.pool,
        priors=priors_of(args, laws),
        horizon=args.horizon,
        cluster=args.cluster,
        processes=args.processes,
        progress=args.watch or _progress(),
    )
    model, rows = found.trusted, _rows(found)
    save(model, args.json)
    if args.table:
        args.table.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if args.as_json:
        args.show({"trusted": model.single.law if model.single else "average", "advice": found.advice, "laws": rows})
        return remarks
    print(f"{'law':20} {'left out':>9} {'misfit':>9} {'held-out RMSE':>13} {'weight':>7}  status")
    for row in rows:
        if row["status"] == "failed":
            continue
        shares = "".join(f" {_percent(row[key]):>9}" for key in ("left_out", "misfit"))
        rmse = "-" if row["held_out_rmse"] is None else f"{row['held_out_rmse']:.5f}"
        weight = "-" if row["weight"] is None else f"{100 * row['weight']:.0f} %"
        status = Status[row["status"]].short if row["status"] else ""
        print(f"{row['law']:20}{shares} {rmse:>13} {weight:>7}  {status}".rstrip())
    print(found.advice)
    for law, why in found.failed.items():
        print(f"{law} could not be fitted: {one_line(why)}")
    print(f"{model.single.title if model.single else 'The average'} is in {args.json}.")
    return remarks


def _progress() -> Report | None:
    """Prints the share done where stderr is a terminal, else None."""
    if not sys.stderr.isatty():
        return None

    def report(share: float) -> None:
        print(f"{percent(share):>5}" if share < 1 else "     ", end="\r", file=sys.stderr, flush=True)

    return report


def _rows(found: Selection) -> list[dict]:
    """The table of a selection: laws as they are trusted, the average, laws that failed."""
    average = found.average
    weights = dict(zip((f.law for f in average.fits), average.weights, strict=True)) if average else {}
    rows = [_row(f.law, f, weights.get(f.law), f.status.name, f.message) for f in found.fits]
    if average:
        rows.append(_row("average", average, None, None, found.advice))
    return rows + [_row(law, None, None, "failed", why) for law, why in found.failed.items()]


def _row(law: str, model: Model | None, weight: float | None, status: str | None, message: str) -> dict:
    scores = model.test.values() if model else ()
    return {
        "law": law,
        "left_out": model and model.left_out,
        "misfit": model and model.misfit,
        "held_out_rmse": model and model.held_out_rmse,
        "held_out_mean_rel": float(np.mean([s.mean_rel for s in scores])) if scores else None,
        "weight": weight,
        "status": status,
        "message": message,
    }


def _percent(share: float | None) -> str:
    return "-" if share is None else relative_error(share)

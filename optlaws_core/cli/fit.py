"""The command `fit`: a law of whole curves or of final losses fitted to runs, and scored on held-out runs."""

import argparse
from collections.abc import Sequence

import numpy as np

from ..errors import OptLawsError
from ..final_loss import (
    FINAL_LAWS,
    FinalFit,
    TableRun,
    chosen,
    contenders,
    fit_table,
    read_table,
    table_runs,
    with_folds,
)
from ..final_loss.table_fit import check_folds
from ..fitting.joint import fit_sizes
from ..fitting.result import Fit
from ..fitting.single import fit
from ..laws import LAWS
from ..text import counted, format_number
from .model import add_as_json, add_prior, as_plain, on_progress, print_coefficients, priors_of, save
from .options import check_names, check_out, file, named_once, output, quoted, refuse, renaming, sure_of_units
from .read import add_runs, of_sizes, runs_of_logs, train_and_test


def add(command: argparse.ArgumentParser) -> None:
    """Options of `fit`."""
    command.set_defaults(run=run)
    command.add_argument(
        "--law",
        required=True,
        type=_law,
        help=f"of curves: {', '.join(LAWS)}; of final losses: {', '.join(FINAL_LAWS)}",
    )
    add_runs(command, or_table=True)
    _add_final(command)
    command.add_argument("--lock", nargs="+", default=[], metavar="NAME=VALUE", help="coefficients held at a value")
    command.add_argument(
        "--joint",
        action="store_true",
        help="fit several model sizes together, the law's shared coefficients in common; one file "
        "for each size, named OUT with the size before the suffix",
    )
    add_prior(command)
    command.add_argument("--json", required=True, type=output, metavar="OUT", help="file to write the fit to")
    add_as_json(command)


def _add_final(command: argparse.ArgumentParser) -> None:
    """Options that only final-loss laws know."""
    more = command.add_argument_group("final-loss laws", f"for {', '.join(FINAL_LAWS)}")
    more.add_argument(
        "--table",
        type=file,
        metavar="TABLE.csv",
        help="one row per run: run, params, batch_tokens, tokens, schedule, final_loss; also read: "
        "outcome, parent, text (or dataset); instead of it, --runs takes the last losses of logs",
    )
    more.add_argument("--columns", nargs="+", default=[], metavar="OURS=THEIRS", help="other names for these columns")
    more.add_argument("--sure", action="store_true", help="take unlikely units as they are")
    more.add_argument("--cv", type=int, metavar="K", help="score by K-fold cross-validation of the training runs")


def run(args: argparse.Namespace) -> list[str]:
    """Fit a law, write and print what was found; runs that could not be used come back as remarks."""
    if (args.runs is None) == (args.table is None):
        raise OptLawsError("fit takes either --runs, logs of whole curves, or --table, final losses.")
    return _final(args) if args.law in FINAL_LAWS else _curves(args)


def _curves(args: argparse.Namespace) -> list[str]:
    """Fit a law of whole curves, or several sizes together."""
    refuse(args, ["--table", "--columns", "--sure", "--cv"], f"is for {', '.join(FINAL_LAWS)}, got the law {args.law}")
    if not args.train:
        raise OptLawsError("--train is needed: the runs to fit.")
    check_names(args.train, args.test or [])
    check_out("--json", args.json, args.runs)
    locked, progress = named_once("--lock", map(_lock, args.lock)), on_progress(args.watch)
    train, test, remarks = train_and_test(args)
    if not args.joint:
        prior = priors_of(args, [args.law]).get(args.law)
        result = fit(
            args.law,
            train,
            test=test,
            locked=locked,
            from_step=args.from_step,
            prior=prior,
            horizon=args.horizon,
            progress=progress,
        )
        check_out("--json", args.json, args.runs)
        save(result, args.json)
        if args.as_json:
            args.show(as_plain(result))
        else:
            _print_curves(result)
        return remarks
    refuse(
        args,
        ["--prior", "--horizon"],
        "does not apply to several sizes at once, which share coefficients; leave it out",
    )
    test = of_sizes(train, test, args, remarks)
    found = fit_sizes(args.law, train, test=test, locked=locked, from_step=args.from_step, progress=progress)
    outs = {size: args.json.with_stem(f"{args.json.stem}-{format_number(size)}") for size in found}
    for out in outs.values():
        check_out("--json", out, args.runs)
    for size, result in found.items():
        save(result, outs[size])
    if args.as_json:
        args.show([{"params": size, "file": outs[size].name} | as_plain(result) for size, result in found.items()])
        return remarks
    for size, result in found.items():
        print(f"{format_number(size)} parameters: {outs[size]}")
        _print_curves(result)
    return remarks


def _law(text: str) -> str:
    """The name of a law of either kind."""
    if text not in (known := (*LAWS, *FINAL_LAWS)):
        raise argparse.ArgumentTypeError(f"Unknown law {quoted(text)}. Known laws: {', '.join(known)}.")
    return text


def _lock(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise OptLawsError(f"--lock takes NAME=VALUE with a number, got {text!r}.") from None


def _print_curves(result: Fit) -> None:
    print_coefficients(result, 10)
    for note in result.notes:
        print(note)
    for kind, scores in (("train", result.train), ("held out", result.test)):
        for name, s in scores.items():
            r2 = "none" if s.r2 is None else f"{s.r2:.5f}"
            print(f"    {kind:8} {name}: RMSE {s.rmse:.5f}, R² {r2}, worst {100 * s.worst_rel:.2f} %")


def _final(args: argparse.Namespace) -> list[str]:
    """Fit a final-loss law to --table, or to the last losses of the logs in --runs."""
    check_out("--json", args.json, args.table, args.runs)
    check_names(args.train or [], args.test or [])
    if args.table:
        refuse(args, ["--split", "--answer"], "does not apply to a table; leave it out")
    else:
        refuse(args, ["--columns", "--sure"], "does not apply to logs; leave it out")
    refuse(
        args,
        ["--lock", "--joint", "--from-step", "--prior", "--horizon"],
        f"is for laws of whole curves; {args.law} has no use for it",
    )
    remarks: list[str] = []
    columns = named_once("--columns", map(renaming, args.columns))
    if args.table:
        with sure_of_units():
            runs = read_table(args.table, args.sure, columns)
    else:
        runs = table_runs(runs_of_logs(args, remarks))
    if not runs:
        raise OptLawsError(f"{args.runs}: no run has a schedule, a model size and a batch, which {args.law} needs.")
    if args.cv is not None and args.test:
        raise OptLawsError("Either runs are held out (--test) or --cv does it, not both.")
    train, test = _train_and_test(runs, args.train, [] if args.cv is not None else args.test)
    if args.cv is not None:
        check_folds(contenders(train), args.cv)
    result = fit_table(train, args.law, test)
    save(result, args.json)
    if args.cv is not None:
        result = with_folds(result, train, args.cv)
        save(result, args.json)
    if args.as_json:
        args.show(as_plain(result))
    else:
        _print_final(result)
    return remarks + _unfitted(runs, train, result)


def _unfitted(runs: Sequence[TableRun], train: Sequence[TableRun], result: FinalFit) -> list[str]:
    """Remarks on runs of the table that the law was not fitted to."""
    remarks = []
    gone = sum(not r.stable for r in runs)
    if gone:
        remarks.append(f"{gone} of {len(runs)} runs diverged or spiked: they are used only for the risk of divergence.")
    ended = sum(r.parent is None and r.stable and np.isfinite(r.final_loss) for r in train)
    if far := ended - len(result.train):
        remarks.append(
            f"{far} of {len(runs)} runs ended more than a quarter above the best of their size, batch and "
            "horizon, and were left out of the fit."
        )
    named = [r for r in train if r.name in result.train]
    if result.text and (nameless := sum(not r.first_text for r in named)):
        remarks.append(f"{nameless} of {len(runs)} runs name no text: they were taken to be on {result.text}.")
    if result.folds and (alone := len(result.train) - len(result.test)):
        remarks.append(
            f"{alone} of {len(runs)} runs are the only ones on their text: without them nothing is known about it."
        )
    silent = sum(np.isnan(r.final_loss) and not r.diverged for r in runs)
    if silent:
        remarks.append(f"{silent} of {len(runs)} runs have no final loss and were left out.")
    return remarks


def _train_and_test(
    runs: Sequence[TableRun], train: Sequence[str] | None, test: Sequence[str] | None
) -> tuple[list[TableRun], list[TableRun]]:
    """Training and held-out runs: what is named, and where only one of them is, all others as the other."""
    if train is None and test is None:
        return list(runs), []
    named = {*(train or ()), *(test or ())}
    others = [r for r in runs if r.name not in named]
    return (
        others if train is None else chosen(runs, train),
        others if test is None else chosen(runs, test),
    )


def _print_final(result: FinalFit) -> None:
    print_coefficients(result, 24)
    sizes = [abs(end.rel_error) for end in result.train.values()]
    print(f"{len(sizes)} training runs: mean error {100 * np.mean(sizes):.3f} %, worst {100 * max(sizes):.2f} %")
    if result.test:
        off = [abs(end.rel_error) for end in result.test.values()]
        how = f"{result.folds}-fold cross-validation" if result.folds else f"{len(off)} held-out runs"
        print(f"{how}: mean error {100 * np.mean(off):.3f} %, worst {100 * max(off):.2f} %")
    if result.risk:
        print(f"Risk of divergence learned from {result.risk.diverged} of {result.risk.runs} runs.")
    main = result.text or "the text that is not named"
    for text, step in result.steps.items():
        ends = " to ".join(f"{100 * np.expm1(v):+.2f}" for v in (step.low, step.high))
        print(
            f"Losses on {text} against {main}: {100 * np.expm1(step.step):+.2f} % (90 % interval {ends} %), from "
            f"{counted(step.runs, 'run')}."
        )
    for text, transfer in result.transfers.items():
        print(f"Runs that went on to {text}: {transfer.runs}, off by {100 * transfer.noise:.2f} %.")

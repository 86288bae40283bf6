"""The command `autolrs`: the next stage's rate for a logged run, or a whole run simulated under a fitted law."""

import argparse

import numpy as np

from ..errors import OptLawsError
from ..optimize.autolrs import (
    FEWEST,
    KAPPA,
    PROBES,
    REACH,
    Next,
    Proposal,
    Search,
    Stage,
    next_stage,
    probe_length,
    probe_of,
    propose_rate,
    rivals,
    simulate_stages,
)
from ..text import format_number
from .model import add_warmup, curve_model, extrapolation, warmup_of
from .options import amount, file, logs, named_once, refuse, step
from .read import add_answers, everything, named, unread_files

LOGGED = ("--run", "--probe", "--split", "--start", "--length", "--answer")
SIMULATED = ("--total", "--warmup", "--first", "--noise", "--seed", "--params", "--batch-tokens")


def add(command: argparse.ArgumentParser) -> None:
    """Options of `autolrs`."""
    command.set_defaults(run=run)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--runs", type=logs, metavar="LOG_OR_FOLDER", help="where the run and its probes are")
    what.add_argument(
        "--fit", type=file, metavar="FIT.json", help="simulate a run under the file that fit or select wrote"
    )
    command.add_argument("--high", type=amount, metavar="LR", help="highest rate; of a run by default its peak")
    command.add_argument("--low", type=amount, metavar="LR", help="lowest rate; by default a tenth of the highest")
    command.add_argument("--tries", type=int, default=PROBES, metavar="N", help=f"probes of a stage; {PROBES}")
    command.add_argument(
        "--kappa",
        type=float,
        default=KAPPA,
        metavar="K",
        help=f"weight of the deviation in the bound; {KAPPA:g}, so that probes go where least is known",
    )
    command.add_argument("--run", dest="name", metavar="RUN", help="the run; by default the only one")
    add_answers(command)
    command.add_argument("--probe", nargs="+", default=[], metavar="RUN", help="runs that probe its next stage")
    command.add_argument("--split", help="losses to use: train, or the name of an eval set; by default the run's own")
    command.add_argument(
        "--start", type=step, metavar="STEP", help="first update of the stage; by default the one after the last loss"
    )
    command.add_argument(
        "--length",
        type=step,
        metavar="N",
        help="updates of the stage; by default twice those of the one before, at most 8 times those of the first",
    )
    command.add_argument("--total", type=step, metavar="T", help="updates in total of a simulated run")
    add_warmup(command, "a simulated run")
    command.add_argument(
        "--first", type=step, metavar="N", help="updates of its first stage; by default such that three stages fill it"
    )
    command.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="S",
        help="standard deviation of the log losses that its probes see; 0",
    )
    command.add_argument("--seed", type=int, default=0, help="of the noise")
    command.add_argument("--params", type=amount, metavar="N", help="its model size, by default as in training")
    command.add_argument("--batch-tokens", type=amount, metavar="B", help="its tokens per update, likewise")
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> list[str]:
    """Propose a rate, or simulate."""
    if args.fit is None:
        refuse(args, SIMULATED, "is for a simulated run (--fit); a logged one (--runs) has no use for it")
        return _propose(args)
    refuse(args, LOGGED, "is for a logged run (--runs); a simulated one (--fit) has no use for it")
    if "--noise" not in args.given:
        refuse(args, ["--seed"], "needs --noise: without noise there is nothing random")
    return _simulate(args)


def _search(args: argparse.Namespace, high: float | None) -> Search:
    high = args.high or high
    if high is None:
        raise OptLawsError("A simulated run needs --high, its highest rate.")
    return Search(args.low or high / REACH, high, args.tries, args.kappa)


def _propose(args: argparse.Namespace) -> list[str]:
    reading = everything(args.runs, answers=args.answer)
    if args.name is None and len(reading.runs) > 1:
        raise OptLawsError(f"--run is needed: {args.runs} holds {', '.join(r.name for r in reading.runs)}.")
    chosen = named(reading, reading.runs[0].name if args.name is None else args.name, args.split)
    ahead = next_stage(chosen, args.start)
    last = max(chosen.known_plan.schedule.total, int(chosen.steps[-1]) + 1)
    if ahead.start > last:
        raise OptLawsError(
            f"--start: run {chosen.name!r} ends before update {last:,}, where its next stage begins at the latest, got "
            f"{ahead.start:,}."
        )
    length = ahead.length if args.length is None else args.length
    if length < FEWEST:
        raise OptLawsError(f"A stage takes at least {FEWEST} updates, got {length:,}.")
    search = _search(args, chosen.known_plan.schedule.peak)
    probes = named_once(
        "--probe", ((name, probe_of(named(reading, name, args.split), ahead.start, length)) for name in args.probe)
    )
    proposal = propose_rate([*probes.values()], search, length, ahead.rate)
    updates = length if proposal.train else probe_length(length)
    if args.json:
        args.show(
            {
                "stages": [_stage(s) for s in ahead.stages],
                "probes": [vars(t) for t in proposal.tried],
                "next": {
                    "do": "train" if proposal.train else "probe",
                    "rate": proposal.rate,
                    "start": ahead.start,
                    "updates": updates,
                    "stage": length,
                },
                "posterior": _posterior(proposal),
            }
        )
    else:
        _print_stages(ahead)
        for t in proposal.tried:
            print(
                f"probe at {format_number(t.rate)}: " + ("diverged" if t.diverged else f"{t.loss:.4f} ± {t.error:.2g}")
            )
        verb = "Train the stage" if proposal.train else "Probe"
        print(f"{verb} at {format_number(proposal.rate)} for {updates:,} updates from {ahead.start:,} on.")
    return unread_files(reading.files)


def _stage(stage: Stage) -> dict:
    forecast = stage.hindsight()
    ends = None if forecast is None else tuple(map(float, forecast.interval(stage.length)))
    return {
        "rate": stage.rate,
        "start": stage.start,
        "end": stage.end,
        "losses": len(stage.loss),
        "reached": stage.reached,
        "forecast": None if forecast is None else float(forecast(stage.length)),
        "low": ends and ends[0],
        "high": ends and ends[1],
    }


def _print_stages(ahead: Next) -> None:
    for row in map(_stage, ahead.stages):
        seen = "no losses" if row["reached"] is None else f"reached {row['reached']:.4f}"
        if row["forecast"] is not None:
            seen += f", its first tenth said {row['forecast']:.4f} ({row['low']:.4f} to {row['high']:.4f})"
        print(f"stage at {format_number(row['rate'])}, updates {row['start']:,} to {row['end'] - 1:,}: {seen}")


def _posterior(proposal: Proposal) -> list[dict]:
    """What is known of every rate; nothing before the first probe."""
    if proposal.mean is None or proposal.band is None:
        return []
    columns = np.stack((proposal.rates, proposal.mean, *proposal.band), axis=1).tolist()
    return [dict(zip(("rate", "mean", "low", "high"), row, strict=True)) for row in columns]


def _simulate(args: argparse.Namespace) -> list[str]:
    if args.total is None:
        raise OptLawsError("A simulated run needs --total, its updates in total.")
    model = curve_model(args)
    search = _search(args, None)
    warmup, said = warmup_of(model, args, args.total)
    found = simulate_stages(model, search, args.total, warmup, args.first, args.noise, args.seed)
    beside = rivals(model, search, args.total, warmup)
    reasons = list(model.reasons(found.schedule))
    if args.json:
        args.show(
            {
                "schedule": found.schedule.text,
                "final_loss": found.loss,
                "probed": found.probed,
                "stages": [
                    {"rate": s.proposal.rate, "start": s.start, "end": s.end, "forecast": s.forecast, "loss": s.loss}
                    for s in found.stages
                ],
                "beside": [{"name": r.name, "schedule": r.schedule.text, "final_loss": r.loss} for r in beside],
                "reasons": reasons,
            }
        )
    else:
        for s in found.stages:
            print(
                f"stage at {format_number(s.proposal.rate)}, updates {s.start:,} to {s.end - 1:,}: forecast "
                f"{s.forecast:.4f}, {s.loss:.4f} under the law"
            )
        print(f"{found.loss:.6f}  {found.schedule.text}")
        for rival in beside:
            print(f"{rival.loss:.6f}  {rival.schedule.text}  ({rival.name})")
    return [
        *said,
        *model.doubts,
        f"The probes take another {found.probed:,} updates; the schedules beside it take none.",
        *extrapolation(reasons),
    ]

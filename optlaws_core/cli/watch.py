"""The command `watch`: runs in progress read again and again; what is new of them is printed, and sent to a webhook."""

import argparse
import os
import sys
from time import sleep

from ..errors import LogError, OptLawsError
from ..fitting.result import Model
from ..live import Watch, reread, version
from ..readers import Reading
from ..runs import Run
from .model import add_forecaster, curve_model, forecast_beyond
from .options import path, seconds
from .webhook import WEBHOOK, Webhook

EVERY = 60.0  # seconds between two looks
AT_THE_END = 25.0  # seconds that messages have to be sent before the command ends


def add(command: argparse.ArgumentParser) -> None:
    """Options of `watch`."""
    command.set_defaults(run=run)
    command.add_argument("path", type=path, metavar="PATH", help="a log that grows, a manifest, or a folder of logs")
    add_forecaster(command)
    command.add_argument(
        "--split", help="losses to look at: train, or the name of an eval set; by default the run's own"
    )
    command.add_argument(
        "--every", type=seconds, default=EVERY, metavar="SECONDS", help=f"seconds between two looks; {EVERY:g}"
    )
    command.add_argument("--once", action="store_true", help="look once, then exit")
    command.add_argument(
        "--webhook",
        metavar="URL",
        help=f'where each line also goes as JSON, {{"text": …}}, as Slack takes it; by default what {WEBHOOK} says',
    )


def run(args: argparse.Namespace) -> None:
    """Look until stopped with Ctrl-C, or once."""
    model = None if args.fit is None else curve_model(args)
    _remark(*(model.doubts if model else ()))
    address = args.webhook or os.environ.get(WEBHOOK, "").strip()
    webhook = Webhook(address, _remark) if address else None
    try:
        _watch(args, model, webhook)
    finally:
        if webhook:
            webhook.close(AT_THE_END)


def _watch(args: argparse.Namespace, model: Model | None, webhook: Webhook | None) -> None:
    watch, seen = Watch(model), None
    told: tuple[str, ...] = ()  # what is wrong with the logs and speaks against forecasts, which was said
    while True:
        try:
            now = version(args.path)
            reading = None if now == seen else reread(args.path)
            seen, faults = now, told if reading is None else (*reading.errors, *_against(reading, args, model))
        except LogError as gone:  # or about to be written anew
            if seen is None:
                raise
            reading, faults = None, (str(gone),)
        _remark(*(fault for fault in faults if fault not in told))
        told = faults
        if reading is not None:
            _tell(_news(watch, reading, args), webhook)
        if args.once:
            return
        sleep(args.every)


def _runs(reading: Reading, args: argparse.Namespace) -> list[Run]:
    """The runs that are looked at, by the losses that were asked for."""
    if args.split is None:
        return [*reading.runs]
    return [run.on(args.split) for run in reading.runs if args.split in run.series]


def _against(reading: Reading, args: argparse.Namespace, model: Model | None) -> list[str]:
    """What speaks against forecasts of the runs by now, and that none has the losses yet that were asked for."""
    runs = _runs(reading, args)
    if reading.runs and not runs and not args.once:
        return [f"--split: no run here has losses named {args.split!r} so far."]
    return [line for run in runs for line in forecast_beyond(model, run)]


def _news(watch: Watch, reading: Reading, args: argparse.Namespace) -> list[str]:
    """What is new of the runs by now. Raises `OptLawsError` where one look is all and there is no run for it."""
    runs = _runs(reading, args)
    if args.once and not reading.runs:
        raise LogError(f"{args.path}: there is no run yet.")
    if args.once and not runs:
        raise OptLawsError(f"--split: no run here has losses named {args.split!r}.")
    return [line for run in runs for line in watch.look(run)]


def _tell(news: list[str], webhook: Webhook | None) -> None:
    for line in news:
        print(line, flush=True)
    if webhook and news:
        webhook.send("\n".join(news))


def _remark(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


__all__ = ["add", "run"]

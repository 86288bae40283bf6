"""What it costs to keep a visitor's work between visits: nine runs of 24,000 losses, their files, and two fits.

SQLite in a folder of its own. Everything but the files of the runs' logs is as after an upload; times are medians.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.store import EXAMPLES, TRAIN
from benchmarks.table import seconds, show
from optlaws_core import fit, parse, read
from optlaws_core.readers import Source, read_all
from optlaws_core.saved.packing import Memory, packed, unpacked
from optlaws_core.saved.rights import Viewer
from optlaws_core.saved.shelf import Shelf
from optlaws_core.saved.work import Stock, Work

RUNS, LOSSES = 9, 24_000
ME, NOBODY = Viewer("benchmark").owner, Viewer("somebody new").owner


def log(number: int) -> Source:
    """A log of `LOSSES` losses with four digits, its rates those of a cosine."""
    schedule = parse(f"cosine(peak=1e-3, warmup=500, total={LOSSES})")
    steps = np.arange(LOSSES)
    loss = 3 + 4 * (1 + steps) ** -0.4 + np.random.default_rng(number).normal(0, 0.02, LOSSES)
    rows = zip(steps, loss, schedule(steps), strict=True)
    return Source(
        f"run-{number}.csv", ("step,loss,lr\n" + "".join(f"{s},{v:.4f},{r:.6g}\n" for s, v, r in rows)).encode()
    )


def work() -> Work:
    """What a visitor has who uploaded those logs and fitted two laws."""
    sources = [log(i) for i in range(RUNS)]
    reading = read_all(sources)
    bundled = {run.name: run.on("val") for run in read(EXAMPLES).runs}
    fits = {law: fit(law, [bundled[name] for name in TRAIN]) for law in ("annealing", "opt_laws_curve")}
    stock = Stock(
        {run.name: run for run in reading.runs},
        {report.file: report for report in reading.files},
        {source.name: source for source in sources},
        fits=fits,
        current="annealing",
    )
    return Work(stock, (("cosine(peak=1e-3, total=1000)", "", True),))


def main() -> None:
    made = work()
    with tempfile.TemporaryDirectory() as folder:
        shelf, memory = Shelf(Path(folder) / "kept.sqlite"), Memory()

        def first() -> None:
            shelf.forget(ME)
            shelf.save(ME, *packed(made, Memory()))

        saving = seconds(first)
        kept = shelf.save(ME, *packed(made, memory))

        def edited() -> None:
            nonlocal kept
            kept = shelf.save(ME, *packed(replace(made, rows=made.rows * (1 + kept.revision % 5)), memory), kept)

        def restored() -> Work:
            opened = shelf.open(ME, shelf.states(ME)[0].id)
            return unpacked(opened.content, opened.parts)[0]

        rows = [
            ("first save of all", saving),
            ("save after an edit of the candidates", seconds(edited)),
            ("restoring", seconds(restored)),
            ("a visitor who has nothing kept", seconds(lambda: shelf.states(NOBODY))),
        ]
        show(("what", "time"), [(what, f"{1e3 * time:.1f} ms") for what, time in rows])
        losses = sum(len(series) for run in made.stock.runs.values() for series in run.series.values())
        print(f"\n{len(made.stock.runs)} runs, {losses:,} losses, {kept.bytes / 2**20:.1f} MB as stored")
        shelf.close()


if __name__ == "__main__":
    main()

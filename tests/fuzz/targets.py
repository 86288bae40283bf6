"""Every door for input from outside, each with valid files, mutations, and what must hold of whatever it lets in.

A door takes bytes and returns the sentences that a user would read beside the result. It raises `OptLawsError` for what
it refuses, `Wrong` for a result that breaks its promises; anything else that it raises is a failure, too.
"""

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random

import numpy as np

from optlaws_core import Run, Schedule, parse
from optlaws_core.errors import OptLawsError
from optlaws_core.final_loss import load_final
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.final_loss.table import read_table
from optlaws_core.hyper import read_sweep
from optlaws_core.optimize.autolrs import next_stage, stages_of
from optlaws_core.readers import FORMATS, FileReport, Format, Source, formats, read_all, read_source
from optlaws_core.readers.base import LARGEST_STEP
from optlaws_core.readers.norms import gradient_norms
from optlaws_core.readers.pasted import read_curve
from optlaws_core.saved import Snapshot, from_bundle, thinned, to_bundle
from optlaws_core.schedules import SCHEDULES, refined
from pages.parts.state import candidates as rows

from . import mutate, seeds

LONGEST = 1_500  # characters of a sentence
GIBBERISH = re.compile(
    r'Traceback|<class|<[\w.]+ object|File "|NoneType|\w+Error\b|\w+Exception\b|__\w+__\(\)|machine\'s memory'
)


class Wrong(AssertionError):
    """A result that no reader may give, or a sentence that no user should read."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


def check_sentence(text: str) -> None:
    """One printable line of bounded length that ends as a sentence does, without the words of a traceback."""
    check(10 <= len(text) <= LONGEST, f"a sentence has {len(text):,} characters: {text[:120]!r}…")
    check(text.isprintable(), f"a sentence is not printable: {text[:200]!r}")
    check(text[-1] in ".?!", f"a sentence does not end: {text[:200]!r}")
    check(not GIBBERISH.search(text), f"a sentence speaks of the program: {text[:300]!r}")


# ---------------------------------------------------------------------------------------------------- what must hold


def check_schedule(schedule: Schedule) -> None:
    """Rates are finite, from 0 to the peak; the text form reads back; breaks rise to the end."""
    check(parse(schedule.text) == schedule, f"the text form does not read back: {schedule.text[:200]}")
    breaks, what = schedule.breaks, schedule.text[:200]
    rates = schedule(np.array([*breaks[:50], *np.linspace(0, schedule.total, 17)]))
    fine = np.isfinite(rates) & (rates >= 0) & (rates <= schedule.peak * (1 + 1e-9))
    check(bool(fine.all()), f"the rates of {what}")
    check(
        breaks[0] == 0 and breaks[-1] == schedule.total and list(breaks) == sorted(set(breaks)), f"the breaks of {what}"
    )


def check_run(run: Run) -> None:
    """A name of one line, steps that rise, finite losses that change, a schedule that holds."""
    check(bool(run.name.strip()) and run.name.isprintable(), f"the run's name {run.name!r}")
    check(len(run.loss) >= 2 and run.loss.min() < run.loss.max(), f"the losses of {run.name!r} are no curve")
    for split, series in run.series.items():
        check(bool(split), "a split has no name")
        check(len(series) > 0 and bool(np.isfinite(series.loss).all()), f"losses of {split!r}")
        check(bool((np.diff(series.steps) > 0).all()) and series.steps[0] >= 0, f"steps of {split!r}")
        check(series.steps[-1] <= min(run.last_step, LARGEST_STEP), f"the last step of {split!r}")
    if run.plan is not None:
        check_schedule(run.plan.schedule)
        check(run.plan.tokens is None or 0 < run.plan.tokens < np.inf, f"tokens: {run.plan.tokens}")


def check_report(report: FileReport) -> list[str]:
    """Runs that hold and notes that are sentences; an error is raised. What a user reads is returned."""
    if report.error is not None:
        check(report.runs == (), "an error beside runs")
        raise OptLawsError(report.error)
    check(bool(report.runs) or report.format == "Manifest", "neither runs nor an error")
    check(len({r.name for r in report.runs}) == len(report.runs), "two runs of one name")
    for run in report.runs:
        check_run(run)
    for note in report.notes:
        check(note.run in ("", *(r.name for r in report.runs)), f"a note on the run {note.run!r}, which is not there")
    return [note.text for note in report.notes]


def check_kept(runs: Sequence[Run]) -> None:
    """What was read can be saved as a comparison, and opens as the same; or saving says why not."""
    try:
        data = Snapshot("t", thinned(runs), versions={}).to_bytes()
        opened = Snapshot.from_bytes(data)
    except OptLawsError as error:
        check_sentence(str(error))
        return
    check(opened.to_bytes() == data, "a saved comparison opens as another one")


# ---------------------------------------------------------------------------------------------------- doors


def a_log(data: bytes) -> list[str]:
    """A log; one that counts tokens or samples as if the user had declared a batch size."""
    source = Source("logs/a.csv", data)
    report = read_source(source)
    if report.layout is not None and report.layout.x_unit != "step":
        report = read_source(source, replace(report.layout, batch=1000.0))
    said = check_report(report)
    check_kept(report.runs)
    return said


def a_manifest(data: bytes) -> list[str]:
    """A manifest beside a log, which must be read whatever the manifest says."""
    reading = read_all([Source("m.csv", data), Source("logs/a.csv", b"step,loss,lr\n0,3,0\n10,2.5,1e-3\n30,2,0\n")])
    log = check_report(reading.files[1])
    for row in reading.rows():
        check(row["points"] >= 2, f"{row['points']} points")
    return [*check_report(reading.files[0]), *log]


def an_archive(data: bytes) -> list[str]:
    """An archive of logs, among them runs of several files."""
    reading = read_all([Source("logs/a.zip", data)])
    said = [note.text for note in reading.notes]
    for report in reading.files:
        if report.error is None and (report.runs or report.format == "Manifest"):
            said += check_report(report)
        elif report.error is not None:
            check_sentence(report.error)
    check(len({run.name for run in reading.runs}) == len(reading.runs), "two runs of one name")
    check(len(data) < 2 or len(reading.files) > 0, "no report")
    if not reading.runs and reading.errors:
        raise OptLawsError(reading.errors[0])
    return said


def no_log(data: bytes) -> list[str]:
    """Pickles and the like; text that mutations make of them may be a log."""
    report = read_source(Source("a.csv", data))
    for magic in (b"\x80\x02", b"\x80\x04", b"\x80\x05"):
        check(not data.startswith(magic) or report.error is not None, f"{magic!r} was read")
    return check_report(report)


def gradients(data: bytes) -> list[str]:
    found = refined(*gradient_norms(Source("a.csv", data)), 1e-3)
    check_schedule(found.schedule)
    return list(found.notes)


def stages(data: bytes) -> list[str]:
    report = read_source(Source("a.csv", data))
    said = check_report(report)
    for run in report.runs:
        for stage in stages_of(run):
            check(stage.rate > 0 and 0 <= stage.start < stage.end, f"a stage from {stage.start} to {stage.end}")
            told = stage.hindsight()
            check(told is None or not np.isnan(told(stage.length)), "a forecast that is no number")
        ahead = next_stage(run)
        check(ahead.length > 0 and ahead.start > 0 and ahead.rate >= 0, f"a next stage of {ahead.length}")
    return said


def final_losses(data: bytes) -> list[str]:
    runs = on_disk(read_table, data)
    check(bool(runs) and len({r.name for r in runs}) == len(runs), "no runs, or two of one name")
    for run in runs:
        check(bool(run.name), "a run without a name")
        check(np.isnan(run.final_loss) or 0 < run.final_loss < np.inf, f"a final loss of {run.final_loss}")
        check(0 < run.plan.params < np.inf and 0 < run.plan.tokens < np.inf, f"sizes of {run.name!r}")
        check(bool(run.family) and run.plan.schedule.peak > 0, f"the schedule of {run.name!r}")
    return []


def a_sweep(data: bytes) -> list[str]:
    for cell in on_disk(read_sweep, data):
        arrays = (cell.lr, cell.batch, cell.loss)
        check(len({len(a) for a in arrays}) == 1 and len(cell.loss) > 0, "columns of unlike length")
        check(all(bool(((a > 0) & (a < np.inf)).all()) for a in arrays[:2]), "a rate or a batch")
        check(0 < cell.compute < np.inf and 0 < cell.loss[cell.best] < np.inf, f"compute {cell.compute}")
    return []


def a_fit(data: bytes) -> list[str]:
    model = on_disk(load_fit, data, ".json")
    check(type(model).from_dict(model.to_dict()) == model, "a fit reads back as another one")
    return []


def a_final_fit(data: bytes) -> list[str]:
    model = on_disk(load_final, data, ".json")
    check(type(model).from_dict(model.to_dict()) == model, "a fit reads back as another one")
    return []


def a_bundle(data: bytes) -> list[str]:
    opened = from_bundle(data)
    check(from_bundle(to_bundle(opened)).to_dict() == opened.to_dict(), "a bundle opens as another one")
    for run in opened.runs:
        check(all(bool((np.diff(s.steps) > 0).all()) for s in run.series.values()), "steps")
    return []


def a_schedule(data: bytes) -> list[str]:
    schedule = parse(data.decode("utf-8", "replace"))
    check_schedule(schedule)
    try:
        check_schedule(schedule.rescaled(2 * schedule.total))
    except OptLawsError as error:
        check_sentence(str(error))
    return []


def a_link(data: bytes) -> list[str]:
    """Candidates out of a link: each is a schedule or says why not, and can be edited either way."""
    found = rows.from_link(data.decode("utf-8", "replace").split("\n"))
    check(len(found) <= rows.MOST, f"{len(found)} candidates")
    check(len(set(rows.names(found))) == len(found), "two candidates of one name")
    for candidate in found:
        check((candidate.schedule is None) == bool(candidate.problem), "neither a schedule nor a problem")
        for field in rows.SCALARS:
            rows.value_of(candidate, field)
        other = rows.with_family(candidate, [*SCHEDULES][len(data) % len(SCHEDULES)])
        rows.with_field(other, "total", 50)
    again = rows.from_link(rows.to_link(found))
    kept = [(a, b) for a, b in zip(found, again, strict=False) if a.schedule]
    check(all(a == b for a, b in kept), "a link brings other candidates back")
    return [c.problem for c in found if c.problem]


def a_curve(data: bytes) -> list[str]:
    curve = read_curve(data)
    check_schedule(curve.schedule)
    return [curve.sentence]


class _Scratch:
    """A file of this process, in memory where there is such a place."""

    @cached_property
    def folder(self) -> tempfile.TemporaryDirectory:
        shared = Path("/dev/shm")
        return tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)


_scratch = _Scratch()


def on_disk(read: Callable, data: bytes, suffix: str = ".csv"):
    """What a reader of paths makes of a file of that content. Its messages name the file, without its folder here."""
    path = Path(_scratch.folder.name) / f"x{suffix}"
    path.write_bytes(data)
    try:
        return read(path)
    except OptLawsError as error:
        raise type(error)(str(error).replace(f"{path.parent}/", "")) from error


# ---------------------------------------------------------------------------------------------------- the list


@dataclass(frozen=True)
class Target:
    """A door."""

    name: str
    door: Callable[[bytes], Iterable[str]]
    valid: Callable[[], tuple[bytes, ...]]
    own: tuple[mutate.Mutation, ...] = ()  # mutations that keep the frame; more likely than those of any bytes
    text: bool = True

    @cached_property
    def seeds(self) -> tuple[bytes, ...]:
        return self.valid()

    def changed(self, data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
        """A file after one to four mutations; one time in twenty, a table of nothing but odd cells."""
        if self.text and rng.random() < 0.05:
            return mutate.made(rng, rng.choice(",\t; "))
        any_bytes = mutate.TEXT if self.text else mutate.BYTES
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            pool = self.own if self.own and rng.random() < 0.7 else any_bytes
            data = rng.choice(pool)(data, rng, others)
        return data


TABLE, TREE = (mutate.table,), (mutate.tree,)
FRAMES = {
    "JSON lines": (mutate.lines,),
    "Parquet": (mutate.parquet,),
    "TensorBoard events": (mutate.records,),
    "W&B transaction log": (mutate.chunks,),
    "SwanLab log": (mutate.chunks,),
    "MLflow database": (mutate.database,),
    "trackio database": (mutate.database,),
    "Comet offline experiment": (mutate.archive,),
    "ClearML offline task": (mutate.lines,),
    "Neptune offline run": (mutate.lines,),
}  # mutations that keep the frame of a format, where it is neither one JSON value nor lines of cells


def of_format(format: Format) -> Target:
    """The target of a log format: its sample, and what more of it there is among the seeds."""
    door = a_manifest if format is formats.manifest.FORMAT else a_log
    more = seeds.OF_FORMAT.get(format.name, tuple)
    frame = TREE if format.sample[:1] in (b"{", b"[") else TABLE
    text = b"\0" not in format.sample and format.name not in ("SwanLab log", "W&B transaction log")
    return Target(format.name, door, lambda: (format.sample, *more()), FRAMES.get(format.name, frame), text)


TARGETS = {
    t.name: t
    for t in (
        *map(of_format, FORMATS),
        Target("archives", an_archive, seeds.archives, (mutate.archive,), text=False),
        Target("pickles and other files", no_log, seeds.refused, text=False),
        Target("gradient norms", gradients, seeds.norms, (mutate.table, mutate.lines)),
        Target("AutoLRS stages", stages, seeds.staged, TABLE),
        Target("final losses", final_losses, seeds.final_tables, TABLE),
        Target("sweep", a_sweep, seeds.sweeps, TABLE),
        Target("fit JSON", a_fit, seeds.fits, TREE),
        Target("final-loss fit JSON", a_final_fit, seeds.final_fits, TREE),
        Target("snapshot bundle", a_bundle, seeds.bundles, (mutate.bundle,)),
        Target("schedule text", a_schedule, seeds.schedules, (mutate.renumber,)),
        Target("candidates' link", a_link, seeds.links, (mutate.renumber,)),
        Target("pasted curve", a_curve, seeds.curves, TABLE),
    )
}

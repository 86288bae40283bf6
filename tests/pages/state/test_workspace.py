"""A workspace forgets by its parts: what belongs to the logs goes with them, candidates and tables stay."""

from dataclasses import fields

from pages.parts.state.big_run import Aim
from pages.parts.state.candidates import Candidate
from pages.parts.state.jobs import FitJob, Job
from pages.parts.state.kept_fits import KeptFits
from pages.parts.state.library import Library
from pages.parts.state.table_file import TableFile
from pages.parts.state.workspace import Copied, Workspace

STAY = {"candidates", "proposed", "table", "sweep", "history", "aside", "known", "trainer"}


def test_every_field_belongs_to_one_part_or_stays():
    parts = [{f.name for f in fields(part)} for part in (Library, KeptFits, FitJob, Copied, Aim)]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert set().union(*parts) | STAY == {f.name for f in fields(Workspace)}


def test_clearing_forgets_every_part_and_stops_the_fit():
    kept = {"candidates": [Candidate("x")], "table": TableFile("t.csv", b"a"), "sweep": TableFile("s.csv", b"b")}
    space = Workspace(**kept)
    space.load_example()
    job = space.job = Job("A fit")
    space.failure, space.parent, space.current, space.choice.train = "Why.", "digest", "a fit", ("a",)
    space.clear()
    assert space == Workspace(**kept) and job.cancelled


def test_a_part_that_is_cleared_leaves_the_others():
    library = Library()
    library.load_example()
    assert library.runs and library.example
    library.clear()
    assert library == Library()

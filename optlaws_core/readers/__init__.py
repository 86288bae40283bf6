"""Training logs in, runs out: one module a format, found by content, with everything repaired or refused told.

>>> from optlaws_core.readers import Source, read_source
>>> report = read_source(Source("a.csv", b"step,lr,loss\\n0,0.1,3\\n10,0.1,2\\n"))
>>> report.format, report.runs[0].name, report.runs[0].loss.tolist(), report.runs[0].lr_source
('CSV', 'a', [3.0, 2.0], 'logged')

The way of a file:

1. `files`: paths on disk to a `Source` each (`base` has it, and whatever else goes in and comes out).
2. `formats`: a `Format` recognises the `Content` of a source (both in `format`; `sniff` refuses what is never read,
   `header` finds the columns of a table) and opens it (`opened`): columns as written, `RawRun`, nothing dropped yet.
   Helpers are `cells` and `numbers`, cells to numbers, and `layout`, which column is what by its name.
3. `clean`: points; `rates`: where the learning rate comes from, recognised as a family (`FileReport.recognised` tells
   as what) or as knots, `thinning` its curve; `assembly`: a `Run`.
4. `reading`: a report on each file, and what manifests add; `companions`: what runs read together tell of each other.

Other doors: `norms` (gradient norms out of a log), `pasted` (a learning-rate curve), `frames` (a table of whole runs).
"""

from .base import (
    LOSS_UNITS,
    MOST_BYTES,
    MOST_FILES,
    MOST_ROWS,
    X_UNITS,
    Facts,
    FileReport,
    Layout,
    Note,
    Reading,
    Source,
)
from .files import SUFFIXES, Sources, sources_from_paths
from .format import Format
from .formats import FORMATS
from .questions import Answer, Question, chosen
from .reading import read, read_all, read_source

__all__ = [
    "FORMATS",
    "LOSS_UNITS",
    "MOST_BYTES",
    "MOST_FILES",
    "MOST_ROWS",
    "SUFFIXES",
    "X_UNITS",
    "Answer",
    "Facts",
    "FileReport",
    "Format",
    "Layout",
    "Note",
    "Question",
    "Reading",
    "Source",
    "Sources",
    "chosen",
    "read",
    "read_all",
    "read_source",
    "sources_from_paths",
]

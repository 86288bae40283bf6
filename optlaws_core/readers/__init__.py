"""Training logs in, runs out: one module a format, found by content, with everything repaired or refused told.

>>> from optlaws_core.readers import Source, read_source
>>> report = read_source(Source("a.csv", b"step,lr,loss\\n0,0.1,3\\n10,0.1,2\\n"))
>>> report.format, report.runs[0].name, report.runs[0].loss.tolist(), report.runs[0].lr_source
('CSV', 'a', [3.0, 2.0], 'logged')

The way of a file: `sniff` (what is it) -> `delimited`, `parquet`, `wandb_chart`, `records`, `trainer_state`,
`wandb_history`, `event_files` (columns as written, `RawRun`) -> `aliases` (which column is what, `Layout`) -> `clean`
(points) -> `rates` (where the learning rate comes from) -> `assembly` (a `Run`) -> `reading` (a report a file, and what
manifests add).
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
from .reading import read, read_all, read_source

FORMATS = (
    "CSV",
    "TSV",
    "CSV with semicolons",
    "table with spaces",
    "Parquet",
    "JSON lines",
    "JSON records",
    "JSON columns",
    "Hugging Face trainer_state.json",
    "W&B chart CSV",
    "W&B history JSON",
    "TensorBoard events",
    "Manifest",
)

__all__ = [
    "FORMATS",
    "LOSS_UNITS",
    "MOST_BYTES",
    "MOST_FILES",
    "MOST_ROWS",
    "SUFFIXES",
    "X_UNITS",
    "Facts",
    "FileReport",
    "Layout",
    "Note",
    "Reading",
    "Source",
    "Sources",
    "read",
    "read_all",
    "read_source",
    "sources_from_paths",
]

"""Log formats, one module each with one record, `Format`; a module whose formats differ in a trifle has several.

`FORMATS` lists them in the order in which they are tried: a file is of the first format that recognises its content.
Binary formats come first. Texts that are known by the shape of their lines belong after them, since what a program
prints may begin with a bracket, and so does what the JSON formats take. Tables of any columns come last and take every
other text.
"""

from ...errors import by_name
from ..format import Content, Format
from . import (
    clearml,
    comet,
    console,
    delimited,
    event_files,
    long_table,
    manifest,
    metric_files,
    mlflow_files,
    neptune,
    parquet,
    records,
    run_columns,
    sqlite_stores,
    swanlab,
    tensorboard_downloads,
    tracker_run,
    trainer_state,
    wandb_chart,
    wandb_history,
    wandb_run,
)

FORMATS: tuple[Format, ...] = tuple(
    by_name(
        "log formats",
        lambda format: format.name,
        (
            event_files.FORMAT,
            wandb_run.FORMAT,
            swanlab.FORMAT,
            sqlite_stores.MLFLOW,
            sqlite_stores.TRACKIO,
            comet.FORMAT,
            parquet.FORMAT,
            mlflow_files.FORMAT,
            clearml.FORMAT,
            neptune.FORMAT,
            tensorboard_downloads.CSV,
            tensorboard_downloads.JSON,
            console.FORMAT,
            trainer_state.FORMAT,
            tracker_run.FORMAT,
            wandb_history.FORMAT,
            records.JSON_RECORDS,
            records.JSON_COLUMNS,
            records.JSON_LINES,
            manifest.FORMAT,
            wandb_chart.FORMAT,
            metric_files.FORMAT,
            long_table.FORMAT,
            run_columns.FORMAT,
            delimited.CSV,
            delimited.TSV,
            delimited.SEMICOLONS,
            delimited.SPACES,
        ),
    ).values()
)


def format_of(content: Content) -> Format:
    """The format of a file. Raises `LogError` for what is no log, such as an archive or a table without a header."""
    return next(format for format in FORMATS if format.recognises(content))

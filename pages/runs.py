"""Runs: training logs in, what was read of them and what was refused, and the curves."""

import streamlit as st

from pages.parts import page
from pages.parts.runs import files, questions
from pages.parts.runs import table as inputs_runs
from pages.parts.state import address

space = page.open("Runs", "Training logs in: the losses, and where each run's learning rate comes from.")
address.load_named_runs(space, "run")
left, right = st.columns([1, 3], gap="medium")

with left:
    if space.example:
        st.info("These are the project's own small runs, trained for this app; upload yours to replace them.")
    files.upload(space)
    questions.ask(space)
    questions.offer_tables(space)
    files.refusals(space)

if space.runs:
    chosen = inputs_runs.choose(space)
    with right:
        inputs_runs.chart(chosen, inputs_runs.splits(space))
    inputs_runs.declare(space)
else:
    with right:
        st.info(
            "No runs yet. Upload training logs, or load the example runs. docs/log-formats.md says how to export a "
            "log from each tool."
        )
        inputs_runs.example(space)

if space.uploaded:
    files.files(space)

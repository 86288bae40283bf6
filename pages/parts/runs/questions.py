"""Widgets of the Runs page for what logs leave open: questions with their answers, and tables that belong elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from optlaws_core import OptLawsError
from optlaws_core.hyper.sweep_cells import COLUMNS, columns_of
from optlaws_core.readers import Answer, FileReport, Layout, Question, chosen
from optlaws_core.text import format_amount, listed, parse_amount

from .. import page
from ..state.table_file import TableFile
from ..state.workspace import Workspace
from ..widgets.markdown import literal
from .files import summary


@dataclass(frozen=True)
class Asked:
    """One question, and the files of which it is asked in the same words but for names and numbers."""

    question: Question  # as the first of the files asks it
    files: tuple[str, ...]
    waits: bool  # whether they cannot be read before the answer


def grouped(reports: Iterable[FileReport]) -> list[Asked]:
    """The open questions of all files, each once."""
    found: dict[tuple, tuple[Question, list[str]]] = {}
    for report in reports:
        for question in report.questions:
            kind = (question.key, tuple(answer.key for answer in question.answers), report.error is not None)
            found.setdefault(kind, (question, []))[1].append(report.file)
    return [Asked(question, tuple(dict.fromkeys(files)), kind[-1]) for kind, (question, files) in found.items()]


def ask(space: Workspace) -> None:
    """Every open question with its answers, the likely one first: it is what the files are read under for now."""
    for number, asked in enumerate(grouped(space.reports.values())):
        with st.container(border=True, key=f"question-{number}-{space.revision}"):
            _ask(space, asked, f"{asked.question.key}-{number}-{space.revision}")


def _ask(space: Workspace, asked: Asked, key: str) -> None:
    st.markdown(f":material/help: {literal(asked.question.text)}")
    until = "It waits for your answer." if asked.waits else "The first answer is taken until you choose."
    st.caption(literal(f"Asked of {listed(asked.files, 3)}. {until}"))
    gone = [file for file in asked.files if file not in space.sources]
    for i, answer in enumerate(asked.question.answers):
        amount = ""
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if answer.amount:
                amount = st.text_input(
                    answer.amount.capitalize(),
                    "" if answer.suggested is None else format_amount(answer.suggested),
                    key=f"amount-{key}-{answer.key}",
                    placeholder="a number",
                    width=200,
                )
            sent = st.button(
                literal(answer.text),
                key=f"send-{key}-{answer.key}",
                type="primary" if i == 0 and not asked.waits else "secondary",
                disabled=bool(gone),
            )
        if sent:
            _answer(space, asked, answer, amount)
    if gone:
        st.caption(literal(f"Upload {listed(gone, 3)} again to answer."))


def _answer(space: Workspace, asked: Asked, answer: Answer, amount: str) -> None:
    """Read the files again under an answer: each under its own, which may name other columns."""
    try:
        number = parse_amount(amount, f"The number of {answer.amount}", examples="16") if answer.amount else None
        likely = number is not None and number == answer.suggested
        layouts = {
            file: _layout(space.reports[file], asked.question.key, answer.key, number, likely) for file in asked.files
        }
    except OptLawsError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return
    with st.spinner("Reading…"):
        still = [note for note in space.news if note.level == "refused"]  # of files that this answer is not about
        space.news = (*summary(space.correct(layouts)), *still)
    space.revision += 1
    st.rerun()


def _layout(report: FileReport, key: str, chosen_key: str, number: float | None, likely: bool) -> Layout:
    """A file's layout under its own answer of that key, with its own likely number where that was left as it was."""
    question = next(question for question in report.questions if question.key == key)
    answer = next(answer for answer in question.answers if answer.key == chosen_key)
    own = answer.suggested if likely and answer.suggested is not None else number
    return chosen(report.layout or Layout(), question, answer, own)


def offer_tables(space: Workspace) -> None:
    """The way to where tables of finished runs go, for each that was given as a log."""
    for report in space.reports.values():
        if not report.is_table or report.file not in space.sources:
            continue
        with st.container(border=True):
            st.markdown(
                literal(f"{report.file} is a table with one finished run per row, and no curve: where should it go?")
            )
            held = TableFile(report.file, space.sources[report.file].read())
            sweep = len(columns_of(_names(held))) == len(COLUMNS)
            with st.container(horizontal=True):
                to_plan = st.button("Open in Plan", key=f"plan-{report.file}", type="primary" if sweep else "secondary")
                to_select = st.button("Open in Pre-select", key=f"select-{report.file}")
        if to_plan:
            space.sweep = held.over(space.sweep)
            st.switch_page(page.called("plan"))
        if to_select:
            space.table = held.over(space.table)
            st.switch_page(page.called("preselect"), query_params={"final_source": "table"})


def _names(table: TableFile) -> list[str]:
    """The columns of a table; none where the pages cannot read it, which they then say."""
    try:
        return [str(name) for name in table.frame.columns]
    except OptLawsError:
        return []

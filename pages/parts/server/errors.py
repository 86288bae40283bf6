"""Errors that nobody foresaw: a sentence with an id for the visitor, the traceback with that id in the log."""

import logging
import secrets

import streamlit as st

LOG = logging.getLogger("optlaws.errors")
TWICE = "Uncaught app execution"  # what Streamlit logs of the same error, without an id


def tell(error: Exception) -> bool:
    """Log `error` with its traceback and show its id; for `st.App(on_script_error=…)`.

    Pages, fragments and callbacks end here, `st.stop` and `st.rerun` do not. True keeps Streamlit from showing it too.
    """
    id = secrets.token_hex(4)
    LOG.error("Unforeseen error, id %s", id, exc_info=error)
    st.error(
        f"Something went wrong here; id {id}. Nothing of your work was lost. The server's log has the details under "
        "this id.",
        icon=":material/error:",
    )
    st.button("Show the page again", key=f"after error {id}")  # after a callback's error there is no other way on
    return True


logging.getLogger("streamlit.error_util").addFilter(lambda record: record.msg != TWICE)

"""What visitors are told of errors, and what is for the log: of those that nobody foresaw, and of the store's."""

import logging
import secrets

import streamlit as st

from optlaws_core.errors import OptLawsError, StoreError

LOG = logging.getLogger("optlaws.errors")
STORE = "The server cannot reach its store; its log says why."
TWICE = "Uncaught app execution"  # what Streamlit logs of the same error, without an id


def tell(error: Exception) -> bool:
    """Log `error` with its traceback and show its id; for `st.App(on_script_error=…)`.

    Pages, fragments and callbacks end here, `st.stop` and `st.rerun` do not. True keeps Streamlit from showing it too.
    """
    id = secrets.token_hex(4)
    LOG.error("Unforeseen error, id %s", id, exc_info=error)
    st.error(
        f"Something went wrong here; id {id}. None of your work was lost. The server's log has the details under "
        "this id.",
        icon=":material/error:",
    )
    st.button("Show the page again", key=f"after error {id}")  # after a callback's error there is no other way on
    return True


def sentence(fault: OptLawsError) -> str:
    """What a visitor is told; where the store is and what is wrong with it stands in the log."""
    if not isinstance(fault, StoreError):
        return str(fault)
    LOG.error("%s", fault)
    return STORE


logging.getLogger("streamlit.error_util").addFilter(lambda record: record.msg != TWICE)

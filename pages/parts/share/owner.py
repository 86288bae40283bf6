"""The bar above a saved comparison for its owner: its link, who may open it, the end of it."""

import streamlit as st

from optlaws_core.saved.store import Entry

from ..state import identity, settings
from .common import kinds, link


def bar(entry: Entry) -> None:
    """What its owner may do with it."""
    with st.container(border=True):
        st.code(link(entry.id), language=None)
        with st.container(horizontal=True):
            _visibility(entry)
            _end(entry)


def _visibility(entry: Entry) -> None:
    viewer = identity.viewer()
    with st.popover("Who may open it", icon=":material/lock:"):
        offered = kinds(viewer, entry.visibility)
        chosen = st.radio(
            "Open to",
            offered,
            offered.index(entry.visibility),
            format_func=lambda kind: kind.value,
            key=f"share_visibility {entry.id}",
        )
        if st.button("Change", disabled=chosen is entry.visibility):
            settings.store().set_visibility(entry.id, viewer, chosen)
            st.rerun()


def _end(entry: Entry) -> None:
    store, viewer = settings.store(), identity.viewer()
    with st.popover("Revoke the link", icon=":material/link_off:"):
        st.text("The link is dead for ever; the comparison is yours alone, under a new one.")
        if st.button("Revoke it"):
            st.query_params["id"] = store.revoke(entry.id, viewer)
            st.rerun()
    with st.popover("Delete", icon=":material/delete:"):
        st.text("It is gone for ever, for everybody.")
        if st.button("Delete it"):
            store.delete(entry.id, viewer)
            del st.query_params["id"]
            st.rerun()

"""The bar above a saved comparison for its owner: its link, who may open it, words, versions, the end of it."""

import streamlit as st

from optlaws_core.saved import Snapshot, versions
from optlaws_core.saved.store import Entry

from ..state import identity, settings
from . import kept
from .common import kinds, link

NEW_VERSION = (
    "Opens runs, fits and candidates on the Decide page, in place of what is loaded. Change them there and save with "
    "“Save as: a new version”: the link then shows the new one, and this one stays readable among its versions."
)


def bar(entry: Entry, found: Snapshot) -> None:
    """What its owner may do with it; `found`: the version that is open."""
    with st.container(border=True):
        with st.container(horizontal=True):
            with st.popover("Copy the link", icon=":material/link:"):
                st.code(link(entry.id), language=None, wrap_lines=True)
            _visibility(entry)
            _words(entry)
            _frame(entry)
            if st.button("New version", icon=":material/library_add:", help=NEW_VERSION):
                kept.copy(found)
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


def _words(entry: Entry) -> None:
    with st.popover("Edit title and note", icon=":material/edit:"):
        with st.form(f"share_words {entry.id} {entry.digest}", border=False):
            title = st.text_input("Title", entry.title, max_chars=200)
            note = st.text_area("Note", entry.note, height=120, max_chars=20_000)
            pressed = st.form_submit_button("Save the words", type="primary")
        st.caption("On this page and in lists. The content, its download and digest stay as they were saved.")
        if pressed and (title.strip(), note.strip()) != (entry.title, entry.note):
            versions.edit(settings.store(), entry.id, identity.viewer(), title.strip(), note.strip())
            st.rerun()


def _frame(entry: Entry) -> None:
    with st.popover("Embed", icon=":material/code:"):
        address = link(entry.id, embed="true")
        st.code(f'<iframe src="{address}" width="100%" height="1100" loading="lazy"></iframe>', language="html")
        st.caption(
            "Title, verdict, chart and ranking in a frame of a wiki. The operator of this server names the sites that "
            "may do so, and it must be open to everybody who has the link."
        )


def _end(entry: Entry) -> None:
    store, viewer = settings.store(), identity.viewer()
    with st.popover("Revoke the link", icon=":material/link_off:"):
        st.text("The link stops working for good; the comparison becomes private, under a new link.")
        if st.button("Revoke it"):
            st.query_params["id"] = store.revoke(entry.id, viewer)
            st.rerun()
    with st.popover("Delete", icon=":material/delete:"):
        st.text("It is deleted for good, for everybody, with all versions and comments.")
        if st.button("Delete it"):
            store.delete(entry.id, viewer)
            st.query_params.clear()
            st.rerun()

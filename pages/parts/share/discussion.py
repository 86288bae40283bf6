"""Comments on a saved comparison: plain text by those who may open it."""

import streamlit as st

from optlaws_core.saved import comments
from optlaws_core.saved.store import Entry
from optlaws_core.text import counted

from ..state import identity, session, settings
from ..widgets.markdown import literal
from .common import faults_told, when

NOBODY = "someone"  # who wrote a comment without a name
POSTED = "share_posted"  # in the session: how many comments were posted


def section(entry: Entry) -> None:
    """All comments, the first one first, and a form for one more."""
    store, viewer = settings.store(), identity.viewer()
    found = comments.comments(store, entry.id, viewer)
    st.subheader(f"Comments ({len(found)})" if found else "Comments", anchor="comments")
    for comment in found:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            with st.container(gap=None):
                st.caption(f"{literal(comment.author or NOBODY)} · {when(comment.written)}")
                st.text(comment.said)
            if comment.mine and st.button(
                "", icon=":material/delete:", type="tertiary", key=f"comment {comment.number}", help="Delete it."
            ):
                comments.delete_comment(store, entry.id, viewer, comment.number)
                st.rerun()
    memory = session.state()
    posted = memory.get(POSTED, 0)
    with st.form("share_comment", border=False, clear_on_submit=False):  # a text that was refused stays
        # A browser keeps what stands in a field for as long as its key is the same.
        said = st.text_area("Comment", height=90, max_chars=comments.LONGEST, key=f"share_said {entry.id} {posted}")
        author = st.text_input("Your name", identity.name(), placeholder=NOBODY, max_chars=200, width=320)
        pressed = st.form_submit_button("Comment", icon=":material/comment:")
    st.caption(f"Plain text, read by whoever may open this; at most {counted(comments.MOST, 'comment')}.")
    if pressed:
        with faults_told():
            comments.comment(store, entry.id, viewer, said, author)
            memory[POSTED] = posted + 1
            st.rerun()

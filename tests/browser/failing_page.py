"""Fails on request in its script, in a fragment and in a callback; failing_app.py serves it."""

import streamlit as st


def fail(where: str) -> None:
    """What nobody foresaw."""
    raise KeyError(f"unforeseen: {where}")


def count() -> None:
    """Some work that an error may not lose."""
    st.session_state.counted = st.session_state.get("counted", 0) + 1


@st.fragment
def part() -> None:
    """A part that is run on its own."""
    if st.button("Fail in the fragment"):
        fail("fragment")


st.button("Count", on_click=count)
st.text(f"Counted {st.session_state.get('counted', 0)}")
st.button("Fail in the callback", on_click=fail, args=("callback",))
if st.button("Fail in the script"):
    fail("script")
if st.button("Stop"):
    st.stop()
if st.button("Run again"):
    st.rerun()
part()
files = st.file_uploader("Files", accept_multiple_files=True, key="files")
st.text(f"{len(files)} here")

"""A server like app.py's with a page that fails wherever a page can, and room for 1 MB of uploads a visitor."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from pages.parts.server import errors, limits

limits.MOST_WAITING, limits.MOST_TOGETHER, limits.MOST_WAITING_FILES = 2**20, 2**21, 3
app = st.App(
    Path(__file__).with_name("failing_page.py"),
    middleware=[Middleware(limits.UploadLimits)],
    on_script_error=errors.tell,
)

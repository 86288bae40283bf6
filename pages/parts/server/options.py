"""What the operator of the server has set: environment variables, or secrets of Streamlit."""

import os
from pathlib import Path

import streamlit as st
from streamlit import config


def said(name: str) -> str:
    """What an environment variable or a secret of that name says; empty where neither says anything."""
    secret = st.secrets.get(name, "") if st.secrets.load_if_toml_exists() else ""
    return os.environ.get(name, "").strip() or str(secret).strip()


def check() -> None:
    """Raise `ValueError` where secrets are written down and cannot be read: they may close the server."""
    if st.secrets.load_if_toml_exists():
        return
    if file := next((file for file in config.get_option("secrets.files") if Path(file).exists()), None):
        raise ValueError(f"The secrets in {file} cannot be read; they must be TOML.")

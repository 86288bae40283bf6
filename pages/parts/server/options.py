"""What the operator of the server has set: environment variables, or secrets of Streamlit."""

import os

import streamlit as st


def said(name: str) -> str:
    """What an environment variable or a secret of that name says; empty where neither says anything."""
    secret = st.secrets.get(name, "") if st.secrets.load_if_toml_exists() else ""
    return os.environ.get(name, "").strip() or str(secret).strip()

"""Charts: plain functions from data to a plotly figure. Nothing here knows Streamlit."""

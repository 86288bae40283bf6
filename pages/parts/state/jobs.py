"""Work in the background: fits, searches and simulations, which take longer than a visitor should wait for a page."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import streamlit as st

FITTING = 8  # fits at once, over all visitors; they share the cores, so that none waits for another's to end


@dataclass
class Job:
    """Fits that run in the background."""

    title: str
    future: Future
    share: float = 0.0  # of the work, 0..1
    best: float = float("inf")  # objective so far; known for a fit on its own
    cancelled: bool = False

    @property
    def running(self) -> bool:
        """Whether the result is still to come."""
        return not self.future.done()


@st.cache_resource(show_spinner=False)
def executor() -> ThreadPoolExecutor:
    """The threads of the server's jobs."""
    return ThreadPoolExecutor(max_workers=FITTING, thread_name_prefix="fit")

"""A saved comparison as the pages hold one: its workspace, its view, and the way back into a visitor's session."""

import streamlit as st

from optlaws_core.figures.candidate_chart import AXES, PARTS, View
from optlaws_core.saved import Snapshot

from .. import page
from ..compare import ranking
from ..state import candidates, session
from ..state.big_run import BigRun
from ..state.workspace import Workspace


def workspace(found: Snapshot) -> Workspace:
    """Runs, fits and candidates of a saved comparison, as those of a visitor."""
    return Workspace(
        big_run=big_run(found),
        runs={r.name: r for r in found.runs},
        fits=dict(found.fits),
        current=found.current,
        selections=dict(found.selections),
        candidates=candidates.coloured(
            [candidates.Candidate(c.schedule.text, c.label, c.on, c.color) for c in found.candidates]
        ),
        risk=found.risk,
    )


def view(found: Snapshot) -> View:
    """The view that was saved, as far as this version knows its settings."""
    kept = found.view
    batch, bands = kept.get("batch_tokens"), kept.get("bands")
    chosen = tuple(int(i) for i in bands.split() if i.isascii() and i.isdigit()) if isinstance(bands, str) else None
    return View(
        kept["x"] if kept.get("x") in AXES else "step",
        kept.get("log_x") is True,
        kept.get("log_y") is True,
        kept["part"] if kept.get("part") in PARTS else "after warm-up",
        float(batch) if isinstance(batch, (int, float)) and batch >= 1 else None,
        chosen,
    )


def said(run: BigRun | None) -> dict[str, float | None]:
    """What a saved view keeps of the big run; `big_run` is its way back."""
    if run is None:
        return {}
    final = {} if run.final is None else {"final": run.final}
    return {"params": run.params, "batch": run.batch_tokens, **final}


def big_run(found: Snapshot) -> BigRun | None:
    """What the candidates were meant for: size, batch and the final rate of all; None where none of it was said."""
    size, batch, final = (found.view.get(key) for key in ("params", "batch", "final"))
    size, batch = (float(v) if isinstance(v, (int, float)) and v > 0 else None for v in (size, batch))
    final = float(final) if isinstance(final, (int, float)) and 0 <= final <= 1 else None
    schedule = next((c.schedule for c in found.candidates), None)
    if schedule is None or not (size or batch or final is not None):
        return None
    return BigRun(schedule.peak, schedule.warmup, schedule.total, size, batch, final)


def baseline(found: Snapshot) -> int | None:
    """The place of the candidate that all were compared with; None in comparisons from before there was one."""
    place = found.view.get("baseline")
    if isinstance(place, bool) or not isinstance(place, (int, float)):
        return None
    return int(place) if 0 <= place < len(found.candidates) else None


def copy(found: Snapshot) -> None:
    """Put it into the visitor's session, in place of what is there, and open the Decide page on it."""
    shown = view(found)
    session.workspace().become(workspace(found), found.digest)
    told = {
        "compare_x": AXES[shown.x],
        "compare_part": shown.part,
        "compare_log_x": shown.log_x,
        "compare_log_y": shown.log_y,
        "compare_batch": shown.batch_tokens,
        "compare_most_risk": found.most_risk,
    }
    if (place := baseline(found)) is not None:
        told[ranking.BASELINE] = candidates.names(workspace(found).candidates)[place]
    address = {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in told.items() if value
    }
    st.switch_page(page.called("decide"), query_params=address | {"compare_observed": list(found.observed)})

"""A page with nothing but the tuner, for tests and the benchmark: eight runs made from a law, so no data is needed.

`?law=annealing` chooses the law, and so does its field. The runs are exact, so the fit is the planted law and every
error is 0 there.
"""

import json

import numpy as np
import streamlit as st

from optlaws_core.fitting.single import fit
from optlaws_core.laws import LAWS, Law
from optlaws_core.laws.browser import payload
from optlaws_core.laws.evaluation import batch, predict
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import parse
from pages.parts.fit.tuner import TunerEvent, tuner
from tests.knowledge.twins import BATCH_TOKENS, PARAMS, THETAS

KEY = "tuner"
WARMUP = 200
PLANTED = {
    "opt_laws_curve": {"L_inf": 2.6, "A": 0.6, "q": 0.5, "A0": 1.5e5, "A1": 4e4, "c": 2000.0, "rho": 1.3, "D": 20.0},
    "annealing": {"L0": 2.6, "A": 0.6, "alpha": 0.5, "C": 1.6, "lam": 0.996, "B": 300.0, "beta": 0.34},
    "power_law": {"L_inf": 2.6, "A": 60.0, "alpha": 0.6},
}
PLANTED = {name: PLANTED.get(name, sets[0]) for name, sets in THETAS.items()}
SCHEDULES = {
    "constant": f"constant(peak=3e-4, warmup={WARMUP}, total=8000)",
    "cosine": f"cosine(peak=3e-4, warmup={WARMUP}, total=8000, final=3e-5)",
    "linear, peak 2e-4": f"linear(peak=2e-4, warmup={WARMUP}, total=8000, final=0)",
    "step": f"step(peak=3e-4, warmup={WARMUP}, total=8000, boundaries=[5000], values=[9e-5])",
    "wsd": f"wsd(peak=3e-4, warmup={WARMUP}, total=8000, decay=2000, final=3e-5)",
    "long cosine": f"cosine(peak=3e-4, warmup={WARMUP}, total=16000, final=3e-5)",
    "long wsd": f"wsd(peak=3e-4, warmup={WARMUP}, total=16000, decay=3000, final=0)",
    "inverse square root with a long name": f"inverse_sqrt(peak=4e-4, warmup={WARMUP}, total=16000)",
}
KNOWING_NOISE = {  # of laws that predict batch schedules
    "batch and average": f"rate={SCHEDULES['wsd']}; batch=steps([0, 4000], [1x, 3x]); average=ema(100)",
}
TRAIN = 5  # the first five


def made_runs(law: Law) -> list[Run]:
    """The runs that the planted law predicts, every 20 steps after the warm-up."""
    found = []
    for name, text in (SCHEDULES | (KNOWING_NOISE if law.knows_noise else {})).items():
        plan = Plan(parse(text), PARAMS, BATCH_TOKENS)
        steps = np.arange(WARMUP, plan.schedule.total, 20)
        loss = predict(batch(law, [(plan, steps)]), law.vector(PLANTED[law.name]))
        found.append(Run(name, plan, {"train": Series(steps, loss)}, lr_source="declared"))
    return found


@st.cache_resource(show_spinner=False)
def prepared(name: str):
    """Runs and their first fit, which begins at the planted coefficients: the search is not what is tested here."""
    runs = made_runs(LAWS[name])
    return runs, fit(name, runs[:TRAIN], test=runs[TRAIN:], start=PLANTED[name])


def main() -> None:
    """The page."""
    st.set_page_config(layout="wide")
    name = st.text_input("Law", "opt_laws_curve", key="law", bind="query-params")
    runs, first = prepared(name)
    state = st.session_state
    state.reruns = state.get("reruns", 0) + 1
    now = state.setdefault("fits", {}).setdefault(name, first)
    roles = ["train"] * TRAIN + ["held out"] * (len(runs) - TRAIN)
    packed = payload(
        LAWS[name], list(zip(runs, roles, strict=True)), now.theta, interval=now.interval, locked=now.locked
    )
    event = tuner(packed, key=KEY) if st.checkbox("Show", value=True) else TunerEvent({})
    if event.keep:
        state.kept = {"name": event.keep.name, "theta": event.keep.theta}
    if event.refit:
        state.asked = {"theta": event.refit.theta, "locked": list(event.refit.locked)}
        held = {n: event.refit.theta[n] for n in event.refit.locked}
        state.fits[name] = fit(name, runs[:TRAIN], test=runs[TRAIN:], locked=held, start=event.refit.theta)
    heard = {"reruns": state.reruns, "theta": dict(event.theta), "fitted": dict(state.fits[name].theta)}
    heard |= {"id": packed["id"], "law": name, "kept": state.get("kept"), "asked": state.get("asked")}
    st.button("Run again")
    st.html(f'<pre id="heard" style="white-space: pre-wrap">{json.dumps(heard)}</pre>')
    if event.refit:
        st.rerun()


if __name__ == "__main__":
    main()

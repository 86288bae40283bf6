"""Which runs to train next: the few cheap ones that make the answer surest within a budget, each with its export."""

import streamlit as st

from optlaws_core import OptLawsError, Schedule
from optlaws_core.fitting.result import Model
from optlaws_core.optimize.limits import FLOPS_PER_TOKEN
from optlaws_core.prediction.joint_losses import knows_error
from optlaws_core.prediction.proposals import Proposal, Proposed, nothing
from optlaws_core.schedules import parts
from optlaws_core.text import chance, counted, format_amount, percent

from ..compare import predicted
from ..compare.ranking import Result
from ..schedules import export
from ..state import address
from ..state.workspace import Workspace
from ..widgets.markdown import literal

SHARES = {percent(share): share for share in (0.1, 0.2, 0.5, 1.0)}  # of the updates of the shortest candidate
USUAL = percent(0.5)
CAUTION = (
    "All of this assumes that the law holds at the candidates' length. In replays with fits such as these, short runs "
    "misled on our own small models, where the best shape changes with the length: choices gave away 0.0139 nats on "
    "average after the proposed runs, 0.0127 after a constant rate, a WSD and a cosine of the same cost, 0.0065 with "
    "the run at hand alone. Between three peak rates of language models these were 0.0017, 0.0027 and 0.0025, "
    "before most runs at new peak rates were ruled out."
)
BOX, BUDGET = "further_box", "further_budget"  # names in the address


def possible(space: Workspace, made: Result) -> bool:
    """Whether runs can be proposed: of candidates that stay, which schedule the rate alone, and a fit that knows how
    far off it is.
    """
    stay = _stay(made)
    alone = all(parts(s) == (s, None, None) and s.family != "chain" for s in stay)
    return len(stay) > 1 and alone and knows_error(space.fit)


def section(space: Workspace, made: Result) -> None:
    """The runs to train next, in a box that works them out once it is opened."""
    box = st.expander(
        "Which runs to train next", icon=":material/lightbulb:", on_change="rerun", key=BOX, bind="query-params"
    )
    if not box.open:
        return
    stay = _stay(made)
    with box:
        first = address.read_one(BUDGET, SHARES, USUAL, "budget")
        chosen = st.selectbox(
            "Budget, as a share of one candidate",
            list(SHARES),
            list(SHARES).index(first),
            key=f"further_share {first}",
            width=320,
            help="The cost of all further runs together. They have the size and the batch of the candidates.",
        )
        address.write(BUDGET, chosen, USUAL)
        updates = int(SHARES[chosen] * min(s.total for s in stay))
        try:
            found = predicted.proposal(predicted.Known.of(space.fit), stay, updates, tuple(space.runs.values()))
        except OptLawsError as fault:
            st.error(literal(str(fault)), icon=":material/error:")
            return
        st.markdown(literal(_summary(space.fit, found)))
        for i, proposed in enumerate(found.runs, 1):
            _run(space, proposed, i)
        st.caption(literal(CAUTION))


def _stay(made: Result) -> tuple[Schedule, ...]:
    """The schedules of the candidates that are not set apart, each once."""
    return tuple(dict.fromkeys(r.schedule for r in made.ranked if not r.apart))


def _summary(model: Model, found: Proposal) -> str:
    now = f"Today the best candidate is the wrong choice with a probability of {chance(found.now.wrong)}"
    cost = f"; choosing it costs {found.now.regret:.4f} of loss on average."
    if not found.runs:
        return f"{now}{cost} {nothing(model)}"
    runs = "This run is" if len(found.runs) == 1 else f"Together, these {len(found.runs)} runs are"
    return f"{now}{cost} {runs} expected to cut that to {chance(found.then.wrong)} and {found.then.regret:.4f}."


def _run(space: Workspace, proposed: Proposed, place: int) -> None:
    """A run on one line: what to train, what it costs, what it brings, and its export."""
    run = proposed.run
    left, right = st.columns([6, 1], vertical_alignment="center")
    where = f", from the checkpoint of {_parent(run.parent)} at update {run.at:,}" if run.parent else ""
    said = [
        f"{_cost(space, run.updates)}{where}. Probability of a wrong choice after it: {chance(proposed.then.wrong)}."
    ]
    said += [f"This extrapolates: {'; '.join(proposed.reasons)}."] if proposed.reasons else []
    left.markdown(f"{place}. `{run.schedule.text}`  \n{literal(' '.join(said))}")
    if right.button("Export", icon=":material/output:", key=f"further_export {place} {run.schedule.text}"):
        export.opened(space, f"run {place}", run.schedule)


def _parent(name: str) -> str:
    return name if name.startswith("proposed run") else f"“{name}”"


def _cost(space: Workspace, updates: int) -> str:
    params, batch_tokens = space.fit.coverage.usual
    said = counted(updates, "update")
    if batch_tokens is not None:
        said += f", {format_amount(updates * batch_tokens, 3)} tokens"
    if batch_tokens is not None and params is not None:
        said += f", {FLOPS_PER_TOKEN * params * updates * batch_tokens:.2g} FLOPs"
    return said


__all__ = ["possible", "section"]

"""The Compare page's search for the best schedule: limits, the search, what it gains and whether that counts."""

import streamlit as st

from optlaws_core import OptLawsError, with_bands
from optlaws_core.amounts import amount
from optlaws_core.optimize import KNOTS, Best, Limits, Simple, best_schedule, best_simple
from optlaws_core.schedules import number

from . import candidate_table
from .candidates import Candidate
from .comparing import Entry
from .ranking import difference
from .session import Workspace, literal, state

FOUND = "compare_best"  # what the last search said


def section(space: Workspace, found: list[Entry]) -> None:
    """A form for the limits, and what came of the last search. Its curves become candidates."""
    box = st.expander("Find the best schedule", icon=":material/auto_awesome:", on_change="rerun", key="best_box")
    if not box.open:
        return
    with box:
        st.caption(
            "The curve with the lowest predicted final loss under the fit in use, by exact gradients. It is as good as "
            "the law: what it gains beyond the prediction band is not sure."
        )
        longest = max((e.schedule for e in found), key=lambda s: s.total)
        usual = {
            "peak": number(longest.peak), "total": str(longest.total), "warmup": str(longest.warmup),
            "floor": "0", "slope": "any",
        }  # fmt: skip
        places = st.columns(5)
        texts = {
            name: place.text_input(label, placeholder=usual[name], key=f"best_{name}", help=meaning).strip()
            or usual[name]
            for place, (name, label, meaning) in zip(
                places,
                (
                    ("peak", "Peak", "Highest rate, such as 3e-4."),
                    ("total", "Updates", "Warm-up included; 24000 or 24k."),
                    ("warmup", "Warm-up", "Updates of linear warm-up."),
                    ("floor", "Floor", "Lowest rate after the warm-up."),
                    ("slope", "Largest slope", "Largest change of the rate from one update to the next."),
                ),
                strict=True,
            )
        }
        st.button("Find", icon=":material/play_arrow:", on_click=_find, args=(space, texts), key="best_find")
        for kind, text in state().get(FOUND, ()):
            (st.error if kind == "error" else st.warning if kind == "doubt" else st.text)(
                literal(text) if kind != "said" else text
            )


def _find(space: Workspace, texts: dict[str, str]) -> None:
    """Search, and put what was found among the candidates."""
    try:
        limits = Limits(
            amount(texts["peak"], "The peak"), _updates(texts["total"]), _updates(texts["warmup"], least=0),
            0.0 if texts["floor"] == "0" else amount(texts["floor"], "The floor"),
            None if texts["slope"] == "any" else amount(texts["slope"], "The largest slope"), KNOTS,
        )  # fmt: skip
        best = best_schedule(space.fit, limits)
        simple = best_simple(space.fit, limits, best)
    except OptLawsError as fault:
        state()[FOUND] = [("error", str(fault))]
        return
    new = [Candidate(best.schedule.text, label="best under the law")]
    if best.smooth != best.schedule:
        new.append(Candidate(best.smooth.text, label="best without a jump"))
    new.append(Candidate(simple.schedule.text))
    known = {c.text for c in space.candidates}
    candidate_table.add(space, [c for c in new if c.text not in known])
    state()[FOUND] = _told(space, best, simple)


def _updates(text: str, least: int = 1) -> int:
    value = 0.0 if text == "0" else amount(text, "A number of updates")
    if value != round(value) or value < least:
        raise OptLawsError(f"A number of updates must be a whole number of at least {least}, got {text[:40]!r}.")
    return round(value)


def _told(space: Workspace, best: Best, simple: Simple) -> list[tuple[str, str]]:
    gain = simple.loss - best.loss
    said = [(
        "said",
        f"The best curve ends at {best.loss:.4f}, {difference(gain)} below {simple.name}, the best simple shape, which "
        f"has {100 * simple.share:.0f} % of what separates the worst of them from the best curve.",
    )]  # fmt: skip
    known = with_bands(space.fit, best.schedule)
    if known.prediction is not None:
        low, high = known.band(known.prediction)
        half = float(high[-1] - low[-1]) / 2
        if gain < half:
            said.append((
                "doubt",
                f"The gain is smaller than the prediction band's half-width of {half:.4f}: {simple.name} is the safer "
                "choice.",
            ))  # fmt: skip
    if best.smooth != best.schedule:
        said.append((
            "doubt",
            f"It has a jump, which this law rewards by {difference(best.smooth_loss - best.loss)}; look for a run with "
            "one before trusting that. The best curve without a jump is among the candidates, too.",
        ))  # fmt: skip
    if not best.finished:
        said.append(("doubt", "The search stopped before it had converged."))
    return said

"""A page's state in its address: what an address asks for when a page is opened, and the state's way back into it.

Widgets with `bind="query-params"` follow the address by themselves and leave out what is their default, but drop in
silence what they do not offer: `bound_widget` says so. What hangs on runs and fits, which may come later or not at all,
is read with `read_several`, `read_one` or `read_number` and written with `write`. An address is read once for each stay
on a page; from then on the state counts and the address follows, also when the page is come back to by the menu.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import OptLawsError, text
from optlaws_core.text import format_number as written

from ..widgets.markdown import literal
from . import session
from .bundled import sweep_runs
from .workspace import Workspace

MOST = 100  # values of one name in an address
LONGEST = 300  # characters of a value; longer ones are nothing that the app wrote
NAMED = 3  # wrong values that a sentence quotes
LARGEST = 10**9  # whole number in an address
RUN = "run"  # what is named, where it comes with the visitor's logs
QUOTED = 48  # characters of each


@dataclass
class _Stay:
    """One stay on a page: what its address asked for and was not looked at yet, and what was wrong with it."""

    page: str
    asked: dict[str, list[str]]
    kept: dict[str, list[str]]  # what the page had put there when it was left
    place: DeltaGenerator | None  # for the sentences
    said: dict[str, str] = field(default_factory=dict)


def open_page(page: str, place: DeltaGenerator) -> None:
    """Read the address if the page was just opened. Sentences about it go to `place`, an `st.empty()`."""
    memory = session.state()
    stay = memory.get("stay")
    if stay is None or stay.page != page:
        given = {key: st.query_params.get_all(key) for key in st.query_params}
        stay = memory["stay"] = _Stay(page, given, {} if given else dict(_kept(page)), place)
    stay.place = place
    _show(stay)


def asks(*keys: str) -> bool:
    """Whether the address named one of these when the page was opened, and nothing has looked at it since."""
    return any(key in _stay().asked for key in keys)


def _stay() -> _Stay:
    return session.state().setdefault("stay", _Stay("", {}, {}, None))  # empty: for a part that is shown without a page


def start_over(page: str, prefix: str, **address: str) -> None:
    """Show another thing on the page that is open: neither its address nor widgets named so keep what the last one had.

    For callbacks, which come before the page is drawn.
    """
    memory = session.state()
    memory.pop("stay", None)
    memory.get("links", {}).pop(page, None)
    for key in [key for key in memory if str(key).startswith(prefix)]:
        del memory[key]
    st.query_params.from_dict(address)


def _kept(page: str) -> dict[str, list[str]]:
    return session.state().setdefault("links", {}).setdefault(page, {})


def warn(key: str, sentence: str = "") -> None:
    """Say what is wrong with the value of `key`, above the page, for as long as it is open; empty: nothing any more."""
    stay = _stay()
    if sentence != stay.said.get(key, ""):
        stay.said[key] = sentence
        _show(stay)


def _show(stay: _Stay) -> None:
    said = [literal(sentence) for sentence in stay.said.values() if sentence]
    if stay.place is None:
        return
    if said:
        stay.place.warning("  \n".join(said), icon=":material/link_off:")
    else:
        stay.place.empty()


def warn_of_refused(key: str, wrong: Sequence[str], rule: str) -> None:
    """Say that an address holds values that break a rule."""
    if wrong:
        warn(key, f"The address says {key}={quoted(wrong)}, but {rule}; it was left out.")


def quoted(names: Sequence[str]) -> str:
    """Some names, cut to a length that a sentence bears, and how many more there are."""
    some = [repr(name if len(name) <= QUOTED else name[: QUOTED - 1] + "…") for name in names[:NAMED]]
    return ", ".join(some) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")


# ---------------------------------------------------------------------------------------------------- reading


def read(key: str, most: int = MOST, longest: int = LONGEST) -> list[str] | None:
    """Values that the address gave when the page was opened, at the first look alone; None: it did not name them."""
    values = _given(key, most, longest)
    _stay().asked.pop(key, None)
    return values


def _given(key: str, most: int = MOST, longest: int = LONGEST) -> list[str] | None:
    """The same at every look, until `write`: a run of the page may end before the widget is drawn, and begin anew."""
    values = _stay().asked.get(key)
    if values is None:
        return None
    values = [value for value in values if value]  # `key=` stands for none
    if len(values) > most:
        warn(key, f"The address holds {len(values):,} values of {key}; the first {most} are taken.")
    long = [value for value in values[:most] if len(value) > longest]
    warn_of_refused(key, long, f"a value has at most {longest:,} characters")
    return [value for value in values[:most] if value not in long]


def read_several(
    key: str, options: Collection[str], usual: Sequence[str], what: str = "", most: int = MOST
) -> list[str]:
    """Which of the options to begin with, `most` at most: those of the address, of the last stay, or the usual ones."""
    given, kept = _given(key, most), _stay().kept.get(key)
    if given is None:
        return list(usual) if kept is None else [value for value in kept if value in options][:most]
    known = [value for value in dict.fromkeys(given) if value in options]
    if what == RUN:
        warn_of_missing_runs(key, given, options)
    else:
        warn_of_refused(key, [value for value in given if value not in options], f"there is no such {what or key} here")
    return known if known or not given else list(usual)


def read_one(key: str, options: Collection[str], usual: str, what: str = "") -> str:
    """Which of the options to begin with, likewise."""
    return next(iter(read_several(key, options, [usual], what)), usual)


def read_number(key: str, usual: int, low: int, high: int) -> int:
    """A whole number to begin with, likewise, from `low` to `high`."""
    given = _given(key)
    for value in given or _stay().kept.get(key) or ():
        try:
            found = int(value)
        except ValueError:
            found = None
        if found is not None and low <= found <= high:
            return found
        if given:
            warn_of_refused(key, [value], f"it is a whole number from {low:,} to {high:,}")
    return usual


# ---------------------------------------------------------------------------------------------------- writing


def write(key: str, value: object, usual: object = None) -> None:
    """Let the address say `key`, or nothing where the value is the usual one. Not for keys that are bound."""
    several = isinstance(value, (list, tuple))
    same = value == usual or several and isinstance(usual, (list, tuple)) and list(value) == list(usual)
    words = [] if same or value is None else [_word(v) for v in value] or [""] if several else [_word(value)]
    stay = _stay()
    stay.asked.pop(key, None)
    stay.kept.pop(key, None)
    if words:
        _kept(stay.page)[key] = words
    else:
        _kept(stay.page).pop(key, None)
    if st.query_params.get_all(key) == words:
        return
    if words:
        st.query_params[key] = words
    else:
        del st.query_params[key]


def _word(value: object) -> str:
    return written(value) if isinstance(value, float) else str(value)


def bound_widget(widget: Callable, label: str, *args, key: str, former: Mapping[str, str] | None = None, **options):
    """A widget of Streamlit that is bound to the address as `key`; says which of its values there it cannot have.

    `former`: words that older links have for options of a widget for one of them.
    """
    if former:
        _renew(key, former)
    given = _given(key)
    value = widget(label, *args, key=key, bind="query-params", **options)
    _stay().asked.pop(key, None)
    if value is None and options.get("required"):  # Streamlit lets `key=` in an address empty what must not be
        value = options["default"]
    if given:
        offered = options.get("options", args[0] if args and isinstance(args[0], Iterable) else None)
        if offered is None:
            wrong = [word for word in given if not _denotes(word, value)]
        else:
            form = options.get("format_func") or str
            labels = {form(option) for option in offered}
            wrong = [word for word in given if word not in labels]
        warn_of_refused(key, wrong, f"“{label}” takes no such value")
    return value


def share_slider(place, label: str, usual: float, *, key: str, **options) -> float:
    """A slider for a share from 0 to 100 % in steps of 5 %, bound to the address; older links hold it as a fraction."""
    steps = [i / 20 for i in range(21)]
    former = {written(step): step for step in steps}
    return bound_widget(
        place.select_slider, label, steps, usual, format_func=text.percent, key=key, former=former, **options
    )


def _renew(key: str, former: Mapping[str, str]) -> None:
    """Begin a widget with the option that an older link names; its value then counts before what the address says."""
    asked, memory = _stay().asked, session.state()
    if found := [former[word] for word in asked.get(key, ()) if word in former]:
        asked.pop(key)
        if key not in memory:
            memory[key] = found[0]


def _denotes(word: str, value: object) -> bool:
    """Whether a word in the address stands for a number or a switch."""
    if isinstance(value, (bool, str)) or value is None:
        return word.lower() == str(value).lower()
    try:
        return float(word) == value
    except ValueError:
        return False


def number_field(
    place: DeltaGenerator, label: str, low: int, usual: int, *, name: str, key: str, **options
) -> int | None:
    """A field for a whole number that the address calls `name`; left empty, it is the usual one.

    None, with a sentence, while it cannot be read.
    """
    usual = max(low, usual)
    begun = read_number(name, usual, low, LARGEST)
    shown = "" if begun == usual else f"{begun:,}"
    typed = place.text_input(label, shown, placeholder=f"{usual:,}", key=key, **options).strip()
    try:
        value = text.parse_int(typed, label, low, LARGEST) if typed else usual
    except OptLawsError as fault:
        st.error(literal(str(fault)), icon=":material/error:")
        return None
    write(name, value, usual)
    return value


def load_named_runs(space: Workspace, *keys: str) -> None:
    """Load those of the project's own runs that an address names, unless the visitor works on other runs."""
    asked = _stay().asked
    absent = [name for key in keys for name in asked.get(key, ())[:MOST] if name and name not in space.runs]
    if space.example and absent:
        own = {run.name: run for run in sweep_runs()}
        space.runs |= {name: own[name] for name in absent if name in own}


def warn_of_missing_runs(key: str, names: Sequence[str], known: Collection[str]) -> list[str]:
    """Those of the runs that are not at hand, with a sentence that names them."""
    absent = [name for name in names if name not in known]
    named = f"This link names {'a run' if len(absent) == 1 else 'runs'} not loaded here, {quoted(absent)}."
    rest = "Everything else is shown; load the logs on the Runs page to see all of it."
    warn(key, f"{named} {rest}" if absent else "")
    return absent

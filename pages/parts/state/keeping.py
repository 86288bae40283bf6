"""A workspace that survives: what a visitor works on is kept on the server, and is there again after F5, in a new tab,
under a typed address and after a restart of the server.

It is kept for the browser, known by its cookie, or for whoever is logged in; a browser without cookies keeps nothing.
After each run of a page (`kept`) the references in the workspace are compared with those that were saved last, which
takes 0.03 ms for nine runs; only where something differs it is packed, and only parts that are new are written.

Two tabs. Each tab knows the revision of the state that it began with. It saves over that one alone. Where another tab
saved meanwhile, this one keeps its work as a state of its own beside it, and says so; a button takes over the other's.
A new tab begins with the state that was saved last; the others are listed on the Shared page, to be opened or deleted.
So neither tab destroys what the other did. A tab that has changed nothing is offered the newer state and writes none.

A fit that still runs is not kept: it ends with the tab that began it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import RerunException, StopException

from optlaws_core.errors import OptLawsError
from optlaws_core.saved.work import Before, Rows, Table, Work

from ..server import errors, libraries
from ..widgets.markdown import literal
from . import identity, session, settings, undo
from .candidates import Candidate, lasting
from .table_file import TableFile
from .undo import Aside, History
from .workspace import Workspace

if TYPE_CHECKING:
    from optlaws_core.saved.packing import Memory
    from optlaws_core.saved.shelf import Kept, Shelf

TAB = "kept_tab"  # in the session's state
PAUSE = 60  # seconds for which a store that failed is left alone: it may take long to fail
TOUCHED = timedelta(hours=12)  # after which a visit is noted, though nothing was changed
NOT_KEPT = "Your work is not kept for now, so it ends with this tab."
PACKING = "optlaws_core.saved.packing"


@dataclass
class _Tab:
    """What one tab knows of what is kept for its visitor."""

    base: Kept | None = None  # the state that it saves over
    seen: tuple | None = None  # what was saved last, or what it began with
    memory: Memory | None = None
    newer: bool = False  # whether another tab saved over `base`
    stopped: bool = False  # whether what is kept was deleted in another tab
    said: list[str] = field(default_factory=list)  # once, on the page that is open
    page: str = ""  # that page
    trouble: str = ""  # for as long as it lasts
    tried: tuple[tuple, float] = ((), 0.0)  # what could not be saved, and when that was tried
    drawn: tuple = ()  # what was said last in this run of the page


@dataclass
class _Run:
    """One run of a page. At its end the session is closed to it, if `st.stop` ended it, so all is at hand from here."""

    space: Workspace
    tab: _Tab
    owner: str | None


_run: ContextVar[_Run | None] = ContextVar("run", default=None)
_failed = 0.0  # when the store failed last, as `time.monotonic` counts


def _tab() -> _Tab:
    return session.state().setdefault(TAB, _Tab())


def _owner() -> str | None:
    """Whose work it is; None where nobody could come back to it, or the operator keeps nothing."""
    if settings.days_kept() is None:
        return None
    if identity.logged_in() or settings.known_browser():
        return identity.viewer().owner
    return None


def _shelf() -> Shelf:
    """The store. Raises `OptLawsError` where it fails, or failed a moment ago."""
    global _failed
    if _failed and time.monotonic() - _failed < PAUSE:
        raise OptLawsError("The store failed a moment ago.")
    try:
        return settings.shelf(settings.days_kept())
    except OptLawsError:
        _failed = time.monotonic()
        raise


# ---------------------------------------------------------------------------------------------------- the workspace


def workspace(page: str) -> Workspace:
    """The visitor's workspace; in a new tab the one that is kept, or else one that begins with the bundled runs."""
    if session.begun():
        tab = _tab()
        if tab.page != page:
            tab.said, tab.page = [], page
    else:
        _restore()
        _tab().page = page
    space = session.workspace()
    tab = _tab()
    if tab.seen is None:
        tab.seen = _state(space)
    undo.look(space)
    _run.set(_Run(space, tab, _owner()))
    return space


def _begin(space: Workspace) -> None:
    """Give the visitor this workspace, also in the run of a page that has begun with another one."""
    session.begin(space)
    if run := _run.get():
        run.space = space


def _restore() -> None:
    tab, owner = _tab(), _owner()
    if owner is None:
        return
    try:
        shelf = _shelf()
        states = shelf.states(owner)
    except OptLawsError as fault:
        tab.trouble = f"{NOT_KEPT} {errors.sentence(fault)}"
        return
    try:
        if not states:
            if (before := _before_log_in()) and shelf.states(before):
                tab.said.append("What you worked on in this browser before you logged in is on the Shared page.")
            return
        _take(states[0].id)
        if datetime.now(UTC) - datetime.fromisoformat(states[0].touched) > TOUCHED:
            shelf.touch(owner, states[0].id)
        if len(states) > 1:
            when = _when(states[1])
            tab.said.append(f"Another state of your work, of {when}, is kept beside this one; see the Shared page.")
    except OptLawsError as fault:
        tab.said.append(f"{errors.sentence(fault)} What you do now does not replace it: it is kept beside it.")


def _before_log_in() -> str:
    """Who the visitor was before the log-in; empty without one.

    What a browser kept is not put into an account by itself: somebody else may have forced the log-in upon it.
    """
    from optlaws_core.saved.rights import Viewer

    key = settings.known_browser()
    return Viewer(key).owner if key and identity.logged_in() else ""


def _take(id: str, owner: str = "") -> None:
    """Go on with one of the visitor's states, or with one of another `owner` that the visitor also is, as a copy.

    Raises `OptLawsError` where it cannot be read.
    """
    libraries.load((*libraries.LAWS, PACKING))  # fits bring SciPy
    from optlaws_core.saved import packing

    tab = _tab()
    opened = _shelf().open(owner or _owner() or "", id)
    if opened is None:
        raise OptLawsError("This state of your work is no longer kept.")
    work, faults = packing.unpacked(opened.content, opened.parts)
    space = _workspace(work)
    if session.begun():
        session.workspace().stop()
        space.revision = session.workspace().revision + 1
    _begin(space)
    undo.look(space)
    tab.memory, tab.newer, tab.stopped = packing.Memory(), False, False
    tab.base, tab.seen = opened.kept, _state(space)
    session.state()["kept_aside"] = (space.aside[-1] if space.aside else None, "")  # not new
    if faults:
        tab.said.append(packing.told(faults))
    if faults or owner:  # what is there, or could not be read, stays as it is: this tab saves beside it
        tab.base, tab.seen = None, ()


def _workspace(work: Work) -> Workspace:
    """The workspace of what was kept."""
    space = Workspace(
        candidates=list(_candidates(work.rows)),
        proposed=list(_candidates(work.proposed)),
        history=History(_candidates(work.rows), [*map(_candidates, work.past)], [*map(_candidates, work.future)]),
        aside=[Aside(b.stock, _candidates(b.rows), _candidates(b.after), b.said) for b in work.before],
        trainer=work.trainer,
    )
    for place, table in work.tables.items():
        if place in ("table", "sweep"):
            held = TableFile(table.name, table.content, table.sure, dict(table.columns), table.unit)
            setattr(space, place, held)
    space.load(work.stock)
    return space


def _work(space: Workspace) -> Work:
    """What is kept of a workspace."""
    tables = {"table": space.table, "sweep": space.sweep}
    return Work(
        space.stock,
        _rows(space.candidates),
        _rows(space.proposed),
        tuple(map(_rows, space.history.past)),
        tuple(map(_rows, space.history.future)),
        {
            place: Table(held.name, held.content, held.sure, dict(held.columns), held.unit)
            for place, held in tables.items()
            if held is not None
        },
        tuple(Before(a.stock, _rows(a.candidates), _rows(a.after), a.said) for a in space.aside),
        space.trainer,
    )


def _rows(candidates) -> Rows:
    return tuple((c.text, c.label, c.on, c.color) for c in lasting(candidates))


def _candidates(rows: Rows) -> tuple[Candidate, ...]:
    return tuple(Candidate(*row) for row in rows)


def _state(space: Workspace) -> tuple:
    """References to all that is kept: two are equal while nothing was changed."""
    tables = (space.table, space.sweep)
    return (
        *(tuple(kept.items()) for kept in (space.runs, space.reports, space.sources, space.layouts)),
        *(tuple(kept.items()) for kept in (space.fits, space.selections)),
        (space.example, space.current, replace(space.choice), space.parent, space.risk, space.big_run, space.trainer),
        tuple(space.draft.items()),
        tuple(space.candidates),
        tuple(space.proposed),
        tuple(space.history.past),
        tuple(space.history.future),
        tuple((t.name, t.content, t.sure, tuple(t.columns.items()), t.unit) if t else None for t in tables),
        tuple(map(id, space.aside)),
    )


def _is_own(space: Workspace) -> bool:
    """Whether there is anything of the visitor's: the bundled runs alone are nobody's work."""
    edited = space.candidates and space.candidates != space.proposed
    tables = space.table or space.sweep
    return bool(not space.example or space.uploaded or space.fits or edited or tables or space.aside or space.trainer)


# ---------------------------------------------------------------------------------------------------- saving


@contextmanager
def kept() -> Iterator[None]:
    """Around a run of a page: what changed in it is saved when the page has been drawn, however the run ends."""
    shown = True
    _run.set(None)
    try:
        yield
    except (RerunException, StopException):  # another run draws at once, or nothing can be drawn any more
        shown = False
        raise
    finally:
        if run := _run.get():
            undo.look(run.space)
            _keep(run)
            if shown:
                _tell()


def save() -> None:
    """Keep the visitor's work, if it is not what was saved last."""
    _keep(_Run(session.workspace(), _tab(), _owner()))


def _keep(run: _Run) -> None:
    tab, space, owner = run.tab, run.space, run.owner
    now = _state(space)
    if owner is None or tab.stopped:
        return
    try:
        if now == tab.seen:
            if tab.base is not None:
                tab.newer = any(s.id == tab.base.id and s.revision != tab.base.revision for s in _shelf().states(owner))
            return
        if now == tab.tried[0] and time.monotonic() - tab.tried[1] < PAUSE:
            return
        if tab.base is not None or _is_own(space):
            _save(tab, _work(space), owner)
        tab.seen, tab.trouble = now, ""
    except OptLawsError as fault:
        tab.tried = (now, time.monotonic())
        tab.trouble = f"{NOT_KEPT} {errors.sentence(fault)}"


def _save(tab: _Tab, work: Work, owner: str) -> None:
    libraries.load((*libraries.LAWS, PACKING))
    from optlaws_core.saved import packing
    from optlaws_core.saved.shelf import Moved, TooMuch

    tab.memory = tab.memory or packing.Memory()
    content, parts = packing.packed(work, tab.memory)
    try:
        tab.base = _shelf().save(owner, content, parts, tab.base)
    except TooMuch:
        if not work.before and not work.stock.sources:
            raise
        # Uploads, which only corrections need again, and what was set aside give way to what is worked on.
        _save(tab, replace(work, before=(), stock=replace(work.stock, sources={})), owner)
    except Moved as moved:
        if moved.gone:
            tab.base, tab.stopped = None, True
            return
        tab.base, tab.newer = None, False
        _save(tab, work, owner)
        tab.said = [
            "Another tab of this browser changed the same work at the same time. Both are kept: this tab goes on with "
            "its own state, and the other is on the Shared page."
        ]


# ---------------------------------------------------------------------------------------------------- what is said


def open_place(place: DeltaGenerator) -> None:
    """Say what there is to say above a page; `place`: an `st.empty()`, in which it may also be said at the end."""
    session.state()["kept_place"] = place
    _tab().drawn = ()
    _tell()


def _tell() -> None:
    """Say it where it is not said yet. At the end of a run other things may be to be said than at its beginning."""
    tab, space = _tab(), session.workspace()
    place = session.state().get("kept_place")
    fresh = _fresh(space, tab)
    now = (tab.newer, tab.stopped, fresh, *tab.said, tab.trouble)
    if place is None or now == tab.drawn or not (tab.drawn or any(now)):
        return
    again, tab.drawn = " again" if tab.drawn else "", now  # Streamlit takes a key once in a run
    if not any(now):
        place.empty()
        return
    with place.container():
        for sentence in filter(None, (*tab.said, tab.trouble)):
            st.warning(literal(sentence), icon=":material/inventory_2:")
        if tab.newer:
            said = "Another tab of this browser went on with this work."
            _offer(said, "Take it over", _take_newer, f"kept_take_newer{again}")
        if tab.stopped:
            said = "What this server kept of your work was deleted in another tab, so this tab keeps nothing any more."
            _offer(said, "Keep it again", _keep_again, f"kept_again{again}")
        if fresh:
            _offer(fresh.said, "Undo", _bring_back, f"kept_undo{again}")


def _offer(sentence: str, label: str, act, key: str) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"{key}_box"):
        st.text(sentence, width="content")
        st.button(label, key=key, on_click=act)


def _fresh(space: Workspace, tab: _Tab) -> Aside | None:
    """What went just now: it can be had back on the page on which it was first said."""
    memory, last = session.state(), space.aside[-1] if space.aside else None
    if last is None:
        return None
    if memory.setdefault("kept_aside", (None, ""))[0] is not last:
        memory["kept_aside"] = (last, tab.page)
    return last if memory["kept_aside"][1] == tab.page else None


def _bring_back() -> None:
    undo.bring_back(session.workspace())


def _take_newer() -> None:
    tab = _tab()
    if tab.base is not None:
        _attempt(tab.base.id)


def _attempt(id: str, owner: str = "") -> None:
    tab = _tab()
    tab.said = []
    try:
        _take(id, owner)
    except OptLawsError as fault:
        tab.said = [errors.sentence(fault)]


def _keep_again() -> None:
    tab = _tab()
    tab.stopped, tab.seen, tab.base = False, (), None


# ---------------------------------------------------------------------------------------------------- what is kept


def limits() -> str:
    """What is kept for how long, in words for the visitor; empty where nothing is."""
    if _owner() is None:
        return ""
    from optlaws_core.saved.shelf import MOST_BYTES

    whose = "for you, wherever you log in" if identity.logged_in() else "for this browser alone, known by its cookie"
    return (
        f"Runs, uploaded files, fits and candidates are kept on this server {whose}: at most {MOST_BYTES // 2**20} MB, "
        f"until {settings.days_kept():g} days after your last visit."
    )


def section() -> None:
    """What the server keeps of the visitor's work: its limits, other states, and the way to delete it all."""
    st.subheader("Your work on this server", anchor=False)
    said = limits()
    if not said:
        why = "its operator switched that off" if settings.days_kept() is None else "this browser sends no cookie"
        st.caption(f"This server keeps nothing of your work when you leave: {why}. Save a comparison to keep it.")
        return
    st.caption(said)
    try:
        states, owner = _shelf().states(_owner() or ""), _before_log_in()
        before = _shelf().states(owner) if owner else []
    except OptLawsError as fault:
        st.error(literal(errors.sentence(fault)), icon=":material/error:")
        return
    base = _tab().base
    if not states:
        st.caption("Nothing is kept yet.")
    for state in states:
        _row(state, here=base is not None and state.id == base.id)
    for state in before:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.text(f"{_said(state)}, from this browser before you logged in", width="content")
            st.button("Open a copy", key=f"kept_copy {state.id}", on_click=_attempt, args=(state.id, owner))
    last = session.workspace().aside
    if last:
        _offer(last[-1].said, "Bring back", _bring_back, "kept_bring_back")
    if states:
        with st.popover("Forget everything on this server", icon=":material/delete_forever:", key="kept_forget"):
            st.text(
                "Runs, files, fits and candidates are deleted on the server and in this tab. Saved comparisons stay."
            )
            st.button("Forget it all", key="kept_forget_all", on_click=_forget)


def _row(state: Kept, here: bool) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.text(_said(state) + (": open in this tab" if here else ""), width="content")
        if here:
            return
        st.button("Open", key=f"kept_open {state.id}", on_click=_attempt, args=(state.id,))
        with st.popover("Delete", key=f"kept_delete {state.id}"):
            st.text("This state will be deleted for good.")
            st.button("Delete it", key=f"kept_drop {state.id}", on_click=_drop, args=(state.id,))


def _said(state: Kept) -> str:
    size = state.bytes / 2**20
    return f"{_when(state)}, {f'{size:.1f} MB' if size >= 0.05 else 'under 0.1 MB'}"


def _when(state: Kept) -> str:
    return f"{datetime.fromisoformat(state.touched):%Y-%m-%d %H:%M} UTC"


def _drop(id: str) -> None:
    try:
        _shelf().drop(_owner() or "", id)
    except OptLawsError as fault:
        _tab().said = [errors.sentence(fault)]


def _forget() -> None:
    tab = _tab()
    try:
        _shelf().forget(_owner() or "")
    except OptLawsError as fault:
        tab.said = [errors.sentence(fault)]
        return
    session.workspace().stop()
    space = Workspace()
    space.load_example()
    space.revision = session.workspace().revision + 1
    session.begin(space)
    session.state()[TAB] = _Tab(page=tab.page, seen=_state(space))

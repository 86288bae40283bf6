"""Saved comparisons: saving the one at hand, listing, showing one read-only, taking it away or opening a copy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import LAWS, OptLawsError
from optlaws_core.fitting.result import Model
from optlaws_core.prediction.divergence import Risk
from optlaws_core.prediction.verdict import Yardstick, basis, doubts
from optlaws_core.saved import MOST_BYTES, Candidate, Snapshot, anonymised, from_bundle, thinned, to_bundle
from optlaws_core.saved.rights import Viewer, Visibility
from optlaws_core.saved.store import Entry
from optlaws_core.text import counted

from .. import page
from ..compare import curves, predicted, ranking
from ..compare import risk as risks
from ..fit import report
from ..state import address as links
from ..state import candidates, identity, session, settings
from ..state.workspace import Workspace
from ..widgets.candidate_chart import AXES, PARTS, View
from ..widgets.markdown import literal
from . import html_report

SHOWN = 50  # saved comparisons in the list
PAGE, SHARED = "Share", "shared"  # the page's title, and what the names of its widgets begin with
FORM = "share_form"
COPY = (
    "Brings runs, fits and candidates into your session, in place of what is loaded, to change them and save the "
    "result as a new comparison. Runs are thinned, so a law fitted to them anew may differ a little."
)


@contextmanager
def _faults_told() -> Iterator[None]:
    """Say in a sentence what failed within, where the store or the comparison is at fault."""
    try:
        yield
    except OptLawsError as fault:
        st.error(literal(str(fault)), icon=":material/error:")


# ---------------------------------------------------------------------------------------------------- saving


def section(
    space: Workspace,
    fits: Sequence[str],
    view: View,
    observed: Sequence[str],
    risk: Risk | None,
    most_risk: float,
    baseline: int,
) -> None:
    """Save the comparison as it stands, and get its link. `baseline`: its place in the list of candidates."""
    box = st.expander("Save and share", icon=":material/share:", on_change="rerun", key="share_box")
    if not box.open:
        return
    with box:
        st.caption(
            "Keeps the runs (thinned to what a chart shows), fits, candidates and this view as they are now, and opens "
            "them by a link, also after the runs here are gone."
            + (" This began as a copy of a saved comparison, which the new one will name." if space.parent else "")
        )
        with st.form(FORM, border=False):
            left, right = st.columns([3, 2], gap="medium")
            title = left.text_input("Title", _title(space), max_chars=200)
            note = left.text_area("Note", height=100, placeholder="What was found, what to check", max_chars=20_000)
            author = right.text_input("Author", identity.name(), placeholder="not said", max_chars=200)
            tags = right.text_input("Tags", placeholder="separated by commas", max_chars=400)
            unnamed = right.checkbox(
                "Anonymise",
                help="Runs become run-1, run-2, …; no author, note, tags, labels, paths or hosts. The title stays.",
            )
            viewer = identity.viewer()
            kinds = _kinds(viewer)
            opens = right.selectbox(
                "Who may open it",
                kinds,
                kinds.index(_usual(viewer)),
                format_func=lambda kind: kind.value,
            )
            pressed = st.form_submit_button("Save and get a link", type="primary", icon=":material/link:")
        if pressed and not title.strip():
            st.error("A comparison needs a title, this one has none.", icon=":material/error:")
        elif pressed:
            words = tuple(dict.fromkeys(w.strip() for w in tags.split(",") if w.strip()))
            said = {"title": title.strip(), "note": note.strip(), "author": author.strip(), "tags": words}
            _save(space, fits, view, observed, risk, most_risk, baseline, said, unnamed, opens)


def _title(space: Workspace) -> str:
    on = [c for c in space.candidates if c.on and c.schedule is not None]
    return f"{counted(len(on), 'schedule')} under {space.current}"[:200]


def _save(space, fits, view, observed, risk, most_risk, baseline, said, unnamed, opens) -> None:
    with _faults_told():
        made = Snapshot(
            runs=thinned(list(space.runs.values())),
            fits=dict(space.fits),
            current=space.current,
            candidates=tuple(Candidate(c.schedule, c.label, c.on) for c in space.candidates if c.schedule is not None),
            selections={n: s for n, s in space.selections.items() if n in space.fits},
            risk=risk,
            most_risk=most_risk,
            also=tuple(fits[1:]),
            observed=tuple(observed),
            parent=space.parent,
            view={
                "x": view.x,
                "log_x": view.log_x,
                "log_y": view.log_y,
                "part": view.part,
                "batch_tokens": view.batch_tokens,
                "baseline": sum(c.schedule is not None for c in space.candidates[:baseline]),  # as they are kept
                "bands": " ".join(map(str, view.bands or ())),
            },
            **said,
        )
        if unnamed:
            made = replace(anonymised(made), title=made.title, view=made.view)  # no visitor words a view
        id = settings.store().save(made, identity.viewer(), opens)
        st.success(f"Saved. This link shows it as it is now. Who may open it: {opens.value}", icon=":material/check:")
        st.code(link(id), language=None)
        st.page_link(page.called("share"), label="Open it", icon=":material/open_in_new:", query_params={"id": id})


def link(id: str) -> str:
    """The address of a saved comparison."""
    here = st.context.url or ""
    return f"{here.split('?')[0].rsplit('/', 1)[0]}/share?id={id}"


def _kinds(viewer: Viewer, now: Visibility | None = None) -> list[Visibility]:
    """Whom the viewer may let in, as far as the viewer can tell them apart; and whoever is let in now."""
    return [kind for kind in Visibility if viewer.logged_in or kind in (Visibility.private, Visibility.link, now)]


def _usual(viewer: Viewer) -> Visibility:
    """Whoever has no name to be found by again shares by the link."""
    return Visibility.private if viewer.logged_in else Visibility.link


# ---------------------------------------------------------------------------------------------------- the list


def _go(id: str = "") -> None:
    """Open a saved comparison, or the list; a callback of buttons, so that the address says what is shown."""
    links.start_over(PAGE, SHARED, **({"id": id} if id else {}))


def listing() -> None:
    """What the viewer saved or may find, with a search, and a way to bring a file."""
    with _faults_told():
        _listing()


def _listing() -> None:
    store, viewer = settings.store(), identity.viewer()
    search = st.text_input(
        "Search",
        key="share_search",
        bind="query-params",
        placeholder="title, note, tag",
        width=420,
        icon=":material/search:",
    )
    found = store.listed(viewer, search, SHOWN)
    if not found:
        st.info(
            "Nothing that you saved matches."
            if search
            else "Nothing saved in this browser yet. Save a comparison on the Decide page; a link that you were sent "
            "opens here by itself."
        )
    for entry in found:
        _row(entry)
    count = store.count(viewer, search)
    if count > len(found):
        st.caption(f"The latest {len(found)} of {count:,}; a search finds the others.")
    _import()


def _row(entry: Entry) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.button(
            literal(entry.title),
            key=f"open {entry.id}",
            type="tertiary",
            icon=":material/leaderboard:",
            on_click=_go,
            args=(entry.id,),
        )
        told = [_when(entry), entry.visibility.value.rstrip(".")] if entry.mine else [_when(entry), "not yours"]
        told += [f"by {literal(entry.author)}"] if entry.author else []
        told += [literal(", ".join(entry.tags))] if entry.tags else []
        st.caption(" · ".join(told))


def _when(entry: Entry) -> str:
    return f"{datetime.fromisoformat(entry.saved):%Y-%m-%d %H:%M} UTC"


def _import() -> None:
    with st.expander("Bring a file", icon=":material/upload:"):
        file = st.file_uploader(
            "Comparison (JSON)",
            type=["json"],
            max_upload_size=MOST_BYTES // 2**20,
            key="share_file",
            help="What “Download” of a saved comparison, or `python -m optlaws_core share export`, wrote.",
        )
        if file is not None and st.button("Save it here", icon=":material/save:"):
            viewer = identity.viewer()
            st.query_params["id"] = settings.store().save(from_bundle(file.getvalue()), viewer, _usual(viewer))
            st.rerun()


# ---------------------------------------------------------------------------------------------------- one of them


def show(id: str) -> None:
    """A saved comparison, read-only."""
    with _faults_told():
        _show(id)


def _show(id: str) -> None:
    entry = settings.store().entry(id, identity.viewer())
    found = settings.store().open(id, identity.viewer())
    actions = _heading(entry, found)
    space = _workspace(found)
    fits = [found.current, *found.also] if found.current else []
    shown = predicted.entries(space, fits)
    if not fits or not shown:
        if not fits or not any(c.on for c in found.candidates):
            st.info("This comparison holds runs alone: no fit, or no candidate that was switched on.")
        return
    st.subheader("Predicted curves", anchor=False)
    view, observed = curves.look(space, SHARED, _view(found), found.observed)
    figure, _ = curves.draw(space, fits, shown, view, observed)
    st.subheader("Ranking", anchor=False)
    yardstick = Yardstick.of(space.fit).sentence
    st.caption(literal(" ".join([basis(space.fit), yardstick, *_risk(found)])))
    for doubt in doubts(space.fit):
        st.warning(literal(doubt))
    baseline = ranking.choose(space, shown, found.risk, found.most_risk, SHARED, _baseline(found))
    table, verdict = ranking.result(space, shown, view.batch_tokens, found.risk, found.most_risk, baseline)
    actions.download_button(
        "Report",
        lambda: html_report.html(found, figure, table, verdict, [yardstick, *_risk(found)]),
        f"comparison-{found.digest[:12]}.html",
        "text/html",
        icon=":material/description:",
        on_click="ignore",
        help="One HTML file with chart, ranking, laws and coefficients, as they stand here; it needs no network.",
    )
    _laws(space.fit)
    if entry.mine:
        _owner(entry)


def _laws(model: Model) -> None:
    """Formula and coefficients of each law, to be opened."""
    for i, (fit, weight) in enumerate(model.parts):
        share = f", weight {weight:.0%}" if weight < 1 else ""
        box = st.expander(
            f"{LAWS[fit.law].title}{share}", icon=":material/function:", on_change="rerun", key=f"{SHARED}_law {i}"
        )
        if box.open:
            with box:
                report.coefficients(fit, f"share-coefficients-{i}")


def _risk(found: Snapshot) -> list[str]:
    """Where the risk of divergence comes from, and from where on it sets a candidate apart."""
    if found.risk is None:
        return []
    return [
        f"Risk of divergence: {risks.described(found.risk)}",
        f"Candidates above {found.most_risk:.0%} rank behind all others.",
    ]


def _heading(entry: Entry, found: Snapshot) -> DeltaGenerator:
    """What it is, and the row of buttons that act on it."""
    st.subheader(literal(found.title), anchor=False)
    parts = [f"saved {_when(entry)}"]
    parts += [f"by {literal(found.author)}"] if found.author else []
    parts += [literal(", ".join(found.tags))] if found.tags else []
    parts.append(f"{counted(len(found.runs), 'run')}, {counted(len(found.fits), 'fit')}")
    parts.append(f"content {found.digest[:12]}")
    st.caption(" · ".join(parts))
    if found.note:
        st.text(found.note)
    parent = found.parent and settings.store().find(found.parent, identity.viewer())
    if parent:
        st.button(
            f"Began as a copy of {literal(parent.title)}",
            type="tertiary",
            icon=":material/history:",
            on_click=_go,
            args=(parent.id,),
        )
    elif found.parent:
        st.caption(f"Began as a copy of another comparison, content {found.parent[:12]}.")
    actions = st.container(horizontal=True)
    with actions:
        st.button("All of mine", icon=":material/arrow_back:", help="The comparisons that you saved.", on_click=_go)
        if st.button("Open a copy", icon=":material/content_copy:", help=COPY):
            _copy(found)
        st.download_button(
            "Download",
            lambda: to_bundle(found),
            f"comparison-{found.digest[:12]}.json",
            "application/json",
            icon=":material/download:",
            on_click="ignore",
            help="One file that can be imported elsewhere.",
        )
    return actions


def _workspace(found: Snapshot) -> Workspace:
    return Workspace(
        runs={r.name: r for r in found.runs},
        fits=dict(found.fits),
        current=found.current,
        selections=dict(found.selections),
        candidates=[candidates.Candidate(c.schedule.text, c.label, c.on) for c in found.candidates],
        risk=found.risk,
    )


def _view(found: Snapshot) -> View:
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


def _baseline(found: Snapshot) -> int | None:
    """The place of the candidate that all were compared with; None in comparisons from before there was one."""
    place = found.view.get("baseline")
    if isinstance(place, bool) or not isinstance(place, (int, float)):
        return None
    return int(place) if 0 <= place < len(found.candidates) else None


def _copy(found: Snapshot) -> None:
    view = _view(found)
    session.workspace().become(_workspace(found), found.digest)
    told = {
        "compare_x": AXES[view.x],
        "compare_part": view.part,
        "compare_log_x": view.log_x,
        "compare_log_y": view.log_y,
        "compare_batch": view.batch_tokens,
        "compare_most_risk": found.most_risk,
    }
    if (place := _baseline(found)) is not None:
        told[ranking.BASELINE] = candidates.names(_workspace(found).candidates)[place]
    address = {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in told.items() if value
    }
    st.switch_page(page.called("decide"), query_params=address | {"compare_observed": list(found.observed)})


def _owner(entry: Entry) -> None:
    """What its owner may do with it."""
    store, viewer = settings.store(), identity.viewer()
    with st.expander("Who may open it", icon=":material/lock:"):
        kinds = _kinds(viewer, entry.visibility)
        chosen = st.radio(
            "Open to",
            kinds,
            kinds.index(entry.visibility),
            format_func=lambda kind: kind.value,
            key=f"share_visibility {entry.id}",
        )
        with st.container(horizontal=True):
            if st.button("Change", disabled=chosen is entry.visibility):
                store.set_visibility(entry.id, viewer, chosen)
                st.rerun()
            with st.popover("Revoke the link"):
                st.text("The link is dead for ever; the comparison is yours alone, under a new one.")
                if st.button("Revoke it"):
                    st.query_params["id"] = store.revoke(entry.id, viewer)
                    st.rerun()
            with st.popover("Delete", icon=":material/delete:"):
                st.text("It is gone for ever, for everybody.")
                if st.button("Delete it"):
                    store.delete(entry.id, viewer)
                    del st.query_params["id"]
                    st.rerun()

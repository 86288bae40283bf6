"""Saved comparisons: saving the one at hand, and the list of those that the visitor saved or may find."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import OptLawsError
from optlaws_core.figures.candidate_chart import View
from optlaws_core.prediction.divergence import Risk
from optlaws_core.saved import (
    MOST_BYTES,
    Candidate,
    Snapshot,
    anonymised,
    from_bundle,
    is_usual,
    thinned,
    usual_title,
    versions,
    without_places,
)
from optlaws_core.saved.store import Entry
from optlaws_core.text import counted

from .. import page
from ..state import candidates, identity, session, settings
from ..state.workspace import Workspace
from ..widgets.markdown import literal
from . import kept, take_away
from .common import faults_told, go, kinds, link, usual, when

SHOWN = 50  # saved comparisons in the list
OFFERED = 20  # of them, to save a new version of
FORM_COLUMNS = [3, 2]
SAVED, RUNS, SAID = "saved as", "of runs", "said"  # in a draft: what was saved last, its runs, what was said of it


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
    taken = take_away.Taken(space, fits, view, observed, risk, most_risk, baseline)
    take_away.section(taken, "compare", _title(space))
    box = st.expander("Save and share", icon=":material/share:", on_change="rerun", key="share_box")
    if not box.open:
        return
    with box:
        st.caption(
            "Keeps the runs (thinned to what a chart shows), fits, candidates and this view as they are now, and opens "
            "them by a link, also after the runs here are gone."
            + (" This began as a copy of a saved comparison, which the new one will name." if space.parent else "")
        )
        mine, usual_place = _own(space)
        left, right = st.columns(FORM_COLUMNS, gap="medium")
        begun = usual_place.id if usual_place else ""
        given = usual_place.title if usual_place and not is_usual(usual_place.title) else _title(space)
        title = _words(space, left.text_input, "Title", given, begun, max_chars=200)
        note = _words(
            space,
            left.text_area,
            "Note",
            usual_place.note if usual_place else "",
            begun,
            height=100,
            placeholder="What was found, what to check",
            max_chars=20_000,
        )
        author = _words(
            space, right.text_input, "Author", identity.name(), identity.name(), placeholder="not said", max_chars=200
        )
        tags = _words(space, right.text_input, "Tags", "", placeholder="separated by commas", max_chars=400)
        unnamed = right.checkbox(
            "Anonymise",
            help="Runs become run-1, run-2, …; no author, note, tags, labels, paths or hosts. The title stays.",
        )
        viewer = identity.viewer()
        place = _version_of(left, mine, usual_place)
        let_in = usual_place.visibility if usual_place else usual(viewer)  # a copy opens to whom its original does
        offered = kinds(viewer, let_in)
        opens = right.selectbox(
            "Who may open it",
            offered,
            offered.index(let_in),
            format_func=lambda kind: kind.value,
            help="Of a new comparison; a new version is open to whoever its link is open to.",
        )
        pressed = st.button("Save and get a link", type="primary", icon=":material/link:")
        if pressed and not title.strip():
            st.error("A comparison needs a title, this one has none.", icon=":material/error:")
        elif pressed:
            words = tuple(dict.fromkeys(w.strip() for w in tags.split(",") if w.strip()))
            said = {"title": title.strip(), "note": note.strip(), "author": author.strip(), "tags": words}
            _save(space, fits, view, observed, risk, most_risk, baseline, said, unnamed, opens, place)
        else:
            _told(space, usual_place)


def _words(
    space: Workspace, widget: Callable[..., str | None], label: str, usual: str, of: str = "", **options: object
) -> str:
    """What is typed into a field, which a reload keeps. of: the comparison it is of; that of another begins anew."""
    key = f"share_{label.lower()} {of}"

    def noted() -> None:
        space.draft = {**space.draft, label: session.state().get(key) or ""}

    return widget(label, space.draft.get(label, usual), key=key, on_change=noted, **options) or ""


def _own(space: Workspace) -> tuple[list[Entry], Entry | None]:
    """The visitor's comparisons that this could become a version of, and the one that it began as or was saved as."""
    store, viewer = settings.store(), identity.viewer()
    with suppress(OptLawsError):  # saving says it
        mine = [entry for entry in store.listed(viewer, limit=OFFERED) if entry.mine]
        last = _last(space)
        if last:
            with suppress(OptLawsError):  # deleted since
                begun = store.entry(last, viewer)
                return _with(mine, begun), begun
        begun = store.find(space.parent, viewer) if space.parent else None
        return (_with(mine, begun), begun) if begun and begun.mine else (mine, None)
    return [], None


def _with(entries: list[Entry], one: Entry) -> list[Entry]:
    return entries if one.id in {entry.id for entry in entries} else [*entries, one]


def _last(space: Workspace) -> str:
    """What this work was saved as; empty where it was not, or other runs have taken its place."""
    same = set(filter(None, space.draft.get(RUNS, "").split("\n"))) <= space.runs.keys()
    return space.draft.get(SAVED, "") if same else ""


def _version_of(left: DeltaGenerator, mine: Sequence[Entry], usual_place: Entry | None) -> Entry | None:
    """The comparison of the visitor's that this becomes the newest version of; None: a new one, with its own link."""
    if not mine:
        return None
    known = {entry.id: entry for entry in mine}
    first = usual_place.id if usual_place else ""
    chosen = left.selectbox(
        "Save as",
        ["", *known],
        ["", *known].index(first),
        format_func=lambda id: f"A new version of: {known[id].title}" if id else "A new comparison",
        key=f"share_as {first}",
        help="A new version takes the place of the one that its link showed; that one stays readable there.",
    )
    if chosen:
        with suppress(OptLawsError):  # deleted meanwhile: saving says it
            number = len(versions.history(settings.store(), chosen, identity.viewer()).versions) + 1
            left.caption(f"Saves version {number} of “{literal(known[chosen].title)}”.")
    return known.get(chosen)


def _title(space: Workspace) -> str:
    return usual_title([c.schedule for c in space.candidates if c.on and c.schedule is not None])


def _save(space, fits, view, observed, risk, most_risk, baseline, said, unnamed, opens, place) -> None:
    with faults_told():
        made = Snapshot(
            runs=without_places(thinned(space.runs.values())),
            fits=dict(space.fits),
            current=space.current,
            candidates=_candidates(space),
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
                **kept.said(space.big_run),
                "bands": " ".join(map(str, view.bands or ())),
            },
            **said,
        )
        if unnamed:
            made = replace(anonymised(made), title=made.title, view=made.view)  # no visitor words a view
        store, viewer = settings.store(), identity.viewer()
        if place is None:
            id, told = store.save(made, viewer, opens), "Saved"
        else:
            id, opens = place.id, place.visibility
            newest = store.open(id, viewer)
            if replace(made, created=newest.created).digest == newest.digest:
                raise OptLawsError("Nothing has changed since this was saved: it is the newest version already.")
            versions.publish(store, id, viewer, made)
            told = f"Saved as version {len(versions.history(store, id, viewer).versions)}"
        said = f"{told}. This link shows its newest version. {opens.opened}"
        typed = {label: words for label, words in space.draft.items() if label not in ("Title", "Note")}  # it has them
        space.draft = {**typed, SAVED: id, RUNS: "\n".join(space.runs), SAID: said}
        st.rerun()  # the form offers a new version of it from now on


def _candidates(space: Workspace) -> tuple[Candidate, ...]:
    """Those that are schedules; a colour is said where it is not that of the place."""
    rows = candidates.lasting([c for c in space.candidates if c.schedule is not None])
    return tuple(
        Candidate(c.schedule, c.label, c.on, None if c.color == place else c.color) for place, c in enumerate(rows)
    )


def _told(space: Workspace, place: Entry | None) -> None:
    """What this work was saved as last, with its link; `place`: the comparison it is a version of by now."""
    last = _last(space)
    if not last or place is None or place.id != last:  # deleted, or its link revoked
        return
    left, right = st.columns(FORM_COLUMNS, gap="medium")
    left.success(space.draft.get(SAID, ""), icon=":material/check:")
    right.code(link(last), language=None, wrap_lines=True)
    right.page_link(page.called("share"), label="Open it", icon=":material/open_in_new:", query_params={"id": last})


# ---------------------------------------------------------------------------------------------------- the list


def listing() -> None:
    """What the viewer saved or may find, with a search, and a way to bring a file."""
    with faults_told():
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
            on_click=go,
            args=(entry.id,),
        )
        told = (
            [when(entry.saved), entry.visibility.value.rstrip(".")] if entry.mine else [when(entry.saved), "not yours"]
        )
        told += [f"by {literal(entry.author)}"] if entry.author else []
        told += [literal(", ".join(entry.tags))] if entry.tags else []
        if entry.commented:
            latest = "the latest " if entry.comments > 1 else ""
            told.append(f"**{counted(entry.comments, 'comment')}**, {latest}{when(entry.commented)}")
        st.caption(" · ".join(told))


def _import() -> None:
    with st.expander("Upload a saved comparison", icon=":material/upload:"):
        file = st.file_uploader(
            "Comparison (JSON)",
            type=["json"],
            max_upload_size=MOST_BYTES // 2**20,
            key="share_file",
            help="What “Download” of a saved comparison, or `python -m optlaws_core share export`, wrote.",
        )
        if file is not None and st.button("Save it here", icon=":material/save:"):
            viewer = identity.viewer()
            st.query_params["id"] = settings.store().save(from_bundle(file.getvalue()), viewer, usual(viewer))
            st.rerun()

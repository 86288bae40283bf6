"""A saved comparison for whoever opens it: title, verdict, warnings, chart, ranking, evidence; read-only."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import LAWS, OptLawsError
from optlaws_core.fitting.result import Model
from optlaws_core.prediction.verdict import Yardstick, basis
from optlaws_core.saved import Snapshot, to_bundle, versions
from optlaws_core.saved.store import Entry
from optlaws_core.text import counted, percent, shortened

from ..compare import curves, predicted, ranking
from ..compare import risk as risks
from ..fit import report
from ..state import identity, settings
from ..state.workspace import Workspace
from ..widgets.markdown import literal
from . import discussion, evidence, html_report, kept, owner, preview, take_away
from .common import CONTENT, PAGE, SHARED, faults_told, go, link, when

CONTENTS = {  # titles of the parts of a page, and their places in it; the verdict stands on top
    "Predicted curves": "predicted-curves",
    "Ranking": "ranking",
    "Evidence": "evidence",
    "Runs": "runs",
    "Errors": "errors",
    "Predicted and observed": "predicted-and-observed",
}
WITHOUT_MENU = "<style>[data-testid='stHeader'] { display: none }</style>"  # in a frame; it leads elsewhere
JUDGED = 12  # latest versions whose verdicts and changes are told; each is worked out when it is first asked for
HEADLINE = 240  # characters of a verdict there
COPY = (
    "Brings runs, fits and candidates into your session, in place of what is loaded, to change them and save the "
    "result as a new comparison. Runs are thinned, so a law fitted to them anew may differ a little."
)


def show(id: str) -> None:
    """A saved comparison, read-only."""
    with faults_told():
        try:
            opened = _opened(id, st.query_params.get(CONTENT, ""))
        except OptLawsError:
            st.title(PAGE, anchor=False)
            raise
        _show(*opened)


def _opened(id: str, content: str) -> tuple[Entry, versions.History, Snapshot]:
    """What the list says of a comparison, its versions, and the one that is asked for. Raises `OptLawsError`."""
    store, viewer = settings.store(), identity.viewer()
    found = versions.open_version(store, id, viewer, content) if content else store.open(id, viewer)
    return store.entry(id, viewer), versions.history(store, id, viewer), found


def _show(entry: Entry, told: versions.History, found: Snapshot) -> None:
    newest = found.digest == entry.digest
    entry = entry if newest else replace(entry, title=found.title, note=found.note)
    st.set_page_config(page_title=f"{entry.title} · Opt-Laws")
    if entry.mine and newest and not embedded():
        owner.bar(entry, found)
    st.title(literal(entry.title), anchor=False)
    contents, head = st.container(), st.container()
    if embedded():
        st.html(WITHOUT_MENU)
        _body(found, head)
        return
    _versions(entry, found, told)
    actions = _about(entry, found, told.edited if newest else None)
    parts = CONTENTS if _body(found, head, actions) else {}
    comments = f"Comments ({entry.comments})" if entry.comments else "Comments"
    contents.caption(" · ".join(f"[{title}](#{anchor})" for title, anchor in {**parts, comments: "comments"}.items()))
    discussion.section(entry)


def _versions(entry: Entry, found: Snapshot, told: versions.History) -> None:
    """Which of several versions is open, and the way to the others."""
    if len(told.versions) < 2:
        return
    place = next(v.place for v in told.versions if v.digest == found.digest)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Version {place} of {len(told.versions)}.")
        if place < len(told.versions):
            st.button("Open the newest", icon=":material/update:", on_click=go, args=(entry.id,))
        box = st.popover(
            "All versions", type="tertiary", icon=":material/history:", on_change="rerun", key="share_versions"
        )
        if box.open:
            with box:
                _listed(entry, told, place)
    if place < len(told.versions):
        st.warning("This is an earlier version; the link shows the newest one.", icon=":material/history:")


def _listed(entry: Entry, told: versions.History, place: int) -> None:
    """Links to all versions, the latest first, each with its date, what it changed and the verdict it came to."""
    store, viewer = settings.store(), identity.viewer()

    @cache
    def load(digest: str) -> Snapshot:
        return versions.open_version(store, entry.id, viewer, digest)

    before = (None, *told.versions)
    for earlier, v in reversed(list(zip(before, told.versions, strict=False))):
        name = f"Version {v.place}: {literal(v.title)}"
        address = link(entry.id, **({} if v.place == len(told.versions) else {CONTENT: v.digest}))
        st.markdown(f"**{name}**, open now" if v.place == place else f"[{name}]({address})")
        changed, said = "", ""
        if len(told.versions) - v.place < JUDGED:
            # one that cannot be read says so where it is opened
            with suppress(OptLawsError):
                said = shortened(preview.verdict(v.digest, partial(load, v.digest)), HEADLINE)
            with suppress(OptLawsError):
                changed = _changed(earlier, v, load) if earlier else ""
        by = f" by {v.author}" if v.author else ""
        st.caption(literal(" ".join(filter(None, [f"Saved {when(v.saved)}{by}.", changed, said]))))


def _changed(earlier: versions.Version, later: versions.Version, load: Callable[[str], Snapshot]) -> str:
    """What a version changed of the one before it, as a sentence."""
    phrases = preview.changes(earlier.digest, later.digest, load)
    if not phrases:
        return f"Shows what version {earlier.place} shows."
    return f"Changed since version {earlier.place}: {shortened('; '.join(phrases), HEADLINE)}."


def embedded() -> bool:
    """Whether the page is a frame of another: no bar, no comments, nothing that a click could change."""
    return bool(st.context.is_embedded)


def _body(found: Snapshot, head: DeltaGenerator, actions: DeltaGenerator | None = None) -> bool:
    """All but the words: the verdict, in `head`, warnings, chart, ranking; with `actions` also evidence and laws.

    Returns whether there was anything to predict.
    """
    space = kept.workspace(found)
    fits = [found.current, *found.also] if found.current else []
    shown, left_out = predicted.entries(space, fits)
    if not fits or not shown:
        if not fits or not any(c.on for c in found.candidates):
            st.info("This comparison holds runs alone: no fit, or no candidate that was switched on.")
        _told(left_out, head)
        return False
    st.subheader("Predicted curves", anchor="predicted-curves")
    with st.popover("Axes, runs and bands", icon=":material/tune:"):
        view, observed = curves.look(space, SHARED, kept.view(found), found.observed)
        bands = st.container()
    _, view = curves.draw(space, fits, shown, view, observed, bands, beneath=True)
    st.subheader("Ranking", anchor="ranking")
    baseline = ranking.choose(space, shown, found.risk, found.most_risk, SHARED, kept.baseline(found))
    table, verdict = ranking.result(space, shown, view.batch_tokens, found.risk, found.most_risk, baseline, head)
    remarks = [basis(space.fit), Yardstick.of(space.fit).sentence, *_risk(space, shown, found)]
    head.caption(literal(" ".join(remarks)))
    doubts = [*left_out, *evidence.warned(found), *predicted.beyond(space, shown, space.big_run)]
    if actions is None:
        if doubts:
            head.warning("  \n".join(map(literal, doubts)), icon=":material/warning:")
        st.link_button("Open the comparison", link(st.query_params["id"]), icon=":material/open_in_new:")
        return True
    _told(doubts, head)
    taken = take_away.Taken(space, fits, view, observed, found.risk, found.most_risk, baseline.place)
    actions.download_button(
        "Report",
        lambda: html_report.html(found, taken.drawn(), table, verdict, remarks[1:], doubts),
        f"comparison-{found.digest[:12]}.html",
        "text/html",
        icon=":material/description:",
        on_click="ignore",
        help="One HTML file with chart, ranking, laws and coefficients, as they stand here; it needs no network.",
    )
    take_away.section(taken, SHARED, found.title)
    evidence.section(found, space)
    _laws(space.fit)
    return True


def _told(doubts: Sequence[str], head: DeltaGenerator) -> None:
    for doubt in doubts:
        head.warning(literal(doubt), icon=":material/warning:")


def _laws(model: Model) -> None:
    """Formula and coefficients of each law, to be opened."""
    for i, (fit, weight) in enumerate(model.parts):
        share = f", weight {percent(weight)}" if weight < 1 else ""
        box = st.expander(
            f"{LAWS[fit.law].title}{share}", icon=":material/function:", on_change="rerun", key=f"{SHARED}_law {i}"
        )
        if box.open:
            with box:
                report.coefficients(fit, f"share-coefficients-{i}")


def _risk(space: Workspace, shown: Sequence[predicted.Entry], found: Snapshot) -> list[str]:
    """Where the risk of divergence comes from, and from where on it sets a candidate apart."""
    if found.risk is None:
        return ["The ranking does not consider the risk of divergence."]
    return [
        f"Risk of divergence: {risks.described(found.risk)}",
        f"Candidates above {percent(found.most_risk)} rank behind all others.",
        *risks.untold(space, shown, found.risk),
    ]


def _about(entry: Entry, found: Snapshot, edited: str | None) -> DeltaGenerator:
    """Note and origin, and the row of buttons that act on it, which is returned."""
    parts = [f"saved {when(entry.saved)}"] if found.digest == entry.digest else [f"created {when(found.created)}"]
    parts += [f"title and note edited on {when(edited)}"] if edited else []
    parts += [f"by {literal(found.author)}"] if found.author else []
    parts += [literal(", ".join(found.tags))] if found.tags else []
    laws = {fit.law for model in found.fits.values() for fit, _ in model.parts}
    parts.append(f"{counted(len(found.runs), 'run')}, {counted(len(laws), 'law')}")
    parts.append(f"content {found.digest[:12]}")
    st.caption(" · ".join(parts))
    if entry.note:
        st.text(entry.note)
    parent = found.parent and settings.store().find(found.parent, identity.viewer())
    if parent:
        st.button(
            f"Began as a copy of {literal(parent.title)}",
            type="tertiary",
            icon=":material/history:",
            on_click=go,
            args=(parent.id,),
        )
    elif found.parent:
        st.caption(f"Began as a copy of another comparison, content {found.parent[:12]}.")
    actions = st.container(horizontal=True)
    with actions:
        if settings.store().count(identity.viewer()):
            st.button("All of mine", icon=":material/arrow_back:", help="The comparisons that you saved.", on_click=go)
        if st.button("Open a copy", icon=":material/content_copy:", help=COPY):
            kept.copy(found)
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

"""What an owner does to a saved comparison, new versions under its link, and what readers say of it."""

from dataclasses import replace

from optlaws_core.saved import comments
from optlaws_core.saved.rights import Viewer, Visibility
from pages.parts.share import kept
from pages.parts.state.workspace import Workspace
from tests.pages.compare.compare_page import a_run, opened, texts
from tests.pages.share.share_page import labels, press, saved, share, warned


def test_an_owner_revokes_and_deletes(compared, store):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    shown = share(viewer, id=entry.id)
    next(b for b in shown.button if b.label == "Revoke it").click().run()
    assert not shown.exception
    (new,) = store.listed(viewer)
    assert new.id != entry.id and new.visibility is Visibility.private
    assert shown.query_params["id"] == new.id and share(viewer, id=entry.id).error
    next(b for b in shown.button if b.label == "Delete it").click().run()
    assert not shown.exception and store.listed(viewer) == []


def test_a_new_version_comes_under_the_same_link_and_the_old_one_stays(compared, store):
    first, viewer = saved(compared, store, Title="First")
    (entry,) = store.listed(viewer)
    choice = next(s for s in compared.selectbox if s.label == "Save as")
    assert choice.value == entry.id and choice.options == ["A new comparison", "A new version of: First"]
    assert "Saves version 2 of “First”." in texts(compared)
    second, _ = saved(compared, store, Title="Second")
    assert "Saves version 3 of “Second”." in texts(compared)
    assert [x.value for x in compared.success] == [
        "Saved as version 2. This link shows its newest version. Everybody who has the link may open it."
    ]
    assert second.title == "Second" and [e.id for e in store.listed(viewer)] == [entry.id]
    reader = share(Viewer("elsewhere"), id=entry.id)
    assert [t.value for t in reader.title] == ["Second"] and "Version 2 of 2." in texts(reader)
    assert "All of mine" not in labels(reader) and "All of mine" in labels(share(viewer, id=entry.id))
    reader.session_state["share_versions"] = True
    reader.run()
    (way,) = [m.value for m in reader.markdown if "Version 1" in m.value]
    assert way.startswith("[Version 1: First](") and way.endswith(f"share?id={entry.id}&content={first.digest})")
    said = next(t.value for t in reader.subheader if " below c0" in t.value)
    newest, oldest = [c.value for c in reader.caption if c.value.startswith("Saved 20")]
    assert said.split(";")[0] in oldest and "Changed since" not in oldest  # the verdict that it came to
    assert " Changed since version 1: title, before “First”. " in newest
    reader = share(Viewer("elsewhere"), id=entry.id, content=first.digest)
    assert [t.value for t in reader.title] == ["First"] and "Version 1 of 2." in texts(reader)
    assert any("earlier version" in sentence for sentence in warned(reader))
    press(reader, "Open the newest")
    assert [t.value for t in reader.title] == ["Second"]
    assert "Delete it" not in labels(share(viewer, id=entry.id, content=first.digest))  # the bar is the link's
    assert share(viewer, id=entry.id, content="0" * 64).error


def test_what_was_saved_is_saved_again_as_its_new_version_until_other_runs_come(compared, store):
    saved(compared, store, Title="First")
    assert next(x for x in compared.text_input if x.label == "Title").value == "First"
    press(compared, "Save and get a link")
    assert [e.value for e in compared.error] == [  # a second click makes neither a copy nor a version
        "Nothing has changed since this was saved: it is the newest version already."
    ]
    viewer = Viewer(compared.session_state.browser)
    (first,) = store.listed(viewer)
    next(s for s in compared.selectbox if s.label == "Save as").set_value("")
    next(x for x in compared.text_input if x.label == "Title").set_value("Apart")
    press(compared, "Save and get a link")
    second, _ = store.listed(viewer)
    assert second.title == "Apart" and any(second.id in code.value for code in compared.code)
    assert next(s for s in compared.selectbox if s.label == "Save as").value == second.id
    space = compared.session_state.workspace
    space.runs = {"other": replace(a_run(), name="other")}
    compared.run()
    assert next(s for s in compared.selectbox if s.label == "Save as").value == "" and not compared.success
    store.delete(second.id, viewer)
    space.runs = {"long": a_run()}
    assert next(s for s in compared.run().selectbox if s.label == "Save as").value == ""
    assert not compared.exception and not any(second.id in code.value for code in compared.code)


def test_what_was_typed_and_what_it_was_saved_as_outlive_a_reload(compared, store):
    _, viewer = saved(compared, store, Title="First", Tags="a, b")
    next(x for x in compared.text_input if x.label == "Title").set_value("Better").run()
    again = Workspace()
    again.load(compared.session_state.workspace.stock)
    again.candidates = list(compared.session_state.workspace.candidates)
    app = opened(again)
    app.session_state["share_box"] = True
    app.session_state.browser = viewer.key
    app.run()
    typed = {x.label: x.value for x in app.text_input}
    assert (typed["Title"], typed["Tags"]) == ("Better", "a, b")
    assert "Saves version 2 of “First”." in texts(app)
    again.clear()
    assert again.draft == {}


def test_a_copy_of_ones_own_is_offered_as_its_new_version(compared, store):
    found, viewer = saved(compared, store, Title="Begun")
    (entry,) = store.listed(viewer)
    space = Workspace()
    space.become(kept.workspace(found), found.digest)
    again = opened(space)
    again.session_state["share_box"] = True
    again.session_state.browser = viewer.key
    assert next(s for s in again.run().selectbox if s.label == "Save as").value == entry.id


def test_an_owner_edits_the_words_and_the_content_stays(compared, store):
    found, viewer = saved(compared, store, Title="Befor")
    (entry,) = store.listed(viewer)
    mine = share(viewer, id=entry.id)
    assert any(f"share?id={entry.id}" in code.value for code in mine.code)
    next(t for t in mine.text_input if t.label == "Title").set_value("Before")
    next(t for t in mine.text_area if t.label == "Note").set_value("with a note")
    press(mine, "Save the words")
    assert [t.value for t in mine.title] == ["Before"] and "with a note" in texts(mine)
    assert any("title and note edited on" in t for t in texts(mine)) and store.open(entry.id, viewer) is not None
    assert store.entry(entry.id, viewer).digest == found.digest
    assert "Save the words" not in labels(share(Viewer("elsewhere"), id=entry.id))


def test_readers_comment_in_plain_text_and_the_owner_deletes(compared, store):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    reader = share(Viewer("elsewhere"), id=entry.id)
    typed = next(t for t in reader.text_area if t.label == "Comment").set_value("<b>Which</b> :red[seed]?")
    press(reader, "Comment")
    assert "<b>Which</b> :red[seed]?" in [t.value for t in reader.text]
    assert any("someone · " in c.value for c in reader.caption)
    fresh = next(t for t in reader.text_area if t.label == "Comment")
    assert fresh.value == "" and fresh.id != typed.id  # a browser keeps what stands in the same field
    fresh.set_value("<b>Which</b> :red[seed]?")
    press(reader, "Comment")
    assert len(reader.error) == 1 and "not posted twice" in reader.error[0].value
    kept = next(t for t in reader.text_area if t.label == "Comment")
    assert kept.value == "<b>Which</b> :red[seed]?"  # what was refused stays
    kept.set_value("")
    press(reader, "Comment")
    assert [e.value for e in reader.error] == ["A comment needs a text, this one has none."]
    mine = share(viewer, id=entry.id)
    next(b for b in mine.button if str(b.key).startswith("comment ")).click().run()
    assert not mine.exception and comments.comments(store, entry.id, viewer) == []
    third = share(Viewer("third"), id=entry.id)
    assert not any(str(b.key).startswith("comment ") for b in third.button)

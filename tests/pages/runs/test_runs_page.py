"""The Runs page as a visitor meets it: examples first, uploads in their place, and bad files that cost nothing."""

import json
import threading
import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core.readers import FORMATS, Source, read_all
from optlaws_core.readers.formats import trainer_state
from optlaws_core.schedules import Cosine
from pages.parts.runs import elsewhere
from pages.parts.runs import files as inputs_files
from pages.parts.runs.files import MOST_SHOWN
from pages.parts.state import bundled
from pages.parts.state.workspace import Workspace
from pages.parts.widgets.markdown import literal
from tests.pages.fit.fit_page import until
from tests.places import ROOT
from tests.support.services import running

RUNS = "pages/runs.py"
LOG = "step,loss,lr,val_loss\n" + "".join(
    f"{s},{3 + (s + 10.0) ** -0.5:.4f},{3e-4 * min(1, s / 50):g},{3.1 + (s + 10.0) ** -0.5:.4f}\n"
    for s in range(0, 1000, 10)
)
NO_RATE = "\n".join(",".join(line.split(",")[:2]) for line in LOG.splitlines()).encode()
MANIFEST = "run,file,schedule,params\n" + 'tiny,tiny.csv,"constant(peak=3e-4, warmup=50, total=1000)",1000\n'


@pytest.fixture(autouse=True)
def examples(tmp_path, monkeypatch):
    """Stand-ins for the bundled runs, so that these tests say the same whatever is bundled."""
    (tmp_path / "tiny.csv").write_text(LOG)
    (tmp_path / "manifest.csv").write_text(MANIFEST)
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path / "manifest.csv")


@pytest.fixture
def opened() -> AppTest:
    """The page."""
    return fine(app().run())


@pytest.fixture
def page() -> AppTest:
    return fine(app().run())


def app(script: str = RUNS) -> AppTest:
    return AppTest.from_file(ROOT / script, default_timeout=60)


def fine(at: AppTest) -> AppTest:
    assert not at.exception, at.exception
    return at


def space(at: AppTest) -> Workspace:
    return at.session_state["workspace"]


def upload(at: AppTest, *files: tuple[str, bytes | str], folder: bool = False) -> AppTest:
    """Hand files over as the browser does."""
    given = [(name, data.encode() if isinstance(data, str) else data, "text/csv") for name, data in files]
    at.file_uploader[1 if folder else 0].set_value(given)
    return fine(at.run())


def button(at: AppTest, label: str):
    return next(b for b in at.button if b.label == label)


def answer(at: AppTest, key: str):
    """The button of an answer to an open question."""
    return next(b for b in at.button if str(b.key).startswith("send-") and str(b.key).endswith(f"-{key}"))


def field(widgets, label: str):
    return next(w for w in widgets if w.label == label)


def drawn(at: AppTest) -> list[str]:
    """Names in the legend."""
    spec = json.loads(at.get("plotly_chart")[0].proto.spec)
    return [t["name"] for t in spec["data"] if t.get("showlegend") and t["type"] == "scatter"]


def test_the_example_runs_come_first_and_are_called_so(opened):
    assert "project's own small runs" in opened.info[0].value
    assert list(space(opened).runs) == ["tiny"] == drawn(opened)
    assert opened.title[0].value == "Runs"


def test_an_upload_takes_the_place_of_the_examples(opened):
    upload(opened, ("mine.csv", LOG), ("other.csv", LOG))
    assert list(space(opened).runs) == ["mine", "other"] == drawn(opened)
    assert not opened.info and "Read 2 runs from 2 files" in opened.success[0].value
    upload(opened, ("third.csv", LOG))
    assert list(space(opened).runs) == ["mine", "other", "third"]


@pytest.mark.parametrize(
    "name, data, said",
    [
        ("empty.csv", b"", "the file is empty"),
        ("rubbish.bin", bytes(range(256)) * 9, "binary data"),
        ("words.csv", "step,loss\n1,a\n2,b\n3,c\n", "must be numbers"),
        ("none.csv", "step,speed\n1,2\n2,3\n", "no column is known as a loss"),
        ("one.csv", "step,loss\n1,2\n", "at least 2 points"),
        ("bomb.zip", b"PK\x03\x04" + b"\0" * 99, "ZIP archive"),
    ],
)
def test_a_bad_file_gets_a_sentence_and_costs_nothing(page, name, data, said):
    upload(page, ("mine.csv", LOG))
    upload(page, (name, data))
    assert any(said in error.value and name in error.value for error in page.error)
    assert list(space(page).runs) == ["mine"] == drawn(page)


def test_a_bad_file_leaves_the_examples_in_place(page):
    upload(page, ("empty.csv", b""))
    assert space(page).example and drawn(page) == ["tiny"]


def test_a_newer_file_of_the_same_name_replaces_the_older_and_a_broken_one_does_not(page):
    upload(page, ("mine.csv", LOG))
    upload(page, ("mine.csv", LOG + "1000,2.5,3e-4,\n"))
    assert space(page).runs["mine"].steps[-1] == 1000 and "replace 1 file" in page.success[0].value
    upload(page, ("mine.csv", b""))
    assert "empty" in page.error[0].value and space(page).runs["mine"].steps[-1] == 1000


def test_a_click_right_after_an_upload_does_not_read_it_again(monkeypatch):
    """The browser may name the files once more, when their content is gone already."""
    from streamlit.runtime.uploaded_file_manager import DeletedFile

    monkeypatch.setattr(inputs_files, "state", lambda: {"files-0": [DeletedFile("id")]})
    empty = Workspace()
    inputs_files._take(empty, "files-0", False)
    assert empty == Workspace()


def test_many_bad_files_are_summed_up(page):
    upload(page, *((f"e{i}.csv", b"") for i in range(MOST_SHOWN + 3)))
    assert "3 more files were refused" in page.error[MOST_SHOWN].value


NAMES = ["<b>bold</b>", "../../etc/passwd", "`code` $x$ [a](b) :red[hot] :material/home:", "**loud** # head", "1. @x"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_as_they_are(page, name):
    upload(page, (f"{name}.csv", LOG), (f"bad {name}.csv", b""))
    run = next(iter(space(page).runs))
    assert run == name.rsplit("/", 1)[-1]
    assert page.dataframe[0].value["Run"].tolist() == [run]
    assert page.dataframe[1].value["File"].tolist()[0] in (f"{name}.csv", f"bad {name}.csv")
    assert literal(f"bad {name}.csv") in page.error[0].value
    assert not any(mark.proto.allow_html for mark in page.markdown)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("<b>", r"\<b\>"),
        ("$x$", r"\$x\$"),
        ("[a](b)", r"\[a\](b)"),
        (":red[x]", ":\u2060red\\[x\\]"),
        ("# x", r"\# x"),
        ("1. x", r"1\. x"),
        ("- x", r"\- x"),
        ("a\nb", "a b"),
        ("plain text, 3.5 at 2", "plain text, 3.5 at 2"),
        ("90 % of 5, % of x, 100 %", "90\u00a0% of 5, % of x, 100\u00a0%"),  # no line ends before the sign
    ],
)
def test_literal_escapes_markup_and_nothing_else(text, shown):
    assert literal(text) == shown


def test_a_folder_gives_its_logs_and_nothing_else(page):
    upload(page, ("f/a.csv", LOG), ("f/sub/a.csv", LOG), ("f/model.ckpt", b"\0" * 9), folder=True)
    assert len(space(page).runs) == 2 and "1 file of other kinds ignored" in page.success[0].value
    upload(page, ("f/model.ckpt", b"\0" * 9), folder=True)
    assert "no logs" in page.error[0].value and len(space(page).runs) == 2


def test_runs_of_one_name_from_two_uploads_stay_apart(page):
    upload(page, ("x/a.csv", LOG), folder=True)
    upload(page, ("y/a.csv", LOG), folder=True)
    assert list(space(page).runs) == ["a", "a (2)"]


def test_a_manifest_alone_speaks_of_the_logs_before_it(page):
    upload(page, ("tiny.csv", NO_RATE))
    assert space(page).runs["tiny"].lr_source == "missing"
    upload(page, ("manifest.csv", MANIFEST))
    assert space(page).runs["tiny"].lr_source == "declared" and space(page).runs["tiny"].plan.params == 1000


def test_the_tables_tell_where_the_learning_rate_comes_from(page):
    upload(page, ("a.csv", LOG), ("b.csv", NO_RATE))
    assert page.dataframe[0].value["LR from"].tolist() == ["recognised", "missing"]
    assert page.dataframe[1].value["LR from"].tolist() == ["logged", "missing"]


def test_a_schedule_is_declared_for_a_run_without_one(page):
    upload(page, ("b.csv", NO_RATE))
    assert "1 run without a learning rate" in page.expander[0].label
    field(page.text_input, "Schedule").set_value("cosine(peak=3e-4, warmup=10)")
    fine(button(page, "Declare").click().run())
    assert "cosine needs total" in page.error[0].value and space(page).runs["b"].plan is None
    field(page.text_input, "Schedule").set_value("constant(peak=3e-4, warmup=10, total=1000)")
    field(page.text_input, "Tokens per update").set_value("4096")
    fine(button(page, "Declare").click().run())
    run = space(page).runs["b"]
    assert run.lr_source == "declared" and run.plan.schedule.total == 1000 and run.plan.batch_tokens == 4096


def test_a_batch_size_is_declared_without_touching_the_schedule(page):
    upload(page, ("a.csv", LOG), ("c.csv", LOG))
    before = space(page).runs["a"].plan.schedule
    fine(field(page.multiselect, "Runs").set_value(["a", "c"]).run())
    field(page.text_input, "Tokens per update").set_value("512")
    fine(button(page, "Declare").click().run())
    for run in space(page).runs.values():
        assert run.plan.batch_tokens == 512 and run.lr_source == "logged" and run.plan.schedule == before


def test_sizes_are_declared_as_they_are_written_elsewhere(page):
    upload(page, ("a.csv", LOG))
    fine(field(page.multiselect, "Runs").set_value(["a"]).run())
    field(page.text_input, "Parameters").set_value("25M")
    field(page.text_input, "Tokens per update").set_value("0.5M tokens")
    fine(button(page, "Declare").click().run())
    fine(field(page.multiselect, "Runs").set_value(["a"]).run())
    plan = space(page).runs["a"].plan
    assert (plan.params, plan.batch_tokens) == (25e6, 5e5)
    assert [field(page.text_input, x).value for x in ("Parameters", "Tokens per update")] == ["25M", "500,000"]


def test_what_cannot_be_declared_is_one_sentence_and_stays_typed(page):
    upload(page, ("a.csv", LOG))
    fine(field(page.multiselect, "Runs").set_value(["a"]).run())
    fine(button(page, "Declare").click().run())
    fine(field(page.multiselect, "Runs").set_value(["a"]).run())
    assert "Declared for 1 run." in [x.value for x in page.success]
    field(page.text_input, "Parameters").set_value("25 millions")
    fine(button(page, "Declare").click().run())
    assert [e.value for e in page.error] == [
        "The number of parameters must be above 0, such as 123M or 7B, got '25 millions'."
    ]
    assert not page.success and field(page.text_input, "Parameters").value == "25 millions"
    assert space(page).runs["a"].plan.params is None


def test_a_peak_too_small_for_any_law_is_refused(page):
    upload(page, ("b.csv", NO_RATE))
    field(page.text_input, "Schedule").set_value("constant(peak=1e-300, total=1000)")
    fine(button(page, "Declare").click().run())
    assert "peak learning rate must be at least 1e" in page.error[0].value and space(page).runs["b"].plan is None


def test_notes_do_not_ask_for_what_was_declared(page):
    upload(page, ("b.csv", NO_RATE))
    asked = "No learning rate is logged or declared; declare a schedule before fitting."
    assert page.dataframe[1].value["Notes"].tolist() == [asked] and asked in [t.value for t in page.text]
    field(page.text_input, "Schedule").set_value("constant(peak=3e-4, warmup=10, total=1000)")
    fine(button(page, "Declare").click().run())
    table = page.dataframe[1].value
    assert table["LR from"].tolist() == ["declared"] and table["Notes"].tolist() == [""]
    assert asked not in [t.value for t in page.text]


def test_a_declared_schedule_that_ends_too_early_is_told(page):
    upload(page, ("b.csv", NO_RATE))
    field(page.text_input, "Schedule").set_value("constant(peak=3e-4, total=500)")
    fine(button(page, "Declare").click().run())
    assert "past the 500 updates" in page.warning[0].value


def test_columns_are_corrected_and_the_other_runs_stay(page):
    odd = "when,quality\n" + "".join(f"{1000 * i},{3 - i / 100}\n" for i in range(50))
    upload(page, ("a.csv", LOG), ("odd.csv", odd))
    assert "Files" in page.error[0].value and list(space(page).runs) == ["a"]
    field(page.selectbox, "X axis").set_value("when")
    fine(button(page, "Read again").click().run())
    assert "at least one loss column" in page.error[-1].value
    field(page.multiselect, "Losses").set_value(["quality"])
    field(page.text_input, "Name of each loss (train, val, …)").set_value("train")
    field(page.selectbox, "Loss unit").set_value("bits")
    fine(button(page, "Read again").click().run())
    assert list(space(page).runs) == ["a", "odd"] == drawn(page)
    np.testing.assert_allclose(space(page).runs["odd"].loss[:2], np.log(2) * np.array([3, 2.99]))
    assert space(page).runs["odd"].steps[1] == 1000


def test_a_wrong_correction_loses_nothing(page):
    upload(page, ("a.csv", LOG))
    field(page.selectbox, "It counts").set_value("tokens")
    fine(button(page, "Read again").click().run())
    assert "batch size" in page.error[0].value and list(space(page).runs) == ["a"]


@pytest.mark.parametrize(
    "typed, told",
    [("0.01k", ""), ("many", "The batch size must be above 0, such as 512 or 0.5M, got 'many'.")],
)
def test_the_batch_of_a_log_in_tokens_is_typed(page, typed, told):
    upload(page, ("a.csv", LOG))
    field(page.selectbox, "It counts").set_value("tokens")
    field(page.text_input, "Per update").set_value(typed)
    fine(button(page, "Read again").click().run())
    assert [e.value for e in page.error] == ([told] if told else [])
    assert space(page).runs["a"].plan.batch_tokens == (None if told else 10)


def test_the_split_axis_scale_and_smoothing_change_the_chart(page):
    upload(page, ("a.csv", LOG))
    first = page.get("plotly_chart")[0].proto.spec
    fine(field(page.selectbox, "Split").set_value("val").run())
    assert page.get("plotly_chart")[0].proto.spec != first
    fine(field(page.select_slider, "Smoothing").set_value(9).run())
    spec = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert len(spec["data"]) == 3  # raw, smoothed, learning rate
    fine(page.button_group[0].set_value("tokens").run())
    assert any("batch size" in caption.value for caption in page.caption)


def test_the_address_sets_up_the_chart():
    at = app()
    at.query_params["smooth"], at.query_params["scale"], at.query_params["x"] = "9", "Log loss", "Cumulative LR"
    fine(at.run())
    spec = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert spec["layout"]["yaxis"]["type"] == "log" and len(spec["data"]) == 3
    assert "cumulative" in spec["layout"]["xaxis2"]["title"]["text"]


def test_clear_and_the_way_back(page):
    upload(page, ("a.csv", LOG))
    fine(button(page, "Clear").click().run())
    assert not space(page).runs and "No runs yet" in page.info[0].value
    fine(button(page, "Replace").click().run())
    assert list(space(page).runs) == ["tiny"] and space(page).example


def test_a_changed_set_of_runs_keeps_order_and_forgets_files(page):
    upload(page, ("a.csv", LOG), ("b.csv", LOG), ("c.csv", LOG))
    it = space(page)
    it.change({"b": it.runs["b"].renamed("z"), "a": None})
    assert list(it.runs) == ["z", "c"] and set(it.reports) == {"b.csv", "c.csv"} == set(it.sources)
    fine(page.run())
    upload(page, ("b.csv", LOG))
    assert set(space(page).runs) == {"c", "b"}  # the renamed run was that file's


def test_public_logs_with_their_manifest(page, public):
    folder = public / "multi_power_law" / "100M"
    upload(page, *((path.name, path.read_bytes()) for path in sorted(folder.glob("*.csv"))))
    assert len(space(page).runs) == 9 and not page.error
    assert set(page.dataframe[0].value["Parameters"]) == {1e8}


def test_the_bundled_runs_open(monkeypatch):
    monkeypatch.undo()
    if not bundled.BUNDLED.exists():
        pytest.skip("the bundled runs are not in this checkout yet")
    at = fine(app().run())
    assert len(space(at).runs) >= 8 and not at.error


RESTARTED = "step,loss\n" + "".join(f"{s},{2 + 3 / (1 + i):.4f}\n" for i, s in enumerate([*range(10, 510, 10)] * 2))


def test_a_question_stands_beside_the_upload_and_is_answered_for_all_files_at_once(page):
    upload(page, ("a.csv", RESTARTED), ("b.csv", RESTARTED))
    assert [run.last_step for run in space(page).runs.values()] == [1000, 1000]
    assert any("did training continue?" in text.value for text in page.markdown)
    assert any("Asked of a.csv, b.csv." in text.value for text in page.caption)
    fine(answer(page, "over").click().run())
    assert [run.last_step for run in space(page).runs.values()] == [500, 500]
    assert not any("did training continue?" in text.value for text in page.markdown)
    assert all(run.open_questions == () for run in space(page).runs.values())


def test_an_answer_may_need_a_number(page):
    upload(page, ("a.csv", "loss\n3\n2.5\n2\n"))
    fine(answer(page, "log-calls").click().run())
    assert "The number of updates per row must be above 0, such as 16, got" in page.error[0].value
    field(page.text_input, "Updates per row").set_value("50").run()
    fine(answer(page, "log-calls").click().run())
    assert space(page).runs["a"].steps.tolist() == [0, 50, 100]


def test_files_of_one_name_are_kept_apart_unless_one_goes_on_with_the_other(page):
    other = LOG.replace(",3.", ",4.")
    upload(page, ("mine.csv", LOG))
    upload(page, ("mine.csv", other))
    assert list(space(page).runs) == ["mine", "mine (2)"]
    assert any("mine.csv is another run than the one of that name" in said.value for said in page.success)
    for again in (LOG, other):
        upload(page, ("mine.csv", again))
        assert list(space(page).runs) == ["mine", "mine (2)"]
    assert space(page).runs["mine"].loss[0] < space(page).runs["mine (2)"].loss[0]


def test_the_order_of_uploads_changes_nothing(page, tmp_path):
    first, second = ("a2.csv", LOG), ("a10.csv", LOG.replace(",3.", ",4."))
    orders = []
    for one, two in ((first, second), (second, first)):
        at = fine(app().run())
        upload(upload(at, one), two)
        orders.append(list(space(at).runs))
    assert orders[0] == orders[1] == ["a2", "a10"]


def test_a_table_of_finished_runs_is_offered_where_tables_go(page):
    grid = "N,D,lr,bs,loss\n" + "".join(f"1e8,2e9,{lr},{bs},3\n" for lr in (1e-3, 2e-3) for bs in (64000, 128000))
    upload(page, ("sweep.csv", grid))
    assert any("a table with one finished run per row" in said.value for said in page.markdown)
    assert {"Open in Plan", "Open in Pre-select"} <= {b.label for b in page.button}
    assert space(page).example


def test_a_recognised_schedule_is_a_chip_to_confirm(page):
    rates = [float(r) for r in Cosine(peak=3e-4, warmup=100, total=1000, final=3e-5)(range(0, 1000, 10))]
    log = "step,loss,lr\n" + "".join(f"{10 * i},{2 + 3 / (1 + i):.4f},{r!r}\n" for i, r in enumerate(rates))
    upload(page, ("mine.csv", log))
    assert page.dataframe[0].value["LR from"].tolist() == ["recognised"]
    field(page.multiselect, "Runs").set_value(["mine"]).run()
    text = "cosine(peak=3e-4, warmup=100, total=1000, final=3e-5)"
    assert any(text in said.value for said in page.markdown) or any(text in f.value for f in page.text_input)
    fine(button(page, "Confirm").click().run())
    run = space(page).runs["mine"]
    assert run.lr_source == "declared" and run.plan.schedule.text == text
    assert page.dataframe[0].value["LR from"].tolist() == ["declared"]


def test_the_page_says_what_can_be_uploaded(page):
    assert any("Console output of trainers" in said.value for said in page.caption)
    listed = "\n".join(said.value for said in page.markdown)
    assert all(format.name.replace("&", "\\&") in listed or literal(format.name) in listed for format in FORMATS)


def test_each_file_is_read_under_its_own_answer(page):
    """The same question names other columns in other files, and another number is likely."""
    from pages.parts.runs import questions

    def log(every: int) -> str:
        return "step,loss,lr\n" + "".join(f"{i},{3 - i / 500},{2e-5 * (1 + i // every)!r}\n" for i in range(96))

    upload(page, ("a.csv", log(16)), ("b.csv", log(8)))
    assert [len(asked.files) for asked in questions.grouped(space(page).reports.values())] == [2]
    assert [len(run.loss) for run in space(page).runs.values()] == [6, 12]
    fine(next(b for b in page.button if str(b.key).startswith("send-")).click().run())
    assert [len(run.loss) for run in space(page).runs.values()] == [6, 12]
    assert not any(run.open_questions for run in space(page).runs.values())


def test_files_of_one_name_in_one_upload_are_told(page):
    upload(page, ("log.csv", LOG), ("log.csv", LOG.replace(",3.", ",4.")))
    assert list(space(page).runs) == ["log", "log (2)"]
    assert any("2 files are called log.csv; they are kept as log.csv, log (2).csv." in s.value for s in page.success)


@pytest.fixture
def far(monkeypatch):
    """A server on loopback that stands for the hub, and the operator's leave to read from it."""
    with running() as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        monkeypatch.setenv("HF_TOKEN", "s3cr3t-key")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.setenv("OPTLAWS_REMOTE", "hf:team")
        yield service


def repository(asked):
    """A repository with the log of one run."""
    if asked.path.startswith("/api/"):
        return [{"type": "file", "path": "trainer_state.json", "size": 100, "oid": "1"}]
    return trainer_state.SAMPLE


def send(at: AppTest, address: str) -> AppTest:
    field(at.text_input, "Address of runs").set_value(address)
    button(at, "Read").click()
    return until(fine(at.run()), lambda: elsewhere.READING not in at.session_state)


def test_a_manifest_without_its_logs_says_what_it_wants():
    [alone] = inputs_files.summary(read_all([Source("runs.csv", MANIFEST.encode())]))
    said = "runs.csv is a manifest, which holds no losses: add the 1 log that it names (tiny.csv) together with it."
    assert (alone.level, alone.text) == ("refused", said)
    given = read_all([Source("runs.csv", MANIFEST.encode()), Source("tiny.csv", LOG.encode())])
    assert [note.text for note in inputs_files.summary(given)] == ["Read 1 run from 2 files."]


def test_runs_by_address_come_in_where_the_operator_lets_them(opened, far):
    assert "Address of runs" not in [w.label for w in opened.text_input]  # drawn before anybody gave leave
    far.answer = repository
    page = fine(opened.run())
    send(page, " hf:team/toy ")
    assert list(space(page).reports) == ["hf:team/toy/trainer_state.json"] and len(space(page).runs) == 1
    assert "Read 1 run from 1 file" in page.success[0].value and not page.error
    assert {asked.key for asked in far.asked} == {"Bearer s3cr3t-key"}


def test_what_goes_wrong_with_an_address_is_a_sentence_and_costs_nothing(page, far):
    fine(page.run())
    send(page, "hf:other/toy")
    said = "This server reads runs from addresses that begin with hf:team, got 'hf:other/toy'."
    assert page.error[0].value == literal(said)
    assert not far.asked
    send(page, "hf:team/toy")
    said = "hf:team/toy: The hub has nothing of this name, or does not show it to this key (404); nothing was read."
    assert page.error[0].value == literal(said)
    assert list(space(page).runs) == ["tiny"]


def test_an_address_that_takes_long_can_be_left(page, far):
    fine(page.run())
    leave = threading.Event()

    def slow(asked):
        leave.wait(20)
        return repository(asked)

    far.answer = slow
    try:
        field(page.text_input, "Address of runs").set_value("hf:team/toy")
        fine(button(page, "Read").click().run())
        assert page.get("progress")[0].proto.text == literal("Reading hf:team/toy: 0.0 MB so far")
        fine(button(page, "Cancel").click().run())
    finally:
        leave.set()
    assert elsewhere.READING not in page.session_state
    assert list(space(page).runs) == ["tiny"] and not page.error and field(page.text_input, "Address of runs")


def test_runs_that_nobody_came_back_for_are_let_go_of_which_is_said(page, far, monkeypatch):
    fine(page.run())
    monkeypatch.setattr(elsewhere, "WAITS", 0.0)
    leave = threading.Event()

    def slow(asked):
        leave.wait(20)
        return repository(asked)

    far.answer = slow
    field(page.text_input, "Address of runs").set_value("hf:team/toy")
    fine(button(page, "Read").click().run())
    job = page.session_state[elsewhere.READING]
    came = job.future
    leave.set()
    assert len(came.result(20)) == 1
    deadline = time.monotonic() + 20
    while job.future is came and time.monotonic() < deadline:  # a timer lets go of it
        time.sleep(0.01)
    fine(page.run())
    assert page.error[0].value.startswith(literal("hf:team/toy was read, but its runs were discarded"))
    assert list(space(page).runs) == ["tiny"]

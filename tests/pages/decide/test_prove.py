"""“Prove it on a small run”: what is tried, what that is predicted from, how it is told; without a real training."""

import io
import zipfile

import numpy as np
import pytest

from data.sweep import COLUMNS
from optlaws_core import Prediction, parse
from optlaws_core.errors import ScheduleError
from optlaws_core.figures.small_run_chart import Curve, chart
from optlaws_core.prediction.pairs import Pair
from optlaws_core.readers import Source, read_all
from pages.parts.decide import prove, small_run
from pages.parts.decide.small_run import PEAK, UPDATES, WARMUP, Evidence, Foreseen, SmallRuns
from pages.parts.server import trainer
from pages.parts.state.candidates import Candidate
from tests.pages.compare.compare_page import THREE, a_fit, opened, space_with, texts

COSINE, WSD, _ = THREE
BIG = "wsd(peak=3e-4, warmup=2000, total=100000, decay=20000)"


def foreseen(schedules) -> Foreseen:
    """Every loss predicted at 2, and a hundredth of it to both sides."""
    found = []
    for schedule in schedules:
        steps = np.array(small_run.validated(schedule.total))
        flat = np.full(len(steps), 2.0)
        found.append(Prediction(steps, flat, 0.001 * flat, np.full(len(steps), 0.01)))
    return Foreseen(tuple(found), Pair(-0.01, -0.02, 0.0, 0.8) if len(found) > 1 else None)


def tells(schedules, heard, ends=(1.992, 2.03)) -> None:
    """What the training program says of runs whose loss is 2 until its last one."""
    for i, text in enumerate(schedules):
        schedule = parse(text)
        for step in range(24, schedule.total, 25):
            loss = ends[i] if step == schedule.total - 1 else 2.0
            row = {"step": step, "lr": float(schedule(step)), "train_loss": loss, "grad_norm": 1.0, "val_loss": loss}
            heard({"run": i, "row": row})
        known = small_run.runs()[0].about | {"outcome": "finished", "schedule": schedule.text, "params": "37024"}
        about = {name: known.get(name, "") for name in COLUMNS if name not in ("run", "file")}
        own = {"batch_tokens": "1024", "warmup_steps": str(schedule.warmup), "total_steps": str(schedule.total)}
        heard({"run": i, "end": about | own | {"peak_lr": str(schedule.peak)}})


def tried(*texts: str) -> SmallRuns:
    names = [parse(text).family for text in texts]
    return SmallRuns.of(names, [f"the {name}" for name in names], range(len(texts)), [parse(text) for text in texts])


def trained(*texts: str, ends=(1.992, 2.03)) -> SmallRuns:
    made = tried(*texts)
    made.foreseen = foreseen(made.schedules)
    tells([s.text for s in made.schedules], made.hear, ends)
    return made


# The schedule at the small size


def test_a_candidate_keeps_its_shares_at_the_peak_and_warm_up_of_the_bundled_runs():
    (small,) = small_run.at_small_size([parse(BIG)])
    assert small == parse(f"wsd(peak={PEAK}, warmup={WARMUP}, total={UPDATES}, decay={UPDATES // 5})")


def test_two_keep_their_lengths_and_peaks_beside_each_other():
    longer, lower = parse(BIG), parse("cosine(peak=1.5e-4, warmup=100, total=60000, final=1.5e-5)")
    one, other = small_run.at_small_size([longer, lower])
    assert (one.total, one.peak) == (1000, PEAK)
    assert (other.total, other.peak, other.final) == (600, PEAK / 2, PEAK / 20)


@pytest.mark.parametrize(
    "others, said",
    [
        (["rate=constant(peak=1e-3, warmup=50, total=1000); batch=steps([0, 500], [1M, 2M])"], "a learning rate alone"),
        ([COSINE, COSINE.replace("total=1000", "total=4000")], "at least 500 updates"),
    ],
)
def test_what_no_small_run_can_try_is_said_in_a_sentence(others, said):
    with pytest.raises(ScheduleError, match=said):
        small_run.at_small_size([parse(text) for text in others])


# What it is predicted from


def test_no_bundled_run_of_the_same_shape_is_among_those_of_the_fit():
    small = small_run.at_small_size([parse(BIG)])
    found = Evidence.of(small)
    assert found.left_out == ("wsd20_1000", "wsd20_2000") and len(found.used) == 6
    assert not any(small_run.same_shape(small[0], run.known_plan.schedule) for run in found.used)
    assert "without wsd20_1000, wsd20_2000, whose schedules are the ones tried" in found.sentence
    other = Evidence.of(small_run.at_small_size([parse(COSINE.replace("1e-4)", "0)"))]))
    assert not other.left_out and "none of which has such a schedule" in other.sentence


def test_the_bundled_runs_have_the_peak_the_warm_up_and_the_size_that_small_runs_get():
    plans = [run.known_plan for run in small_run.runs()]
    assert {(p.schedule.peak, p.schedule.warmup, p.params, p.batch_tokens) for p in plans} == {(8e-3, 200, 37024, 1024)}
    assert {run.split for run in small_run.runs()} == {"val"}


# What is told


def test_the_verdict_of_one_tells_the_band_and_the_end():
    made = trained(COSINE)
    assert made.verdict == [
        "The cosine ended at 1.9920, 0.4 % below the predicted 2.0000 and inside the 90 % band (1.9801 to 2.0201). "
        "All 32 losses that were predicted lay in their band."
    ]
    assert made.done == made.total == UPDATES and not made.doubts


def test_the_verdict_of_two_tells_which_was_to_be_lower_and_which_was():
    made = trained(COSINE, WSD)
    assert "Predicted to end lower: cosine, with a probability of 80 %." in made.told_before
    made.foreseen.predictions[1].loss[:] = 2.01
    assert made.verdict[-1] == "The cosine was predicted to end the lower one, by 0.0100, and it did, by 0.0380."
    assert "The wsd ended at 2.0300" in made.verdict[1]


def test_a_run_that_was_stopped_or_diverged_is_told_so():
    made = tried(COSINE)
    made.foreseen = foreseen(made.schedules)
    assert made.verdict == []
    tells(
        [made.schedules[0].text],
        lambda message: "row" in message and message["row"]["step"] < 400 and made.hear(message),
    )
    assert made.verdict[0].startswith("The cosine was, after 400 updates, at 2.0000, exactly the predicted")
    made = trained(COSINE)
    made.ends[0]["outcome"] = "diverged"
    assert made.verdict == ["The cosine diverged, which no law of losses predicts."]


def test_another_text_than_the_bundled_runs_is_told():
    made = trained(COSINE)
    made.ends[0]["corpus_sha256"] = "0" * 64
    assert "another Python version" in made.doubts[0]


def test_the_files_are_read_back_as_the_runs_they_are():
    made = trained(COSINE, WSD)
    with zipfile.ZipFile(io.BytesIO(small_run.zipped(small_run.files(made)))) as archive:
        sources = [Source(name, archive.read(name)) for name in archive.namelist()]
    runs = read_all(sources).runs
    assert [run.known_plan.schedule for run in runs] == list(made.schedules)
    assert {(run.known_plan.params, run.known_plan.batch_tokens) for run in runs} == {(37024, 1024)}
    assert runs[0].on("val").loss[-1] == 1.992


def test_the_frame_of_the_chart_is_that_of_the_bands_and_of_losses_beside_them():
    made = tried(COSINE)
    (predicted,) = foreseen(made.schedules).predictions
    frames = []
    for steps, losses in (([], []), ([24, 249], [5.0, 2.0]), ([24, 249], [5.0, 1.5])):
        figure = chart([Curve("a", 0, predicted, steps, losses)], "a")
        assert [t.name for t in figure.data] == ["prediction band, 90 %"] * 2 + ["a, predicted", "a, trained"]
        assert list(figure.data[-1].x) == steps
        frames.append(figure.layout.yaxis.range)
    assert frames[0] == frames[1] and 1.97 < frames[0][0] < frames[0][1] < 2.03
    assert frames[2][0] < 1.5 and 2.02 < frames[2][1] < 2.06


# On the page


@pytest.fixture
def quick(monkeypatch):
    """Neither laws are fitted nor a model trained, and torch need not be there."""
    monkeypatch.setattr(trainer, "missing", lambda: "")
    monkeypatch.setattr(small_run, "foresee", lambda schedules, runs, progress: foreseen(schedules))
    monkeypatch.setattr(trainer, "train", lambda schedules, every, heard, wanted: tells(schedules, heard))


def page_with(*candidates: str):
    space = space_with(a_fit(), candidates=[Candidate(text) for text in candidates])
    app = opened(space)
    return app


def open_box(app):
    app.session_state[prove.BOX] = True
    return app.run()


def begin(app):
    next(b for b in app.button if b.key == "prove_begin").click().run()
    for _ in range(100):
        if prove.RUNNING not in app.session_state:
            break
        app.session_state[prove.RUNNING][0].future.exception(60)
        app.run()
    assert not app.exception
    return app


def test_a_candidate_is_tried_and_its_run_added_to_the_runs(quick):
    app = open_box(page_with(COSINE, WSD))
    assert any("says nothing about your model" in text for text in texts(app))
    begin(app)
    said = texts(app)
    assert any("ended at 1.9920, 0.4 % below the predicted 2.0000" in text for text in said)
    assert any(f"{UPDATES:,} updates" in text for text in said)
    next(b for b in app.button if b.key == "prove_add").click().run()
    added = [run for name, run in app.session_state.workspace.runs.items() if name.startswith("small_run")]
    assert (
        len(added) == 1 and added[0].known_plan.schedule.total == UPDATES and "long" in app.session_state.workspace.runs
    )
    assert next(b for b in app.button if b.key == "prove_add").disabled


def test_a_fault_of_the_training_is_told_and_what_came_before_it_stays(quick, monkeypatch):
    def ended_early(schedules, every, heard, wanted):
        tells(schedules, lambda m: "row" in m and m["row"]["step"] < 400 and heard(m))
        raise trainer.OptLawsError(trainer.SLOW)

    monkeypatch.setattr(trainer, "train", ended_early)
    app = begin(open_box(page_with(COSINE)))
    assert trainer.SLOW in [e.value for e in app.error]
    assert any("was, after 400 updates, at" in text for text in texts(app))
    assert not [b for b in app.button if b.key == "prove_add"]


def test_while_another_visitor_trains_the_button_waits(quick, monkeypatch):
    monkeypatch.setattr(trainer, "busy", lambda: True)
    app = open_box(page_with(COSINE))
    assert next(b for b in app.button if b.key == "prove_begin").disabled and trainer.BUSY in texts(app)


def test_without_torch_there_is_a_sentence_and_no_button(monkeypatch):
    monkeypatch.setattr(trainer, "find_spec", lambda name: None)
    app = open_box(page_with(COSINE))
    assert any("pip install -r requirements-train.txt" in text for text in texts(app))
    assert not [b for b in app.button if b.key == "prove_begin"]


def test_where_the_operator_turned_it_off_nothing_is_offered(monkeypatch):
    monkeypatch.setattr(trainer, "allowed", lambda: False)
    assert not [box for box in page_with(COSINE).expander if "Prove it" in box.label]


def test_what_no_small_run_can_try_is_told_on_the_page(quick):
    app = open_box(page_with(COSINE, "constant(peak=1e-3, warmup=50, total=4000)"))
    names = app.multiselect(key=next(m.key for m in app.multiselect if m.key.startswith("prove_candidates"))).options
    next(m for m in app.multiselect if m.key.startswith("prove_candidates")).set_value(names[:2]).run()
    begin(app)
    assert any("at least 500 updates" in e.value for e in app.error)

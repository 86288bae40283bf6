"""Saved comparisons: the same numbers after any way there and back, no names where none are wanted, clear errors."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from optlaws_core import OptLawsError, Plan, Run, Series, parse, rank, read, select, with_bands
from optlaws_core.cli import main
from optlaws_core.fitting.priors import Informed
from optlaws_core.fitting.selection import Selection
from optlaws_core.prediction.observed import final_loss
from optlaws_core.saved import (
    MOST_BYTES,
    Candidate,
    Snapshot,
    anonymised,
    changes,
    checks,
    from_bundle,
    is_usual,
    record,
    renamed,
    thinned,
    to_bundle,
    usual_title,
    without_places,
)
from optlaws_core.saved.schema import bundle_schema
from tests.fuzz.seeds import average, bundles, fit
from tests.knowledge.risk import RISK
from tests.places import ROOT

FUZZED = int(os.environ.get("OPTLAWS_FUZZ", "400"))  # inputs of each kind
TRAIN = ("constant_4000", "cosine10_4000", "drop30_4000")
LABEL, SECRET = "my own idea", "/mnt/cluster-7/alice/evals"


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """A comparison that has one of everything, with names that must not get out."""
    runs = {r.name: r.on("val") for r in read("data/examples.csv").runs}
    others = [r for name, r in runs.items() if name not in TRAIN][:2]
    found = select(["annealing", "power_law"], [runs[name] for name in TRAIN], test=others, processes=1)
    first = next(iter(runs.values()))
    odd = Run("odd one", None, {SECRET: first.series["val"]}, SECRET, about={"host": "gpu-17", "outcome": "diverged"})
    child = replace(runs["constant_4000"], name="child", about={"parent": "cosine10_4000", "seed": "7"})
    candidates = (
        Candidate(parse("cosine(peak=8e-3, warmup=200, total=4000)"), LABEL),
        Candidate(parse("knots(steps=[0, 3000, 4000], values=[8e-3, 8e-3, 1e-5])")),
        Candidate(parse("constant(peak=8e-3, warmup=200, total=4000)"), on=False),
        Candidate(parse("rate=rex(peak=8e-3, warmup=200, total=4000); average=merge(8, 20)")),
        Candidate(parse("rate=rex(peak=8e-3, total=4000); batch=steps([0, 50%], [1x, 4x])"), on=False),
    )
    told = replace(found.fits[0], message=f"{found.fits[0].message} Not scored on 'odd one'.")
    return Snapshot(
        "Alice's runs",
        thinned([*runs.values(), odd, child]),
        {"Alice's average": found.average, "my other fit": told},
        "Alice's average",
        candidates,
        {"Alice's average": replace(found, failed={"chinchilla": "Run 'odd one' has no size."})},
        RISK,
        0.3,
        also=("my other fit",),
        observed=("odd one", "child"),
        view={"x": "lr", "log_x": True, "part": SECRET, "batch": 4096.0, "none": None},
        note="Seen on gpu-17.\n\tNice.",
        tags=("alice", "größer"),
        author="Alice",
        parent="ab" * 32,
    )


def numbers(s: Snapshot) -> list:
    """What a page shows of it: ranking, bands, and what the fits say."""
    schedules = [c.schedule for c in s.candidates if c.on]
    bands = [with_bands(s.fit, schedule, [500, 3999]) for schedule in schedules]
    ends = [array.tolist() for b in bands for array in (b.loss, b.parameter, b.prediction)]
    return [rank(s.fit, schedules, s.risk, s.most_risk), ends, [m.expected_error for m in s.fits.values()]]


def same(a: Snapshot, b: Snapshot) -> bool:
    return a.digest == b.digest and a.to_dict() == b.to_dict()


# ---------------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("way", [lambda s: Snapshot.from_bytes(s.to_bytes()), lambda s: from_bundle(to_bundle(s))])
def test_what_is_opened_shows_the_same_numbers(snapshot, way):
    opened = way(snapshot)
    assert same(opened, snapshot)
    assert numbers(opened) == numbers(snapshot)
    assert opened.fits == dict(snapshot.fits) and opened.selections == dict(snapshot.selections)
    assert isinstance(opened.selections["Alice's average"], Selection) and opened.risk == RISK
    assert opened.candidates == snapshot.candidates and opened.view == snapshot.view
    for mine, theirs in zip(opened.runs, snapshot.runs, strict=True):
        assert (mine.name, mine.plan, mine.split, mine.about) == (theirs.name, theirs.plan, theirs.split, theirs.about)
        assert np.array_equal(mine.loss, theirs.loss) and np.array_equal(mine.steps, theirs.steps)


words = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)
visible = words.filter(str.strip)
finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e299, max_value=1e299)
curves = st.dictionaries(st.integers(0, 2**53), finite, min_size=1, max_size=20).map(lambda d: dict(sorted(d.items())))
logs = st.dictionaries(visible, curves, min_size=1, max_size=3).map(
    lambda d: {k: Series(np.array(list(c)), np.array(list(c.values()))) for k, c in d.items()}
)


@st.composite
def snapshots(draw) -> Snapshot:
    """Comparisons without fits, of any text and any numbers."""
    series = draw(st.dictionaries(visible, logs, max_size=3))
    runs = tuple(Run(name, None, splits, next(iter(splits))) for name, splits in series.items())
    schedules = st.builds(
        lambda p, t: parse(f"linear(peak={p!r}, total={t})"), st.floats(1e-9, 1e3), st.integers(1, 10**9)
    )
    return Snapshot(
        title=draw(visible),
        runs=runs,
        candidates=tuple(draw(st.lists(st.builds(Candidate, schedules, words, st.booleans()), max_size=3))),
        observed=tuple(draw(st.sets(st.sampled_from([r.name for r in runs])))) if runs else (),
        view=draw(
            st.dictionaries(
                words, st.one_of(words, finite, st.integers(-(10**9), 10**9), st.booleans(), st.none()), max_size=9
            )
        ),
        note=draw(words),
        tags=tuple(draw(st.lists(visible, max_size=3))),
        author=draw(words),
    )


@given(snapshots())
@settings(deadline=None)
def test_whatever_is_kept_comes_back(made):
    assert same(Snapshot.from_bytes(made.to_bytes()), made)
    assert same(from_bundle(to_bundle(made)), made)


def test_a_bundle_may_be_laid_out_anew_but_not_changed(snapshot):
    plain = json.loads(to_bundle(snapshot))
    assert same(from_bundle(json.dumps(plain, indent=4).encode("utf-16")), snapshot)
    plain["snapshot"]["most_risk"] = 0.9
    with pytest.raises(OptLawsError, match="changed after it was written"):
        from_bundle(json.dumps(plain).encode())
    with pytest.raises(OptLawsError, match="keys sha256 and snapshot"):
        from_bundle(snapshot.to_bytes())


# ---------------------------------------------------------------------------------------------------- formats

# As format 1 was written when it was the newest. It must open for ever: never edit it.
FORMAT_1 = (
    '{"also":[],"author":"","candidates":[{"label":"a","on":true,"text":"linear(peak=3e-4, warmup=10, total=100)"'
    '}],"created":"2026-11-22T19:00:00+00:00","current":"set by hand","fits":{"set by hand":{"covariance":[],"cov'
    'erage":{"batch_tokens":null,"params":null,"peak":[0.0003,0.0003],"total":[100,100]},"free":[],"from_step":nu'
    'll,"interval":{"A":null,"L_inf":null,"alpha":null},"law":"power_law","left_out":null,"locked":[],"message":"'
    'Set by hand, not fitted.","misfit":null,"objective":0.5,"seconds":0.0,"shared":[],"split":"train","status":"'
    'tuned","test":{},"theta":{"A":1.0,"L_inf":2.0,"alpha":0.5},"train":{}}},"format":1,"kind":"optlaws snapshot"'
    ',"most_risk":0.2,"note":"","observed":["r"],"parent":null,"risk":null,"runs":[{"about":{},"last_step":9,"lr_'
    'source":"declared","name":"r","plan":{"batch_tokens":null,"params":null,"schedule":"constant(peak=3e-4, warm'
    'up=0, total=10)"},"series":{"train":{"loss":[3.5,2.5],"steps":[0,9]}},"split":"train"}],"selections":{},"tag'
    's":["t"],"title":"Old","versions":{"python":"3.11.7"},"view":{"log_x":true}}'
)


def test_the_first_format_still_opens():
    old = Snapshot.from_bytes(FORMAT_1.encode())
    assert (old.title, old.tags, old.runs[0].loss.tolist()) == ("Old", ("t",), [3.5, 2.5])
    assert rank(old.fit, [c.schedule for c in old.candidates])[0].final_loss == pytest.approx(2.1, abs=1e-12)


def test_upgrades_are_applied_from_the_format_on_that_a_snapshot_has(snapshot, monkeypatch):
    old = snapshot.to_bytes()

    def worded(d: dict) -> dict:
        return d | {"title": f"{d['title']}, upgraded"}

    def tagged(d: dict) -> dict:
        return d | {"tags": [*d["tags"], d["title"]]}

    monkeypatch.setattr(record, "UPGRADES", (worded,))
    second = Snapshot.from_bytes(old).to_bytes()
    monkeypatch.setattr(record, "UPGRADES", (worded, tagged))
    assert json.loads(second)["format"] == 2
    for data in (old, second):
        opened = Snapshot.from_bytes(data)
        assert opened.title == "Alice's runs, upgraded" and opened.tags[-1] == opened.title
        assert numbers(opened) == numbers(snapshot)
    newest = opened.to_bytes()
    monkeypatch.setattr(record, "UPGRADES", ())
    with pytest.raises(OptLawsError, match="format is 3, from a newer version; this one knows up to 1"):
        Snapshot.from_bytes(newest)


# ---------------------------------------------------------------------------------------------------- the schema

SCHEMA = Draft202012Validator(bundle_schema())


def full() -> Snapshot:
    """What has one of everything that may be left out, too, and few losses."""
    some = Series([0, 9], [3.0, 2.5])
    informed = Informed("x", 1e-3, 1e3, 2.0, 0.01, 2, {"a": 0.5}, 1.5)
    odd = Run("r", None, {"train": some}, open_questions=("Which?",), ends={"train": 2.5})
    mine = replace(fit(), informed=informed, by_peak=(fit(),), from_step=3, begin=4, locked=("A",), shared=("alpha",))
    planned = Run("s", Plan(parse("linear(peak=1e-3, total=10)"), 1e6, 1024.0), {"val": some}, "val", "declared", 9)
    told = Selection((fit(), mine), average(), {"annealing": "It failed."}, average(), "Trust it.")
    return Snapshot(
        "Full",
        (odd, planned),
        {"mine": mine, "both": average()},
        "mine",
        (Candidate(planned.plan.schedule, "a", color=3),),
        {"both": told},
        RISK,
        note="a\tb\nc",
        tags=("t",),
    )


def test_bundles_of_today_and_of_old_are_as_the_schema_says(snapshot):
    Draft202012Validator.check_schema(bundle_schema())
    old = {"sha256": "0" * 64, "snapshot": json.loads(FORMAT_1)}
    made = [to_bundle(s) for s in (snapshot, anonymised(snapshot), full())]
    for bundle in (old, *map(json.loads, (*made, *bundles()))):
        SCHEMA.validate(bundle)


def test_the_schema_has_every_field_that_is_written_and_no_other():
    written = full()
    plain = written.to_dict()
    fit, both, told = plain["fits"]["mine"], plain["fits"]["both"], plain["selections"]["both"]
    scores = next(iter(fit["train"].values()))
    for name, value in {
        "snapshot": plain,
        "fit": fit,
        "average": both,
        "selection": told,
        "risk": plain["risk"],
        "scores": scores,
    }.items():
        assert SCHEMA.schema["$defs"][name]["properties"].keys() == value.keys(), name
    run = SCHEMA.schema["$defs"]["run"]["properties"]
    assert run.keys() == plain["runs"][0].keys() == plain["runs"][1].keys() | {"open_questions", "ends"}
    candidate = SCHEMA.schema["$defs"]["snapshot"]["properties"]["candidates"]["items"]["properties"]
    assert candidate.keys() == plain["candidates"][0].keys()
    assert from_bundle(to_bundle(written)).digest == written.digest


OBJECTS = (
    (),
    ("runs", 1),
    ("runs", 1, "plan"),
    ("runs", 1, "series", "val"),
    ("candidates", 0),
    ("fits", "mine"),
    ("fits", "mine", "coverage"),
    ("fits", "mine", "informed"),
    ("fits", "mine", "train", "a"),
    ("fits", "both"),
    ("selections", "both"),
    ("risk",),
)


def test_what_a_writer_gains_has_to_stand_in_the_schema():
    plain = json.loads(to_bundle(full()))
    SCHEMA.validate(plain)
    for path in OBJECTS:
        inner = plain["snapshot"]
        for key in path:
            inner = inner[key]
        inner["gained"] = 1
        assert not SCHEMA.is_valid(plain), path
        del inner["gained"]


@pytest.mark.parametrize(
    "path, value",
    [
        (("title",), "a\nb"),
        (("title",), "  "),
        (("note",), "a\0b"),
        (("most_risk",), 1.5),
        (("parent",), "../../etc"),
        (("view",), {"x": [1]}),
        (("runs", 0, "lr_source"), "guessed"),
        (("runs", 0, "series", "train", "loss", 1), None),
        (("runs", 0, "series", "train", "steps", 1), 2.5),
        (("candidates", 0, "on"), 1),
        (("fits", "mine", "status"), "nice"),
        (("kind",), "something else"),
    ],
)
def test_the_schema_refuses_what_reading_refuses(path, value):
    plain = json.loads(to_bundle(full()))
    inner = plain["snapshot"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert not SCHEMA.is_valid(plain)
    with pytest.raises(OptLawsError):
        Snapshot.from_dict(plain["snapshot"])


def test_the_command_line_prints_the_schema(capsys):
    assert main(["share", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == bundle_schema()


# ---------------------------------------------------------------------------------------------------- other versions


def test_thinning_keeps_ends_and_extremes_and_leaves_short_logs_alone():
    loss = np.random.default_rng(0).normal(3, 0.1, 50_001)
    loss[[17_000, 40_000]] = 9.0, 0.1
    long, short = Series(np.arange(50_001) * 3 + 1, loss), Series(np.arange(10), np.ones(10))
    run = Run("r", None, {"train": long, "val": short})
    (thin,) = thinned([run])
    kept = thin.series["train"]
    assert len(kept) <= checks.POINTS and thin.series["val"] is short and thin.last_step == run.last_step
    for index in (0, 17_000, 40_000, 50_000):
        assert loss[index] == kept.loss[kept.steps == long.steps[index]]
    assert np.isin(kept.steps, long.steps).all() and same(*(Snapshot("t", thinned(t)) for t in ([run], [thin])))


def test_what_a_manifest_says_of_machines_people_and_folders_is_not_shared():
    known = {"seed": "3", "outcome": "finished", "parent": "a/b", "optimizer": "AdamW 0.9/0.95", "group": "a/b sizes"}
    private = {"host": "gpu-17", "user_name": "ada", "Output Dir": "runs", "ckpt": "/home/ada/runs/1", "cmd": "x"}
    private |= {
        "made": "by ada@example.org",
        "where": "s3://bucket/run",
        "disk": r"C:\runs",
        "slurm-nodelist": "n[1-4]",
    }
    run = Run("r", None, {"train": Series(np.arange(9), np.ones(9))}, about=known | private)
    (shared,) = without_places([run])
    assert shared.about == known and run.about == known | private


def test_many_runs_share_what_there_is_to_keep(monkeypatch):
    monkeypatch.setattr(changes, "ALL_POINTS", 1_000)
    runs = [Run(f"r{i}", None, {"train": Series(np.arange(500), np.arange(500.0))}) for i in range(10)]
    assert max(len(r.loss) for r in thinned(runs)) <= 100
    assert max(len(r.loss) for r in thinned(runs * 10)) <= changes.FEWEST


def test_what_is_not_thinned_is_not_saved():
    long = Run("r", None, {"train": Series(np.arange(2_001), np.ones(2_001))})
    with pytest.raises(OptLawsError, match="steps of run 1 must be a list of at most 2,000 entries, got 2,001"):
        Snapshot.from_bytes(Snapshot("t", (long,)).to_bytes())


def test_an_anonymous_snapshot_names_nothing_and_shows_the_same_numbers(snapshot):
    bare = anonymised(snapshot)
    said = json.dumps(bare.to_dict(), ensure_ascii=False)
    told = [
        *(r.name for r in snapshot.runs),
        *snapshot.tags,
        "Alice",
        "my other fit",
        LABEL,
        SECRET,
        "gpu-17",
        "host",
        "ab" * 32,
    ]
    assert [name for name in told if f"{name}" in said] == []
    assert numbers(bare) == numbers(snapshot) and same(Snapshot.from_bytes(bare.to_bytes()), bare)
    assert [r.name for r in bare.runs] == [f"run-{i}" for i in range(1, len(bare.runs) + 1)]
    place = {r.name: f"run-{i}" for i, r in enumerate(snapshot.runs, 1)}
    assert bare.observed == (place["odd one"], place["child"])
    assert list(bare.fit.train) == [place[name] for name in TRAIN] == list(bare.fit.fits[0].train)
    assert bare.runs[-1].about == {"parent": place["cosine10_4000"]} and bare.runs[-2].about == {"outcome": "diverged"}
    assert bare.runs[-2].split == "eval-1" and bare.runs[-2].loss.tolist() == snapshot.runs[-2].loss.tolist()
    assert bare.also == ("fit-2",) and bare.view == {"log_x": True, "batch": 4096.0, "none": None}


def test_ones_own_words_stay_where_they_are_wanted(snapshot):
    kept = anonymised(snapshot, keep_text=True)
    assert (kept.title, kept.note, kept.tags) == (snapshot.title, snapshot.note, snapshot.tags)
    assert list(kept.fits) == list(snapshot.fits) and kept.candidates == snapshot.candidates
    assert (kept.author, kept.parent) == ("", None) and "odd one" not in json.dumps(kept.to_dict())
    assert same(Snapshot.from_bytes(kept.to_bytes()), kept)


def test_a_run_is_renamed_wherever_it_is_named(snapshot):
    new = renamed(snapshot, {"cosine10_4000": "Cosine", "odd one": "Odd"})
    assert new.observed == ("Odd", "child") and new.runs[-1].about["parent"] == "Cosine"
    assert list(new.fit.train) == ["constant_4000", "Cosine", "drop30_4000"]
    assert list(new.selections["Alice's average"].trusted.train) == list(new.fit.train)
    assert numbers(new) == numbers(snapshot) and same(Snapshot.from_bytes(new.to_bytes()), new)
    with pytest.raises(OptLawsError, match="runs must have different names, got 'child' more than once"):
        renamed(snapshot, {"odd one": "child"})


# ---------------------------------------------------------------------------------------------------- bad input

BAD = [
    (("kind",), "something else", "kind must be"),
    (("format",), True, "format must be a whole number"),
    (("title",), "  ", "title must not be empty"),
    (("title",), "x" * 201, "at most 200 characters, got 201 characters"),
    (("title",), "a\nb", r"control characters, got U\+000A"),
    (("note",), "a\0b", r"control characters, got U\+0000"),
    (("tags",), ["t"] * 21, "tags must be a list of at most 20 entries, got 21"),
    (("created",), "yesterday", "created must be a time with its zone"),
    (("created",), "2026-01-01T00:00:00", "created must be a time with its zone"),
    (("parent",), "../../etc", "parent must be a digest"),
    (("most_risk",), 1.5, "between 0 and 1"),
    (("current",), "nothing", "the fit in use must be one of its 2"),
    (("observed",), ["nobody"], "observed must name what the comparison has, got 'nobody'"),
    (("view",), {"x": [1]}, "must be a finite number"),
    (("extra",), 1, "missing or not known: extra"),
    (("runs", 1, "name"), "odd one", "different names"),
    (("runs", 0, "series", "val", "loss", 3), 1e999, "must be a finite number"),
    (("runs", 0, "series", "val", "steps", 3), 2.5, "must be a whole number"),
    (("runs", 0, "series", "val", "steps", 3), 0, "rise strictly"),
    (("runs", 0, "plan", "params"), -1.0, "params must be above 0"),
    (("runs", 0, "lr_source"), "guessed", "lr_source of run 1 must be one of"),
    (("candidates", 0, "text"), "__import__('os')", "Unknown schedule '__import__'"),
    (("candidates", 0, "text"), "cosine(a=" + " " * 100_000 + "[)", "fields read like"),  # text that parse is slow on
    (("candidates", 0, "on"), 1, "must be true or false"),
    (("fits", "my other fit", "law"), "no law", "Unknown law"),
    (("fits", "my other fit", "theta"), {}, "in the fit 'my other fit', This is not a fit"),
    (("runs", 0, "plan"), "cosine", "in run 1, each value must have the type"),
    (("runs", 1, "series"), {"val": {"steps": [1]}}, "in run 2, an entry 'loss' must be there"),
    (("candidates", 1), {"text": "constant(peak=1, total=9)", "on": True}, "in candidate 2, an entry 'label'"),
    (("selections", "Alice's average", "fits", 0), 7, "in the selection"),
    (("risk", "offset"), "nan", "finite number"),
    (("selections", "Alice's average", "trusted"), "no law", "must trust one of its fits"),
]


@pytest.mark.parametrize("path, value, said", BAD)
def test_bad_values_are_named(snapshot, path, value, said):
    plain = json.loads(snapshot.to_bytes())
    inner = plain
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(OptLawsError, match=said) as told:
        Snapshot.from_dict(plain)
    assert len(str(told.value)) < 1_000


@pytest.mark.parametrize(
    "data, said",
    [
        (b"", "must be a JSON text"),
        (b"\xff\xfe\xfa", "must be a JSON text"),
        (b"[" * 100_000, "must be a JSON text"),
        (b"1" * 5_000, "must be a JSON text"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b" " * (MOST_BYTES + 1), "may have 16 MB"),
        (b"[]", "it must be an object"),
    ],
)
def test_bad_texts_are_named(data, said):
    with pytest.raises(OptLawsError, match=said):
        Snapshot.from_bytes(data)


def test_what_json_cannot_hold_is_not_saved(snapshot):
    for wrong in ({"view": {"x": np.inf}}, {"title": "\ud800"}, {"view": {"x": object()}}):
        with pytest.raises(OptLawsError, match="cannot be saved"):
            replace(snapshot, **wrong).to_bytes()


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(10**400), st.just("nan")
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


def only_clear_errors(open_it, given) -> None:
    """Either it opens, and what was opened can be kept and shown, or one clear error comes."""
    try:
        opened = open_it(given)
        assert same(Snapshot.from_bytes(opened.to_bytes()), opened)
        anonymised(opened).to_bytes()
    except OptLawsError as fault:
        assert 10 < len(str(fault)) < 2_000


REMOVED = object()
tampering = st.lists(st.tuples(st.integers(0, 10**6), st.one_of(values, st.just(REMOVED))), min_size=1, max_size=3)


def places(plain: object, path: tuple = ()) -> list[tuple]:
    """Paths to everything inside plain values."""
    inner = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    return [p for key, value in inner for p in ((*path, key), *places(value, (*path, key)))]


@pytest.mark.slow
@given(tampering)
@settings(max_examples=FUZZED, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_snapshot_that_was_tampered_with_opens_or_says_why(snapshot, changed):
    few = [replace(r, series={k: Series(s.steps[:3], s.loss[:3]) for k, s in r.series.items()}) for r in snapshot.runs]
    plain = json.loads(replace(snapshot, runs=tuple(few[-2:])).to_bytes())
    for i, value in changed:
        known = places(plain)
        *path, last = known[i % len(known)]
        inner = plain
        for key in path:
            inner = inner[key]
        if value is REMOVED:
            del inner[last]
        else:
            inner[last] = value
    only_clear_errors(Snapshot.from_dict, plain)


@given(values)
@settings(max_examples=FUZZED, deadline=None)
def test_any_json_is_refused_with_a_clear_error(value):
    with pytest.raises(OptLawsError):
        Snapshot.from_dict(value)
    with pytest.raises(OptLawsError):
        from_bundle(json.dumps({"sha256": "0" * 64, "snapshot": value}).encode())


@given(st.integers(0, len(FORMAT_1)), st.integers(0, 40), st.binary(max_size=20))
@settings(max_examples=FUZZED, deadline=None)
def test_damaged_bytes_open_or_say_why(at, length, put):
    whole = FORMAT_1.encode()
    damaged = whole[:at] + put + whole[at + length :]
    only_clear_errors(Snapshot.from_bytes, damaged)
    with pytest.raises(OptLawsError):
        from_bundle(damaged)


@pytest.mark.slow
def test_a_snapshot_needs_no_database():
    code = "import sys, optlaws_core.saved; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=120).returncode == 0


def test_what_was_observed_at_the_end_of_a_run_outlives_its_thinning(snapshot):
    schedule = parse("wsd(peak=8e-3, warmup=200, total=50000, decay=8000)")
    steps = np.arange(50_000)
    loss = 3 + np.sin(steps) + 1e-3 * np.random.default_rng(0).normal(size=len(steps))
    run = Run("dense", Plan(schedule), {SECRET: Series(steps, loss)}, SECRET, "declared")
    (thin,) = thinned([run])
    exact = loss[steps >= 0.99 * schedule.total].mean()
    assert len(thin.loss) <= checks.POINTS and thin.loss[thin.steps >= 0.99 * schedule.total].mean() != exact
    assert final_loss(run, SECRET) == final_loss(thin, SECRET) == final_loss(*thinned([thin]), SECRET) == exact
    saved = Snapshot.from_bytes(replace(snapshot, runs=(*snapshot.runs, thin)).to_bytes())
    assert saved.runs[-1].ends == {SECRET: exact}
    nameless = anonymised(saved)
    assert SECRET.encode() not in nameless.to_bytes() and [*nameless.runs[-1].ends.values()] == [exact]
    ended_early = Run("early", Plan(schedule), {"train": Series(steps[:40_000], loss[:40_000])}, lr_source="declared")
    assert final_loss(*thinned([ended_early]), "train") is None


def test_a_comparison_without_a_title_is_called_after_how_many_and_how_long_its_schedules_are():
    one, other = (parse(f"linear(peak=1e-3, total={total})") for total in (1000, 2000))
    assert usual_title([one, one]) == "2 schedules over 1,000 updates"
    assert all(is_usual(usual_title(some)) for some in ([one, one], [one, other], [other]))
    assert not is_usual("2 schedules over 1,000 updates, which one?")
    assert usual_title([one, other]) == "2 schedules" and usual_title([other]) == "1 schedule over 2,000 updates"

"""What the browser gets is the fit, exactly; what it sends back is checked."""

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from optlaws_core.errors import DesignError
from optlaws_core.fitting.result import Scores
from optlaws_core.laws import LAWS
from optlaws_core.laws.browser import DRAWN, label, pack, payload, tuning_range
from optlaws_core.laws.evaluation import LOWEST, Batch, HistoryBatch, batch, predict
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import parse
from pages.parts.fit import tuner as page
from tests.knowledge.twins import BATCH_TOKENS, PARAMS, THETAS

THETA = {
    "opt_laws_curve": {"L_inf": 2.6, "A": 0.6, "q": 0.5, "A0": 1.5e5, "A1": 4e4, "c": 2000.0, "rho": 1.3, "D": 20.0},
    "annealing": {"L0": 2.6, "A": 0.6, "alpha": 0.5, "C": 1.6, "lam": 0.996, "B": 300.0, "beta": 0.34},
    "power_law": {"L_inf": 2.6, "A": 60.0, "alpha": 0.6},
}
THETA = {name: THETA.get(name, sets[0]) for name, sets in THETAS.items()}
BLIND = ("power_law", "chinchilla", "convex_dominance")  # laws that see no more of a schedule than its length and peak
EACH_LAW = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


WSD = "wsd(peak=3e-4, warmup=200, total=24000, decay=4000, final=3e-5)"


def made_run(law, n=1000, name="wsd", schedule=WSD):
    """A run with noise: `n` losses after the warm-up."""
    plan = Plan(parse(schedule), PARAMS, BATCH_TOKENS)
    steps = np.unique(np.linspace(200, 23999, n).astype(int))
    loss = predict(batch(law, [(plan, steps)]), law.vector(THETA[law.name]))
    noise = np.random.default_rng(7).normal(0, 0.01, n)
    return Run(name, plan, {"train": Series(steps, loss + noise)}, lr_source="declared")


def unpacked(packed, length=0):
    """What the browser makes of a packed array; zeros where the law needs none."""
    if packed is None:
        return np.zeros(length)
    if "index" in packed:
        return unpacked(packed["values"])[unpacked(packed["index"]).astype(int)]
    return np.frombuffer(base64.b64decode(packed["data"]), "<" + packed["dtype"]).astype(float)


def unpacked_past(past) -> HistoryBatch:
    """A history sum with its pairs written out."""
    clock, now = unpacked(past["clock"]), unpacked(past["now"])
    begin, length, ranges = (unpacked(past[k]).astype(int) for k in ("begin", "length", "first"))
    node = np.concatenate([np.arange(b, b + n) for b, n in zip(begin, length, strict=True)])
    first = np.concatenate(([0], np.cumsum(length)))[ranges[:-1]]
    counts = np.diff(np.append(first, len(node)))
    lag = np.maximum(np.repeat(now, counts) - clock[node], 0)
    eta, S, drop = (unpacked(past[k], len(clock)) for k in ("eta", "S", "drop"))
    return HistoryBatch(eta, S, unpacked(past["weight"]), clock, node, first, now, lag, drop)


def unpacked_batch(law, run) -> Batch:
    n = len(unpacked(run["steps"]))
    features = tuple(unpacked(f, n) for f in run["features"])
    return Batch(law, features, tuple(map(unpacked_past, run["pasts"])), (slice(0, n),))


def live_rmse(law, run, theta):
    """The error that the tuner shows."""
    error = unpacked(run["loss"]) - predict(unpacked_batch(law, run), law.vector(theta))
    return np.sqrt(np.average(error**2, weights=unpacked(run["share"])))


def test_the_least_rate_of_a_pace_travels_with_the_law():
    law = LAWS["multi_power"]
    assert payload(law, [(made_run(law), "train")], THETA["multi_power"])["law"]["lowest"] == LOWEST


@EACH_LAW
def test_the_payload_survives_json_and_gives_the_same_losses(law):
    """Here some losses follow from those at moments near them; the browser works out each."""
    run, theta = made_run(law), THETA[law.name]
    sent = json.loads(json.dumps(payload(law, [(run, "held out")], theta)))["runs"][0]
    steps = unpacked(sent["steps"]).astype(int)
    expected = predict(batch(law, [(run.plan, steps)]), law.vector(theta))
    np.testing.assert_allclose(predict(unpacked_batch(law, sent), law.vector(theta)), expected, rtol=1e-9)
    assert (sent["name"], sent["role"], len(sent["features"])) == ("wsd", "held out", len(law.features))


@pytest.mark.parametrize(
    "law, beside",
    [
        *((law, "average=ema(500)") for law in LAWS.values()),
        *((law, "average=merge(4, 300)") for law in LAWS.values()),
        *((law, "batch=steps([0, 6k], [1x, 3x])") for law in LAWS.values() if law.knows_noise),
        *((law, "batch=ramp([0, 6k], [1x, 3x]); average=ema(500)") for law in LAWS.values() if law.knows_noise),
    ],
    ids=lambda v: getattr(v, "name", v),
)
def test_the_payload_of_a_plan_gives_the_same_losses(law, beside):
    run, theta = made_run(law, 40, schedule=f"rate={WSD}; {beside}"), THETA[law.name]
    sent = json.loads(json.dumps(payload(law, [(run, "held out")], theta)))["runs"][0]
    alone = predict(batch(law, [(Plan(parse(WSD), PARAMS, BATCH_TOKENS), run.steps)]), law.vector(theta))
    expected = predict(batch(law, [(run.plan, run.steps)]), law.vector(theta))
    np.testing.assert_allclose(predict(unpacked_batch(law, sent), law.vector(theta)), expected, rtol=1e-9)
    assert (law.name in BLIND) != bool(np.abs(expected / alone - 1).max() > 1e-6)


@EACH_LAW
def test_coefficients_carry_what_a_row_shows(law):
    theta = THETA[law.name]
    name = law.names[0]
    sent = payload(law, [], theta, fitted=theta | {name: 2.5}, interval={name: (2.4, 2.7)}, locked=[name])["params"]
    assert [p["name"] for p in sent] == list(law.names)
    first = sent[0]
    assert (first["value"], first["fitted"], first["interval"], first["locked"]) == (theta[name], 2.5, [2.4, 2.7], True)
    assert (sent[1]["interval"], sent[1]["locked"]) == (None, False)


def test_the_id_names_the_content():
    law, theta = LAWS["power_law"], THETA["power_law"]
    runs = [(made_run(law), "train")]
    same = payload(law, runs, theta)["id"]
    assert same == payload(law, runs, dict(theta))["id"]
    others = [
        payload(law, runs, theta | {"A": 61.0}),
        payload(law, runs, theta, fitted=theta | {"A": 61.0}),
        payload(law, [(runs[0][0], "held out")], theta),
        payload(law, runs, theta, interval={"A": (59.0, 61.0)}),
        payload(law, [(made_run(law, 999), "train")], theta),
    ]
    assert len({same, *(p["id"] for p in others)}) == 6


@pytest.mark.parametrize("n, points", [(1000, 150), (151, 150), (1000, 2), (20000, 40)])
def test_curves_are_evaluated_at_observed_steps_from_the_first_to_the_last(n, points):
    law = LAWS["power_law"]
    run = made_run(law, n)
    sent = payload(law, [(run, "train")], THETA[law.name], points=points)["runs"][0]
    steps = unpacked(sent["steps"]).astype(int)
    assert points * 0.8 <= len(steps) <= points
    assert (steps[0], steps[-1]) == (run.steps[0], run.steps[-1])
    at = np.searchsorted(run.steps, steps)
    np.testing.assert_array_equal(run.steps[at], steps)
    np.testing.assert_array_equal(run.loss[at], unpacked(sent["loss"]))
    assert unpacked(sent["share"]).sum() == len(run.loss)
    drawn = unpacked(sent["drawn"]["steps"]).astype(int)
    assert len(drawn) <= DRAWN and (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(run.loss[np.searchsorted(run.steps, drawn)], unpacked(sent["drawn"]["loss"]))


def test_the_live_error_is_the_report_s_where_every_loss_is_used_and_near_it_elsewhere():
    law, theta = LAWS["annealing"], THETA["annealing"] | {"C": 1.0}
    for n, tolerance in ((150, 1e-12), (1000, 0.1)):  # 150 of 1000 noisy losses: a sample
        run = made_run(law, n)
        report = Scores.of(run.loss, predict(batch(law, [(run.plan, run.steps)]), law.vector(theta))).rmse
        shown = live_rmse(law, payload(law, [(run, "train")], theta)["runs"][0], theta)
        assert shown == pytest.approx(report, rel=tolerance)


def test_a_long_run_s_payload_stays_small():
    law = LAWS["opt_laws_curve"]
    sent = json.dumps(payload(law, [(made_run(law, 20000), "train")], THETA[law.name]))
    assert len(sent) < 600_000


def test_a_run_without_a_plan_cannot_be_shown():
    series = {"train": Series(np.arange(3), np.ones(3))}
    with pytest.raises(DesignError, match="'mystery' has no learning rate"):
        payload(LAWS["power_law"], [(Run("mystery", None, series), "train")], THETA["power_law"])


@given(arrays(float, some.integers(1, 60), elements=some.floats(allow_nan=False, allow_infinity=False)))
def test_packing_loses_nothing(values):
    np.testing.assert_array_equal(unpacked(json.loads(json.dumps(pack(values)))), values)


@pytest.mark.parametrize(
    "values, dtype",
    [([0, 255], "u1"), ([0, 256], "u2"), ([0.0, 65536.0], "u4"), ([0, 2**32], "f8"), ([-1, 1], "f8"), ([0.5], "f8")],
)
def test_packing_takes_the_smallest_type_that_is_exact(values, dtype):
    assert pack(np.array(values))["dtype"] == dtype


def test_few_repeated_values_are_packed_as_a_table():
    assert "index" in pack(np.repeat([0.1, 0.2], 50))


@pytest.mark.parametrize(
    "p, value", [(p, THETA[law.name][p.name]) for law in LAWS.values() for p in law.params], ids=lambda v: str(v)[:40]
)
def test_a_slider_holds_the_fit_and_its_interval_inside_the_bounds(p, value):
    near = tuple(sorted(np.clip((value * 0.999, value * 1.0005), p.low, p.high)))
    for interval in (None, near):
        start, stop = tuning_range(p, value, interval)
        assert p.low <= start < value < stop <= p.high
        assert interval is None or (start <= interval[0] and interval[1] <= stop)


@pytest.mark.parametrize("end", ["low", "high"])
@EACH_LAW
def test_a_slider_of_a_coefficient_on_its_bound_reaches_inwards(law, end):
    for p in law.params:
        start, stop = tuning_range(p, getattr(p, end), None)
        assert p.low <= start < stop <= p.high


def test_symbols_are_written_in_unicode():
    assert label(r"L_\infty") == ["L", "∞"]
    assert label(r"\lambda") == ["λ", ""]
    assert label("A_{10}") == ["A", "10"]
    assert label(r"\eta_{\mathrm{ref}}") == ["η", "ref"]
    for law in LAWS.values():
        assert not any("\\" in part for p in law.params for part in label(p.latex))


# --- what the browser sends


@pytest.fixture
def heard(monkeypatch):
    """`heard(theta=…, refit=…, keep=…)`: the tuner's event when the browser says this about the payload."""
    law = LAWS["power_law"]
    sent = payload(law, [(made_run(law), "train")], THETA[law.name])

    def hear(**messages):
        answer = SimpleNamespace(**{"theta": None, "refit": None, "keep": None} | messages)
        monkeypatch.setattr(page, "_component", lambda: lambda **_: answer)
        return page.tuner(sent, key="t")

    hear.id = sent["id"]
    return hear


MOVED = {"L_inf": 2.7, "A": 60.0, "alpha": 0.5}


def test_silence_means_the_coefficients_as_given(heard):
    assert heard() == page.TunerEvent(theta=THETA["power_law"])


def test_moves_and_wishes_are_heard(heard):
    event = heard(
        theta={"fit": heard.id, "theta": MOVED},
        refit={"fit": heard.id, "theta": MOVED, "locked": ["alpha"]},
        keep={"fit": heard.id, "theta": MOVED, "name": "  by   hand "},
    )
    assert event == page.TunerEvent(MOVED, page.Refit(MOVED, ("alpha",)), page.Keep("by hand", MOVED))


@pytest.mark.parametrize(
    "theta",
    [
        None,
        [],
        MOVED | {"alpha": "0.5"},
        MOVED | {"alpha": True} | {"A": None},
        MOVED | {"alpha": 99.0},
        MOVED | {"alpha": float("nan")},
        MOVED | {"extra": 1.0},
        {"L_inf": 2.7},
    ],
)
def test_messages_that_hold_anything_but_allowed_coefficients_are_dropped(heard, theta):
    message = {"fit": heard.id, "theta": theta, "locked": ["alpha"], "name": "x"}
    assert heard(theta=message, refit=message, keep=message) == page.TunerEvent(theta=THETA["power_law"])


def test_messages_about_an_earlier_fit_are_dropped(heard):
    message = {"fit": "another", "theta": MOVED, "locked": ["alpha"], "name": "x"}
    assert heard(theta=message, refit=message, keep=message) == page.TunerEvent(theta=THETA["power_law"])


@pytest.mark.parametrize("locked", [None, [], ["unknown"], ["L_inf", "A", "alpha"]])
def test_a_refit_needs_something_to_hold_and_something_to_fit(heard, locked):
    assert heard(refit={"fit": heard.id, "theta": MOVED, "locked": locked}).refit is None


@pytest.mark.parametrize("name", ["", "   ", "\n"])
def test_nothing_is_kept_without_a_name(heard, name):
    assert heard(keep={"fit": heard.id, "theta": MOVED, "name": name}).keep is None

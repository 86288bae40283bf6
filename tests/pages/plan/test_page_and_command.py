"""Every number of the Plan page comes from `optlaws plan` and `optlaws bound` as well, and is the same there."""

import json

import numpy as np
import pytest

from optlaws_core.figures import plan_charts as charts
from optlaws_core.hyper import HYPER_LAWS
from optlaws_core.text import format_amount
from pages.parts.plan import rules, sweep
from tests.pages.plan.test_plan_page import opened, plain, uploaded
from tests.support.commands import told

RATES = ["plan", "rates", "--params", "700M", "--tokens", "30B", "--batch", "1M", "--loss", "2.6"]
SETTING = {"plan_params": "700M", "plan_tokens": "30B", "plan_batch": "1M", "plan_loss": "2.6"}


def answer(capsys, *argv: str):
    code, out, err = told(capsys, *argv, "--json")
    assert code == 0, err
    return json.loads(out)


def between(low: float | None, high: float | None, form) -> str:
    return "" if low is None else f"{form(low)} to {form(high)}"


def short(value: float) -> str:
    return format_amount(value, 3)


def test_recommendations_and_what_goes_with_them(capsys):
    app = opened(**SETTING, plan_bits="8")
    said = answer(capsys, *RATES, "--bits", "8")
    frame = app.dataframe[0].value
    assert len(frame) == len(said["laws"])
    for shown, row in zip(frame.to_dict("records"), said["laws"], strict=True):
        assert shown == {
            "Law": row["title"],
            "Peak learning rate": pytest.approx(np.nan if row["lr"] is None else row["lr"], rel=1e-15, nan_ok=True),
            "Rate for": row["parametrisation"],
            "90 %": between(row["lr_low"], row["lr_high"], "{:.2e}".format),
            "Batch": "" if row["batch"] is None else short(row["batch"]),
            "Batch, 90 %": between(row["batch_low"], row["batch_high"], short),
            "Beyond its range": row["standing"],
            "Fitted on": row["fitted_on"],
            "How sure": row["sure"],
            "Source": row["reference"],
            "Note": row["note"],
        }
    assert said["said"] in [plain(c.value) for c in app.caption]
    boxes, beside = {box.label: box for box in app.metric}, said["companions"]
    assert boxes["Critical batch"].value == short(beside["critical_batch"])
    assert boxes["Weight decay"].value == f"{beside['weight_decay']:.2g}"
    assert beside["fused"] in [c.value for c in app.code]
    outside = f"extrapolated: {', '.join(beside['quantised_outside'])}."
    assert beside["quantised_outside"] == ["8 bits, where the runs had 1, 2, 4 or 6"]
    assert any(outside in plain(c.value) for c in app.caption)
    assert boxes["Share of tokens for it"].value == f"{100 * beside['quantised']:.1f} %"
    help = boxes["Weight decay"].help
    assert short(beside["batch"]) in help and f"{100 * beside['memory']:.2g} % of the training" in help


@pytest.mark.parametrize("along", ["tokens", "params"])
def test_the_curves_over_sizes(capsys, along):
    said = answer(capsys, *RATES, "--over", along)
    figure = charts.over(7e8, 3e10, along, 1e6, 2.6)
    drawn = {(t.legendgroup, t.xaxis): [] for t in figure.data if t.legendgroup}
    for t in figure.data:
        if t.legendgroup:
            assert list(t.x) == said["values"]
            drawn[t.legendgroup, t.xaxis].append(np.array(t.y, float))
    for name, row in said["laws"].items():
        for what, axis in (("lr", "x"), ("batch", "x2")):
            known = np.array([np.nan if v is None else v for v in row[what]])
            lines = drawn.get((name, axis), [])
            assert np.isfinite(known).any() == bool(lines)
            if lines:
                both = np.nanmax(np.vstack([np.full(len(known), -np.inf), *lines]), axis=0)
                assert np.array_equal(both[np.isfinite(known)], known[np.isfinite(known)])


@pytest.mark.parametrize("name", HYPER_LAWS)
def test_the_maps(capsys, name):
    said = answer(capsys, *RATES, "--over", "both", "--law", name)
    maps = [t for t in charts.maps(HYPER_LAWS[name], 7e8, 3e10, 1e6, 2.6).data if t.type == "heatmap"]
    grids = [np.array(said[what], float) for what in ("lr", "batch")]
    grids = [grid for grid in grids if np.isfinite(grid).any()]
    assert len(maps) == len(grids)
    for drawn, grid in zip(maps, grids, strict=True):
        assert np.array_equal(drawn.customdata, grid, equal_nan=True)
        assert np.allclose(drawn.x, np.log10(said["params"])) and np.allclose(drawn.y, np.log10(said["tokens"]))


def test_a_budget(capsys):
    app = opened(plan_compute="3e23", plan_unique="200B")
    rows = answer(capsys, "plan", "compute", "3e23", "--unique", "200B")
    assert app.dataframe[1].value.to_dict("records") == [
        {
            "Law": row["title"],
            "Parameters": short(row["params"]),
            "Tokens": short(row["tokens"]),
            "In fresh tokens": short(row["fresh_tokens"]),
            "Tokens per parameter": row["tokens_per_parameter"],
            "Loss": row["loss"],
            "How sure": row["sure"],
            "Source": row["reference"],
        }
        for row in rows
    ]


def test_another_batch(capsys):
    app = opened(plan_batch_lr="2e-3", plan_batch_from="300k", plan_batch_to="1M", plan_batch_noise="700k")
    argv = ["plan", "batch", "--lr", "2e-3", "--from", "300k", "--to", "1M", "--noise", "700k"]
    said, text = answer(capsys, *argv), told(capsys, *argv)[1]
    shown = app.dataframe[2].value.to_dict("records")
    assert shown == [
        {
            "Rule": row["title"],
            "Learning rate": row["lr"],
            "Meaning": row["meaning"],
            "How sure": row["sure"],
            "Source": row["reference"],
        }
        for row in said["rules"]
    ]
    captions = [c.value for c in app.caption]
    assert all(line in captions for line in text.splitlines()[-2:])
    assert f"{said['beta1']:.3g} and {said['beta2']:.3g}" in text.splitlines()[-2]
    assert f"{said['steps_over_fewest']:.2f} times the fewest possible updates" in text


def test_another_width(capsys):
    app = opened(plan_width_lr="1e-2", plan_width_from="512", plan_width_to="2048")
    said = told(capsys, "plan", "width", "--lr", "1e-2", "--from", "512", "--to", "2048")[1].strip()
    assert said in [plain(c.value) for c in app.caption] and "4 times as wide take 0.0025" in said
    assert answer(capsys, "plan", "width", "--lr", "1e-2", "--from", "512", "--to", "2048")["lr"] == 2.5e-3
    app.text_input(key="plan_width_to").set_value("wide").run()
    assert "Other width must be above 0, such as" in plain(app.error[0].value) and not app.exception


def test_another_schedule(capsys):
    app = opened(plan_next="linear(peak=1e-3, total=5000)")
    tuned, other = app.dataframe[3].value.to_dict("records")
    (moved,) = answer(capsys, "bound", "--tuned", rules.TUNED, "--schedule", "linear(peak=1e-3, total=5000)")
    assert (other["Best peak"], other["Factor on its rates"]) == (moved["peak"], moved["factor"])
    assert other["Bound, over the tuned one's"] == moved["bound_over_tuned"] and other["Schedule"] == moved["schedule"]
    bounds = answer(capsys, "bound", "--schedule", rules.TUNED, "--schedule", "linear(peak=1e-3, total=5000)")
    for shown, row in zip((tuned, other), bounds, strict=True):
        assert shown["Best factor, D = G = 1"] == row["best_factor"]
        assert shown["Lowest bound, D = G = 1"] == row["lowest_bound"]
    app.text_input(key="plan_next").set_value("line(peak=1)").run()
    assert "Unknown schedule" in plain(app.error[0].value) and not app.exception


def test_sparse_models(capsys):
    app = opened(plan_params="2B", plan_tokens="50B", plan_sparse="0.75", plan_fine="8")
    argv = ["plan", "sparse", "--params", "2B", "--tokens", "50B", "--share", "0.75", "--granularity", "8"]
    assert app.dataframe[4].value.to_numpy().tolist() == [
        [row["title"], row["says"], row["given"], row["standing"], row["sure"], row["reference"]]
        for row in answer(capsys, *argv)
    ]


def test_ones_own_sweep(capsys, tmp_path):
    app = uploaded(opened(plan_params="1B", plan_tokens="20B"), sweep.example().encode())
    table = tmp_path / "sweep.csv"
    table.write_text(sweep.example())
    said = answer(capsys, "plan", "sweep", str(table), "--params", "1B", "--tokens", "20B")
    for shown, row in zip(app.dataframe[-1].value.to_dict("records"), said["cells"], strict=True):
        assert shown == {
            "Model size": short(row["params"]),
            "Tokens": short(row["tokens"]),
            "Best learning rate": row["lr"],
            "90 %": between(row["lr_low"], row["lr_high"], "{:.2e}".format),
            "Best batch": short(row["batch"]),
            "Batch, 90 %": between(row["batch_low"], row["batch_high"], short),
            "Loss there": row["loss"],
            "Runs near it": row["runs_near"],
            "Use": row["use"],
        }
    assert said["said"] in [plain(m.value) for m in app.markdown]
    boxes, own = {box.label: box for box in app.metric}, said["predicted"]
    assert boxes["Learning rate for your N and D"].value == f"{own['lr']:.2e}"
    assert boxes["Learning rate for your N and D"].help == f"90 %: {own['lr_low']:.2e} to {own['lr_high']:.2e}."
    assert boxes["Batch for your N and D"].value == short(own["batch"])
    assert boxes["Expected cost"].value == f"{100 * own['cost']:.2f} %"
    assert f"Extrapolated: {own['beyond']}." in [plain(c.value) for c in app.caption]


def test_the_losses_of_a_cell(capsys, tmp_path):
    table = tmp_path / "sweep.csv"
    table.write_text(sweep.example())
    cells = answer(capsys, "plan", "sweep", str(table))["cells"]
    found = sweep._found("equal", sweep.pd.read_csv(table), {}, 1.0, False)
    for i, row in enumerate(cells):
        figure = charts.surface(found.cells[i], found.optima[i], found.marks(found.cells[i]))
        drawn = np.sort(figure.data[0].customdata[np.isfinite(figure.data[0].customdata)])
        assert drawn == pytest.approx(np.sort([run["percent_above_best"] for run in row["runs"]]))
        marks = {t.name: (10 ** t.x[0], 10 ** t.y[0]) for t in figure.data[2:]}
        assert marks == {n: pytest.approx((v["lr"], v["batch"])) for n, v in row["laws"].items()}

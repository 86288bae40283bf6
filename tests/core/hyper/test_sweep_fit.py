"""Laws from a sweep: planted optima come back, bad tables say why, and the public Step Law runs."""

import re

import numpy as np
import pandas as pd
import pytest

from benchmarks import hyper
from optlaws_core.errors import DesignError, LogError
from optlaws_core.hyper import SweepCell, excess, fit_sweep, optimum, read_sweep, recommend, unlikely
from optlaws_core.hyper.sweep_fit import _bowl
from tests.places import PUBLIC

STEP_LAW = PUBLIC / "step_law" / "dense_lr_bs_loss.csv"
PAIRS = ((1e8, 2e9), (1e8, 8e9), (2e8, 4e9), (2e8, 1.6e10), (4e8, 8e9), (4e8, 3.2e10))
LR, BATCH = (2.0, -0.72, 0.31), (0.6, 0.57)


def planted(pairs=PAIRS, noise=3e-4, lrs=13, batches=10) -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for n, d in pairs:
        best = np.log([LR[0] * n ** LR[1] * d ** LR[2], BATCH[0] * d ** BATCH[1]])
        for lr in np.geomspace(3e-4, 1.6e-2, lrs):
            for batch in np.geomspace(3e4, 4e6, batches):
                a, b = np.log([lr, batch]) - best
                height = 0.01 * a * a - 0.007 * a * b + 0.007 * b * b + 0.001 * max(a, -3) ** 3
                rows.append((n, d, lr, batch, 2.5 * np.exp(height + noise * rng.normal())))
    return pd.DataFrame(rows, columns=["N", "D", "lr", "bs", "loss"])


@pytest.fixture(scope="module")
def cells():
    return read_sweep(planted())


@pytest.fixture(scope="module")
def fit(cells):
    return fit_sweep(cells)


def test_planted_optima_come_back(fit):
    for o in fit.optima:
        assert not o.trouble
        assert o.lr == pytest.approx(LR[0] * o.params ** LR[1] * o.tokens ** LR[2], rel=0.12)
        assert o.batch == pytest.approx(BATCH[0] * o.tokens ** BATCH[1], rel=0.12)
        assert o.loss == pytest.approx(2.5, rel=1e-3)
        assert (o.low < o.center).all() and (o.center < o.high).all()


def test_planted_laws_come_back_and_carry_over(fit):
    for what, term, planted_exponent in (
        ("lr", "params", -0.72),
        ("lr", "tokens", 0.31),
        ("batch", "params", 0.0),
        ("batch", "tokens", 0.57),
    ):
        value, half = fit.exponent(what, term)
        assert abs(value - planted_exponent) < max(half, 0.05) and half < 0.3
    far = fit.predict(1.6e9, 6.4e10)
    true = LR[0] * 1.6e9 ** LR[1] * 6.4e10 ** LR[2], BATCH[0] * 6.4e10 ** BATCH[1]
    assert (far.lr, far.batch) == pytest.approx(true, rel=0.12)
    assert far.lr_low < true[0] < far.lr_high and far.batch_low < true[1] < far.batch_high
    assert far.beyond == "N is 4 times above the fitted cells, D is 2 times above the fitted cells"
    assert not fit.predict(2e8, 8e9).beyond and 0 < fit.predict(2e8, 8e9).cost < far.cost < 0.01


def test_outliers_and_diverged_runs_do_no_harm(fit):
    table = planted()
    spoiled = table["loss"].to_numpy(copy=True)
    spoiled[::37] *= 1.02
    spoiled[5::41] = np.nan
    spoiled[7::53] = np.inf
    other = fit_sweep(read_sweep(table.assign(loss=spoiled)))
    for one, two in zip(fit.optima, other.optima, strict=True):
        assert two.lr == pytest.approx(one.lr, rel=0.15) and two.batch == pytest.approx(one.batch, rel=0.15)


def test_excess_between_runs(cells):
    cell = cells[0]
    best = cell.best
    assert excess(cell, cell.lr[best], cell.batch[best]) == pytest.approx(0, abs=1e-9)
    assert excess(cell, cell.lr[0], cell.batch[0]) == pytest.approx(cell.loss[0] / cell.loss[best] - 1)
    assert np.isnan(excess(cell, 1.0, 1e5))  # outside what was measured
    line = SweepCell(1e8, 1e9, np.array([1e-3, 2e-3, 4e-3]), np.full(3, 1e5), np.array([3.0, 2.9, 3.1]))
    with pytest.raises(DesignError, match="several learning rates and several batch sizes"):
        excess(line, 2e-3, 1e5)


def test_laws_depend_on_what_the_cells_tell():
    along = [(n, 20 * n) for n in (5e7, 1e8, 2e8, 4e8, 8e8)]
    fit = fit_sweep(read_sweep(planted(along)))
    assert fit.terms == {"lr": ("tokens",), "batch": ("tokens",)}  # N and D rise together
    fit = fit_sweep(read_sweep(planted([(1e8, 4e9), (2e8, 4e9), (4e8, 4e9)])))
    assert fit.terms == {"lr": ("params",), "batch": ("params",)}
    assert fit.exponent("lr", "params")[0] == pytest.approx(-0.72, abs=0.1)


def test_an_optimum_outside_the_sweep_is_left_out():
    table = planted()
    cut = table[(table["N"] != 1e8) | (table["D"] != 2e9) | (table["lr"] > 5e-3)]
    fit = fit_sweep(read_sweep(cut))
    assert len([o for o in fit.optima if o.trouble]) == 1 and fit.optima[0].trouble
    assert len(fit.used) == 5
    with pytest.raises(DesignError, match="the optima of 3 or more pairs.*got 2; of one, its"):
        few = cut[cut["N"] < 3e8]
        fit_sweep(read_sweep(few[few["D"] < 1e10]))


def test_losses_without_a_minimum_are_told():
    grid = np.array([(lr, b) for lr in np.geomspace(1e-4, 1e-2, 7) for b in np.geomspace(1e4, 1e6, 5)])
    slope = SweepCell(1e8, 1e9, *grid.T, np.exp(1 - 0.05 * np.log(grid).sum(1) - 0.01 * np.log(grid[:, 0] * 1e3) ** 2))
    assert optimum(slope).trouble in (
        "its losses have no minimum",
        "its losses hardly have a minimum",
        "its best learning rate lies outside the sweep",
        "its best batch lies outside the sweep",
    )
    line = SweepCell(1e8, 1e9, grid[:, 0], np.full(len(grid), 1e5), slope.loss)
    assert optimum(line).trouble == "it needs runs at 3 or more batch sizes, got 1"
    few = SweepCell(1e8, 1e9, grid[:19:4, 0] * [1, 2, 3, 4, 5], grid[:19:4, 1], slope.loss[:19:4])
    assert optimum(few).trouble == "it needs 9 or more runs that ended with a loss, got 5"
    assert optimum(few).lr == pytest.approx(few.lr[few.best]) and optimum(few).used == 5


def test_a_cell_with_few_runs_spoils_no_law(fit):
    table = planted()
    lone = table[:3].assign(N=8e8, D=1.6e10)
    other = fit_sweep(read_sweep(pd.concat((table, lone))))
    assert [o.trouble for o in other.optima if o.trouble] == ["it needs runs at 3 or more learning rates, got 1"]
    for what in ("lr", "batch"):
        assert other.coefficients[what] == pytest.approx(fit.coefficients[what], rel=1e-6)
    with pytest.raises(DesignError, match="3 or more pairs of model size and length, got 1."):
        fit_sweep(read_sweep(table[table["D"] == 2e9]))


def test_a_sweep_that_cannot_tell_N_from_the_rest_leaves_the_batch_to_D():
    """The batch's exponent of N is held near 0 the harder, the less is let through."""
    cells = read_sweep(planted(noise=1e-3))
    free, held = (abs(fit_sweep(cells, held=h).exponent("batch", "params")[0]) for h in (10.0, 1e-3))
    assert held < 1e-3 < free


@pytest.mark.parametrize("k", [0.7, -0.4, 1e-9])
def test_the_bowl_is_a_parabola_near_its_bottom_and_knows_its_slopes(k):
    x, h = np.linspace(-3, 3, 13), 1e-5
    f, slope, bend = _bowl(x, k)
    assert _bowl(np.array([1e-3]), k)[0] == pytest.approx(1e-6, rel=1e-3)
    assert slope == pytest.approx((_bowl(x + h, k)[0] - _bowl(x - h, k)[0]) / (2 * h), abs=1e-5)
    if abs(k) > 1e-4:
        assert bend == pytest.approx((_bowl(x, k + h)[0] - _bowl(x, k - h)[0]) / (2 * h), abs=1e-5)
    assert (f >= 0).all()


def test_units_of_size_and_length_leave_exponents_and_optima_as_they_are(fit):
    table = planted()
    other = fit_sweep(read_sweep(table.assign(N=table["N"] * 10, bs=table["bs"] / 2048), unit=2048))
    assert other.exponent("lr", "params") == pytest.approx(fit.exponent("lr", "params"), rel=1e-3)
    one, two = fit.predict(8e8, 3e10), other.predict(8e9, 3e10)
    assert (two.lr, two.batch) == pytest.approx((one.lr, one.batch), rel=1e-3)


def test_columns_units_and_order():
    table = planted().rename(columns={"lr": "Peak_LR", "loss": "final"})
    cells = read_sweep(table, {"loss": "final"}, unit=2048, sure=True)
    assert [c.compute for c in cells] == sorted(c.compute for c in cells) and len(cells) == len(PAIRS)
    assert cells[0].batch.min() == pytest.approx(3e4 * 2048)


def test_lengths_that_differ_by_a_part_of_a_batch_are_one_cell():
    table = planted()
    rough = table.assign(D=table["bs"] * np.floor(table["D"] / table["bs"] * 1.0005))
    cells = read_sweep(rough)
    assert len(cells) == len(PAIRS) and cells[0].tokens == pytest.approx(2e9, rel=2e-3)
    assert len(read_sweep(table.assign(D=np.where(table["lr"] > 2e-3, 1.02, 1) * table["D"]))) == 2 * len(PAIRS)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"lr": 30.0}, "row 1: is the unit right? a learning rate above 1 is unlikely, got 30."),
        ({"bs": 512.0}, "a batch below 1,000 tokens is unlikely (of sequences?), got 512."),
        ({"bs": 1e8}, "a batch that leaves fewer than 100 updates is unlikely, got 1e+08."),
        ({"D": 10.0}, "D below 1,000 is unlikely (of millions or billions?), got 10."),
        ({"N": 0.1}, "N below 1,000 is unlikely (of millions or billions?), got 0.1."),
    ],
)
def test_unlikely_units_ask_back(change, message):
    table = planted().assign(**change)
    with pytest.raises(LogError, match=re.escape(message)):
        read_sweep(table)
    assert read_sweep(table, sure=True)
    assert not unlikely(1e9, 2e10, 5e5, 1e-3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"lr": "rate?"}, "The sweep must have the column 'lr', got N, D, rate?, bs, loss."),
        ({"loss": "y"}, "The sweep must have the column 'loss'"),
        ({"bs": "lr"}, "The sweep must have the column 'batch'"),
        ({"D": "N"}, "The sweep must have the column 'tokens'"),
    ],
)
def test_a_missing_column_is_named(change, message):
    with pytest.raises(LogError, match=re.escape(message)):
        read_sweep(planted().rename(columns=change))


def test_bad_cells_are_named(tmp_path):
    with pytest.raises(LogError, match=re.escape("The sweep, row 2: bs must be a number above 0, got 'many'.")):
        read_sweep(planted().astype(object).assign(bs=["1", "many"] + ["1"] * (len(planted()) - 2)))
    with pytest.raises(LogError, match="row 1: loss must be a number above 0, or empty.*got '-1.0'"):
        read_sweep(planted().assign(loss=-1.0))
    with pytest.raises(LogError, match="row 1: loss must be .*got 'fine'"):
        read_sweep(planted().astype(object).assign(loss="fine"))
    with pytest.raises(LogError, match="each column once and for one thing, got 'N' twice"):
        read_sweep(planted(), {"tokens": "N"})
    words = ["", "nan", "NaN", "inf"]
    gone = planted().astype(object).assign(loss=words + list(planted()["loss"][4:]))
    assert sum(np.isfinite(c.loss).sum() for c in read_sweep(gone)) == len(gone) - 4
    with pytest.raises(LogError, match="at least 1 run, got none"):
        read_sweep(planted()[:0])
    with pytest.raises(LogError, match="at least 1 run that ended with a loss"):
        read_sweep(planted().assign(loss=np.nan))
    with pytest.raises(LogError, match="tokens in one unit of the batch must be above 0, got -1"):
        read_sweep(planted(), unit=-1)
    with pytest.raises(LogError, match="there is no such file"):
        read_sweep(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(LogError, match="bad.csv must be a CSV table"):
        read_sweep(tmp_path / "bad.csv")


def wide_and_deep(other: float = 4.0, pairs=PAIRS) -> pd.DataFrame:
    """The planted sweep, and once more for another structure whose best rates are `other` times as high."""
    shifted = planted(pairs).assign(width=1024)
    for (n, d), rows in shifted.groupby(["N", "D"]):
        best = np.log([LR[0] * n ** LR[1] * d ** LR[2] * other, BATCH[0] * d ** BATCH[1] / other])
        a, b = np.log(rows[["lr", "bs"]].to_numpy()).T - best[:, None]
        height = 0.01 * a * a - 0.007 * a * b + 0.007 * b * b + 0.001 * np.maximum(a, -3) ** 3
        shifted.loc[rows.index, "loss"] = 2.5 * np.exp(height)
    return pd.concat((planted(pairs).assign(width=512), shifted))


def test_cells_that_mix_structures_are_named():
    table = wide_and_deep(pairs=(PAIRS[0], PAIRS[3]))
    mixed = read_sweep(table)
    assert mixed.notes == (
        "2 pairs of model size and length of 2 mix runs that differ in more than learning rate and batch, as at 100M "
        "parameters and 2B tokens: width 512, 1024. Such losses do not form one surface: keep the rows of one "
        "structure at a time, such as those with width = 512.",
    )
    assert [dict(c.mixes) for c in mixed] == [{"width": ("512", "1024")}] * 2
    why = "it mixes width 512, 1024; keep the rows of one structure at a time, such as those with width = 512"
    assert optimum(mixed[0]).trouble == f"its losses have no minimum: {why}"
    with pytest.raises(DesignError, match=f"got 1; of one, its losses have no minimum: {why}"):
        fit_sweep(mixed)
    one = read_sweep(table[table["width"] == 512])
    assert one.notes == () and [c.mixes for c in one] == [{}, {}] and not optimum(one[0]).trouble


def test_what_follows_from_rate_batch_and_structure_is_no_structure():
    table = wide_and_deep().reset_index(drop=True)
    table["ti"] = np.round(table["D"] / table["bs"]) * np.where(table["width"] > 600, 1.1, 1.0)
    table["min_lr"], table["D/N"], table["seed"] = table["lr"] / 10, table["D"] / table["N"], np.arange(len(table)) % 3
    table["exp_name"], table["train_loss"] = [f"run {i}" for i in table.index], table["loss"].round(1)
    table["deep"] = np.where(table["width"] > 600, "no", "yes")
    cells = read_sweep(table)
    assert {tuple(c.mixes) for c in cells} == {("width", "deep")} and cells[0].mixes["deep"] == ("no", "yes")
    assert read_sweep(planted().assign(ti=lambda t: t["D"] / t["bs"], warmup=lambda t: t["bs"] // 100)).notes == ()


def test_a_setting_that_a_random_search_drew_too_is_known_by_its_name():
    """No rate stands twice, so that every column follows from it."""
    table = planted().assign(lr=lambda t: t["lr"] * (1 + 1e-4 * np.arange(len(t))))
    half = np.where(np.arange(len(table)) % 2, 8, 16)
    assert read_sweep(table.assign(n_layers=half))[0].mixes == {"n_layers": ("8", "16")}
    assert read_sweep(table.assign(colour=half)).notes == ()


@pytest.mark.parametrize(
    "raw, smoothed",
    [
        ("loss", "smooth loss"),
        ("loss", "smoothed_loss"),
        ("loss", "final_loss_smooth"),
        ("Final_Loss", "Final_Loss_Smoothed"),
        ("final_val_loss", "smooth_val_loss"),
    ],
)
def test_of_two_losses_the_smoothed_one_is_taken(raw, smoothed):
    table = planted().rename(columns={"loss": smoothed})
    table[raw] = table[smoothed] * 1.5
    cells = read_sweep(table)
    said = f"The losses are those of the column {smoothed}, which are smoothed; {raw} is left out."
    assert cells.notes == (said,) and cells[0].loss.min() == table[smoothed][: len(cells[0].loss)].min()
    chosen = read_sweep(table, {"loss": raw})
    assert chosen.notes == () and chosen[0].loss.min() == pytest.approx(1.5 * cells[0].loss.min())
    alone = read_sweep(table.drop(columns=raw))
    assert alone.notes == () and alone[0].loss.min() == cells[0].loss.min()


def test_a_smoothed_loss_of_another_kind_is_left():
    table = planted().rename(columns={"loss": "val_loss"}).assign(smooth_train_loss=1.0)
    assert read_sweep(table)[0].loss.min() > 2 and read_sweep(table).notes == ()


@pytest.mark.skipif(not STEP_LAW.exists(), reason="The public Step Law runs are not beside the checkout.")
def test_the_public_sweep_is_read_without_being_told_its_columns():
    """The smoothed loss is taken and told; its cells are of one structure, until two sizes are made one."""
    cells = read_sweep(STEP_LAW, unit=2048)
    assert cells.notes == ("The losses are those of the column smooth loss, which are smoothed; loss is left out.",)
    mapped = read_sweep(STEP_LAW, {"loss": "smooth loss"}, 2048)
    assert all(np.array_equal(a.loss, b.loss, equal_nan=True) for a, b in zip(cells, mapped, strict=True))
    table = pd.read_csv(STEP_LAW)
    table = table[table["N"].isin((214663680, 268304384))].assign(N=2.4e8, D=2e10)
    mixed = read_sweep(table, unit=2048)
    assert len(mixed) == 1 and list(mixed[0].mixes)[:4] == ["h", "ffnh", "numh", "numl"]
    assert mixed[0].mixes["h"] == ("960", "1024")


@pytest.mark.skipif(not STEP_LAW.exists(), reason="The public Step Law runs are not beside the checkout.")
def test_the_public_sweep_carries_over_to_larger_cells():
    """Fitted on the half with the least compute: the aim is 0.1 %, which one cell in three misses by itself."""
    cells = read_sweep(STEP_LAW, {"loss": "smooth loss"}, 2048)
    assert len(cells) == 17 and sum(len(c.loss) for c in cells) == 1911
    train, test = cells[:8], cells[8:]
    fit = fit_sweep(train)
    assert not [o for o in fit.optima if o.trouble]
    points = [fit.predict(c.params, c.tokens) for c in test]
    off = np.array([100 * excess(c, p.lr, p.batch) for c, p in zip(test, points, strict=True)])
    assert off.mean() < 0.1 and off.max() < 0.15
    inside = [p.lr_low < c.lr[c.best] < p.lr_high for c, p in zip(test, points, strict=True)]
    assert np.mean(inside) > 0.7


def test_the_step_law_is_judged_on_mixtures_of_experts_by_both_counts_of_parameters(tmp_path):
    """A made-up grid whose best rates follow the law with all parameters: the other count must cost more."""
    rng, rows = np.random.default_rng(1), []
    for whole, active in ((2.15e9, 1.9e8), (2.15e9, 2.3e8), (2.16e9, 1.2e9)):
        for tokens in (2e9, 4e9, 8e9, 2e10):
            law = recommend(whole, tokens)[0]
            for lr in np.geomspace(1e-4, 1.6e-2, 12):
                for batch in 2.0 ** np.arange(5, 12):
                    a, b = np.log([lr / law.lr, batch * 2048 / law.batch])
                    loss = 3 * np.exp(0.01 * a * a - 0.005 * a * b + 0.006 * b * b + rng.normal(0, 1e-5))
                    rows.append((whole, active, tokens, lr, batch, loss, loss))
    path = tmp_path / "moe_lr_bs_loss.csv"
    pd.DataFrame(rows, columns=["N", "Na", "D", "lr", "bs", "loss", "smooth loss"]).to_csv(path)
    found = hyper.mixture_cells(path)
    assert sorted({whole for whole, _ in found}) == [2.15e9, 2.16e9] and len(found) == 12
    means = {name: np.nanmean(errors) for name, errors in hyper.mixture_errors(found).items()}
    assert means["Step Law, all parameters"] < 0.2 < 0.5 < means["Step Law, active parameters"]
    assert means["a law of the other cells, by length"] < 0.2

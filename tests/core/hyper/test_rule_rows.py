"""Rules of scaling as rows: a budget, another batch, sparse models; and what a whole sweep tells."""

import numpy as np
import pytest

from optlaws_core.errors import OptLawsError
from optlaws_core.hyper import (
    SweepCell,
    bound,
    compute_splits,
    fit_sweep,
    other_batch,
    recommend,
    scaling,
    sparse_models,
    sweep_report,
    transfers,
)
from optlaws_core.hyper.sweep_report import use_of
from optlaws_core.schedules import parse


def test_splits_spend_the_budget():
    rows = {s.name: s for s in compute_splits(1e24, unique=1e12)}
    assert list(rows) == list(scaling.ALLOCATIONS)
    for name, s in rows.items():
        assert 6 * s.params * s.tokens == pytest.approx(1e24, rel=1e-3)
        assert s.ratio == s.tokens / s.params and s.loss == scaling.BESIROGLU.loss(s.params, s.tokens)
        assert s.fresh == scaling.effective_tokens(1e12, s.tokens) < s.tokens, name
    assert min(rows, key=lambda n: rows[n].loss) == "besiroglu"
    assert {s.fresh for s in compute_splits(1e24)} == {None}
    with pytest.raises(OptLawsError, match="The number of unique tokens must be a number above 0, got -1"):
        compute_splits(1e24, -1)


def test_rates_at_another_batch():
    found = other_batch(1e-3, 5e5, 2e6)
    by_rule = {r.name: r.lr for r in found.rates}
    assert by_rule["sqrt"] == pytest.approx(2e-3) and by_rule["linear"] == pytest.approx(4e-3)
    assert by_rule["mccandlish"] is None and by_rule["surge"] is None and not found.cost_said and not found.doubt
    assert found.adam == pytest.approx((0.6, 0.8, 5e-9)) and "become 0.6 and 0.8" in found.adam_said
    known = other_batch(30.0, 5e5, 2e7, noise=2e6)
    assert all(r.lr == scaling.rescale(r.name, 30.0, 5e5, 2e7, 2e6) for r in known.rates)
    assert known.adam is None and "the step is too large" in known.adam_said
    assert (known.steps, known.tokens) == scaling.tradeoff(2e7, 2e6) and "1.10 times" in known.cost_said
    assert known.doubt == "Is the unit right? A learning rate above 1 is unlikely, got 30."
    with pytest.raises(OptLawsError, match="The other batch must be a number above 0, got 0"):
        other_batch(1e-3, 5e5, 0)


def test_sparse_models_are_held_against_those_that_are_not():
    rows = {s.title: s for s in sparse_models(1e9, 2e10, 0.75, 8)}
    assert rows["Weight sparsity, T5 on C4"].value == 1e9 * scaling.SPARSITY["t5"].worth(0.75)
    mixed, fine = rows["Mixture of experts"], rows["Fine-grained experts"]
    assert mixed.difference == pytest.approx(scaling.moe_loss(1e9, 2e10, 0.75) - scaling.moe_loss(1e9, 2e10, 0))
    assert fine.difference < 0 and fine.says.endswith(f"{fine.difference:+.3g} against granularity 1")
    whole = sparse_models(1e9, 1e11)[-1]
    assert whole.says == f"loss {whole.value:.4f}"  # no difference to itself
    assert rows["Mixture of experts, best idle share"].value == scaling.moe_sparsity(1e9)
    best = rows["Weight sparsity, T5 on C4, best share"]
    assert (
        best.value == scaling.SPARSITY["t5"].best_sparsity(1e9, 6 * 1e9 * 2e10) and best.standing == "range not known"
    )
    reasoning = {s.title: s for s in sparse_models(2e9, 125e9)}["Mixture of experts, reasoning"]
    assert reasoning.says == "about 6.25B parameters in all" and reasoning.standing == "inside"
    assert rows["Mixture of experts, reasoning"].standing == "D 6.2 times below the fitted range"
    assert fine.standing == "inside"
    far = {s.title: s for s in sparse_models(1e8, 1e12, 0.5, 32)}["Fine-grained experts"]
    assert far.outside == (
        "N 1.3 times below the fitted range",
        "D 7.7 times above the fitted range",
        "granularity 2 times above the fitted range",
    )
    assert {s.difference for s in sparse_models(1e9, 2e10, 0, 1) if s.quantity == "loss"} == {0}
    with pytest.raises(OptLawsError, match="at least 0 and below 1, got 1"):
        sparse_models(1e9, 2e10, 1)
    with pytest.raises(OptLawsError, match="granularity of experts must be a number above 0, got 0"):
        sparse_models(1e9, 2e10, 0.5, 0)


def cell(params: float, tokens: float) -> SweepCell:
    lr, batch = (v.ravel() for v in np.meshgrid(np.geomspace(2.5e-4, 1.6e-2, 7), 2.0 ** np.arange(15, 22)))
    a, b = np.log(lr / (2 * params**-0.72 * tokens**0.31)), np.log(batch / (0.6 * tokens**0.57))
    loss = 3 * np.exp(0.01 * a * a - 0.007 * a * b + 0.007 * b * b)
    loss[0] = np.nan
    return SweepCell(params, tokens, lr, batch, loss)


def test_a_sweep_tells_its_optima_and_laws():
    cells = [cell(n, d) for n, d in ((1e8, 2e9), (1e8, 8e9), (2e8, 4e9), (2e8, 1.6e10), (4e8, 8e9))]
    found, fit = sweep_report(cells), fit_sweep(cells)
    assert [(e.what, e.term, e.value, e.half) for e in found.exponents] == [
        (what, term, *fit.exponent(what, term)) for what in ("lr", "batch") for term in fit.terms[what]
    ]
    assert found.exponents[0].value == pytest.approx(-0.72, abs=0.05)
    assert found.said.startswith("In this sweep the best learning rate goes with N to the power -0.7")
    assert {use_of(o) for o in found.optima} == {"in the law"} and not found.lacking
    own, step = found.marks(cells[0])
    predicted, r = fit.predict(1e8, 2e9), recommend(1e8, 2e9)[0]
    assert own[1:] == (predicted.lr, predicted.batch) and step == ("Step Law", r.lr, r.batch)
    above = cells[0].above
    assert np.nanmin(above) == 0 and np.isnan(above[0]) and np.nanmax(above) > 1


def test_a_sweep_of_one_cell_says_what_is_lacking():
    found = sweep_report([cell(1e8, 2e9)])
    assert found.fit is None and found.exponents == () and found.said == found.lacking
    assert "3 or more pairs" in found.lacking and [name for name, *_ in found.marks(found.cells[0])] == ["Step Law"]
    low = SweepCell(1e8, 2e9, np.array([1e-3, 2e-3]), np.array([1e5, 1e5]), np.array([3.0, 3.1]))
    assert use_of(sweep_report([low]).optima[0]).startswith("left out: ")


def test_a_peak_is_carried_to_other_schedules_with_the_bound_that_it_reaches():
    tuned = parse("wsd(peak=1e-3, total=400, decay=80)")
    same, longer = transfers(tuned, [tuned, parse("linear(peak=5e-4, total=1600)")])
    assert (same.peak, same.factor, same.bound) == pytest.approx((1e-3, 1, 1))
    assert longer.factor == pytest.approx(longer.peak / 5e-4)
    # At D/G such that the tuned rates are best, each bound is D·G times what it is at D = G = 1.
    assert longer.bound == pytest.approx(bound(longer.schedule).lowest / bound(tuned).lowest)
    ratio = 1 / bound(tuned).best_factor
    moved = bound(parse(f"linear(peak={longer.peak!r}, total=1600)"), distance=ratio)
    assert moved.best_factor == pytest.approx(1) and moved.value == pytest.approx(moved.lowest)
    for distance, gradient, what in ((0, 1, "distance"), (1, float("inf"), "gradient norm")):
        with pytest.raises(OptLawsError, match=f"The {what} of the bound must be a number above 0"):
            bound(tuned, distance, gradient)

"""How fits show themselves: coefficients or laws as a table, a line of text, and a few lines in a notebook."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..laws import law_named
from ..laws.base import Param
from ..markup import Cell, Math, Table, between, number
from ..text import counted, percent, relative_error
from .interface import Model
from .scores import Status

if TYPE_CHECKING:
    import pandas as pd

    from .result import Average, Fit
    from .selection import Selection

Weights = Sequence[float | None]
UNKNOWN = "–"


def state_of(fit: "Fit", p: Param) -> str:
    """How a fit came by a coefficient, in a few words."""
    value = fit.theta[p.name]
    if p.name in fit.locked:
        return "locked"
    if fit.status is Status.tuned:
        return "set by hand"
    if p.neutral is not None and value == p.neutral:
        return "one model size only" if p.needs == "params" else "one peak only"
    if p.weight:
        return "weight"
    x, low, high = (p.to_scale(v) for v in (value, p.low, p.high))
    if min(abs(x - low), abs(x - high)) < 1e-3 * abs(high - low):
        return "on its bound"
    return "fitted" if fit.interval.get(p.name) else "hardly determined"


def coefficients(fit: "Fit") -> Table:
    """The coefficients that count, with 90 % intervals where the runs tell them."""
    rows: list[tuple[Cell, ...]] = []
    for p in law_named(fit.law).params:
        value, ends = fit.theta[p.name], fit.interval.get(p.name)
        if value or not p.weight:  # of a spectrum's weights most are 0
            state = state_of(fit, p)
            known: Cell = between(*ends) if ends else UNKNOWN if state == "hardly determined" else state
            rows.append((Math(p.name, p.latex), number(value), known))
    return Table(("Coefficient", "Value", "90 % interval"), tuple(rows))


def coefficient_frame(fit: "Fit") -> "pd.DataFrame":
    """See `Fit.to_frame`."""
    import pandas as pd  # a fit does not need it

    rows = []
    for p in law_named(fit.law).params:
        low, high = fit.interval.get(p.name) or (None, None)
        rows.append((p.name, fit.theta[p.name], low, high, state_of(fit, p), p.meaning))
    frame = pd.DataFrame(rows, columns=["coefficient", "value", "low", "high", "state", "meaning"])
    return frame.astype({"low": float, "high": float})


def laws(fits: "Sequence[Fit]", weights: Weights, failed: Mapping[str, str] | None = None) -> Table:
    """Fits of several laws (n,): their errors, and their weights (n,) in the average, None outside it."""
    rows: list[tuple[Cell, ...]] = []
    for f, w in zip(fits, weights, strict=True):
        errors = (_error(e) for e in (f.misfit, f.left_out))
        weight = UNKNOWN if w is None else percent(w)
        rows.append((f.title, *errors, weight, f.status.short))
    rows += [(law_named(law).title, UNKNOWN, UNKNOWN, UNKNOWN, "not fitted") for law in failed or ()]
    return Table(("Law", "Misfit", "On left-out runs", "Weight", "Search"), tuple(rows))


def law_frame(fits: "Sequence[Fit]", weights: Weights, failed: Mapping[str, str] | None = None) -> "pd.DataFrame":
    """See `Average.to_frame` and `Selection.to_frame`."""
    import pandas as pd  # fits do not need it

    columns = ["law", "title", "misfit", "left_out", "held_out_rmse", "weight", "status"]
    rows = [
        (f.law, f.title, f.misfit, f.left_out, f.held_out_rmse, w, f.status.value)
        for f, w in zip(fits, weights, strict=True)
    ]
    rows += [(law, law_named(law).title, None, None, None, None, why) for law, why in (failed or {}).items()]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype(dict.fromkeys(("misfit", "left_out", "held_out_rmse", "weight"), float))


def weights_of(selection: "Selection") -> Weights:
    """Of each of the fits (n,) its weight in the average."""
    average = selection.average
    known = {} if average is None else {f.law: w for f, w in zip(average.fits, average.weights, strict=True)}
    return [known.get(f.law) for f in selection.fits]


def line_of(fit: "Fit") -> str:
    """A fit in a line: its law, its runs, its errors, how the search ended."""
    return f"Fit({fit.law} on {counted(len(fit.train), 'run')}, {_errors(fit)}, {fit.status.short})"


def line_of_average(average: "Average") -> str:
    """An average in a line: its laws with their weights, its errors."""
    parts = " + ".join(f"{percent(w)} {f.law}" for f, w in average.parts)
    return f"Average({parts} on {counted(len(average.train), 'run')}, {_errors(average)})"


def line_of_selection(selection: "Selection") -> str:
    """A selection in a line: how many laws, which one is trusted."""
    failed = f", {len(selection.failed)} failed" if selection.failed else ""
    return f"Selection({counted(len(selection.fits), 'law')}{failed}, trusted: {selection.trusted!r})"


def html_of(fit: "Fit") -> str:
    """Coefficients; beneath, errors, how the search ended, and what was found beforehand."""
    return coefficients(fit).html(_title(fit), [_sentence(fit), fit.status.value, *fit.notes])


def html_of_average(average: "Average") -> str:
    """The laws and their weights; beneath, the errors of the average."""
    table = laws(average.fits, average.weights)
    return table.html(_title(average), [_sentence(average), *average.doubts])


def html_of_selection(selection: "Selection") -> str:
    """The laws, the most trusted first; beneath, which to trust and why, and why others could not be fitted."""
    failed = [f"{law_named(law).title}: {why}" for law, why in selection.failed.items()]
    table = laws(selection.fits, weights_of(selection), selection.failed)
    return table.html(f"{counted(len(selection.fits), 'law')} fitted", [selection.advice, *failed])


def _title(model: Model) -> str:
    return f"{model.title}, fitted to {counted(len(model.train), 'run')} ({model.split})"


def _sentence(model: Model) -> str:
    told = _errors(model)
    return f"{told[0].upper()}{told[1:]}."


def _errors(model: Model) -> str:
    known = {"misfit": model.misfit, "on left-out runs": model.left_out}
    said = [f"{name} {_error(e)}" for name, e in known.items() if e is not None]
    if model.held_out_rmse is not None:
        said.append(f"held-out RMSE {model.held_out_rmse:.4g}")
    return ", ".join(said) or "errors not known"


def _error(error: float | None) -> str:
    return UNKNOWN if error is None else relative_error(error)

"""What a fit is: a law's coefficients, how the search ended, and how well it did. Plain records, stored as JSON.

`Model` is what predicts whole curves: a `Fit`, or an `Average` of fits. Whoever asks it need not know which one it is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import FloatArray
from ..errors import OptLawsError, amiss
from ..laws import law_named
from ..laws.effective import scaled
from ..markup import formula
from ..runs import Plan, Run
from ..schedules import Schedule
from ..text import counted, format_number, listed
from . import fit_shown, peaks
from .coverage import Coverage, outside
from .interface import Model, Rename
from .json_values import JsonRecord, coefficient_names, error, number, optional, pair, share, square
from .priors import Informed, informed_from_dict
from .scores import Scores, Status, scores_from_dict

if TYPE_CHECKING:
    import pandas as pd

ONE_RUN = "One training run cannot tell the effect of the schedule from that of time: add runs with other schedules."
STARTED_BELOW = (
    "The fit was stored when a run without a warm-up counted as one that never rose to its peak. "
    "If a training run had no warm-up, fit again."
)
# Octaves from its horizon up to which a fit tells schedules as it was made to: half way to twice or half the length.
HORIZON_REACH = 0.5


@dataclass(frozen=True)
class Fit(JsonRecord):
    """A law with coefficients, and how far to trust them. `law` is a name, so that a fit can be stored and compared."""

    law: str
    theta: Mapping[str, float]
    interval: Mapping[str, tuple[float, float] | None]  # 90 %; None where locked, on a bound or undetermined
    status: Status
    message: str
    objective: float  # Σ Huber(log residual) over all training points
    train: Mapping[str, Scores]
    coverage: Coverage
    test: Mapping[str, Scores] = field(default_factory=dict)
    split: str = "train"  # which losses of the runs were fitted
    locked: tuple[str, ...] = ()
    from_step: int | None = None  # observations before it were left out; None: before the end of each warm-up
    seconds: float = 0.0
    # Covariance of the coefficients named in `free`, in search coordinates; what parameter bands are made from.
    free: tuple[str, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()  # none where there were no more points than coefficients
    shared: tuple[str, ...] = ()  # coefficients in common with fits of other model sizes
    misfit: float | None = None  # root mean square log error on the training runs, each counting the same
    left_out: float | None = None  # the same on each training run when it was left out of the fit; None: not tried
    informed: Informed | None = None  # what became of the prior; None: fitted without one
    begin: int | None = None  # first step that counted, where it was found from the curves
    # The law fitted to the runs of each peak rate alone, ascending, where they have several; see `peaks`.
    by_peak: tuple["Fit", ...] = ()
    # Power of the ratio of peaks with which the rates of a schedule of another peak count; see `peaks`.
    peak_power: float = 1.0

    def seen(self, plan: Plan) -> Plan:
        """A plan as the law is shown it by this fit: at another peak than its runs', with other rates; see `peaks`."""
        return replace(plan, schedule=scaled(plan.schedule, self.rate_factor(plan.schedule.peak)))

    def rate_factor(self, peak: float) -> float:
        """What rates of schedules of this peak are multiplied with before the law sees them."""
        return peaks.factor(self.coverage.peak, peak, self.peak_power)

    @property
    def parts(self) -> tuple[tuple["Fit", float], ...]:
        """The fits that predict, and their weights: this one alone."""
        return ((self, 1.0),)

    @property
    def members(self) -> tuple["Fit", ...]:
        """Every fit that predicts schedules of some peak rate: this one, and those to the runs of each peak alone."""
        return (self, *self.by_peak)

    def shares_at(self, peak: float) -> FloatArray:
        """Weight of each of `members` for schedules of this peak rate, (members,), of sum 1; see `peaks`."""
        own = peaks.shares([f.coverage.peak for f in self.by_peak], peak)
        return np.array([max(0.0, 1.0 - float(own.sum())), *own])

    def parts_at(self, peak: float) -> tuple[tuple["Fit", float], ...]:
        """The fits that predict schedules of this peak rate, and their weights: above 0, of sum 1."""
        return tuple((f, float(w)) for f, w in zip(self.members, self.shares_at(peak), strict=True) if w > 0)

    @property
    def single(self) -> "Fit | None":
        """The fit itself, as it is no average."""
        return self

    @property
    def title(self) -> str:
        """What the fit is called: its law, and what was locked."""
        held = f", {' and '.join(self.locked)} locked" if self.locked else ""
        return law_named(self.law).title + held

    @property
    def first_step(self) -> int | None:
        """First step whose loss was fitted, asked for or found; None: the end of each warm-up."""
        return self.begin if self.from_step is None else self.from_step

    @property
    def notes(self) -> tuple[str, ...]:
        """What was known and found beforehand, as sentences: the prior, and where losses begin to count."""
        law, found = law_named(self.law), []
        if self.informed is not None and law.coordinates is not None:
            name, most = max(self.informed.moved.items(), key=lambda item: abs(item[1]))
            meaning = next((axis.meaning for axis in law.coordinates.axes if axis.name == name), name)
            moved = f"the runs moved it by up to {abs(most):.1f} standard deviations ({meaning})"
            found.append(f"Prior {self.informed.source}: {moved}.")
        if self.informed is not None and self.informed.horizon is not None:
            found.append(
                f"Made to compare schedules of {counted(self.informed.horizon, 'update')}: runs of other lengths count "
                "less, and the losses themselves are further off."
            )
        if self.from_step is None and self.begin is not None:
            found.append(f"The fit uses losses from step {self.begin:,}: those before it are of the first updates.")
        if self.peak_power != 1:
            found.append(
                f"Of a schedule whose peak is r times {format_number(self.coverage.peak[1])}, the law is given the "
                f"rates times r^−{1 - self.peak_power:g}, as learned on public runs."
            )
        if self.by_peak:
            rates = listed([format_number(f.coverage.peak[0]) for f in self.by_peak])
            found.append(
                f"The training runs have {len(self.by_peak)} peak rates ({rates}). The law was also fitted to the runs "
                "of each alone, which predicts schedules of that peak; these coefficients are those of all runs."
            )
        return tuple(found)

    @property
    def vector(self) -> FloatArray:
        """Coefficients in the law's order."""
        return law_named(self.law).vector(self.theta)

    @property
    def held_out_rmse(self) -> float | None:
        """Mean over held-out runs of their RMSE, or None without any."""
        return _mean_rmse(self.test)

    @property
    def expected_error(self) -> float:
        """Relative error to expect on an unseen run, from misfit and left-out runs; infinite where neither is known."""
        return _expected_error(self.misfit, self.left_out)

    @property
    def doubts(self) -> list[str]:
        """What speaks against predictions: how the search ended, and one run without a prior."""
        ended = [f.status.value for f in self.members if f.status.in_doubt][:1]
        few = [ONE_RUN] if len(self.train) == 1 and self.informed is None and self.status is not Status.tuned else []
        return [f"{law_named(self.law).title}: {sentence}" for sentence in (*ended, *few, *self.outdated)]

    @property
    def outdated(self) -> tuple[str, ...]:
        """What a law has come to mean since the fit was stored, in a sentence, where that may change predictions."""
        return (STARTED_BELOW,) if law_named(self.law).counts_rises and self.coverage.warmup is None else ()

    def reasons(self, schedule: Schedule | Plan) -> tuple[str, ...]:
        """Sentences on how a schedule or plan leaves what the training runs cover, or the horizon that the fit was made
        for; empty when it stays inside.
        """
        bare = schedule.schedule if isinstance(schedule, Plan) else schedule
        peak = bare.peak
        known = [f.coverage.peak[0] for f in self.by_peak]
        between: tuple[str, ...] = ()
        if known and known[0] < peak < known[-1] and not any(peaks.same(p, peak) for p in known):
            rates = listed([format_number(p) for p in known])
            between = (f"peak {format_number(peak)}, between those of the training runs ({rates})",)
        left = outside(self.coverage, schedule, law_named(self.law).hangs_on_warmup)
        return between + self._off_horizon(bare.total) + left

    def _off_horizon(self, total: int) -> tuple[str, ...]:
        """A sentence on schedules of `total` updates where the fit was made for those of another length."""
        horizon = None if self.informed is None else self.informed.horizon
        if horizon is None or abs(np.log2(total / horizon)) <= HORIZON_REACH:
            return ()
        return (f"{counted(total, 'update')}, the fit was made for schedules of {counted(horizon, 'update')}",)

    @property
    def has_bands(self) -> bool:
        """Whether a coefficient has a known error: not where all are locked or set by hand, nor in old files."""
        return bool(self.free)

    def map_fits(self, change: "Callable[[Fit], Fit]") -> "Fit":
        """The fit, changed, with those by peak rate."""
        return replace(change(self), by_peak=tuple(map(change, self.by_peak)))

    def renamed(self, run: Rename, split: Rename) -> "Fit":
        """The fit with other names of runs and of its split."""
        train, test = ({run(n): s for n, s in scores.items()} for scores in (self.train, self.test))
        by_peak = tuple(f.renamed(run, split) for f in self.by_peak)
        return replace(self, train=train, test=test, split=split(self.split), by_peak=by_peak)

    def __repr__(self) -> str:
        return fit_shown.line_of(self)

    def _repr_html_(self) -> str:
        return fit_shown.html_of(self)

    def _repr_latex_(self) -> str:
        return formula(law_named(self.law).latex)

    def to_frame(self) -> "pd.DataFrame":
        """A row a coefficient: its value, its 90 % interval (low, high; nan where there is none), state and meaning."""
        return fit_shown.coefficient_frame(self)

    def to_latex(self, caption: str = "", label: str = "") -> str:
        """The coefficients with their 90 % intervals as a table for a paper (booktabs, amsmath)."""
        return fit_shown.coefficients(self).latex(caption, label)

    def plot(self, runs: Iterable[Run]) -> Any:
        """Observed losses of `runs`, faint, and what the law says of them, as a plotly `Figure`. Extra `figures`.

        Runs that the law was not fitted to are dashed. Raises like `predict`.
        """
        from ..figures.of_records import of_model

        return of_model(self, runs)

    def to_dict(self) -> dict:
        """Plain values, in the order that the command line prints; `from_dict` reads them back."""
        d = asdict(replace(self, theta=dict(self.theta), interval=dict(self.interval), informed=None, by_peak=()))
        d["by_peak"] = [f.to_dict() for f in self.by_peak]
        d |= {"status": self.status.name, "coverage": self.coverage.to_dict()}
        d["informed"] = self.informed and self.informed.to_dict()
        first = ("law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds")
        return {k: d[k] for k in first} | {k: v for k, v in d.items() if k not in first}

    @classmethod
    def from_dict(cls, d: Mapping) -> "Fit":
        """A fit from `to_dict`'s values. Raises `OptLawsError` when they are not those of a fit."""
        try:
            law = law_named(d["law"])
            ends = {n: d["interval"].get(n) for n in law.names}
            free = coefficient_names(d.get("free", ()), law.names)
            return cls(
                law=law.name,
                # Fits that were stored before the law had a term in the model size or the peak lack its coefficients.
                theta={n: number(v, f"theta.{n}") for n, v in law.complete(d["theta"]).items()},
                interval={n: optional(pair, v, f"interval.{n}") for n, v in ends.items()},
                status=Status[d["status"]],
                message=str(d["message"]),
                objective=number(d["objective"], "objective"),
                train=scores_from_dict(d["train"], "train"),
                test=scores_from_dict(d.get("test", {}), "test"),
                coverage=_coverage(d["coverage"]),
                split=str(d.get("split", "train")),
                locked=tuple(map(str, d.get("locked", ()))),
                from_step=None if d.get("from_step") is None else int(number(d["from_step"], "from_step")),
                seconds=number(d.get("seconds", 0.0), "seconds"),
                free=free,
                shared=tuple(map(str, d.get("shared", ()))),
                covariance=square(d.get("covariance", ()), len(free)),
                misfit=optional(error, d.get("misfit"), "misfit"),
                left_out=optional(error, d.get("left_out"), "left_out"),
                informed=None if d.get("informed") is None else informed_from_dict(d["informed"]),
                begin=None if d.get("begin") is None else int(number(d["begin"], "begin")),
                by_peak=_by_peak(d.get("by_peak", ()), law.name),
                peak_power=share(d.get("peak_power", 1.0), "peak_power"),
            )
        except (KeyError, TypeError, AttributeError, IndexError) as fault:
            raise OptLawsError(f"This is not a fit: {amiss(fault)}.") from None


@dataclass(frozen=True)
class Average(JsonRecord):
    """Fits of several laws to the same runs. Its loss is the geometric mean of theirs under `weights` of sum 1."""

    fits: tuple[Fit, ...]
    weights: tuple[float, ...]
    train: Mapping[str, Scores]
    test: Mapping[str, Scores]
    misfit: float  # as a fit's, of the average itself
    left_out: float | None

    @property
    def parts(self) -> tuple[tuple[Fit, float], ...]:
        """The fits that predict, and their weights: those above 0."""
        return tuple((f, w) for f, w in zip(self.fits, self.weights, strict=True) if w > 0)

    @property
    def members(self) -> tuple[Fit, ...]:
        """Those of the fits that count."""
        return tuple(member for fit, _ in self.parts for member in fit.members)

    def parts_at(self, peak: float) -> tuple[tuple[Fit, float], ...]:
        """The fits that predict schedules of this peak rate, and their weights."""
        return tuple((f, w * share) for fit, w in self.parts for f, share in fit.parts_at(peak))

    @property
    def single(self) -> None:
        """No fit stands alone here."""
        return None

    @property
    def title(self) -> str:
        """What the average is called."""
        return f"Average of {len(self.fits)} laws"

    @property
    def coverage(self) -> Coverage:
        """What the training runs cover."""
        return self.fits[0].coverage

    @property
    def split(self) -> str:
        """Which losses of the runs were fitted."""
        return self.fits[0].split

    @property
    def from_step(self) -> int | None:
        """As of the fits."""
        return self.fits[0].from_step

    @property
    def first_step(self) -> int | None:
        """As of the fits."""
        return self.fits[0].first_step

    @property
    def seconds(self) -> float:
        """All fits together."""
        return sum(f.seconds for f in self.fits)

    @property
    def held_out_rmse(self) -> float | None:
        """Mean over held-out runs of their RMSE, or None without any."""
        return _mean_rmse(self.test)

    @property
    def expected_error(self) -> float:
        """Relative error to expect on an unseen run, from misfit and left-out runs."""
        return _expected_error(self.misfit, self.left_out)

    @property
    def doubts(self) -> list[str]:
        """How the searches of the fits that count ended, as far as that speaks against predictions."""
        return [sentence for fit, _ in self.parts for sentence in fit.doubts]

    def reasons(self, schedule: Schedule | Plan) -> tuple[str, ...]:
        """As of the fits that count."""
        return tuple(dict.fromkeys(reason for fit, _ in self.parts for reason in fit.reasons(schedule)))

    @property
    def has_bands(self) -> bool:
        """Whether a coefficient of any fit has a known error."""
        return any(f.has_bands for f in self.fits)

    def map_fits(self, change: Callable[[Fit], Fit]) -> "Average":
        """The average with every fit in it changed."""
        return replace(self, fits=tuple(f.map_fits(change) for f in self.fits))

    def renamed(self, run: Rename, split: Rename) -> "Average":
        """The average with other names of runs and of their split."""
        train, test = ({run(n): s for n, s in scores.items()} for scores in (self.train, self.test))
        return replace(self, fits=tuple(f.renamed(run, split) for f in self.fits), train=train, test=test)

    def __repr__(self) -> str:
        return fit_shown.line_of_average(self)

    def _repr_html_(self) -> str:
        return fit_shown.html_of_average(self)

    def to_frame(self) -> "pd.DataFrame":
        """A row a law: misfit, error on left-out runs, held-out RMSE, weight in the average, how the search ended."""
        return fit_shown.law_frame(self.fits, self.weights)

    def to_latex(self, caption: str = "", label: str = "") -> str:
        """The laws, their errors and weights as a table for a paper (booktabs)."""
        return fit_shown.laws(self.fits, self.weights).latex(caption, label)

    def plot(self, runs: Iterable[Run]) -> Any:
        """Observed losses of `runs`, faint, and what the average says of them, as a plotly `Figure`. Extra `figures`.

        Runs that the average was not fitted to are dashed. Raises like `predict`.
        """
        from ..figures.of_records import of_model

        return of_model(self, runs)

    def to_dict(self) -> dict:
        """Plain values; `from_dict` reads them back."""
        return asdict(replace(self, fits=(), train=dict(self.train), test=dict(self.test))) | {
            "fits": [f.to_dict() for f in self.fits]
        }

    @classmethod
    def from_dict(cls, d: Mapping) -> "Average":
        """An average from `to_dict`'s values. Raises `OptLawsError` when they are not those of one."""
        try:
            fits, weights = tuple(map(Fit.from_dict, d["fits"])), tuple(number(w, "weights") for w in d["weights"])
            if not fits or len(fits) != len(weights) or abs(sum(weights) - 1) > 1e-6 or min(weights) < 0:
                raise OptLawsError("This is not an average: it needs a weight of 0 or more for every fit, of sum 1.")
            return cls(
                fits,
                weights,
                scores_from_dict(d["train"], "train"),
                scores_from_dict(d["test"], "test"),
                error(d["misfit"], "misfit"),
                optional(error, d.get("left_out"), "left_out"),
            )
        except (KeyError, TypeError, AttributeError, IndexError) as fault:
            raise OptLawsError(f"This is not an average: {amiss(fault)}.") from None


def model_from_dict(d: object) -> Fit | Average:
    """A fit or an average from plain values. Raises `OptLawsError` when they are those of neither."""
    if not isinstance(d, Mapping):
        raise OptLawsError("This is not a fit: a value in it has the wrong type.")
    return Average.from_dict(d) if "weights" in d else Fit.from_dict(d)


def _mean_rmse(scores: Mapping[str, Scores]) -> float | None:
    return float(np.mean([s.rmse for s in scores.values()])) if scores else None


def _expected_error(misfit: float | None, left_out: float | None) -> float:
    if misfit is None or left_out is None:
        return next((e for e in (misfit, left_out) if e is not None), np.inf)
    return float(np.hypot(misfit, left_out))


def _by_peak(rows: Sequence[Mapping], law: str) -> tuple[Fit, ...]:
    found = tuple(map(Fit.from_dict, rows))
    if any(f.law != law or f.by_peak for f in found):
        raise OptLawsError("This is not a fit: those by peak rate must be of the same law, and have none themselves.")
    return found


def _coverage(d: Mapping) -> Coverage:
    """Sizes, batches, warm-ups and idle shares are missing from fits that were stored before they were kept."""
    peak, (shortest, longest) = (pair(d[k], f"coverage.{k}") for k in ("peak", "total"))
    later = ("params", "batch_tokens", "warmup", "idle", "auxiliary")
    found: dict[str, Any] = {k: optional(pair, d.get(k), f"coverage.{k}") for k in later}
    return Coverage(peak, (int(shortest), int(longest)), **found)


__all__ = ["Average", "Coverage", "Fit", "Model", "Scores", "Status", "model_from_dict"]

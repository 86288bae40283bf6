"""What a fit is: a law's coefficients, how the search ended, and how well it did. Plain records, stored as JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..arrays import FloatArray
from ..errors import OptLawsError, amiss, unread
from ..laws import law_named
from ..runs import Plan, Run
from ..schedules import Schedule
from ..text import shortened

T = TypeVar("T")


class Status(Enum):
    """How a fit ended; the value is the sentence that the user reads."""

    converged = "Converged."
    at_bound = (
        "Converged with a coefficient on its bound, so the optimum may lie outside or the runs do not determine it."
    )
    out_of_steps = "Stopped before converging; these are the best coefficients seen."
    weak = "Converged, but the runs hardly determine some coefficients; trust the curves more than the coefficients."
    tuned = "Set by hand, not fitted."


@dataclass(frozen=True)
class Scores:
    """Errors of a law on one run, observed minus predicted, in the loss's unit; relative ones as fractions of it."""

    n: int
    mae: float
    rmse: float
    r2: float | None  # None for a run of equal losses
    mean_rel: float
    worst_rel: float

    @classmethod
    def of(cls, observed: FloatArray, predicted: FloatArray) -> "Scores":
        """Scores of predicted against observed losses, both (n,)."""
        error, relative = observed - predicted, np.abs(observed - predicted) / observed
        spread = float(((observed - observed.mean()) ** 2).sum())
        r2 = 1 - float((error**2).sum()) / spread if spread > 0 else None
        rmse = float(np.sqrt((error**2).mean()))
        return cls(len(error), float(np.abs(error).mean()), rmse, r2, float(relative.mean()), float(relative.max()))


@dataclass(frozen=True)
class Coverage:
    """What the training runs cover; predictions outside are extrapolation."""

    peak: tuple[float, float]
    total: tuple[int, int]
    params: tuple[float, float] | None = None  # model sizes; None where a run does not tell
    batch_tokens: tuple[float, float] | None = None
    asked: tuple[float | None, float | None] = (None, None)  # size and batch that a user names; not stored with a fit

    @property
    def usual(self) -> tuple[float | None, float | None]:
        """Model size and batch of bare schedules: those asked for, else the training runs', where all have the same."""
        common = (ends[0] if ends and ends[0] == ends[1] else None for ends in (self.params, self.batch_tokens))
        return tuple(named or own for named, own in zip(self.asked, common, strict=True))

    def plan(self, schedule: Schedule) -> Plan:
        """`schedule` with the usual model size and batch."""
        return Plan(schedule, *self.usual)

    def to_dict(self) -> dict:
        """Plain values, what a user asked for left out."""
        d = asdict(self)
        del d["asked"]
        return d

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Coverage":
        """Smallest and largest peak, horizon (as far as the runs were observed), model size and batch."""
        peaks = [r.plan.schedule.peak for r in runs]
        totals = [min(r.plan.schedule.total, round(r.steps[-1] + np.median(np.diff(r.steps)))) for r in runs]
        sizes, batches = ([getattr(r.plan, what) for r in runs] for what in ("params", "batch_tokens"))
        known = (None if None in values else (min(values), max(values)) for values in (sizes, batches))
        return cls((min(peaks), max(peaks)), (min(totals), max(totals)), *known)


@dataclass(frozen=True)
class Fit:
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

    @property
    def parts(self) -> tuple[tuple["Fit", float], ...]:
        """The fits that predict, and their weights: this one alone."""
        return ((self, 1.0),)

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
    def vector(self) -> FloatArray:
        """Coefficients in the law's order."""
        return law_named(self.law).vector(self.theta)

    @property
    def held_out_rmse(self) -> float | None:
        """Mean over held-out runs of their RMSE, or None without any."""
        return float(np.mean([s.rmse for s in self.test.values()])) if self.test else None

    @property
    def expected_error(self) -> float:
        """Relative error to expect on an unseen run, from misfit and left-out runs; infinite where neither is known."""
        known = [e for e in (self.misfit, self.left_out) if e is not None]
        return float(np.hypot(*known)) if len(known) == 2 else known[0] if known else np.inf

    def to_dict(self) -> dict:
        """Plain values, in the order that the command line prints; `from_dict` reads them back."""
        d = asdict(replace(self, theta=dict(self.theta), interval=dict(self.interval)))
        d |= {"status": self.status.name, "coverage": self.coverage.to_dict()}
        first = ("law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds")
        return {k: d[k] for k in first} | {k: v for k, v in d.items() if k not in first}

    @classmethod
    def from_dict(cls, d: Mapping) -> "Fit":
        """A fit from `to_dict`'s values. Raises `OptLawsError` when they are not those of a fit."""
        try:
            law = law_named(d["law"])
            ends = {n: d["interval"].get(n) for n in law.names}
            free = _names(d.get("free", ()), law.names)
            return cls(
                law=law.name,
                # Fits that were stored before the law had a term in the model size or the peak lack its coefficients.
                theta={n: _number(v, f"theta.{n}") for n, v in law.complete(d["theta"]).items()},
                interval={n: None if v is None else _pair(v, f"interval.{n}") for n, v in ends.items()},
                status=Status[d["status"]],
                message=str(d["message"]),
                objective=_number(d["objective"], "objective"),
                train=_scores(d["train"], "train"),
                test=_scores(d.get("test", {}), "test"),
                coverage=_coverage(d["coverage"]),
                split=str(d.get("split", "train")),
                locked=tuple(map(str, d.get("locked", ()))),
                from_step=None if d.get("from_step") is None else int(_number(d["from_step"], "from_step")),
                seconds=_number(d.get("seconds", 0.0), "seconds"),
                free=free,
                shared=tuple(map(str, d.get("shared", ()))),
                covariance=_square(d.get("covariance", ()), len(free)),
                misfit=_error(d.get("misfit"), "misfit"),
                left_out=_error(d.get("left_out"), "left_out"),
            )
        except (KeyError, TypeError, AttributeError, IndexError) as fault:
            raise OptLawsError(f"This is not a fit: {amiss(fault)}.") from None

    def save(self, path: Path) -> None:
        """Write the fit as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Average:
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
    def seconds(self) -> float:
        """All fits together."""
        return sum(f.seconds for f in self.fits)

    held_out_rmse = Fit.held_out_rmse
    expected_error = Fit.expected_error

    def to_dict(self) -> dict:
        """Plain values; `load_fit` reads them back."""
        return asdict(replace(self, fits=(), train=dict(self.train), test=dict(self.test))) | {
            "fits": [f.to_dict() for f in self.fits]
        }

    @classmethod
    def from_dict(cls, d: Mapping) -> "Average":
        """An average from `to_dict`'s values. Raises `OptLawsError` when they are not those of one."""
        try:
            fits, weights = tuple(map(Fit.from_dict, d["fits"])), tuple(_number(w, "weights") for w in d["weights"])
            if not fits or len(fits) != len(weights) or abs(sum(weights) - 1) > 1e-6 or min(weights) < 0:
                raise OptLawsError("This is not an average: it needs a weight of 0 or more for every fit, of sum 1.")
            return cls(
                fits, weights, _scores(d["train"], "train"), _scores(d["test"], "test"),
                _error(_number(d["misfit"], "misfit"), "misfit"), _error(d.get("left_out"), "left_out"),
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError, IndexError) as fault:
            raise OptLawsError(f"This is not an average: {amiss(fault)}.") from None

    save = Fit.save


Model = Fit | Average  # what predicts


def load_fit(path: Path) -> Model:
    """A fit or an average from a JSON file. Raises `OptLawsError` with the reason when there is none in it."""

    def made(known: object) -> Model:
        return Average.from_dict(known) if isinstance(known, dict) and "weights" in known else Fit.from_dict(known)

    return stored(path, made, "a fit is a JSON file written by the fit command")


def stored(path: Path, made: Callable[[Mapping], T], rule: str) -> T:
    """What `made` makes of a JSON file. Raises `OptLawsError` that names the file, and `rule` where it is no JSON."""
    try:
        return made(json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise OptLawsError(f"{path}: there is no such file.") from None
    except OptLawsError as fault:
        raise OptLawsError(f"{path}: {fault}") from None
    except (OSError, ValueError, RecursionError) as fault:
        raise OptLawsError(f"{path}: {rule}, but {unread(fault)}.") from None


def _number(value: object, name: str) -> float:
    """A finite number out of JSON, its type unchanged. Raises `OptLawsError` with the name of what it stands for."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise OptLawsError(
            f"This is not a fit: {shortened(name, 100)} must be a finite number, got {str(value)[:40]!r}."
        )
    return value


def _error(value: object, name: str) -> float | None:
    """An error of 0 or more, or None."""
    if value is not None and _number(value, name) < 0:
        raise OptLawsError(f"This is not a fit: {name} must be 0 or more, got {value}.")
    return value


def _names(given: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Coefficients that a covariance is about, each once."""
    if len(set(given)) != len(given) or not set(given) <= set(known):
        raise OptLawsError(f"This is not a fit: free must name coefficients of the law, each once, got {given!r:.60}.")
    return tuple(given)


def _square(rows: Sequence[Sequence[float]], n: int) -> tuple[tuple[float, ...], ...]:
    """A covariance of `n` coefficients, or none."""
    if rows and len(rows) != n or any(len(row) != n for row in rows):
        raise OptLawsError(f"This is not a fit: covariance must have {n} rows of {n} numbers, as free has names.")
    return tuple(tuple(_number(v, "covariance") for v in row) for row in rows)


def _pair(value: object, name: str) -> tuple[float, float]:
    """Two numbers, the lower first."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise OptLawsError(f"This is not a fit: {name} must be two numbers, got {str(value)[:40]!r}.")
    low, high = (_number(v, name) for v in value)
    if low > high:
        raise OptLawsError(f"This is not a fit: {name} must hold the lower number first, got {low} and {high}.")
    return low, high


def _coverage(d: Mapping) -> Coverage:
    """Sizes and batches are missing from fits that were stored before they were kept."""
    needed = (_pair(d[k], f"coverage.{k}") for k in ("peak", "total"))
    told = (None if d.get(k) is None else _pair(d[k], f"coverage.{k}") for k in ("params", "batch_tokens"))
    return Coverage(*needed, *told)


def _scores(d: Mapping, name: str) -> dict[str, Scores]:
    """Scores by run. Only R² may be missing."""
    for run, row in d.items():
        for key, value in row.items():
            if not (key == "r2" and value is None):
                _number(value, f"{name}.{run}.{key}")
    return {str(run): Scores(**row) for run, row in d.items()}

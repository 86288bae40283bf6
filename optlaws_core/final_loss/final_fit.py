"""A fitted final-loss law as plain values, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..errors import OptLawsError, amiss
from ..fitting.coverage import Coverage, outside
from ..fitting.json_values import JsonRecord
from ..fitting.scores import Status
from ..prediction.divergence import Risk
from ..runs import Plan
from ..schedules import Schedule
from ..text import shortened
from .final_laws import LINE, LOG_LINEAR, final_law
from .table import TableRun
from .texts import TextStep
from .transfer import Transfer


@dataclass(frozen=True)
class End:
    """A run's final loss, predicted and observed, and the one over the other, minus 1."""

    predicted: float
    observed: float
    rel_error: float

    @classmethod
    def of(cls, runs: Sequence[TableRun], predicted: FloatArray) -> "dict[str, End]":
        """Ends by name of run, from predictions (runs,)."""
        rows = ((r.name, float(p), r.final_loss) for r, p in zip(runs, predicted, strict=True))
        return {name: cls(p, observed, p / observed - 1) for name, p, observed in rows}


@dataclass(frozen=True)
class FinalFit(JsonRecord):
    """A final-loss law with coefficients, how far to trust it, and what its table says of divergence and of children.

    Plain values, stored as JSON; the keys that a curve fit has, too, mean the same.
    """

    law: str
    theta: Mapping[str, float]
    interval: Mapping[str, tuple[float, float] | None]  # 90 %; None where held or on a bound
    status: Status
    message: str
    objective: float  # Σ Huber(log residual) over the training runs
    train: Mapping[str, End]
    coverage: Coverage
    references: Mapping[str, float]  # N0 in parameters, B0 in tokens; of the log-linear law also μ and κ
    strength: float  # of the priors, or the ridge of the log-linear law
    test: Mapping[str, End] = field(default_factory=dict)  # runs that the fit, or the fit of their fold, did not see
    folds: int = 0  # parts of the cross-validation that gave `test`; 0: runs that were held out
    free: tuple[str, ...] = ()
    covariance: tuple[
        tuple[float, ...], ...
    ] = ()  # of the coefficients in `free`, in search coordinates, then of `steps`
    left_out: float | None = None  # log error that 90 % of left-out training runs stay below; None: not tried
    seconds: float = 0.0
    risk: Risk | None = None  # None where too few runs diverged to learn from
    transfers: Mapping[str, Transfer] = field(default_factory=dict)  # by the text that children of runs learn
    text: str = ""  # that most training runs learned; empty where their table does not name it
    steps: Mapping[str, TextStep] = field(default_factory=dict)  # by the other texts, learned from a random start

    @property
    def title(self) -> str:
        """What the fit is called: its law."""
        return final_law(self.law).title

    @property
    def misfit(self) -> float:
        """Root mean square log error on the training runs."""
        logs = [np.log(end.predicted / end.observed) for end in self.train.values()]
        return float(np.sqrt(np.mean(np.square(logs))))

    @property
    def texts(self) -> tuple[str, ...]:
        """Texts that are known by name and were learned from a random start, that of most runs first."""
        return tuple(t for t in (self.text, *self.steps) if t)

    @property
    def doubts(self) -> list[str]:
        """How the search ended, as far as that speaks against predictions."""
        return [] if self.status is Status.converged else [self.message]

    def reasons(self, schedule: Schedule | Plan) -> tuple[str, ...]:
        """Sentences on how a schedule or plan leaves what the training runs cover; empty when it stays inside."""
        return outside(self.coverage, schedule)

    @property
    def held_out_error(self) -> float | None:
        """Mean size of the relative error over `test`, or None without any."""
        return float(np.mean([abs(end.rel_error) for end in self.test.values()])) if self.test else None

    def to_dict(self) -> dict:
        """Plain values, in the order of a curve fit; `from_dict` reads them back."""
        plain = replace(
            self,
            theta=dict(self.theta),
            interval=dict(self.interval),
            train=dict(self.train),
            test=dict(self.test),
            references=dict(self.references),
            risk=None,
            transfers={},
            steps={},
        )
        d = asdict(plain) | {
            "status": self.status.name,
            "coverage": self.coverage.to_dict(),
            "risk": self.risk and self.risk.to_dict(),
            "transfers": {text: asdict(transfer) for text, transfer in self.transfers.items()},
            "steps": {text: asdict(step) for text, step in self.steps.items()},
        }
        first = ("law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds")
        return {k: d[k] for k in first} | {k: v for k, v in d.items() if k not in first}

    @classmethod
    def from_dict(cls, d: Mapping) -> "FinalFit":
        """A fit from `to_dict`'s values. Raises `OptLawsError` when they are not those of one."""
        try:
            law = final_law(d["law"])
            theta, references = (_numbers(d[name], name) for name in ("theta", "references"))
            free = tuple(map(str, d["free"]))
            covariance = tuple(tuple(_finite(v, "covariance") for v in row) for row in d["covariance"])
            needed = {p.name for p in law.params} if law.params else set(LINE)
            if needed - set(theta) or {"N0", "B0"} - set(references) or not set(free) <= needed:
                raise KeyError("theta, references or free")
            steps = {
                str(text): _step(s, f"steps.{text}") for text, s in d.get("steps", {}).items()
            }  # old fits have none
            size = len(free) + len(steps)
            if np.shape(covariance) != (size, size) and (covariance or steps):
                raise KeyError("covariance")
            if law.name == LOG_LINEAR and {"mu", "kappa"} - set(references):
                raise KeyError("references")
            train, test = ({str(n): End(**_numbers(e, f"{k}.{n}")) for n, e in d[k].items()} for k in ("train", "test"))
            return cls(
                law.name,
                theta,
                {k: None if v is None else (v[0], v[1]) for k, v in d["interval"].items()},
                Status[d["status"]],
                str(d["message"]),
                _finite(d["objective"], "objective"),
                train,
                _coverage(d["coverage"]),
                references,
                _finite(d["strength"], "strength"),
                test,
                int(d["folds"]),
                free,
                covariance,
                None if d["left_out"] is None else _finite(d["left_out"], "left_out"),
                _finite(d["seconds"], "seconds"),
                d["risk"] and Risk.from_dict(d["risk"]),
                {str(text): _transfer(t, f"transfers.{text}") for text, t in d["transfers"].items()},
                str(d.get("text", "")),
                steps,
            )
        except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as fault:
            if isinstance(fault, OptLawsError):
                raise
            raise OptLawsError(f"This is not a final-loss fit: {amiss(fault)}.") from None


def _coverage(d: Mapping) -> Coverage:
    ends: dict[str, Any] = {k: None if v is None else (_finite(v[0], k), _finite(v[1], k)) for k, v in d.items()}
    return Coverage(**ends)


def _numbers(d: Mapping, name: str) -> dict[str, float]:
    return {str(k): _finite(v, f"{name}.{k}") for k, v in d.items()}


def _transfer(d: Mapping, name: str) -> Transfer:
    rows = tuple(tuple(_finite(v, f"{name}.covariance") for v in row) for row in d["covariance"])
    if np.shape(rows) != (3, 3):
        raise KeyError(f"{name}.covariance")
    numbers: dict[str, Any] = _numbers({k: v for k, v in d.items() if k != "covariance"}, name)
    return Transfer(**numbers, covariance=rows)


def _step(d: Mapping, name: str) -> TextStep:
    numbers: dict[str, Any] = _numbers(d, name)
    return TextStep(**numbers)


def _finite(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        what = f"{shortened(name, 100)} must be a finite number"
        raise OptLawsError(f"This is not a final-loss fit: {what}, got {str(value)[:40]!r}.")
    return value


__all__ = ["End", "FinalFit"]

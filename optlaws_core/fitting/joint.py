"""Several model sizes fitted together: what the law declares as shared is one coefficient, the rest is each size's own.

What comes back is a plain `Fit` for each size. A law whose formula knows the model size can instead be fitted to all
runs at once with `fitting.fit`; here each size is fitted without that term.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, FitError
from ..laws import Law, law_named
from ..parallel import one_thread
from ..runs import Run
from ..text import format_number
from .covariance import Uncertainty, uncertainty
from .least_squares import HUBER, MAX_STEPS, End, LeastSquares, Progress, lowest
from .result import Fit
from .single import averaged, check_unique, finish, usable


class Joint(LeastSquares):
    """The problems of several sizes as one. Coordinates: the shared coefficients, then each problem's own ones.

    It descends and has residuals like a single one; natural coefficients and costs are those of its `parts`.
    """

    convex = False

    def __init__(self, law: Law, parts: Sequence[LeastSquares], sizes: Sequence[float]) -> None:
        self.parts = list(parts)
        self.shared = [p for p in law.params if p.name in law.shared and all(p in part.params for part in parts)]
        self.params, self.places = list(self.shared), []
        for part, size in zip(parts, sizes, strict=True):
            own: list[int] = []
            for p in part.params:
                if p in self.shared:
                    own.append(self.shared.index(p))
                else:
                    own.append(len(self.params))
                    self.params.append(replace(p, name=f"{p.name} at {format_number(size)}"))
            self.places.append(np.array(own, np.intp))
        self.law = replace(law, params=tuple(self.params))
        self.free = list(range(len(self.params)))
        self.runs = [r for part in parts for r in part.runs]
        ends = np.cumsum([0, *(len(part.data) for part in parts)]).tolist()
        self.linear = np.zeros(len(self.params), bool)
        for part, place in zip(parts, self.places, strict=True):
            self.linear[place] = part.linear
        self.slices = tuple(
            slice(s.start + e, s.stop + e) for part, e in zip(parts, ends, strict=False) for s in part.slices
        )
        self._set_bounds_and_priors()

    def of(self, z: FloatArray) -> list[FloatArray]:
        """Search coordinates of each part, (free,) each, from the joint ones."""
        return [z[place] for place in self.places]

    def together(self, parts: Sequence[FloatArray]) -> FloatArray:
        """Joint coordinates from those of each part; shared ones are averaged."""
        total, times = np.zeros(len(self.free)), np.zeros(len(self.free))
        for x, place in zip(parts, self.places, strict=True):
            total[place] += x
            times[place] += 1
        return total / times

    def residuals(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log predicted minus log observed of all parts, (n,), and the Jacobian in joint coordinates, (n, free)."""
        found = [part.residuals(y) for part, y in zip(self.parts, self.of(x), strict=True)]
        J = np.zeros((sum(len(r) for r, _ in found), len(self.free)))
        row = 0
        for (r, slopes), place in zip(found, self.places, strict=True):
            J[row : row + len(r), place] = slopes
            row += len(r)
        return np.concatenate([r for r, _ in found]), J

    def starts(self, own: Sequence[FloatArray]) -> list[FloatArray]:
        """Where the joint search begins: the shared coefficients at their mean, and at what each size alone has.

        Coefficients in which the law is linear are solved for again; the other ones are kept.
        """
        places = range(len(self.shared))
        mean = self.together(own)[: len(self.shared)]
        alone = [np.array([x[list(place).index(i)] for i in places]) for x, place in zip(own, self.places, strict=True)]
        return [
            self.together([self._moved(part, x, values) for part, x in zip(self.parts, own, strict=True)])
            for values in (mean, *alone)
        ]

    def _moved(self, part: LeastSquares, x: FloatArray, values: FloatArray) -> FloatArray:
        """Coordinates of one part with the shared coefficients at `values` and the linear ones solved for."""
        given = dict(zip(part.law.names, part.natural(x), strict=True))
        given |= {p.name: float(p.from_scale(v)) for p, v in zip(self.shared, values, strict=True)}
        solved = {p.name for p in part.params if p.name in part.law.linear and p not in self.shared}
        return part.coordinates(part.with_linear_part({n: v for n, v in given.items() if n not in solved}))


@one_thread()
def fit_sizes(
    law: Law | str,
    runs: Sequence[Run],
    *,
    test: Sequence[Run] = (),
    locked: Mapping[str, float] | None = None,
    from_step: int | None = None,
    progress: Progress | None = None,
) -> dict[float, Fit]:
    """Fit `law` to runs of several model sizes at once: fits by size N, smallest first, with `law.shared` in common.

    Arguments and errors are those of `fitting.fit`, which also gives the same fits where nothing is shared. Raises
    `DesignError` for a run without a declared size, or a held-out one of a size that no training run has.
    """
    began = time.perf_counter()
    law = law_named(law) if isinstance(law, str) else law
    check_unique(runs, test)
    by_size = {n: [usable(r, from_step) for r in some] for n, some in _sizes(runs).items()}
    tests = _sizes(test)
    for size, some in tests.items():
        if size not in by_size:
            raise DesignError(
                f"Run {some[0].name!r} has {format_number(size)} parameters; the training runs have "
                f"{', '.join(map(format_number, by_size))}."
            )
    report = progress or (lambda share, best: None)
    parts = [LeastSquares(law, [averaged(r) for r in train], dict(locked or {})) for train in by_size.values()]
    joint = Joint(law, parts, list(by_size))
    own = []
    for i, part in enumerate(parts):

        def one_of_all(share: float, best: float, i: int = i) -> bool | None:
            return report((i + share) / len(parts) / 2, best)

        own.append(part.search(None, one_of_all))
    x, finished = [x for x, _, _ in own], [done for _, _, done in own]
    known = [uncertainty(part, y, HUBER) for part, y in zip(parts, x, strict=True)]
    if joint.shared and len(parts) > 1:
        z, done = _descended(joint, joint.starts(x), report)
        x, finished = joint.of(z), [done] * len(parts)
        found = uncertainty(joint, z, HUBER)
        known = [
            Uncertainty(
                None if found.covariance is None else found.covariance[np.ix_(place, place)],
                dict.fromkeys(law.names)
                | {p.name: found.interval[joint.params[k].name] for p, k in zip(part.params, place, strict=True)},
            )
            for part, place in zip(parts, joint.places, strict=True)
        ]
    report(1.0, sum(part.cost(part.natural(y)) for part, y in zip(parts, x, strict=True)))
    fits, shared = {}, tuple(p.name for p in joint.shared) if len(parts) > 1 else ()
    for (size, train), part, y, done, told in zip(by_size.items(), parts, x, finished, known, strict=True):
        fit = finish(part, y, done, told, train, tests.get(size, ()), from_step)
        fits[size] = replace(
            fit, message=fit.message + _shared_with(joint, size, by_size), shared=shared, locked=tuple(locked or ())
        )
    seconds = time.perf_counter() - began
    return {size: replace(fit, seconds=seconds) for size, fit in fits.items()}


def _sizes(runs: Sequence[Run]) -> dict[float, list[Run]]:
    """Runs by model size, smallest first. Raises `DesignError` for one whose size nobody tells."""
    found: dict[float, list[Run]] = {}
    for r in runs:
        if r.plan is None or r.plan.params is None:
            raise DesignError(f"Run {r.name!r} has no model size; a fit of several sizes needs that of every run.")
        found.setdefault(float(r.plan.params), []).append(r)
    return dict(sorted(found.items()))


def _descended(joint: Joint, starts: Sequence[FloatArray], report: Progress) -> tuple[FloatArray, bool]:
    """The lowest end of a descent from every start, and whether the search had converged there."""
    ends: list[End] = []
    for i, z in enumerate(starts):
        so_far = min((end.cost for end in ends), default=np.inf)

        def told(n: int, i=i, so_far=so_far) -> bool | None:
            return report(0.5 + 0.5 * (i + 1 - 0.9**n) / len(starts), so_far)

        ends.append(joint.descend(z, MAX_STEPS, told))
    best = lowest(ends)
    if not np.isfinite(best.cost):
        raise FitError(f"{joint.law.title}: no starting point gave finite losses on these runs.", best.x)
    return best.x, best.finished


def _shared_with(joint: Joint, size: float, sizes: Mapping[float, object]) -> str:
    """A sentence on what a size has in common with the others; empty where there is no other."""
    others = [format_number(n) for n in sizes if n != size]
    if not others:
        return ""
    if not joint.shared:
        return (
            f" This law shares no coefficient between sizes, so runs of {', '.join(others)} parameters were not used."
        )
    names = ", ".join(p.name for p in joint.shared)
    have = "is" if len(joint.shared) == 1 else "are"
    return f" {names} {have} shared with the runs of {', '.join(others)} parameters."


__all__ = ["Joint", "fit_sizes"]

"""Learns the priors that fits are made under from the groups of runs at hand, and writes the file of numbers.

    python -m benchmarks priors [--out optlaws_core/fitting/priors.json]

Each group of several schedules is fitted under a vague prior, which only keeps coefficients that its runs do not
determine in sight. Mean and covariance of the scale-free coordinates over the groups, with the weights of a Student
distribution (Lange, Little and Taylor 1989) and half of what the single fits are unsure of, are the prior. Groups of
one family count 1/√n each. Left out: regressions that are no language model (`mlp`), peaks of the sweep more than an
octave from the usual one, where its fits mean little, and sweep groups of fewer than four runs.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from optlaws_core.errors import FitError
from optlaws_core.fitting.priors import FILE, Prior
from optlaws_core.fitting.single import usable
from optlaws_core.fitting.under_prior import posterior
from optlaws_core.laws import law_named
from optlaws_core.runs import Run

from .groups import USUAL_PEAK, Group, groups
from .table import has_public, show

LAWS = ("opt_laws_curve", "opt_laws_sublinear")
VAGUE = {  # mean and standard deviation of each coordinate
    "opt_laws_curve": ((-2.5, -0.755, 0.6, 0.0, 7.0, 0.3), (2.0, 0.4, 0.9, 1.5, 2.0, 0.4)),
    "opt_laws_sublinear": (
        (-3.0, -0.755, 0.6, 0.0, 8.0, 0.2, -0.4, -0.916),
        (2.0, 0.4, 0.8, 0.5, 2.0, 0.4, 0.7, 0.5),
    ),
}
MOST_RUNS = 10  # of a group that are fitted, evenly spread over its list
FROM = 0.1  # share of a group's shortest run that is left out at its beginning
UNSURE = 0.5  # share of the single fits' own covariance that counts
LEVEL = 0.5  # further standard deviation of the first coordinate: losses depend on the vocabulary
STUDENT = 6.0  # degrees of freedom of the weights
SOURCES = {
    "mpl": "multi_power_law, MIT, github.com/thu-yao-01-luo/MultiPowerLaw",
    "lrs": "lr-scheduling, MIT, github.com/fabian-sp/lr-scheduling",
    "c5m": "supercollapse, github.com/shikaiqiu/supercollapse",
    "mod": "modded-nanogpt, MIT, github.com/KellerJordan/modded-nanogpt",
    "sweep": "the project's own sweep, MIT, data/",
}


@dataclass(frozen=True, eq=False)
class Member:
    """A group's scale-free coordinates (k,) and their covariance (k, k) under the vague prior."""

    group: Group
    psi: np.ndarray
    spread: np.ndarray


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks priors", description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, default=FILE)
    chosen = options.parse_args()
    if not has_public():
        return
    laws = {}
    for law in LAWS:
        prior, within = learn(law), _within(members(law))
        laws[law] = {
            "mean": np.round(prior.mean, 4).tolist(),
            "covariance": np.round(prior.covariance, 5).tolist(),
            "within": np.round(within, 5).tolist(),
        }
        names = law_named(law).coordinates.names
        deviations, own = np.sqrt(np.diag(prior.covariance)), np.sqrt(np.diag(within))
        rows = zip(names, np.round(prior.mean, 2), np.round(deviations, 2), np.round(own, 2), strict=True)
        show((law, "mean", "standard deviation", "within a recipe"), list(rows))
    used = [m.group for m in members(LAWS[0])]
    sources = [{"group": g.name, "runs": len(g.runs), "source": SOURCES[g.family]} for g in used]
    made = "python -m benchmarks priors"
    # What bands are multiplied with is learned afterwards, by few_runs; until then it stays.
    before = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    found = before | {"made": made, "laws": laws, "learned_from": sources}
    chosen.out.write_text(json.dumps(found, indent=1) + "\n")


@cache
def members(law: str) -> tuple[Member, ...]:
    """Every group that counts, fitted under the vague prior."""
    found = (member(law, group) for group in groups() if counts(group))
    return tuple(m for m in found if m is not None)


def counts(group: Group) -> bool:
    """Whether a group is among those that priors are learned from."""
    if group.family == "sweep":
        _, size, peak, _ = group.name.split()
        return len(group.runs) > 3 and USUAL_PEAK[size] / 2.1 < float(peak) < USUAL_PEAK[size] * 2.1
    return group.family in ("mpl", "lrs", "mod") or (group.family == "c5m" and len(group.runs) > 1)


def member(law: str, group: Group) -> Member | None:
    """A group fitted under the vague prior; None where no start has finite losses."""
    names = list(group.runs)
    if len(names) > MOST_RUNS:
        names = [names[i] for i in np.linspace(0, len(names) - 1, MOST_RUNS).astype(int)]
    runs = begun([group.runs[n] for n in names], FROM)
    mean, deviation = VAGUE[law]
    vague = Prior(law, mean, tuple(map(tuple, (np.diag(deviation) ** 2).tolist())), "vague")
    try:
        # Of the explanations that one curve has, the one nearest to what is usual: no start aside of it.
        found = posterior(law_named(law), runs, {}, vague, aside=())
    except FitError:
        return None
    x, problem = found.x, found.problem
    coordinates = law_named(law).coordinates
    theta = problem.natural(x)
    whole = np.array([p.to_scale(v) for p, v in zip(problem.law.params, theta, strict=True)])
    J = coordinates.slopes(problem.law.names, whole, found.informed.scale)[:, problem.free]
    psi = coordinates.at(problem.law.names, whole, found.informed.scale)
    return Member(group, psi, J @ found.known.covariance @ J.T)


def begun(runs: Sequence[Run], share: float) -> list[Run]:
    """Runs from the end of their warm-up on, or from a share of the shortest one's steps where that is later."""
    first = int(share * min(r.steps[-1] for r in runs))
    return [usable(r, max(first, r.known_plan.schedule.warmup_end)) for r in runs]


@cache
def learn(law: str, without: frozenset[str] = frozenset()) -> Prior:
    """The prior of a law from all families but those `without`."""
    kept = [m for m in members(law) if m.group.family not in without]
    center, covariance = regressed(kept, np.ones((len(kept), 1)))
    return as_prior(law, center[0], covariance)


def as_prior(law: str, mean: np.ndarray, covariance: np.ndarray) -> Prior:
    """A law's prior of mean (k,) and covariance (k, k)."""
    return Prior(law, tuple(mean.tolist()), tuple(map(tuple, covariance.tolist())))


def weights(kept: Sequence[Member]) -> np.ndarray:
    """What each member counts, (members,), in all 1."""
    each = Counter(m.group.family for m in kept)
    found = np.array([each[m.group.family] ** -0.5 for m in kept])
    return found / found.sum()


def regressed(
    kept: Sequence[Member], design: np.ndarray, pull: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """How coordinates hang on what is known of the groups, (columns, k), and their covariance around that, (k, k).

    design: what is known, (members, columns), in its first column 1, whose coefficients are the mean; `pull`: how
    strongly those of the other columns are drawn to 0, by coordinate (k,), in units of all members' weight.
    """
    weight = weights(kept)
    X, V = np.array([m.psi for m in kept]), np.array([m.spread for m in kept])
    k = X.shape[1]
    others = np.diag(np.arange(design.shape[1]) > 0)
    drawn = np.multiply.outer(np.zeros(k) if pull is None else pull, others)  # (k, columns, columns)

    def solved(student: np.ndarray) -> np.ndarray:
        weighted = design.T * student
        told = (weighted @ X).T[:, :, None]
        return np.linalg.solve(weighted @ design + student.sum() * drawn, told)[:, :, 0].T

    unsure = np.average(V, axis=0, weights=weight)
    off = X - design @ (found := solved(weight))
    S = np.cov(off.T, aweights=weight) + 0.01 * np.eye(k)
    for _ in range(50):
        distance = np.einsum("ij,jk,ik->i", off, np.linalg.inv(S + UNSURE * unsure), off)
        student = weight * (STUDENT + k) / (STUDENT + distance)
        off = X - design @ (found := solved(student))
        S = np.einsum("i,ij,ik->jk", student, off, off) + 0.003 * np.eye(k)
    S = S + UNSURE * unsure
    S[0, 0] += LEVEL**2
    return found, S


def _within(found: Sequence[Member]) -> np.ndarray:
    """Covariance of coordinates among the groups of one family, (k, k): how settings of one recipe differ."""
    total, freedom = 0.0, 0
    for family in dict.fromkeys(m.group.family for m in found):
        X = np.array([m.psi for m in found if m.group.family == family])
        if len(X) > 1:
            off = X - np.median(X, axis=0)
            total, freedom = total + off.T @ off, freedom + len(X) - 1
    return np.asarray(total) / max(freedom, 1)


__all__ = [
    "LAWS",
    "Member",
    "as_prior",
    "begun",
    "counts",
    "learn",
    "main",
    "member",
    "members",
    "regressed",
    "weights",
]

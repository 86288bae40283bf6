"""AutoLRS (Jin et al. 2021, arXiv:2105.10762): training in stages of constant rate, each found by short probes.

Before a stage of τ updates, several rates are tried for τ/10 updates each from one checkpoint. An **exponential**
through the losses of a probe forecasts what its rate gives after τ updates; a **Gaussian process** over the logarithm
of the rate says where to probe next, by the lower confidence bound; then the stage is trained at the best rate tried.
`simulate_stages` plays this against a fitted law, which knows what losses any schedule would have given.

As in the authors' program: c + a·exp(−e^β·x); losses far from a smooth spline of degree 2 left out in ten rounds, the
worst 3 % in each, in the first half alone; ten probes; a bound that weighs the deviation so heavily that probes go
where least is known; stages that double until they are eight times the first. Otherwise: the spline has few knots and
only finds outliers; the losses themselves are fitted, by Huber's loss with the exact Jacobian; c is not below 0, and no
time constant is longer than the stage; the process knows how sure each forecast is; a probe that diverged counts as
the worst loss seen, not as a million, next to which all others would look alike; and nothing is drawn at random.

What to expect. A probe of a dozen losses says little; an interval counts their noise alone, not that a loss curve is
no exponential. And each stage is chosen for its own end, where a low rate looks better than it is for the run: decays
come too early, the run need not even beat the best constant rate, and a shape that decays once, at the end, does
better under the laws here.

forecast.py    the exponential through the losses of a stage
stages.py      the stages of a run, the next one, and what counts as a probe of it
proposal.py    which rate to probe next, or to train with
simulation.py  a whole run under a law, and what to hold it against
"""

from .proposal import KAPPA, PROBES, REACH, Proposal, Search, Tried, forecasts, propose_rate
from .simulation import Rival, Simulated, Trained, lengths, rivals, simulate_stages, simulate_with_rivals
from .stage_forecast import FEWEST, Exponential, exponential, inliers
from .stages import SHARE, Next, Stage, next_stage, probe_length, probe_of, stages_of

__all__ = [
    "FEWEST",
    "KAPPA",
    "PROBES",
    "REACH",
    "SHARE",
    "Exponential",
    "Next",
    "Proposal",
    "Rival",
    "Search",
    "Simulated",
    "Stage",
    "Trained",
    "Tried",
    "exponential",
    "forecasts",
    "inliers",
    "lengths",
    "next_stage",
    "probe_length",
    "probe_of",
    "propose_rate",
    "rivals",
    "simulate_stages",
    "simulate_with_rivals",
    "stages_of",
]

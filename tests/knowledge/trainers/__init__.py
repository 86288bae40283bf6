"""Twins of the trainers: what a trainer makes of an exported file, one module for each of `TARGETS` that is one.

`twin(text, peak, total)` reads an export back and gives the rates of its updates, a list of `total`: the trainer's rule
in own words, one update at a time, in the order in which its training loop goes. It gives None where transformers gets
code. `coded`, with the same arguments, gives the rates of the code that stands in for options that are too far off, put
to use as the export says. `real`, where there is one, has the same arguments, and asks the trainer's own scheduler; it
is skipped where the trainer is not installed. `EXPRESSED` names the schedules of `NAMED` whose export has to be exact.
"""

from importlib import import_module
from pathlib import Path

TWINS = {p.stem: import_module(f"{__name__}.{p.stem}") for p in sorted(Path(__file__).parent.glob("[!_]*.py"))}
W = "peak=1e-3, warmup=20, total=400"
NAMED = {
    "constant": f"constant({W})",
    "linear": f"linear({W})",
    "linear f": f"linear({W}, final=1e-4)",
    "cosine": f"cosine({W})",
    "cosine f": f"cosine({W}, final=1e-4)",
    "wsd": f"wsd({W}, decay=80)",
    "wsd f": f"wsd({W}, decay=80, final=1e-4)",
    "wsd 1-sqrt": f"wsd({W}, decay=80, shape=1-sqrt)",
    "wsd half": f"wsd({W}, decay=80, shape=exponential, final=5e-4)",
    "inverse_sqrt": f"inverse_sqrt({W})",
    "polynomial": f"polynomial({W}, final=1e-4, exponent=0.7)",
    "power_decay": f"power_decay({W}, beta=1.2)",
    "restarts": f"sgdr({W}, period=95)",
    "wsd bent": f"wsd({W}, decay=80, shape=cosine, warmup_shape=1-sqrt)",
    "step": f"step({W}, boundaries=[200, 300], values=[1e-4, 0])",
    "cyclic": f"cyclic({W})",
    "jump": "knots(steps=[0, 100, 200, 200, 400], values=[0, 1e-3, 8e-4, 2e-4, 1e-4])",
}

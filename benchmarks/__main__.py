"""Run the benchmarks named on the command line, or all: each is a module with a `main()` that prints a table.

Options behind the names are those of the benchmarks. Those of `BY_NAME`, which take hours, ask the network or settle
what is settled, run only when they are named.
"""

import importlib
import sys

ALL = (
    "accuracy",
    "final_loss",
    "hyper",
    "leaderboard",
    "noise_floor",
    "few_runs",
    "peaks",
    "recognition",
    "live",
    "optimize",
    "pairs",
    "next_runs",
    "uba",
    "joint",
    "agents",
    "weight_decay",
    "speed",
    "since",
    "startup",
    "tuner_drag",
    "big_csv",
    "console_log",
    "formats",
    "store",
    "keeping",
    "load",
    "redraws",
    "pages",
    "links",
    "fits",
    "replicas",
)

BY_NAME = ("dependence", "downloads", "fuzz", "mutations", "priors", "reproducibility")

given = sys.argv[1:]
options = next((i for i, word in enumerate(given) if word.startswith("-")), len(given))
chosen, sys.argv[1:] = given[:options] or ALL, given[options:]
for name in chosen:
    if name not in (*ALL, *BY_NAME):
        sys.exit(f"There is no benchmark {name!r}. Known benchmarks: {', '.join((*ALL, *BY_NAME))}.")
    print(f"\n## {name}\n", flush=True)
    importlib.import_module(f"benchmarks.{name}").main()

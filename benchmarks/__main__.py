"""Run the benchmarks named on the command line, or all: each is a module with a `main()` that prints a table."""

import importlib
import sys

ALL = (
    "accuracy", "final_loss", "hyper", "leaderboard", "noise_floor", "live", "optimize", "speed", "startup",
    "tuner_drag", "big_csv", "store",
)  # fmt: skip

chosen, sys.argv[1:] = sys.argv[1:] or ALL, []
for name in chosen:
    if name not in ALL:
        sys.exit(f"There is no benchmark {name!r}. Known benchmarks: {', '.join(ALL)}.")
    print(f"\n## {name}\n", flush=True)
    importlib.import_module(f"benchmarks.{name}").main()

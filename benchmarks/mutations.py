"""Mutated copies of logs whose truth is known: how many were read right, told of, asked about, refused or wrong.

    python -m benchmarks mutations [--copies 10000] [--only KIND …] [--from 0]

Right is a copy of which every value compared is the truth. Told: a value differs, or is missing, and a note says so.
Asked: a question stands beside it. Wrong ones are printed with their kind and seed, by which they can be had again.
"""

import argparse
import time

from tests.mutations import others, tables  # noqa: F401 (they list their kinds)
from tests.mutations.truth import KINDS, OUTCOMES, WRONG, Counts, tried

from .table import show


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks mutations", description=__doc__.splitlines()[0])
    options.add_argument("--copies", type=int, default=10_000, help="in all, as many of each kind")
    options.add_argument("--only", nargs="+", default=[*KINDS], metavar="KIND", choices=[*KINDS])
    options.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    options.add_argument("--told", action="store_true", help="also print what notes or questions tell of")
    chosen = options.parse_args()
    start, each = time.process_time(), -(-chosen.copies // len(chosen.only))
    found = {name: counted(name, chosen.first, each, chosen.told) for name in chosen.only}
    show(("kind", *OUTCOMES), [(name, *(f"{n:,}" for n in c.outcomes.values())) for name, c in found.items()])
    total = {o: sum(c.outcomes[o] for c in found.values()) for o in OUTCOMES}
    copies = sum(total.values())
    print(f"\n{len(found)} kinds, {copies:,} copies, {time.process_time() - start:,.0f} s of the processor:")
    print(", ".join(f"{n:,} {outcome} ({100 * n / copies:.3g} %)" for outcome, n in total.items()))
    for name, counts in found.items():
        for seed, why in counts.wrong:
            print(f"{name} {seed}: {why}")


def counted(name: str, first: int, copies: int, told: bool = False) -> Counts:
    """What became of copies of one kind."""
    counts = Counts()
    for seed in range(first, first + copies):
        outcome, why = tried(name, seed)
        counts.outcomes[outcome] += 1
        if outcome == WRONG or told and why:
            counts.wrong.append((seed, f"{outcome}: {why}"))
    return counts

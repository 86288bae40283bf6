"""Where things are: the checkout, and the public runs and failing logs beside it, where they are present."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = ROOT.parent / "shared" / "data"
CASES = ROOT.parent / "shared" / "cases" / "logs"

"""The command line for tests: bundled runs, one command run and read, and the files that `fit` and `select` write."""

import pytest

from tests.places import ROOT

BUNDLED = str(ROOT / "data" / "examples.csv")
TRAIN = ["constant_4000", "cosine10_4000", "drop30_4000"]
CANDIDATES = [
    "cosine(peak=8e-3, warmup=200, total=4000, final=8e-4)",
    "wsd(peak=8e-3, warmup=200, total=4000, decay=800)",
    "constant(peak=12e-3, warmup=300, total=4800)",
]
CHOSEN = ["annealing", "power_law", "convex_bound"]
SELECT = ["select", "--runs", BUNDLED, "--split", "val", "--train", *TRAIN, "--processes", "1"]


def command(*argv: str) -> int:
    """Exit code of one command."""
    from optlaws_core.cli import main  # a second, which most tests do without

    return main(list(argv))


def told(capsys, *argv: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of one command."""
    code = command(*argv)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="session")
def fit_file(tmp_path_factory):
    """The JSON that `fit` writes for the bundled runs."""
    out = tmp_path_factory.mktemp("cli") / "fit.json"
    argv = ["fit", "--law", "annealing", "--runs", BUNDLED, "--split", "val", "--train", *TRAIN, "--json", str(out)]
    assert command(*argv) == 0
    return out


@pytest.fixture(scope="session")
def select_files(tmp_path_factory):
    """The two files that `select` writes for the bundled runs."""
    folder = tmp_path_factory.mktemp("select")
    out, table = folder / "average.json", folder / "table.json"
    assert command(*SELECT, "--laws", *CHOSEN, "--json", str(out), "--table", str(table)) == 0
    return out, table

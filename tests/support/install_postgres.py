"""Sees to it that the store's tests have a PostgreSQL server: what is there, else Debian's.

Without one they run on SQLite alone and say so, so this always exits 0. Tests start a server of their own in a folder
of their own; the one that Debian's package would set up for the whole machine is not made.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.support.installing import apt_can_install, apt_install  # noqa: E402  found by the path above

NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")


def programs() -> Path | None:
    """The folder of the server's programs, the newest ones; None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = found[-1] if found else Path(shutil.which("initdb") or "")
    return initdb.parent if initdb.is_file() else None


def main() -> None:
    if programs() is None and apt_can_install("Store tests"):
        if not NO_CLUSTER.exists():
            NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
            NO_CLUSTER.write_text("create_main_cluster = false\n")
        apt_install("Store tests", "postgresql")
    print(f"Store tests use {programs() or 'SQLite alone: PostgreSQL could not be installed'}.")


if __name__ == "__main__":
    main()

"""Programs that tests use where they can be had: what the set-up of the tests installs them by."""

import os
import shutil
import subprocess


def attempt(whose: str, *command: str, seconds: int = 600) -> bool:
    """Whether a command worked; `whose` tests want it is said beside it."""
    print(f"{whose}:", " ".join(command), flush=True)
    try:
        return subprocess.run(command, timeout=seconds, stdout=subprocess.DEVNULL, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def apt_can_install(whose: str) -> bool:
    """Whether Debian's packages can be installed by this user; their list is brought up to date first."""
    if not (shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0):
        return False
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    attempt(whose, "apt-get", "update", "-qq", seconds=120)
    return True


def apt_install(whose: str, *packages: str) -> bool:
    """Whether the packages were installed."""
    return attempt(whose, "apt-get", "install", "-y", "-qq", *packages)


__all__ = ["apt_can_install", "apt_install", "attempt"]

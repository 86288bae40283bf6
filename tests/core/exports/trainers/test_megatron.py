"""Megatron-LM: bash reads the flags."""

import subprocess

from optlaws_core import parse
from optlaws_core.exports import export
from tests.knowledge.trainers import NAMED


def test_bash_reads_the_flags(tmp_path):
    file = tmp_path / "flags.sh"
    file.write_text(export(parse(NAMED["wsd f"]), "megatron").text)
    script = f'set -eu; source "{file}"; printf "%s\\n" "${{LR_ARGS[@]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stdout.split()[:4] == ["--lr", "1.0e-3", "--min-lr", "1.0e-4"]

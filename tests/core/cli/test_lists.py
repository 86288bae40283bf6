"""The commands `laws` and `schedules`: everything that there is, as lines and as JSON."""

import json

from optlaws_core import LAWS, SCHEDULES
from optlaws_core.final_loss import FINAL_LAWS
from tests.support.commands import told


def test_lists(capsys):
    code, out, _ = told(capsys, "laws", "--json")
    assert code == 0 and [row["law"] for row in json.loads(out)] == list(LAWS)
    code, out, _ = told(capsys, "laws", "--of", "final", "--json")
    assert code == 0 and [row["law"] for row in json.loads(out)] == list(FINAL_LAWS)
    code, out, _ = told(capsys, "schedules", "--json")
    assert code == 0 and [row["schedule"] for row in json.loads(out)] == list(SCHEDULES)
    for command, names in (("laws", LAWS), ("schedules", SCHEDULES)):
        code, out, _ = told(capsys, command)
        assert code == 0 and all(name in out for name in names)

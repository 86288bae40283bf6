"""A run in progress forecast from its log."""

import pytest

from optlaws_core.errors import DesignError, LogError
from optlaws_core.live import planned_end

ROWS = "step,loss,lr\n" + "".join(f"{t},{3 - t / 100},0.001\n" for t in range(20))


def test_a_log_of_several_runs_or_of_none_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text(ROWS)
    (tmp_path / "b.csv").write_text(ROWS)
    with pytest.raises(LogError, match="one run is needed, got 2.$"):
        planned_end(tmp_path)
    (tmp_path / "a.csv").write_text("step,time\n0,1\n1,2\n")
    with pytest.raises(LogError, match="no column is known as a loss"):
        planned_end(tmp_path / "a.csv")


def test_a_log_that_does_not_say_how_the_run_goes_on_has_no_end_to_come(tmp_path):
    (tmp_path / "a.csv").write_text(ROWS)
    with pytest.raises(DesignError, match="has nothing left to forecast"):
        planned_end(tmp_path / "a.csv")

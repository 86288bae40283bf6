"""The runs to train next, from the command line: what Python proposes, at what cost, within a budget of any kind."""

import json
from dataclasses import replace

import pytest

from optlaws_core import parse, propose_runs
from tests.core.prediction.test_joint_losses import PLANS, average
from tests.core.prediction.test_losses import SHAPES
from tests.support.commands import told

CANDIDATES = [word for text in SHAPES for word in ("--schedule", text)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A fit to runs of 1M parameters and 1,000 tokens in an update."""
    known = average(0.6, 0.4).map_fits(
        lambda f: replace(f, coverage=replace(f.coverage, params=(1e6, 1e6), batch_tokens=(1e3, 1e3)))
    )
    out = tmp_path_factory.mktemp("propose") / "fit.json"
    known.save(out)
    return out, known


def test_the_command_proposes_what_python_does_whatever_the_budget_is_given_in(stored, capsys):
    out, known = stored
    same = propose_runs(known, PLANS, 900)
    ask = ("propose", "--fit", str(out), *CANDIDATES)
    budgets = (["--updates", "900"], ["--tokens", "900k"], ["--flops", "5.4e12"])
    for budget in (*budgets, ["--hours", "0.25", "--tokens-per-second", "1k"]):
        code, text, _ = told(capsys, *ask, *budget, "--json")
        found = json.loads(text)
        assert code == 0 and [r["schedule"] for r in found["runs"]] == [p.run.schedule.text for p in same.runs], budget
    assert found["now"]["regret"] == pytest.approx(same.now.regret)
    assert found["runs"][-1]["then"]["p_wrong"] == pytest.approx(same.then.wrong)
    assert found["cost"] == {"updates": same.updates, "tokens": 1e3 * same.updates, "flops": 6e9 * same.updates}
    code, text, _ = told(capsys, *ask, "--updates", "900")
    assert code == 0 and text.startswith("Now:") and f"1.    {same.runs[0].run.schedule.text}" in text
    assert all(parse(r["schedule"]).total <= 900 for r in found["runs"])


def test_a_budget_that_pays_for_nothing_or_lacks_its_speed_is_refused(stored, capsys):
    ask = ("propose", "--fit", str(stored[0]), *CANDIDATES)
    for budget, said in (
        (["--hours", "2"], "A budget in --hours needs --tokens-per-second"),
        (["--updates", "900", "--tokens-per-second", "5"], "--tokens-per-second is for a budget in --hours."),
        (["--updates", "0"], "a budget of at least one update"),
        (["--tokens", "10"], "A budget must pay for one update"),
    ):
        code, _, err = told(capsys, *ask, *budget)
        assert code == 1 and said in err
    assert told(capsys, *ask[:5], "--updates", "900")[0] == 1  # one candidate


def test_a_budget_too_small_to_tell_anything_says_so(stored, capsys):
    code, out, _ = told(capsys, "propose", "--fit", str(stored[0]), *CANDIDATES, "--updates", "3")
    assert code == 0 and "No run within this budget is expected to change the choice." in out

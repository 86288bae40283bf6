"""The page about the trainer: its example runs as it stands, and its log holds what it is said to hold."""

import re

from optlaws_core.readers import read
from tests.places import ROOT

PAGE = (ROOT / "docs" / "trainer.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trained, shown = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(trained + shown, {"__name__": "example"})
    said = "wsd(peak=0.01, warmup=20, total=400, decay=80, shape=linear) 9.0 64.0 400"
    assert capsys.readouterr().out.splitlines()[-1] == said
    (run,) = read("runs/linear.jsonl").runs
    assert run.loss[-40:].mean() < 1.3 and run.loss[0] > 5

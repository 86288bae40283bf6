"""What the commands `fit`, `select`, `export` and `schedules` say to programs."""

import json

from optlaws_core import parse
from optlaws_core.exports import export
from optlaws_core.final_loss.loading import load_fit
from tests.support.commands import BUNDLED, CANDIDATES, SELECT, TRAIN, told


def test_fit_says_what_it_wrote(capsys, tmp_path):
    out = tmp_path / "fit.json"
    argv = ["fit", "--law", "annealing", "--runs", BUNDLED, "--split", "val", "--train", *TRAIN, "--json", str(out)]
    code, said, err = told(capsys, *argv, "--as-json")
    found, kept = json.loads(said), json.loads(out.read_text())
    assert code == 0 and err == "" and found.pop("notes") == [*load_fit(out).notes, *load_fit(out).doubts]
    assert found == {key: kept[key] for key in found} and {"theta", "interval", "test", "status"} <= set(found)


def test_select_says_its_table_and_advice(capsys, tmp_path):
    out, table = tmp_path / "fit.json", tmp_path / "table.json"
    laws = ["--laws", "annealing", "power_law", "--test", "wsd20_4000"]
    code, said, _ = told(capsys, *SELECT, *laws, "--json", str(out), "--table", str(table), "--as-json")
    found, model = json.loads(said), load_fit(out)
    assert code == 0 and found["laws"] == json.loads(table.read_text()) and found["advice"]
    assert found["trusted"] == (model.single.law if model.single else "average")


def test_export_says_whether_it_is_exact(capsys):
    near = "polynomial(peak=1e-3, warmup=10, total=200, exponent=1.1)"
    for to, exact in (("pytorch", True), ("megatron", False)):
        code, said, err = told(capsys, "export", "--to", to, "--schedule", near, "--json")
        same, found = export(parse(near), to), json.loads(said)
        assert code == 0 and (found["text"], found["exact"]) == (same.text, same.exact) == (found["text"], exact)
        assert found["notes"] == list(same.notes) and bool(err) is not exact


def test_schedules_says_how_a_text_was_understood(capsys):
    texts = [arg for text in CANDIDATES[1:] for arg in ("--schedule", text)]
    code, said, _ = told(capsys, "schedules", *texts, "--json")
    wsd, constant = json.loads(said)
    assert code == 0 and parse(wsd["schedule"]) == parse(CANDIDATES[1]) and wsd["updates"] == 4000
    assert wsd["rates"] == [[0, 0], [200, 8e-3], [3200, 8e-3], [4000, 0]]
    assert (constant["family"], constant["warmup_end"], constant["peak"]) == ("constant", 300, 12e-3)
    code, said, _ = told(capsys, "schedules", *texts)
    assert code == 0 and "4,000 updates; rates: 0 at 0, 8e-3 at 200, 8e-3 at 3,200, 0 at 4,000" in said

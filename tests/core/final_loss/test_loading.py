"""Fits out of files: one reader for every kind, and what it says of a file that holds another."""

import json

import pytest

from optlaws_core import OptLawsError, load_final, load_fit, load_model
from optlaws_core.final_loss import FinalFit
from optlaws_core.final_loss.loading import find_final
from tests.fuzz import seeds


@pytest.fixture(params=[*seeds.fits(), *seeds.final_fits()], ids=lambda data: json.loads(data).get("law", "average"))
def path(request, tmp_path):
    """A file of each kind of fit."""
    (tmp_path / "fit.json").write_bytes(request.param)
    return tmp_path / "fit.json"


def test_a_model_is_read_whichever_kind_it_is(path):
    known, found = json.loads(path.read_bytes()), load_model(path)
    assert json.loads(json.dumps(found.to_dict())) == known
    if isinstance(found, FinalFit):
        assert load_final(path) == find_final(path) == found
        with pytest.raises(OptLawsError, match="a fit of whole loss curves is needed, this is a fit of final losses"):
            load_fit(path)
    else:
        assert load_fit(path) == found and find_final(path) is None


def test_a_fit_of_curves_is_none_of_final_losses(tmp_path):
    (tmp_path / "fit.json").write_bytes(seeds.fits()[0])
    with pytest.raises(OptLawsError, match="fit.json: a fit of final losses is needed, this is a fit of whole loss"):
        load_final(tmp_path / "fit.json")


def test_a_file_is_read_once(path, monkeypatch):
    reads = []
    read_text = type(path).read_text
    monkeypatch.setattr(type(path), "read_text", lambda self, **how: reads.append(self) or read_text(self, **how))
    load_model(path)
    assert reads == [path]


def test_what_is_no_final_fit_is_left_to_other_readers(tmp_path):
    assert find_final(tmp_path) is None and find_final(tmp_path / "none") is None
    (tmp_path / "table.csv").write_text("run,tokens\n")
    assert find_final(tmp_path / "table.csv") is None
    broken = json.loads(seeds.final_fits()[0]) | {"theta": {}}
    (tmp_path / "fit.json").write_text(json.dumps(broken))
    with pytest.raises(OptLawsError, match="fit.json: This is not a final-loss fit"):
        find_final(tmp_path / "fit.json")

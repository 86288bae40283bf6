"""What is not installed is missed in one sentence, which says what brings it."""

import sys
from importlib import import_module

import pytest

import optlaws_core.torch
from optlaws_core.errors import MissingExtra


@pytest.mark.parametrize(
    "package, module, subject",
    [
        ("torch", "", "Opt-Laws in the trainer"),
        ("transformers", ".transformers_callback", "A callback for the Trainer of transformers"),
        ("lightning", ".lightning_callback", "A callback for the Trainer of Lightning"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch, package, module, subject):
    name = f"optlaws_core.torch{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    said = f'^{subject} needs the package {package}, which is not installed: pip install "optlaws.{package}."'
    with pytest.raises(MissingExtra, match=said):
        import_module(name)


def test_there_is_nothing_else():
    with pytest.raises(AttributeError, match="module 'optlaws_core.torch' has no attribute 'Scheduler'"):
        optlaws_core.torch.Scheduler  # noqa: B018

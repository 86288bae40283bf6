"""Which addresses of runs visitors may have read: none unless the operator names them, and nothing beside those."""

import pytest

from optlaws_core import OptLawsError
from pages.parts.server import addresses


@pytest.mark.parametrize(
    "named, address",
    [
        ("wandb", "wandb:team/toy"),
        ("hf wandb:team", "wandb:team/toy/run"),
        ("wandb:team/toy", "wandb:/team/toy/runs/run"),
        ("hf:team", "hf:datasets/team/toy@refs/pr/1"),
        ("hf", "hf:spaces/team/toy"),
        ("hf:team/toy", "hf:team/toy@v1.0"),
        ("hf:datasets", "hf:datasets/team/toy"),
        ("hf:spaces/team", "hf:spaces/team/toy"),
        ("s3://logs", "s3://logs/runs/a"),
        ("mlflow", "mlflow:#toy runs"),
        ("mlflow:http://host:5000", "mlflow:http://host:5000/#toy"),
    ],
)
def test_what_lies_at_a_named_place_may_be_read(monkeypatch, named, address):
    monkeypatch.setenv("OPTLAWS_REMOTE", named)
    addresses.check(address)


@pytest.mark.parametrize(
    "named, address",
    [
        ("", "wandb:team/toy"),
        ("wandb", ""),
        ("wandb", "wandb:"),
        ("wandb", "http://169.254.169.254/latest"),
        ("wandb", "mlflow:http://localhost:5000#toy"),
        ("wandb:team", "wandb:teams/toy"),
        ("wandb:team", "wandb:team/../other/toy"),
        ("wandb:team/toy", "wandb:team"),
        ("hf:team", "hf:other/toy"),
        ("hf", "hf:team/.."),
        ("hf:team", "hf:team/toy@../../../../other/private/tree/main"),
        ("hf:team", "hf:team/toy@refs//.."),
        ("hf:datasets", "hf:team/toy"),
        ("hf:datasets", "hf:datasets/toy"),
        ("hf:datasets/team", "hf:team/toy"),
        ("hf:spaces", "hf:datasets/team/toy"),
        ("s3://logs", "s3:logs/a"),
        ("s3://logs", "s3://logs2/a"),
        ("s3://logs", "gs://logs/a"),
        ("s3://logs/runs", "s3://logs/runs/../secret"),
        ("s3://logs", "s3://logs::file:///etc/passwd"),
        ("s3://logs", "s3://logs/a?endpoint=x"),
        ("mlflow", "mlflow:http://host#toy"),
        ("mlflow:http://host", "mlflow:#toy"),
        ("mlflow:http://host", "mlflow:http://host:8080#toy"),
        ("mlflow:http://host", "mlflow:http://host@elsewhere#toy"),
        ("mlflow:http://host", "mlflow:http://host.elsewhere#toy"),
    ],
)
def test_what_lies_beside_it_is_refused(monkeypatch, named, address):
    monkeypatch.setenv("OPTLAWS_REMOTE", named)
    said = (
        "^This server reads runs from addresses that begin with" if named else "^This server reads no runs by their add"
    )
    with pytest.raises(OptLawsError, match=said):
        addresses.check(address)


def test_a_refusal_repeats_no_password(monkeypatch):
    monkeypatch.setenv("OPTLAWS_REMOTE", "wandb, hf:team")
    with pytest.raises(OptLawsError, match=r"begin with wandb, hf:team, got '…@host/a'\.$"):
        addresses.check("wandb:https://bob:hunter2@host/a")


@pytest.mark.parametrize("wrong", ["s3", "s3://", "file:///srv", "mlflow:ftp://host", "wandb:a b:c", "wandb:../x/"])
def test_a_word_that_names_no_place_is_a_fault_of_the_operators(monkeypatch, wrong):
    monkeypatch.setenv("OPTLAWS_REMOTE", wrong)
    with pytest.raises(ValueError, match="^OPTLAWS_REMOTE must be words such as"):
        addresses.allowed()

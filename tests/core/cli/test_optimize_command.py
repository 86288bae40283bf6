"""The best schedule from the command line."""

import json

import pytest

from optlaws_core import fit, load_fit, parse, predict, read
from optlaws_core.cli import main
from tests.places import ROOT

pytestmark = pytest.mark.slow
TRAIN = ("constant_4000", "cosine10_4000", "drop30_4000")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    runs = {r.name: r.on("val") for r in read(ROOT / "data" / "examples.csv").runs}
    out = tmp_path_factory.mktemp("best") / "fit.json"
    fit("opt_laws_curve", [runs[n] for n in TRAIN]).save(out)
    return out


def told(capsys, *argv: str) -> tuple[int, str, str]:
    code = main(list(argv))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_finds_what_python_finds(stored, capsys):
    argv = ("optimize", "--fit", str(stored), "--peak", "8e-3", "--total", "4000", "--warmup", "200")
    code, out, _ = told(capsys, *argv, "--json")
    row = json.loads(out)
    law = load_fit(stored)
    assert code == 0 and row["finished"]
    assert row["final_loss"] == predict(law, parse(row["schedule"]))[0]
    for name in ("simple", "wsd"):
        assert row[name]["final_loss"] == predict(law, parse(row[name]["schedule"]))[0] > row["final_loss"]
    flat = predict(law, parse("constant(peak=8e-3, warmup=200, total=4000)"))[0]
    assert row["constant"] == flat
    assert row["share"] == (flat - row["wsd"]["final_loss"]) / (flat - row["final_loss"]) > 0.5
    code, out, err = told(capsys, *argv)
    assert code == 0 and [float(line[:8]) for line in out.splitlines()] == pytest.approx(
        [row["final_loss"], row["simple"]["final_loss"]], abs=1e-6
    )
    assert f"{100 * row['share']:.1f} % of what the curve gains over the peak held to the end" in err.splitlines()[0]
    code, out, err = told(capsys, *argv, "--floor", "8e-4", "--slope", "1e-5")
    text = out.splitlines()[0].partition("  ")[2]
    assert code == 0 and parse(text)(3999) >= 8e-4 * (1 - 1e-5)


def test_the_best_of_a_family_has_its_text_form(stored, capsys):
    argv = ("optimize", "--fit", str(stored), "--peak", "8e-3", "--total", "4000", "--warmup", "200", "--family")
    code, out, err = told(capsys, *argv, "wsd", "--json")
    row = json.loads(out)
    schedule = parse(row["schedule"])
    assert (code, err) == (0, "") and (schedule.family, schedule.total, schedule.warmup) == ("wsd", 4000, 200)
    assert row["final_loss"] == predict(load_fit(stored), schedule)[0] < row["constant"] and row["simple"] is None
    code, out, err = told(capsys, *argv, "cyclic")
    assert (code, out) == (1, "") and "A family to search in is one of linear, cosine" in err and "'cyclic'" in err


def test_the_warm_up_is_that_of_the_training_runs_unless_it_is_given(stored, capsys):
    argv = ("optimize", "--fit", str(stored), "--peak", "8e-3", "--total", "4000", "--family", "linear")
    code, out, err = told(capsys, *argv)
    assert code == 0 and "warmup=200" in out and "Warm-up of 200 updates, as in the training runs" in err
    code, out, err = told(capsys, *argv, "--warmup", "0")
    assert code == 0 and "warmup=200" not in out and "Warm-up of" not in err


def test_a_length_in_tokens_or_compute_follows_from_batch_and_size(stored, capsys):
    argv = ("optimize", "--fit", str(stored), "--peak", "8e-3", "--family", "linear")
    code, out, _ = told(capsys, *argv, "--tokens", "1.024M", "--json")  # the example runs had one batch, 1,024
    assert code == 0 and parse(json.loads(out)["schedule"]).total == 1000
    code, out, _ = told(capsys, *argv, "--tokens", "1.024M", "--batch-tokens", "2048", "--json")
    assert code == 0 and parse(json.loads(out)["schedule"]).total == 500
    sizes = ("--params", "1M", "--batch-tokens", "1000")
    code, out, _ = told(capsys, *argv, "--flops", "6e12", *sizes, "--json")  # 6 · 1e6 · 1000 an update
    assert code == 0 and parse(json.loads(out)["schedule"]).total == 1000
    code, out, err = told(capsys, *argv, "--tokens", "100")
    assert (code, out) == (1, "") and "must pay for one update of 1024 tokens, got 100 tokens" in err


@pytest.mark.parametrize(
    "extra, message",
    [
        (("--total", "100", "--warmup", "100"), "warm-up must end before the run of 100 updates, got 100"),
        (("--total", "100", "--floor", "1"), "floor must lie between 0 and the peak"),
        (("--total", "100", "--knots", "1"), "takes 3 to 200 knots, got 1"),
        (("--total", "100", "--tokens", "5"), "not allowed with"),
        (("--flops", "1e12", "--tokens", "5"), "not allowed with"),
        ((), "one of the arguments --total --tokens --flops is required"),
    ],
)
def test_limits_that_cannot_be_are_one_sentence(extra, message, stored, capsys):
    code, out, err = told(capsys, "optimize", "--fit", str(stored), "--peak", "8e-3", *extra)
    assert (code, out) == (1, "") and message in err and err.count("\n") == 1

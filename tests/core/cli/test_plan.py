"""The commands `plan` and `bound`: published laws, rules, one's own sweep, and peaks for other schedules."""

import json

import pytest

from optlaws_core.cli.options import parts
from optlaws_core.hyper import HYPER_LAWS, bound, recommend, scaling, transfers
from optlaws_core.schedules import parse
from optlaws_core.schedules.public_plans import PUBLIC_PLANS
from tests.core.hyper.test_sweep_fit import planted
from tests.support.commands import told

RATES = ["plan", "rates", "--params", "1B", "--tokens", "20B"]
TUNED, NEXT = "wsd(peak=1e-3, warmup=0, total=400, decay=80)", "linear(peak=1e-3, warmup=0, total=1600)"


def answer(capsys, *argv: str):
    code, out, err = told(capsys, *argv, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "sweep.csv"
    planted().to_csv(path, index=False)
    return path


def test_rates_as_text_and_as_json(capsys):
    found = answer(capsys, *RATES, "--family", "wsd")
    assert [row["law"] for row in found["laws"]] == list(HYPER_LAWS)
    assert [row["lr"] for row in found["laws"]] == [r.lr for r in recommend(1e9, 2e10)]
    schedules = {row["law"]: row["schedule"] for row in found["laws"]}
    assert None not in schedules.values() and parse(schedules["step_law"]).family == "wsd"
    code, out, err = told(capsys, *RATES, "--family", "wsd")
    assert code == 0 and err == "" and found["said"] in out
    assert all(law.title in out for law in HYPER_LAWS.values()) and f"Step Law: {schedules['step_law']}\n" in out
    code, _, err = told(capsys, "plan", "rates", "--params", "1T", "--tokens", "100T")
    assert code == 0 and err.startswith("No law for the learning rate was fitted where you are")


def test_a_fixed_batch_and_a_known_loss_reach_the_laws(capsys):
    found = answer(capsys, *RATES, "--batch", "2M", "--loss", "2.5", "--bits", "8")
    asked = {r.law.name: r for r in recommend(1e9, 2e10, 2e6, 2.5)}
    assert {row["law"]: (row["lr"], row["batch"]) for row in found["laws"]} == {
        name: (r.lr, r.batch) for name, r in asked.items()
    }
    assert found["companions"]["batch"] == 2e6 and found["companions"]["bits"] == 8


@pytest.mark.parametrize("along", ["tokens", "params"])
def test_laws_over_one_axis(capsys, along):
    found = answer(capsys, *RATES, "--over", along)
    assert found["along"] == along and len(found["values"]) == 61 and set(found["laws"]) == set(HYPER_LAWS)
    code, out, _ = told(capsys, *RATES, "--over", along)
    assert code == 0 and out.count("\n") == 2 * (61 + 2) and "(" in out.splitlines()[2]


def test_one_law_over_both(capsys):
    found = answer(capsys, *RATES, "--over", "both", "--law", "kaplan")
    assert found["law"] == "kaplan" and len(found["lr"]) == len(found["lr"][0]) == 25
    assert any(v is None for row in found["lr"] for v in row)  # no rate above 12B
    code, out, _ = told(capsys, *RATES, "--over", "both", "--law", "bjorck")
    assert code == 0 and "peak learning rate" in out and "batch in tokens" not in out


def test_compute_batch_and_sparse(capsys):
    rows = answer(capsys, "plan", "compute", "1e24", "--unique", "1T")
    assert [r["law"] for r in rows] == list(scaling.ALLOCATIONS) and all(r["fresh_tokens"] for r in rows)
    found = answer(capsys, "plan", "batch", "--lr", "1e-3", "--from", "500k", "--to", "2M")
    assert {r["rule"]: r["lr"] for r in found["rules"]} == {
        "sqrt": pytest.approx(2e-3),
        "linear": pytest.approx(4e-3),
        "mccandlish": None,
        "surge": None,
    }
    rows = answer(capsys, "plan", "sparse", "--params", "1B", "--tokens", "20B", "--share", "0.75")
    assert rows[0]["value"] == 1e9 * scaling.SPARSITY["t5"].worth(0.75)
    for argv, words in (
        (["compute", "1e24"], ("Chinchilla, refitted", "ignores repeats")),
        (["batch", "--lr", "30", "--from", "500k", "--to", "2M"], ("needs --noise", "betas 0.9 and 0.95 become")),
        (["sparse", "--params", "1B", "--tokens", "20B"], ("Fine-grained experts", "against all active")),
    ):
        code, out, err = told(capsys, "plan", *argv)
        assert code == 0 and all(word in out for word in words)
        assert ("A learning rate above 1 is unlikely, got 30." in err) == (argv[0] == "batch")


def test_a_sweep_of_ones_own(capsys, table):
    found = answer(capsys, "plan", "sweep", str(table), "--params", "1B", "--tokens", "20B")
    assert len(found["cells"]) == 6 and {c["use"] for c in found["cells"]} == {"in the law"}
    assert found["predicted"]["lr"] == pytest.approx(2 * 1e9**-0.72 * 2e10**0.31, rel=0.12)
    assert min(run["percent_above_best"] for run in found["cells"][0]["runs"]) == 0
    code, out, err = told(capsys, "plan", "sweep", str(table), "--params", "1B", "--tokens", "20B")
    assert code == 0 and found["said"] in out and "learning rate" in out
    assert err == "This extrapolates: N is 2.5 times above the fitted cells.\n"


def test_a_sweep_with_an_unlikely_unit_names_the_option(capsys, tmp_path, table):
    odd = tmp_path / "odd.csv"
    odd.write_text(table.read_text().replace("100000000.0,", "100,").replace("bs", "per_update"))
    argv = ["plan", "sweep", str(odd), "--columns", "batch=per_update"]
    code, _, err = told(capsys, *argv)
    assert code == 1 and "N below 1,000 is unlikely" in err and "add --sure" in err and err.count("\n") == 1
    assert told(capsys, *argv, "--sure")[0] == 0


def test_the_bound_and_its_transfer(capsys):
    one, two = answer(capsys, "bound", "--schedule", TUNED, "--schedule", NEXT, "--distance", "2")
    known = bound(parse(TUNED), 2)
    assert (one["bound"], one["best_factor"], one["lowest_bound"]) == (known.value, known.best_factor, known.lowest)
    assert two["schedule"] == NEXT and two["best_peak"] == pytest.approx(1e-3 * bound(parse(NEXT), 2).best_factor)
    (row,) = answer(capsys, "bound", "--tuned", TUNED, "--schedule", NEXT)
    (moved,) = transfers(parse(TUNED), [parse(NEXT)])
    assert (row["peak"], row["bound_over_tuned"]) == (moved.peak, moved.bound)
    for more in ([], ["--tuned", TUNED]):
        code, out, err = told(capsys, "bound", *more, "--schedule", NEXT)
        assert code == 0 and NEXT in out and err == ""


@pytest.mark.parametrize(
    "argv, found",
    [
        (["plan", "rates", "--params", "1", "--tokens", "20B"], "N below 1,000 is unlikely"),
        (["plan", "rates", "--params", "1", "--tokens", "20B"], "--sure takes such numbers as they are"),
        ([*RATES, "--law", "kaplan"], "--law needs --over both"),
        (
            [*RATES, "--over", "tokens", "--family", "wsd"],
            "--family does not apply to laws over several sizes (--over)",
        ),
        (["plan", "rates", "--params", "7e9B", "--tokens", "20B"], "N above 100T is unlikely (a suffix too many?)"),
        (["plan", "rates", "--params", "7B", "--tokens", "2e9T"], "D above 10000T is unlikely (a suffix too many?)"),
        (["plan", "rates", "--params", "-7B", "--tokens", "20B"], "--params: a number above 0 is needed, got '-7B'"),
        (["plan", "compute", "-7B"], "a number above 0 is needed, got '-7B'"),
        (["plan", "compute", "1e400"], "a number above 0 is needed, got '1e400' (7B, 3e-4; from 1e-30 to 1e30)"),
        ([*RATES, "--batch", "big"], "a number above 0 is needed, got 'big'"),
        (["plan", "sparse", *RATES[2:], "--share", "1"], "a share is a number from 0 to below 1, got '1'"),
        (["plan", "sparse", *RATES[2:], "--share", "half"], "a share is a number from 0 to below 1, got 'half'"),
        (["plan", "sweep", "{tmp}/none.csv"], "none.csv"),
        (["plan", "sweep", "x", "--params", "1B"], "give both --params and --tokens"),
        (["plan", "sweep", "x", "--columns", "size=N"], "OURS one of params, tokens, lr, batch, loss, got 'size=N'"),
        (["bound", "--tuned", TUNED, "--schedule", NEXT, "--distance", "2"], "--distance drops out"),
        (["bound", "--schedule", "cosine(peak=1)"], "total"),
        (["bound"], "--schedule"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(capsys, tmp_path, argv, found):
    code, out, err = told(capsys, *(a.format(tmp=tmp_path) for a in argv))
    assert (code, out) == (1, "") and found in err and err.count("\n") == 1


def test_a_column_under_another_name_is_told_how_to_be_named(capsys, tmp_path):
    table = tmp_path / "own.csv"
    table.write_text("params,tokens,rate,batch,loss\n1e8,1e9,1e-3,1e5,3.1\n")
    code, _, err = told(capsys, "plan", "sweep", str(table))
    assert code == 1 and "must have the column 'lr'" in err and "--columns lr=NAME says which of them it is." in err


def test_what_is_fresh_and_what_is_for_mup_is_said(capsys):
    code, out, _ = told(capsys, "plan", "compute", "1e23", "--unique", "100B")
    assert code == 0 and "fresh: the number of tokens seen once" in out and "Chinchilla, approach 3" in out
    code, out, _ = told(capsys, *RATES, "--family", "wsd")
    marked = [line.split(":")[0] for line in out.splitlines() if "(a rate for µP" in line]
    assert code == 0 and marked == [law.title for law in HYPER_LAWS.values() if law.mup and law.lr]


def test_a_wide_table_is_parted_at_the_width_of_the_terminal():
    assert parts([4, 8, 8, 8], None) == parts([4, 8, 8, 8], 34) == [[0, 1, 2, 3]]
    assert parts([4, 8, 8, 8], 33) == [[0, 1, 2], [0, 3]]
    assert parts([40, 50, 8], 10) == [[0, 1], [0, 2]]  # a column that fits nowhere still has its place


def test_unlikely_units_can_be_meant(capsys):
    assert answer(capsys, "plan", "rates", "--params", "500", "--tokens", "20B", "--sure")["params"] == 500


def test_public_plans_as_text_and_as_json(capsys):
    rows = answer(capsys, "plan", "public")
    assert [row["name"] for row in rows] == list(PUBLIC_PLANS)
    code, out, err = told(capsys, "plan", "public")
    assert (code, err) == (0, "")
    assert all(f"{name} " in out and public.source in out for name, public in PUBLIC_PLANS.items())
    for row, (name, public) in zip(rows, PUBLIC_PLANS.items(), strict=True):
        assert answer(capsys, "plan", "public", name) == row
        assert parse(row["plan"]) == public.plan and row["tokens"] == public.tokens
        code, out, _ = told(capsys, "plan", "public", name)
        flat = " ".join(out.split())
        assert code == 0 and f"\n{public.plan.text}\n" in out and public.url in out and public.read in out
        assert all(sentence in flat for sentence in public.left_out) and all(s.told in out for s in public.stated)


def test_the_text_of_a_public_plan_is_what_schedule_takes(capsys):
    code, text, err = told(capsys, "plan", "public", "llama3_405b", "--text")
    assert (code, err) == (0, "") and parse(text) == PUBLIC_PLANS["llama3_405b"].plan
    code, out, _ = told(capsys, "export", "--to", "pytorch", "--schedule", text.strip())
    assert code == 0 and "batch_at" in out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["gpt"], "Unknown public plan 'gpt'. Known plans: deepseek_v3, "),
        (["--text"], "--text is for one plan: name it."),
        (["kimi_k2", "--text", "--json"], "--text prints the plan alone, so --json has no place beside it."),
    ],
)
def test_what_plan_public_refuses(capsys, words, why):
    code, out, err = told(capsys, "plan", "public", *words)
    assert (code, out) == (1, "") and err.startswith(why) and err.count("\n") == 1

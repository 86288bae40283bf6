"""Valid files of every kind that mutations start from: small ones of our own, and the beginnings of public logs.

Those of a log format come after its sample, which is the first.
"""

import bz2
import gzip
import json
import lzma
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from optlaws_core import parse
from optlaws_core.final_loss import FINAL_LAWS
from optlaws_core.final_loss.final_fit import End, FinalFit
from optlaws_core.final_loss.final_laws import LINE
from optlaws_core.final_loss.texts import TextStep
from optlaws_core.fitting.result import Average, Coverage, Fit, Scores, Status
from optlaws_core.laws import LAWS
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.saved import Candidate, Snapshot, to_bundle
from tests.knowledge import logs, trackers
from tests.knowledge.risk import RISK
from tests.knowledge.twins import shipped
from tests.places import PUBLIC, ROOT

_SCORES = {"a": Scores(5, 0.1, 0.2, 0.9, 0.01, 0.02), "b": Scores(5, 0.1, 0.2, None, 0.01, 0.02)}


def tables(by: str) -> tuple[bytes, ...]:
    """Logs as tables with that delimiter."""
    resumed = "step,loss,lr,grad_norm\n0,3.5,0,1.5\n10,3.25,1e-3,1.25\n20,3,1e-3,nan\n10,3.2,1e-3,1.2\n30,2.5,5e-4,1\n"
    several = (
        "# a comment\nrun,step,train/loss,eval_loss,lr\na,0,3.5,,1e-3\na,9,3,3.1,1e-3\nb,0,4,,2e-3\nb,9,2.5,2.75,0\n"
    )
    tokens = "consumed_tokens,val/bpb,run\n1000,1.5,x\n2000,1.25,x\n3000,1,x\n"
    quoted = 'global_step,"train loss",learning_rate\n0,"3,25",1e-3\n1,"1,003.5",1e-3\n2,,1e-3\n'
    texts = [text.replace(",", by).encode() for text in (resumed, several, tokens)]
    own = [*texts, quoted.encode()] if by == "," else texts
    real = [start(PUBLIC / "multi_power_law" / "25M" / "cosine_24000.csv", 12).replace(b",", by.encode())]
    return tuple(filter(None, (*own, *real)))


def start(path: Path, lines: int) -> bytes:
    """The first lines of a file; nothing where it is not there."""
    return b"".join(path.read_bytes().splitlines(keepends=True)[:lines]) if path.exists() else b""


def json_lines() -> tuple[bytes, ...]:
    """Logs of one JSON object a line."""
    nested = [{"step": s, "train": {"loss": y, "optim": {"lr": 1e-3}}, "tags": ["x"]} for s, y in ((0, 3.0), (5, 2.0))]
    mixed = [{"run": run, "iter": i, "loss": y} for run, i, y in (("a", 0, 3), ("b", 0, None), ("a", 1, "2"))]
    return tuple(lines_of(rows) for rows in (nested, mixed))


def lines_of(rows: Iterable[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def json_records() -> tuple[bytes, ...]:
    return tuple(json.dumps([json.loads(line) for line in data.splitlines()]).encode() for data in json_lines())


def json_columns() -> tuple[bytes, ...]:
    return (json.dumps({"val_loss": [3, None, 2], "tokens": [1e6, 2e6, 3e6]}).encode(),)


def trainer_states() -> tuple[bytes, ...]:
    rows = [{"step": s, "loss": y, "eval_loss": 2 / s, "grad_norm": 1.0} for s, y in ((1, 3.0), (2, "2.5"), (3, 2.0))]
    return (json.dumps({"log_history": rows, "max_steps": 3}).encode(),)


def histories() -> tuple[bytes, ...]:
    """Runs exported from W&B as JSON."""
    found = []
    for path in sorted((PUBLIC / "lr_scheduling" / "raw").glob("*.json"))[:1]:
        run = json.loads(path.read_text())
        run["history"] = {
            section: {k: v[:8] if isinstance(v, list) else v for k, v in table.items()}
            for section, table in run["history"].items()
        }
        found.append(json.dumps(run).encode())
    return tuple(found)


def charts() -> tuple[bytes, ...]:
    group = '"train/step","Group: a - loss","Group: a - loss__MIN","b - loss"\n1,3,2,\n2,2.5,2,4\n3,2.25,2,3\n'
    return (group.encode(),)


def parquets() -> tuple[bytes, ...]:
    bundled = sorted((ROOT / "data" / "runs").glob("medium_constant_1000*.parquet"))[:1]
    return logs.parquet(), *(path.read_bytes() for path in bundled)


def events() -> tuple[bytes, ...]:
    """Event files with plain scalars, and with tensors."""
    made = []
    for tensors in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            made.append(logs.events(Path(folder), logs.event_points(), tensors))
    return tuple(made)


def manifests() -> tuple[bytes, ...]:
    """Manifests of a log that is called a.csv."""
    two = "run,file,params,batch_size,total_steps\na,logs/a.csv,7e9,8,\nb,logs/a.csv,7e9,8,40\n"
    return two.encode(), start(ROOT / "data" / "examples.csv", 3)


def consoles() -> tuple[bytes, ...]:
    """What several programs print."""
    bar = " 10%|# | 10/100 [00:10<01:30,  1.00it/s]\n"
    dicts = "{'loss': 3.5, 'grad_norm': 1.5, 'learning_rate': 1e-05, 'epoch': 0.1}\n" + bar
    texts = (
        "import torch\nprint(f'step:{step} loss:{loss}')\nstep:0/9 val_loss:11.0\nstep:1/9 train_loss:10.5 t:9ms\n"
        "step:9/9 train_loss:9.5 t:99ms\nstep:9/9 val_loss:9.0\n",
        "s:0 tel:11.0092\ns:0 trl:11.0091 lr:0.000001 norm:15.37\ns:1 trl:10.9598 lr:0.000002 norm:15.24\n",
        "2: iteration    100/  1000 | consumed samples: 800 | learning rate: 1.0E-04 | global batch size: 8 | lm loss: "
        "6.2E+00 | grad norm: 1.5 |\n2: iteration    200/  1000 | consumed samples: 1600 | learning rate: 2.0E-04 | "
        "global batch size: 8 | lm loss: nan | grad norm: 1.5 |\n"
        " validation loss at iteration 200 | lm loss value: 6.0 |\n",
        "[x] INFO [o:1] [step=1/1,000]\n    train/CE loss=11.25\n    train/PPL=76,631\n    optim/LR (group 0)=1e-3\n"
        "[x] INFO [o:1] [step=2/1,000]\n    train/CE loss=10.25\n    optim/LR (group 0)=1e-3\n",
        dicts + dicts.replace("3.5", "'3.25'").replace(" 10", " 20") + "{'eval_loss': 3.0, 'epoch': 0.2}\n" + dicts,
        "Epoch 1/3\n 5/10 [==>...] - ETA: 1s - loss: 2.5\b\b10/10 [=====] - 2s - loss: 2.25 - val_loss: 2.0\n"
        "Epoch 2/3\n10/10 [=====] - 2s - loss: 2.0 - val_loss: 1.75\n",
        "\x1b[32mstep: 1  loss:  3.2\x1b[39m\r\n[rank1]: step: 1  loss:  3.2\r\n"
        "step: 2  loss:  2.9\r\nstep: 1 loss: 3.3\r\n",
        'DLLL {"step": [0, 1], "data": {"step_loss": 3.5, "learning_rate": 1e-3}}\n'
        'DLLL {"step": [0, 2], "data": {"step_loss": 3.0, "learning_rate": 1e-3}}\n',
        "x | INFO | train_inner | epoch 001:  10 / 99 loss=9.5, nll_loss=9, num_updates=10, lr=1e-05, gnorm=2\n"
        "x | INFO | train_inner | epoch 001:  20 / 99 loss=8.5, nll_loss=8, num_updates=20, lr=2e-05, gnorm=1\n",
    )
    return tuple(text.encode() for text in texts)


def wandb_logs() -> tuple[bytes, ...]:
    """Transaction logs, with nested items and W&B's own steps alone."""
    rows = [{"train/loss": 3 - i / 4, "lr": 1e-3, "nested": {"a": 1}, "text": "x"} for i in range(4)]
    return trackers.wandb_log("b", rows, {"model": {"n_params": 5}, "batch_size": 8, "seq_len": 16, "_wandb": {}}), (
        trackers.wandb_log("c", [{**row, "_step": 10 * i} for i, row in enumerate(rows)], step=False)
    )


_POINTS = {
    "train/loss": [(0, 3.5), (10, 3.0), (20, 2.5)],
    "val_loss": [(20, float("nan"))],
    "lr": [(0, 0.0), (9, 1e-3)],
}


def mlflow_databases() -> tuple[bytes, ...]:
    return (
        trackers.mlflow_db(("a", _POINTS, {"batch_size": 8}), ("deleted", _POINTS, {}), ("b", _POINTS, {"n": "x"})),
    )


def trackio_databases() -> tuple[bytes, ...]:
    rows = [(i, {"train/loss": 3 - i / 4, "train/global_step": 5 * i, "deep": {"lr": 1e-3}}) for i in range(4)]
    return (trackers.trackio_db(("a", rows, {"batch_size": 8}), ("b", [(i, {"loss": 3 - i}) for i in range(3)], {})),)


def comet_zips() -> tuple[bytes, ...]:
    return (trackers.comet_zip("b", _POINTS, {"n_params": 5, "batch_size": "8"}),)


def swanlab_logs() -> tuple[bytes, ...]:
    return (trackers.swanlab_log("b", _POINTS),)


def long_tables() -> tuple[bytes, ...]:
    rows = "".join(f"{run},{key},{3 - i / 4},{5 * i}\n" for run in "ab" for key in ("loss", "lr") for i in range(4))
    return (f"run,metric,value,step\n{rows}".encode(), f"run\tkey\tvalue\tstep\n{rows}".replace(",", "\t").encode())


def archives() -> tuple[bytes, ...]:
    """Archives of logs, and of folders as trackers leave them."""
    line = b"1795310878756 3.5 0\n1795310878757 3.25 1\n"
    mlruns = {"metrics/loss": line, "metrics/train/lr": line, "meta.yaml": b"run_name: x\n", "params/batch_size": b"8"}
    metrics = {"plots/metrics/train/loss.tsv": b"step\tloss\n0\t3\n5\t2\n", "params.yaml": b"n_params: 5\n"}
    others = {
        "a/run-x-tag-train_loss.csv": b"Wall time,Step,Value\n1.5,0,3\n2.5,5,2\n",
        "a/run-x-tag-lr.csv": b"Wall time,Step,Value\n1.5,0,1e-3\n2.5,5,0\n",
        "b/manifest.csv": b"run,file,params\nr,c.csv,1e6\n",
        "b/c.csv": logs.GOOD,
        "o/metrics.jsonl": logs.sample("ClearML offline task"),
        "o/task.json": b'{"name": "t", "hyperparams": {"General": {"batch_size": {"value": "8"}}}}',
    }
    return (
        trackers.zipped({f"mlruns/1/{run}/{name}": data for run in "ab" for name, data in mlruns.items()}),
        trackers.zipped({f"{run}/dvclive/{name}": data for run in "ab" for name, data in metrics.items()}),
        trackers.zipped(others),
        trackers.zipped({"x.csv.gz": gzip.compress(logs.GOOD, mtime=0), "y.zip": trackers.comet_zip("z", _POINTS)}),
        gzip.compress(logs.GOOD, mtime=0),
        bz2.compress(logs.GOOD),
        lzma.compress(logs.GOOD),
    )


# Log format -> more files of it than its sample.
OF_FORMAT = {
    "CSV": partial(tables, ","),
    "TSV": partial(tables, "\t"),
    "CSV with semicolons": partial(tables, ";"),
    "table with spaces": partial(tables, " "),
    "W&B chart CSV": charts,
    "console log": consoles,
    "JSON lines": json_lines,
    "JSON records": json_records,
    "JSON columns": json_columns,
    "Hugging Face trainer_state.json": trainer_states,
    "W&B history JSON": histories,
    "Parquet": parquets,
    "TensorBoard events": events,
    "Manifest": manifests,
    "W&B transaction log": wandb_logs,
    "MLflow database": mlflow_databases,
    "trackio database": trackio_databases,
    "Comet offline experiment": comet_zips,
    "SwanLab log": swanlab_logs,
    "TensorBoard CSV download": lambda: (b"Wall time,Step,Value\n1.5,3,2.5\n2,4,2\n",),
    "a table for each metric": lambda: (b"timestamp,step,Train_Samples_loss\n1,512,3\n2,1024,2.5\n3,1536,nan\n",),
    "long table": long_tables,
}


def refused() -> tuple[bytes, ...]:
    """First bytes of what is never read, pickles among them."""
    import pickle

    from optlaws_core.readers.sniff import REFUSED

    pickles = [pickle.dumps({"loss": [1.5, 2.5]}, protocol) for protocol in (2, 3, 4, 5)]
    return *pickles, *(magic + bytes(24) for magic, _, _ in REFUSED)


def final_tables() -> tuple[bytes, ...]:
    """Tables of final losses."""
    own = (
        "run,params,batch_tokens,tokens,schedule,final_loss,outcome,parent,text\n"
        'a,1e6,1024,102400,"linear(peak=1e-3, total=100)",3.5,finished,,x\n'
        'b,1e6,1024,102400,"constant(peak=5e-3, total=100)",nan,diverged,,x\n'
        'c,2e6,1024,,"wsd(peak=1e-3, total=50, decay=10)",3.25,finished,a,y\n'
    ).replace("1024,,", "1024,51200,")
    other = 'name,n_params,total_tokens,lr_schedule,val_loss\nq,1e7,1e6,"cosine(peak=3e-4, total=1000)",3\n'
    return tuple(filter(None, (own.encode(), other.encode(), start(PUBLIC / "lr_scheduling" / "table.csv", 4))))


def sweeps() -> tuple[bytes, ...]:
    """Tables of sweeps over learning rate and batch."""
    rows = [(1e8, 2e9, lr, batch, 3 + lr) for lr in (1e-3, 2e-3) for batch in (131072, 262144)]
    own = "params,tokens,lr,batch,loss\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    other = "N,D,peak_lr,bs,final_loss,note\n1e8,2e9,1e-3,2e5,,diverged\n1e8,2e9,5e-4,2e5,3.5,\n"
    return tuple(filter(None, (own.encode(), other.encode(), start(PUBLIC / "step_law" / "dense_lr_bs_loss.csv", 5))))


def fit(law: str = "power_law") -> Fit:
    """A fit that nobody searched for, of one of everything."""
    names = LAWS[law].names
    return Fit(
        law, dict.fromkeys(names, 0.5), dict.fromkeys(names, (0.25, 0.75)), Status.converged, "Converged.", 0.1,
        _SCORES, Coverage((1e-3, 2e-3), (100, 1000), (1e6, 1e6), (1024.0, 1024.0), (0, 200), (0.0, 0.1)), _SCORES,
        free=tuple(names[:2]),
        covariance=((1.0, 0.0), (0.0, 1.0)), misfit=0.01, left_out=0.02,
    )  # fmt: skip


def average() -> Average:
    return Average((fit(), fit("annealing")), (0.25, 0.75), _SCORES, _SCORES, 0.01, None)


def fits() -> tuple[bytes, ...]:
    """Fits of curve laws, and an average."""
    return tuple(json.dumps(model.to_dict()).encode() for model in (fit(), fit("annealing"), average()))


def final_fits() -> tuple[bytes, ...]:
    """Fits of final-loss laws, with a risk and the offset of another text."""
    ends = {"a": End(3.0, 3.1, -0.03)}
    references = {"N0": 1e6, "B0": 1024.0, "mu": 0.3, "kappa": 0.01}
    made = []
    for law in FINAL_LAWS.values():
        names = [p.name for p in law.params] if law.params else list(LINE)
        made.append(
            FinalFit(
                law.name,
                dict.fromkeys(names, 0.5),
                dict.fromkeys(names, None),
                Status.converged,
                "Converged.",
                0.1,
                ends,
                Coverage((1e-3, 2e-3), (100, 1000), (1e6, 1e6), (1024.0, 1024.0), (0, 200), (0.0, 0.1)),
                references,
                1.0,
                ends,
                free=(names[0],),
                covariance=((1.0, 0.0), (0.0, 1e-4)),
                risk=RISK,
                text="web",
                steps={"code": TextStep(0.1, 0.08, 0.12, 3)},
            )
        )
    return tuple(json.dumps(f.to_dict()).encode() for f in made)


def bundles() -> tuple[bytes, ...]:
    """Saved comparisons, bare and with one of everything."""
    losses = {"train": Series([0, 10, 30], [3.5, 3.0, 2.5]), "val": Series([10], [3.25])}
    schedule = parse("cosine(peak=1e-3, warmup=2, total=31)")
    run = Run("a", Plan(schedule, 1e6, 1024.0), losses, lr_source="logged", last_step=30, about={"seed": "1"})
    full = Snapshot(
        "All",
        (run, Run("b", None, losses, "val")),
        {"mine": average(), "other": fit()},
        "mine",
        (Candidate(schedule, "x"), Candidate(parse("step(peak=1, total=9, boundaries=[5], values=[0.5])"), on=False)),
        risk=RISK,
        also=("other",),
        observed=("a",),
        view={"log_x": True, "n": 4.5, "none": None, "t": "x"},
        note="n\nn",
        tags=("t",),
        author="me",
        parent="ab" * 32,
        created="2026-11-22T19:00:00+00:00",
    )
    return to_bundle(full), to_bundle(Snapshot("Bare", created="2026-11-22T19:00:00+00:00"))


def schedules() -> tuple[bytes, ...]:
    """The text form of every family."""
    return tuple(text.encode() for text in shipped(10, 100))


def links() -> tuple[bytes, ...]:
    """Candidates as the values of a link, one a line."""
    texts = [text.decode() for text in schedules()]
    return *(f"!{t}|a label\n{u}".encode() for t, u in zip(texts, texts[1:], strict=False)), "\n".join(texts).encode()


def curves() -> tuple[bytes, ...]:
    """Pasted learning-rate curves."""
    return b"step,lr\n0,0\n10,1e-3\n50,1e-3\n50,5e-4\n100,0\n", b"0 0.5\n1 0.25\n2 0.125\n", b"lr;t\n1e-3;0\n1e-4;9\n"


def norms() -> tuple[bytes, ...]:
    """Logs of one run with gradient norms."""
    rows = [(s, 3 - s / 50, 1 + 1 / (s + 1)) for s in range(0, 60, 5)]
    csv = "step,loss,grad_norm\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    lines = lines_of({"step": s, "train/grad_norm": g} for s, _, g in rows)
    return csv.encode(), lines, trainer_states()[0]


def staged() -> tuple[bytes, ...]:
    """Logs of runs in stages of constant rate."""
    rows = [(s, 2 + 1 / (s + 1), 1e-3 if s < 40 else 2e-3) for s in range(0, 120, 2)]
    return ("step,loss,lr\n" + "".join(f"{s},{y!r},{lr}\n" for s, y, lr in rows)).encode(), logs.table(",")

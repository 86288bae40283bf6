"""A table with one row a finished run is no curve, and is told from one."""

import pytest

from optlaws_core.readers import Source, read_source
from tests.knowledge.logs import one

GRID = "".join(
    f"{n},{d},{lr},{bs},{3 - i / 50}\n"
    for i, (n, d, lr, bs) in enumerate(
        [(n, d, lr, bs) for n in (1e8, 2e8) for d in (2e9, 4e9) for lr in (1e-3, 2e-3) for bs in (64, 128)]
    )
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("N,D,lr,bs,loss\n" + GRID, 16),
        ("N;D;lr;bs;loss\n" + GRID.replace(",", ";"), 16),
        ("Model Size,Training FLOP,loss\n1e8,1e18,3.5\n2e8,1e18,3.25\n4e8,2e18,3\n", 3),
        ("lr,batch_size,loss\n1e-3,32,3\n1e-3,64,2.9\n2e-3,32,2.8\n2e-3,64,2.85\n", 4),
        ("run,step,final_loss\na,5000,3\nb,5000,2.9\nc,5000,2.8\n", 3),
        (
            '"Name","State","Created","Runtime","lr","iter","train/loss"\n"a","finished","2026-01-01","8","1e-3","0","3"\n',
            1,
        ),
        (
            "Start Time,Duration,Run ID,Name,Status,loss\n2026,5s,4f,a,FINISHED,3\n2026,6s,5f,b,FINISHED,2\n",
            2,
        ),
        ("sys/id,sys/creation_time,sys/state,val_loss\nA-1,2026,Inactive,3\nA-2,2026,Inactive,2\n", 2),
    ],
)
def test_finished_runs_are_told_from_curves(text, rows):
    report = read_source(Source("sweep.csv", text.encode()))
    assert report.is_table and report.runs == () and report.format == "Table of finished runs"
    assert report.error == (
        f"sweep.csv: this is a table of {rows} finished run{'s' if rows > 1 else ''}, one a row, and no curve; it goes "
        "to the Pre-select or Plan page, or to `fit --table`."
    )


@pytest.mark.parametrize(
    "text",
    [
        "run,step,loss\na,0,3\na,10,2.9\nb,0,3\nb,10,2.8\n",
        "step,loss,lr,batch_size\n0,3,1e-3,32\n1,2.9,1e-3,64\n2,2.8,9e-4,64\n",
        "loss,lr,batch_size\n3,1e-3,32\n2.9,1e-3,32\n2.8,9e-4,64\n",
        "params,step,loss\n1e8,0,3\n1e8,10,2.9\n",
        "step,loss,state\n0,3,training\n10,2.9,training\n",
    ],
)
def test_curves_stay_curves(text):
    report = read_source(Source("a.csv", text.encode()))
    assert report.error is None and not report.is_table and report.runs


def test_one_row_is_a_curve_that_is_too_short():
    assert (
        "a curve needs at least 2 points" in read_source(Source("a.csv", b"N,D,lr,bs,loss\n1e8,2e9,1e-3,64,3\n")).error
    )
    assert one("a.csv", "loss\n3\n2\n")[0].last_step == 1

"""What a comparison leaves for a paper: figures, tables, BibTeX; and the commands that write them."""

import re
import warnings
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import LAWS, OptLawsError, parse, predict, rank
from optlaws_core.cli import main
from optlaws_core.markup import Table
from optlaws_core.paper import citations, figure
from optlaws_core.paper.citations import SOURCES, bibtex, bibtex_of
from optlaws_core.paper.figure import WIDTHS, Line, Look, dense_steps, written
from optlaws_core.paper.ranking_table import paper_table
from optlaws_core.prediction.pairs import compare
from optlaws_core.saved.store import Store
from tests.places import ROOT
from tests.support.stores import ME

WSD = "wsd(peak=1e-3, warmup=500, total=20000, decay=3000)"


# ------------------------------------------------------------------------------------------------------ laws


def test_every_law_has_its_sources_and_no_source_is_without_a_law():
    assert set(SOURCES) == set(LAWS) and all(SOURCES.values())


def test_entries_say_what_the_references_say_and_no_more():
    told = " ".join(p.read_text("utf-8") for p in (ROOT / "optlaws_core" / "laws").glob("*.py"))
    told += (ROOT / "docs" / "sources.md").read_text("utf-8")
    told = re.sub(r'"\s*\n\s*f?"', "", told)
    for law, sources in SOURCES.items():
        numbers = set(re.findall(r"\d{4}\.\d{5}", LAWS[law].reference))
        assert numbers == {s.arxiv for s in sources if s.arxiv}, law
        for s in sources:
            assert s.title in told and str(s.year) in LAWS[law].reference, s.key
            assert all(name in told for name in s.authors) and s.authors[0] in LAWS[law].reference
    keys = [s.key for s in citations.sources(LAWS)]
    assert len(keys) == len(set(keys))


def test_entries_are_bibtex():
    text = bibtex(LAWS)
    assert text.isascii() and text.count("@misc{") == len(citations.sources(LAWS))
    for entry in text.strip().split("\n\n"):
        assert entry.count("{") == entry.count("}") and re.match(r"@misc\{[a-z0-9]+,\n  author ", entry)
        assert "title" in entry.lower() and "year" in entry
    assert "eprint        = {2503.12811}" in bibtex(["multi_power"]) and "Luo and others" in bibtex(["multi_power"])
    with pytest.raises(OptLawsError, match="No source is known"):
        bibtex(["nothing"])


# ----------------------------------------------------------------------------------------------------- tables


def test_names_are_no_markup_in_tables():
    table = Table(("Schedule", "Loss ±"), (("a_b & 50% $x$ \\cmd {y} #1 ~^|<b>", "−0.1"), ("plain", "–")))
    tex, markdown = table.latex("Cap_tion", "tab:a b"), table.markdown()
    assert r"a\_b \& 50\% \$x\$ \textbackslash{}cmd \{y\} \#1" in tex and r"\caption{Cap\_tion}" in tex
    assert r"\label{tab:a-b}" in tex and r"\begin{tabular}{lr}" in tex and tex.count(r"\\") == 3
    assert r"$\pm$" in tex and "$-$0.1" in tex and tex.isascii()
    assert markdown.splitlines()[1] == "| --- | ---: |" and len(markdown.splitlines()) == 4
    assert r"a\_b & 50% \$x\$ \\cmd" in markdown and r"\|\<b\>" in markdown


def test_a_table_has_the_numbers_of_the_ranking(snapshot):
    ranked = rank(snapshot.fit, [c.schedule for c in snapshot.candidates])
    beside = compare(snapshot.fit, ranked, ranked[1].schedule)
    table = paper_table(ranked, ["one", "two"], [0.01, None], beside, [None, None])
    assert table.heads[:3] == ("Schedule", "Final loss", "Difference") and "Observed" not in table.heads
    assert table.rows[0][1] == f"{ranked[0].final_loss:.4f} ± 0.0100" and table.rows[1][2] == "baseline"
    assert table.rows[0][2] == f"{beside[0].pair.difference:+.5f}".replace("-", "−")


# ---------------------------------------------------------------------------------------------------- figures


def test_dense_steps_are_every_update_of_a_short_run_and_both_sides_of_every_kink():
    short = parse("wsd(peak=1e-3, warmup=50, total=1000, decay=200)")
    assert np.array_equal(dense_steps(short), np.arange(short.warmup_end, 1000))
    long = parse("wsd(peak=1e-3, warmup=500, total=2000000, decay=300000)")
    steps = dense_steps(long)
    assert 2_000 <= len(steps) < 2_500 and {1_699_999, 1_700_000, 1_999_999} <= set(steps.tolist())
    assert (np.diff(steps) > 0).all()


def svg_curve(text: str) -> int:
    """Points of the longest path of an SVG."""
    return max(len(re.findall(r"[ML] ", path)) for path in re.findall(r' d="([^"]*)"', text))


def test_figures_have_the_widths_of_columns_their_fonts_and_dense_curves(snapshot):
    pytest.importorskip("matplotlib")
    lines = [Line("a", parse(WSD), True), Line("b $x$ & <c>", parse(WSD.replace("3000", "9000")))]
    for width, inches in WIDTHS.items():
        pdf = written(snapshot.fit, lines, "pdf", Look(width))
        (box,) = re.findall(rb"/MediaBox \[ ?0 0 ([0-9.]+)", pdf)
        assert abs(float(box) / 72 - inches) < 0.01 and pdf.startswith(b"%PDF")
        assert b"/FontFile2" in pdf and b"/Subtype /Type3" not in pdf  # TrueType, embedded
        assert pdf == written(snapshot.fit, lines, "pdf", Look(width))
        svg = written(snapshot.fit, lines, "svg", Look(width)).decode()
        assert f'width="{72 * inches:g}pt"' in svg and "<text" not in svg and "font-family" not in svg
        assert svg_curve(svg) > 1_500  # not the points of a screen
        assert "stroke-dasharray" in svg and "http://" not in re.sub(
            r"http://(www\.w3|purl|creativecommons|web\.res)[^\"]*", "", svg
        )
    assert written(snapshot.fit, lines, "png").startswith(b"\x89PNG")


def test_a_figure_draws_what_is_predicted(snapshot):
    pytest.importorskip("matplotlib")
    lines = [Line("a", parse(WSD)), Line("b", parse(WSD.replace("3000", "9000")))]
    made = figure.figure(snapshot.fit, lines, Look(log_x=True, x="lr", start=0.5), {"r": snapshot.runs[0]})
    losses, rates = made.axes
    drawn = {line.get_label(): line for line in losses.lines}
    assert set(drawn) == {"a", "b", "r (observed)"}
    steps = dense_steps(lines[0].schedule)
    assert np.array_equal(drawn["a"].get_ydata(), predict(snapshot.fit, lines[0].schedule, steps))
    assert drawn["a"].get_linestyle() != drawn["b"].get_linestyle()  # told apart in grey
    assert losses.get_xscale() == "log" and rates.get_ylabel() == "learning rate"
    low, high = losses.get_ylim()
    assert all(low <= line.get_ydata()[-1] <= high for name, line in drawn.items() if name in "ab")


def test_a_batch_that_changes_has_a_panel_and_counts_on_the_axis_of_tokens(snapshot, monkeypatch):
    monkeypatch.setattr(figure, "predict", lambda _, schedule, steps: 3 + 0.0 * steps)  # most laws know no batch
    lines = [Line("a", parse(WSD)), Line("b", parse(f"rate={WSD}; batch=steps([0, 50%], [1x, 4x])"))]
    made = figure.figure(snapshot.fit, lines, Look(x="tokens", batch_tokens=1000.0))
    losses, rates, sizes = made.axes
    assert (sizes.get_ylabel(), sizes.get_xlabel(), rates.get_xlabel()) == ("batch, tokens", "tokens seen", "")
    assert [set(line.get_ydata()) for line in sizes.get_lines()] == [{1000}, {1000, 4000}]
    assert losses.get_lines()[1].get_xdata()[-1] == 10_000 * 1000 + 10_000 * 4000
    assert len(figure.figure(snapshot.fit, lines[:1]).axes) == 2


def test_a_figure_of_nothing_or_of_another_kind_is_refused(snapshot):
    for lines, _, look in (([], "pdf", Look()), ([Line("a", parse(WSD))], "pdf", Look("triple"))):
        with pytest.raises(OptLawsError, match="A figure"):
            figure.figure(snapshot.fit, lines, look)
    with pytest.raises(OptLawsError, match="is written as"):
        written(snapshot.fit, [Line("a", parse(WSD))], "gif")


def test_a_name_in_any_script_is_drawn_without_a_complaint(snapshot):
    pytest.importorskip("matplotlib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert written(snapshot.fit, [Line("学習率 $\\alpha", parse(WSD)), Line("_hidden", parse(WSD))], "svg")


# ---------------------------------------------------------------------------------------------------- commands


def test_share_paper_writes_the_files_of_a_saved_comparison(tmp_path, snapshot, capsys):
    pytest.importorskip("matplotlib")
    store = str(tmp_path / "s.sqlite")
    labelled = replace(snapshot.candidates[0], label="base_line")
    with closing(Store(store)) as opened:
        id = opened.save(replace(snapshot, candidates=(labelled, *snapshot.candidates[1:])), ME)
    files = {name: tmp_path / name for name in ("f.pdf", "t.tex", "t.md", "l.bib")}
    argv = ["share", "paper", id, "--store", store, "--figure", str(files["f.pdf"]), "--width", "single"]
    argv += ["--bibtex", str(files["l.bib"])]
    assert main([*argv, "--table", str(files["t.tex"])]) == main([*argv, "--table", str(files["t.md"])]) == 0
    assert files["f.pdf"].read_bytes().startswith(b"%PDF") and r"base\_line" in files["t.tex"].read_text()
    assert "2408.11029" in files["l.bib"].read_text() == bibtex_of([snapshot.fit])
    assert files["t.md"].read_text().startswith("| Schedule |")
    capsys.readouterr()
    for wrong in (
        ["share", "paper", id],
        [*argv, "--table", str(tmp_path / "t.doc")],
        [*argv[:-2], "--width", "single"][:6],
    ):
        assert main([*wrong, "--store", store] if "--store" not in wrong else wrong) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_rank_writes_the_same_files(tmp_path, snapshot, capsys):
    pytest.importorskip("matplotlib")
    snapshot.fit.save(tmp_path / "fit.json")
    argv = ["rank", "--fit", str(tmp_path / "fit.json")]
    argv += [word for c in snapshot.candidates for word in ("--schedule", c.schedule.text)]
    files = [tmp_path / name for name in ("f.svg", "t.md", "l.bib")]
    assert main([*argv, "--figure", str(files[0]), "--table", str(files[1]), "--bibtex", str(files[2])]) == 0
    out = capsys.readouterr().out
    assert "<svg" in files[0].read_text() and "2408.11029" in files[2].read_text()
    best = rank(snapshot.fit, [c.schedule for c in snapshot.candidates])[0]
    assert f"| {best.final_loss:.4f} |" in files[1].read_text() and f"{best.final_loss:.6f}" in out
    for wrong in (["--width", "single"], ["--figure", "f.gif"], ["--table", str(tmp_path / "no folder" / "t.md")]):
        assert main([*argv, *wrong]) == 1
        assert capsys.readouterr().err.count("\n") == 1

"""Charts as plotly figures, the same in a notebook and on the pages: pure functions of the core's records.

A module draws one thing: `run_charts` losses and rates of runs, `fit_charts` a fit beside what was observed,
`candidate_chart` candidates under fits, `schedule_charts` a schedule; the others are those of one page. What they share
is in `chart_style`. Plotly is loaded with this package, which no other of the core loads before a chart is asked for.
"""

from ..errors import extra

with extra("figures", "A chart"):
    import plotly.graph_objects  # noqa: F401
    import tsdownsample  # noqa: F401

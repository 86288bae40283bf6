"""What `plot()` of a record draws: runs, a model beside runs, a prediction, a ranking, a schedule."""

from collections.abc import Iterable

import plotly.graph_objects as go

from ..errors import DesignError
from ..fitting.result import Model
from ..fitting.single import usable
from ..prediction.bands import Prediction, with_bands
from ..prediction.beside_runs import bands_beside, losses_beside
from ..prediction.ranking import Ranking
from ..runs import Run
from ..schedules import Joint, Schedule
from ..text import shortened
from . import candidate_chart, chart_style, fit_charts, run_charts, schedule_charts


def of_runs(runs: Iterable[Run]) -> go.Figure:
    """Losses in use above, learning rates beneath."""
    return run_charts.curves(dict(enumerate(runs)))


def of_model(model: Model, runs: Iterable[Run]) -> go.Figure:
    """Losses observed and predicted, from the first that counts on; unfitted runs dashed, the longest with bands."""
    placed = {i: usable(run, model.first_step) for i, run in enumerate(runs)}
    if not placed:
        raise DesignError("A chart of a fit needs runs to draw it beside, got none.")
    held_out = [run.name for run in placed.values() if run.name not in model.train]
    some = [run for run in placed.values() if run.name in held_out] or list(placed.values())
    bands = bands_beside(model, [max(some, key=lambda run: run.known_plan.schedule.total)])
    return fit_charts.curves(placed, losses_beside(model, placed.values()), held_out, False, bands)


def of_prediction(prediction: Prediction) -> go.Figure:
    """Losses over the steps, with both bands."""
    figure = go.Figure(list(chart_style.bands([(prediction.steps, prediction, 0)])))
    figure.add_trace(
        go.Scatter(
            x=prediction.steps,
            y=prediction.loss,
            mode="lines" if len(prediction.steps) > 1 else "markers",
            name="predicted",
            line={"color": chart_style.color(0), "width": 2},
            hovertemplate="step %{x:,}: %{y:.5f}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="step", tickformat=",")
    figure.update_yaxes(title_text="predicted loss")
    return chart_style.finish(figure, 420)


def of_ranking(ranking: Ranking) -> go.Figure:
    """Predicted losses, the band of the best one, and the learning rates of all."""
    curves = []
    for i, row in enumerate(ranking):
        steps = candidate_chart.steps_of(row.schedule)
        told = with_bands(ranking.model, row.schedule, steps)
        name = shortened(row.schedule.text, 60)
        bands = told if i == 0 else None
        curves.append(candidate_chart.Curve(name, i, row.schedule, steps, told.loss, bands=bands))
    return candidate_chart.comparison(curves, {}, candidate_chart.View(), beneath=True)


def of_schedule(schedule: Schedule) -> go.Figure:
    """The rate over the updates; rate and batch over the tokens read, of a plan with a batch."""
    if isinstance(schedule, Joint) and schedule.batch is not None:
        return schedule_charts.over_tokens(schedule)
    return schedule_charts.rate(schedule)


__all__ = ["of_model", "of_prediction", "of_ranking", "of_runs", "of_schedule"]

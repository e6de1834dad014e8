"""Figures of notebooks 04 to 06 show what their tables say, every seed among it."""

import numpy as np
import pytest

from k2repro.pictures import best_of_n, planning, speculative


def test_a_curve_is_the_mean_of_its_seeds():
    """Catches a line of one seed that stands for all."""
    curves = {"judge": {0: np.array([0.2, 0.4]), 1: np.array([0.4, 0.8])}}
    figure, records = best_of_n.curves_picture(curves, "title")
    assert list(figure.data[0].y) == pytest.approx([0.3, 0.6])
    assert records[1] == {"selector": "judge", "N": 2, "mean": 0.6, "seed 0": 0.4, "seed 1": 0.8}


def test_every_seed_is_a_dot():
    """Catches a figure of means: a reader could not see how far apart the solvers are."""
    figure, records = best_of_n.seeds_picture({"a": {0: 0.1, 1: 0.3}, "b": {0: 0.0, 1: 0.1}}, "t", "points")
    assert list(figure.data[0].x) == pytest.approx([20.0, 5.0])
    dots = {trace.name: list(trace.x) for trace in figure.data[1:]}
    assert dots == {"seed 0": pytest.approx([10.0, 0.0]), "seed 1": pytest.approx([30.0, 10.0])}
    assert records[0] == {"what": "a", "mean": 20.0, "seed 0": 10.0, "seed 1": 30.0}


def test_levels_have_their_own_bars_and_dots():
    """Catches dots of one level above the bar of another."""
    values = {"gold": {"9-10": {0: 0.1}, "11-12": {0: -0.2}}, "own": {"9-10": {0: 0.0}, "11-12": {0: 0.3}}}
    figure, records = planning.levels_picture(values, "t", "points")
    *bars, dots = figure.data
    assert [x for bar in bars for x in bar.x] == list(dots.x)
    assert [y for bar in bars for y in bar.y] == pytest.approx(list(dots.y))
    assert [record["mean"] for record in records] == [10.0, -20.0, 0.0, 30.0]
    assert list(figure.layout.xaxis.ticktext) == ["9-10", "11-12"]


def test_points_stand_beside_the_line_of_fixed_n():
    """Catches a point whose tokens are those of another line."""
    points = [{"name": "adaptive N", "tokens": 250.0, "accuracy": 0.7}]
    figure, records = best_of_n.budget_picture(points, [(200.0, 0.6), (400.0, 0.65)])
    assert list(figure.data[0].x) == [200.0, 400.0] and list(figure.data[1].x) == [250.0]
    assert records[-1] == {"what": "adaptive N", "tokens": 250, "right": 0.7}


def test_the_mark_begins_at_the_first_mistake():
    """Catches a mark over what is right, and text of a model that becomes markup."""
    page = planning.marked_html("searching", "ab<cd", 2, right=False)
    assert 'ab<span style="background:#f4c7c3;color:#222">&lt;cd</span>' in page and "wrong" in page
    assert "<span" not in planning.marked_html("searching", "abc", 3, right=True)


@pytest.mark.parametrize("stated", [0.02, 0.9])
def test_what_the_article_states_lies_inside_the_plot(stated):
    """Catches a line beyond the axis: Lab draws none of it, the picture draws it through the title."""
    found = {
        "trained": {"1": {"tokens": [8, 9], "passes": [4, 5]}, "3": {"tokens": [9, 9], "passes": [3, 4]}}
    }
    figure, records = speculative.spread_picture(found, stated)
    low, high = figure.layout.yaxis.range
    assert low <= stated <= high and all(low <= record["spread"] <= high for record in records)

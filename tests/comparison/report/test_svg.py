"""The geometry of charts: numbers to lengths and paths."""

import math

import numpy as np
import pytest

from fish_jax.comparison.report import plots
from fish_jax.comparison.report import svg as charts
from fish_jax.comparison.report.svg import Box, Line, Scale


def test_scales():
    scale = Scale(10.0, 20.0, 100.0, 50.0)
    assert [scale(v) for v in (10, 12, 20)] == [100, 90, 50]
    scale = Scale(1.0, 100.0, 0.0, 50.0, log=True)
    np.testing.assert_allclose([scale(v) for v in (1, 10, 100)], [0, 25, 50])
    assert math.isnan(scale(0)) and math.isnan(scale(-1))


def test_extents_are_those_of_finite_values_with_air():
    np.testing.assert_allclose(charts.extent([0, 10, math.nan, math.inf]), (-0.6, 10.6))
    assert charts.extent([]) == (0, 1) and charts.extent([math.nan]) == (0, 1)
    for same in (0.0, 1e-300, 3.0, -1e90):
        low, high = charts.extent([same, same])
        assert low < same < high or (same == 1e-300 and low < high)
    spiky = [*np.linspace(0, 1, 999), 1e6]
    assert charts.extent(spiky)[1] > 1e6 and charts.extent(spiky, robust=True)[1] < 1.2
    assert charts.extent([0, 0, 0, 1e6], robust=True)[1] > 1e6


def test_axes_are_logarithmic_where_positive_numbers_are_far_apart():
    assert charts.log_extent([1, 5]) is None and charts.log_extent([-1, 500]) is None
    assert charts.log_extent([0, 500]) is None and charts.log_extent([math.nan]) is None
    low, high = charts.log_extent([1, 500, math.inf])
    assert 0.5 < low < 1 and 500 < high < 1000


@pytest.mark.parametrize(
    "ends, expected",
    [
        ((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ((-3, 7), [-2, 0, 2, 4, 6]),
        ((0, 350_000), [0, 100_000, 200_000, 300_000]),
        ((1e-7, 5e-7), [1e-7, 2e-7, 3e-7, 4e-7, 5e-7]),
    ],
)
def test_ticks_are_round(ends, expected):
    np.testing.assert_allclose(charts.ticks(*ends), expected, atol=1e-15)


@pytest.mark.parametrize("count", [3, 4])
def test_ticks_are_few_and_inside(count):
    for low, high in np.random.default_rng(0).normal(size=(50, 2)).cumsum(1):
        low, high = sorted((low, high))
        found = charts.ticks(low, high, count)
        assert low <= found[0] < found[-1] <= high and 2 <= len(found) <= count + 2
        assert len({float(f"{x:.6g}") for x in np.diff(found)}) == 1


def test_logarithmic_ticks():
    np.testing.assert_allclose(charts.log_ticks(1.5, 70), [2, 5, 10, 20, 50])
    np.testing.assert_allclose(charts.log_ticks(0.5, 2000), [1, 10, 100, 1000])
    np.testing.assert_allclose(charts.log_ticks(0.5, 19), [0.5, 1, 2, 5, 10])
    assert 1 <= len(charts.log_ticks(1e-40, 1e40)) <= 6


def test_short_numbers():
    numbers = (0, 12, 1200, 350_000, 2.5e6, -0.25, 1e15)
    assert [charts.short(n) for n in numbers] == [
        "0",
        "12",
        "1.2k",
        "350k",
        "2.5M",
        "−0.25",
        "1P",
    ]


def test_paths_have_gaps_where_numbers_are_not_finite():
    points = [(0, 1), (1, 2.26), (2, math.nan), (3, math.inf), (4, 5), (5, 6)]
    assert charts.path(points) == "M0.0 1.0L1.0 2.3M4.0 5.0L5.0 6.0"
    assert charts.path([]) == ""


def test_bands_go_there_and_back():
    made = charts.band([0, 1, 2, 3], [0, 1, math.nan, 3], [5, 6, 7, 8])
    assert made == "M0.0 5.0L1.0 6.0L3.0 8.0L3.0 3.0L1.0 1.0L0.0 0.0Z"
    assert charts.band([0, 1], [0, math.nan], [1, math.nan]) == ""


def test_thinned_lines_keep_their_ends_and_spikes():
    ys = np.sin(np.arange(10_000)).tolist()
    ys[4321], ys[77] = 99.0, -99.0
    kept = charts.thin(range(10_000), ys, 100)
    assert len(kept) <= 202 and kept == sorted(kept)
    assert {(0, ys[0]), (9999, ys[9999]), (4321, 99.0), (77, -99.0)} <= set(kept)
    assert charts.thin([1, 2], [3, 4]) == [(1, 3), (2, 4)]
    gap = charts.thin(range(1000), [1.0] * 500 + [math.nan] * 500, 100)
    assert sum(math.isnan(y) for _, y in gap) >= 50


def test_labels_keep_apart():
    assert charts.spread_labels([10, 50], 10, 0, 100) == [10, 50]
    assert charts.spread_labels([50, 10, 51], 10, 0, 100) == [50, 10, 60]
    assert charts.spread_labels([99, 98, 97], 10, 0, 100) == [100, 90, 80]
    many = charts.spread_labels([50.0] * 40, 10, 0, 100)
    assert min(many) >= -1e-9 and max(many) <= 100 + 1e-9 and len(set(np.round(many, 6))) == 40
    assert charts.spread_labels([], 10, 0, 100) == []


def test_histograms_are_shares_and_drop_what_is_not_finite():
    made = charts.histogram([0.1, 0.1, 0.9, 5.0, math.nan], 0, 1, 2)
    assert made.tolist() == [0.5, 0.5]
    assert charts.histogram([], 0, 1, 2).tolist() == [0, 0]
    outline = charts.steps([1, 0.5], Scale(0, 1, 0, 10), 100, -20)
    assert outline == "M0.0 100.0L0.0 80.0L5.0 80.0L5.0 90.0L10.0 90.0L10.0 100.0Z"


def test_losses_look_different():
    assert (
        len({(colour, shape % charts.SHAPES) for colour, shape in map(charts.style_of, range(64))})
        == 64
    )
    drawn = {charts.marker(shape, 5, 5, "c0") for shape in range(charts.SHAPES)}
    assert len(drawn) == charts.SHAPES
    assert charts.marker(0, math.nan, 1, "") == ""


def test_text_is_escaped():
    assert "&lt;script&gt;&#34;" in charts.text(0, 0, '<script>"')
    assert 'aria-label="&#34;&lt;b&gt;"' in charts.picture(1, 1, '"<b>', "")


def test_a_plot_places_lines_labels_and_crosses():
    whole = Line("whole", "w", [0, 50, 100], [0, 5, 10], "c0", shape=0)
    ended = Line("ended", "e", [0, 50], [10, 0], "c1", ended=[(50, 0)])
    drawn = plots.plot(Box(0, 0, 100, 100), [whole, ended], floor=5)
    top, bottom = 100 * 0.6 / 11.2, 100 * 10.6 / 11.2
    assert f'data-name="whole" d="M0.0 {bottom:.1f}L50.0 50.0L100.0 {top:.1f}"' in drawn
    assert f'data-name="ended" d="M0.0 {top:.1f}L50.0 {bottom:.1f}"' in drawn
    assert drawn.count('class="cross"') == 1 and drawn.count("<circle") == 3
    assert 'class="floor" d="M0.0 50.0L100.0 50.0"' in drawn
    assert f'x="57.0" y="{bottom + 3.5:.1f}" text-anchor="start">e<' in drawn
    assert 'x="113.0" y="' in drawn and ">w<" in drawn and ">real<" in drawn


@pytest.mark.parametrize(
    "ys", [[], [math.nan] * 3, [math.inf, -math.inf, 1.0], [7.0] * 3, [1e308, -1e308, 0]]
)
def test_plots_of_odd_numbers_have_no_odd_lengths(ys):
    xs = list(range(len(ys)))
    line = Line(
        "a", "a", xs, ys, "c0", low=ys, high=ys, shape=3, ended=[(x, y) for x, y in zip(xs, ys)]
    )
    for log in (False, True):
        drawn = plots.plot(Box(0, 0, 100, 100), [line], log=log, robust=True)
        assert "nan" not in drawn and "inf" not in drawn

import numpy as np
import pytest
from scipy.stats import norm, t

from boomerang.measures import intervals
from boomerang.measures.intervals import (
    block_means,
    choose_block_length,
    optimal_block_length,
    simultaneous_intervals,
)


def autoregressive(n, coefficient, seed=0):
    """``x(t) = coefficient x(t - 1) + e(t)`` with normal e, from 0 on."""
    found = [0.0]
    for error in np.random.default_rng(seed).normal(size=n):
        found.append(coefficient * found[-1] + error)
    return np.array(found[1:])


def intervals_of(series, confidence=0.95, share_blocks=True):
    """Bounds of the means of `series`, by the longest block that any of them asks for."""
    lengths = [choose_block_length(values) for values in series]
    lengths = [max(lengths)] * len(lengths) if share_blocks else lengths
    return simultaneous_intervals(series.mean(axis=1), series, lengths, confidence, seed=0)


@pytest.mark.parametrize(
    ("n", "coefficient", "expected"),
    # Printed by arch 8.0.0 for autoregressive(n, coefficient):
    # arch.bootstrap.optimal_block_length(values)["circular"]
    [
        (60, -0.5, 6.262215),
        (60, 0.0, 2.167663),
        (60, 0.3, 4.456227),
        (60, 0.6, 7.030289),
        (60, 0.95, 10.972543),
        (499, -0.5, 11.197503),
        (499, 0.0, 1.088437),
        (499, 0.3, 5.287231),
        (499, 0.6, 12.420515),
        (499, 0.8, 17.798604),
        (499, 0.95, 36.899622),
        (5000, 0.0, 0.770612),
        (5000, 0.6, 28.438139),
        (5000, 0.95, 131.53499),
    ],
)
def test_the_best_block_length_is_that_of_another_program(n, coefficient, expected):
    assert optimal_block_length(autoregressive(n, coefficient)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("noise", [0.0, 1e-15, -3e-13])
def test_values_that_differ_in_last_bits_alone_do_not_depend_on_their_past(noise):
    values = 0.1 + noise * np.arange(100)
    assert optimal_block_length(values) == 0
    assert choose_block_length(values) == 1


@pytest.mark.parametrize("n", [1, 2, 3, 7, 60])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_block_is_never_longer_than_leaves_eight_of_them(n, step):
    # A ramp, an alternation and a saw tooth: no series is too short or too strange for an answer.
    for values in (np.arange(n) * 1.0, np.arange(n) % 2 * 1.0, np.arange(n) % (step + 1) * 1.0):
        assert 1 <= choose_block_length(values) <= max(1, n // 8)


def test_the_length_does_not_hang_on_last_bits():
    for seed in range(20):
        values = autoregressive(200, 0.5, seed)
        nudged = values * (1 + 1e-15 * np.random.default_rng(seed).integers(-2, 3, 200))
        assert choose_block_length(values) == choose_block_length(nudged)


def test_blocks_go_on_at_the_beginning():
    np.testing.assert_allclose(block_means(np.array([1.0, 2.0, 6.0, 3.0]), 3), [3, 11 / 3, 10 / 3, 2])
    np.testing.assert_allclose(block_means(np.array([1.0, 2.0, 6.0]), 1), [1, 2, 6])


def test_one_interval_reaches_as_far_as_students_for_the_means_of_its_blocks():
    values = autoregressive(120, 0.5)
    low, high = simultaneous_intervals(np.array([values.mean()]), values[None], [10], 0.95, seed=0)
    ring = np.concatenate([values, values])
    means = [ring[start : start + 10].mean() for start in range(120)]
    # The mean of twelve blocks, whose variance is estimated without bias.
    expected = t.ppf(0.975, 11) * np.sqrt(np.var(means) * 12 / 11 / 12)
    assert high[0] - values.mean() == pytest.approx(expected, rel=0.1)
    assert low[0] == pytest.approx(2 * values.mean() - high[0])


@pytest.mark.parametrize(("coefficient", "least"), [(0.0, 0.93), (0.6, 0.91), (0.8, 0.90)])
def test_bounds_hold_about_as_often_as_they_say_however_long_values_depend_on_each_other(
    coefficient, least, monkeypatch
):
    # With blocks of n^(1/3), 84 of 100 hold for 0.8; the count itself scatters by 1.5. `tests.benchmarks.coverage` says
    # more.
    monkeypatch.setattr(intervals, "N_RESAMPLES", 200)
    covered = 0
    for seed in range(300):
        low, high = intervals_of(autoregressive(699, coefficient, seed)[None, 200:])
        covered += low[0] <= 0 <= high[0]
    assert least <= covered / 300 <= 0.98


def test_bounds_of_many_values_reach_further_than_those_of_one():
    series = np.random.default_rng(0).normal(size=(20, 4000))
    reach = [high - values.mean(axis=1) for values in (series[:1], series) for high in [intervals_of(values)[1]]]
    # For 20 independent normal values the 95 % quantile of the largest deviation is 3.02, for one it is 1.96.
    assert reach[0][0] * np.sqrt(4000) == pytest.approx(norm.ppf(0.975), abs=0.15)
    assert reach[1].mean() * np.sqrt(4000) == pytest.approx(norm.ppf((1 + 0.95 ** (1 / 20)) / 2), abs=0.25)


def test_a_value_that_does_not_vary_has_no_width_and_no_effect():
    values = np.random.default_rng(0).normal(size=400)
    alone = intervals_of(values[None])
    low, high = intervals_of(np.vstack([np.full(400, 0.5), values]))
    assert (low[0], high[0]) == (0.5, 0.5)
    assert (low[1], high[1]) == pytest.approx((alone[0][0], alone[1][0]))
    np.testing.assert_array_equal(intervals_of(np.full((1, 400), 0.5)), [[0.5], [0.5]])


def test_longer_blocks_make_wider_intervals_of_values_that_depend_on_each_other():
    series = np.vstack([autoregressive(499, 0.8), np.random.default_rng(1).normal(size=499)])
    widths = [high - low for low, high in (intervals_of(series, share_blocks=shared) for shared in (False, True))]
    assert widths[0][0] == pytest.approx(widths[1][0])
    assert widths[0][1] != pytest.approx(widths[1][1])

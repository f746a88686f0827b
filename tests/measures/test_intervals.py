import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from boomerang.measures.intervals import Blocks, simultaneous_intervals


def drawn(blocks, index):
    """The rows of one resample, one by one."""
    return [start + step for start in blocks.starts[index] for step in range(blocks.length)]


def test_blocks_are_of_neighbouring_rows_within_the_sample():
    blocks = Blocks.draw(100, seed=0)
    assert blocks.length == 5
    assert blocks.starts.shape == (1000, 20)
    assert (blocks.starts.min(), blocks.starts.max()) == (0, 95)


def test_means_are_those_of_the_rows_drawn():
    blocks = Blocks.draw(50, seed=0)
    values = np.random.default_rng(1).random(50)
    expected = [values[drawn(blocks, index)].mean() for index in range(20)]
    np.testing.assert_allclose(blocks.means(values)[:20], expected)


def test_areas_are_those_of_the_rows_drawn_ties_included():
    blocks = Blocks.draw(60, seed=0)
    draw = np.random.default_rng(1)
    targets, scores = draw.integers(0, 2, 60), draw.integers(0, 5, 60) / 5
    expected = [roc_auc_score(targets[drawn(blocks, i)], scores[drawn(blocks, i)]) for i in range(20)]
    np.testing.assert_allclose(blocks.roc_aucs(targets, scores)[:20], expected)


def test_an_area_of_labels_that_are_all_alike_is_undefined():
    assert np.isnan(Blocks.draw(10, seed=0).roc_aucs(np.zeros(10), np.arange(10))).all()


def test_bounds_hold_for_independent_rows_about_as_often_as_they_say():
    draw, covered = np.random.default_rng(0), 0
    for _ in range(200):
        values = draw.normal(size=200)
        low, high = simultaneous_intervals(
            np.array([values.mean()]), Blocks.draw(200, seed=0).means(values)[None], 0.95
        )
        covered += low[0] <= 0 <= high[0]
    # 95 of 100 are meant; of blocks it is a little less, and the count itself scatters by 3.
    assert 175 <= covered <= 199


def test_bounds_of_many_values_reach_further_than_those_of_one():
    resampled = np.random.default_rng(0).normal(size=(20, 1000))
    alone = simultaneous_intervals(np.zeros(1), resampled[:1], 0.95)[1][0]
    together = simultaneous_intervals(np.zeros(20), resampled, 0.95)[1]
    # For 20 independent normal values the 95 % quantile of the largest deviation is 3.02, for one it is 1.96.
    assert alone == pytest.approx(1.96, abs=0.15)
    assert together.max() == pytest.approx(3.02, abs=0.25)


def test_a_value_that_does_not_vary_has_no_width_and_no_effect():
    resampled = np.vstack([np.full(1000, 0.5), np.random.default_rng(0).normal(size=1000)])
    low, high = simultaneous_intervals(np.array([0.5, 0.0]), resampled, 0.95)
    assert (low[0], high[0]) == (0.5, 0.5)
    assert high[1] == pytest.approx(1.96, abs=0.15)


def test_resamples_without_a_value_are_left_out():
    resampled = np.array([[1.0, np.nan, 3.0, 2.0]])
    assert np.isfinite(simultaneous_intervals(np.array([2.0]), resampled, 0.95)).all()
    assert simultaneous_intervals(np.array([2.0]), np.full((1, 4), np.nan), 0.95) == (np.array([2.0]), np.array([2.0]))

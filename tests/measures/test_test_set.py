import numpy as np
import pytest

from boomerang.measures.test_set import LOG_LOSS, SHARE, SKILL, UNLIMITED
from tests.measures.support import purchases_of


def test_the_majority_is_what_is_more_frequent():
    assert purchases_of(np.array([1, 0, 0, 0])).majority_accuracy == 0.75
    assert purchases_of(np.array([1, 1, 1, 0])).majority_accuracy == 0.75


@pytest.mark.parametrize(("n_returned", "enough"), [(29, False), (30, True), (70, True), (71, False)])
def test_intervals_need_thirty_purchases_of_either_label(n_returned, enough):
    purchases = purchases_of((np.arange(100) < n_returned).astype(int))
    values = purchases.returned.astype(float)
    (interval,) = purchases.intervals(np.array([values.mean()]), values[None], 0.95)
    assert purchases.is_enough == enough
    assert interval.value == n_returned / 100
    assert (interval.low is not None, interval.high is not None, interval.block_length is not None) == (enough,) * 3


def test_blocks_are_as_long_as_each_value_asks_for_or_the_longest_of_them():
    draw = np.random.default_rng(0)
    purchases = purchases_of(draw.integers(0, 2, 400))
    slow, fast = np.repeat(draw.normal(size=40), 10), draw.normal(size=400)
    series = np.vstack([slow, fast])
    own = [interval.block_length for interval in purchases.intervals(series.mean(axis=1), series, 0.95)]
    assert own[0] > 10 > own[1]
    shared = purchases.intervals(series.mean(axis=1), series, 0.95, share_blocks=True)
    assert [interval.block_length for interval in shared] == [own[0]] * 2


@pytest.mark.parametrize(("limits", "expected"), [(SHARE, 0), (LOG_LOSS, 0), (SKILL, None), (UNLIMITED, None)])
def test_bounds_go_no_further_than_the_figure_can(limits, expected):
    # All that came back did so at once, so the blocks are long and few.
    purchases = purchases_of((np.arange(600) < 30).astype(int))
    values = purchases.returned.astype(float)
    (plain,) = purchases.intervals(np.array([0.05]), values[None], 0.99)
    (interval,) = purchases.intervals(np.array([0.05]), values[None], 0.99, limits)
    assert plain.low < 0
    assert interval == plain.model_copy(update={} if expected is None else {"low": expected})

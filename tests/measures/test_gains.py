import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.measures.gains import PERCENTS, count_caught, list_gains


def test_the_curve_has_a_corner_for_each_different_probability():
    targets = np.array([0, 1, 1, 0, 1])
    acted, caught = count_caught(targets, np.array([0.1, 0.9, 0.4, 0.4, 0.2]))
    assert acted.tolist() == [0, 1, 3, 4, 5]
    assert caught.tolist() == [0, 1, 2, 3, 3]


def test_equal_probabilities_are_caught_in_their_share():
    # Of 200 purchases 20 came back: 8 of the 10 likeliest, 12 of the 190 others, which are all alike.
    targets = np.repeat([1, 0, 1, 0], [8, 2, 12, 178])
    gains = list_gains(targets, np.repeat([0.8, 0.1], [10, 190]))
    assert [gain.n_acted for gain in gains] == [2, 10, 20, 40]
    assert [gain.n_caught for gain in gains] == [1.6, 8, 8.631579, 9.894737]
    assert [gain.caught for gain in gains] == [0.08, 0.4, 0.431579, 0.494737]
    assert [gain.lift for gain in gains] == [8, 8, 4.315789, 2.473684]


def test_a_model_that_tells_nothing_apart_lifts_nothing():
    gains = list_gains(np.array([1, 0, 0, 0] * 25), np.full(100, 0.25))
    assert [gain.caught for gain in gains] == [0.01, 0.05, 0.1, 0.2]
    assert {gain.lift for gain in gains} == {1.0}


@pytest.mark.parametrize(
    ("n", "n_acted"), [(3, [1, 1, 1, 1]), (20, [1, 1, 2, 4]), (30, [1, 2, 3, 6]), (499, [5, 25, 50, 100])]
)
def test_shares_are_whole_purchases_and_at_least_one(n, n_acted):
    gains = list_gains(np.ones(n, dtype=int), np.linspace(0, 1, n))
    assert [gain.n_acted for gain in gains] == n_acted


def test_where_nothing_came_back_nothing_can_be_caught():
    assert list_gains(np.zeros(50, dtype=int), np.linspace(0, 1, 50)) == []


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.5, 0.9])), min_size=1, max_size=6))
def test_the_curve_is_the_mean_over_every_order_of_equal_probabilities(purchases):
    targets, probabilities = (np.array(column) for column in zip(*purchases, strict=True))
    corners = count_caught(targets.astype(int), probabilities)
    orders = [
        order
        for order in itertools.permutations(range(len(purchases)))
        if all(probabilities[one] >= probabilities[other] for one, other in itertools.pairwise(order))
    ]
    for n_acted in range(len(purchases) + 1):
        caught = np.mean([sum(targets[row] for row in order[:n_acted]) for order in orders])
        assert np.interp(n_acted, *corners) == pytest.approx(caught)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.3, 0.5])), min_size=1, max_size=80), st.randoms())
def test_the_order_of_the_purchases_does_not_matter(purchases, random):
    shuffled = random.sample(purchases, len(purchases))
    found = [list_gains(*(np.array(column) for column in zip(*rows, strict=True))) for rows in (purchases, shuffled)]
    assert found[0] == found[1]
    assert len(found[0]) in (0, len(PERCENTS))

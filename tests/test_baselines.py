import numpy as np

from stages.lib.baselines import base_rate, markov_chain


def test_base_rate_counts_only_what_came_before():
    labels = np.array([1, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(base_rate(labels, 4, 6), [0.25, 0.25])


def test_markov_chain_of_order_1_by_hand():
    # Before row 6: after 0 came 1, 1, 0 and after 1 came 0, 0.
    labels = np.array([0, 1, 0, 1, 0, 0, 1, 0, 0])
    np.testing.assert_allclose(markov_chain(labels, 6, 9, order=1), [3 / 5, 1 / 4, 3 / 5])


def test_markov_chain_agrees_with_a_slow_count():
    labels = (np.random.default_rng(0).random(400) < 0.3).astype(np.int8)
    first, end, order = 300, 380, 3
    expected = []
    for row in range(first, end):
        state = tuple(labels[row - order : row])
        followers = [labels[t] for t in range(order, first) if tuple(labels[t - order : t]) == state]
        expected.append((sum(followers) + 1) / (len(followers) + 2))
    np.testing.assert_allclose(markov_chain(labels, first, end, order), expected)

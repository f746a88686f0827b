"""How logits of several members become one probability."""

import numpy as np
from scipy.special import expit

from boomerang.combining.pools import combine, normalise


def test_combine_is_the_weighted_mean_of_logits_over_the_temperature():
    logits = np.array([[0.0, -2.0], [4.0, 2.0]])
    np.testing.assert_allclose(combine(logits, np.array([3, 1])), expit([1.0, -1.0]))
    np.testing.assert_allclose(combine(logits, np.array([3, 1]), 2.0), expit([0.5, -0.5]))


def test_the_temperature_moves_what_lies_above_the_base_logit():
    logits = np.array([[0.0, -2.0], [4.0, 2.0]])
    # Means 1 and -1, 2 and 0 above the base logit -1.
    np.testing.assert_allclose(combine(logits, np.array([3, 1]), 2.0, -1.0), expit([0.0, -1.0]))


def test_weights_whose_sum_no_float_holds_are_shares_all_the_same():
    np.testing.assert_allclose(normalise(np.array([1.7e308, 1.7e308])), [0.5, 0.5])

import numpy as np
import pandas as pd
import pytest

from boomerang.base.ensembles import LOG_GAP_SCALED, SCALED_FEATURES
from boomerang.measures.baselines import Learner, base_rate, markov_chain, predict_baselines, predict_by_counting
from boomerang.measures.metrics import log_losses


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


def test_validation_purchases_are_predicted_by_counting_what_came_before():
    labels = (np.random.default_rng(0).random(60) < 0.3).astype(np.int8)
    found = predict_by_counting(labels, 40, 55)
    assert {question: list(models) for question, models in found.items()} == {
        "next": ["base_rate", "markov_order_8"],
        "made": ["base_rate"],
    }
    np.testing.assert_array_equal(found["made"]["base_rate"], np.full(15, labels[:40].mean()))
    np.testing.assert_array_equal(found["next"]["markov_order_8"], markov_chain(labels, 40, 55, 8))
    # Eight labels make no state that is followed by a ninth.
    assert list(predict_by_counting(labels, 8, 55)["next"]) == ["base_rate"]


def purchases(n_rows=900, parts=(600, 150, 150), changed_from=None):
    """Purchases as `prepare` leaves them; a return makes the next one likely, and so does a high number."""
    draw = np.random.default_rng(0)
    features = draw.random((n_rows, len(SCALED_FEATURES))).astype(np.float32)
    number = SCALED_FEATURES.index("number_scaled")
    returned = np.zeros(n_rows, dtype=np.int64)
    for row in range(1, n_rows):
        returned[row] = draw.random() < 0.1 + 0.4 * returned[row - 1] + 0.4 * (features[row, number] > 0.7)
    table = pd.DataFrame(features, columns=list(SCALED_FEATURES))
    table["returned"], table["part"] = returned, np.repeat(["train", "val", "test"], parts)
    if changed_from is not None:
        table.loc[changed_from:, "returned"] = 1 - table["returned"]
    return table


def test_baselines_learn_what_is_there_to_learn():
    table = purchases()
    targets = table["returned"].to_numpy()[750:]
    found = predict_baselines(table, n_lags=4)
    loss = {
        question: {name: log_losses(targets, baseline.probabilities).mean() for name, baseline in models.items()}
        for question, models in found.items()
    }
    assert list(loss["next"]) == ["base_rate", "previous_value", "markov_chain", "logistic_regression"]
    assert list(loss["made"]) == ["base_rate", "logistic_regression"]
    for name in ("previous_value", "markov_chain", "logistic_regression"):
        assert loss["next"][name] < loss["next"]["base_rate"] - 0.02
    # The purchase's own number tells more than the labels before it.
    assert loss["made"]["logistic_regression"] < loss["next"]["logistic_regression"] - 0.02


@pytest.mark.parametrize("n_lags", [1, 2, 4])
def test_no_baseline_learns_from_a_gap_that_nobody_observed(n_lags):
    """The first purchase has none before it: another made-up gap of it changes nothing."""
    table = purchases(200, (150, 25, 25))
    other = table.copy()
    table.loc[0, LOG_GAP_SCALED], other.loc[0, LOG_GAP_SCALED] = -9.0, 9.0
    plain, changed = predict_baselines(table, n_lags), predict_baselines(other, n_lags)
    for question, models in plain.items():
        for name, baseline in models.items():
            np.testing.assert_array_equal(baseline.probabilities, changed[question][name].probabilities)


def test_no_baseline_looks_at_what_it_predicts():
    plain, changed = (predict_baselines(purchases(changed_from=row), 4) for row in (None, 800))
    for question, models in plain.items():
        for name, baseline in models.items():
            # Up to the first changed label, and for it too, nothing may move.
            ours, theirs = baseline.probabilities, changed[question][name].probabilities
            np.testing.assert_array_equal(ours[:51], theirs[:51])
            assert name == "base_rate" or (ours != theirs).any()


def test_the_order_of_the_chain_is_chosen_on_the_validation_purchases():
    # Every third purchase comes back: two labels tell all, one does not.
    table = purchases()
    table["returned"] = (np.arange(len(table)) % 3 == 0).astype(np.int64)
    found = predict_baselines(table, 4)["next"]
    assert found["previous_value"].chosen == "order 1"
    assert found["markov_chain"].chosen == "order 2"


def test_few_training_purchases_leave_the_baselines_that_can_count():
    table = purchases(20, (2, 10, 8))
    table["returned"] = np.arange(20) % 2
    assert list(predict_baselines(table, 1)["next"]) == ["base_rate", "previous_value", "markov_chain"]


def test_logistic_regression_ends_at_the_optimum_whatever_the_type_of_its_inputs():
    draw = np.random.default_rng(0)
    inputs = draw.random((3000, 5)).astype(np.float32)
    labels = (draw.random(3000) < 0.2 * inputs[:, 0]).astype(int)
    learner = Learner(labels, np.repeat(["train", "val", "test"], [2000, 500, 500]))
    found = [learner.logistic_regression(inputs.astype(kind)).probabilities for kind in (np.float32, np.float64)]
    np.testing.assert_array_equal(*found)

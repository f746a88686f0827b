import numpy as np
import pytest

from boomerang.base.ensembles import SCALED_FEATURES, TIME_FEATURES
from boomerang.measures import importance
from boomerang.measures.importance import permutation_importance
from boomerang.measures.metrics import log_losses


def test_features_and_lags_are_those_that_are_read(predictor, prepared):
    found = permutation_importance(predictor, "combination", prepared, 180, 0)
    assert list(found.features) == [*TIME_FEATURES, "returned"]
    assert list(found.lags) == ["1", "2", "3", "4"]
    assert found.n_rows == 20
    found = permutation_importance(predictor, "context", prepared, 180, 0)
    assert list(found.features) == [*SCALED_FEATURES, "returned_before"]
    assert list(found.lags) == ["0", "1", "2", "3", "4"]


def test_a_feature_that_is_the_same_everywhere_is_worth_nothing(predictor, prepared):
    same = prepared.assign(number_scaled=np.float32(0.5))
    features = permutation_importance(predictor, "time", same, 150, 0).features
    assert (features["number_scaled"].mean, features["number_scaled"].spread) == (0, 0)
    assert features["hour"].mean != 0
    assert features["hour"].spread > 0


def test_the_rise_is_that_of_the_windows_shuffled_by_hand(predictor, prepared):
    first, n_rows = 150, 50
    draw = np.random.default_rng(3)
    targets = prepared["returned"].to_numpy()[first:]
    # Lag 1 of `simple` is the label before: each member reads another purchase's there, and its own before that.
    losses = []
    for order in [draw.permutation(n_rows) for _ in range(5)]:
        probabilities = []
        for row in range(n_rows):
            past = prepared["returned"].to_numpy()[: first + row].copy()
            past[-1] = prepared["returned"].to_numpy()[first + order[row] - 1]
            probabilities.append(predictor.predict({"returned": past}, "simple").probability)
        losses.append(log_losses(targets, np.array(probabilities)).mean())
    plain = predictor.score(prepared, first)["simple"].to_numpy()
    found = permutation_importance(predictor, "simple", prepared, first, 3).lags["1"]
    assert found.mean == pytest.approx(np.mean(losses) - log_losses(targets, plain).mean(), abs=2e-6)
    assert found.spread == pytest.approx(np.std(losses), abs=2e-6)
    assert found.spread > 0


def test_many_purchases_are_sampled(predictor, prepared, monkeypatch):
    monkeypatch.setattr(importance, "MIN_ROWS", 10)
    monkeypatch.setattr(importance, "MAX_STEPS", 1)
    assert permutation_importance(predictor, "simple", prepared, 100, 0).n_rows == 10


def test_long_pasts_are_looked_at_more_coarsely_the_further_back():
    assert importance._choose_lags(1, 24) == list(range(1, 25))
    lags = importance._choose_lags(0, 10_000)
    assert lags[:4] == [0, 1, 2, 3]
    assert lags[-1] == 10_000
    assert len(lags) <= importance.MAX_LAGS + 1

"""How trees learn, against scikit-learn's own predictions."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from boomerang.base.settings import TreesSettings
from boomerang.trees import boosting
from boomerang.trees.boosting import boost

CONFIG = TreesSettings(rounds=30, lr=0.2, leaves=6, early_stopping_patience=0)
NAMES = ["a", "b", "c"]


def draw_purchases(n_rows, seed=0, strength=2.0):
    """Inputs with missing numbers, and labels that depend on one of them, and on whether another is missing."""
    draw = np.random.default_rng(seed)
    inputs = draw.normal(size=(n_rows, 3)).astype(np.float32)
    inputs[draw.random(n_rows) < 0.3, 1] = np.nan
    probabilities = expit(strength * (np.where(inputs[:, 0] > 0.2, 1, -1) + np.isnan(inputs[:, 1]) - 1))
    return inputs, (draw.random(n_rows) < probabilities).astype(int)


@pytest.fixture(scope="module")
def data():
    return (*draw_purchases(800, 0), *draw_purchases(400, 1))


def test_the_trees_are_those_of_scikit_learn_up_to_the_best_round(data):
    boosted = boost(*data, NAMES, data[1].mean(), CONFIG)
    best = len(boosted.forest.trees)
    assert 0 < best < CONFIG.rounds
    assert boosted.history["val_loss"].idxmin() == best
    stages = list(boosting._fit(*data, CONFIG).staged_predict_proba(data[2]))
    np.testing.assert_allclose(expit(boosted.forest.logits(data[2])), stages[best - 1][:, 1], atol=1e-7)


def test_the_history_holds_the_loss_of_each_round_from_the_share_of_returns_on(data):
    boosted = boost(*data, NAMES, data[1].mean(), CONFIG)
    assert boosted.history["round"].tolist() == list(range(CONFIG.rounds + 1))
    rate = data[1].mean()
    first, best = boosted.history.iloc[0], boosted.history.iloc[len(boosted.forest.trees)]
    assert first["train_loss"] == pytest.approx(log_loss(data[1], np.full(800, rate)), abs=1e-6)
    assert first["val_loss"] == pytest.approx(log_loss(data[3], np.full(400, rate)), abs=1e-6)
    for loss, inputs, targets in (("train_loss", *data[:2]), ("val_loss", *data[2:])):
        assert best[loss] == pytest.approx(log_loss(targets, expit(boosted.forest.logits(inputs))), abs=1e-6)


def test_patience_ends_the_training_after_so_many_rounds_without_a_better_one(data):
    never = boost(*data, NAMES, data[1].mean(), CONFIG)
    patient = boost(*data, NAMES, data[1].mean(), CONFIG.model_copy(update={"early_stopping_patience": 3}))
    best = len(patient.forest.trees)
    assert len(patient.history) < len(never.history)
    assert patient.history["round"].iloc[-1] >= best + 3
    assert patient.history.equals(never.history.iloc[: len(patient.history)])


def test_where_there_is_nothing_to_learn_little_is_learned():
    draw = np.random.default_rng(0)
    inputs, targets = draw.normal(size=(900, 3)).astype(np.float32), draw.integers(0, 2, 900)
    boosted = boost(inputs[:600], targets[:600], inputs[600:], targets[600:], NAMES, 0.5, CONFIG)
    best, first = boosted.history["val_loss"].min(), boosted.history["val_loss"].iloc[0]
    assert 0 <= first - best < 0.01


@pytest.mark.parametrize("label", [0, 1])
def test_labels_that_are_all_alike_need_no_tree(data, label):
    boosted = boost(data[0], np.full(800, label), data[2], data[3], NAMES, 0.25, CONFIG)
    assert boosted.forest.trees == []
    # The share of returns among all training purchases, of which these are a part.
    np.testing.assert_allclose(expit(boosted.forest.logits(data[2])), 0.25, atol=1e-9)
    assert np.isfinite(boosted.history.to_numpy()).all()


def test_the_number_of_threads_changes_no_byte(data):
    with threadpool_limits(limits=1):
        one = boost(*data, NAMES, data[1].mean(), CONFIG).forest.to_bytes()
    with threadpool_limits(limits=4):
        assert boost(*data, NAMES, data[1].mean(), CONFIG).forest.to_bytes() == one


def test_a_threshold_parts_float32_numbers_as_the_float64_did():
    thresholds = np.array([0.1, np.float32(0.1), -0.1, 1 / 3, 0.0])
    found = boosting._round_down(thresholds)
    for threshold, rounded in zip(thresholds, found, strict=True):
        near = np.float32(threshold)
        for number in (np.nextafter(near, np.float32(-9)), near, np.nextafter(near, np.float32(9))):
            assert (number <= rounded) == (float(number) <= threshold)


def test_purchases_that_a_tree_parts_by_what_is_missing_alone():
    draw = np.random.default_rng(3)
    inputs = np.where(draw.random((600, 1)) < 0.5, np.nan, 1.0).astype(np.float32)
    targets = np.isnan(inputs[:, 0]).astype(int)
    targets[:30] = 1 - targets[:30]
    forest = boost(inputs[:400], targets[:400], inputs[400:], targets[400:], ["a"], 0.5, CONFIG).forest
    assert forest.logits(np.array([[np.nan]], dtype=np.float32)) > 0 > forest.logits(np.ones((1, 1), np.float32))

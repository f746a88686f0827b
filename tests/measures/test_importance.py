from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from boomerang.base.ensembles import SCALED_FEATURES, TIME_FEATURES
from boomerang.combining.inference import TrainedEnsembles
from boomerang.measures import importance
from boomerang.measures.importance import permutation_importance
from boomerang.measures.metrics import log_losses
from boomerang.model.window_inputs import WindowInputs


@pytest.fixture(scope="module")
def of_columns(trained_on_columns):
    """Ensembles and purchases of a training on further columns."""
    table = pd.read_parquet(trained_on_columns / "prepared" / "purchases.parquet")
    return TrainedEnsembles.load(trained_on_columns), table


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


def test_a_column_stands_by_its_name_and_what_is_made_of_it_does_not(of_columns):
    ensembles, table = of_columns
    for name in ("context", "blend_made"):
        found = permutation_importance(ensembles, name, table, 180, 0)
        assert list(found.columns) == ["price", "product", "month"]
        # The column `month` of the file is another thing than the month of the purchase.
        assert list(found.features) == [*SCALED_FEATURES, "returned_before"]


def test_columns_are_not_read_of_a_purchase_that_is_still_to_come(of_columns):
    found = permutation_importance(*of_columns[:1], "combination", of_columns[1], 180, 0)
    assert found.columns == {}
    assert "columns" not in found.model_dump()


def test_a_column_that_is_the_same_everywhere_is_worth_nothing(of_columns):
    ensembles, table = of_columns
    same = table.assign(product_rate=np.float32(0.25), product_count=np.float32(0.5))
    found = permutation_importance(ensembles, "context", same, 150, 0).columns
    assert (found["product"].mean, found["product"].spread) == (0, 0)
    assert found["price"].spread > 0


def test_what_is_made_of_a_column_is_shuffled_together_in_every_step():
    spec = SimpleNamespace(features=("hour", "hat_rate", "hat_count"))
    inputs = torch.tensor([[[1, 2, 3], [4, 5, 6]], [[11, 12, 13], [14, 15, 16]], [[21, 22, 23], [24, 25, 26]]])
    windows = {("context", 1): WindowInputs(inputs, torch.tensor([2, 2, 2]))}
    found = importance._shuffle_features(windows, {"context": spec}, ("hat_rate", "hat_count"), torch.tensor([2, 0, 1]))
    assert found["context", 1].tolist() == [
        [[1, 22, 23], [4, 25, 26]],
        [[11, 2, 3], [14, 5, 6]],
        [[21, 12, 13], [24, 15, 16]],
    ]
    assert inputs[0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_rise_of_a_column_is_that_of_windows_and_trees_exchanged_by_hand(of_columns):
    ensembles, table = of_columns
    first, n_rows = 150, 50
    targets, of_table = table["returned"].to_numpy()[first:], ensembles.windows(table)
    of_features = ensembles.metadata.specs["context"].features
    of_trees = [one.name for one in ensembles.metadata.tree_inputs("made")]

    def loss(order):
        logits = {}
        for member in ensembles.pool("blend_made").members:
            if member[0] == "context":
                windows = of_table.of_member(member)
                read = windows.windows.gather(windows.of(first, len(table))[1])
                inputs = exchange(read.inputs.numpy(), of_features, order)
                logits[member] = ensembles.logits(member, WindowInputs(torch.from_numpy(inputs), read.n_steps))
            else:
                rows = of_table.of_trees("made", first, len(table))[1]
                logits[member] = ensembles.forest(member).logits(exchange(rows, of_trees, order))
        return log_losses(targets, ensembles.combine(logits, "blend_made")).mean()

    def exchange(inputs, names, order):
        found = inputs.copy()
        for row in range(n_rows):
            for name in ("price_value", "price_given"):
                found[row, ..., names.index(name)] = inputs[order[row], ..., names.index(name)]
        return found

    draw = np.random.default_rng(3)
    losses = [loss(draw.permutation(n_rows)) for _ in range(5)]
    found = permutation_importance(ensembles, "blend_made", table, first, 3).columns["price"]
    assert found.mean == pytest.approx(np.mean(losses) - loss(np.arange(n_rows)), abs=2e-6)
    assert found.spread == pytest.approx(np.std(losses), abs=2e-6)
    assert found.spread > 0

import numpy as np
import pytest
from sklearn.metrics import log_loss

from boomerang.measures.validation import measure_validation

TARGETS = np.array([0, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.8, 0.4, 0.4])


def test_figures_of_several_sources_are_by_question_and_name():
    ours = {"next": {"time": PROBABILITIES}, "made": {}}
    counted = {"next": {"base_rate": np.full(4, 0.5)}, "made": {"base_rate": np.full(4, 0.5)}}
    found = measure_validation(TARGETS, ours, counted)
    assert {question: list(models) for question, models in found.items()} == {
        "next": ["time", "base_rate"],
        "made": ["base_rate"],
    }
    assert found["next"]["time"].log_loss == pytest.approx(log_loss(TARGETS, PROBABILITIES))
    assert found["next"]["time"].roc_auc == 0.875


def test_ranking_is_undefined_where_all_purchases_are_alike():
    found = measure_validation(np.zeros(4), {"next": {"time": PROBABILITIES}, "made": {}})
    assert found["next"]["time"].roc_auc is None
    assert found["next"]["time"].log_loss == pytest.approx(-np.log([0.9, 0.2, 0.6, 0.6]).mean())

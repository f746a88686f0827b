import numpy as np
import pytest

from boomerang.measures.answers import measure_test_part
from tests.measures.support import BASE, KNOWING, RETURNED, TRUTH, N, answer, model, noisy


@pytest.mark.parametrize("label", [0, 1])
def test_test_purchases_that_are_all_alike_have_no_curves(label):
    assert answer(KNOWING, BASE, returned=np.full(N, label)).curves == {}
    assert set(answer(KNOWING, BASE).curves) == {"blend", "base_rate"}


def test_one_model_that_knows_something_is_enough_to_have_learned():
    overfit = noisy("blend", "blend", 3, 0.4)
    found = answer(overfit, BASE, model("simple", "ensemble", TRUTH))
    assert found.learned
    assert found.best_baseline == "base_rate"


def test_bins_over_time_hold_every_purchase_once():
    found = answer(KNOWING, BASE).over_time
    assert sum(found.n) == N
    assert found.observed[0] == pytest.approx(RETURNED[: found.n[0]].mean(), abs=1e-6)


def test_gains_are_there_where_something_came_back():
    assert [gain.percent for gain in answer(KNOWING, BASE).gains] == [1, 5, 10, 20]
    assert answer(KNOWING, BASE, returned=np.zeros(N, dtype=int)).gains == []


def test_decisions_count_the_purchases_of_either_label():
    found = answer(KNOWING, BASE).decisions
    assert (found.n_returned, found.n_kept) == (RETURNED.sum(), N - RETURNED.sum())
    assert found.hits[300] == (TRUTH[RETURNED == 1] >= 0.3).sum()
    assert found.false_alarms[300] == (TRUTH[RETURNED == 0] >= 0.3).sum()


def test_without_test_purchases_nothing_is_found_out(predictor, prepared):
    found = measure_test_part(prepared[prepared["part"] != "test"], predictor, 0.005)
    assert (found.questions, found.resampling, found.majority_accuracy) == ({}, None, None)

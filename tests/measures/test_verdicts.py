import numpy as np
import pytest

from tests.measures.support import BASE, KNOWING, RATE, RETURNED, TRUTH, N, answer, model, noisy


def test_a_model_that_beats_the_best_baseline_is_praised():
    found = answer(KNOWING, BASE, noisy("markov_chain", "baseline", 3, 0.25))
    assert found.learned
    assert found.difference.high < 0
    assert "combination predicts better than the best baseline" in found.verdict


def test_a_baseline_that_wins_is_named_first():
    found = answer(noisy("combination", "combination", 3, 0.25), BASE, model("markov_chain", "baseline", TRUTH))
    assert found.verdict.startswith("Whether the next purchase comes back: a baseline wins, markov chain predicts")
    assert found.best_baseline == "markov_chain"


def test_what_can_be_chance_is_no_victory():
    found = answer(KNOWING, BASE, noisy("markov_chain", "baseline", 3, 0.005))
    assert "does as well as the best baseline" in found.verdict
    assert found.difference.low < 0 < found.difference.high


def test_models_that_know_nothing_learn_nothing():
    draw = np.random.default_rng(7)
    models = [
        model(name, kind, np.clip(RATE + draw.normal(0, 0.03, N), 0.01, 0.99))
        for name, kind in [("combination", "combination"), *((f"time_seq{n}", "member") for n in range(2, 20))]
    ]
    found = answer(*models, BASE)
    assert not found.learned
    assert "nothing can be learned" in found.verdict
    # All at once: of twenty intervals of 95 % each, one would miss.
    assert all(figures.roc_auc.low <= 0.5 <= figures.roc_auc.high for figures in found.models)


def test_a_model_worse_than_knowing_nothing_is_said_to_lose():
    draw = np.random.default_rng(5)
    found = answer(model("combination", "combination", draw.uniform(0.01, 0.9, N)), BASE)
    assert "nothing can be learned" in found.verdict
    assert "A baseline wins: base rate predicts better than combination" in found.verdict


@pytest.mark.parametrize("row", range(10))
def test_a_single_test_purchase_tells_nothing(row):
    rows = slice(row, row + 1)
    models = [model(one.name, one.kind, one.probabilities[rows]) for one in (KNOWING, BASE)]
    found = answer(*models, returned=RETURNED[rows])
    assert not found.learned
    assert "too few test purchases to tell" in found.verdict
    assert (found.difference.low, found.models[0].log_loss.high) == (None, None)
    assert found.over_time.n == [1]


@pytest.mark.parametrize(("n_returned", "enough"), [(29, False), (30, True), (170, True), (171, False)])
def test_thirty_of_either_label_are_needed_to_tell(n_returned, enough):
    returned = (np.arange(200) < n_returned).astype(int)
    models = [model(one.name, one.kind, one.probabilities[:200]) for one in (KNOWING, BASE)]
    assert ("too few test purchases" not in answer(*models, returned=returned).verdict) == enough


def test_calibration_within_chance_is_said_to_be_that():
    assert "in 600 purchases no deviation beyond chance is found" in answer(KNOWING, BASE).calibration


@pytest.mark.parametrize(("train_rate", "words"), [(0.05, "The base rate moved"), (RATE, "The base rate did not move")])
def test_calibration_beyond_chance_is_explained(train_rate, words):
    found = answer(model("combination", "combination", TRUTH * 0.4), BASE, train_rate=train_rate)
    assert "off by more than chance" in found.calibration
    assert words in found.calibration

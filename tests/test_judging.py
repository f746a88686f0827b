import numpy as np
import pytest

from stages.lib import bootstrap, scores
from stages.lib.evaluation import Answers
from stages.lib.files import check
from stages.lib.judging import Judged, Sample

N = 600
TRUTH = np.random.default_rng(0).uniform(0.02, 0.6, N)
RETURNED = (np.random.default_rng(1).random(N) < TRUTH).astype(int)
RATE = float(RETURNED.mean())
BASE = Judged("base_rate", "baseline", np.full(N, RATE))
KNOWING = Judged("combination", "combination", TRUTH)


def answer(*models, returned=RETURNED, train_rate=RATE):
    sample = Sample(returned, train_rate)
    found = sample.answer("next", "combination", list(models)) | {
        "over_time": sample.over_time(models[0].probabilities, ["2024-01-01T00:00:00"] * len(returned)),
        "importance": {"features": {}, "lags": {}, "n_rows": len(returned)},
    }
    return check(found, "answers", Answers)


def noisy(name, kind, seed, spread):
    draw = np.random.default_rng(seed)
    return Judged(name, kind, np.clip(TRUTH + draw.normal(0, spread, N), 0.01, 0.99))


def test_a_model_that_beats_the_best_baseline_is_praised():
    found = answer(KNOWING, BASE, noisy("markov_chain", "baseline", 3, 0.25))
    assert found.learned
    assert found.difference.high < 0
    assert "combination predicts better than the best baseline" in found.verdict


def test_a_baseline_that_wins_is_named_first():
    found = answer(noisy("combination", "combination", 3, 0.25), BASE, Judged("markov_chain", "baseline", TRUTH))
    assert found.verdict.startswith("Whether the next purchase comes back: a baseline wins, markov chain predicts")
    assert found.best_baseline == "markov_chain"


def test_what_can_be_chance_is_no_victory():
    found = answer(KNOWING, BASE, noisy("markov_chain", "baseline", 3, 0.005))
    assert "does as well as the best baseline" in found.verdict
    assert found.difference.low < 0 < found.difference.high


def test_models_that_know_nothing_learn_nothing():
    draw = np.random.default_rng(7)
    models = [
        Judged(name, kind, np.clip(RATE + draw.normal(0, 0.03, N), 0.01, 0.99))
        for name, kind in [("combination", "combination"), *((f"time_seq{n}", "member") for n in range(2, 20))]
    ]
    found = answer(*models, BASE)
    assert not found.learned
    assert "nothing can be learned" in found.verdict
    # All at once: of twenty intervals of 95 % each, one would miss.
    assert all(model.roc_auc.low <= 0.5 <= model.roc_auc.high for model in found.models)


def test_figures_are_sorted_and_those_of_the_definitions():
    found = answer(KNOWING, BASE)
    assert [model.name for model in found.models] == ["combination", "base_rate"]
    best, base = found.models
    losses = np.where(RETURNED == 1, -np.log(TRUTH), -np.log(1 - TRUTH))
    assert best.log_loss.value == pytest.approx(losses.mean(), abs=1e-6)
    assert best.log_loss.low < best.log_loss.value < best.log_loss.high
    assert best.skill.value == pytest.approx(1 - best.log_loss.value / base.log_loss.value, abs=1e-5)
    assert best.brier == pytest.approx(np.mean((TRUTH - RETURNED) ** 2), abs=1e-6)
    assert (base.skill.value, base.skill.low, base.skill.high) == (0, 0, 0)
    assert (base.roc_auc.value, base.roc_auc.low) == (0.5, 0.5)


def test_calibration_within_chance_is_said_to_be_that():
    assert "in 600 purchases no deviation beyond chance is found" in answer(KNOWING, BASE).calibration


@pytest.mark.parametrize(("train_rate", "words"), [(0.05, "The base rate moved"), (RATE, "The base rate did not move")])
def test_calibration_beyond_chance_is_explained(train_rate, words):
    found = answer(Judged("combination", "combination", TRUTH * 0.4), BASE, train_rate=train_rate)
    assert "off by more than chance" in found.calibration
    assert words in found.calibration


@pytest.mark.parametrize("label", [0, 1])
def test_test_purchases_that_are_all_alike_have_no_curves(label):
    found = answer(KNOWING, BASE, returned=np.full(N, label))
    assert found.curves == {}
    assert found.models[0].roc_auc is None


@pytest.mark.parametrize("row", range(10))
def test_a_single_test_purchase_tells_nothing(row):
    rows = slice(row, row + 1)
    models = [Judged(model.name, model.kind, model.probabilities[rows]) for model in (KNOWING, BASE)]
    found = answer(*models, returned=RETURNED[rows])
    assert not found.learned
    assert "too few test purchases to tell" in found.verdict
    assert (found.difference.low, found.models[0].log_loss.high) == (None, None)
    assert found.over_time.n == [1]


@pytest.mark.parametrize(("n_returned", "enough"), [(29, False), (30, True), (170, True), (171, False)])
def test_thirty_of_either_label_are_needed_to_tell(n_returned, enough):
    returned = (np.arange(200) < n_returned).astype(int)
    models = [Judged(model.name, model.kind, model.probabilities[:200]) for model in (KNOWING, BASE)]
    assert ("too few test purchases" not in answer(*models, returned=returned).verdict) == enough


def test_one_model_that_knows_something_is_enough_to_have_learned():
    overfit = noisy("combination", "combination", 3, 0.4)
    found = answer(overfit, BASE, Judged("simple", "ensemble", TRUTH))
    assert found.learned
    assert found.best_baseline == "base_rate"


def test_a_model_worse_than_knowing_nothing_is_said_to_lose():
    draw = np.random.default_rng(5)
    found = answer(Judged("combination", "combination", draw.uniform(0.01, 0.9, N)), BASE)
    assert "nothing can be learned" in found.verdict
    assert "A baseline wins: base rate predicts better than combination" in found.verdict


@pytest.fixture
def few_resamples(monkeypatch):
    """A quarter of the resamples, and of the draws for calibration, for tests that judge again and again."""
    monkeypatch.setattr(bootstrap, "N_RESAMPLES", 250)
    monkeypatch.setattr(scores, "N_DRAWS", 10)


def test_among_many_baselines_as_good_as_ours_none_is_a_winner_by_chance(few_resamples):
    wins = 0
    for seed in range(40):
        models = [noisy("combination", "combination", 100 * seed, 0.05), BASE]
        models += [noisy(f"other{n}", "baseline", 100 * seed + n, 0.05) for n in range(1, 7)]
        found = answer(*models)
        wins += found.difference.low > 0 or found.difference.high < 0
    assert wins <= 5


def test_models_that_know_nothing_are_seldom_taken_for_more_where_returns_are_few(few_resamples):
    missed = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        returned = (draw.permutation(200) < 30).astype(int)
        models = [Judged("base_rate", "baseline", np.full(200, 0.15))]
        models += [Judged(f"m{n}", "member", draw.uniform(0.05, 0.3, 200)) for n in range(11)]
        models.append(Judged("combination", "combination", draw.uniform(0.05, 0.3, 200)))
        found = answer(*models[::-1], returned=returned, train_rate=0.15)
        missed += any(not model.roc_auc.low <= 0.5 <= model.roc_auc.high for model in found.models)
    assert missed <= 4


def test_bins_over_time_hold_every_purchase_once():
    found = answer(KNOWING, BASE).over_time
    assert sum(found.n) == N
    assert found.observed[0] == pytest.approx(RETURNED[: found.n[0]].mean(), abs=1e-6)

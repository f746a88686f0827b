import numpy as np
import pytest

from boomerang.measures import intervals, metrics
from boomerang.measures.figures import compare_losses, find_contenders, measure_models
from tests.measures.support import BASE, KNOWING, RATE, RETURNED, TRUTH, answer, model, noisy, purchases_of


def measure(*models, returned=RETURNED, train_rate=RATE):
    return measure_models(purchases_of(returned, train_rate), models)


def test_figures_are_sorted_and_those_of_the_definitions():
    best, base = measure(BASE, KNOWING)
    assert (best.name, base.name) == ("blend", "base_rate")
    losses = np.where(RETURNED == 1, -np.log(TRUTH), -np.log(1 - TRUTH))
    assert best.log_loss.value == pytest.approx(losses.mean(), abs=1e-6)
    assert best.log_loss.low < best.log_loss.value < best.log_loss.high
    assert best.skill.value == pytest.approx(1 - best.log_loss.value / base.log_loss.value, abs=1e-5)
    assert best.brier == pytest.approx(np.mean((TRUTH - RETURNED) ** 2), abs=1e-6)
    assert best.accuracy == pytest.approx(np.mean((TRUTH >= 0.5) == RETURNED), abs=1e-6)
    assert (base.skill.value, base.skill.low, base.skill.high) == (0, 0, 0)
    assert (base.roc_auc.value, base.roc_auc.low) == (0.5, 0.5)


@pytest.mark.parametrize("label", [0, 1])
def test_purchases_that_are_all_alike_rank_nothing(label):
    figures = measure(KNOWING, BASE, returned=np.full(len(RETURNED), label))[0]
    assert figures.roc_auc is None
    assert figures.pr_auc == (1.0 if label else None)
    assert not figures.beats_chance


def test_only_a_model_that_ranks_and_predicts_better_beats_chance():
    # A quarter of the true probability ranks as well as all of it, and predicts worse than the base rate.
    timid = model("timid", "ensemble", TRUTH / 4)
    assert {one.name: one.beats_chance for one in measure(KNOWING, timid, BASE)} == {
        "blend": True,
        "timid": False,
        "base_rate": False,
    }


@pytest.mark.parametrize("n_returned", [30, 300, 570])
def test_no_interval_leaves_the_range_of_its_figure(n_returned):
    draw = np.random.default_rng(n_returned)
    returned = (draw.permutation(600) < n_returned).astype(int)
    base = model("base_rate", "baseline", np.full(600, n_returned / 600))
    # Nearly always right, but for some purchases in a row; nearly always wrong; all but sure, and right.
    right = np.where(returned == 1, 0.9, 0.1)
    right[:8] = 1 - right[:8]
    models = [model("right", "member", right), model("wrong", "member", 1 - right)]
    models.append(model("sure", "member", np.where(np.arange(600) < 8, right, np.abs(returned - 0.001))))
    purchases = purchases_of(returned)
    found = {one.name: one for one in measure_models(purchases, [base, *models])}
    for one in found.values():
        assert 0 <= one.log_loss.low <= one.log_loss.value
        assert one.skill.value <= one.skill.high <= 1
        assert 0 <= one.roc_auc.low <= one.roc_auc.value <= one.roc_auc.high <= 1
    # Each of them would, without the range.
    assert (found["sure"].log_loss.low, found["sure"].skill.high) == (0, 1)
    assert (found["right"].roc_auc.high, found["wrong"].roc_auc.low) == (1, 0)


def test_differences_are_paired():
    purchases = purchases_of()
    other = noisy("markov_chain", "baseline", 3, 0.05)
    found = compare_losses(purchases, KNOWING, [BASE, other])
    expected = (
        metrics.log_losses(RETURNED, KNOWING.probabilities) - metrics.log_losses(RETURNED, other.probabilities)
    ).mean()
    assert found["markov_chain"].value == pytest.approx(expected, abs=1e-6)
    # The two err on the same purchases, so their difference is known far better than the loss of either.
    width = found["markov_chain"].high - found["markov_chain"].low
    alone = next(one.log_loss for one in measure(KNOWING, BASE) if one.name == "blend")
    assert width < (alone.high - alone.low) / 3


@pytest.fixture
def few_resamples(monkeypatch):
    """A quarter of the resamples, and of the draws for calibration, for tests that measure again and again."""
    monkeypatch.setattr(intervals, "N_RESAMPLES", 250)
    monkeypatch.setattr(metrics, "N_DRAWS", 10)


def test_among_many_baselines_as_good_as_ours_none_is_a_winner_by_chance(few_resamples):
    wins = 0
    for seed in range(40):
        models = [noisy("blend", "blend", 100 * seed, 0.05), BASE]
        models += [noisy(f"other{n}", "baseline", 100 * seed + n, 0.05) for n in range(1, 7)]
        found = answer(*models)
        wins += found.difference.low > 0 or found.difference.high < 0
    assert wins <= 5


def test_models_that_know_nothing_are_seldom_taken_for_more_where_returns_are_few(few_resamples):
    missed = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        returned = (draw.permutation(200) < 30).astype(int)
        models = [model("base_rate", "baseline", np.full(200, 0.15))]
        models += [model(f"m{n}", "member", draw.uniform(0.05, 0.3, 200)) for n in range(11)]
        models.append(model("blend", "blend", draw.uniform(0.05, 0.3, 200)))
        found = measure(*models[::-1], returned=returned, train_rate=0.15)
        missed += any(not figures.roc_auc.low <= 0.5 <= figures.roc_auc.high for figures in found)
    assert missed <= 4


def test_a_baseline_that_surely_lags_behind_is_no_contender():
    near, far = noisy("markov_chain", "baseline", 3, 0.05), noisy("previous_value", "baseline", 4, 0.4)
    found = find_contenders(purchases_of(), [far, BASE, near])
    assert [one.name for one in found] == ["markov_chain"]
    # One that errs as much as the first is one too, and comes after it.
    twin = noisy("twin", "baseline", 5, 0.05)
    assert {one.name for one in find_contenders(purchases_of(), [far, twin, near])} == {"twin", "markov_chain"}


def test_of_equal_baselines_the_first_by_name_is_the_best():
    same = [model(name, "baseline", TRUTH) for name in ("b", "a", "c")]
    assert [one.name for one in find_contenders(purchases_of(), same)] == ["a", "b", "c"]


def test_the_interval_of_the_best_contender_holds_whichever_is_the_best():
    """Two baselines are equally good and two are worse: of which the best was chosen by the same purchases."""
    draw, covered, n_runs = np.random.default_rng(0), 0, 200
    for _ in range(n_runs):
        truth = draw.uniform(0.05, 0.6, 400)
        returned = (draw.random(400) < truth).astype(int)
        losses_of = {}
        models = [model("ours", "blend", np.clip(truth + draw.normal(0, 0.03, 400), 0.01, 0.99))]
        for name, spread in (("a", 0.12), ("b", 0.12), ("c", 0.2), ("d", 0.3)):
            models.append(model(name, "baseline", np.clip(truth + draw.normal(0, spread, 400), 0.01, 0.99)))
        for one in models:
            # What the loss is on average over the labels that these purchases might have had.
            p = one.probabilities
            losses_of[one.name] = float(np.mean(-truth * np.log(p) - (1 - truth) * np.log(1 - p)))
        purchases = purchases_of(returned)
        contenders = find_contenders(purchases, models[1:])
        found = compare_losses(purchases, models[0], contenders)[contenders[0].name]
        covered += found.low <= losses_of["ours"] - losses_of[contenders[0].name] <= found.high
    assert covered / n_runs > 0.92

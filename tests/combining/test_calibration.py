import re

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import log_loss

from boomerang.combining import calibration
from boomerang.combining.calibration import (
    FEWEST_ROWS,
    FEWEST_TO_CORRELATE,
    fit_across,
    fit_combination,
)
from boomerang.combining.pools import combine

N_ROWS = 20_000


def drawn(n_rows=N_ROWS, seed=0):
    """True logits, and what happened with their probabilities."""
    draw = np.random.default_rng(seed)
    true = draw.normal(-1, 1, n_rows)
    return true, (draw.random(n_rows) < expit(true)).astype(int), draw


def test_a_member_that_knows_gets_the_weight_and_noise_gets_none():
    true, targets, draw = drawn()
    found = fit_combination(np.array([draw.normal(size=N_ROWS), true, draw.normal(size=N_ROWS)]), targets)
    assert found.weights[1] > 0.9
    assert sum(found.weights) == pytest.approx(1)
    assert found.reason == "fitted on 20000 validation purchases"


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_temperature_takes_exaggeration_back(factor):
    true, targets, _ = drawn()
    found = fit_combination(np.array([factor * true, factor * true]), targets)
    assert found.temperature == pytest.approx(factor, rel=0.05)
    assert found.weights == [0.5, 0.5]


def test_weights_are_those_of_a_search_over_a_grid():
    true, targets, draw = drawn(4000)
    logits = np.array([true + draw.normal(0, 1, 4000), true + draw.normal(0, 2, 4000)])

    def objective(first):
        # The prior is (w - 1/2)^2 / (2 (1/2)^2) for each of the two.
        return 4000 * log_loss(targets, combine(logits, np.array([first, 1 - first]))) + 4 * (first - 0.5) ** 2

    best = min(np.linspace(0.001, 0.999, 999), key=objective)
    assert fit_combination(logits, targets).weights[0] == pytest.approx(best, abs=0.002)


def test_fitting_never_loses_to_equal_weights_on_the_rows_it_is_fitted_on():
    for seed in range(5):
        true, targets, draw = drawn(FEWEST_ROWS, seed)
        logits = np.array([true + draw.normal(0, scale, FEWEST_ROWS) for scale in (0.5, 1, 2, 4)])
        found = fit_combination(logits, targets)
        fitted = log_loss(targets, combine(logits, np.array(found.weights), found.temperature))
        assert fitted <= log_loss(targets, combine(logits, np.ones(4)))


def test_few_rows_or_one_label_leave_the_members_equal():
    true, targets, _ = drawn(FEWEST_ROWS)
    few = fit_combination(np.array([true[1:], -true[1:]]), targets[1:])
    assert (few.weights, few.temperature) == ([0.5, 0.5], 1.0)
    assert few.reason == "equal (2999 validation purchases, fewer than 3000)"
    alike = fit_combination(np.array([true, -true]), np.zeros(FEWEST_ROWS))
    assert (alike.weights, alike.temperature) == ([0.5, 0.5], 1.0)
    assert alike.reason == "equal (the validation purchases all have the same label)"


def test_what_is_fitted_is_rounded_so_that_no_last_bit_shows():
    true, targets, draw = drawn(FEWEST_ROWS)
    logits = np.array([true, true + draw.normal(size=FEWEST_ROWS)])
    assert fit_combination(logits * (1 + 1e-12), targets) == fit_combination(logits, targets)


def two_witnesses(n_rows, correlation, seed=1, base_rate=0.2):
    """Log-odds of two who each see the truth through noise, calibrated, and what happened."""
    draw = np.random.default_rng(seed)
    targets = (draw.random(n_rows) < base_rate).astype(int)
    # Given the outcome, log-odds of spread s lie around +s^2/2 or -s^2/2 from the base rate.
    spread, base_logit = 1.5, np.log(base_rate / (1 - base_rate))
    noise = draw.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n_rows).T
    return [base_logit + spread**2 * (targets - 0.5) + spread * row for row in noise], targets, base_logit


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.5, 0.9])
def test_two_who_know_different_things_are_bolder_together(correlation):
    witnesses, targets, base_logit = two_witnesses(FEWEST_ROWS - 1, correlation)
    found = fit_across([row[None] for row in witnesses], targets, base_logit)
    # The formula's correlation is that given the outcome; the outcome itself correlates them by more.
    assert found.temperature == pytest.approx((1 + correlation) / 2, abs=0.02)
    assert np.corrcoef(witnesses)[0, 1] > correlation + 0.02
    assert "temperature by the correlation " in found.reason
    logits = np.array(witnesses)
    together = combine(logits, np.array(found.weights), found.temperature, base_logit)
    timid = combine(logits, np.array(found.weights))
    alone = min(log_loss(targets, expit(row)) for row in witnesses)
    assert log_loss(targets, together) < min(log_loss(targets, timid), alone)


@pytest.mark.parametrize("base_rate", [0.05, 0.2, 0.5])
def test_the_correlation_is_that_given_the_outcome_whatever_the_base_rate(base_rate):
    witnesses, targets, base_logit = two_witnesses(FEWEST_ROWS - 1, 0.0, base_rate=base_rate)
    found = fit_across([row[None] for row in witnesses], targets, base_logit)
    assert found.temperature == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("exaggeration", [2.0, 4.0])
def test_ensembles_that_exaggerate_are_not_made_bolder_still(exaggeration):
    # Far from calibrated, as after one epoch: the formula would sharpen them, the validation purchases contradict.
    witnesses, targets, base_logit = two_witnesses(1000, 0.0)
    loud = [base_logit + exaggeration * (row - base_logit)[None] for row in witnesses]
    found = fit_across(loud, targets, base_logit)
    assert (found.weights, found.temperature) == ([0.5, 0.5], 1.0)
    assert re.search(r"no temperature by the correlation 0\.\d\d of the ensembles: log loss ", found.reason)


def test_wrong_ensembles_stay_as_wrong_as_they_are():
    witnesses, targets, base_logit = two_witnesses(1000, 0.0)
    found = fit_across([-row[None] for row in witnesses], targets, base_logit)
    assert found.temperature == 1


def test_a_fit_that_the_validation_purchases_contradict_is_not_taken(monkeypatch):
    true, targets, _ = drawn(FEWEST_ROWS)
    monkeypatch.setattr(calibration, "_fit_weights", lambda logits, targets, prior: np.array([0.0, 1.0]))
    found = fit_combination(np.array([true, -true]), targets)
    assert (found.weights, found.temperature, found.is_fitted) == ([0.5, 0.5], 1.0, False)
    assert found.reason.startswith("equal, not as fitted on 3000 validation purchases: log loss ")


def test_a_search_for_weights_that_fails_leaves_them_equal(monkeypatch):
    def give_up(*arguments, **keywords):
        return minimize(*arguments, **keywords | {"options": {"maxiter": 1}})

    monkeypatch.setattr(calibration, "minimize", give_up)
    true, targets, draw = drawn(FEWEST_ROWS)
    found = fit_combination(np.array([true, draw.normal(size=FEWEST_ROWS)]), targets)
    assert (found.weights, found.temperature, found.is_fitted) == ([0.5, 0.5], 1.0, False)
    assert found.reason == "equal (the search for other weights failed)"


def test_two_who_know_the_same_are_not_made_bolder():
    (one, _), targets, base_logit = two_witnesses(1000, 0.0)
    found = fit_across([one[None], one[None]], targets, base_logit)
    assert found.temperature == 1


def test_with_enough_purchases_the_temperature_is_fitted_about_the_base_logit():
    witnesses, targets, base_logit = two_witnesses(20_000, 0.0)
    found = fit_across([row[None] for row in witnesses], targets, base_logit)
    assert found.reason == "fitted on 20000 validation purchases"
    assert found.temperature == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("label", [0, 1])
def test_labels_that_are_all_alike_tell_no_correlation(label):
    witnesses, _, base_logit = two_witnesses(1000, 0.0)
    assert fit_across([row[None] for row in witnesses], np.full(1000, label), base_logit).temperature == 1


@pytest.mark.parametrize("n_rows", [1, FEWEST_TO_CORRELATE - 1])
def test_few_rows_tell_no_correlation(n_rows):
    witnesses, targets, base_logit = two_witnesses(n_rows, 0.0)
    assert fit_across([row[None] for row in witnesses], targets, base_logit).temperature == 1


@pytest.mark.parametrize("silent", [np.ones_like, lambda targets: targets, lambda targets: 1 - targets])
def test_an_ensemble_that_says_always_the_same_of_a_label_correlates_with_nothing(silent):
    witnesses, targets, base_logit = two_witnesses(1000, 0.0)
    # But for last bits, which are no opinion.
    nearly = base_logit * (1 + 1e-15 * np.arange(1000))
    second = np.where(silent(targets), nearly, witnesses[1])[None]
    found = fit_across([witnesses[0][None], second], targets, base_logit)
    assert found.temperature == 1

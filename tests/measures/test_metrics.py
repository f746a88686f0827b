import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from boomerang.measures import metrics

TARGETS = np.array([0, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.8, 0.4, 0.4])


def test_log_losses_are_of_what_happened():
    np.testing.assert_allclose(metrics.log_losses(TARGETS, PROBABILITIES), -np.log([0.9, 0.8, 0.4, 0.6]))
    assert metrics.log_losses(TARGETS, PROBABILITIES).mean() == pytest.approx(log_loss(TARGETS, PROBABILITIES))


def test_a_wrong_certainty_costs_much_and_not_everything():
    assert metrics.log_losses(np.array([1]), np.array([0.0]))[0] == pytest.approx(16.12, abs=0.01)


def test_figures_that_need_both_labels_are_undefined_without():
    assert metrics.roc_auc(np.zeros(3), PROBABILITIES[:3]) is None
    assert metrics.pr_auc(np.zeros(3), PROBABILITIES[:3]) is None
    assert metrics.roc_auc(TARGETS, PROBABILITIES) == 0.875


def test_shares_of_the_area_say_how_it_moves_when_a_row_counts_more():
    draw = np.random.default_rng(0)
    targets, scores = draw.integers(0, 2, 60), draw.integers(0, 5, 60) / 5
    shares, area = metrics.roc_auc_shares(targets, scores), roc_auc_score(targets, scores)
    assert shares.sum() == pytest.approx(0, abs=1e-9)
    for row in range(60):
        weights = np.ones(60)
        weights[row] += 1e-6
        moved = roc_auc_score(targets, scores, sample_weight=weights) - area
        assert moved / 1e-6 == pytest.approx(shares[row] / 60, abs=1e-5)


def test_bins_are_of_about_equal_counts_and_keep_equal_probabilities_together():
    assert np.bincount(metrics.equal_bins(np.arange(300) / 300)).tolist() == [30] * 10
    assert metrics.equal_bins(np.full(50, 0.3)).tolist() == [0] * 50
    bins = metrics.equal_bins(np.array([0.1] * 60 + [0.5] * 40))
    assert bins.tolist() == [0] * 60 + [1] * 40


@pytest.mark.parametrize(("n_rows", "n_bins"), [(1, 1), (59, 1), (60, 2), (299, 9), (300, 10), (5000, 10)])
def test_few_rows_get_fewer_bins(n_rows, n_bins):
    assert len(np.unique(metrics.equal_bins(np.arange(n_rows) / n_rows))) == n_bins


def test_the_calibration_error_is_the_mean_distance_of_the_bins():
    probabilities = np.array([0.2] * 30 + [0.6] * 30)
    targets = np.array([1] * 12 + [0] * 18 + [1] * 15 + [0] * 15)
    # 0.2 comes true in 12 of 30, 0.6 in 15 of 30: half of the rows are off by 0.2, half by 0.1.
    assert metrics.calibration_error(targets, probabilities) == pytest.approx(0.15)


def test_chance_alone_is_exceeded_by_one_calibrated_sample_in_twenty():
    draw = np.random.default_rng(5)
    probabilities = draw.uniform(0.05, 0.6, 400)
    by_chance = metrics.calibration_error_by_chance(probabilities, seed=0)
    above = [
        metrics.calibration_error((draw.random(400) < probabilities).astype(int), probabilities) > by_chance
        for _ in range(400)
    ]
    assert 0.02 <= np.mean(above) <= 0.09


def test_curves_run_from_corner_to_corner_and_stay_short():
    draw = np.random.default_rng(0)
    probabilities = draw.random(5000)
    curves = metrics.curves((draw.random(5000) < probabilities).astype(int), probabilities)
    assert {len(values) <= metrics.MAX_POINTS for values in curves.values()} == {True}
    for name in ("false_positive_rate", "true_positive_rate"):
        assert (curves[name][0], curves[name][-1]) == (0, 1)
    assert (curves["recall"][0], curves["recall"][-1]) == (0, 1)
    assert (np.diff(curves["recall"]) >= 0).all()


def test_decisions_are_counted_at_every_threshold():
    hits, false_alarms = metrics.count_decisions(TARGETS, PROBABILITIES, 10)
    assert hits.tolist() == [2, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0]
    assert false_alarms.tolist() == [2, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0]

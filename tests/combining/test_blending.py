"""How trees and LSTMs are blended, and when one of them answers alone."""

import numpy as np
import pytest
from scipy.special import expit

from boomerang.combining.blending import Blend, fit_blend
from boomerang.combining.calibration import FEWEST_ROWS, Combination, fit_combination

BASE = -1.0


def draw_opinions(n_rows, seed=0):
    """What happened, two members that know a part of why, and trees that know another part."""
    draw = np.random.default_rng(seed)
    first, second = draw.normal(size=(2, n_rows))
    targets = (draw.random(n_rows) < expit(BASE + first + second)).astype(int)
    members = np.array([BASE + 0.9 * first, BASE + 0.9 * first + 0.1 * draw.normal(size=n_rows)])
    return members, BASE + 0.9 * second, targets


def fit(members, trees, targets, question="made"):
    lstms = Blend.of_members(fit_combination(members, targets, BASE), BASE, "context")
    return fit_blend(question, members, trees, lstms, targets, BASE)


def loss(logits, targets):
    return float(np.mean(np.logaddexp(0, logits) - targets * logits))


def test_parts_that_know_different_things_are_blended_and_better_than_either():
    members, trees, targets = draw_opinions(6000)
    blend = fit(members, trees, targets)
    assert blend.answered_by == "blend"
    assert blend.weights[2] == pytest.approx(0.5, abs=0.05)
    # Each alone is too timid for both together: what each lacks, the other knows.
    assert blend.temperature == pytest.approx(0.5, abs=0.06)
    assert blend.reason.startswith(
        "fitted on 6000 validation purchases; log loss of 6000 validation purchases: blend 0."
    )
    new = draw_opinions(6000, seed=1)
    better = loss(blend.logits(*new[:2]), new[2])
    assert better < min(loss(new[0].mean(axis=0), new[2]), loss(new[1], new[2])) - 0.02


def test_the_pull_to_equal_say_is_between_kinds_then_among_members():
    # All say the same, so nothing but the prior decides.
    members, _, targets = draw_opinions(FEWEST_ROWS)
    same = members[:1].repeat(4, axis=0)
    assert fit(same, members[0], targets).weights == pytest.approx([0.125] * 4 + [0.5], abs=1e-3)


def test_noise_gets_no_say_where_there_are_enough_purchases():
    members, _, targets = draw_opinions(8000)
    noise = BASE + np.random.default_rng(2).normal(size=8000)
    blend = fit(members, noise, targets)
    assert blend.weights[2] / sum(blend.weights) < 0.05


@pytest.mark.parametrize(
    ("is_worse", "alone", "weights"), [("trees", "context", [0.5, 0.5, 0]), ("members", "trees", [0, 0, 1])]
)
def test_with_few_purchases_the_better_part_answers_alone_where_the_mean_is_worse(is_worse, alone, weights):
    members, trees, targets = draw_opinions(800)
    noise = BASE + 3 * np.random.default_rng(2).normal(size=800)
    blend = fit(members, noise, targets) if is_worse == "trees" else fit(np.array([noise, noise]), trees, targets)
    assert (blend.answered_by, blend.weights) == (alone, weights)
    assert blend.reason.startswith("alone; log loss of 800 validation purchases: blend 0.")


def test_with_few_purchases_both_kinds_have_an_equal_say_and_the_temperature_of_their_correlation():
    members, trees, targets = draw_opinions(1000)
    blend = fit(members, trees, targets)
    assert blend.answered_by == "blend"
    assert blend.weights == pytest.approx([0.25, 0.25, 0.5])
    assert blend.reason.startswith("equal (1000 validation purchases, fewer than 3000), temperature by the correlation")
    # Opinions that are hardly correlated: their sum, which is their mean over a half.
    assert blend.temperature == pytest.approx(0.5, abs=0.1)


def test_the_temperature_of_the_lstms_goes_into_their_weights():
    members, trees, targets = draw_opinions(1000)
    lstms = Blend.of_members(Combination([0.5, 0.5], 0.8, "by correlation"), BASE, "combination")
    blend = fit_blend("next", members, trees, lstms, targets, BASE)
    together = BASE + (members.mean(axis=0) - BASE) / 0.8
    tau = blend.temperature * (1 / 0.8 + 1) / 2
    expected = BASE + ((together - BASE) / 2 + (trees - BASE) / 2) / tau
    np.testing.assert_allclose(blend.logits(members, trees), expected, atol=1e-3)


@pytest.mark.parametrize("n_rows", [1000, 4000])
def test_a_blend_never_predicts_its_own_purchases_worse_than_a_part_alone(n_rows):
    for seed in range(5):
        members, trees, targets = draw_opinions(n_rows, seed)
        trees = trees * (0.2 + seed / 3)
        blend = fit(members, trees, targets)
        losses = [loss(logits, targets) for logits in (blend.logits(members, trees), members.mean(axis=0), trees)]
        assert min(losses[1:]) > losses[0] - 1e-6 or losses[0] == pytest.approx(min(losses), abs=1e-6)


def test_labels_that_are_all_alike_teach_nothing():
    members, trees, _ = draw_opinions(4000)
    blend = fit(members, trees, np.zeros(4000, dtype=int))
    assert np.isfinite(blend.logits(members, trees)).all()


def test_probabilities_are_those_of_the_logits():
    members, trees, targets = draw_opinions(500)
    blend = fit(members, trees, targets)
    np.testing.assert_allclose(blend.combine(members, trees), expit(blend.logits(members, trees)))

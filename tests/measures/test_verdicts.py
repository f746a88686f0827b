import re

import numpy as np
import pytest

from boomerang.measures import test_set as sets
from boomerang.measures.verdicts import compare, write_verdict
from tests.measures.support import BASE, KNOWING, RATE, RETURNED, TRUTH, N, answer, model, noisy

WINS = "a baseline wins, chain predicts better than ours"
BETTER = "ours predicts better than the best baseline, chain"
NOT_TOLD_APART = (
    "ours and the best baseline, chain, cannot be told apart on these purchases; a difference of up to {} is possible"
)
TOO_LITTLE = ", but by less than 0.005, too little to matter"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.0105, 0.0186, NOT_TOLD_APART.format("0.0186")),
        (-0.0186, 0.0105, NOT_TOLD_APART.format("0.0186")),
        (-0.001, 0.005, NOT_TOLD_APART.format("0.0050")),
        (0.0, 0.3, NOT_TOLD_APART.format("0.3000")),
        (-0.3, 0.0, NOT_TOLD_APART.format("0.3000")),
        (
            -0.004,
            0.0049,
            "ours is equivalent to the best baseline, chain: they differ by less than 0.005, too little to matter",
        ),
        (
            0.0,
            0.0,
            "ours is equivalent to the best baseline, chain: they differ by less than 0.005, too little to matter",
        ),
        (0.001, 0.0186, WINS),
        (0.006, 0.0186, WINS),
        (0.001, 0.004, WINS + TOO_LITTLE),
        (-0.0186, -0.001, BETTER),
        (-0.0186, -0.006, BETTER),
        (-0.004, -0.001, BETTER + TOO_LITTLE),
    ],
)
def test_a_claim_goes_no_further_than_its_interval(low, high, said):
    assert compare("ours", "chain", low, high, margin=0.005) == said


@pytest.mark.parametrize(("margin", "equivalent"), [(0.0049, False), (0.0051, True), (1.0, True)])
def test_models_are_equivalent_against_the_margin_that_is_set(margin, equivalent):
    said = compare("ours", "chain", -0.002, 0.005, margin)
    assert ("is equivalent to" in said) == equivalent
    assert (said == NOT_TOLD_APART.format("0.0050")) != equivalent


def test_a_model_that_beats_the_best_baseline_is_praised():
    found = answer(KNOWING, BASE, noisy("markov_chain", "baseline", 3, 0.25))
    assert found.learned
    assert found.difference.high < 0
    assert "blend predicts better than the best baseline" in found.verdict


def test_a_baseline_that_wins_is_named_first():
    found = answer(noisy("blend", "blend", 3, 0.25), BASE, model("markov_chain", "baseline", TRUTH))
    assert found.verdict.startswith("Whether the next purchase comes back: a baseline wins, markov chain predicts")
    assert found.best_baseline == "markov_chain"


def test_a_plain_sentence_comes_first_and_the_figures_after_it():
    found = answer(KNOWING, BASE, noisy("markov_chain", "baseline", 4, 0.03))
    low, high = found.difference.low, found.difference.high
    assert low < 0 < high
    losses = {one.name: f"{one.log_loss.value:.4f}" for one in found.models}
    assert found.verdict == (
        f"Whether the next purchase comes back: blend and the best baseline, markov chain, cannot be told apart "
        f"on these purchases; a difference of up to {max(-low, high):.4f} is possible. Log loss "
        f"{losses['blend']} against "
        f"{losses['markov_chain']}, difference {low:+.4f} to {high:+.4f}; the share of returns alone has "
        f"{losses['base_rate']}."
    )


def test_models_that_are_nearly_the_same_are_equivalent():
    found = answer(KNOWING, BASE, noisy("markov_chain", "baseline", 3, 0.005))
    assert found.difference.low < 0 < found.difference.high < 0.005
    assert "blend is equivalent to the best baseline, markov chain: " in found.verdict
    finer = answer(KNOWING, BASE, noisy("markov_chain", "baseline", 3, 0.005), margin=0.0001)
    assert "on these purchases; a difference of up to 0.00" in finer.verdict


def test_models_that_know_nothing_learn_nothing():
    draw = np.random.default_rng(7)
    models = [
        model(name, kind, np.clip(RATE + draw.normal(0, 0.03, N), 0.01, 0.99))
        for name, kind in [("blend", "blend"), *((f"time_seq{n}", "member") for n in range(2, 20))]
    ]
    found = answer(*models, BASE)
    assert not found.learned
    assert "it cannot be shown that anything is to be learned from this history" in found.verdict
    # All at once: of twenty intervals of 95 % each, one would miss.
    assert all(figures.roc_auc.low <= 0.5 <= figures.roc_auc.high for figures in found.models)


def test_a_model_worse_than_knowing_nothing_is_said_to_lose():
    draw = np.random.default_rng(5)
    found = answer(model("blend", "blend", draw.uniform(0.01, 0.9, N)), BASE)
    assert "it cannot be shown that anything is to be learned from this history" in found.verdict
    assert "; a baseline wins, base rate predicts better than blend" in found.verdict


USE_THE_SHARE = "; blend does worse here than the share of returns alone: use that. Log loss "


@pytest.mark.parametrize(
    ("ours", "others", "worse"),
    [
        (KNOWING, [], False),
        (KNOWING, [model("markov_chain", "baseline", TRUTH)], False),
        # A quarter of the true probability ranks as well, and predicts worse.
        (model("blend", "blend", TRUTH / 4), [], True),
        (model("blend", "blend", TRUTH / 4), [model("markov_chain", "baseline", TRUTH)], True),
        # A little worse, within the interval: no baseline wins, and the share of returns is simpler.
        (model("blend", "blend", np.where(np.arange(N) % 2, RATE - 0.05, RATE + 0.05)), [], True),
        (model("blend", "blend", np.full(N, RATE)), [], False),
    ],
)
def test_a_model_that_does_worse_than_the_share_of_returns_is_advised_against(ours, others, worse):
    found = answer(ours, BASE, *others)
    losses = {one.name: one.log_loss.value for one in found.models}
    assert (losses["blend"] > losses["base_rate"]) == worse
    assert (USE_THE_SHARE in found.verdict) == worse


def test_too_few_test_purchases_advise_against_nothing():
    few = [model(one.name, one.kind, one.probabilities[:20]) for one in (KNOWING, BASE)]
    few[0] = model("blend", "blend", 1 - few[0].probabilities)
    found = answer(*few, returned=RETURNED[:20])
    assert "too few test purchases to tell" in found.verdict
    assert "use that" not in found.verdict


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


def shortage(before, returned, n_val):
    """What is said of a question where these test purchases are too few."""
    purchases = sets.TestSet(np.array(returned), np.array(before), n_val, 0.005)
    figures = answer(KNOWING, BASE).models
    difference = answer(KNOWING, BASE).difference.model_copy(update={"low": None, "high": None})
    return write_verdict("next", purchases, figures, "blend", "base_rate", difference)


def every(n, period):
    """Labels of which every `period`-th is a return."""
    return (np.arange(n) % period == 0).astype(int).tolist()


def test_too_few_says_how_many_would_do_and_which_split():
    # A thousand, every fifth returned: of the last 100, 20 came back.
    found = shortage(every(900, 5), every(100, 5), 200)
    assert "too few test purchases to tell, 20 that came back and 80 that stayed where 30 of each are needed" in found
    # 40 returns are expected in 200 purchases; with one more counted on either side of those that were seen, in 194.
    assert "About 2,000 purchases would do; with these, test_split 0.15 would." in found


@pytest.mark.parametrize("period", [3, 5, 7, 20])
@pytest.mark.parametrize("flipped", [False, True])
def test_the_split_that_is_named_does_and_a_smaller_one_does_not(period, flipped):
    labels = np.array(every(3000, period))
    labels = 1 - labels if flipped else labels
    found = shortage(labels[:2970], labels[2970:], 300)
    split = float(re.search(r"test_split (0\.\d\d) would", found)[1])
    for share, enough in ((split, True), (split - 0.01, False)):
        counts = np.bincount(labels[3000 - round(3000 * share) :], minlength=2)
        assert (counts.min() >= sets.FEWEST_OF_A_LABEL) == enough


@pytest.mark.parametrize(
    ("before", "returned"),
    [
        (every(180, 5), every(20, 5)),  # too few altogether
        ([1] * 10 + [0] * 890, [0] * 100),  # no returns near the end
        ([1, 0] * 2, [1]),
        ([0] * 900 + [1, 0] * 40, [1, 0] * 10),  # the training purchases would be of one label
    ],
)
def test_where_no_split_does_that_is_said(before, returned):
    found = shortage(before, returned, len(before) // 4)
    assert "with these, no value of test_split would." in found
    needed = int(re.search(r"About ([\d,]+) purchases would do", found)[1].replace(",", ""))
    assert needed > len(before) + len(returned)


@pytest.mark.parametrize("period", [2, 3, 10, 50])
def test_as_many_purchases_as_are_named_hold_enough_in_nineteen_of_twenty_histories(period):
    labels = every(400, period)
    needed = int(re.search(r"About ([\d,]+) ", shortage(labels[:360], labels[360:], 80))[1].replace(",", ""))
    counts = np.random.default_rng(0).binomial(needed // 10, np.mean(labels), 2000)
    assert np.mean(np.minimum(counts, needed // 10 - counts) >= sets.FEWEST_OF_A_LABEL) > 0.94


def test_calibration_that_may_be_right_is_not_called_right():
    said = answer(KNOWING, BASE).calibration
    assert said.startswith("That the probabilities are off cannot be shown: the calibration error is 0.0")
    assert said.endswith("in 95 of 100 samples of 600 purchases.")


@pytest.mark.parametrize(
    ("train_rate", "words"),
    [(0.05, "The share of returns has moved: "), (RATE, "That the share of returns has moved cannot be shown: ")],
)
def test_probabilities_that_are_off_are_explained(train_rate, words):
    found = answer(model("blend", "blend", TRUTH * 0.4), BASE, train_rate=train_rate)
    assert found.calibration.startswith("The probabilities are off: ")
    assert words in found.calibration


def test_no_sentence_speaks_of_chance():
    draw = np.random.default_rng(5)
    cases = [
        answer(KNOWING, BASE),
        answer(model("blend", "blend", draw.uniform(0.01, 0.9, N)), BASE),
        answer(KNOWING, BASE, noisy("markov_chain", "baseline", 3, 0.005)),
    ]
    for found in cases:
        assert "chance" not in found.verdict + found.calibration

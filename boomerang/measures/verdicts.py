"""What is said of the figures: the sentence of the verdict, and the one about calibration."""

import numpy as np

from boomerang.features.split import count_parts
from boomerang.measures.figures import ModelFigures
from boomerang.measures.intervals import CONFIDENCE, Interval
from boomerang.measures.test_set import FEWEST_OF_A_LABEL, SHARE, TestSet

# Of so many that are expected of a label, `FEWEST_OF_A_LABEL` are there in 19 of 20 histories: a count of 40 scatters
# by 6.
EXPECTED_OF_A_LABEL = 40

SUBJECTS = {"next": "the next purchase", "made": "a purchase just made"}


def write_verdict(
    question: str, test_set: TestSet, models: list[ModelFigures], judged: str, best: str, difference: Interval
) -> str:
    """A plain sentence, then the figures: does our model predict better than the best baseline, and than nothing?

    Where it has a higher log loss than the share of returns, which needs no model, the advice is to use that.

    Parameters
    ----------
    question : {"next", "made"}
        What is asked.
    test_set : TestSet
        The purchases that are predicted.
    models : list of ModelFigures
        All models that were measured.
    judged, best : str
        Names of our model that is judged and of the best baseline.
    difference : Interval
        Log loss of the one less that of the other; without bounds where the test purchases are too few.
    """
    about = f"Whether {SUBJECTS[question]} comes back"
    losses = {model.name: model.log_loss.value for model in models}
    figures = f"Log loss {losses[judged]:.4f} against {losses[best]:.4f}"
    if difference.low is None or difference.high is None:
        figures += f" ({name_in_words(judged)}, {name_in_words(best)})"
        return f"{about}: {_explain_shortage(test_set)} {figures}."
    figures += f", difference {difference.low:+.4f} to {difference.high:+.4f}"
    if best != "base_rate":
        figures += f"; the share of returns alone has {losses['base_rate']:.4f}"
    said = compare(name_in_words(judged), name_in_words(best), difference.low, difference.high, test_set.margin)
    if not any(model.beats_chance for model in models):
        said = (
            f"it cannot be shown that anything is to be learned from this history, for no model surely both ranks "
            f"purchases better than a coin and predicts better than the share of returns; {said}"
        )
    if losses[judged] > losses["base_rate"]:
        said += f"; {name_in_words(judged)} does worse here than the share of returns alone: use that"
    return f"{about}: {said}. {figures}."


def name_in_words(name: str) -> str:
    """The name of a model as sentences have it."""
    return name.replace("_", " ")


def compare(ours: str, theirs: str, low: float, high: float, margin: float) -> str:
    """What can be claimed of a model and the best baseline, in plain words.

    That no difference can be told does not mean that there is none. So models are called equivalent only where the
    whole interval lies within the margin (Schuirmann 1987, "A comparison of the two one-sided tests procedure and the
    power approach for assessing the equivalence of average bioavailability"), and elsewhere the largest difference that
    the interval holds is named.

    Parameters
    ----------
    ours, theirs : str
        Names of our model and of the baseline, in words.
    low, high : float
        Bounds of the log loss of ours less that of the baseline, in nats.
    margin : float
        A difference that is surely smaller, in nats, does not matter.
    """
    largest = max(abs(low), abs(high))
    matters = largest >= margin
    too_little = "" if matters else f", but by less than {margin:g}, too little to matter"
    if low > 0:
        return f"a baseline wins, {theirs} predicts better than {ours}{too_little}"
    if high < 0:
        return f"{ours} predicts better than the best baseline, {theirs}{too_little}"
    if not matters:
        return (
            f"{ours} is equivalent to the best baseline, {theirs}: they differ by less than {margin:g}, too little to "
            f"matter"
        )
    return (
        f"{ours} and the best baseline, {theirs}, cannot be told apart on these purchases; a difference of up to "
        f"{largest:.4f} is possible"
    )


def _explain_shortage(test_set: TestSet) -> str:
    """That the test purchases are too few, and what would help."""
    returned = np.concatenate([test_set.before, test_set.returned])
    counts = (
        f"too few test purchases to tell, {test_set.n_returned} that came back and {test_set.n_kept} that stayed where "
        f"{FEWEST_OF_A_LABEL} of each are needed"
    )
    split = _find_split(returned, test_set.n_val)
    needed = _count_needed(returned, len(test_set.returned))
    with_these = "no value of test_split would" if split is None else f"test_split {split:.2f} would"
    return f"{counts}. About {needed:,} purchases would do; with these, {with_these}."


def _count_needed(returned: np.ndarray, n_test: int) -> int:
    """How many purchases, split as now, very likely hold enough of either label in the test part.

    Parameters
    ----------
    returned : ndarray of shape (n_purchases,), 0 or 1
        All purchases, in time order.
    n_test : int
        The last of them, which are the test part.
    """
    rarer = min((np.sum(label == returned[-n_test:]) + 1) / (n_test + 2) for label in (0, 1))
    # Where the test part and the whole differ, more purchases are the safer answer.
    share = min(rarer, *(np.mean(label == returned) for label in (0, 1)))
    needed = EXPECTED_OF_A_LABEL / max(share, 1 / (len(returned) + 2)) * len(returned) / n_test
    step = 10 ** (int(np.log10(needed)) - 1)
    return int(-(-needed // step) * step)


def _find_split(returned: np.ndarray, n_val: int) -> float | None:
    """The smallest `test_split`, in hundredths, whose test part holds enough of either label.

    None where fewer purchases would be left to train on than to validate on, or of one label alone.
    """
    n_purchases = len(returned)
    for hundredths in range(1, 100):
        n_train, _, n_test = count_parts(n_purchases, n_val / n_purchases, hundredths / 100)
        if n_train < n_val:
            return None
        n_returned = int(returned[n_purchases - n_test :].sum())
        if min(n_returned, n_test - n_returned) >= FEWEST_OF_A_LABEL:
            return hundredths / 100 if len(np.unique(returned[:n_train])) == 2 else None
    return None


def explain_calibration(test_set: TestSet, ours: ModelFigures) -> str:
    """One sentence or two: are the probabilities surely off, and has the share of returns surely moved?"""
    error, limit = ours.calibration_error, ours.calibration_error_by_chance
    figures = (
        f"the calibration error is {error:.4f}, and that of perfectly calibrated probabilities stays below {limit:.4f} "
        f"in 95 of 100 samples of {len(test_set.returned):,} purchases"
    )
    if error <= limit:
        return f"That the probabilities are off cannot be shown: {figures}."
    text = f"The probabilities are off: {figures}"
    labels = test_set.returned.astype(np.float64)
    (rate,) = test_set.intervals(np.array([labels.mean()]), labels[None], CONFIDENCE, SHARE)
    then = f"{test_set.train_rate:.1%} of the training purchases came back, {rate.value:.1%} of the test purchases"
    if rate.low is None or rate.high is None:
        return f"{text}. {then}."
    moved = not rate.low <= test_set.train_rate <= rate.high
    why = "The share of returns has moved" if moved else "That the share of returns has moved cannot be shown"
    return f"{text}. {why}: {then} ({rate.low:.1%} to {rate.high:.1%})."

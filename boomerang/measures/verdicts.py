"""What is said of the figures: the sentence of the verdict, and the one about calibration."""

import numpy as np

from boomerang.measures.figures import ModelFigures
from boomerang.measures.intervals import CONFIDENCE, Interval
from boomerang.measures.test_set import FEWEST_OF_A_LABEL, TestSet

SUBJECTS = {"next": "the next purchase", "made": "a purchase just made"}


def write_verdict(
    question: str, test_set: TestSet, models: list[ModelFigures], judged: str, best: str, difference: Interval
) -> str:
    """One sentence: does our model predict better than the best baseline, and than knowing nothing?

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
    ours, theirs = judged.replace("_", " "), best.replace("_", " ")
    figures = f"log loss {losses[judged]:.4f} against {losses[best]:.4f}"
    if difference.low is None or difference.high is None:
        return (
            f"{about}: too few test purchases to tell, {test_set.n_returned} that came back and {test_set.n_kept} that "
            f"stayed where {FEWEST_OF_A_LABEL} of each are needed ({ours}: {figures} for {theirs})."
        )
    figures += f", difference {difference.low:+.4f} to {difference.high:+.4f}"
    if not any(model.beats_chance for model in models):
        nothing = (
            f"{about}: nothing can be learned from this history; no model surely ranks purchases better than chance "
            f"and predicts better than the share of returns in training"
        )
        wins = f"A baseline wins: {theirs} predicts better than {ours} ({figures})"
        return f"{nothing}. {wins}." if difference.low > 0 else f"{nothing} ({figures})."
    if difference.low > 0:
        return f"{about}: a baseline wins, {theirs} predicts better than {ours} ({figures})."
    if difference.high < 0:
        return f"{about}: {ours} predicts better than the best baseline, {theirs} ({figures})."
    return f"{about}: {ours} does as well as the best baseline, {theirs} ({figures}: chance)."


def explain_calibration(test_set: TestSet, ours: ModelFigures) -> str:
    """One sentence or two: is the calibration error above chance, and did the base rate move?"""
    error, chance = ours.calibration_error, ours.calibration_error_by_chance
    text = (
        f"The calibration error is {error:.4f}; a perfectly calibrated model would stay below {chance:.4f} in 95 of "
        f"100 samples of as many purchases"
    )
    if error <= chance:
        return f"{text}: in {len(test_set.returned):,} purchases no deviation beyond chance is found."
    text += ": the probabilities are off by more than chance"
    labels = test_set.returned.astype(np.float64)
    (rate,) = test_set.intervals(np.array([labels.mean()]), labels[None], CONFIDENCE)
    then = f"{test_set.train_rate:.1%} of the training purchases came back, {rate.value:.1%} of the test purchases"
    if rate.low is None or rate.high is None:
        return f"{text}. {then}."
    moved = not rate.low <= test_set.train_rate <= rate.high
    why = "The base rate moved" if moved else "The base rate did not move beyond chance"
    return f"{text}. {why}: {then} ({rate.low:.1%} to {rate.high:.1%})."

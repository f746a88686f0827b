"""Figures of predicted probabilities: how good, how well calibrated, how they look as curves."""

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

# Calibration is measured in at most so many bins of at least so many rows: a share of fewer rows says nothing.
N_BINS, MIN_BIN = 10, 30
N_DRAWS = 1000
# Points that a drawn curve needs.
MAX_POINTS = 200
# Probabilities are kept within this of 0 and 1 for the log loss: a wrong certainty would cost infinitely much.
SMALLEST = 1e-7
# Figures in files are rounded to so many digits: far coarser than a last bit, which the CPU decides, and finer than any
# effect.
DIGITS = 6


def round_figure(value: float) -> float:
    """A figure as files hold it."""
    # Adding 0 makes -0.0 a plain 0.
    return round(float(value), DIGITS) + 0.0


def log_losses(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``-log(p)`` in nats of each row, where p is the probability of what happened, kept within 1e-7 to 1 - 1e-7."""
    of_what_happened = np.where(targets == 1, probabilities, 1 - probabilities)
    losses: np.ndarray = -np.log(np.clip(of_what_happened, SMALLEST, 1 - SMALLEST))
    return losses


def roc_auc(targets: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Area under the ROC curve; None where all targets are alike."""
    return float(roc_auc_score(targets, probabilities)) if len(np.unique(targets)) == 2 else None


def roc_auc_shares(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How each row moves the area under the ROC curve: shape (n_rows,), mean 0; targets of both labels are needed.

    Of a return it is the share of the others that it ranks above, of another the share of the returns that rank above
    it, equal scores by half; less the mean of its label, which is the area, and divided by the share of that label
    (DeLong et al. 1988, "Comparing the areas under two or more correlated receiver operating characteristic curves").
    """
    found = np.empty(len(targets))
    for label in (0, 1):
        own, others = targets == label, np.sort(scores[targets != label])
        n_below = (np.searchsorted(others, scores[own], "left") + np.searchsorted(others, scores[own], "right")) / 2
        right = (n_below if label else len(others) - n_below) / len(others)
        found[own] = (right - right.mean()) / own.mean()
    return found


def pr_auc(targets: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Average precision; None where nothing came back."""
    return float(average_precision_score(targets, probabilities)) if targets.any() else None


def equal_bins(probabilities: np.ndarray) -> np.ndarray:
    """The bin of each row, from 0 on: up to ten bins of about equal counts, equal probabilities in the same bin.

    Few rows get fewer bins, of `MIN_BIN` rows or more where there are as many.
    """
    n_bins = max(1, min(N_BINS, len(probabilities) // MIN_BIN))
    edges = np.quantile(probabilities, np.arange(1, n_bins) / n_bins)
    return np.unique(np.searchsorted(edges, probabilities, side="left"), return_inverse=True)[1]


def reliability(targets: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By bin of `equal_bins`: mean probability, share that came back, count."""
    bins = equal_bins(probabilities)
    counts = np.bincount(bins)
    return np.bincount(bins, probabilities) / counts, np.bincount(bins, targets) / counts, counts


def calibration_error(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error: mean over the rows of ``|mean probability - share that came back|`` of their bin.

    Naeini, Cooper and Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; bins of equal
    counts.
    """
    predicted, observed, counts = reliability(targets, probabilities)
    return float(np.abs(predicted - observed) @ counts / len(targets))


def calibration_error_by_chance(probabilities: np.ndarray, seed: int) -> float:
    """The calibration error that a perfectly calibrated model stays below in 95 of 100 samples.

    The samples are labels drawn with the probabilities themselves. Such a model has an error above 0 too, because
    shares of few rows scatter (Bröcker and Smith 2007, "Increasing the Reliability of Reliability Diagrams").
    """
    order = np.argsort(equal_bins(probabilities), kind="stable")
    bins, ordered = equal_bins(probabilities)[order], probabilities[order]
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    expected = np.add.reduceat(ordered, starts)
    draw = np.random.default_rng(seed)
    errors = [
        np.abs(np.add.reduceat((draw.random(len(ordered)) < ordered).astype(np.float64), starts) - expected).sum()
        for _ in range(N_DRAWS)
    ]
    return float(np.quantile(errors, 0.95)) / len(probabilities)


def curves(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """ROC and precision-recall curves, thinned to what a drawing shows; they need targets of both labels.

    Returns
    -------
    dict of ndarray
        `false_positive_rate` with `true_positive_rate`, and `recall` with `precision`.
    """
    false_positives, true_positives, _ = roc_curve(targets, probabilities)
    precision, recall, _ = precision_recall_curve(targets, probabilities)
    roc, pr = thin(len(false_positives)), thin(len(recall))
    return {
        "false_positive_rate": false_positives[roc],
        "true_positive_rate": true_positives[roc],
        "recall": recall[::-1][pr],
        "precision": precision[::-1][pr],
    }


def thin(n_points: int) -> np.ndarray:
    """Which of so many points of a curve a drawing shows: the first, the last, and others evenly between."""
    return np.unique(np.linspace(0, n_points - 1, MAX_POINTS).round().astype(int))


def count_decisions(targets: np.ndarray, probabilities: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """How many rows have a probability of at least 0, 1/n_steps, ... 1: of those that came back, and of the others."""
    thresholds = np.arange(n_steps + 1) / n_steps
    counts = []
    for label in (1, 0):
        scores = np.sort(probabilities[targets == label])
        counts.append(len(scores) - np.searchsorted(scores, thresholds, side="left"))
    return counts[0], counts[1]

"""Figures on the validation purchases: what `models_meta.json` says of the ensembles and of counting."""

import numpy as np
from sklearn.metrics import log_loss

from boomerang.base.ensembles import QUESTIONS
from boomerang.combining.metadata import Figures
from boomerang.measures.metrics import roc_auc


def measure_validation(
    targets: np.ndarray, *predictions: dict[str, dict[str, np.ndarray]]
) -> dict[str, dict[str, Figures]]:
    """Figures by question and name.

    Parameters
    ----------
    targets : ndarray of shape (n_val,), 0 or 1
        Which validation purchases came back.
    *predictions : dict of str to dict of str to ndarray of shape (n_val,)
        By question and name, probabilities of these purchases.
    """
    return {
        question: {
            name: _measure(targets, probabilities)
            for found in predictions
            for name, probabilities in found[question].items()
        }
        for question in QUESTIONS
    }


def _measure(targets: np.ndarray, probabilities: np.ndarray) -> Figures:
    return Figures(
        log_loss=float(log_loss(targets, probabilities, labels=[0, 1])), roc_auc=roc_auc(targets, probabilities)
    )

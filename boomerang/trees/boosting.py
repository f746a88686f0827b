"""How boosted trees learn: by scikit-learn's histogram gradient boosting, in as many rounds as validation asks."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from boomerang.base.settings import TreesSettings
from boomerang.trees.forest import LARGEST, MAX_VALUE, STEP, Forest, Tree

# Each split looks at a share of the columns, drawn anew, and leaves of few purchases are drawn to 0: on the validation
# purchases of two real histories and two made-up ones this was better than scikit-learn's own values, and more of it no
# better.
MAX_FEATURES, L2 = 0.5, 5.0
# Losses are compared to so many digits: the last bits of sums depend on the CPU.
DIGITS = 7


class Boosted(NamedTuple):
    """Boosted trees, and how they came about.

    Attributes
    ----------
    forest : Forest
        With as many trees as predict the validation purchases best.
    history : DataFrame
        A row for each round, 0 being the share of returns: `round`, and `train_loss` and `val_loss` in nats.
    """

    forest: Forest
    history: pd.DataFrame


def boost(
    inputs: np.ndarray,
    targets: np.ndarray,
    val_inputs: np.ndarray,
    val_targets: np.ndarray,
    features: list[str],
    base_rate: float,
    config: TreesSettings,
) -> Boosted:
    """Boosted trees (Friedman 2001, "Greedy function approximation: a gradient boosting machine").

    Parameters
    ----------
    inputs, val_inputs : ndarray of shape (n, n_features), float32
        Of the training and of the validation purchases, NaN for a number that is missing.
    targets, val_targets : ndarray of shape (n,), 0 or 1
        Which of them came back.
    features : list of str
        Names of the columns.
    base_rate : float
        The share of returns among all training purchases, which is said where no tree predicts better.
    config : TreesSettings
        How many rounds there are at most, how large a tree and a step are, and after how many rounds without a better
        validation loss no more are tried.
    """
    base_logit = _round(logit(base_rate))
    found = [(_log_loss(base_logit, targets), _log_loss(base_logit, val_targets))]
    trees: list[Tree] = []
    if 0 < targets.sum() < len(targets):
        model = _fit(inputs, targets, val_inputs, val_targets, config)
        found += list(zip(-model.train_score_[1:], -model.validation_score_[1:], strict=True))
        trees = [_copy_tree(predictor.nodes) for (predictor,) in model._predictors]
    history = pd.DataFrame(np.round(found, DIGITS), columns=["train_loss", "val_loss"])
    history.insert(0, "round", np.arange(len(history)))
    # The first of equals: fewer rounds.
    best = int(history["val_loss"].to_numpy().argmin())
    if best:
        # Trees are grown from the share of returns among those that they learn from.
        base_logit = _round(logit(targets.mean()))
    return Boosted(Forest(features=features, base_logit=float(base_logit), trees=trees[:best]), history)


def _fit(
    inputs: np.ndarray, targets: np.ndarray, val_inputs: np.ndarray, val_targets: np.ndarray, config: TreesSettings
) -> HistGradientBoostingClassifier:
    model = HistGradientBoostingClassifier(
        learning_rate=config.lr,
        max_iter=config.rounds,
        max_leaf_nodes=config.leaves,
        max_features=MAX_FEATURES,
        l2_regularization=L2,
        early_stopping=True,
        n_iter_no_change=config.early_stopping_patience or config.rounds,
        tol=0,
        random_state=0,
    )
    with threadpool_limits(limits=1):
        return model.fit(inputs, targets, X_val=val_inputs, y_val=val_targets)


def _copy_tree(nodes: np.ndarray) -> Tree:
    """A tree of scikit-learn, whose nodes are a record each, with the two children of each node side by side."""
    order, first_child = [0], []
    for node in order:
        found = nodes[node]
        first_child.append(-1 if found["is_leaf"] else len(order))
        if not found["is_leaf"]:
            order += [int(found["left"]), int(found["right"])]
    nodes = nodes[order]
    is_leaf = nodes["is_leaf"].astype(bool)
    # Where rows are parted by what is missing alone, all numbers are below the threshold.
    thresholds = np.where(is_leaf, 0.0, np.minimum(nodes["num_threshold"], LARGEST))
    columns: dict[str, Any] = {
        "feature": np.where(is_leaf, 0, nodes["feature_idx"]),
        "threshold": _round_down(thresholds),
        "missing_first": ~is_leaf & nodes["missing_go_to_left"].astype(bool),
        "value": _round(np.where(is_leaf, nodes["value"], 0.0)),
    }
    return Tree(first_child=first_child, **{name: values.tolist() for name, values in columns.items()})


def _round_down(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 at or below each: no float32 lies between, so rows are parted as by the float64."""
    nearest = thresholds.astype(np.float32)
    lower: np.ndarray = np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return lower


def _round(values: np.ndarray | float) -> np.ndarray:
    """Values as a file of trees has them."""
    rounded: np.ndarray = np.round(np.clip(values, -MAX_VALUE, MAX_VALUE) / STEP) * STEP
    return rounded


def _log_loss(logit_of_all: np.ndarray, targets: np.ndarray) -> float:
    """The mean log loss, in nats, of saying the same of all purchases."""
    return float(np.logaddexp(0, logit_of_all) - targets.mean() * logit_of_all)

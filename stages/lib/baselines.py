"""What counting, a straight line and boosted trees predict: the figures that an ensemble has to beat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from stages.lib.layout import SCALED_FEATURES
from stages.lib.scores import log_losses

MARKOV_ORDERS = range(1, 13)
# Labels that the line and the trees read at most: more of them cost memory and gain nothing.
MAX_LAGS = 64
MAX_ROUNDS = 300
# A solver's last bits depend on the CPU; far below any effect they are cut off.
DIGITS = 7


@dataclass(frozen=True)
class Baseline:
    """Probabilities of the test purchases, shape (n_test,), float64, and how the model was chosen."""

    probabilities: np.ndarray
    chosen: str


def base_rate(returned: np.ndarray, first: int, end: int) -> np.ndarray:
    """The share of returns before row `first`, as the probability of each row from `first` to `end`."""
    return np.full(end - first, returned[:first].mean())


def markov_chain(returned: np.ndarray, first: int, end: int, order: int) -> np.ndarray:
    """Order-k Markov chain: how often a return followed the last `order` labels, with add-one smoothing.

    Parameters
    ----------
    returned : ndarray of shape (n_rows,), int
        0 or 1, in time order.
    first, end : int
        Rows to predict; the counts come from the rows before `first` only.
    order : int
        Labels that make up the state; `first` must be above it.

    Returns
    -------
    ndarray of shape (end - first,), float64
        ``(returns after the state + 1) / (times the state was seen + 2)`` (Laplace's rule of succession).
    """
    labels = returned.astype(np.int64)
    states = sum(labels[order - lag : len(labels) - lag] << (lag - 1) for lag in range(1, order + 1))
    n_counted = first - order
    seen = np.bincount(states[:n_counted], minlength=2**order)
    came_back = np.bincount(states[:n_counted], weights=labels[order:first], minlength=2**order)
    return ((came_back + 1) / (seen + 2))[states[n_counted : end - order]]


def predict_baselines(table: pd.DataFrame, n_lags: int) -> dict[str, dict[str, Baseline]]:
    """Every baseline's probabilities of the test purchases, by question and name.

    All learn from the training purchases; what is to be chosen (the order of the chain, the rounds of boosting) is
    chosen by the log loss on the validation purchases. So they know what an ensemble knows.

    Parameters
    ----------
    table : DataFrame
        Purchases in time order, as `read_prepared` returns them.
    n_lags : int
        Labels that the line and the trees read, up to `MAX_LAGS`. For `next` the trees also read time and number of
        the purchase before; for `made` both read time, number and gap of the purchase in question.
    """
    returned = table["returned"].to_numpy()
    first_val, first_test = (int((table["part"] == "train").sum()), int((table["part"] != "test").sum()))
    rows = _Rows(returned, first_val, first_test)
    share = Baseline(
        np.full(len(returned) - first_test, returned[:first_val].mean()), "share of the training purchases"
    )
    found = {"next": {"base_rate": share}, "made": {"base_rate": share}}
    orders = [order for order in MARKOV_ORDERS if order < first_val]
    if orders:
        found["next"]["previous_value"] = rows.markov_chain(orders[:1])
        found["next"]["markov_chain"] = rows.markov_chain(orders)
    n_lags = min(n_lags, MAX_LAGS)
    labels = np.lib.stride_tricks.sliding_window_view(returned, n_lags)[:-1].astype(np.float32)
    own = table[list(SCALED_FEATURES)].to_numpy()
    before = own[n_lags - 1 : -1]
    own = own[n_lags:]
    if len(np.unique(returned[n_lags:first_val])) == 2:
        with threadpool_limits(limits=1):
            found["next"]["logistic_regression"] = rows.logistic_regression(labels)
            found["next"]["gradient_boosting"] = rows.gradient_boosting(np.hstack([labels, before]))
            found["made"]["logistic_regression"] = rows.logistic_regression(np.hstack([labels, own]))
            found["made"]["gradient_boosting"] = rows.gradient_boosting(np.hstack([labels, own]))
    return found


@dataclass(frozen=True)
class _Rows:
    """Labels of all purchases, and where `val` and `test` begin; inputs end with the same row as the labels."""

    returned: np.ndarray
    first_val: int
    first_test: int

    def markov_chain(self, orders: list[int]) -> Baseline:
        """The chain of the order that predicts the validation purchases best."""

        n_rows = len(self.returned)
        by_order = ((order, markov_chain(self.returned, self.first_val, n_rows, order)) for order in orders)
        order, probabilities = self._choose(by_order)
        return self._baseline(probabilities, f"order {order}")

    def logistic_regression(self, inputs: np.ndarray) -> Baseline:
        """Logistic regression with scikit-learn's default penalty."""
        n_train = len(inputs) - (len(self.returned) - self.first_val)
        # Newton's steps end at the optimum, not near it: what is left of the CPU is far below `DIGITS`.
        model = LogisticRegression(solver="newton-cholesky", tol=1e-8, max_iter=200)
        model.fit(inputs[:n_train], self.returned[-len(inputs) : self.first_val])
        return self._baseline(model.predict_proba(inputs[n_train:])[:, 1], f"{inputs.shape[1]} inputs")

    def gradient_boosting(self, inputs: np.ndarray) -> Baseline:
        """Boosted trees, with as many rounds as predict the validation purchases best."""
        n_train = len(inputs) - (len(self.returned) - self.first_val)
        model = HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=MAX_ROUNDS, max_leaf_nodes=15, early_stopping=False, random_state=0
        )
        model.fit(inputs[:n_train], self.returned[-len(inputs) : self.first_val])
        # One round after the other: the probabilities of all would take gigabytes where there are many purchases.
        by_round = enumerate((stage[:, 1] for stage in model.staged_predict_proba(inputs[n_train:])), start=1)
        rounds, probabilities = self._choose(by_round)
        return self._baseline(probabilities, f"{inputs.shape[1]} inputs, {rounds} rounds")

    def _choose(self, options: Iterable[tuple[int, np.ndarray]]) -> tuple[int, np.ndarray]:
        """Of options with their probabilities from the first row of `val` on, the one of the lowest log loss there."""
        targets = self.returned[self.first_val : self.first_test]
        best, lowest = None, np.inf
        for option, probabilities in options:
            # Rounded, so that equal models are equal on every CPU; the first of them is taken.
            loss = round(log_losses(targets, probabilities[: len(targets)]).mean(), DIGITS)
            if loss < lowest:
                best, lowest = (option, probabilities.copy()), loss
        return best

    def _baseline(self, probabilities: np.ndarray, chosen: str) -> Baseline:
        """From probabilities of the purchases from the first of `val` on."""
        return Baseline(np.round(probabilities[self.first_test - self.first_val :], DIGITS), chosen)

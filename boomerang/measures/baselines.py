"""What counting and a straight line predict: figures that an ensemble has to beat, as it has to beat the trees."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from boomerang.base.ensembles import QUESTIONS, SCALED_FEATURES
from boomerang.measures.metrics import log_losses

# Orders that the chain of the test purchases is chosen from, and the order of that of the validation purchases.
MARKOV_ORDERS = range(1, 13)
VALIDATION_ORDER = 8
# Probabilities are rounded to so many digits, far below any effect: a solver's last bits depend on the CPU.
DIGITS = 7


@dataclass(frozen=True)
class Baseline:
    """Probabilities of the test purchases, of shape (n_test,), float64, and how the model was chosen."""

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
    states = np.zeros(len(labels) - order, dtype=np.int64)
    for lag in range(1, order + 1):
        states += labels[order - lag : len(labels) - lag] << (lag - 1)
    n_counted = first - order
    seen = np.bincount(states[:n_counted], minlength=2**order)
    came_back = np.bincount(states[:n_counted], weights=labels[order:first], minlength=2**order)
    probabilities: np.ndarray = (came_back + 1) / (seen + 2)
    return probabilities[states[n_counted : end - order]]


def predict_by_counting(returned: np.ndarray, first: int, end: int) -> dict[str, dict[str, np.ndarray]]:
    """Probabilities of the validation purchases by baselines that only count, by question and name.

    Parameters
    ----------
    returned : ndarray of shape (n_rows,), int
        0 or 1, in time order.
    first, end : int
        Rows to predict; the counts come from the rows before `first` only.

    Returns
    -------
    dict of str to dict of str to ndarray of shape (end - first,), float64
        Without the chain where the rows before `first` are too few for it.
    """
    found = {question: {"base_rate": base_rate(returned, first, end)} for question in QUESTIONS}
    if first > VALIDATION_ORDER:
        chain = markov_chain(returned, first, end, VALIDATION_ORDER)
        found["next"][f"markov_order_{VALIDATION_ORDER}"] = chain
    return found


def predict_baselines(
    table: pd.DataFrame, n_lags: int, further: tuple[str, ...] = ()
) -> dict[str, dict[str, Baseline]]:
    """Every baseline's probabilities of the test purchases, by question and name.

    All learn from the training purchases. The order of the chain is chosen by the log loss on the validation purchases.
    So baselines learn from the same purchases as an ensemble.

    Parameters
    ----------
    table : DataFrame
        Purchases in time order, as `read_prepared` returns them.
    n_lags : int
        Labels that logistic regression reads; for `made` also time, number and gap of the purchase in question.
    further : tuple of str
        Features of further columns, which it then reads as well.
    """
    returned = table["returned"].to_numpy()
    learner = Learner(returned, table["part"].to_numpy())
    first_val = int((table["part"] == "train").sum())
    found = {question: {"base_rate": learner.base_rate()} for question in QUESTIONS}
    orders = [order for order in MARKOV_ORDERS if order < first_val]
    if orders:
        chains = [(order, markov_chain(returned, first_val, len(returned), order)) for order in orders]
        found["next"]["previous_value"] = learner.choose_chain(chains[:1])
        found["next"]["markov_chain"] = learner.choose_chain(chains)
    # The purchase before has one before it too: nobody observed the gap of the first purchase.
    first = max(n_lags, 2)
    labels = np.lib.stride_tricks.sliding_window_view(returned, n_lags)[first - n_lags : -1].astype(np.float32)
    own = table[[*SCALED_FEATURES, *further]].to_numpy()[first:]
    if len(np.unique(returned[first:first_val])) == 2:
        with threadpool_limits(limits=1):
            found["next"]["logistic_regression"] = learner.logistic_regression(labels)
            found["made"]["logistic_regression"] = learner.logistic_regression(np.hstack([labels, own]))
    return found


@dataclass(frozen=True)
class Learner:
    """Labels and parts of purchases in time order, and models that learn from those of `train`.

    The inputs of a method may begin later than the labels; both end with the same purchase. Probabilities are those of
    the purchases of `val`, then of `test`.

    Attributes
    ----------
    returned : ndarray of shape (n_rows,), 0 or 1
        Labels.
    parts : ndarray of shape (n_rows,), str
        The part of each; what is in none is neither learned from nor predicted.
    """

    returned: np.ndarray
    parts: np.ndarray

    def of(self, part: str) -> np.ndarray:
        """Labels of the purchases of one part."""
        labels: np.ndarray = self.returned[self.parts == part]
        return labels

    def base_rate(self) -> Baseline:
        """The share of returns among the training purchases."""
        probabilities = np.full(len(self.of("test")), self.of("train").mean())
        return Baseline(probabilities, "share of the training purchases")

    def choose_chain(self, by_order: Iterable[tuple[int, np.ndarray]]) -> Baseline:
        """The Markov chain of the order that predicts the validation purchases best."""
        order, probabilities = self._choose(by_order)
        return self.baseline(probabilities, f"order {order}")

    def logistic_regression(self, inputs: np.ndarray) -> Baseline:
        """Logistic regression with scikit-learn's default penalty."""
        # Newton's method ends so near the optimum that differences between CPUs are far below `DIGITS`. In float32, as
        # the inputs are, it would end where rounding stops it, after a warning.
        model = LogisticRegression(solver="newton-cholesky", tol=1e-8, max_iter=200)
        examples, labels = self._examples(inputs)
        model.fit(examples.astype(np.float64), labels)
        return self.baseline(model.predict_proba(self._later(inputs))[:, 1], f"{inputs.shape[1]} inputs")

    def baseline(self, probabilities: np.ndarray, chosen: str) -> Baseline:
        """The baseline of these probabilities of the purchases of `val`, then of `test`."""
        return Baseline(np.round(probabilities[len(self.of("val")) :], DIGITS), chosen)

    def _examples(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        is_train = self.parts[-len(inputs) :] == "train"
        return inputs[is_train], self.returned[-len(inputs) :][is_train]

    def _later(self, inputs: np.ndarray) -> np.ndarray:
        later: np.ndarray = inputs[np.isin(self.parts[-len(inputs) :], ("val", "test"))]
        return later

    def _choose(self, options: Iterable[tuple[int, np.ndarray]]) -> tuple[int, np.ndarray]:
        """The option of the lowest log loss on the validation purchases, and its probabilities."""
        targets = self.of("val")

        def loss(option: tuple[int, np.ndarray]) -> float:
            # Rounded, so that equal models are equal on every CPU: `min` takes the first of them.
            return float(np.round(log_losses(targets, option[1][: len(targets)]).mean(), DIGITS))

        return min(options, key=loss)

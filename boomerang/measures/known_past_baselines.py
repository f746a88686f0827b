"""What simple models predict by the known past of a purchase's group: what an ensemble has to beat there."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from boomerang.base.ensembles import (
    HAS_PAST,
    LOG_COUNT_SCALED,
    LOG_GAP_SCALED,
    QUESTIONS,
    RATE_SO_FAR,
    TIME_FEATURES,
)
from boomerang.features.known_past import KnownPast, PastRules, find_known_past
from boomerang.measures.baselines import MARKOV_ORDERS, Baseline, Learner


def rate_of_validation(table: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Probabilities of the validation purchases by counting, by question and name: the base rate, and the group's rate.

    Parameters
    ----------
    table : DataFrame
        As `read_prepared` returns it, with a past of its own for each purchase.
    """
    is_val = (table["part"] == "val").to_numpy()
    rate = table["returned"][table["part"] == "train"].mean()
    by_group = table[RATE_SO_FAR].to_numpy()[is_val].astype(np.float64)
    return {question: {"base_rate": np.full(int(is_val.sum()), rate), "group_rate": by_group} for question in QUESTIONS}


def predict_by_known_past(
    table: pd.DataFrame, rules: PastRules, n_lags: int, further: tuple[str, ...] = ()
) -> dict[str, dict[str, Baseline]]:
    """Every baseline's probabilities of the test purchases, by question and name; parameters as in `predict_baselines`.

    All know what an ensemble knows, and no more: the labels of the group that were known by then, their number and
    share, and for `made` the purchase in question but its label.
    """
    past, parts = find_known_past(table, rules), table["part"].to_numpy()
    learner = Learner(past.returned, parts)
    rates = table[RATE_SO_FAR].to_numpy().astype(np.float64)
    is_later = np.isin(parts, ("val", "test"))
    by_group = learner.baseline(
        rates[is_later], f"{rules.rate_strength:g} purchases of the shop beside the group's own"
    )
    found = {question: {"base_rate": learner.base_rate(), "group_rate": by_group} for question in QUESTIONS}
    labels = lags_of(past, past.returned, n_lags)
    found["next"]["previous_value"] = learner.choose_chain(_chains(labels[:, :1], past.returned, parts))
    found["next"]["markov_chain"] = learner.choose_chain(_chains(labels, past.returned, parts))
    own = table[[*TIME_FEATURES, LOG_GAP_SCALED, *further]].to_numpy()
    counts = table[[LOG_COUNT_SCALED, RATE_SO_FAR, HAS_PAST]].to_numpy()
    # To a straight line what is not there is neither a return nor none.
    centred = np.nan_to_num(labels - np.float32(rules.base_rate))
    with threadpool_limits(limits=1):
        found["next"]["logistic_regression"] = learner.logistic_regression(np.hstack([centred, counts]))
        found["made"]["logistic_regression"] = learner.logistic_regression(np.hstack([centred, counts, own]))
    return found


def lags_of(past: KnownPast, values: np.ndarray, n_lags: int) -> np.ndarray:
    """Values of the latest known purchases before each, the latest first: (n_rows, n_lags), float32, NaN for none."""
    found = np.full((len(past.ends), n_lags), np.nan, dtype=np.float32)
    for lag in range(1, n_lags + 1):
        has = past.n_known >= lag
        found[has, lag - 1] = values[past.rows[past.ends[has] - lag]]
    return found


def _chains(labels: np.ndarray, returned: np.ndarray, parts: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Markov chains of several orders: how often a return followed the latest known labels, with add-one smoothing.

    Fewer known labels than the order are a state of their own.

    Yields
    ------
    (int, ndarray of shape (n_val + n_test,))
        Order and probabilities.
    """
    is_train, is_later = parts == "train", np.isin(parts, ("val", "test"))
    # A label is 1 or 2, one that is not there 0: the latest first, in base 3.
    states = np.zeros(len(labels), dtype=np.int64)
    for order in range(1, min(labels.shape[1], MARKOV_ORDERS[-1]) + 1):
        states = states + np.nan_to_num(labels[:, order - 1] + 1).astype(np.int64) * 3 ** (order - 1)
        different, places = np.unique(states, return_inverse=True)
        seen = np.bincount(places[is_train], minlength=len(different))
        came_back = np.bincount(places[is_train], weights=returned[is_train], minlength=len(different))
        probabilities: np.ndarray = (came_back + 1) / (seen + 2)
        yield order, probabilities[places[is_later]]

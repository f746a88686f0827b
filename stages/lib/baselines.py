"""What counting alone predicts: the figures that an ensemble has to beat."""

import numpy as np


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

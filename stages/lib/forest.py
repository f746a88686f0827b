"""What windows that stand side by side begin with, so that it is computed once."""

from typing import NamedTuple

import numpy as np

from stages.lib.compiling import compiled


class Forest(NamedTuple):
    """What the windows of a batch begin with, step by step: a node for each different beginning.

    Attributes
    ----------
    values : ndarray of shape (n_nodes, n_features), float32
        What each node reads. Nodes are in the order of their steps.
    parents : ndarray of shape (n_nodes,), int64
        The node of the step before; meaningless at the first step.
    starts : ndarray of shape (L + 1,), int64
        The first node of each step, and `n_nodes`.
    ends : ndarray of shape (n,), int64
        The last node of each window.
    """

    values: np.ndarray
    parents: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


@compiled
def grow(inputs):
    """The `Forest` of windows.

    Parameters
    ----------
    inputs : ndarray of shape (n, L, n_features), float32
        Only neighbours are found to begin alike, so windows that are sorted make the smallest forest.
    """
    n_windows, n_steps, n_features = inputs.shape
    values = np.empty((n_windows * n_steps, n_features), np.float32)
    parents = np.empty(n_windows * n_steps, np.int64)
    starts, ends = np.empty(n_steps + 1, np.int64), np.zeros(n_windows, np.int64)
    # Whether a window has parted from the one before it.
    parted = np.zeros(n_windows, np.bool_)
    parted[:1] = True
    n_nodes = 0
    for step in range(n_steps):
        starts[step] = n_nodes
        for window in range(n_windows):
            for feature in range(n_features):
                if not parted[window] and inputs[window, step, feature] != inputs[window - 1, step, feature]:
                    parted[window] = True
            if parted[window]:
                parents[n_nodes] = ends[window]
                for feature in range(n_features):
                    values[n_nodes, feature] = inputs[window, step, feature]
                n_nodes += 1
            ends[window] = n_nodes - 1
    starts[n_steps] = n_nodes
    return Forest(values[:n_nodes], parents[:n_nodes], starts, ends)

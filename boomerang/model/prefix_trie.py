"""The prefix trie of a batch of windows, in which a common beginning of neighbouring windows is computed once."""

from typing import NamedTuple

import numpy as np

from boomerang.model.kernels import Float32Array, Int64Array, compiled


class PrefixTrie(NamedTuple):
    """The prefixes of the windows of a batch: a node for each different prefix, in ascending order of its length.

    Attributes
    ----------
    inputs : ndarray of shape (n_nodes, n_features), float32
        The features of the last purchase of each prefix.
    parents : ndarray of shape (n_nodes,), int64
        The node of the prefix that is one purchase shorter; meaningless at the first step.
    step_starts : ndarray of shape (L + 1,), int64
        The first node of each step, then `n_nodes`.
    last_nodes : ndarray of shape (n_windows,), int64
        The node of each whole window.
    """

    inputs: Float32Array
    parents: Int64Array
    step_starts: Int64Array
    last_nodes: Int64Array


@compiled
def build(windows: Float32Array) -> PrefixTrie:
    """Build the `PrefixTrie` of windows.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, L, n_features), float32
        A prefix is shared only with the window before, so windows in sorted order make the smallest trie.
    """
    n_windows, n_steps, n_features = windows.shape
    inputs = np.empty((n_windows * n_steps, n_features), np.float32)
    parents = np.empty(n_windows * n_steps, np.int64)
    step_starts, last_nodes = np.empty(n_steps + 1, np.int64), np.zeros(n_windows, np.int64)
    # Whether a window differs, in the steps so far, from the window before it.
    differs = np.zeros(n_windows, np.bool_)
    differs[:1] = True
    n_nodes = 0
    for step in range(n_steps):
        step_starts[step] = n_nodes
        for window in range(n_windows):
            for feature in range(n_features):
                if not differs[window] and windows[window, step, feature] != windows[window - 1, step, feature]:
                    differs[window] = True
            if differs[window]:
                parents[n_nodes] = last_nodes[window]
                for feature in range(n_features):
                    inputs[n_nodes, feature] = windows[window, step, feature]
                n_nodes += 1
            last_nodes[window] = n_nodes - 1
    step_starts[n_steps] = n_nodes
    return PrefixTrie(inputs[:n_nodes], parents[:n_nodes], step_starts, last_nodes)

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
    step_starts : ndarray of shape (n_steps + 1,), int64
        The first node of each step, up to the longest window, then `n_nodes`.
    last_nodes : ndarray of shape (n_windows,), int64
        The node of each whole window; -1 for one of no steps.
    has_branches : bool
        Whether any node has no child or several, before the last step; if none has, the nodes of a step lie in the
        order of their parents.
    """

    inputs: Float32Array
    parents: Int64Array
    step_starts: Int64Array
    last_nodes: Int64Array
    has_branches: bool


@compiled
def build(windows: Float32Array, window_lengths: Int64Array) -> PrefixTrie:
    """Build the `PrefixTrie` of windows.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, L, n_features), float32
        A prefix is shared only with the window before, so windows in sorted order make the smallest trie.
    window_lengths : ndarray of shape (n_windows,), int64
        How many steps of each window there are, 0 to L.
    """
    n_windows, _, n_features = windows.shape
    n_steps = window_lengths.max() if n_windows else 0
    inputs = np.empty((n_windows * n_steps, n_features), np.float32)
    parents = np.empty(n_windows * n_steps, np.int64)
    step_starts, last_nodes = np.empty(n_steps + 1, np.int64), np.full(n_windows, -1, np.int64)
    # Whether a window differs, in the steps so far, from the window before it.
    differs = np.zeros(n_windows, np.bool_)
    differs[:1] = True
    n_nodes, has_branches = 0, False
    for step in range(n_steps):
        step_starts[step] = n_nodes
        for window in range(n_windows):
            if step >= window_lengths[window]:
                continue
            # A window that has ended has no prefix of this length to share.
            if window > 0 and step >= window_lengths[window - 1]:
                differs[window] = True
            for feature in range(n_features):
                if not differs[window] and windows[window, step, feature] != windows[window - 1, step, feature]:
                    differs[window] = True
            if differs[window]:
                parents[n_nodes] = last_nodes[window]
                # Without branches, each node is as far from the start of its step as its parent is.
                if step > 0 and parents[n_nodes] - step_starts[step - 1] != n_nodes - step_starts[step]:
                    has_branches = True
                for feature in range(n_features):
                    inputs[n_nodes, feature] = windows[window, step, feature]
                n_nodes += 1
            last_nodes[window] = n_nodes - 1
        if step > 0 and n_nodes - step_starts[step] != step_starts[step] - step_starts[step - 1]:
            has_branches = True
    step_starts[n_steps] = n_nodes
    return PrefixTrie(inputs[:n_nodes], parents[:n_nodes], step_starts, last_nodes, has_branches)

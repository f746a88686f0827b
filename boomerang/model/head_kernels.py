"""The forward pass of the linear layer after the LSTM, and its gradient, compiled for the CPU."""

import numpy as np

from boomerang.model.kernels import Float32Array, Int64Array, compiled, sigmoid


@compiled
def run_forward(hidden: Float32Array, last_nodes: Int64Array, weight: Float32Array, bias: Float32Array) -> Float32Array:
    """Compute the linear layer on the last output of each window; of a window of no steps it gives the bias.

    Parameters
    ----------
    hidden : ndarray of shape (n_nodes, hidden_size), float32
        Output of the last LSTM layer.
    last_nodes : ndarray of shape (n_windows,), int64
        As in `PrefixTrie`.
    weight, bias : ndarray of shape (1, hidden_size) and (1,), float32

    Returns
    -------
    ndarray of shape (n_windows,), float32
        Logits.
    """
    logits = np.empty(len(last_nodes), np.float32)
    for window in range(len(last_nodes)):
        logit, node = bias[0], last_nodes[window]
        if node >= 0:
            for unit in range(hidden.shape[1]):
                logit += hidden[node, unit] * weight[0, unit]
        logits[window] = logit
    return logits


@compiled
def run_backward(
    logits: Float32Array,
    targets: Float32Array,
    shares: Float32Array,
    hidden: Float32Array,
    last_nodes: Int64Array,
    weight: Float32Array,
    grad_weight: Float32Array,
    grad_bias: Float32Array,
) -> Float32Array:
    """Compute the gradient of the binary cross-entropy of the logits of `run_forward`.

    Parameters
    ----------
    targets : ndarray of shape (n_windows,), float32
        The probability that each logit should express.
    shares : ndarray of shape (n_windows,), float32
        How much each window counts.
    grad_weight, grad_bias : ndarray, float32
        The gradient with respect to `weight` and `bias` is added to them.

    Returns
    -------
    grad_hidden : ndarray of shape (n_nodes, hidden_size), float32
    """
    grad_hidden = np.zeros(hidden.shape, np.float32)
    for window in range(len(last_nodes)):
        node, grad_logit = last_nodes[window], (sigmoid(logits[window]) - targets[window]) * shares[window]
        grad_bias[0] += grad_logit
        if node < 0:
            continue
        for unit in range(hidden.shape[1]):
            grad_weight[0, unit] += grad_logit * hidden[node, unit]
        for unit in range(hidden.shape[1]):
            grad_hidden[node, unit] += grad_logit * weight[0, unit]
    return grad_hidden

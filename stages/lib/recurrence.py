"""The recurrence of an LSTM and its gradient, compiled for the CPU.

torch's own LSTM prepares half a millisecond anew at each training step on a CPU, and reads windows that begin alike as
often as they occur. The products here are those of numpy's OpenBLAS, the loops around them are compiled by numba.
Neither changes the order of a sum from run to run, and `stages.lib.numerics` names the CPU that both compute for.
"""

from typing import NamedTuple

import numpy as np

from stages.lib.compiling import ONE, ZERO, add_product, compiled, round_to_bf16, sigmoid, tanh


class Layer(NamedTuple):
    """What one layer computed at each node of a forest, and what its gradient needs.

    Attributes
    ----------
    values : ndarray of shape (n_nodes, n_inputs), float32
        What it read.
    w_ih, w_hh : ndarray of shape (4 hidden, n_inputs) and (4 hidden, hidden), float32
        The weights it was computed with.
    gates : ndarray of shape (n_nodes, 4 hidden), float32
        Input, forget, candidate and output gate.
    cells, bounded, hidden : ndarray of shape (n_nodes, hidden), float32
        The cell, its tanh, and the output.
    """

    values: np.ndarray
    w_ih: np.ndarray
    w_hh: np.ndarray
    gates: np.ndarray
    cells: np.ndarray
    bounded: np.ndarray
    hidden: np.ndarray


@compiled
def _is_shared(starts):
    """Whether any beginning is that of several windows: nodes then do not lie as their parents do."""
    return starts[1] < starts[-1] - starts[-2]


@compiled
def _run_cells(gates, cells, bounded, hidden, start, end):
    """From sums of products to gates, and from the cells of the parents to cells and outputs, for some nodes."""
    size = cells.shape[1]
    for node in range(start, end):
        # A loop for each gate: several in one are too much for the compiler to take eight units at a time.
        for unit in range(2 * size):
            gates[node, unit] = sigmoid(gates[node, unit])
        for unit in range(size):
            gates[node, 2 * size + unit] = tanh(gates[node, 2 * size + unit])
        for unit in range(size):
            gates[node, 3 * size + unit] = sigmoid(gates[node, 3 * size + unit])
        for unit in range(size):
            new = gates[node, unit] * gates[node, 2 * size + unit]
            cells[node, unit] = gates[node, size + unit] * cells[node, unit] + new
        for unit in range(size):
            bounded[node, unit] = tanh(cells[node, unit])
        for unit in range(size):
            hidden[node, unit] = gates[node, 3 * size + unit] * bounded[node, unit]


@compiled
def run_forward(values, forest, w_ih, w_hh, bias, is_rounded):
    """One `Layer` over a forest (Hochreiter and Schmidhuber 1997, "Long short-term memory"; gates in torch's order).

    Parameters
    ----------
    values, w_ih, w_hh : ndarray
        As in `Layer`.
    forest : Forest
        Its own values are those of the first layer.
    bias : ndarray of shape (4 hidden,), float32
        Of both products.
    is_rounded : bool
        Round what goes on, `hidden`, to bfloat16.
    """
    parents, starts = forest.parents, forest.starts
    n_nodes, size, is_shared = len(values), w_hh.shape[1], _is_shared(starts)
    gates = np.empty((n_nodes, 4 * size), np.float32)
    cells, bounded, hidden = [np.empty((n_nodes, size), np.float32) for _ in range(3)]
    recurrent = np.empty((n_nodes - starts[-2] if is_shared else 0, 4 * size), np.float32)
    for node in range(n_nodes):
        for unit in range(4 * size):
            gates[node, unit] = bias[unit]
    add_product(values, False, w_ih, True, ONE, gates)
    for step in range(len(starts) - 1):
        start, end = starts[step], starts[step + 1]
        if step == 0:
            cells[start:end] = ZERO
        else:
            before = starts[step - 1]
            if is_shared:
                add_product(hidden[before:start], False, w_hh, True, ZERO, recurrent[: start - before])
            else:
                add_product(hidden[before:start], False, w_hh, True, ONE, gates[start:end])
            for node in range(start, end):
                parent = parents[node]
                if is_shared:
                    for unit in range(4 * size):
                        gates[node, unit] += recurrent[parent - before, unit]
                for unit in range(size):
                    cells[node, unit] = cells[parent, unit]
        _run_cells(gates, cells, bounded, hidden, start, end)
        if is_rounded:
            round_to_bf16(hidden[start:end])
    return Layer(values, w_ih, w_hh, gates, cells, bounded, hidden)


@compiled
def run_head(hidden, ends, weight, bias):
    """The linear layer on the last output of each window.

    Parameters
    ----------
    hidden : ndarray of shape (n_nodes, hidden), float32
        Of the last layer.
    ends : ndarray of shape (n,), int64
        Of the forest.
    weight, bias : ndarray of shape (1, hidden) and (1,), float32

    Returns
    -------
    ndarray of shape (n,), float32
        Logits.
    """
    logits = np.empty(len(ends), np.float32)
    for window in range(len(ends)):
        logit = bias[0]
        for unit in range(hidden.shape[1]):
            logit += hidden[ends[window], unit] * weight[0, unit]
        logits[window] = logit
    return logits


@compiled
def run_head_backward(logits, targets, weights, hidden, ends, weight, d_weight, d_bias):
    """The gradient of the binary cross-entropy of `run_head`.

    Parameters
    ----------
    targets, weights : ndarray of shape (n,), float32
        What each logit should tell, 0 to 1, and how much it counts.
    d_weight, d_bias : ndarray, float32
        The gradient is added to them.

    Returns
    -------
    d_hidden : ndarray of shape (n_nodes, hidden), float32
    """
    d_hidden = np.zeros(hidden.shape, np.float32)
    for window in range(len(ends)):
        end, d_logit = ends[window], (sigmoid(logits[window]) - targets[window]) * weights[window]
        d_bias[0] += d_logit
        for unit in range(hidden.shape[1]):
            d_weight[0, unit] += d_logit * hidden[end, unit]
        for unit in range(hidden.shape[1]):
            d_hidden[end, unit] += d_logit * weight[0, unit]
    return d_hidden


@compiled
def _run_cells_backward(layer, d_hidden, d_cells, parents, start, end):
    """The gradient of `_run_cells`: that by the sums of products takes the place of the gates.

    `d_cells` holds what came from the children; what goes to the parents is added to theirs.
    """
    gates, cells, bounded = layer.gates, layer.cells, layer.bounded
    size = cells.shape[1]
    for node in range(start, end):
        for unit in range(size):
            slope = ONE - bounded[node, unit] * bounded[node, unit]
            d_cells[node, unit] += d_hidden[node, unit] * gates[node, 3 * size + unit] * slope
        for unit in range(size):
            o = gates[node, 3 * size + unit]
            gates[node, 3 * size + unit] = d_hidden[node, unit] * bounded[node, unit] * o * (ONE - o)
        for unit in range(size):
            i, candidate = gates[node, unit], gates[node, 2 * size + unit]
            gates[node, unit] = d_cells[node, unit] * candidate * i * (ONE - i)
            gates[node, 2 * size + unit] = d_cells[node, unit] * i * (ONE - candidate * candidate)
        if start == 0:
            for unit in range(size):
                gates[node, size + unit] = ZERO
            continue
        parent = parents[node]
        for unit in range(size):
            d_cells[parent, unit] += d_cells[node, unit] * gates[node, size + unit]
        for unit in range(size):
            f = gates[node, size + unit]
            gates[node, size + unit] = d_cells[node, unit] * cells[parent, unit] * f * (ONE - f)


@compiled
def run_backward(layer, forest, d_hidden, is_rounded, is_first, d_w_ih, d_w_hh, d_b_ih, d_b_hh):
    """The gradient of `run_forward`, through time (Werbos 1990); `layer.gates` and `d_hidden` are overwritten.

    Parameters
    ----------
    d_hidden : ndarray of shape (n_nodes, hidden), float32
        The gradient by what each node gave to others than its children.
    is_rounded : bool
        Round the gradient by the sums of products to bfloat16.
    is_first : bool
        That this is the first layer, whose inputs need no gradient.
    d_w_ih, d_w_hh, d_b_ih, d_b_hh : ndarray, float32
        The gradient is added to them.

    Returns
    -------
    d_values : ndarray of shape (n_nodes, n_inputs), float32
        The gradient by what the layer read; for the first one it has no rows.
    """
    parents, starts = forest.parents, forest.starts
    values, w_ih, w_hh, gates, _, _, hidden = layer
    (n_nodes, size), is_shared, n_parents = hidden.shape, _is_shared(starts), starts[-2]
    d_cells = np.zeros((n_nodes, size), np.float32)
    # The gradient by the product of a node's output with `w_hh`: the sum over its children.
    d_recurrent = np.zeros((n_parents, 4 * size), np.float32) if is_shared else gates[starts[1] :]
    for step in range(len(starts) - 2, -1, -1):
        start, end = starts[step], starts[step + 1]
        _run_cells_backward(layer, d_hidden, d_cells, parents, start, end)
        if is_rounded:
            round_to_bf16(gates[start:end])
        if step > 0:
            before = starts[step - 1]
            if is_shared:
                for node in range(start, end):
                    parent = parents[node]
                    for unit in range(4 * size):
                        d_recurrent[parent, unit] += gates[node, unit]
            add_product(d_recurrent[before:start], False, w_hh, False, ONE, d_hidden[before:start])
    add_product(gates, True, values, False, ONE, d_w_ih)
    add_product(d_recurrent, True, hidden[:n_parents], False, ONE, d_w_hh)
    d_bias = np.zeros(4 * size, np.float32)
    for node in range(n_nodes):
        for unit in range(4 * size):
            d_bias[unit] += gates[node, unit]
    for unit in range(4 * size):
        d_b_ih[unit] += d_bias[unit]
        d_b_hh[unit] += d_bias[unit]
    d_values = np.empty((0 if is_first else n_nodes, values.shape[1]), np.float32)
    if not is_first:
        add_product(gates, False, w_ih, False, ZERO, d_values)
    return d_values
